"""Exit codes, and error reports: code, message, hint and exit code of every error."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, cast, get_args, get_origin

from attrs import frozen
from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

import pinterest_audiences
from pinterest_audiences._errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    DecodeError,
    LoginError,
    NotFoundError,
    PermissionDeniedError,
    PinterestAudiencesError,
    RateLimitError,
    RecordError,
    ServerError,
    SourceError,
    Suggestion,
    TokenStoreError,
    TooManyRejectsError,
    TransportError,
)
from pinterest_audiences._jobs.job_errors import (
    AudienceError,
    EmulatorBusyError,
    GuardError,
    JobInterruptedError,
    JobNotFoundError,
    ListBusyError,
    PlanError,
    WaitTimeoutError,
)
from pinterest_audiences._redaction import redact
from pinterest_audiences._text import counted
from pinterest_audiences.cli.app import COMMANDS, OVERVIEW

if TYPE_CHECKING:
    from pinterest_audiences._models import JSON

__all__ = [
    "GUARD_OPTIONS",
    "MEANINGS",
    "CommandError",
    "ErrorReport",
    "ExitCode",
    "Terminated",
    "cause_lines",
    "describe_usage_error",
    "error_report",
    "no_credentials",
    "redact_words",
    "require_confirmation",
    "usage_error",
]


class ExitCode(IntEnum):
    """Exit codes of commands. Existing numbers never change."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CREDENTIALS = 3
    NOT_FOUND = 4
    INPUT = 5
    TRY_LATER = 6
    UNFINISHED = 7
    REFUSED = 8
    INTERRUPTED = 130
    CLOSED_PIPE = 141
    TERMINATED = 143


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.OK: "success",
    ExitCode.UNEXPECTED: "unexpected error: anything without another code; the message says what",
    ExitCode.USAGE: "usage: an option, an argument or the profile is invalid; nothing was sent",
    ExitCode.CREDENTIALS: "credentials: missing, expired, or without the required permission",
    ExitCode.NOT_FOUND: "not found: no such list, audience, segment or ad account",
    ExitCode.INPUT: "input: more rejects than allowed, or a source that cannot be read",
    ExitCode.TRY_LATER: "temporary: rate limit, timeout or no response; try the same command later",
    ExitCode.UNFINISHED: "unfinished: interrupted and resumable, or in use by another process",
    ExitCode.REFUSED: "refused by a guard: it would probably do harm; the hint says how to confirm",
    ExitCode.INTERRUPTED: "Ctrl-C; a started job can be resumed",
    ExitCode.CLOSED_PIPE: "closed pipe: the reader of the output has exited, as `head` does",
    ExitCode.TERMINATED: "SIGTERM, as at a shutdown; a started job can be resumed",
}
"""One line about each code."""


class Terminated(KeyboardInterrupt):
    """The process received SIGTERM, and ends as after Ctrl-C."""


class CommandError(PinterestAudiencesError):
    """An error of the command line itself.

    Attributes:
        code: Error code for scripts.
        exit: Exit code.
        hint: What to do.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "usage",
        exit: ExitCode = ExitCode.USAGE,  # noqa: A002 - the name of the JSON key
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.exit = exit
        self.hint = hint


def require_confirmation(message: str, *, yes: bool, code: str, hint: str) -> None:
    """Refuse a command whose effect cannot be undone, unless ``--yes`` is given.

    Raises:
        CommandError: Without ``--yes``.
    """
    if not yes:
        raise CommandError(message, code=code, exit=ExitCode.REFUSED, hint=hint)


def no_credentials(message: str) -> CommandError:
    """Return the error of a command without credentials."""
    return CommandError(
        message,
        code="no_credentials",
        exit=ExitCode.CREDENTIALS,
        hint="without an account, use the local emulator with --emulator",
    )


def usage_error(message: str, hint: str = "") -> CommandError:
    """Return an error for an invalid command line.

    Args:
        message: What is wrong.
        hint: What to do.
    """
    return CommandError(message, code="usage", exit=ExitCode.USAGE, hint=hint)


@frozen(kw_only=True)
class ErrorReport:
    """What is printed about an error; never a record or token.

    Attributes:
        exit: Exit code.
        code: Error code for scripts.
        message: One line.
        hint: What to do; empty if the message says it, or if it is unknown.
        retryable: Whether the same command may work later.
        request_id: Pinterest's request id, for its support.
    """

    exit: ExitCode
    code: str
    message: str
    hint: str = ""
    retryable: bool = False
    request_id: str | None = None

    def to_dict(self) -> dict[str, JSON]:
        """Return it as JSON values; names are only ever added."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "hint": self.hint or None,
                "retryable": self.retryable,
                "request_id": self.request_id,
                "exit": int(self.exit),
            }
        }


