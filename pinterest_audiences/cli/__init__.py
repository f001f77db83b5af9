"""The command line ``pinterest-audiences``; requires the extra ``[cli]``.

Only this package imports cyclopts and rich. A command imports only what it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sys import UnraisableHookArgs

__all__ = ["run", "run_command"]

_REFRESH_GRACE_SECONDS = 2.0  # for a token refresh to finish, even if Ctrl-C is pressed again


def run_command(argv: Sequence[str] | None = None, *, handle_sigterm: bool = False) -> int:
    """Run one command in this process.

    Args:
        argv: The arguments; ``None`` for those of this process.
        handle_sigterm: Whether SIGTERM ends the command as Ctrl-C does; in the main thread only.

    Returns:
        The exit code; see `pinterest_audiences.cli.error_reports.ExitCode`.
    """
    import sys  # noqa: PLC0415 - keeps the import of this package cheap

    try:
        from pinterest_audiences.cli.main import main  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        if error.name not in ("cyclopts", "rich"):
            raise
        sys.stderr.write(
            "error: the command line requires cyclopts and rich: "
            "pip install 'pinterest-audiences[cli]'\n"
        )
        return 1
    except KeyboardInterrupt:  # during imports: nothing has started
        return 130
    return main(list(sys.argv[1:] if argv is None else argv), handle_sigterm=handle_sigterm)


def run() -> None:
    """Run the command line of this process and exit with its exit code.

    Raises:
        SystemExit: Always.
    """
    import signal  # noqa: PLC0415 - as above
    import sys  # noqa: PLC0415

    sys.unraisablehook = _ignore_keyboard_interrupt
    code = run_command(sys.argv[1:], handle_sigterm=True)
    # Everything is printed; another Ctrl-C would only print a traceback of the shutdown.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if _wait_for_refresh():
        if sys.stderr.isatty():
            sys.stderr.write(
                "waiting for the token refresh; Ctrl-C cancels it, and a new login may be required "
                "then\n"
            )
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise SystemExit(code)


def _wait_for_refresh() -> bool:
    """Return whether a token refresh is still running after a grace period."""
    import sys  # noqa: PLC0415 - as above
    import time  # noqa: PLC0415

    if "pinterest_audiences._auth.refresh" not in sys.modules:
        return False
    from pinterest_audiences._auth.refresh import running_refreshes  # noqa: PLC0415 - if it has been used

    deadline = time.monotonic() + _REFRESH_GRACE_SECONDS
    for thread in running_refreshes():
        thread.join(max(0.0, deadline - time.monotonic()))
    return bool(running_refreshes())


def _ignore_keyboard_interrupt(unraisable: UnraisableHookArgs) -> None:
    """Ignore a second Ctrl-C that arrives where Python cannot raise it."""
    import sys  # noqa: PLC0415 - as above

    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
