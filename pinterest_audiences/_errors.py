"""The exceptions of the package.

The base class is :class:`PinterestAudiencesError`::

    PinterestAudiencesError
    ├── ConfigurationError (ValueError)    an invalid argument or setting
    ├── RecordError (ValueError)           an invalid record; the text never quotes it
    ├── SourceError (ValueError)           a source that cannot be read completely
    ├── TokenStoreError                    stored tokens that cannot be read or written
    ├── LoginError                         a login that was not completed
    ├── TooManyRejectsError (ValueError)   more rows were rejected than allowed
    ├── ClientClosedError (RuntimeError)   the client was used after it was closed
    ├── WrongEventLoopError (RuntimeError) the client was used in another event loop or process
    └── CallError                          an API call failed
        ├── TransportError                 no complete response
        │   └── RequestTimeoutError (TimeoutError)
        ├── APIError                       an error response of Pinterest
        │   ├── BadRequestError            400
        │   ├── AuthenticationError        401
        │   │   └── TokenRefreshError      no access token, and no refresh can provide one
        │   ├── PermissionDeniedError      403
        │   ├── NotFoundError              404
        │   ├── ConflictError              409
        │   ├── RateLimitError             429
        │   ├── ServerError                5xx
        │   └── UploadsUnavailableError    no access to multipart uploads for this app or token
        ├── DecodeError                    the response does not match the API description
        │   └── ResponseTooLargeError      the response is larger than allowed
        ├── PaginationError                the listing does not end
        └── UploadError                    the file was not added to the list
            └── UploadTimeoutError (TimeoutError)  the result is not known yet

The text of an error is one line with the next step, if known. It never contains records, tokens or
presigned URLs: responses are redacted before they are quoted. All errors can be pickled, copied,
and created from their ``args``, which are JSON values.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pinterest_audiences._models import CustomerListUpload

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
    "ResponseTooLargeError",
    "ServerError",
    "SourceError",
    "TokenRefreshError",
    "TokenStoreError",
    "TooManyRejectsError",
    "TransportError",
    "UploadError",
    "UploadTimeoutError",
    "UploadsUnavailableError",
    "WrongEventLoopError",
]

_MAX_SHOWN = 3  # problems in the text of an error
_TRANSIENT_400 = 12
_PERMANENT_REASONS = frozenset({"certificate", "proxy_authentication", "proxy_refused"})


class PinterestAudiencesError(Exception):
    """The base of every exception of this package.

    Attributes:
        param: The wrong Python argument, with which the text begins; ``None`` if the error is not
            about an argument.
        suggestion: The next step in terms of the Python API, with which the text ends; ``None``
            if there is none.
    """

    param: str | None = None
    suggestion: str | None = None

    @property
    def summary(self) -> str:
        """The text without the suggestion."""
        return str(self).removesuffix(f"; {self.suggestion}") if self.suggestion else str(self)

    def __reduce__(
        self,
    ) -> tuple[object, tuple[type[BaseException], tuple[object, ...]], dict[str, object]]:
        """Pickle by state: keyword-only constructors defeat the default, which calls them."""
        return _restore, (type(self), self.args), self.__dict__


class ConfigurationError(PinterestAudiencesError, ValueError):
    """An invalid argument, setting or environment variable; raised before any I/O."""

    def __init__(
        self, message: str = "", *, param: str | None = None, suggestion: str | None = None
    ) -> None:
        super().__init__(_with_suggestion(message, suggestion))
        self.param = param
        self.suggestion = suggestion


class RecordError(PinterestAudiencesError, ValueError):
    """An invalid record; raised before any I/O.

    Attributes:
        reason: What is wrong with it.
        index: Its index in the records, counted from 0; ``None`` if the error is not about one
            record. The record itself is never stored.
    """

    def __init__(self, reason: str, index: int | None = None) -> None:
        super().__init__(reason, index)
        self.reason = reason
        self.index = index

    def __str__(self) -> str:
        where = "records" if self.index is None else f"record {self.index} (counted from 0)"
        return f"{where}: {self.reason}"


class SourceError(PinterestAudiencesError, ValueError):
    """A source that cannot be read, or only in part.

    Attributes:
        source: The file, or the type of the object.
        reason: What is wrong with it, and the next step.
        row: The number of rows read before, if any, not counting the header.
        offset: The offset in the file, in bytes of the decompressed text, if known.
    """

    def __init__(
        self,
        reason: str,
        source: str = "",
        row: int | None = None,
        offset: int | None = None,
        *,
        param: str | None = None,
        suggestion: str | None = None,
    ) -> None:
        reason = _with_suggestion(reason, suggestion)
        super().__init__(reason, source, row, offset)
        self.param = param
        self.suggestion = suggestion
        self.source = source
        self.reason = reason
        self.row = row
        self.offset = offset

    def __str__(self) -> str:
        places = [self.source or "source"]
        if self.row is not None:
            places.append(f"after row {self.row}")
        if self.offset is not None:
            places.append(f"at byte {self.offset}")
        return f"{', '.join(places)}: {self.reason}"


class TokenStoreError(PinterestAudiencesError):
    """Stored tokens that cannot be read or written."""


class LoginError(PinterestAudiencesError):
    """A login that was refused, timed out, or got the response of another login."""


class TooManyRejectsError(PinterestAudiencesError, ValueError):
    """More rows were rejected than allowed.

    Attributes:
        rows: Rows read so far.
        rejected: How many of them were rejected.
        allowed: The allowed ratio of rejected rows.
    """

    def __init__(
        self,
        message: str,
        *,
        rows: int = 0,
        rejected: int = 0,
        allowed: float = 0.0,
        param: str | None = None,
        suggestion: str | None = None,
    ) -> None:
        super().__init__(_with_suggestion(message, suggestion))
        self.param = param
        self.suggestion = suggestion
        self.rows = rows
        self.rejected = rejected
        self.allowed = allowed


CLIENT_CLOSED = "this client is closed; create a new one"


class ClientClosedError(PinterestAudiencesError, RuntimeError):
    """The client was used after it was closed."""


class WrongEventLoopError(PinterestAudiencesError, RuntimeError):
    """A client was used in another event loop or process than its connections belong to."""


class CallContext(TypedDict, total=False):
    """The keyword arguments of :class:`CallError`, which every failed call has."""

    operation: str
    method: str
    path: str
    attempts: int
    maybe_applied: bool | None


class CallError(PinterestAudiencesError):
    """An API call failed.

    Attributes:
        operation: The method of the client, e.g. ``customer_lists_get``.
        method: The HTTP method.
        path: The path below the base URL, without the query.
        attempts: The number of requests that were sent or attempted.
        maybe_applied: Whether the change may have been applied anyway; ``None`` if unknown, always
            ``False`` for reads.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        method: str = "",
        path: str = "",
        attempts: int = 0,
        maybe_applied: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.method = method
        self.path = path
        self.attempts = attempts
        self.maybe_applied = maybe_applied


