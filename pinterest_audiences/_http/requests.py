"""Request bodies and query strings, with the validation of their arguments.

The record string can have a megabyte, most of it hexadecimal digits. With orjson one pass checks it
and writes the whole body. Python's encoder would be too slow: without orjson the string is searched
for the few bytes that are not allowed in JSON or by Pinterest, and becomes a separate chunk.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar, cast
from urllib.parse import unquote

from attrs import fields

from pinterest_audiences import _config
from pinterest_audiences._config import validate_text
from pinterest_audiences._errors import ConfigurationError, RecordError
from pinterest_audiences._http import codec
from pinterest_audiences._http.operations import Call, Operation, validate_id
from pinterest_audiences._models import (
    JSON,
    AudienceOperationType,
    AudienceType,
    OpenEnum,
    OperationType,
    Order,
    RawResponse,
    RecordRow,
    UserListType,
)
from pinterest_audiences._records.batches import NOT_IN_CELLS, Batch

__all__ = [
    "MAX_PARTS",
    "QueryValue",
    "audience_create",
    "audience_update",
    "check_bookmark",
    "customer_list_create",
    "customer_list_update",
    "listing",
    "parse_enum",
    "raw",
    "segment_create",
    "segment_update",
    "upload_create",
]

QueryValue: TypeAlias = "str | int | float | bool | Sequence[str | int | float | bool]"
"""The value of a query parameter; a list repeats the parameter."""
E = TypeVar("E", bound=OpenEnum)
MAX_PARTS = 10  # "total_parts: 1..10" of the API's description
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_IDEMPOTENT_METHODS = ("GET", "PUT", "DELETE")  # RFC 9110, section 9.2.2
# Segments of RFC 3986 that are not empty, so that a path cannot begin with a host.
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+/?")
_ID_IN_PATH = re.compile(r"(?<=/)[0-9]+(?=/|$)")
_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,49}")
_MAX_PAGE_SIZE = 250  # "page_size: 1..250" of the API's description
# Records are separated by commas, and the API has no way to escape characters in them.
_FORBIDDEN = tuple(bytes([code]) for code in (*range(0x21), 0x22, 0x5C, 0x7F))
_FORBIDDEN_IN_TEXT = re.compile(r'[\s\x00-\x20\x7f-\x9f"\\\ud800-\udfff]')
_PLAIN_COLUMNS = frozenset({"external_id", "user_agent"})  # may contain spaces and commas


def customer_list_create(
    *,
    name: object,
    list_type: UserListType | str,
    is_nca: bool | None,
    records: str | Iterable[str] | Batch | None,
    records_v2: Iterable[RecordRow] | None,
) -> tuple[bytes, ...]:
    """Return the body of ``customer_lists/create``.

    Raises:
        ConfigurationError: The name is not a non-empty string, or the list type is unknown.
        RecordError: Not exactly one of records and records_v2 is given, or a record is invalid.
    """
    head: dict[str, JSON] = {
        "name": validate_text("name", name),
        "list_type": str(parse_enum("list_type", list_type, UserListType)),
    }
    if is_nca is not None:
        head["is_nca"] = _config.validate_flag("is_nca", is_nca)
    return _body(head, records, records_v2)


def customer_list_update(
    *,
    operation_type: OperationType | str,
    records: str | Iterable[str] | Batch | None,
    records_v2: Iterable[RecordRow] | None,
) -> tuple[bytes, ...]:
    """Return the body of ``customer_lists/update``.

    Raises:
        ConfigurationError: The operation type is unknown.
        RecordError: Not exactly one of records and records_v2 is given, or a record is invalid.
    """
    operation = parse_enum("operation_type", operation_type, OperationType)
    return _body({"operation_type": str(operation)}, records, records_v2)


def upload_create(*, operation: OperationType | str, total_parts: object) -> tuple[bytes, ...]:
    """Return the body of ``customer_list_uploads/create``.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    kind = parse_enum("operation", operation, OperationType)
    parts = _config.validate_integer("total_parts", total_parts, 1, MAX_PARTS)
    return _encoded({"operation": str(kind), "total_parts": parts})


