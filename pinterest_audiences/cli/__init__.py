"""The command line ``pinterest-audiences``; it needs the extra ``[cli]``.

Only this package knows cyclopts and rich, and what a command does not need is not imported for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "run"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command in this process.

    Args:
        argv: The words of the command line; None for those of this process.

    Returns:
        The exit code; `pinterest_audiences.cli.exits` tells what each means.
    """
    import sys  # noqa: PLC0415 - so that the package's import stays free of it all

    try:
        from pinterest_audiences.cli.entry import run_command  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        if error.name not in ("cyclopts", "rich"):
            raise
        sys.stderr.write(
            "error: the command line needs cyclopts and rich: "
            "pip install 'pinterest-audiences[cli]'\n"
        )
        return 1
    except KeyboardInterrupt:  # while its modules were loaded: nothing had begun
        return 130
    return run_command(list(sys.argv[1:] if argv is None else argv))


def run() -> None:
    """Be the program: run the command line of this process, and end it with the exit code.

    Raises:
        SystemExit: Always.
    """
    import sys  # noqa: PLC0415 - as above

    raise SystemExit(main(sys.argv[1:]))