# The first match counts; subclasses come before their base.
_EXITS: tuple[tuple[type[Exception], ExitCode], ...] = (
    (TooManyRejectsError, ExitCode.INPUT),
    (SourceError, ExitCode.INPUT),
    (RecordError, ExitCode.INPUT),
    (ConfigurationError, ExitCode.USAGE),
    (TokenStoreError, ExitCode.CREDENTIALS),
    (LoginError, ExitCode.CREDENTIALS),
    (AuthenticationError, ExitCode.CREDENTIALS),
    (PermissionDeniedError, ExitCode.CREDENTIALS),
    (NotFoundError, ExitCode.NOT_FOUND),
    (JobNotFoundError, ExitCode.NOT_FOUND),
    (RateLimitError, ExitCode.TRY_LATER),
    (ServerError, ExitCode.TRY_LATER),
    (TransportError, ExitCode.TRY_LATER),
    (WaitTimeoutError, ExitCode.TRY_LATER),
    (EmulatorBusyError, ExitCode.UNFINISHED),
    (JobInterruptedError, ExitCode.UNFINISHED),
    # Needs no decision, unlike the refusal of a guard: the same command works later.
    (ListBusyError, ExitCode.UNFINISHED),
    (GuardError, ExitCode.REFUSED),
    (PlanError, ExitCode.REFUSED),
)
_MAX_CAUSES = 10
_RETRYABLE = (ExitCode.TRY_LATER, ExitCode.UNFINISHED)
# What to do before a job can be resumed, by the exit code of what stopped it.
_BEFORE_RESUME: Mapping[ExitCode, str] = {
    ExitCode.USAGE: "fix the problem in the message",
    ExitCode.CREDENTIALS: "log in, or use another token (see `auth status` and `doctor`)",
    ExitCode.NOT_FOUND: "check the ids, and that the token's user can see them",
}
_HINTS: Mapping[str, str] = {
    "unreadable_rows": "inspect the rows with `check`, and confirm with --allow-unreadable",
    "expected_rows": "check that the export is complete, or change --expect-rows",
    "removals": "inspect the changes with --dry-run, and confirm with --yes",
    "unknown_content": "use --adopt to treat the list as empty, or use a new list with --name",
    "empty_source": "check that the export is complete; use `remove` to empty a list",
    "list_type": "use a separate list, or --allow-other-type",
    "no_audience": "`audience list` shows the audiences",
    "name_taken": "`upload --list {customer_list_id}` adds to it",
    "no_segment": "`segments list` shows the segments",
    "no_list": "`lists list` shows the lists",
}
_HINTS_BY_CLASS: Mapping[type[Exception], str] = {
    AudienceError: "repeat the command, or use `audience create`",
    JobNotFoundError: "`jobs list --all-accounts` shows the jobs, `status` the lists",
    PermissionDeniedError: "`accounts list` shows your roles on each ad account",
}
GUARD_OPTIONS: Mapping[str, str] = {"removals": "--yes", "unreadable_rows": "--allow-unreadable"}
"""The option that confirms what a guard of a plan refuses."""
# Python arguments that have another name on the command line.
_OPTION_OF = {
    "ad_account_id": "ad_account",
    "allow_removals": "yes",
    "customer_list_id": "list_id",
    "customer_segment_id": "segment_id",
    "header": "no_header",
}
_BASE_URL = {"base_url": "PINTEREST_API_URI"}


def error_report(
    error: BaseException, *, finish: str = "", options: Mapping[str, str] | None = None
) -> ErrorReport:
    """Return what to print about an error.

    Args:
        error: Any error; of an error that is not of this package, only the type is printed.
        finish: How to finish the job that had started, as a hint; empty if none had.
        options: The options of the command, by the names of its parameters.
    """
    flags = _flags(options or {})
    if isinstance(error, CommandError):
        return ErrorReport(
            exit=error.exit,
            code=error.code,
            message=str(error),
            hint=error.hint,
            retryable=error.exit in _RETRYABLE,
        )
    if not isinstance(error, PinterestAudiencesError):
        return _foreign(error)
    exit_code, first = _exit(error), ""
    code, hint = _word(_public_name(error)), ""
    if isinstance(error, GuardError):
        code = f"guard_{error.guard}"
        hint = _guard_hint(error) or _suggestion(error, flags)
        if error.guard in ("no_audience", "no_list", "no_segment"):
            exit_code, code = ExitCode.NOT_FOUND, "not_found"
    elif type(error) in _HINTS_BY_CLASS:
        hint = _HINTS_BY_CLASS[type(error)]
    elif isinstance(error, APIError):
        hint = error.hint
    elif isinstance(error, JobInterruptedError):
        hint = "finish it with `resume`"
        cause = error.__cause__
        first = "" if cause is None else _first(cause)
        if isinstance(cause, NotFoundError) and error.report.customer_list_id is not None:
            first += (
                "; if the list no longer exists at Pinterest, end the job with `jobs abandon "
                f"{error.report.job_id}` or erase its state with `lists forget`"
            )
    if exit_code == ExitCode.UNFINISHED:
        hint = ", then ".join(each for each in (first, finish or hint) if each)
    return ErrorReport(
        exit=exit_code,
        code=code,
        message=_message(error, flags),
        hint=hint,
        retryable=exit_code in _RETRYABLE and not first and not _is_permanent(error),
        request_id=_request_id(error),
    )


