"""Reads request bodies, and refuses what Pinterest's description does not allow.

No refusal repeats anything from the body. That an empty `name`, an empty set of records and an
empty row are refused is our guess: the description sets no lengths.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn, cast

import attrs

from pinterest_audiences.emulator.messages import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinterest_audiences.emulator.members import Member
    from pinterest_audiences.emulator.state import OperationType

LIST_TYPES = frozenset({"EMAIL", "IDFA", "MAID", "LR_ID", "DLX_ID", "HASHED_PINNER_ID"})
OPERATION_TYPES: Mapping[str, OperationType] = {"ADD": "ADD", "REMOVE": "REMOVE"}
ROW_FIELDS = frozenset(
    {
        "email",
        "maid",
        "hashed_phone_number",
        "hashed_pinner_id",
        "external_id",
        "ip_address",
        "user_agent",
        "liveramp_envelope",
    }
)


@attrs.frozen(kw_only=True)
class CreateBody:
    """The body of customer_lists/create."""

    name: str = attrs.field(repr=False)
    list_type: str
    is_nca: bool
    members: Sequence[Member] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class UpdateBody:
    """The body of customer_lists/update."""

    operation_type: OperationType
    members: Sequence[Member] = attrs.field(repr=False)


def read_create(body: bytes) -> CreateBody:
    """Read the body of customer_lists/create.

    Args:
        body: The bytes that were sent.

    Returns:
        What they ask for.

    Raises:
        ApiError: 400 for anything that is not allowed.
    """
    fields = read_object(body)
    name = fields.get("name")
    if not isinstance(name, str) or not name:
        raise invalid("'name' is required and must be a non-empty string.")
    list_type = fields.get("list_type", "EMAIL")
    if not isinstance(list_type, str) or list_type not in LIST_TYPES:
        raise invalid(f"'list_type' must be one of: {', '.join(sorted(LIST_TYPES))}.")
    is_nca = fields.get("is_nca", False)
    if not isinstance(is_nca, bool):
        raise invalid("'is_nca' must be a boolean.")
    return CreateBody(name=name, list_type=list_type, is_nca=is_nca, members=_members(fields))


def read_update(body: bytes) -> UpdateBody:
    """Read the body of customer_lists/update.

    Args:
        body: The bytes that were sent.

    Returns:
        What they ask for.

    Raises:
        ApiError: 400 for anything that is not allowed.
    """
    fields = read_object(body)
    asked = fields.get("operation_type")
    operation_type = OPERATION_TYPES.get(asked) if isinstance(asked, str) else None
    if operation_type is None:
        raise invalid("'operation_type' is required and must be one of: ADD, REMOVE.")
    return UpdateBody(operation_type=operation_type, members=_members(fields))


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are Python's, not JSON's


def read_object(body: bytes) -> Mapping[str, object]:
    """Read a body that must be a JSON object.

    Args:
        body: The bytes that were sent.

    Returns:
        The fields of the object.

    Raises:
        ApiError: 400 for anything else.
    """
    try:
        decoded: object = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # ValueError is also bytes that are not UTF-8 and integers of thousands of digits.
        raise invalid("The request body is not valid JSON.") from None
    if not isinstance(decoded, dict):
        raise invalid("The request body must be a JSON object.")
    return cast("dict[str, object]", decoded)


def _members(fields: Mapping[str, object]) -> Sequence[Member]:
    if ("records" in fields) == ("records_v2" in fields):
        raise invalid("Provide exactly one of records or records_v2.")
    members = _split(fields["records"]) if "records" in fields else _read_rows(fields["records_v2"])
    if not members:
        raise invalid("At least one record is required.")
    return members


def _split(records: object) -> Sequence[Member]:
    if not isinstance(records, str):
        raise invalid("'records' must be a string of comma-separated records.")
    # The description's own example ends in a comma, so an empty piece is no record.
    return [record for record in records.split(",") if record]


def _read_rows(rows: object) -> Sequence[Member]:
    if not isinstance(rows, list):
        raise invalid("'records_v2' must be an array of objects.")
    return [_read_row(row) for row in cast("list[object]", rows)]


def _read_row(row: object) -> Member:
    if not isinstance(row, dict):
        raise invalid("'records_v2' must be an array of objects.")
    fields = cast("dict[str, object]", row)
    if not fields.keys() <= ROW_FIELDS:
        raise invalid(
            f"A row of 'records_v2' may only have the fields: {', '.join(sorted(ROW_FIELDS))}."
        )
    pairs = [(field, value) for field, value in fields.items() if isinstance(value, str)]
    if len(pairs) < len(fields):
        raise invalid("Every field of a row of 'records_v2' must be a string.")
    told = tuple(sorted(pair for pair in pairs if pair[1]))
    if not told:
        raise invalid("A row of 'records_v2' must have at least one field that is not empty.")
    return told
