"""From an error to what the user is told: a code, words, a hint, and the exit code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.refusals import CommandError
from pinterest_audiences.errors import (
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
    TokenStoreError,
    TooManyRejectsError,
    TransportError,
)
from pinterest_audiences.jobs.errors import (
    GuardError,
    JobInterruptedError,
    ListBusyError,
    PlanError,
    WaitTimeoutError,
)

if TYPE_CHECKING:
    from pinterest_audiences.models import JSON

__all__ = ["Problem", "in_words_of_the_command_line", "problem_of"]


@frozen(kw_only=True)
class Problem:
    """What is told of an error; no record and no token.

    Attributes:
        exit: The exit code.
        code: A word for scripts.
        message: One line.
        hint: What to do; empty where the message says it, or nothing is known.
        retryable: Whether the same command may work later.
        request_id: Pinterest's, to be quoted to its support.
    """

    exit: Exit
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


# The first that fits; more special kinds come first.
_EXITS: tuple[tuple[type[Exception], Exit], ...] = (
    (TooManyRejectsError, Exit.INPUT),
    (SourceError, Exit.INPUT),
    (RecordError, Exit.INPUT),
    (ConfigurationError, Exit.USAGE),
    (TokenStoreError, Exit.CREDENTIALS),
    (LoginError, Exit.CREDENTIALS),
    (AuthenticationError, Exit.CREDENTIALS),
    (PermissionDeniedError, Exit.CREDENTIALS),
    (NotFoundError, Exit.NOT_FOUND),
    (RateLimitError, Exit.TRY_LATER),
    (ServerError, Exit.TRY_LATER),
    (TransportError, Exit.TRY_LATER),
    (WaitTimeoutError, Exit.TRY_LATER),
    (JobInterruptedError, Exit.UNFINISHED),
    # Not a guard's refusal: nobody has to decide anything, the same command works later.
    (ListBusyError, Exit.UNFINISHED),
    (GuardError, Exit.REFUSED),
    (PlanError, Exit.REFUSED),
)
_RETRYABLE = (Exit.TRY_LATER, Exit.UNFINISHED)
_PASSING = (TransportError, RateLimitError, ServerError)
# What stopped a job and does not pass by itself, and what is to be done before it is finished.
_FIRST: Mapping[Exit, str] = {
    Exit.USAGE: "put right what the text says",
    Exit.CREDENTIALS: "log in, or give the token the right (`auth status` and `doctor` tell)",
    Exit.NOT_FOUND: "check the ids, and what the token's user can see",
}
_HINTS: Mapping[str, str] = {
    "removals": "look at `plan`, and say --yes if that is right",
    "unknown_content": "say --adopt to take the list for empty, or mirror into a new one by --name",
    "ambiguous_name": "say which one with --list ID",
    "empty_source": "see that the export has worked; `remove` takes people off a list",
    "no_list": "see `lists list`",
}
# The library speaks of its arguments; here they are flags.
_FLAGS = (
    ("say allow_removals=True if that is right", "say --yes if that is right"),
    ("say adopt=True to take it for empty", "say --adopt to take it for empty"),
    ("upload what is to go with operation='REMOVE'", "use `remove` with what is to go"),
    ("say which by customer_list_id", "say which with --list"),
    ("base_url", "PINTEREST_API_URI"),
)
_ARGUMENT = re.compile(r"\b(column|columns|delimiter|encoding|format)=('([^'\s]*)')?(?![\w\"])")


def problem_of(error: BaseException, *, finish: str = "") -> Problem:
    """Return what is told of an error.

    Args:
        error: Any; what is not ours is told by its kind and its one line.
        finish: What finishes the job that had begun, as a hint; empty where none had.
    """
    if isinstance(error, CommandError):
        return Problem(
            exit=error.exit,
            code=error.code,
            message=str(error),
            hint=error.hint,
            retryable=error.exit in _RETRYABLE,
        )
    if not isinstance(error, PinterestAudiencesError):
        return _foreign(error)
    exit_code, passing, first = _exit(error), _passing(error), ""
    code, hint = _word(type(error).__name__), ""
    if isinstance(error, GuardError):
        code, hint = f"guard_{error.guard}", _HINTS.get(error.guard, "")
    elif isinstance(error, APIError):
        hint = error.hint
    elif isinstance(error, JobInterruptedError):
        hint = "`resume` finishes it"
        cause = error.__cause__
        first = "" if cause is None else _FIRST.get(_exit(cause), "")
    if exit_code == Exit.UNFINISHED:
        hint = ", then ".join(each for each in (first, finish or hint) if each)
    text = str(error) if passing is None else f"the access token could not be refreshed: {passing}"
    return Problem(
        exit=exit_code,
        code=code,
        message=in_words_of_the_command_line(text),
        hint=hint,
        retryable=exit_code in _RETRYABLE and not first,
        request_id=_request_id(error),
    )


def _exit(error: BaseException) -> Exit:
    if _passing(error) is not None:
        return Exit.TRY_LATER
    return next((code for kind, code in _EXITS if isinstance(error, kind)), Exit.UNEXPECTED)


def _passing(error: BaseException) -> BaseException | None:
    """Return what kept a token from being refreshed and passes by itself; no login mends that."""
    cause = error.__cause__ if isinstance(error, AuthenticationError) else None
    while cause is not None and not isinstance(cause, _PASSING):
        cause = cause.__cause__
    return cause


def in_words_of_the_command_line(text: str) -> str:
    """Put flags in the place of the arguments that the library speaks of."""
    for ours, theirs in _FLAGS:
        text = text.replace(ours, theirs)
    return _ARGUMENT.sub(lambda found: f"--{found[1]} {found[3] or ''}".rstrip(), text)


def _foreign(error: BaseException) -> Problem:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Problem(
            exit=Exit.UNEXPECTED,
            code="os_error",
            message=f"{where}{error.strerror or type(error).__name__}",
        )
    # Its text may quote anything, a record too.
    return Problem(
        exit=Exit.UNEXPECTED,
        code="unexpected",
        message=f"unexpected {type(error).__name__}",
        hint="-vv shows where; please report it",
    )


def _word(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return spaced.removesuffix("Error").rstrip("_").lower()


def _request_id(error: BaseException) -> str | None:
    cause = error.__cause__ if isinstance(error, JobInterruptedError) else error
    return cause.request_id if isinstance(cause, APIError | DecodeError) else None
