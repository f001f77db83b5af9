"""HTTP requests, responses, answers and refusals, and who sends a request."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Headers = tuple[tuple[str, str], ...]
"""Names (lower case) and values of HTTP headers, in order."""

Disconnect = Literal["reset", "reset_halfway", "close"]
"""How a connection ends instead of being answered: reset before the first byte of the answer, reset
in the middle of its body, or closed without an answer."""

_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")
_PINTEREST = "https://api.pinterest.com"
_FRAMING = frozenset({"content-length", "transfer-encoding", "content-encoding"})


def _lower_names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@attrs.frozen(kw_only=True)
class Request:
    """One HTTP request, from the transport or the server.

    Attributes:
        method: The method as it was sent; methods are case-sensitive.
        path: The path as it was sent, still percent-encoded, without the query.
        query: The raw query string, without the question mark.
        headers: The headers; names are lower-cased, repeated ones joined with ", ".
        body: The whole body.
        scheme: "http" or "https".
    """

    method: str
    path: str
    query: str = attrs.field(default="", repr=False)
    headers: Mapping[str, str] = attrs.field(
        factory=dict[str, str], repr=False, converter=_lower_names
    )
    body: bytes = attrs.field(default=b"", repr=False)
    scheme: str = "https"

    @property
    def origin(self) -> str:
        """The scheme and host of its URL; those of Pinterest without a host."""
        host = self.headers.get("host", "")
        return f"{self.scheme}://{host}" if _HOST.fullmatch(host) else _PINTEREST

    @classmethod
    def from_wire(
        cls,
        method: bytes,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
        scheme: str = "http",
    ) -> Request:
        """Build a request from the bytes on the wire.

        Args:
            method: The method of the request line.
            target: The request target: a path with its query, or a whole URL, which a server
                must accept as well (RFC 9112, section 3.2.2).
            headers: Names and values, in the order of arrival.
            body: The whole body.
            scheme: "http" or "https".

        Returns:
            The request.
        """
        line = target.decode("latin-1")
        if not line.startswith("/") and "://" in line:
            line = "/" + line.partition("://")[2].partition("/")[2]
        path, _, query = line.partition("?")
        merged: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            merged[name] = f"{merged[name]}, {value}" if name in merged else value
        return cls(
            method=method.decode("latin-1"),
            path=path,
            query=query,
            headers=merged,
            body=body,
            scheme=scheme,
        )


@attrs.frozen(kw_only=True)
class Response:
    """One HTTP response.

    Attributes:
        status: The HTTP status.
        headers: Names (lower case) and values, in order; `content-length` is among them.
        body: The body: JSON as Pinterest sends it, empty for HEAD.
        delay: How many seconds to wait before this is sent.
        disconnect: How the connection ends instead; None sends the whole response.
        fault: The kind of the fault that was injected, if any.
    """

    status: int
    headers: Headers
    body: bytes = attrs.field(repr=False)
    delay: float = 0.0
    disconnect: Disconnect | None = None
    fault: str | None = None

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None without it.

        Args:
            name: The name in any case.

        Returns:
            The first value under that name.
        """
        return next((value for key, value in self.headers if key == name.lower()), None)

    def json(self) -> object:
        """Return the decoded body.

        Returns:
            Plain Python objects.
        """
        decoded: object = json.loads(self.body)
        return decoded


@attrs.frozen(kw_only=True)
class Answer:
    """What a handler returns, before request ids and rate headers are added.

    Attributes:
        status: The HTTP status.
        payload: The body, as plain Python objects.
        headers: Headers of this answer, such as `allow`.
        content: The encoded body, when it is not JSON; its type is then among the headers.
    """

    status: int
    payload: Mapping[str, object] = attrs.field(factory=dict[str, object])
    headers: Headers = ()
    content: bytes | None = attrs.field(default=None, repr=False)


class ApiError(Exception):
    """A refusal in Pinterest's form: a status, Pinterest's own code, and a message.

    The message never repeats a part of a request's body, because a body holds personal data.
    """

    def __init__(self, status: int, code: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.answer: Answer = Answer(
            status=status, payload={"code": code, "message": message}, headers=headers
        )


def invalid(detail: str) -> ApiError:
    """Return a 400 with code 1, which is how Pinterest refuses a parameter.

    Args:
        detail: What was wrong, without any value from the body.

    Returns:
        The refusal, to be raised.
    """
    return ApiError(400, 1, f"Invalid parameters. {detail}")


def body_too_large(most_bytes: int) -> ApiError:
    """Return the refusal of a body that is too large.

    Args:
        most_bytes: How many bytes are allowed.

    Returns:
        The refusal, to be raised or passed to `Emulator.refuse`.
    """
    return ApiError(413, 413, f"The request body is larger than {most_bytes:,} bytes.")


@attrs.frozen(kw_only=True)
class Principal:
    """The app or user whose credentials a request carries.

    Attributes:
        app_id: The app; empty when unknown.
        budget: The key of its rate limits.
        scopes: Its scopes; None for all.
        is_app: Whether it is the app itself, without a user (client_credentials).
    """

    app_id: str
    budget: str = attrs.field(repr=False)
    scopes: frozenset[str] | None = None
    is_app: bool = False


def compress(request: Request, response: Response) -> Response:
    """Send an answer of the API in chunks, as Pinterest does, compressed where gzip is accepted.

    Args:
        request: The answered request.
        response: The whole answer.

    Returns:
        The same answer in other bytes; unchanged without a body.
    """
    if not response.body or not request.path.startswith("/v5/"):
        return response
    headers = [pair for pair in response.headers if pair[0] not in _FRAMING]
    headers += [("transfer-encoding", "chunked"), ("vary", "Accept-Encoding")]
    body = response.body
    if _accepts_gzip(request.headers.get("accept-encoding", "")):
        headers.append(("content-encoding", "gzip"))
        body = gzip.compress(body, mtime=0)  # the same bytes for the same requests
    return attrs.evolve(response, headers=tuple(headers), body=body)


def _accepts_gzip(accept_encoding: str) -> bool:
    for item in accept_encoding.lower().split(","):
        coding, _, parameter = item.partition(";")
        if coding.strip() in ("gzip", "x-gzip", "*"):
            name, _, quality = parameter.partition("=")
            refused = name.strip() == "q" and not quality.strip().strip("0.")
            return not refused
    return False