class TransportError(CallError):
    """No complete response: the connection failed, broke, or was refused.

    Attributes:
        reason: A code for programs; more codes may be added. ``name_resolution``, ``refused``,
            ``unreachable``, ``reset``, ``certificate``, ``tls``, ``proxy``, ``proxy_refused``,
            ``proxy_authentication``, ``connect_timeout``, ``pool_timeout``, ``write_timeout``,
            ``read_timeout``, ``total_timeout``, ``forbidden``, ``protocol``, ``network``; empty
            if unknown.
        status: The HTTP status of an incomplete response; ``None`` without a response.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        status: int | None = None,
        **call: Unpack[CallContext],
    ) -> None:
        super().__init__(message, **call)
        self.reason = reason
        self.status = status

    @property
    def transient(self) -> bool:
        """Whether a retry may succeed: not with a wrong certificate or proxy setting."""
        return self.reason not in _PERMANENT_REASONS


class RequestTimeoutError(TransportError, TimeoutError):
    """No complete response within ``timeout`` (one attempt) or ``total_timeout`` (one call)."""


class APIError(CallError):
    """An error response of Pinterest.

    Attributes:
        status: The HTTP status; 0 without a response, as without a login.
        code: Pinterest's error code; ``None`` if the body has none.
        message: Pinterest's message, without texts that may be records or tokens.
        request_id: Pinterest's ``x-pinterest-rid``, for its support.
        retry_after: Seconds to wait before the next attempt, if Pinterest sent them.
        hint: The next step, if known.

    Args:
        text: The whole text; by default it is composed of the attributes.
    """

    def __init__(
        self,
        text: str | None = None,
        /,
        *,
        status: int = 0,
        code: int | None = None,
        message: str = "",
        request_id: str | None = None,
        retry_after: float | None = None,
        hint: str = "",
        **call: Unpack[CallContext],
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after
        self.hint = hint
        super().__init__(self._text(call) if text is None else text, **call)

    def _text(self, call: CallContext) -> str:
        refusal = _response_text(self.status, self.code, self.message)
        note = _context_note(None, self.request_id, call.get("attempts", 0))
        advice = _advice_text(self.retry_after, self.hint)
        return f"{call.get('operation') or 'call'}: {refusal}{note}{advice}"


class BadRequestError(APIError):
    """400: the request is invalid."""


class AuthenticationError(APIError):
    """401: the access token is missing, invalid or expired, or lacks a scope."""


class TokenRefreshError(AuthenticationError):
    """No access token, and no refresh can provide one.

    A transient failure of a refresh raises its usual class instead: :class:`TransportError`,
    :class:`RateLimitError`, :class:`ServerError`.
    """


class PermissionDeniedError(APIError):
    """403: the user of the token does not have permission."""


class NotFoundError(APIError):
    """404: the ad account, list or audience does not exist, or this token cannot see it."""


class ConflictError(APIError):
    """409: the request conflicts with the current state."""


class RateLimitError(APIError):
    """429: too many requests; ``retry_after`` says how long to wait, where Pinterest reports it.

    Attributes:
        category: The rate category whose budget is spent, e.g. ``ads_write``.
        limit: Pinterest's ``x-ratelimit-limit``.
    """

    category: str = ""
    limit: str | None = None


class ServerError(APIError):
    """5xx: a server error of Pinterest."""


class DecodeError(CallError):
    """The response does not match the API description.

    Attributes:
        problems: What is wrong and where, e.g. ``expected a string, got a number @ $.items[3].id``.
        status: The HTTP status of the response.
        request_id: Pinterest's ``x-pinterest-rid``.

    Args:
        problems: What is wrong, or the whole text.
    """

    def __init__(
        self,
        problems: Sequence[str] | str,
        *,
        status: int = 0,
        request_id: str | None = None,
        **call: Unpack[CallContext],
    ) -> None:
        self.problems: tuple[str, ...] = () if isinstance(problems, str) else tuple(problems)
        self.status = status
        self.request_id = request_id
        super().__init__(problems if isinstance(problems, str) else self._text(call), **call)

    def _text(self, call: CallContext) -> str:
        shown = "; ".join(self.problems[:_MAX_SHOWN])
        left = len(self.problems) - _MAX_SHOWN
        more = f"; and {left} more" if left > 0 else ""
        note = _context_note(self.status, self.request_id, call.get("attempts", 0))
        done = "; the change may have been applied" if call.get("maybe_applied") else ""
        return f"{call.get('operation') or 'response'}: cannot be read: {shown}{more}{note}{done}"


class ResponseTooLargeError(DecodeError):
    """The response is larger than ``max_response_bytes`` of the client; it is not retried."""


class PaginationError(CallError):
    """A listing does not end: a bookmark was repeated, or too many pages were empty."""


class UploadError(CallError):
    """A multipart upload was not added to its list.

    Attributes:
        upload: The last known state of the upload; its ``error_counts`` may show the reason.
            ``None`` if a part could not be stored.
        part_number: The part that the storage rejected, counted from 1.
        status: The HTTP status of the storage.
    """

    def __init__(
        self,
        message: str,
        *,
        upload: CustomerListUpload | None = None,
        part_number: int | None = None,
        status: int | None = None,
        **call: Unpack[CallContext],
    ) -> None:
        super().__init__(message, **call)
        self.upload = upload
        self.part_number = part_number
        self.status = status


class UploadTimeoutError(UploadError, TimeoutError):
    """An upload was still in progress at the timeout."""


class UploadsUnavailableError(APIError):
    """This app or token has no access to multipart uploads; use ``customer_lists_update``."""


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


def is_transient_status(status: int, code: int | None) -> bool:
    """Return whether a client error is transient: 408, or Pinterest's code 12."""
    return status == 408 or (status == 400 and code == _TRANSIENT_400)  # noqa: PLR2004


