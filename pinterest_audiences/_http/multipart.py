"""Multipart uploads: split a file, send the parts to presigned URLs, interpret the result.

Pinterest accepts 1 to 10 parts. Each part but the last must have at least 5 MB, which is a rule of
the storage (S3) and means 5 MiB there. Whether the parts are joined before their lines are read is
not documented, so a file is split between lines, which is correct in both cases.

A presigned URL is a secret: it grants write access to its holder. The requests to it have no token
and no header of the API, use separate connections, do not count for rate limits, and do not follow
redirects. The URL does not appear in logs, errors or a ``repr``.
"""

from __future__ import annotations

import copy
import io
import logging
import os
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, TypeAlias
from urllib.parse import urlsplit

import anyio
from attrs import frozen

from pinterest_audiences import _config, _threads
from pinterest_audiences._errors import (
    APIError,
    CallError,
    ConfigurationError,
    DecodeError,
    RequestTimeoutError,
    SourceError,
    TransportError,
    UploadError,
    UploadsUnavailableError,
    UploadTimeoutError,
)
from pinterest_audiences._http import retry
from pinterest_audiences._http.network import explain_failure
from pinterest_audiences._http.requests import MAX_PARTS
from pinterest_audiences._http.responses import BodyTooLargeError, read_body
from pinterest_audiences._httpx import httpx
from pinterest_audiences._models import CreatedUpload, CustomerListUpload, S3FilePart, UploadState

if TYPE_CHECKING:
    from pinterest_audiences._config import Clock
    from pinterest_audiences._http.network import ConnectionFailure, Network, Proxy
    from pinterest_audiences._http.retry import FailedAttempt, RetryPolicy

__all__ = [
    "MIN_PART_BYTES",
    "PUT_PARTS",
    "TERMINAL_STATES",
    "FileParts",
    "Part",
    "PartUploader",
    "UploadFile",
    "is_access_denied",
    "pair_parts",
    "poll_interval",
    "presigned_parts",
    "split_file",
    "upload_failed_error",
    "upload_timeout_error",
    "uploads_unavailable_error",
]

UploadFile: TypeAlias = "str | os.PathLike[str] | bytes"
"""A file to upload: its path, or its bytes."""
MIN_PART_BYTES = 5 * 1024 * 1024
_USUAL_PART_BYTES = 16 * 1024 * 1024  # is sent again when a connection breaks
_MAX_LINE_BYTES = 65_536  # longer lines are split
TERMINAL_STATES = frozenset({UploadState.SUCCEEDED, UploadState.FAILED})
_INITIAL_POLL_SECONDS = 2.0
_MAX_POLL_SECONDS = 60.0
PUT_PARTS = "put_file_parts"
"""The name of the operation in errors and log lines."""
_MULTIPART_UPLOAD = "upload_file_in_parts"
_CONNECT_TIMEOUT_SECONDS = 5.0
_POOL_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)
_CHUNK_BYTES = 262_144
_MAX_RESPONSE_BYTES = 65_536
_MAX_SHOWN_REASONS = 5
# "Your token does not have sufficient permissions", "Your application does not have access to
# this restricted feature", "You are not permitted to access that resource".
_ACCESS_DENIED = {(401, 3), (401, 29), (403, 3), (403, 29), (403, None)}
# The storage responds with XML that also quotes the request; only the error code is used.
_ERROR_CODE = re.compile(rb"<Code>(\w{1,40})</Code>")
_BODY_TIMEOUT_CODE = "RequestTimeout"  # status 400 of S3: the body was too slow
_HINTS = {
    400: "the storage rejected the request",
    403: "the presigned URL may have expired; create a new upload",
    404: "the upload no longer exists; create a new one",
}
_REDIRECT = "redirects are not followed, because they could send the records elsewhere"
logger = logging.getLogger("pinterest_audiences")


@frozen
class Part:
    """One part of a file.

    Attributes:
        number: Counted from 1.
        start: Its offset in bytes.
        size: Its size in bytes.
    """

    number: int
    start: int
    size: int


@frozen
class FileParts:
    """A file and its parts.

    Attributes:
        name: The name of the file in errors.
        parts: Its parts, in order.
    """

    name: str
    parts: tuple[Part, ...]
    _reopen: Callable[[], BinaryIO]
    _version: tuple[int, int]

    def open_at(self, part: Part) -> BinaryIO:
        """Open the file at the start of a part.

        Raises:
            SourceError: It cannot be opened, or is not what was split.
        """
        opened = _open(self.name, self._reopen)
        try:
            if _version(opened) != self._version:
                raise SourceError("was changed during the upload", source=self.name)
            opened.seek(part.start)
        except BaseException:
            opened.close()
            raise
        return opened


