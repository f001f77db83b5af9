"""What can go wrong, and what to do about it.

Every exception of this package is a :class:`PinterestAudiencesError`::

    PinterestAudiencesError
    ├── ConfigurationError (ValueError)    an argument or setting that cannot work
    ├── RecordError (ValueError)           a record that must not be sent; says which, never what
    ├── SourceError (ValueError)           a source that cannot be read to its end; says where
    ├── TokenStoreError                    stored tokens that cannot be read or written
    ├── LoginError                         a login that did not come to its end
    ├── TooManyRejectsError (ValueError)   more rows were rejected than the caller allows
    ├── ClientClosedError (RuntimeError)   the client was used after it was closed
    ├── WrongEventLoopError (RuntimeError) the client was used in a second event loop or process
    └── CallError                          one API call failed; says which, after how many attempts
        ├── TransportError                 no usable answer came back
        │   └── RequestTimeoutError (TimeoutError)
        ├── APIError                       Pinterest answered, and refused
        │   ├── BadRequestError            400
        │   ├── AuthenticationError        401
        │   │   └── TokenRefreshError      no new access token could be had
        │   ├── PermissionDeniedError      403
        │   ├── NotFoundError              404
        │   ├── ConflictError              409
        │   ├── RateLimitError             429
        │   └── ServerError                5xx
        ├── DecodeError                    the answer is not what the API describes
        └── PaginationError                the pages do not come to an end

Uploads in parts have a few of their own, in :mod:`pinterest_audiences.upload_errors`.

Their texts are one line, say what to do next where that is known, and hold no record and no
token: what Pinterest answers is cleaned before it is kept. All of them can be pickled and copied.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "APIError",
    "AuthenticationError",
    "BadRequestError",
    "CallError",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "DecodeError",
    "LoginError",
    "NotFoundError",
    "PaginationError",
    "PermissionDeniedError",
    "PinterestAudiencesError",
    "RateLimitError",
    "RecordError",
    "RequestTimeoutError",
    "ServerError",
    "SourceError",
    "TokenRefreshError",
    "TokenStoreError",
    "TooManyRejectsError",
    "TransportError",
    "WrongEventLoopError",
]


def _restore(cls: type[BaseException], args: tuple[object, ...]) -> BaseException:
    error = cls.__new__(cls)
    error.args = args  # OSError, which TimeoutError is, would not take them at its making
    return error


class PinterestAudiencesError(Exception):
    """The base of every exception of this package."""

    def __reduce__(
        self,
    ) -> tuple[object, tuple[type[BaseException], tuple[object, ...]], dict[str, object]]:
        """Pickle by state: keyword-only constructors defeat the default, which calls them."""
        return _restore, (type(self), self.args), self.__dict__


class ConfigurationError(PinterestAudiencesError, ValueError):
    """An argument, setting or environment variable that cannot work; raised before any I/O."""


class RecordError(PinterestAudiencesError, ValueError):
    """A record that must not be sent; raised before any I/O.

    Attributes:
        reason: What is wrong with it.
        index: Its place among the records given, counted from 0; ``None`` where the fault is
            not one record's. The record itself is never kept.
    """

    def __init__(self, reason: str, *, index: int | None = None) -> None:
        where = "records" if index is None else f"record {index} (counted from 0)"
        super().__init__(f"{where}: {reason}")
        self.reason = reason
        self.index = index


class SourceError(PinterestAudiencesError, ValueError):
    """A source that cannot be read, or not to its end. What came before it is not all there is.

    Attributes:
        source: The file, or the kind of object.
        reason: What is wrong with it, and what to do.
        row: How many rows were read before, where rows were read; the header is none.
        offset: The place in the file, in bytes from its start (of the decompressed text), where
            that is known.
    """

    def __init__(
        self, reason: str, *, source: str = "", row: int | None = None, offset: int | None = None
    ) -> None:
        places = [source or "source"]
        if row is not None:
            places.append(f"after row {row}")
        if offset is not None:
            places.append(f"at byte {offset}")
        super().__init__(f"{', '.join(places)}: {reason}")
        self.source = source
        self.reason = reason
        self.row = row
        self.offset = offset


class TokenStoreError(PinterestAudiencesError):
    """Stored tokens that cannot be read or written; says where, and what to do."""


class LoginError(PinterestAudiencesError):
    """A login that did not come to its end: refused, not answered, or answered by a stranger."""


class TooManyRejectsError(PinterestAudiencesError, ValueError):
    """More rows were rejected than the caller allows.

    Attributes:
        rows: Rows read so far.
        rejected: How many of them were rejected.
        allowed: The share of rejects that was allowed.
    """

    def __init__(
        self, message: str, *, rows: int = 0, rejected: int = 0, allowed: float = 0.0
    ) -> None:
        super().__init__(message)
        self.rows = rows
        self.rejected = rejected
        self.allowed = allowed


class ClientClosedError(PinterestAudiencesError, RuntimeError):
    """The client was used after it was closed; make a new one."""


class WrongEventLoopError(PinterestAudiencesError, RuntimeError):
    """A client was used outside the event loop, or the process, that its connections belong to."""


class CallError(PinterestAudiencesError):
    """One API call failed.

    Attributes:
        operation: The method of the client that was called, e.g. ``customer_lists_get``.
        method: The HTTP method.
        path: The path below the base URL, without the query.
        attempts: How many requests were sent or tried.
        maybe_applied: Whether the call may have changed something at Pinterest all the same.
            Always ``False`` for reads.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        method: str = "",
        path: str = "",
        attempts: int = 0,
        maybe_applied: bool = False,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.method = method
        self.path = path
        self.attempts = attempts
        self.maybe_applied = maybe_applied


