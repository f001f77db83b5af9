"""Request bodies of the customer-list calls, in pieces that are sent one after the other.

The record string can be a megabyte, and most of it is hexadecimal: it never goes through a JSON
encoder. It is searched for the few bytes that JSON or Pinterest could not take, and is a piece of
its own, so that it is not copied either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TypeVar, cast

from attrs import fields

from pinterest_audiences._wire import codec, settings
from pinterest_audiences.errors import ConfigurationError, RecordError
from pinterest_audiences.models import JSON, OpenEnum, OperationType, RecordRow, UserListType
from pinterest_audiences.records.batches import Batch

__all__ = ["create_body", "gathered", "known_value", "update_body"]

E = TypeVar("E", bound=OpenEnum)
T = TypeVar("T")

# The API separates records by commas and gives no way to escape anything inside one.
_FORBIDDEN = tuple(bytes([code]) for code in (*range(0x21), 0x22, 0x5C, 0x7F))
_FORBIDDEN_IN_TEXT = re.compile(r'[\s\x00-\x20\x7f-\x9f"\\\ud800-\udfff]')
_FORBIDDEN_IN_ROW = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PLAIN_COLUMNS = frozenset({"external_id", "user_agent"})  # these may hold spaces and commas


def create_body(
    *,
    name: object,
    list_type: UserListType | str,
    is_nca: bool | None,
    records: str | Iterable[str] | Batch | None,
    records_v2: Iterable[RecordRow] | None,
) -> tuple[bytes, ...]:
    """Make the body of ``customer_lists/create``.

    Raises:
        ConfigurationError: The name is empty or no string, or the list type is unknown.
        RecordError: Both kinds of records or neither are given, or one of them cannot be sent.
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("name: a string that is not empty is needed")
    head: dict[str, JSON] = {
        "name": name,
        "list_type": str(known_value("list_type", list_type, UserListType)),
    }
    if is_nca is not None:
        head["is_nca"] = settings.flag("is_nca", is_nca)
    return _body(head, records, records_v2)


def update_body(
    *,
    operation_type: OperationType | str,
    records: str | Iterable[str] | Batch | None,
    records_v2: Iterable[RecordRow] | None,
) -> tuple[bytes, ...]:
    """Make the body of ``customer_lists/update``.

    Raises:
        ConfigurationError: The operation type is unknown.
        RecordError: Both kinds of records or neither are given, or one of them cannot be sent.
    """
    operation = known_value("operation_type", operation_type, OperationType)
    return _body({"operation_type": str(operation)}, records, records_v2)


def gathered(given: Iterable[T] | None) -> Iterable[T] | None:
    """Read an iterable to its end, here and now; what is none is left to be refused later."""
    anything: object = given
    if isinstance(anything, str | bytes | bytearray) or not isinstance(anything, Iterable):
        return given
    return list(anything)


def known_value(name: str, value: object, kind: type[E]) -> E:
    """Return the enum member for an argument; what we send is never a value we do not know."""
    member = kind(value) if isinstance(value, str) else None
    if member is None or not member.is_known:
        raise ConfigurationError(f"{name}: one of {', '.join(kind)} is needed")
    return member


def _body(
    head: dict[str, JSON],
    records: str | Iterable[str] | Batch | None,
    records_v2: Iterable[RecordRow] | None,
) -> tuple[bytes, ...]:
    if (records is None) == (records_v2 is None):
        raise RecordError("exactly one of records and records_v2 is needed")
    start = json.dumps(head, separators=(",", ":"))[:-1].encode()
    if isinstance(records, Batch):
        return start + b",", records.fragment, b"}"
    if records is not None:
        return start + b',"records":"', _record_string(records), b'"}'
    rows = json.dumps(_rows(records_v2), separators=(",", ":")).encode()
    return start + b',"records_v2":', rows, b"}"


def _record_string(records: str | Iterable[str]) -> bytes:
    if isinstance(records, str):
        text = records
        # Two commas in a row are let through: Pinterest's own example has an empty record at its
        # end, and looking for them would cost more than sending the rest.
        empty = text.startswith(",") or text.endswith(",")
    else:
        text, empty = _joined(records)
    if not text and not empty:
        raise RecordError("there are none")
    bad = empty or (not text.isascii() and _FORBIDDEN_IN_TEXT.search(text))
    if not bad:
        data = text.encode()
        bad = any(byte in data for byte in _FORBIDDEN)
        if not bad:
            return data
    raise _first_fault(text)


def _joined(records: object) -> tuple[str, bool]:
    if isinstance(records, bytes | bytearray):
        raise RecordError("a string or an iterable of strings is needed, not bytes")
    items = cast("list[str]", _listed(records, "strings"))
    try:
        text = ",".join(items)
    except TypeError:
        index = next(i for i, item in enumerate(items) if not _is_string(item))
        raise RecordError("not a string", index=index) from None
    if items and text.count(",") != len(items) - 1:
        index = next(i for i, item in enumerate(items) if "," in item)
        raise RecordError("holds a comma, which separates records", index=index)
    return text, not all(items)


def _listed(given: object, kind: str) -> list[object]:
    if not isinstance(given, Iterable):
        raise RecordError(f"an iterable of {kind} is needed")
    return list(cast("Iterable[object]", given))


def _is_string(value: object) -> bool:
    return isinstance(value, str)


def _first_fault(text: str) -> RecordError:
    for index, record in enumerate(text.split(",")):
        if not record:
            return RecordError("is empty", index=index)
        if _FORBIDDEN_IN_TEXT.search(record):
            return RecordError(
                "holds white space, a control character, a quote or a backslash", index=index
            )
    raise AssertionError("unreachable: the caller found a fault")


def _rows(rows: object) -> list[dict[str, JSON]]:
    wire: list[dict[str, JSON]] = []
    for index, row in enumerate(_listed(rows, "rows")):
        if not isinstance(row, RecordRow):
            raise RecordError("not a RecordRow", index=index)
        for column in fields(RecordRow):
            _check_cell(column.name, getattr(row, column.name), index)
        wire.append(codec.to_wire(row))
        if not wire[-1]:
            raise RecordError("has no column set", index=index)
    if not wire:
        raise RecordError("there are none")
    return wire


def _check_cell(column: str, value: object, index: int) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.strip():
        raise RecordError(f"{column} is not a string, or empty", index=index)
    forbidden = _FORBIDDEN_IN_ROW if column in _PLAIN_COLUMNS else _FORBIDDEN_IN_TEXT
    if forbidden.search(value) or (column not in _PLAIN_COLUMNS and "," in value):
        raise RecordError(f"{column} holds a character that cannot be sent", index=index)