def audience_create(
    *,
    name: object,
    audience_type: AudienceType | str,
    rule: object,
    description: object,
) -> tuple[bytes, ...]:
    """Return the body of ``audiences/create``.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    kind = parse_enum("audience_type", audience_type, AudienceType)
    validate_text("name", name)
    _check_rule(rule)
    body = {"name": name, "audience_type": str(kind), "rule": rule}
    if description is not None:
        body["description"] = _check_string("description", description)
    return _encoded(body)


def audience_update(
    *,
    operation_type: AudienceOperationType | str,
    name: object,
    description: object,
    rule: object,
) -> tuple[bytes, ...]:
    """Return the body of ``audiences/update``.

    Raises:
        ConfigurationError: An argument is wrong, an update without a change, or a removal with
            one.
    """
    operation = parse_enum("operation_type", operation_type, AudienceOperationType)
    body: dict[str, object] = {}
    if name is not None:
        body["name"] = validate_text("name", name)
    if description is not None:
        body["description"] = _check_string("description", description)
    if rule is not None:
        body["rule"] = _check_rule(rule)
    if operation == AudienceOperationType.UPDATE and not body:
        raise ConfigurationError(
            "audience: UPDATE requires a name, description or rule", param="audience"
        )
    if operation == AudienceOperationType.REMOVE and body:
        raise ConfigurationError(
            "operation_type REMOVE does not allow other changes; omit them", param="operation_type"
        )
    return _encoded({"operation_type": str(operation), **body})


def segment_create(*, name: object, audience_ids: object) -> tuple[bytes, ...]:
    """Return the body of ``customer_segments/create``.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    body = {"name": validate_text("name", name), "audience_ids": _check_ids(audience_ids)}
    return _encoded(body)


def segment_update(
    *, customer_segment_id: object, operation_type: object, audience_ids: object
) -> tuple[bytes, ...]:
    """Return the body of ``customer_segments/update``.

    Raises:
        ConfigurationError: An argument is wrong, an update without audiences, or a removal with
            them.
    """
    operation = parse_enum("operation_type", operation_type, AudienceOperationType)
    body: dict[str, object] = {
        "id": validate_id("customer_segment_id", customer_segment_id),
        "operation_type": str(operation),
    }
    if operation == AudienceOperationType.UPDATE:
        body["audience_ids"] = _check_ids(audience_ids)
    elif audience_ids is not None:
        raise ConfigurationError(
            "audience_ids must be omitted with operation_type REMOVE", param="audience_ids"
        )
    return _encoded(body)


def listing(
    *, page_size: int | None, order: Order | str | None = None, **flags: bool | None
) -> dict[str, str]:
    """Return the query of a listing, without omitted arguments.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    query: dict[str, str] = {}
    if page_size is not None:
        size = _config.validate_integer("page_size", page_size, 1, _MAX_PAGE_SIZE)
        query["page_size"] = str(size)
    if order is not None:
        query["order"] = str(parse_enum("order", order, Order))
    for name, flag in flags.items():
        if flag is not None:
            query[name] = "true" if _config.validate_flag(name, flag) else "false"
    return query


def raw(
    *,
    method: object,
    path: object,
    params: object,
    data: object,
    idempotent: object,
    category: object,
) -> Call[RawResponse]:
    """Return a call that no operation describes, below the base URL and nowhere else.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    if method not in _METHODS:
        raise ConfigurationError(f"method must be one of {', '.join(_METHODS)}", param="method")
    path = _check_path(path)
    if method == "GET" and data is not None:
        raise ConfigurationError("json is not allowed with GET; use params", param="json")
    if idempotent is None:
        repeatable = method in _IDEMPOTENT_METHODS
    else:
        repeatable = _config.validate_flag("idempotent", idempotent)
    if category is None:
        category = "ads_read" if method == "GET" else "ads_write"
    elif not isinstance(category, str) or not _CATEGORY.fullmatch(category):
        raise ConfigurationError(
            "category must be a rate limit category such as ads_analytics", param="category"
        )
    operation = Operation(
        name="request",
        method=_METHODS[_METHODS.index(method)],
        path=_ID_IN_PATH.sub("{id}", path),
        category=category,
        scope="",
        idempotent=repeatable,
        response_model=RawResponse,
    )
    body = () if data is None else (_encode_json(data),)
    return Call(operation, path, _query(params), body)


