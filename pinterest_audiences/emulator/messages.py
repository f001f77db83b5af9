"""What goes into the emulator and what comes out of it: requests, responses and refusals."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Headers = tuple[tuple[str, str], ...]
"""Names (lower case) and values of HTTP headers, in order."""

BreakOff = Literal["reset", "reset_halfway", "close"]
"""How a door ends a connection instead of answering: with a reset before the first byte of the
answer or in the middle of its body, or as if it were done without a word."""


_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")
_PINTEREST = "https://api.pinterest.com"


def _lower_names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@attrs.frozen(kw_only=True)
class Request:
    """One HTTP request, whichever door it came through.

    Attributes:
        method: The method as it was sent; methods are case-sensitive.
        path: The path as it was sent, still percent-encoded, without the query.
        query: The raw query string, without the question mark.
        headers: The headers; names are lower-cased, repeated ones joined with ", ".
        body: The whole body.
        scheme: "http" or "https", by the door that was used.
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
        """Where the request was sent to, as `scheme://host`; Pinterest's own without a host."""
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
        """Build a request from the bytes on the wire, in the same way for every door.

        Args:
            method: The method of the request line.
            target: The request target: a path with its query, or a whole URL, which a server
                has to accept as well (RFC 9112, section 3.2.2).
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
        delay: How many seconds the door lets pass before it sends this.
        break_off: How the door breaks the connection off; None sends the whole of this.
        fault: The kind of the fault that struck, if one did.
    """

    status: int
    headers: Headers
    body: bytes = attrs.field(repr=False)
    delay: float = 0.0
    break_off: BreakOff | None = None
    fault: str | None = None

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None when it is not there.

        Args:
            name: The name in any case.

        Returns:
            The first value under that name.
        """
        return next((value for key, value in self.headers if key == name.lower()), None)

    def json(self) -> object:
        """Return the decoded body.

        Returns:
            What the body says, as plain Python objects.
        """
        decoded: object = json.loads(self.body)
        return decoded


@attrs.frozen(kw_only=True)
class Answer:
    """What an operation has to say, before ids and budgets are put on it.

    Attributes:
        status: The HTTP status.
        payload: What the body will be, as plain Python objects.
        headers: Headers of this answer alone, such as `allow`.
        content: The body itself, when it is not JSON; its type is then among the headers.
    """

    status: int
    payload: Mapping[str, object] = attrs.field(factory=dict[str, object])
    headers: Headers = ()
    content: bytes | None = attrs.field(default=None, repr=False)


class ApiError(Exception):
    """A refusal in Pinterest's form: a status, Pinterest's own code, and a message.

    The message never repeats a part of a request's body, because a body is full of people.
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
