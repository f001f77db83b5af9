"""Read response bodies up to a limit, and convert responses to models or errors.

httpx decompresses whole chunks, so that 1 MB of gzip can become 1 GB in memory. Here each step
returns at most a small piece, and reading stops when the limit is exceeded.

Responses are classified by HTTP status first: Pinterest's codes mix API codes with echoed statuses,
and one code has different meanings with different statuses.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from attrs import field, frozen

from pinterest_audiences._errors import APIError, DecodeError, RateLimitError, error_class
from pinterest_audiences._http import codec, retry
from pinterest_audiences._httpx import httpx
from pinterest_audiences._models import (
    CUSTOMER_LIST_ROLES,
    RawResponse,
    ResponseInfo,
    set_last_response,
)
from pinterest_audiences._redaction import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pinterest_audiences._http.operations import Call
    from pinterest_audiences._http.retry import FailedAttempt
    from pinterest_audiences._models import JSON

__all__ = [
    "APIResponse",
    "BodyTooLargeError",
    "classify",
    "classify_unread",
    "decode",
    "parse_response",
    "read_body",
    "request_id",
    "succeeded",
    "to_error",
    "token_expired",
]

T = TypeVar("T")
_MAX_PIECE_BYTES = 262_144
_MAX_BUFFERED_CHUNKS = 100_000  # more than one buffer of the connection can hold
_MAX_CODINGS = 2  # more layers of compression are not legitimate
_GZIP_MAGIC = b"\x1f\x8b"
_WINDOW_BITS = {
    "gzip": zlib.MAX_WBITS | 16,
    "x-gzip": zlib.MAX_WBITS | 16,
    "deflate": zlib.MAX_WBITS,
}
# Of the codes of a 401 only this one is about the token itself. 3 is a missing scope or feature, 7
# and 29 are missing permissions, and a new token would not help.
_AUTHENTICATION_FAILED = 2
_ROLES = f"{', '.join(CUSTOMER_LIST_ROLES[:-1])} or {CUSTOMER_LIST_ROLES[-1]}"
_HINTS: Mapping[int, str] = {
    401: f"the user of the token needs the role {_ROLES} on the ad account",
    403: f"the user of the token needs the role {_ROLES} on the ad account, and the app needs "
    "access to this feature",
    404: "check the ids, and that the user of the token has access to the ad account",
    413: "send fewer records at once",
}
_RAW_HINTS: Mapping[int, str] = {
    401: "the user of the token does not have permission",
    403: "the user of the token or the app does not have permission",
    404: "check the path and its ids",
}


class BodyTooLargeError(Exception):
    """A body that is larger than the limit, compressed or not."""


async def read_body(response: httpx.Response, limit: int) -> bytes | bytearray:
    """Return the decompressed body of a streamed response.

    Content codings other than gzip and deflate, which were not requested, are not decoded.

    Raises:
        BodyTooLargeError: It has more than ``limit`` bytes.
        httpx.RequestError: The connection broke, or the compression is damaged.
    """
    if response.is_stream_consumed:  # created in memory, as by httpx.MockTransport
        if len(response.content) > limit:
            raise BodyTooLargeError
        return response.content
    chunks = cast("httpx.AsyncByteStream", response.stream).__aiter__()
    try:
        return await _read_chunks(chunks, response.headers.get("content-encoding", ""), limit)
    except (BodyTooLargeError, httpx.DecodingError):
        await response.aclose()
        await _exhaust(chunks)
        raise


async def _exhaust(chunks: AsyncIterator[bytes]) -> None:
    """Exhaust the generators of httpx and httpcore, which would otherwise stay suspended."""
    try:
        for _ in range(_MAX_BUFFERED_CHUNKS):
            await chunks.__anext__()
    except (StopAsyncIteration, httpx.HTTPError, httpx.StreamError):
        pass  # expected, because the connection is closed


async def _read_chunks(
    chunks: AsyncIterator[bytes], content_encoding: str, limit: int
) -> bytearray:
    decoders = _decoders(content_encoding, limit)
    body = bytearray()
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise BodyTooLargeError
        for piece in _decompress_all(decoders, chunk):  # each decoder checks the limit as well
            body += piece
    if size and not all(decoder.complete for decoder in decoders):
        raise _damaged()
    return body


def _decoders(content_encoding: str, limit: int) -> list[_Decoder]:
    """Return the decoders in the order of their application."""
    codings = [name.strip().lower() for name in content_encoding.split(",")]
    codings = [name for name in codings if name not in {"", "identity"}]
    if len(codings) > _MAX_CODINGS or any(name not in _WINDOW_BITS for name in codings):
        return []
    return [_Decoder(name, limit) for name in reversed(codings)]


def _decompress_all(decoders: list[_Decoder], data: bytes) -> Iterator[bytes]:
    """Yield the pieces of a chunk after all decoders."""
    if not decoders:
        yield data
        return
    first, *rest = decoders
    for piece in first.feed(data):
        yield from _decompress_all(rest, piece)


class _Decoder:
    """One layer of gzip or deflate; yields small pieces only."""

    def __init__(self, coding: str, limit: int) -> None:
        self._coding = coding
        self._limit = limit
        self._size = 0
        self._stream = zlib.decompressobj(_WINDOW_BITS[coding])
        self._begun = False

    @property
    def complete(self) -> bool:
        """Whether the compressed data is complete."""
        return self._stream.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed pieces of the next bytes."""
        while data:
            if self._stream.eof:
                # A chunk may end between the two bytes.
                if self._coding == "deflate" or not _GZIP_MAGIC.startswith(data[:2]):
                    return  # padding
                self._stream = zlib.decompressobj(_WINDOW_BITS[self._coding])
            piece = self._decompress(data)
            self._begun = True
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            self._size += len(piece)
            if self._size > self._limit:
                raise BodyTooLargeError
            if piece:
                yield piece

    def _decompress(self, data: bytes) -> bytes:
        try:
            return self._stream.decompress(data, _MAX_PIECE_BYTES)
        except zlib.error:
            if self._begun or self._coding != "deflate":
                raise _damaged() from None
        # Some servers send raw deflate data, without the zlib header.
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return self._stream.decompress(data, _MAX_PIECE_BYTES)
        except zlib.error:
            raise _damaged() from None


