"""All commands: name, help, a tested example, and the function that runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import frozen
from cyclopts import App, Group

from pinterest_audiences._version import __version__
from pinterest_audiences.cli.help import HelpFormatter

__all__ = ["COMMANDS", "OVERVIEW", "PAGES", "Command", "make_app"]

_PACKAGE = "pinterest_audiences.cli.commands"
_DOCUMENTATION = "https://github.com/pinterest-audiences/pinterest-audiences/tree/main/docs"
_GROUPS = {
    "auth": "Log in and manage tokens.",
    "accounts": "Ad accounts.",
    "lists": "Customer lists.",
    "jobs": "Jobs in the state file.",
    "audience": "Audiences that ads can target.",
    "segments": "Customer segments: existing customers, defined by audiences.",
    "emulator": "An offline emulator of Pinterest.",
}
# The overview: every first word of a command, in the order of the work.
OVERVIEW = {
    "Start": {
        "demo": "Try it offline",
        "auth": "Log in, manage tokens",
        "accounts": "List the ad accounts",
        "whoami": "Show whose token it is",
        "doctor": "Find problems of the setup",
        "completion": "Complete words in a shell",
    },
    "Lists and audiences": {
        "lists": "Show and create lists",
        "audience": "Make lists usable in ads",
        "segments": "Combine audiences",
        "wait": "Wait until a list is ready",
    },
    "Send": {
        "check": "Clean a file, send nothing",
        "upload": "Add customers to a list",
        "plan": "Show what mirror changes",
        "mirror": "Make a list match a file",
        "remove": "Remove customers",
        "forget": "Erase people everywhere",
    },
    "Look after": {
        "status": "Show lists and their jobs",
        "runs": "Show the history of jobs",
        "resume": "Finish interrupted jobs",
        "jobs": "List and abandon jobs",
    },
    "Develop": {
        "emulator": "Serve Pinterest offline",
        "verify-api": "Check the live API",
        "hash": "Print the hashes",
        "sql": "Hash in a database",
    },
}
# The page of the documentation about a command, by its first word; for the others cli.md.
PAGES = {
    **dict.fromkeys(("auth", "accounts", "whoami"), "credentials.md"),
    **dict.fromkeys(("audience", "segments", "wait"), "audiences.md"),
    **dict.fromkeys(("check", "hash"), "records.md"),
    **dict.fromkeys(
        ("upload", "plan", "mirror", "remove", "forget", "status", "runs", "resume", "jobs"),
        "jobs.md",
    ),
    "emulator": "testing.md",
    "sql": "warehouse.md",
    "verify-api": "emulator-fidelity.md",
}
_OVERVIEW_EPILOGUE = f"""\
Example  pinterest-audiences mirror customers.csv --name Buyers
Docs  {_DOCUMENTATION}"""


@frozen
class Command:
    """One command.

    Attributes:
        name: Its name, such as ``lists get``.
        function: The module and function that run it, as ``module:function``.
        help: What it does, in one line.
        example: A working command line, without the program's name.
        optional: The name of its optional argument, for the usage.
    """

    name: str
    function: str
    help: str
    example: str
    optional: str = "FILE"


# In this order the examples work one after the other; the tests run them.
COMMANDS = (
    Command(
        "auth login",
        "auth:login",
        "Log in with the browser and write the profile, or store an access token.",
        "auth login --emulator",
    ),
    Command(
        "auth status",
        "auth:status",
        "Show which credentials commands would use; makes no request.",
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
        "Delete the stored tokens of a login.",
        "auth logout --emulator",
    ),
    Command(
        "whoami",
        "accounts:whoami",
        "Show the account that the access token belongs to.",
        "whoami --emulator",
    ),
    Command(
        "accounts list",
        "accounts:list_all",
        "List the ad accounts that the access token can use, and your roles on them.",
        "accounts list --emulator",
    ),
    Command(
        "accounts get",
        "accounts:get",
        "Show one ad account, and your roles on it.",
        "accounts get --emulator",
        optional="ACCOUNT",
    ),
    Command(
        "doctor",
        "accounts:doctor",
        "Diagnose configuration problems.",
        "doctor --emulator",
    ),
    Command(
        "check",
        "check:check",
        "Clean and hash a file without sending it, and report on its rows.",
        "check customers.csv",
    ),
    Command(
        "hash",
        "check:hash_records",
        "Print the hashes that an upload would send.",
        "hash customers.csv --output csv",
    ),
    Command(
        "sql",
        "sql:sql",
        "Print a query that cleans and hashes a column in a database, as an upload would.",
        "sql --dialect postgres --table customers --column email",
    ),
    Command(
        "upload",
        "upload:upload",
        "Add all customers in a file to a list; with --name, create the list if it does not exist.",
        'upload customers.csv --name "All customers" --emulator',
    ),
    Command(
        "plan",
        "mirror:plan",
        "Show what a mirror would add, remove and keep.",
        'plan customers.csv --name "All customers" --emulator',
    ),
    Command(
        "mirror",
        "mirror:mirror",
        "Make a list contain exactly the customers in a file.",
        'mirror customers.csv --name "All customers" --emulator',
    ),
    Command(
        "resume",
        "jobs:resume",
        "Resume interrupted jobs.",
        "resume --emulator",
    ),
    Command(
        "status",
        "jobs:status",
        "Show lists and their jobs from the state file; makes no request.",
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
        "lists get 2542620 --emulator",
    ),
    Command(
        "lists create",
        "upload:create",
        "Create a list from a file; refused if a list of that name exists.",
        'lists create customers.csv --name "New customers" --emulator',
    ),
    Command(
        "wait",
        "jobs:wait",
        "Wait until a list is READY or TOO_SMALL.",
        "wait 2542620 --emulator",
    ),
    Command(
        "audience create",
        "audience:create",
        "Create an audience from a customer list.",
        'audience create 2542620 --name "All customers" --emulator',
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
        "segments create",
        "segments:create",
        "Create a customer segment from audiences.",
        'segments create --name "Existing customers" --audience 2542621000000 --emulator',
    ),
    Command(
        "segments list",
        "segments:list_all",
        "List the customer segments of the ad account.",
        "segments list --emulator",
    ),
    Command(
        "segments get",
        "segments:get",
        "Show one customer segment.",
        'segments get "Existing customers" --emulator',
    ),
    Command(
        "segments update",
        "segments:update",
        "Replace the audiences of a customer segment.",
        'segments update "Existing customers" --audience 2542621000000 --emulator',
    ),
    Command(
        "segments remove",
        "segments:remove",
        "Remove a customer segment; its audiences stay.",
        'segments remove "Existing customers" --yes --emulator',
    ),
    Command(
        "audience remove",
        "audience:remove",
        "Remove an audience; its customer list stays.",
        "audience remove 2542621000000 --yes --emulator",
    ),
    Command(
        "remove",
        "upload:remove",
        "Remove all customers in a file from a list.",
        'remove customers.csv --name "All customers" --yes --emulator',
    ),
    Command(
        "forget",
        "jobs:forget",
        "Erase people from every list and from the state file.",
        "forget people.txt --yes --emulator",
    ),
    Command(
        "runs",
        "runs:runs",
        "Show the history of jobs: when, what was sent, and how it ended; makes no request.",
        "runs --emulator",
    ),
    Command(
        "jobs list",
        "jobs:list_jobs",
        "List the jobs in the state file; makes no request.",
        "jobs list --emulator",
    ),
    Command(
        "jobs abandon",
        "jobs:abandon",
        "Abandon an unfinished job; it cannot be resumed.",
        "jobs abandon 1 --yes --emulator",
    ),
    Command(
        "lists forget",
        "lists:forget",
        "Erase the state of a list that no longer exists at Pinterest.",
        "lists forget --list 2542620 --yes --emulator",
    ),
    Command(
        "verify-api",
        "accounts:verify_api",
        "Compare Pinterest's API with the emulator's assumptions, and write a report.",
        "verify-api --yes --emulator",
    ),
    Command(
        "emulator serve",
        "emulator:serve",
        "Serve the emulator over HTTP on this machine until Ctrl-C.",
        "emulator serve --port 0",
    ),
    Command(
        "completion",
        "completion:completion",
        "Print the script that completes commands, options and files in a shell.",
        "completion bash",
    ),
    Command(
        "demo",
        "demo:demo",
        "Upload sample customers, wait until the list is READY and create its audience, offline.",
        "demo --customers 500",
    ),
)


class _App(App):
    """An app whose bash completion offers files with blanks in their names."""

    def generate_completion(
        self,
        *,
        prog_name: str | None = None,
        shell: Literal["zsh", "bash", "fish", "powershell"] | None = None,
    ) -> str:
        """Return the script that completes words in a shell."""
        script = super().generate_completion(prog_name=prog_name, shell=shell)
        # `compgen -f` splits names at blanks. Without candidates bash completes files by itself.
        script = script.replace('COMPREPLY=( $(compgen -f -- "${cur}") )', "COMPREPLY=()")
        return script.replace("\ncomplete -F ", "\ncomplete -o default -F ")


def make_app(
    *, with_completion: bool = True, common_options: Callable[..., None] | None = None
) -> App:
    """Create the app; the module of a command is imported when the command is used.

    Args:
        with_completion: Whether to add ``--install-completion``, which imports more modules.
        common_options: A function with these options, which the help of the program explains.
    """
    hidden = Group("", show=False)
    options = Group("Options", sort_key=3)  # below those of the list, above those of the source
    app = _App(
        name="pinterest-audiences",
        help="Upload customer lists to Pinterest and keep them in sync.",
        usage="Usage: pinterest-audiences COMMAND [OPTIONS]; --help explains common options",
        help_epilogue=_OVERVIEW_EPILOGUE,
        version=__version__,
        help_format="plaintext",
        group_parameters=options,
        help_formatter=HelpFormatter(overview=OVERVIEW, explain_common=common_options is not None),
    )
    for flag in ("--help", "--version"):
        app[flag].group = hidden
    titles = {name: title for title, names in OVERVIEW.items() for name in names}
    groups = {title: Group(title, sort_key=number) for number, title in enumerate(OVERVIEW)}
    parents = {
        name: App(name=name, help=text, help_epilogue="", group=groups[titles[name]])
        for name, text in _GROUPS.items()
    }
    for parent in parents.values():
        app.command(parent)
    for command in COMMANDS:
        *parent_name, name = command.name.split()
        parent = parents[parent_name[0]] if parent_name else app
        parent.command(
            f"{_PACKAGE}.{command.function}",
            name=name,
            help=command.help,
            help_epilogue="",
            help_formatter=HelpFormatter(
                example=command.example, link=_link(command.name), optional=command.optional
            ),
            group=None if parent_name else groups[titles[name]],
        )
    if common_options is not None:
        app.default(common_options)
    if with_completion:
        app.register_install_completion_command(group=hidden)  # pyright: ignore[reportUnknownMemberType]  # its **kwargs
    return app


def _link(command: str) -> str:
    return f"{_DOCUMENTATION}/{PAGES.get(command.partition(' ')[0], 'cli.md')}"
