"""Taking records and tokens out of text that comes from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl

from pinterest_audiences.models import JSON

__all__ = ["redact"]

_LONGEST = 200
_LONGEST_READ = 10_000  # of a message; nobody reads more, and a record may hide anywhere in it
_SHORTEST_VALUE = 4  # shorter ones are in every word
_SHAPES = (
    (re.compile(r"[^\s\"'<>,;:()]+@[^\s\"'<>,;()]+"), "[e-mail]"),
    (re.compile(r"(?i)\b(?:bearer|basic)\s+[^\s\"',;]+"), "[token]"),
    (re.compile(r"\bpin[a-z]?[_.][\w.\-=]+"), "[token]"),  # pina_ and pinr. are Pinterest's own
    (re.compile(r"\beyJ[\w.\-=]+"), "[token]"),
    (re.compile(r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "[id]"),
    (re.compile(r"(?i)\b[0-9a-f]{32,}\b"), "[hash]"),
)
_WORDS_OF_THE_API = frozenset({"audience_type", "list_type", "operation", "operation_type"})


def redact(text: str, *, token: str = "", body: tuple[bytes, ...] = ()) -> str:
    """Clean a message of Pinterest's so that it can be kept: one line, no record, no token.

    Args:
        text: What Pinterest said; it may quote the request.
        token: The access token in use.
        body: The body that was sent. Every value of it is taken out, whatever its shape.

    Returns:
        At most 200 characters on one line.
    """
    text = _one_line(text)
    if token:
        text = text.replace(token, "[token]")
    if body:
        values = (value if value.isalnum() else _one_line(value) for value in _values(body))
        # Read as one line a value may be short, or nothing at all, which is in every text.
        found = (value for value in values if len(value) >= _SHORTEST_VALUE and value in text)
        for value in sorted(set(found), key=len, reverse=True):
            text = text.replace(value, "[sent]")
    for shape, name in _SHAPES:
        text = shape.sub(name, text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _one_line(text: str) -> str:
    cut = len(text) > _LONGEST_READ
    words = "".join(c if c.isprintable() else " " for c in text[:_LONGEST_READ]).split()
    # The last word may be half of a record that nothing would know again.
    return " ".join(words[:-1] if cut else words)


def _values(body: tuple[bytes, ...]) -> Iterator[str]:
    """Yield what the caller put into a request: names, records, and the columns of rows."""
    try:
        sent: JSON = json.loads(b"".join(body))
    except ValueError:
        sent = [
            value for _, value in parse_qsl(b"".join(body).decode("utf-8", "replace"))
        ]  # a form
    for value in _strings(sent):
        for piece in (value, *value.split(",")):
            if len(piece) >= _SHORTEST_VALUE:
                yield piece


def _strings(value: JSON) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in _WORDS_OF_THE_API:
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