def _damaged() -> httpx.DecodingError:
    return httpx.DecodingError("the compressed body is damaged")


@frozen
class APIResponse:
    """A parsed response, before its conversion to a model or an error."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    data: JSON = field(repr=False)
    problems: tuple[str, ...]
    code: int | None
    message: str = field(repr=False)
    is_empty: bool = False

    @property
    def request_id(self) -> str | None:
        """Pinterest's id of the request."""
        return request_id(self.headers)

    def info(self, attempts: int) -> ResponseInfo:
        """Return what callers see of it besides its data."""
        return ResponseInfo(self.status, self.request_id, attempts, self.headers)

    @property
    def ok(self) -> bool:
        """Whether it is a success: a 2xx whose body is not an error object."""
        return retry.is_success(self.status) and not self.message


def parse_response(status: int, headers: Mapping[str, str], body: bytes | bytearray) -> APIResponse:
    """Return a parsed response; one that is not JSON has problems and no data."""
    problems: tuple[str, ...] = ()
    data: JSON = None
    try:
        data = codec.parse(body)
    except codec.UnreadableError as error:
        kind = headers.get("content-type", "no content type").split(";")[0]
        problems = (f"{error} ({redact(kind)[:40]}, {len(body)} bytes)",)
    code, message = _error_object(data)
    return APIResponse(status, headers, data, problems, code, message, is_empty=not body)


def _error_object(data: JSON) -> tuple[int | None, str]:
    """Return the code and message of an error object; None and "" for other data."""
    if not isinstance(data, dict) or "id" in data or "items" in data:
        return None, ""
    code, message, detail = (data.get(name) for name in ("code", "message", "message_detail"))
    if not isinstance(code, int) or isinstance(code, bool):
        code = None
    if not isinstance(message, str) or not message:
        code, message = (code, "no message") if code is not None else (None, _oauth_error(data))
    return code, f"{message} {detail}" if message and isinstance(detail, str) else message


def _oauth_error(data: Mapping[str, JSON]) -> str:
    """Return the error of a token endpoint (RFC 6749) in one line."""
    error, description = data.get("error"), data.get("error_description")
    if not isinstance(error, str):
        return ""
    return f"{error}: {description}" if isinstance(description, str) else error


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return Pinterest's id of a request, redacted."""
    value = headers.get("x-pinterest-rid")
    return None if value is None else redact(value)[:64]


