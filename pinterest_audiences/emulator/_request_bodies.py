"""Reads request bodies, and refuses what the schemas do not allow.

A refusal never repeats a value from the body. The checks come from `_schemas`; those that a schema
cannot express, or whose refusal says something else, are here with the reason.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn, cast

import attrs

from pinterest_audiences.emulator._customer_lists import record_validator
from pinterest_audiences.emulator._http import ApiError, body_too_large, invalid
from pinterest_audiences.emulator._schemas import (
    REQUIRED_RULE_FIELDS,
    ROW_FIELDS,
    SCHEMAS,
    expectation,
    matches,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinterest_audiences.emulator._assumptions import Assumptions, LineBreaks
    from pinterest_audiences.emulator._audiences import AudienceType
    from pinterest_audiences.emulator._customer_lists import Member, OperationType
    from pinterest_audiences.emulator._schemas import Schema

_ROW_FIELDS = frozenset(ROW_FIELDS)
_RULE: Mapping[str, Schema] = SCHEMAS["AudienceRule"]["properties"]


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


@attrs.frozen(kw_only=True)
class UploadBody:
    """The body of customer_list_uploads/create."""

    operation: OperationType
    total_parts: int


@attrs.frozen(kw_only=True)
class AudienceBody:
    """The body of audiences/create."""

    name: str = attrs.field(repr=False)
    audience_type: AudienceType
    rule: Mapping[str, object] = attrs.field(repr=False)
    description: str | None = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class AudienceUpdateBody:
    """The body of audiences/update."""

    operation_type: str
    name: str | None = attrs.field(repr=False)
    rule: Mapping[str, object] | None = attrs.field(repr=False)
    description: str | None = attrs.field(repr=False)


@attrs.frozen
class JsonBody:
    """A body that is a JSON object, and its schema.

    Attributes:
        fields: The fields that were sent.
        schema: The schema of the whole object.
    """

    fields: Mapping[str, object] = attrs.field(repr=False)
    schema: Schema = attrs.field(repr=False)

    def value(self, name: str, *, says_required: bool = True) -> object:
        """Return a field as its schema allows it.

        Args:
            name: Its name.
            says_required: Whether the refusal mentions that the field is required.

        Returns:
            The value; for a field that was not sent, its default or None.

        Raises:
            ApiError: 400 for a value that is not allowed, or a required field that is missing.
        """
        schema: Schema = self.schema["properties"][name]
        is_required = name in self.schema.get("required", ())
        if name not in self.fields and not is_required:
            return schema.get("default")
        if name in self.fields and matches(self.fields[name], schema):
            return self.fields[name]
        required = "is required and " if is_required and says_required else ""
        raise invalid(f"'{name}' {required}must be {expectation(schema)}.")


def read_body(body: bytes, schema_name: str) -> JsonBody:
    """Read a body that must be a JSON object.

    Args:
        body: The bytes that were sent.
        schema_name: The name of its schema.

    Returns:
        Its fields, unchecked.

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
    return JsonBody(cast("dict[str, object]", decoded), SCHEMAS[schema_name])


def read_create(body: bytes, assumptions: Assumptions) -> CreateBody:
    """Read the body of customer_lists/create.

    Args:
        body: The bytes that were sent.
        assumptions: What is not published: its size, and the form of its records.

    Returns:
        The checked fields.

    Raises:
        ApiError: 400 for anything that is not allowed.
    """
    _check_size(body, assumptions)
    json_body = read_body(body, "CustomerListCreate")
    name, list_type = (cast("str", json_body.value(field)) for field in ("name", "list_type"))
    return CreateBody(
        name=name,
        list_type=list_type,
        is_nca=bool(json_body.value("is_nca")),
        members=_members(json_body.fields, list_type, assumptions),
    )


def read_update(body: bytes, list_type: str, assumptions: Assumptions) -> UpdateBody:
    """Read the body of customer_lists/update.

    Args:
        body: The bytes that were sent.
        list_type: The declared type of the list.
        assumptions: What is not published: its size, and the form of its records.

    Returns:
        The checked fields.

    Raises:
        ApiError: 400 for anything that is not allowed.
    """
    _check_size(body, assumptions)
    json_body = read_body(body, "CustomerListUpdate")
    return UpdateBody(
        operation_type=cast("OperationType", json_body.value("operation_type")),
        members=_members(json_body.fields, list_type, assumptions),
    )


def read_upload(body: bytes) -> UploadBody:
    """Read the body of customer_list_uploads/create.

    Args:
        body: The bytes that were sent.

    Returns:
        The checked fields.

    Raises:
        ApiError: 400 for anything that is not allowed.
    """
    json_body = read_body(body, "CustomerListUploadCreate")
    return UploadBody(
        operation=cast("OperationType", json_body.value("operation")),
        total_parts=int(cast("float", json_body.value("total_parts"))),  # 8.0 is an integer in JSON
    )