def _guard_hint(error: GuardError) -> str:
    hint, suggestion = _HINTS.get(error.guard, ""), error.suggestion
    values: Mapping[str, object] = (
        suggestion.arguments if isinstance(suggestion, Suggestion) else {}
    )
    return hint.format_map(values)


def cause_lines(error: BaseException) -> list[str]:
    """Return one line for each cause of an error, without foreign messages, which may hold data.

    Args:
        error: The error that was raised.
    """
    lines: list[str] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(lines) < _MAX_CAUSES:
        kind = f"{type(cause).__module__}.{type(cause).__qualname__}"
        if isinstance(cause, PinterestAudiencesError):
            text = f": {_message(cause, _BASE_URL)}"
        else:
            text = f": {cause.strerror}" if isinstance(cause, OSError) and cause.strerror else ""
        lines.append(f"caused by {kind.removeprefix('builtins.')}{text}")
        cause = cause.__cause__ or cause.__context__
    return lines


def _first(cause: BaseException) -> str:
    """Return what to do before a job can be resumed."""
    if _is_permanent(cause):
        return _BEFORE_RESUME[ExitCode.USAGE]
    return _BEFORE_RESUME.get(_exit(cause), "")


def _is_permanent(error: BaseException) -> bool:
    """Return whether connections fail until a setting is changed."""
    return isinstance(error, TransportError) and not error.transient


def _exit(error: BaseException) -> ExitCode:
    if isinstance(error, AudienceError) and error.__cause__ is not None:
        code = _exit(error.__cause__)
        return ExitCode.TRY_LATER if code == ExitCode.UNFINISHED else code  # the job is done
    return next((code for kind, code in _EXITS if isinstance(error, kind)), ExitCode.UNEXPECTED)


def _flags(options: Mapping[str, str]) -> dict[str, str]:
    """Return what names each Python argument on the command line."""
    names = {name: options[option] for name, option in _OPTION_OF.items() if option in options}
    return {**_BASE_URL, **options, **names}


def _message(error: PinterestAudiencesError, flags: Mapping[str, str]) -> str:
    """Return the text of an error with flags for Python arguments.

    A suggestion of the library is replaced by a hint where there is one for the error, and left out
    where it names an argument that the command does not have.
    """
    text = error.summary
    if error.param is not None and error.param in flags and text.startswith(error.param):
        text = flags[error.param] + text.removeprefix(error.param)
    if isinstance(error, GuardError | JobInterruptedError | JobNotFoundError | AudienceError):
        return text
    suggestion = _suggestion(error, flags)
    return f"{text}; {suggestion}" if suggestion else text


def _suggestion(error: PinterestAudiencesError, flags: Mapping[str, str]) -> str:
    """Return the suggestion of an error; "" if it names an argument that the command lacks."""
    suggestion = error.suggestion
    if not isinstance(suggestion, Suggestion):
        return suggestion or ""
    if not set(suggestion.arguments) <= set(flags):
        return ""
    return suggestion.render(lambda name, value: _with_value(flags[name], value))


def _with_value(flag: str, value: object) -> str:
    return flag if value is ... or isinstance(value, bool) else f"{flag} {value}"


def _foreign(error: BaseException) -> ErrorReport:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return ErrorReport(
            exit=ExitCode.UNEXPECTED,
            code="os_error",
            message=f"{where}{error.strerror or type(error).__name__}",
        )
    # Its message may contain anything, also a record.
    return ErrorReport(
        exit=ExitCode.UNEXPECTED,
        code="unexpected",
        message=f"unexpected {type(error).__name__}",
        hint="please report it with the output of -vv",
    )


def _public_name(error: PinterestAudiencesError) -> str:
    """Return the name of the first public class of an error."""
    public = pinterest_audiences.__all__
    return next(each.__name__ for each in type(error).__mro__ if each.__name__ in public)


