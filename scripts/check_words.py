"""Find words that the project does not use, in comments, docstrings, strings, names and documents.

Run by ``nox -s lint``; prints every offender with its file and line::

    python scripts/check_words.py                      # all files under version control
    python scripts/check_words.py tests/unit/cli docs  # a part of them
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORDS = re.compile(
    r"told|whoever|nobody|somebody|anew|\bmend(?:ed|s)?\b|\bis no \b|is needed|for ever\b"
    r"|of its own",
    re.IGNORECASE,
)
CHECKED = (
    *("pinterest_audiences", "tests", "docs", "examples", "interop", "benchmarks", "scripts"),
    *(".github", "action.yml", "noxfile.py"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"),
)
# A line with one of these is not checked: (file, text, reason).
EXCEPTIONS = (
    ("scripts/check_words.py", "", "it names the words"),
    *(
        (file, "There is no such customer list", "a message of the emulated API, as recorded")
        for file in (
            "pinterest_audiences/emulator/_handlers.py",
            "tests/conformance/emulator/golden/request_bodies.json",
            "tests/conformance/emulator/golden/responses.json",
        )
    ),
    ("tests/support/postgres.py", '"nobody"', "a user of the operating system"),
    ("pinterest_audiences/_records/emails.py", '"nobody"', "a placeholder e-mail address"),
    ("pinterest_audiences/_jobs/plan.py", '"told"', "a key in existing state files"),
)


def tracked_files(*paths: str) -> list[Path]:
    """Return the files under version control, and new ones that are not ignored."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [ROOT / name for name in sorted(filter(None, done.stdout.split("\0")))]
    return [path for path in files if path.is_file()]


def offenders(path: Path) -> Iterator[str]:
    """Yield every word of a file that is not allowed, with its line."""
    name = path.relative_to(ROOT).as_posix()
    allowed = [text for file, text, _ in EXCEPTIONS if file == name]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return
    for number, line in enumerate(lines, start=1):
        if not any(text in line for text in allowed):
            for match in WORDS.finditer(line):
                yield f"{name}:{number}: {match.group().strip()}"


def main(arguments: list[str]) -> int:
    """Print every offender in the given files or folders, or in all; return the exit code."""
    found = [line for path in tracked_files(*(arguments or CHECKED)) for line in offenders(path)]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
