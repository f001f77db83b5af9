"""Taking records and tokens out of text that comes from outside."""

from __future__ import annotations

import re

__all__ = ["redact"]

_LONGEST = 200
_SHAPES = (
    (re.compile(r"[^\s\"'<>,;:()]+@[^\s\"'<>,;()]+"), "[e-mail]"),
    (re.compile(r"(?i)\b(?:bearer|basic)\s+[^\s\"',;]+"), "[token]"),
    (re.compile(r"\bpin[a-z]?[_.][\w.\-=]+"), "[token]"),  # pina_ and pinr. are Pinterest's own
    (re.compile(r"\beyJ[\w.\-=]+"), "[token]"),
    (re.compile(r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "[id]"),
    (re.compile(r"(?i)\b[0-9a-f]{32,}\b"), "[hash]"),
)
_WORD = re.compile(r"[^\s\"'<>,;()\[\]{}]{4,}")
_SENT = re.compile(rb'[,"{}\[\]:\s]+')
# Words of the request that are the API's own, not the caller's.
_OURS = frozenset(
    b"name records records_v2 list_type operation_type is_nca REMOVE true false".split()
)


def redact(text: str, *, token: str = "", body: tuple[bytes, ...] | None = None) -> str:
    """Clean a message of Pinterest's so that it can be kept: one line, no record, no token.

    Args:
        text: What Pinterest said; it may quote the request.
        token: The access token in use.
        body: The body that was sent. Every word of it is taken out, whatever its shape.

    Returns:
        At most 200 characters on one line.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 5 * _LONGEST]).split())
    if token:
        text = text.replace(token, "[token]")
    for shape, name in _SHAPES:
        text = shape.sub(name, text)
    if body is not None:
        sent = {word for piece in body for word in _SENT.split(piece)} - _OURS
        text = _WORD.sub(lambda m: "[sent]" if _stands_in(m[0], sent) else m[0], text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _stands_in(word: str, sent: set[bytes]) -> bool:
    return (
        word.encode("utf-8", "replace") in sent
        or word.rstrip(".:!?").encode("utf-8", "replace") in sent
    )
