"""Redaction of personal data and tokens in texts from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl

from pinterest_audiences._models import JSON

__all__ = ["NOT_SHOWN", "has_secret", "looks_like_identifier", "redact", "show_argument"]

NOT_SHOWN = "(not shown)"
_MAX_TEXT_CHARACTERS = 200
_MAX_READ_CHARACTERS = 10_000  # of a message; a record may be anywhere in it
_MAX_SHOWN_CHARACTERS = 255
_MIN_TOKEN_CHARACTERS = 8  # shorter texts are parts of words, and tokens of Pinterest are longer
_MIN_VALUE_CHARACTERS = 4  # shorter texts are parts of words
# Tokens begin with pina_ (access), pinr_ or pinr. (refresh). Files may be called like that, too.
_DOT = r"(?:[_.]|%5[Ff]|%2[Ee])"
_SIGN = r"(?:[\w.\-=~+]|%[0-9A-Fa-f]{2})"
_WORD = r"(?>(?:(?:[A-Z][a-z]{2,20}){2,4}|[A-Z]?[a-z]{1,20}|[A-Z]{1,3})?\d{0,14})"
_ENDING = (
    r"(?:csv|tsv|psv|txt|jsonl?|ndjson|parquet|pq|avro|arrow|feather|orc|xls[xmb]?|ods|"
    r"zip|gz|zst|bz2|xz|sql|db|sqlite3?|duckdb|html|log)(?!\.?[\w\-=~+%])"
)
_FILE = rf"{_ENDING}|{_WORD}(?:[_.\-]{_WORD})*?(?:\.{_ENDING}|[/\\*])"
_MIXED = r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]"  # with a letter and a digit
_TOKENS = (
    rf"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{{2}}))pin[acr]{_DOT}(?!{_FILE}){_SIGN}+",
    rf"pin[acr]{_DOT}(?={_SIGN}{{0,200}}?{_MIXED}{{20}}){_SIGN}+",
    rf"pin[a-z]?{_DOT}(?={_SIGN}{{0,200}}?{_MIXED}{{32}}){_SIGN}+",
)
_PATTERNS = (
    (re.compile(r"://[^\s\"'<>]*@[^\s\"'<>]*"), "://[not shown]"),  # a password may have any sign
    (re.compile(r"[^\s\"'<>,;:()]+@[^\s\"'<>,;()]+"), "[e-mail]"),
    (re.compile(r"(?i)\b(?:bearer|basic)\s+[^\s\"',;]+"), "[token]"),
    *((re.compile(shape), "[token]") for shape in _TOKENS),
    (re.compile(r"\beyJ[\w.\-=]+"), "[token]"),
    (re.compile(r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "[id]"),
    (re.compile(r"(?i)\b[0-9a-f]{32,}\b"), "[hash]"),
)
_ADDRESS = re.compile("[@\uff20\ufe6b]|%40")
_DIGITS = re.compile(
    r"(?:[a-z]+:)?['=\"\s+(]*[0-9](?:[\s().,/+'\"-]*[0-9]){5,}['\"\s]*", re.IGNORECASE
)
_HASH_OR_ID = re.compile(
    r"[0-9a-f]{32,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[0-9a-f]{2}[:\- ]){15,}|"
    r"(?<![\w/.+-])[\w/+-]{43}=?(?![\w/.+-])",
    re.IGNORECASE,
)
_API_FIELDS = frozenset({"audience_type", "list_type", "operation", "operation_type"})


def redact(text: str, *, token: str = "", body: tuple[bytes, ...] = ()) -> str:
    """Return a message of Pinterest on one line, without records and tokens.

    Args:
        text: The message; it may quote the request.
        token: The access token of the request.
        body: The body of the request. All its values are removed from the message.

    Returns:
        At most 200 characters on one line.
    """
    text = _one_line(text)
    if len(token) >= _MIN_TOKEN_CHARACTERS:
        text = text.replace(token, "[token]")
    if body:
        values = (value if value.isalnum() else _one_line(value) for value in _values(body))
        # On one line a value may become short or empty, and would match every text.
        quoted = {v for v in values if len(v) >= _MIN_VALUE_CHARACTERS and v in text}
        for value in sorted(quoted, key=len, reverse=True):
            text = text.replace(value, "[sent]")
    for shape, name in _PATTERNS:
        text = shape.sub(name, text)
    return text if len(text) <= _MAX_TEXT_CHARACTERS else text[: _MAX_TEXT_CHARACTERS - 1] + "…"


def _one_line(text: str) -> str:
    cut = len(text) > _MAX_READ_CHARACTERS
    words = "".join(c if c.isprintable() else " " for c in text[:_MAX_READ_CHARACTERS]).split()
    # The last word may be a part of a record that the patterns do not match.
    return " ".join(words[:-1] if cut else words)


def _values(body: tuple[bytes, ...]) -> Iterator[str]:
    """Yield the values of a request: names, records, and columns of rows."""
    try:
        sent: JSON = json.loads(b"".join(body))
    except ValueError:
        sent = [
            value for _, value in parse_qsl(b"".join(body).decode("utf-8", "replace"))
        ]  # a form
    for value in _strings(sent):
        for part in (value, *value.split(",")):
            if len(part) >= _MIN_VALUE_CHARACTERS:
                yield part


def _strings(value: JSON) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in _API_FIELDS:
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def has_secret(text: str) -> bool:
    """Return whether `redact` would hide a part of a text, on several lines; a long text may."""
    if len(text) > _MAX_READ_CHARACTERS:
        return True
    shown = "".join(c if c.isprintable() else " " for c in text)
    return any(shape.search(shown) for shape, _ in _PATTERNS)


def looks_like_identifier(text: str) -> bool:
    """Return whether a text contains an e-mail address, a hash or a device id, or is a number."""
    return (
        _ADDRESS.search(text) is not None
        or _DIGITS.fullmatch(text) is not None
        or _HASH_OR_ID.search(text) is not None
    )


def show_argument(value: str | int) -> str:
    """Return an argument for an error message; a placeholder if it may be personal data."""
    text = str(value)
    if looks_like_identifier(text) or len(text) > _MAX_SHOWN_CHARACTERS or not text.isprintable():
        return NOT_SHOWN
    return repr(value)
