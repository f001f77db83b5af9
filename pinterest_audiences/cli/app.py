"""The commands, by name: what each is for, an example that works, and the module it is in."""

from __future__ import annotations

from attrs import frozen
from cyclopts import App

from pinterest_audiences._version import __version__

__all__ = ["COMMANDS", "Command", "make_app"]

_HERE = "pinterest_audiences.cli.commands"
_GROUPS = {
    "auth": "Log in, and look after the tokens.",
    "lists": "Customer lists.",
    "audience": "Audiences, which ads are shown to.",
    "emulator": "Pinterest, offline.",
}


@frozen
class Command:
    """One command.

    Attributes:
        name: Its words.
        place: The module and function.
        help: What it is for, in a line.
        example: How it is used; it works as it stands, after the examples that it needs.
    """

    name: str
    place: str
    help: str
    example: str


# In the order in which their examples work one after the other, as the tests run them.
COMMANDS = (
    Command(
        "auth login",
        "auth:login",
        "Let an app in with the browser, or keep a token of your own.",
        "auth login --emulator",
    ),
    Command(
        "auth status",
        "auth:status",
        "Tell which credentials a command would use; asks nobody.",
        "auth status --emulator",
    ),
    Command(
        "auth refresh",
        "auth:refresh",
        "Get a new access token now.",
        "auth refresh --emulator",
    ),
    Command(
        "auth logout",
        "auth:logout",
        "Forget the tokens of a login.",
        "auth logout --emulator",
    ),
    Command(
        "whoami",
        "account:whoami",
        "Show the account that the token acts for.",
        "whoami --emulator",
    ),
    Command(
        "doctor",
        "account:doctor",
        "Look what could keep the other commands from working.",
        "doctor --emulator",
    ),
    Command(
        "check",
        "files:check",
        "Clean and hash a file without sending it, and tell what became of its rows.",
        "check customers.csv",
    ),
    Command(
        "hash",
        "files:hash_records",
        "Print the hashes that an upload would send.",
        "hash customers.csv --output csv",
    ),
    Command(
        "upload",
        "transfer:upload",
        "Add everything in a file to a list, created by --name if there is none.",
        'upload customers.csv --name "All customers" --emulator',
    ),
    Command(
        "plan",
        "mirror:plan",
        "Say what a mirror would add, remove and keep.",
        'plan customers.csv --name "All customers" --emulator',
    ),
    Command(
        "mirror",
        "mirror:mirror",
        "Make a list hold exactly what a file holds.",
        'mirror customers.csv --name "All customers" --emulator',
    ),
    Command(
        "resume",
        "jobs:resume",
        "Finish the jobs that were interrupted.",
        "resume --emulator",
    ),
    Command(
        "status",
        "jobs:status",
        "Tell what is known of lists and jobs, without asking Pinterest.",
        "status --emulator",
    ),
    Command(
        "lists list",
        "lists:list_all",
        "List the customer lists of the ad account.",
        "lists list --emulator",
    ),
    Command(
        "lists get",
        "lists:get",
        "Show one customer list.",
        "lists get 2542620000000 --emulator",
    ),
    Command(
        "lists create",
        "transfer:create",
        "Create a list from a file; refused where there is one of that name.",
        'lists create customers.csv --name "New customers" --emulator',
    ),
    Command(
        "wait",
        "jobs:wait",
        "Wait until a list is READY or TOO_SMALL.",
        "wait 2542620000000 --emulator",
    ),
    Command(
        "audience create",
        "audience:create",
        "Make the audience of a customer list.",
        'audience create 2542620000000 --name "All customers" --emulator',
    ),
    Command(
        "audience list",
        "audience:list_all",
        "List the audiences of the ad account.",
        "audience list --emulator",
    ),
    Command(
        "audience get",
        "audience:get",
        "Show one audience.",
        "audience get 2542621000000 --emulator",
    ),
    Command(
        "audience remove",
        "audience:remove",
        "Remove an audience; its customer list stays.",
        "audience remove 2542621000000 --yes --emulator",
    ),
    Command(
        "remove",
        "transfer:remove",
        "Remove everything in a file from a list.",
        'remove customers.csv --name "All customers" --yes --emulator',
    ),
    Command(
        "forget",
        "jobs:forget",
        "Remove people from every list, and from the state file.",
        "forget people.txt --yes --emulator",
    ),
    Command(
        "emulator serve",
        "emulator:serve",
        "Serve an offline Pinterest on this machine until Ctrl-C.",
        "emulator serve --port 0",
    ),
    Command(
        "demo",
        "demo:demo",
        "From made-up customers to a READY list and its audience, on the embedded emulator.",
        "demo --customers 500",
    ),
)


def make_app(*, with_completion: bool = True) -> App:
    """Put the commands together; none of their modules is loaded before it is asked for.

    Args:
        with_completion: Whether ``--install-completion`` is wanted, which loads what it needs.
    """
    app = App(
        name="pinterest-audiences",
        help="Customers in, a Pinterest audience out. Try `pinterest-audiences demo`: it needs no "
        "account.",
        version=__version__,
        help_format="plaintext",
        help_formatter="plain",
    )
    groups = {name: App(name=name, help=told) for name, told in _GROUPS.items()}
    for group in groups.values():
        app.command(group)
    for command in COMMANDS:
        *group_name, name = command.name.split()
        parent = groups[group_name[0]] if group_name else app
        parent.command(
            f"{_HERE}.{command.place}",
            name=name,
            help=command.help,
            help_epilogue=f"Example:\n  pinterest-audiences {command.example}",
        )
    if with_completion:
        app.register_install_completion_command()  # pyright: ignore[reportUnknownMemberType]  # its **kwargs
    return app
