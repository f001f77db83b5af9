"""Write the reference of all commands and their options as Markdown, from the app itself.

The documentation site puts the result into the page ``docs/cli-reference.md``::

    python scripts/cli_reference.py
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from cyclopts import App, Group
from cyclopts.argument import Argument

from pinterest_audiences.cli.app import COMMANDS, make_app

PROGRAM = "pinterest-audiences"
MIN_COMMANDS = 5  # options that so many commands share are described once
UNNAMED_GROUPS = ("Arguments", "Parameters")
OPTION = re.compile(r"(?<![`\w-])--?[a-z][\w-]*")

Table = tuple[str, tuple[str, ...]]


def cell(text: str) -> str:
    """Return text as one line for a cell of a table."""
    plain = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return OPTION.sub(r"`\g<0>`", plain)


def row(argument: Argument) -> str:
    """Return an option with its values, default and meaning."""
    names = ", ".join(f"`{name}`" for name in argument.names)
    text = cell(argument.parameter.help or "")
    choices = argument.get_choices()
    if choices:
        text += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    if argument.required:
        text += " Required."
    default = argument.field_info.default
    if argument.show_default and default not in (None, False, "", (), argument.field_info.empty):
        text += f" Default: `{default}`."
    return f"| {names} | {text} |"


def tables(command: App) -> Iterator[Table]:
    """Yield the options of a command by group, as they stand in its help."""
    groups: dict[str, list[str]] = {}
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if argument.show and argument.names != ("*",):
            group = argument.parameter.group
            first = group[0] if isinstance(group, tuple) else group
            title = first.name if isinstance(first, Group) else str(first)
            groups.setdefault(title, []).append(row(argument))
    for title, rows in groups.items():
        yield title, tuple(rows)


def table(group: Table) -> Iterator[str]:
    """Yield the lines of a table."""
    title, rows = group
    yield from (f"| {title} | |", "|---|---|", *rows, "")


def reference() -> str:
    """Return a section for each command, and one for the options that many share."""
    app = make_app(with_completion=False)
    options: dict[str, list[Table]] = {}
    for command in COMMANDS:
        subcommand = app
        for name in command.name.split():
            subcommand = subcommand[name]
        options[command.name] = list(tables(subcommand))
    count = Counter(group for groups in options.values() for group in groups)
    shared = {
        group: group[0]
        for group, number in count.items()
        if number >= MIN_COMMANDS and group[0] not in UNNAMED_GROUPS
    }
    lines: list[str] = []
    for command in sorted(COMMANDS, key=lambda command: command.name):
        lines += [f"## {command.name}", "", command.help, ""]
        lines += ["```sh", f"{PROGRAM} {command.example}", "```", ""]
        for group in options[command.name]:
            if group not in shared:
                lines += table(group)
        also = [title for group, title in shared.items() if group in options[command.name]]
        links = ", ".join(f"[{title}](#{anchor(title)})" for title in also)
        lines += [f"Options of several commands: {links}.", ""] if also else []
    for group, title in shared.items():
        lines += [f"## {heading(title)}", "", *table(group)]
    return "\n".join(lines)


def heading(title: str) -> str:
    """Return the heading of a group of options, which no command has as its name."""
    return title if title.endswith("options") else f"{title} options"


def anchor(title: str) -> str:
    """Return the anchor of the section of a group."""
    return heading(title).lower().replace(" ", "-")


if __name__ == "__main__":
    print(reference())
