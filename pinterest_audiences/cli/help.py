"""The layout of help: groups, two columns for the overview, common options once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from attrs import define, field
from cyclopts.help import DefaultFormatter, DescriptionRenderer, NameRenderer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

__all__ = ["COMMON_OPTIONS", "HelpFormatter"]

COMMON_OPTIONS = "Common options"
_MIN_OVERVIEW_WIDTH = 78  # narrower terminals have one column
_MIN_TABLE_WIDTH = 40  # narrower terminals have descriptions below the names
_OVERVIEW_NAME_WIDTH = 12
_MAX_NAME_SHARE = 0.35


@define
class HelpFormatter(DefaultFormatter):
    """Prints the panels of a help page without borders; colors depend on the terminal.

    Attributes:
        overview: The commands of the overview with a few words each, by the title of their group.
        explain_common: Whether to explain the common options, in place of their names only.
        example: A command line for the end of the page, without the name of the program.
        link: The address of a page of the documentation, for the end of the page.
        optional: The optional argument of a command, for its usage.
    """

    overview: Mapping[str, Mapping[str, str]] = field(factory=dict[str, Mapping[str, str]])
    explain_common: bool = False
    example: str = ""
    link: str = ""
    optional: str = "FILE"

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:  # noqa: ARG002 - a protocol
        """Print a panel."""
        if not panel.entries:
            return
        title = str(panel.title)
        if title in self.overview:
            console.print(Text(title, "bold"))
            console.print(self._overview_table(console, self.overview[title]))
            return
        console.print()
        if title == COMMON_OPTIONS and not self.explain_common:
            self._print_end(console, panel)
            return
        console.print(Text(title, "bold"))
        console.print(_table(console, panel.entries))

    def _print_end(self, console: Console, common: HelpPanel) -> None:
        """Print the names of the common options, the example and the link."""
        names = ", ".join(entry.all_options[0] for entry in common.entries)
        console.print(Text(f"{COMMON_OPTIONS} (pinterest-audiences --help)", "bold"))
        console.print(Padding(Text(names, "cyan"), (0, 0, 0, 2)))
        console.print()
        for title, text in (
            ("Example", f"pinterest-audiences {self.example}"),
            ("Docs", self.link),
        ):
            console.print(Text(title, "bold"))
            # A line break in a link or a command could not be copied.
            console.print(Text(f"  {text}"), soft_wrap=True)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        """Print the usage with the names of optional arguments, without a blank line below it."""
        text = str(usage).strip().replace("[ARGS...]", f"{self.optional}...")
        super().render_usage(console, options, text.replace("[ARGS]", f"[{self.optional}]"))

    def render_description(
        self,
        console: Console,
        options: ConsoleOptions,  # noqa: ARG002 - of the base class
        description: object,
    ) -> None:
        """Print the description without a blank line below it."""
        console.print(_one_line(description))

    @staticmethod
    def _overview_table(console: Console, commands: Mapping[str, str]) -> Table:
        columns = 2 if console.width >= _MIN_OVERVIEW_WIDTH else 1
        table = _grid(*(_OVERVIEW_NAME_WIDTH, None) * columns)
        cells = [cell for name, text in commands.items() for cell in (f"  {name}", text)]
        for start in range(0, len(cells), 2 * columns):
            table.add_row(*cells[start : start + 2 * columns])
        return table


def _grid(*widths: int | None) -> Table:
    """Return a table without lines, whose columns are names and texts in turn."""
    table = Table.grid(padding=(0, 1), expand=True)
    for number, width in enumerate(widths):
        is_text = number % 2
        table.add_column(
            style=None if is_text else "cyan", width=width, ratio=1 if is_text else None
        )
    return table


def _table(console: Console, entries: Iterable[HelpEntry]) -> Table:
    """Return names and their descriptions in two columns; on narrow terminals in one."""
    narrow = console.width < _MIN_TABLE_WIDTH
    share = 1 if narrow else _MAX_NAME_SHARE
    names = NameRenderer(max_width=max(int(console.width * share) - 2, 1))
    describe = DescriptionRenderer()
    rows = [
        (str(names(entry)), describe(entry.copy(description=_one_line(entry.description))))
        for entry in entries
    ]
    if narrow:
        table = _grid(console.width)
        for name, description in rows:
            table.add_row(Padding(name, (0, 0, 0, 2)))
            table.add_row(Padding(description, (0, 0, 0, 4), style="default"))
        return table
    width = max(len(line) for name, _ in rows for line in name.split("\n"))
    table = _grid(width + 2, None)
    for name, description in rows:
        table.add_row(Padding(name, (0, 0, 0, 2)), description)
    return table


def _one_line(description: object) -> str:
    """Return a text of cyclopts without the line breaks of the docstring that it comes from."""
    text = getattr(description, "primary_renderable", description)
    return " ".join(str(text or "").split())
