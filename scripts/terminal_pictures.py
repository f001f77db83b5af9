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
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

CUSTOMERS = Path(__file__).parents[1] / "examples" / "customers.csv"
COLUMNS = 88
WEB_FONT = re.compile(r"@font-face {.*?}", re.DOTALL)
NEW_CUSTOMERS = 25
LOST_CUSTOMERS = 40
# In this order: a later command sees what an earlier one has changed.
COMMANDS = {
    "check": ("check", "customers.csv"),
    "upload": ("upload", "customers.csv", "--name", "Buyers", "--emulator"),
    "mirror": ("mirror", "customers.csv", "--name", "Buyers", "--emulator"),
    "plan": ("plan", "tomorrow.csv", "--name", "Buyers", "--emulator"),
}
NOT_DRAWN = {"mirror"}


def output(command: tuple[str, ...], home: Path) -> str:
    """Return what a command prints on a terminal, in colors where it has some."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PINTEREST_", "XDG_"))}
    environment |= {"HOME": str(home), "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    if sys.platform == "win32":  # has no pseudo-terminals
        environment |= {"FORCE_COLOR": "1", "PINTEREST_AUDIENCES_OUTPUT": "table"}
        reader, writer = os.pipe()
    else:
        reader, writer = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "pinterest_audiences", *command],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
    ):
        os.close(writer)
        printed = b"".join(iter(partial(read, reader), b""))
    os.close(reader)
    return printed.decode().replace("\r\n", "\n")


def read(descriptor: int) -> bytes:
    """Return the next bytes; none when the program has ended, which a terminal calls an error."""
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""


def tomorrow(customers: str) -> str:
    """Return the export of the next day: some customers are lost, and some are new."""
    header, *rows = customers.splitlines(keepends=True)
    columns = len(header.split(","))
    new = (
        ",".join(["", "", f"new.customer{number}@example.com", *[""] * (columns - 3)]) + "\n"
        for number in range(NEW_CUSTOMERS)
    )
    return "".join([header, *rows[LOST_CUSTOMERS:], *new])


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
        customers = CUSTOMERS.read_text(encoding="utf-8")
        (home / CUSTOMERS.name).write_text(customers, encoding="utf-8")
        (home / "tomorrow.csv").write_text(tomorrow(customers), encoding="utf-8")
        for command, words in COMMANDS.items():
            printed = output(words, home)
            if command not in NOT_DRAWN:
                drawn = picture(words, printed, command)
                (folder / f"{command}.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