def read_audience(body: bytes) -> AudienceBody:
    """Read the body of audiences/create.

    Args:
        body: The bytes that were sent.

    Returns:
        The checked fields.

    Raises:
        ApiError: 400 for anything that is not allowed.
    """
    json_body = read_body(body, "AudienceCreate")
    json_body.value("ad_account_id")  # checked only: the account in the path counts
    name = _name(json_body)
    audience_type = cast("AudienceType", json_body.value("audience_type", says_required=False))
    if "rule" not in json_body.fields:
        raise invalid("'rule' is required.")
    return AudienceBody(
        name=cast("str", name),
        audience_type=audience_type,
        rule=_rule(json_body.fields["rule"], audience_type),
        description=cast("str | None", json_body.value("description")),
    )


def read_audience_update(body: bytes, audience_type: AudienceType) -> AudienceUpdateBody:
    """Read the body of audiences/update.

    Args:
        body: The bytes that were sent.
        audience_type: The type of the audience, which decides what its rule must have.

    Returns:
        The checked fields.

    Raises:
        ApiError: 400 for anything that is not allowed.
    """
    json_body = read_body(body, "AudienceUpdate")
    json_body.value("ad_account_id")
    return AudienceUpdateBody(
        operation_type=cast("str", json_body.value("operation_type")),
        name=_name(json_body),
        rule=_rule(json_body.fields["rule"], audience_type) if "rule" in json_body.fields else None,
        description=cast("str | None", json_body.value("description")),
    )


def invalid_audience(detail: str) -> ApiError:
    """Return a 400 with code 400, which is how the description refuses an audience.

    Args:
        detail: What was wrong, without any value from the body.

    Returns:
        The refusal, to be raised.
    """
    return ApiError(400, 400, f"Invalid ad account audience parameters. {detail}")


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are Python's, not JSON's


def _check_size(body: bytes, assumptions: Assumptions) -> None:
    most = assumptions.most_body_bytes
    if most is not None and len(body) > most:
        raise body_too_large(most)


def _members(
    fields: Mapping[str, object], list_type: str, assumptions: Assumptions
) -> Sequence[Member]:
    # Not checked by the schema: that would be slow for many thousand records, and each check has
    # its own message.
    if ("records" in fields) == ("records_v2" in fields):
        raise invalid("Provide exactly one of records or records_v2.")
    if "records" in fields:
        records = _split_records(fields["records"], assumptions.line_breaks)
        is_valid = assumptions.is_valid_record or record_validator(list_type)
        if assumptions.invalid_records == "refuse" and not all(map(is_valid, records)):
            raise invalid("'records' holds one that is neither an e-mail nor a digest.")
        members: Sequence[Member] = records
    else:
        members = _read_rows(fields["records_v2"])
    if not members:
        raise invalid("At least one record is required.")
    most = assumptions.most_records
    if most is not None and len(members) > most:
        raise invalid(f"At most {most:,} records are allowed in a request.")
    return members


def _split_records(records: object, line_breaks: LineBreaks) -> Sequence[str]:
    if not isinstance(records, str):
        raise invalid("'records' must be a string of comma-separated records.")
    if line_breaks != "record" and ("\n" in records or "\r" in records):
        if line_breaks == "refuse":
            raise invalid("'records' must not contain line breaks.")
        records = records.replace("\r", ",").replace("\n", ",")
    # The description's own example ends in a comma, so an empty piece is not a record.
    return [record for record in records.split(",") if record]


def _read_rows(rows: object) -> Sequence[Member]:
    if not isinstance(rows, list):
        raise invalid("'records_v2' must be an array of objects.")
    return [_read_row(row) for row in cast("list[object]", rows)]


def _read_row(row: object) -> Member:
    if not isinstance(row, dict):
        raise invalid("'records_v2' must be an array of objects.")
    fields = cast("dict[str, object]", row)
    if not fields.keys() <= _ROW_FIELDS:
        raise invalid(f"A row of 'records_v2' may only have the fields: {', '.join(ROW_FIELDS)}.")
    pairs = [(field, value) for field, value in fields.items() if isinstance(value, str)]
    if len(pairs) < len(fields):
        raise invalid("Every field of a row of 'records_v2' must be a string.")
    member = tuple(sorted(pair for pair in pairs if pair[1]))
    if not member:
        raise invalid("A row of 'records_v2' must have at least one field that is not empty.")
    return member


def _name(json_body: JsonBody) -> str | None:
    # Not checked by the schema: another type is refused with another message than an empty name.
    if not isinstance(json_body.fields.get("name", ""), str):
        raise invalid("'name' must be a string.")
    return cast("str | None", json_body.value("name"))


def _rule(rule: object, audience_type: AudienceType) -> Mapping[str, object]:
    """Check a rule, which later answers repeat; fields that are not described are kept."""
    if not isinstance(rule, dict):
        raise invalid("'rule' must be an object.")
    fields = dict(cast("dict[str, object]", rule))
    for name, schema in _RULE.items():
        if name in fields and not matches(fields[name], schema):
            raise invalid(f"'rule.{name}' must be {expectation(schema)}.")
    # The schema allows a string, as in the description's example; answers have an integer.
    if isinstance(fields.get("percentage"), str):
        fields["percentage"] = int(cast("str", fields["percentage"]))
    # Not checked by the schema: it is refused with another code.
    required = REQUIRED_RULE_FIELDS.get(audience_type)
    if required is not None and not fields.get(required):
        raise invalid_audience(f"'rule.{required}' is required for {audience_type}.")
    return fields
