"""Parse the command line, run the command, and turn errors into messages and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from attrs import evolve
from cyclopts import App, CycloptsError

from pinterest_audiences.cli.app import make_app
from pinterest_audiences.cli.error_reports import (
    CommandError,
    ErrorReport,
    ExitCode,
    Terminated,
    cause_lines,
    describe_usage_error,
    error_report,
    redact_words,
    usage_error,
)
from pinterest_audiences.cli.output import LOG_FORMATS, Console, LogFormat, rich_environment

if TYPE_CHECKING:
    from pinterest_audiences.cli.context import Context
__all__ = ["main"]

_JSON_FORMS = ("json", "ndjson")
# Common options, which may precede the command; those with a value take the next word.
_LEADING = ("--emulator", "--no-emulator", "--quiet", "-q", "--verbose", "-v", "-vv")
_LEADING_WITH_VALUE = ("--ad-account", "--profile", "--output", "-o", "--state", "--log-format")
# Options whose value is text, not a path: UTF-8 in any locale, because it is sent to Pinterest.
_TEXTS = ("--name", "--description", "--reference", "--list", "--profile")


def main(words: list[str], *, handle_sigterm: bool = False) -> int:
    """Run one command and return its exit code.

    Args:
        words: The arguments.
        handle_sigterm: Whether SIGTERM ends the command as Ctrl-C does; in the main thread only.
    """
    if handle_sigterm and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    _reopen_std_streams()
    for stream in (sys.stdout, sys.stderr):
        _use_backslashreplace(stream)
    try:
        code = _run(_decode_text_options(_move_common_options_last(words)))
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    except (
        CommandError,
        OSError,
    ) as error:  # an undecodable argument, or a full disk
        _discard(sys.stdout)
        _print_error(words, error_report(error))
        return int(error.exit if isinstance(error, CommandError) else ExitCode.UNEXPECTED)
    except KeyboardInterrupt as interrupt:  # before a command started
        return int(_interrupt_code(interrupt))
    except SystemExit as end:  # of --help and --version, and of rich on a closed pipe
        if isinstance(end.__context__, BrokenPipeError):
            return _pipe_closed()
        return end.code if isinstance(end.code, int) else int(ExitCode.OK)
    finally:
        _flush_or_discard(sys.stderr)
    return int(code)


def _run(words: list[str]) -> ExitCode:
    app = make_app(
        with_completion=not words or "--install-completion" in words or _asks_for_help(words),
        common_options=_common_options() if words in (["--help"], ["-h"]) else None,
    )
    environment = rich_environment()
    if environment != os.environ:
        from rich.console import Console as Terminal  # noqa: PLC0415 - slow

        app.console = Terminal(_environ=environment)
    try:
        command, bound, ignored = app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _print_error(words, _usage_report(describe_usage_error(error)))
        return ExitCode.USAGE
    if "context" not in ignored:  # --help, --version, --install-completion
        command(*bound.args, **bound.kwargs)
        return ExitCode.OK
    context: Context | None = None
    try:
        from pinterest_audiences.cli.context import make_context  # noqa: PLC0415 - not for --help
        from pinterest_audiences.cli.options import CommonOptions  # noqa: PLC0415

        options = bound.arguments.get("common") or CommonOptions()
        may_be_new = getattr(command, "__name__", "") == "login"  # it creates the profile
        context = make_context(options, sys.stdout, sys.stderr, may_be_new=may_be_new)
        context.command, _, context.arguments = app.parse_commands(words)
        with context.console.show_log():
            result = command(*bound.args, **bound.kwargs, context=context)
        return result if isinstance(result, ExitCode) else ExitCode.OK
    except KeyboardInterrupt as interrupt:
        code = _interrupt_code(interrupt)
        _print_interrupt(words, code, _finish_hint(command, context), context)
        return code
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - top level: any error becomes a message and an exit code
        problem = error_report(
            error, finish=_finish_hint(command, context), options=_options(app, words)
        )
        _print_error(words, problem, context)
        if context is not None and context.console.verbose > 1:
            _print_traceback(error, words, context)
        _flush_or_discard(sys.stdout)
        return problem.exit


def _options(app: App, words: list[str]) -> dict[str, str]:
    """Return the options of the command that was run, by the names of its parameters."""
    arguments = app.parse_commands(words)[1][-1].assemble_argument_collection()
    return {each.field_info.name: each.names[0] for each in arguments if each.names[0] != "*"}


def _common_options() -> Callable[..., None]:
    from pinterest_audiences.cli.options import common_options  # noqa: PLC0415 - for help only

    return common_options


def _asks_for_help(words: Sequence[str]) -> bool:
    return "--help" in words or "-h" in words


def _move_common_options_last(words: Sequence[str]) -> list[str]:
    """Move common options that precede the command behind it, where the parser expects them."""
    leading: list[str] = []
    rest = list(words)
    while rest:
        if rest[0] in _LEADING or rest[0].startswith(tuple(f"{f}=" for f in _LEADING_WITH_VALUE)):
            leading.append(rest.pop(0))
        elif rest[0] in _LEADING_WITH_VALUE and len(rest) > 1:
            leading += [rest.pop(0), rest.pop(0)]
        else:
            break
    if not leading or not rest:
        return list(words)
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *leading, *rest[end:]]


def _decode_text_options(words: Sequence[str]) -> list[str]:
    """Decode text options as UTF-8 where the locale is not, as under cron; paths are unchanged.

    Raises:
        CommandError: A value is not UTF-8.
    """
    decoded: list[str] = []
    for number, word in enumerate(words):
        option, sign, _ = word.partition("=")
        name = option if sign else words[number - 1] if number else ""
        decoded.append(_text(name, word) if name in _TEXTS else word)
    return decoded


def _text(option: str, word: str) -> str:
    try:
        return os.fsencode(word).decode()
    except UnicodeEncodeError:  # not from a shell
        return word
    except UnicodeDecodeError:
        raise usage_error(f"{option} must be UTF-8") from None


def _finish_hint(command: Callable[..., object], context: Context | None) -> str:
    """Return how to finish what the command started; empty where no job had started."""
    if context is None:
        return ""
    # `resume` only continues started jobs, but people must be erased from all lists.
    if getattr(command, "__name__", "") == "forget":
        return "run the same `forget` again"
    return f"finish it with: {context.resume_command}" if context.resume_command else ""


def _usage_report(text: str) -> ErrorReport:
    return ErrorReport(exit=ExitCode.USAGE, code="usage", message=text, hint="see --help")


def _print_traceback(error: BaseException, words: Sequence[str], context: Context) -> None:
    """Print the traceback of an error and its causes."""
    context.console.write("".join(traceback.format_tb(error.__traceback__)))
    for line in cause_lines(error):
        context.console.write(redact_words(line, words))


def _print_error(
    words: Sequence[str], problem: ErrorReport, context: Context | None = None
) -> None:
    """Print an error in the output format of the results, as far as it is known."""
    problem = evolve(problem, message=redact_words(problem.message, words))
    if context is not None:
        problem = evolve(problem, hint=context.with_options(problem.hint))
        context.console.problem(problem)
        return
    output = _option(words, "--output", "-o") or os.environ.get("PINTEREST_AUDIENCES_OUTPUT")
    is_json = output in _JSON_FORMS or (output not in ("table", "csv") and not sys.stdout.isatty())
    chosen = _option(words, "--log-format")
    log_format: LogFormat | None = next((form for form in LOG_FORMATS if form == chosen), None)
    Console(
        sys.stderr,
        "json" if is_json else "table",
        quiet=False,
        verbose=0,
        log_format=log_format,
    ).problem(problem)


def _option(words: Sequence[str], name: str, alias: str = "") -> str | None:
    """Return the value of an option, of a command line that may be invalid."""
    for number, word in enumerate(words):
        if word in (name, alias):
            return words[number + 1] if number + 1 < len(words) else None
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def _terminate(number: int, _frame: object) -> None:
    """End the command; a second SIGTERM ends the process at once.

    Raises:
        Terminated: Always.
    """
    signal.signal(number, signal.SIG_DFL)
    raise Terminated


def _interrupt_code(interrupt: KeyboardInterrupt) -> ExitCode:
    is_sigterm = isinstance(interrupt, Terminated)
    return ExitCode.TERMINATED if is_sigterm else ExitCode.INTERRUPTED


def _print_interrupt(
    words: Sequence[str], code: ExitCode, finish: str, context: Context | None
) -> None:
    done = "" if context is None else context.done
    _print_error(
        words,
        ErrorReport(
            exit=code,
            code="interrupted",
            message=f"interrupted; {'nothing is lost' if finish else done or 'no job had started'}",
            hint=finish,
            retryable=bool(finish),
        ),
        context,
    )


def _reopen_std_streams() -> None:
    """Replace standard streams that were closed before the program started by the null device.

    Otherwise the next opened file gets the descriptor of one, and output goes into the state file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - stays open


def _use_backslashreplace(stream: TextIO) -> None:
    """Escape characters that the encoding of a stream lacks, instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None and (stream.encoding or "").lower().replace("-", "") != "utf8":
        with suppress(ValueError, OSError):
            reconfigure(errors="backslashreplace")


def _flush_or_discard(stream: TextIO) -> None:
    """Write what a stream has buffered, or discard what cannot be written."""
    try:
        stream.flush()
    except (OSError, ValueError):  # a full disk, or a terminal that was closed
        _discard(stream)


def _discard(stream: TextIO) -> None:
    """Discard what a stream has buffered: flushing it at shutdown would change the exit code."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _pipe_closed() -> int:
    """Exit as after SIGPIPE."""
    _discard(sys.stdout)
    return int(ExitCode.CLOSED_PIPE)