def _word(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return spaced.removesuffix("Error").rstrip("_").lower()


def _request_id(error: BaseException) -> str | None:
    is_job = isinstance(error, JobInterruptedError | AudienceError)
    cause = error.__cause__ if is_job else error
    return cause.request_id if isinstance(cause, APIError | DecodeError) else None


_OPTION = re.compile(r"--[a-z]+(?:-[a-z]+)*")
_SHORT = re.compile(r"-[A-Za-z]")
_MAX_OPTION_LENGTH = 30  # a longer word is not an option
_NEEDED = {float: "must be a number, such as 0.3", int: "must be a whole number"}


def describe_usage_error(error: CycloptsError) -> str:
    """Return in one line what is wrong with a command line, without repeating its words.

    A word in the wrong place may be a token or a customer, and errors go into logs.

    Args:
        error: The error of the parser.
    """
    chain = " ".join(error.command_chain or ())
    where = f"`{chain}`" if chain else "pinterest-audiences"
    if isinstance(error, UnknownCommandError):
        problem = _unknown_command(chain, error)
    elif isinstance(error, UnknownOptionError):
        names = [name for each in error.argument_collection if each.parse for name in each.names]
        problem = _unknown_option(error.token.keyword or error.token.value, names)
    elif isinstance(error, UnusedCliTokensError):
        problem = f"{counted(len(error.unused_tokens or ()), 'argument')} too many"
    else:
        problem = _wrong_value(error)
    return f"{where}: {problem}"


def redact_words(text: str, words: Sequence[str]) -> str:
    """Redact words of the command line that look like a token or a person, unless they are files.

    Args:
        text: The text, which may quote a file or a column.
        words: The words of the command line.
    """
    for word in words:
        _, sign, value = word.partition("=")
        value = value if sign and word.startswith("-") else word
        if value and value in text and not os.path.exists(value):  # noqa: PTH110 - any text
            text = text.replace(value, redact(value))
    return text


def _wrong_value(error: CycloptsError) -> str:
    name = _name(error)
    if isinstance(error, ValidationError) and error.argument is not None:
        # Only FILE has a validator; a value that begins with a dash is an unknown option.
        value: object = error.argument.value  # several FILEs are a tuple
        values = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
        words = [str(item) for item in values]
        word = next(item for item in words if item.startswith("-") and item != "-")
        arguments = error.app.assemble_argument_collection() if error.app else ()
        names = [name for each in arguments if each.parse for name in each.names]
        problem = _unknown_option(word, names)
        return f"{problem}; write a file name with a leading dash as ./-NAME"
    if isinstance(error, CoercionError):
        return f"{name} {_needed(error.target_type)}"
    if isinstance(error, RepeatArgumentError):
        return f"{name} is given more than once"
    if isinstance(error, MissingArgumentError):
        return f"{name} requires a value" if name.startswith("-") else f"{name} is missing"
    return "invalid command line"


def _name(error: CycloptsError) -> str:
    """Return the name of an argument of the command."""
    token = getattr(error, "token", None)
    keyword = getattr(error, "keyword", None) or getattr(token, "keyword", None)
    if keyword:
        return str(keyword)
    return "an argument" if error.argument is None else error.argument.name


def _needed(kind: object) -> str:
    if get_origin(kind) is Literal:
        return f"must be one of {', '.join(str(item) for item in get_args(kind))}"
    if kind is bool:
        return "takes no value"
    return next((text for each, text in _NEEDED.items() if kind is each), "has an invalid value")


def _unknown_option(word: str, names: list[str]) -> str:
    option = word.partition("=")[0]
    if not option.startswith("--"):
        option = option[:2]  # the rest of a short option is its value
    if len(option) > _MAX_OPTION_LENGTH or not (
        _OPTION.fullmatch(option) or _SHORT.fullmatch(option)
    ):
        return "unknown option"
    return f"unknown option {option}{_close(option, names)}"


_OPTION_OF_WORD = {"help": "--help", "version": "--version"}  # what people type as a command


def _unknown_command(chain: str, error: CycloptsError) -> str:
    before = f"{chain} " if chain else ""
    names = [each.name.removeprefix(before) for each in COMMANDS if each.name.startswith(before)]
    names = list(dict.fromkeys(name.partition(" ")[0] for name in names))
    if not chain:
        names = [name for group in OVERVIEW.values() for name in group]
    word = (error.unused_tokens or [""])[0]
    option = _OPTION_OF_WORD.get(word, "")
    close = f" (did you mean {option}?)" if option else _close(word, names)
    if close:  # then the word cannot be a token or a customer
        return f"no such command: {word}{close}"
    return f"no such command; commands: {', '.join(names)}"


def _close(word: str, names: list[str]) -> str:
    import difflib  # noqa: PLC0415 - only for a wrong command line

    close = difflib.get_close_matches(word, names, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
