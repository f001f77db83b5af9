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


COMMANDS = (
    Command(
        "lists list",
        "lists:list_all",
        "List the customer lists of the ad account.",
        "lists list --emulator",
    ),
    Command("lists get", "lists:get", "Show one customer list.", "lists get LIST --emulator"),
    Command(
        "lists create",
        "transfer:create",
        "Create a list from a file; refused where there is one of that name.",
        'lists create customers.csv --name "New customers" --emulator',
    ),
    Command(
        "upload",
        "transfer:upload",
        "Add everything in a file to a list, created by --name if there is none.",
        'upload customers.csv --name "All customers" --emulator',
    ),
    Command(
        "remove",
        "transfer:remove",
        "Remove everything in a file from a list.",
        'remove customers.csv --name "All customers" --yes --emulator',
    ),
    Command(
        "demo",
        "demo:demo",
        "From made-up customers to a READY list and its audience, on the embedded emulator.",
        "demo --customers 500",
    ),
)


def make_app() -> App:
    """Put the commands together; none of their modules is loaded before it is asked for."""
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
    app.register_install_completion_command()  # pyright: ignore[reportUnknownMemberType]  # its **kwargs
    return app