def _check_path(path: object) -> str:
    """Return a path whose segments stay below the base URL, also after decoding."""
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ConfigurationError(
            "path must begin with / and continue below the base URL, such as"
            " /ad_accounts/549755885175/campaigns, without a host, query or fragment",
            param="path",
            suggestion="pass the query as params=, and encode other characters with %",
        )
    if {".", ".."} & set(re.split(r"[/\\]", unquote(path))):
        raise ConfigurationError("path must not contain the segments . and ..", param="path")
    return path


def _query(params: object) -> dict[str, str | list[str]]:
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise ConfigurationError("params must be a mapping", param="params")
    query: dict[str, str | list[str]] = {}
    for name, value in cast("Mapping[object, object]", params).items():
        if not isinstance(name, str) or not name or not _is_encodable(name):
            raise ConfigurationError("params must have non-empty strings as names", param="params")
        if isinstance(value, list | tuple):
            query[name] = [_query_text(item) for item in cast("Sequence[object]", value)]
        else:
            query[name] = _query_text(value)
    return query


def _query_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and math.isfinite(value):
        return str(value)
    if isinstance(value, str) and _is_encodable(value):
        return str.__str__(value)  # of a member of an enum too
    raise ConfigurationError(
        "params must have strings, numbers, booleans, or lists of them as values", param="params"
    )


def _is_encodable(text: str) -> bool:
    """Return whether text has neither surrogates nor control characters."""
    return not any(unicodedata.category(char) in ("Cc", "Cs") for char in text)


def _encode_json(value: object) -> bytes:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError("json must contain JSON values only", param="json") from None


def check_bookmark(bookmark: object) -> None:
    """Validate a bookmark.

    Raises:
        ConfigurationError: It is neither None nor a non-empty string.
    """
    if bookmark is not None and (not isinstance(bookmark, str) or not bookmark):
        raise ConfigurationError("bookmark must be a non-empty string, or None", param="bookmark")


def parse_enum(name: str, value: object, kind: type[E]) -> E:
    """Return the enum member of an argument.

    Raises:
        ConfigurationError: It is not a known member.
    """
    member = kind(value) if isinstance(value, str) else None
    if member is None or not member.is_known:
        raise ConfigurationError(f"{name} must be one of {', '.join(kind)}", param=name)
    return member


def _body(
    head: dict[str, JSON],
    records: str | Iterable[str] | Batch | None,
    records_v2: Iterable[RecordRow] | None,
) -> tuple[bytes, ...]:
    if (records is None) == (records_v2 is None):
        raise RecordError("exactly one of records and records_v2 is required")
    start = json.dumps(head, separators=(",", ":"))[:-1].encode()
    if isinstance(records, Batch):
        return start + b",", records.fragment, b"}"
    if records is not None:
        return _string_body(head, start, records)
    rows = json.dumps(_rows(records_v2), separators=(",", ":")).encode()
    return start + b',"records_v2":', rows, b"}"


def _string_body(
    head: dict[str, JSON], start: bytes, records: str | Iterable[str]
) -> tuple[bytes, ...]:
    """Return the body with a checked record string."""
    if isinstance(records, str):
        text = records
        # Two commas in a row are allowed: searching for them would cost more than sending the rest.
        empty = text.startswith(",") or text.endswith(",")
    else:
        text, empty = _joined(records)
    if not text and not empty:
        raise RecordError("must not be empty")
    if not empty:
        if not text.isascii():
            if not _FORBIDDEN_IN_TEXT.search(text):
                return start + b',"records":"', text.encode(), b'"}'
        elif codec.fast_dumps is not None and b"\\" not in start:
            body = codec.fast_dumps({**head, "records": text})
            if _contains_unescaped(body, start, text):
                return (body,)
        else:
            data = text.encode()
            if not any(byte in data for byte in _FORBIDDEN):
                return start + b',"records":"', data, b'"}'
    raise _first_invalid_record(text)