class TransportError(CallError):
    """No usable answer came back: the connection failed, broke, or was refused."""


class RequestTimeoutError(TransportError, TimeoutError):
    """No answer came in time. The client's ``timeout`` holds for each attempt."""


class APIError(CallError):
    """Pinterest answered with an error.

    Attributes:
        status: The HTTP status.
        code: Pinterest's own error code, ``None`` where the body held none.
        message: Pinterest's message, with anything that looks like a record or token taken out.
        request_id: Pinterest's ``x-pinterest-rid``, to be quoted to its support.
        retry_after: Seconds to wait before the next try, where Pinterest said so.
        hint: What to do next, where that is known.
    """

    def __init__(
        self,
        *,
        status: int,
        code: int | None = None,
        message: str = "",
        request_id: str | None = None,
        retry_after: float | None = None,
        hint: str = "",
        operation: str = "",
        method: str = "",
        path: str = "",
        attempts: int = 0,
        maybe_applied: bool = False,
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after
        self.hint = hint
        super().__init__(
            f"{operation or 'call'}: {self._told()}{_note(None, request_id, attempts)}"
            f"{self._advice()}",
            operation=operation,
            method=method,
            path=path,
            attempts=attempts,
            maybe_applied=maybe_applied,
        )

    def _told(self) -> str:
        code = "" if self.code is None else f", code {self.code}"
        message = f': "{self.message}"' if self.message else ""
        return f"{self.status} {_phrase(self.status)}".rstrip() + code + message

    def _advice(self) -> str:
        wait = "" if self.retry_after is None else f"; try again in {self.retry_after:.0f} s"
        return wait + (f"; {self.hint}" if self.hint else "")


class BadRequestError(APIError):
    """400: Pinterest found the request wrong."""


class AuthenticationError(APIError):
    """401: the access token is missing, wrong, expired, or lacks a scope."""


class TokenRefreshError(AuthenticationError):
    """No new access token could be had."""


class PermissionDeniedError(APIError):
    """403: the token's user may not do this."""


class NotFoundError(APIError):
    """404: there is no such ad account or customer list, or it cannot be seen with this token."""


class ConflictError(APIError):
    """409: the request contradicts what is there."""


class RateLimitError(APIError):
    """429: too many requests; ``retry_after`` says how long to wait, where Pinterest told.

    Attributes:
        category: The rate category whose budget is spent, e.g. ``ads_write``.
        limit: Pinterest's ``x-ratelimit-limit``, as it came.
    """

    category: str = ""
    limit: str | None = None


class ServerError(APIError):
    """5xx: Pinterest failed."""


class DecodeError(CallError):
    """The answer is not what the API describes.

    Attributes:
        problems: What is wrong and where, e.g. ``expected a string, got a number @ $.items[3].id``.
        status: The HTTP status of the answer.
        request_id: Pinterest's ``x-pinterest-rid``.
    """

    def __init__(
        self,
        problems: Sequence[str],
        *,
        status: int = 0,
        request_id: str | None = None,
        operation: str = "",
        method: str = "",
        path: str = "",
        attempts: int = 0,
        maybe_applied: bool = False,
    ) -> None:
        shown = "; ".join(problems[:3])
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""  # noqa: PLR2004 - as above
        done = "; the change itself may have been made" if maybe_applied else ""
        super().__init__(
            f"{operation or 'answer'}: cannot be read: {shown}{more}"
            f"{_note(status, request_id, attempts)}{done}",
            operation=operation,
            method=method,
            path=path,
            attempts=attempts,
            maybe_applied=maybe_applied,
        )
        self.problems: tuple[str, ...] = tuple(problems)
        self.status = status
        self.request_id = request_id


class PaginationError(CallError):
    """The pages do not come to an end: a bookmark came twice, or too many pages were empty."""


_BY_STATUS: Mapping[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitError,
}


def error_class(status: int) -> type[APIError]:
    """Return the exception class for an HTTP status; an unknown 4xx is a plain `APIError`."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerError
    return _BY_STATUS.get(status, APIError)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _note(status: int | None, request_id: str | None, attempts: int) -> str:
    notes: list[str] = []
    if status:
        notes.append(f"status {status}")
    if request_id:
        notes.append(f"request id {request_id}")
    if attempts > 1:
        notes.append(f"{attempts} attempts")
    return f" ({', '.join(notes)})" if notes else ""
