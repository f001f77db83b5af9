"""Draw what commands print on a terminal, as SVG; the documentation site shows the pictures.

They are drawn while the site is built, from real output on the emulator, so none is out of date::

    python scripts/terminal_pictures.py FOLDER
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

CUSTOMERS = Path(__file__).parents[1] / "examples" / "customers.csv"
COLUMNS = 88
WEB_FONT = re.compile(r"@font-face {.*?}", re.DOTALL)
# In this order: a later command sees what an earlier one has changed.
COMMANDS = {
    "check": ("check", "customers.csv"),
    "plan": ("plan", "customers.csv", "--name", "Buyers", "--emulator"),
    "upload": ("upload", "customers.csv", "--name", "Buyers", "--emulator"),
    "lists": ("lists", "list", "--emulator"),
}


def output(command: tuple[str, ...], home: Path) -> str:
    """Return what a command prints on a terminal, in colors where it has some."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PINTEREST_", "XDG_"))}
    environment |= {"HOME": str(home), "COLUMNS": str(COLUMNS), "FORCE_COLOR": "1"}
    environment["PINTEREST_AUDIENCES_OUTPUT"] = "table"  # as on a terminal
    done = subprocess.run(
        [sys.executable, "-m", "pinterest_audiences", *command],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return done.stdout


def picture(command: tuple[str, ...], printed: str, name: str) -> str:
    """Return the picture of a command and its output."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ pinterest-audiences {' '.join(command)}", style="bold"))
    console.print(Text.from_ansi(printed))
    drawn = console.export_svg(title="pinterest-audiences", theme=MONOKAI, unique_id=name)
    return WEB_FONT.sub("", drawn)  # nothing is loaded from other hosts


def main(folder: Path) -> None:
    """Draw all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as name:
        home = Path(name)
        (home / CUSTOMERS.name).write_bytes(CUSTOMERS.read_bytes())
        for command, words in COMMANDS.items():
            drawn = picture(words, output(words, home), command)
            (folder / f"{command}.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