def split_file(file: UploadFile, total_parts: int | None) -> FileParts:
    """Split a file into parts between lines.

    Args:
        file: A path, or bytes.
        total_parts: The number of parts; ``None`` to choose it by the size of the file.

    Raises:
        ConfigurationError: An argument is wrong, or the file is too small for so many parts.
        SourceError: The file cannot be read, or is empty.
    """
    name, reopen = _reopener(file)
    with _open(name, reopen) as opened:
        state = _version(opened)
        size = opened.seek(0, os.SEEK_END)
        if size == 0:
            raise SourceError("is empty; there is nothing to upload", source=name)
        count = _part_count(size, total_parts)
        share = -(-size // count)
        starts = [0]
        for _ in range(count - 1):  # from the end of the previous part, so that none is too small
            starts.append(_next_line(opened, starts[-1] + share))
    parts = (
        Part(number, start, end - start)
        for number, (start, end) in enumerate(pairwise([*starts, size]), 1)
    )
    return FileParts(name, tuple(parts), reopen, state)


def _reopener(file: UploadFile) -> tuple[str, Callable[[], BinaryIO]]:
    if isinstance(file, bytes):
        return "bytes", lambda: io.BytesIO(file)
    try:
        path = Path(file)
    except TypeError:
        raise ConfigurationError("file must be a path or bytes", param="file") from None
    return str(path), lambda: path.open("rb")


def _open(name: str, reopen: Callable[[], BinaryIO]) -> BinaryIO:
    try:
        return reopen()
    except (OSError, ValueError) as error:  # ValueError: a path with a null in it
        reason = getattr(error, "strerror", None) or "cannot be opened"
        raise SourceError(reason, source=name) from None


def _version(opened: BinaryIO) -> tuple[int, int]:
    """Return size and modification time; they change with the file."""
    try:
        status = os.fstat(opened.fileno())
    except io.UnsupportedOperation:  # bytes do not change
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _part_count(size: int, wanted: int | None) -> int:
    most = max(1, min(MAX_PARTS, size // MIN_PART_BYTES))
    if wanted is None:
        return min(most, -(-size // _USUAL_PART_BYTES))
    count = _config.validate_integer("total_parts", wanted, 1, MAX_PARTS)
    if count > most:
        raise ConfigurationError(
            f"total_parts must be at most {most} for {size} bytes, {MIN_PART_BYTES} per part",
            param="total_parts",
        )
    return count


def _next_line(opened: BinaryIO, offset: int) -> int:
    """Return the start of the first line at or after an offset."""
    opened.seek(offset - 1)
    rest = opened.readline(_MAX_LINE_BYTES)
    return offset - 1 + len(rest) if rest.endswith(b"\n") else offset


def presigned_parts(upload: CreatedUpload) -> list[S3FilePart]:
    """Return the presigned parts of an upload in their order.

    Raises:
        DecodeError: They are not numbered from 1, or are not 1 to 10 parts.
    """
    parts = sorted(upload.s3_multipart_upload_data.file_parts, key=lambda part: part.part_number)
    numbers = [part.part_number for part in parts]
    if numbers != list(range(1, len(parts) + 1)) or not 1 <= len(parts) <= MAX_PARTS:
        raise DecodeError(
            [f"the parts are not numbered from 1 to at most {MAX_PARTS} @ $.file_parts"],
            operation="put_file_parts",
        )
    return parts


def pair_parts(upload: CreatedUpload, file: FileParts) -> Iterator[tuple[str, Part]]:
    """Pair each part of a file with its presigned URL.

    Raises:
        DecodeError: The numbers of parts and URLs differ.
    """
    targets = presigned_parts(upload)
    if len(targets) != len(file.parts):
        raise DecodeError(
            [f"{len(targets)} presigned URLs for {len(file.parts)} parts @ $.file_parts"],
            operation="put_file_parts",
        )
    return zip((part.presigned_url for part in targets), file.parts, strict=True)


class PartUploader:
    """Sends the parts of a file to their presigned URLs.

    Args:
        check_usable: Raises an error if the client is closed or used in another event loop.
        timeout: Seconds for each chunk of a part (256 KiB), and for the response.
        policy: When to retry.
        network: The network of the client; its transport is not closed here.
        clock: The clock of the client.
    """

    def __init__(
        self,
        *,
        check_usable: Callable[[], None],
        timeout: float | None,
        policy: RetryPolicy,
        network: Network,
        clock: Clock,
    ) -> None:
        self._network = network
        self._clock = clock
        # By whether they use TLS, and by proxy.
        self._clients: dict[tuple[bool, Proxy | None], httpx.AsyncClient] = {}
        self.configure(check_usable, timeout, policy)

    def with_options(
        self, *, check_usable: Callable[[], None], timeout: float | None, policy: RetryPolicy
    ) -> PartUploader:
        """Return an uploader with other options and the same connections."""
        uploader = copy.copy(self)
        uploader.configure(check_usable, timeout, policy)
        return uploader

    def configure(
        self, check_usable: Callable[[], None], timeout: float | None, policy: RetryPolicy
    ) -> None:
        """Set the options."""
        self._check_usable = check_usable
        self._timeout = timeout
        self._policy = policy
        connect = (
            _CONNECT_TIMEOUT_SECONDS if timeout is None else min(timeout, _CONNECT_TIMEOUT_SECONDS)
        )
        self._extensions = {"timeout": httpx.Timeout(timeout, connect=connect).as_dict()}

    async def aclose(self) -> None:
        """Close the connections; closing twice is allowed."""
        if self._network.transport is None:
            for client in self._clients.values():
                await client.aclose()
        self._clients.clear()

    async def put(self, address: str, file: FileParts, part: Part) -> None:
        """Send one part, with retries: sending it again replaces it.

        Raises:
            DecodeError: The presigned URL is invalid.
            UploadError: The storage rejected the part.
            TransportError: The connection failed.
            SourceError: The file cannot be read, or has changed.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        url = _secret_url(address, part)
        attempts = 0
        while True:
            attempts += 1
            failure, problem = await self._attempt(url, file, part, attempts)
            if problem is None:
                return
            wait = retry.next_wait(
                failure,
                idempotent=True,
                attempts=attempts,
                policy=self._policy,
                jitter=self._clock.random(),
            )
            if wait is None:
                # Not chained to httpx's error, which holds the request and so the URL.
                raise problem
            await self._clock.sleep(wait)

    async def _attempt(
        self, url: httpx.URL, file: FileParts, part: Part, attempts: int
    ) -> tuple[FailedAttempt, CallError | None]:
        """Send a part once; return how it failed, and the error to raise or None."""
        opened = await _threads.run_in_thread(file.open_at, part)
        try:
            response, body = await self._exchange(url, opened, part, file.name)
        except httpx.RequestError as error:
            broken = explain_failure(error, host="the storage", proxy=self._proxy(url))
            failure = retry.classify_broken_connection(never_sent=False, transient=broken.transient)
            return failure, _connection_error(part, error, broken, attempts)
        finally:
            opened.close()
        logger.debug(
            "%s: part %d: attempt %d: %d", PUT_PARTS, part.number, attempts, response.status_code
        )
        failure = retry.classify_response(
            response.status_code, None, "", response.headers, self._clock.time()
        )
        if response.is_success:
            return failure, None
        match = _ERROR_CODE.search(body)
        code = match[1].decode() if match else ""
        if code == _BODY_TIMEOUT_CODE:
            failure = retry.classify_broken_connection(never_sent=False)
        return failure, _refusal_error(part, response.status_code, code, attempts)

    async def _exchange(
        self, url: httpx.URL, opened: BinaryIO, part: Part, name: str
    ) -> tuple[httpx.Response, bytes | bytearray]:
        """Send a part; the timeout applies to each of its chunks and to the response."""
        with anyio.CancelScope() as scope:

            def progressed() -> None:
                if self._timeout is not None:
                    scope.deadline = anyio.current_time() + self._timeout

            progressed()
            body = _PartBody(anyio.wrap_file(opened), part, name, progressed)
            client, request = self._client(url), self._request(url, body, part.size)
            response = await client.send(request, stream=True)
            try:
                return response, await read_body(response, _MAX_RESPONSE_BYTES)
            except BodyTooLargeError:
                return response, b""  # the status is enough
            finally:
                await response.aclose()
        raise httpx.ReadTimeout("no progress in time")

    def _request(self, url: httpx.URL, body: _PartBody, size: int) -> httpx.Request:
        headers = [("Host", url.netloc.decode()), ("Content-Length", str(size))]
        request = httpx.Request(
            "PUT", url, headers=headers, stream=body, extensions=self._extensions
        )
        request.url = url  # httpx has converted it to its own class
        return request

    def _client(self, url: httpx.URL) -> httpx.AsyncClient:
        self._check_usable()
        proxy = self._proxy(url)
        kind = (url.scheme == "https", proxy)
        if kind not in self._clients:
            self._clients[kind] = self._network.client_factory(url, _POOL_LIMITS)()
        return self._clients[kind]

    def _proxy(self, url: httpx.URL) -> Proxy | None:
        return self._network.proxy_of(url)


class _PartBody(httpx.AsyncByteStream):
    """A part of a file, read while it is sent.

    Not a generator, because one would have to be closed when the connection breaks.
    """

    def __init__(
        self, opened: anyio.AsyncFile[bytes], part: Part, name: str, progressed: Callable[[], None]
    ) -> None:
        self._open = opened
        self._progressed = progressed
        self._left = part.size
        self._name = name

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        self._progressed()
        try:
            piece = await self._open.read(min(_CHUNK_BYTES, self._left))
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise SourceError(reason, source=self._name) from None
        if not piece:
            raise SourceError("became shorter during the upload", source=self._name)
        self._left -= len(piece)
        return piece


class _SecretURL(httpx.URL):
    """A URL whose text hides its path and query: httpx logs the URL of every request."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc.decode()}/[pre-signed]"

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


def _secret_url(address: str, part: Part) -> _SecretURL:
    """Return the presigned URL of a part.

    Raises:
        DecodeError: It is not an https URL.
    """
    url = _parse_url(address)
    if url is None:
        raise DecodeError(
            [f"the presigned URL of part {part.number} is not a valid https URL"],
            operation=PUT_PARTS,
            method="PUT",
        )
    return url


def _parse_url(address: str) -> _SecretURL | None:
    try:
        url, host = _SecretURL(address), urlsplit(address).hostname
    except (httpx.InvalidURL, ValueError):
        return None
    if not host or url.userinfo or url.fragment or " " in address:
        return None
    if not address.isascii() or not address.isprintable():
        return None
    secure = url.scheme == "https" or (url.scheme == "http" and _config.is_loopback(host))
    return url if secure else None


def _connection_error(
    part: Part, error: httpx.RequestError, broken: ConnectionFailure, attempts: int
) -> TransportError:
    timed_out = isinstance(error, httpx.TimeoutException)
    return (RequestTimeoutError if timed_out else TransportError)(
        f"{PUT_PARTS}: part {part.number}: the connection to the storage failed"
        f" ({broken.text}, {attempts} attempts)",
        reason=broken.reason,
        operation=PUT_PARTS,
        method="PUT",
        attempts=attempts,
    )


def _refusal_error(part: Part, status: int, code: str, attempts: int) -> UploadError:
    word = f" {code}" if code else ""
    redirected = 300 <= status < 400  # noqa: PLR2004 - HTTP statuses read best as numbers
    hint = _REDIRECT if redirected else _HINTS.get(status, "try again later")
    return UploadError(
        f"{PUT_PARTS}: part {part.number}: the storage responded with {status}{word}"
        f" ({attempts} attempts); {hint}",
        part_number=part.number,
        status=status,
        operation=PUT_PARTS,
        method="PUT",
        attempts=attempts,
    )


def is_access_denied(error: APIError) -> bool:
    """Return whether multipart uploads are refused as such, not because of an argument."""
    return (error.status, error.code) in _ACCESS_DENIED


def uploads_unavailable_error(error: APIError) -> UploadsUnavailableError:
    """Return the error for such a refusal, with the alternative."""
    return UploadsUnavailableError(
        status=error.status,
        code=error.code,
        message=error.message,
        request_id=error.request_id,
        hint="multipart uploads are experimental and this app or token has no access to them; use"
        " customer_lists_update for the same records",
        operation=error.operation,
        method=error.method,
        path=error.path,
        attempts=error.attempts,
        maybe_applied=error.maybe_applied,
    )


def poll_interval(polls: int) -> float:
    """Return the seconds to wait after a number of polls of an upload, at least 1."""
    return retry.poll_delay(polls, _INITIAL_POLL_SECONDS, _MAX_POLL_SECONDS)


def upload_failed_error(upload: CustomerListUpload) -> UploadError:
    """Return the error of an upload that FAILED; its text has counts and codes, no messages."""
    counts = upload.record_counts
    invalid = f"; {counts.invalid} of {counts.processed} records invalid" if counts else ""
    reasons = upload.error_counts or []
    codes = ", ".join(f"{item.error_code} x {item.count}" for item in reasons[:_MAX_SHOWN_REASONS])
    more = f"; error codes {codes}" if codes else ""
    return UploadError(
        f"{_MULTIPART_UPLOAD}: upload {upload.id} FAILED{invalid}{more}; see the error's upload",
        upload=upload,
        operation=_MULTIPART_UPLOAD,
        maybe_applied=True,
    )


def upload_timeout_error(upload: CustomerListUpload, wait: float) -> UploadTimeoutError:
    """Return the error of an upload that was not finished in time."""
    return UploadTimeoutError(
        f"{_MULTIPART_UPLOAD}: upload {upload.id} is {upload.state} after {wait:g} s;"
        " check it with customer_list_uploads_get",
        upload=upload,
        operation=_MULTIPART_UPLOAD,
        maybe_applied=True,
    )
