"""Print the notes of a release, from the changelog; fail if the tag is not ready for it.

Run by the release workflow::

    python scripts/release_notes.py v0.1.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def notes(tag: str, *, changelog: str, version: str) -> str:
    """Return the section of a version in the changelog.

    Raises:
        ValueError: The tag is not that of the version, or the changelog has no dated section of it.
    """
    if tag != f"v{version}":
        raise ValueError(f"the tag {tag} is not v{version}, the version in _version.py")
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[\S+\]: |\Z)"
    section = re.search(heading, changelog, flags=re.MULTILINE | re.DOTALL)
    if section is None:
        raise ValueError(f"CHANGELOG.md has no section ## [{version}] with a date")
    return section[1].strip()


def main(arguments: list[str]) -> int:
    """Print the notes of the tag that is the only argument; return the exit code."""
    if len(arguments) != 1:
        print("usage: release_notes.py TAG", file=sys.stderr)
        return 2
    version = (ROOT / "pinterest_audiences" / "_version.py").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        print(notes(arguments[0], changelog=changelog, version=version.split('"')[-2]))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