class Suggestion(str):
    """The next step. The text names Python arguments; `render` can name them differently.

    Attributes:
        template: The text, with ``{name}`` in place of an argument and its value.
        arguments: The proposed value of each argument; ``...`` for none.
    """

    __slots__ = ("arguments", "template")

    template: str
    arguments: Mapping[str, object]

    def render(self, argument: Callable[[str, object], str]) -> str:
        """Return the text with every argument and its value written by a function."""
        return self.template.format(
            **{name: argument(name, value) for name, value in self.arguments.items()}
        )


def suggest(template: str, /, **arguments: object) -> Suggestion:
    """Return a suggestion; ``...`` as the value of an argument proposes none."""
    written = {name: _python_argument(name, value) for name, value in arguments.items()}
    suggestion = Suggestion(template.format(**written))
    suggestion.template, suggestion.arguments = template, arguments
    return suggestion


def _python_argument(name: str, value: object) -> str:
    return f"{name}=" if value is ... else f"{name}={value!r}"


def _with_suggestion(text: str, suggestion: str | None) -> str:
    return f"{text}; {suggestion}" if suggestion else text


def _response_text(status: int, code: int | None, message: str) -> str:
    """Return the status, code and message of a response."""
    if not status:  # nothing was sent
        return "no access token"
    shown_code = "" if code is None else f", code {code}"
    quoted = f': "{message}"' if message else ""
    return f"{status} {_phrase(status)}".rstrip() + shown_code + quoted


def _advice_text(retry_after: float | None, hint: str) -> str:
    """Return the next step."""
    wait = "" if retry_after is None else f"; try again in {retry_after:.0f} s"
    return wait + (f"; {hint}" if hint else "")


def _context_note(status: int | None, request_id: str | None, attempts: int) -> str:
    """Return status, request id and number of attempts in parentheses."""
    notes: list[str] = []
    if status:
        notes.append(f"status {status}")
    if request_id:
        notes.append(f"request id {request_id}")
    if attempts > 1:
        notes.append(f"{attempts} attempts")
    return f" ({', '.join(notes)})" if notes else ""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _restore(cls: type[BaseException], args: tuple[object, ...]) -> BaseException:
    error = cls.__new__(cls)
    error.args = args  # the constructor of OSError, a base of TimeoutError, does not accept them
    return error
