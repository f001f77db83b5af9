"""From words to an exit code: parse, run, and tell what went wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from attrs import evolve
from cyclopts import CycloptsError

from pinterest_audiences.cli.app import make_app
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.refusals import CommandError, usage

if TYPE_CHECKING:
    from pinterest_audiences.cli.context import Context
    from pinterest_audiences.cli.problems import Problem

__all__ = ["run_command"]

_JSON_FORMS = ("json", "ndjson")
# Flags of every command that may stand before it too; those with a value take the next word.
_LEADING = ("--emulator", "--no-emulator", "--quiet", "-q", "--verbose", "-v", "-vv")
_LEADING_WITH_VALUE = ("--ad-account", "--profile", "--output", "-o", "--state")
# What is text and no path: names go to Pinterest, whatever the locale makes of their bytes.
_TEXTS = ("--name", "--description", "--reference", "--list", "--profile")


def run_command(words: list[str]) -> int:
    """Run one command and return its exit code."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        _take_anything(stream)
    try:
        code = _run(_readable(_flags_last(words)))
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    except (CommandError, OSError) as error:  # no text, or standard output is a full disk
        _tell(words, _problem(error))
        return int(error.exit if isinstance(error, CommandError) else Exit.UNEXPECTED)
    except KeyboardInterrupt:  # before a command had begun
        return int(Exit.INTERRUPTED)
    except SystemExit as end:  # of the parser's own flags, and of rich when its reader has gone
        if isinstance(end.__context__, BrokenPipeError):
            return _pipe_closed()
        return end.code if isinstance(end.code, int) else int(Exit.OK)
    return int(code)


def _run(words: list[str]) -> Exit:
    app = make_app(with_completion=not words or "--install-completion" in words or _asks(words))
    try:
        command, bound, ignored = app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        from pinterest_audiences.cli.misuse import misuse  # noqa: PLC0415 - when used

        _tell(words, _usage_problem(misuse(error)))
        return Exit.USAGE
    if "context" not in ignored:  # --help, --version, --install-completion
        command(*bound.args, **bound.kwargs)
        return Exit.OK
    context: Context | None = None
    try:
        from pinterest_audiences.cli.context import make_context  # noqa: PLC0415 - not for --help
        from pinterest_audiences.cli.options import Common  # noqa: PLC0415

        options = bound.arguments.get("common") or Common()
        context = make_context(options, sys.stdout, sys.stderr)
        with context.screen.showing_log():
            result = command(*bound.args, **bound.kwargs, context=context)
        return result if isinstance(result, Exit) else Exit.OK
    except KeyboardInterrupt:
        _tell_interrupt(words, _finish(command, context), context)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last place where it can be told
        problem = _problem(error, _finish(command, context))
        _tell(words, problem, context)
        if context is not None and context.screen.verbose > 1:
            context.screen.write("".join(traceback.format_tb(error.__traceback__)))
        return problem.exit


def _asks(words: Sequence[str]) -> bool:
    return "--help" in words or "-h" in words


def _flags_last(words: Sequence[str]) -> list[str]:
    """Let flags of every command stand before the command, as people write them."""
    first: list[str] = []
    rest = list(words)
    while rest:
        if rest[0] in _LEADING or rest[0].startswith(tuple(f"{f}=" for f in _LEADING_WITH_VALUE)):
            first.append(rest.pop(0))
        elif rest[0] in _LEADING_WITH_VALUE and len(rest) > 1:
            first += [rest.pop(0), rest.pop(0)]
        else:
            break
    if not first or not rest:
        return list(words)
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *first, *rest[end:]]


def _readable(words: Sequence[str]) -> list[str]:
    """Read names as UTF-8 where the locale could not, as under cron; paths stay as they are.

    Raises:
        CommandError: One is not UTF-8.
    """
    read: list[str] = []
    for number, word in enumerate(words):
        option, sign, _ = word.partition("=")
        said = option if sign else words[number - 1] if number else ""
        read.append(_text(said, word) if said in _TEXTS else word)
    return read


def _text(option: str, word: str) -> str:
    try:
        return os.fsencode(word).decode()
    except UnicodeEncodeError:  # nothing that a shell has given
        return word
    except UnicodeDecodeError:
        raise usage(f"{option}: its value is not UTF-8") from None


def _finish(command: Callable[..., object], context: Context | None) -> str:
    """Say what finishes what was begun; nothing where no job had begun."""
    if context is None:
        return ""
    # `resume` knows of the lists whose job had begun, and a person is to go from all of them.
    if getattr(command, "__name__", "") == "forget":
        return "run the same `forget` again"
    return f"finish it with: {context.resume_command}" if context.resume_command else ""


def _problem(error: BaseException, finish: str = "") -> Problem:
    from pinterest_audiences.cli.problems import problem_of  # noqa: PLC0415 - when used

    return problem_of(error, finish=finish)


def _usage_problem(text: str) -> Problem:
    from pinterest_audiences.cli.problems import Problem  # noqa: PLC0415 - when used

    return Problem(exit=Exit.USAGE, code="usage", message=text, hint="--help shows how")


def _tell(words: Sequence[str], problem: Problem, context: Context | None = None) -> None:
    """Tell of an error, in the form of the results where that is known."""
    from pinterest_audiences.cli.misuse import without_secrets  # noqa: PLC0415 - when used
    from pinterest_audiences.cli.screen import Screen  # noqa: PLC0415

    problem = evolve(problem, message=without_secrets(problem.message, words))
    if context is not None:
        context.screen.problem(problem)
        return
    said = _said_output(words) or os.environ.get("PINTEREST_AUDIENCES_OUTPUT")
    is_json = said in _JSON_FORMS or (said not in ("table", "csv") and not sys.stdout.isatty())
    Screen(sys.stderr, "json" if is_json else "table", quiet=False, verbose=0).problem(problem)


def _said_output(words: Sequence[str]) -> str | None:
    for number, word in enumerate(words):
        if word in ("--output", "-o"):
            return words[number + 1] if number + 1 < len(words) else None
        if word.startswith("--output="):
            return word.partition("=")[2]
    return None


def _tell_interrupt(words: Sequence[str], finish: str, context: Context | None) -> None:
    from pinterest_audiences.cli.problems import Problem  # noqa: PLC0415 - when used

    _tell(
        words,
        Problem(
            exit=Exit.INTERRUPTED,
            code="interrupted",
            message=f"interrupted; {'nothing is lost' if finish else 'no job had begun'}",
            hint=finish,
            retryable=bool(finish),
        ),
        context,
    )


def _open_what_is_closed() -> None:
    """Put nothing in the place of streams that were closed before the program began.

    Otherwise the next file to be opened gets the number of one, and the state file what is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - kept


def _take_anything(stream: TextIO) -> None:
    """Let a stream show what its encoding cannot, instead of failing in the middle."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None and (stream.encoding or "").lower().replace("-", "") != "utf8":
        with suppress(ValueError, OSError):
            reconfigure(errors="backslashreplace")


def _pipe_closed() -> int:
    """End as programs do whose reader has gone, and keep the interpreter from complaining."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return int(Exit.CLOSED_PIPE)