def _contains_unescaped(body: bytes, start: bytes, text: str) -> bool:
    """Return whether a body contains an ASCII text without escapes and white space."""
    if len(body) != len(start) + len(text) + len(',"records":""}'):
        return False
    return body.find(b" ", len(start)) < 0 and body.find(b"\x7f", len(start)) < 0


def _joined(records: object) -> tuple[str, bool]:
    if isinstance(records, bytes | bytearray):
        raise RecordError("must be a string or an iterable of strings, not bytes")
    items = cast("list[str]", _to_list(records, "strings"))
    try:
        text = ",".join(items)
    except TypeError:
        index = next(i for i, item in enumerate(items) if not _is_string(item))
        raise RecordError("not a string", index=index) from None
    if items and text.count(",") != len(items) - 1:
        index = next(i for i, item in enumerate(items) if "," in item)
        raise RecordError("contains a comma, which separates records", index=index)
    return text, not all(items)


def _to_list(items: object, kind: str) -> list[object]:
    if not isinstance(items, Iterable):
        raise RecordError(f"must be an iterable of {kind}")
    return list(cast("Iterable[object]", items))


def _is_string(value: object) -> bool:
    return isinstance(value, str)


def _first_invalid_record(text: str) -> RecordError:
    for index, record in enumerate(text.split(",")):
        if not record:
            return RecordError("is empty", index=index)
        if _FORBIDDEN_IN_TEXT.search(record):
            return RecordError(
                "contains white space, a control character, a quote or a backslash", index=index
            )
    raise AssertionError("unreachable: the caller found an invalid record")


def _rows(rows: object) -> list[dict[str, JSON]]:
    result: list[dict[str, JSON]] = []
    for index, row in enumerate(_to_list(rows, "rows")):
        if not isinstance(row, RecordRow):
            raise RecordError("not a RecordRow", index=index)
        for column in fields(RecordRow):
            _check_cell(column.name, getattr(row, column.name), index)
        result.append(codec.to_wire(row))
        if not result[-1]:
            raise RecordError("has no column set", index=index)
    if not result:
        raise RecordError("must not be empty")
    return result


def _check_cell(column: str, value: object, index: int) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.strip():
        raise RecordError(f"{column} must be a non-empty string", index=index)
    forbidden = NOT_IN_CELLS if column in _PLAIN_COLUMNS else _FORBIDDEN_IN_TEXT
    if forbidden.search(value) or (column not in _PLAIN_COLUMNS and "," in value):
        raise RecordError(f"{column} contains a character that cannot be sent", index=index)


def _encoded(body: Mapping[str, object]) -> tuple[bytes, ...]:
    return (json.dumps(body, separators=(",", ":")).encode(),)


def _check_string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string", param=name)
    return value


def _check_ids(audience_ids: object) -> list[str]:
    """Return ids of audiences; a single string is refused, because it is iterable too."""
    if isinstance(audience_ids, str | bytes | bytearray | Mapping) or not isinstance(
        audience_ids, Iterable
    ):
        raise ConfigurationError(
            "audience_ids must be an iterable of ids of audiences", param="audience_ids"
        )
    items = cast("Iterable[object]", audience_ids)
    ids = [validate_id("audience_ids", item) for item in items]
    if not ids:
        raise ConfigurationError("audience_ids must not be empty", param="audience_ids")
    return ids


def _check_rule(rule: object) -> JSON:
    """Return the rule as JSON; its contents are validated by Pinterest."""
    if not isinstance(rule, Mapping) or not rule:
        raise ConfigurationError("rule must be a non-empty mapping", param="rule")
    try:
        encoded = json.dumps(dict(cast("Mapping[object, object]", rule)), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError("rule must contain JSON values only", param="rule") from None
    plain: JSON = json.loads(encoded)
    return plain