def succeeded(call: Call[T], response: APIResponse) -> bool:
    """Return whether a response is a success of its call.

    What the body of an operation without a model looks like is unknown, so its status decides.
    """
    raw = call.operation.response_model is RawResponse
    return retry.is_success(response.status) if raw else response.ok


def decode(call: Call[T], response: APIResponse, *, attempts: int) -> T:
    """Return the model of a successful response, which refers to the response.

    Raises:
        DecodeError: The body does not match the model.
    """
    if call.operation.response_model is type(None):  # "no content is returned"
        return cast("T", None)  # type: ignore[redundant-cast]  # pyright does not narrow T
    problems = list(response.problems)
    if call.operation.response_model is RawResponse and (response.is_empty or not problems):
        raw = RawResponse(
            response.status, response.request_id, attempts, response.headers, response.data
        )
        return cast("T", raw)
    if not problems:
        try:
            model = codec.decode(response.data, call.operation.response_model)
        except codec.UnreadableError as error:
            problems = list(error.problems)
        else:
            set_last_response(model, response.info(attempts))
            return model
    # Not chained to the codec's error, whose frames hold the body.
    raise DecodeError(
        problems,
        status=response.status,
        request_id=response.request_id,
        **call.error_context(attempts=attempts, maybe_applied=call.operation.changes),
    )


def token_expired(response: APIResponse) -> bool:
    """Return whether a new access token may help."""
    return response.status == 401 and response.code in (None, _AUTHENTICATION_FAILED)  # noqa: PLR2004


def classify(response: APIResponse, now: float) -> retry.FailedAttempt:
    """Classify a response that is not a success."""
    return retry.classify_response(
        response.status, response.code, response.message, response.headers, now
    )


def classify_unread(status: int, headers: Mapping[str, str], now: float) -> FailedAttempt:
    """Classify a response whose body was not read."""
    if retry.is_success(status):
        return retry.classify_broken_connection(never_sent=False)
    return retry.classify_response(status, None, "", headers, now)


def to_error(
    call: Call[T],
    response: APIResponse,
    failure: retry.FailedAttempt,
    *,
    attempts: int,
    maybe_applied: bool,
    token: str,
) -> APIError:
    """Return the exception for a response that is not a success."""
    message = response.message or "".join(response.problems)
    result = error_class(response.status)(
        status=response.status,
        code=response.code,
        message=redact(message, token=token, body=call.body),
        request_id=response.request_id,
        retry_after=failure.retry_after,
        hint=_hint(call, response, maybe_applied=maybe_applied),
        **call.error_context(attempts=attempts, maybe_applied=maybe_applied),
    )
    if isinstance(result, RateLimitError):
        result.category = call.operation.category
        limit = response.headers.get("x-ratelimit-limit")
        result.limit = None if limit is None else redact(limit)
    return result


def _hint(call: Call[T], response: APIResponse, *, maybe_applied: bool) -> str:
    if maybe_applied and not call.operation.idempotent:
        return "the change may have been applied; check before you retry"
    if 300 <= response.status < 400:  # noqa: PLR2004
        return "redirects are not followed, to protect the access token; check base_url"
    if call.app is not None:
        return _oauth_hint(response)
    if response.status == 401 and response.code == 3:  # noqa: PLR2004
        scope = f"the scope {call.operation.scope}" if call.operation.scope else "another scope"
        return f"the token needs {scope}, or the app needs this feature"
    if token_expired(response):
        return "get a new access token"
    hints = _RAW_HINTS if call.operation.response_model is RawResponse else _HINTS
    return hints.get(response.status, "")


def _oauth_hint(response: APIResponse) -> str:
    if "invalid_client" in response.message:
        return "the app id or the app secret is wrong"
    used_up = "a code or refresh token may be expired, revoked, or used before: log in again"
    if "invalid_grant" in response.message:
        return used_up
    if response.status == 401:  # noqa: PLR2004
        return f"check the app id and the app secret; if they are right, {used_up}"
    return used_up if response.status == 400 else ""  # noqa: PLR2004
