"""Which extras of the package are installed, from its metadata."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution

__all__ = ["installed_extras"]

_DISTRIBUTION = "pinterest-audiences"
_NAME = re.compile(r"\s*([\w.-]+)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""\bextra\s*==\s*['"]([\w.-]+)['"]""")
_BEFORE_PYTHON = re.compile(r"""\bpython_version\s*<\s*['"](\d+)\.(\d+)['"]""")


def installed_extras() -> list[str]:
    """Return the extras whose requirements are installed, of any version, in alphabetical order.

    Without the metadata, as in a copy of the sources, only that of the command line is known.
    """
    try:
        extras = distribution(_DISTRIBUTION).metadata.get_all("Provides-Extra") or []
    except PackageNotFoundError:
        return ["cli"]
    return sorted(extra for extra in extras if _is_installed(_DISTRIBUTION, extra))


def _is_installed(name: str, extra: str) -> bool:
    """Return whether a distribution is installed, with the requirements of an extra."""
    try:
        requirements = distribution(name).requires or []
    except PackageNotFoundError:
        return False
    for requirement in requirements:
        line, _, marker = requirement.partition(";")
        named = _EXTRA.search(marker)
        if named is None or named[1] != extra or not _applies(marker):
            continue
        match = _NAME.match(line)
        if match is None:
            continue
        inner = [each.strip() for each in (match[2] or "").split(",")]
        if not all(_is_installed(match[1], each) for each in inner):
            return False
    return True


def _applies(marker: str) -> bool:
    """Return whether a requirement is for this version of Python."""
    before = _BEFORE_PYTHON.search(marker)
    return before is None or sys.version_info < (int(before[1]), int(before[2]))
