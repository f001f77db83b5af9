"""The command line ``pinterest-audiences``; it needs the extra ``[cli]``.

Only this package knows cyclopts and rich, and what a command does not need is not imported for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sys import UnraisableHookArgs

__all__ = ["main", "run"]

_MOMENT = 2.0  # seconds that are left to a refresh of the token, however often Ctrl-C is pressed


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
    import signal  # noqa: PLC0415 - as above
    import sys  # noqa: PLC0415

    sys.unraisablehook = _tell_unless_interrupted
    code = main(sys.argv[1:])
    # All is told; who goes on pressing Ctrl-C would only see how the interpreter ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if _still_refreshes():
        if sys.stderr.isatty():
            sys.stderr.write(
                "waiting for the token that is being refreshed; Ctrl-C gives up, and a new login "
                "may be needed then\n"
            )
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise SystemExit(code)


def _still_refreshes() -> bool:
    """Tell whether a refresh goes on after a moment; the end of the process waits for it."""
    import sys  # noqa: PLC0415 - as above
    import time  # noqa: PLC0415

    if "pinterest_audiences.auth.flights" not in sys.modules:
        return False
    from pinterest_audiences.auth.flights import under_way  # noqa: PLC0415 - if it has been used

    end = time.monotonic() + _MOMENT
    for thread in under_way():
        thread.join(max(0.0, end - time.monotonic()))
    return bool(under_way())


def _tell_unless_interrupted(unraisable: UnraisableHookArgs) -> None:
    """Say nothing of a second Ctrl-C that came at a moment when Python cannot raise it."""
    import sys  # noqa: PLC0415 - as above

    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
