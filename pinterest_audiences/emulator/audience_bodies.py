"""Reads the bodies of the operations on audiences.

A rule is echoed in every later answer, so each field that the description names must have the form
that it gives; other fields are kept as they came. That an empty `name` is refused is our guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import cast

import attrs

from pinterest_audiences.emulator.audiences import AudienceType
from pinterest_audiences.emulator.bodies import read_object
from pinterest_audiences.emulator.messages import ApiError, invalid

AUDIENCE_TYPES: Mapping[str, AudienceType] = {
    "CUSTOMER_LIST": "CUSTOMER_LIST",
    "VISITOR": "VISITOR",
    "ENGAGEMENT": "ENGAGEMENT",
    "ACTALIKE": "ACTALIKE",
    "PERSONA": "PERSONA",
}
"""What an audience can be made of."""
NEEDED_FIELDS: Mapping[str, str] = {
    "CUSTOMER_LIST": "customer_list_id",
    "ACTALIKE": "seed_id",
    "ENGAGEMENT": "engagement_domain",
}
"""The field that the rule of an audience must have, by its type."""
_ID = re.compile(r"[0-9]+")
LARGEST_PERCENTAGE = 10
"""How large a part of a country the people who are like an audience may be."""
PERCENTAGES = tuple(str(each) for each in range(1, LARGEST_PERCENTAGE + 1))
"""The same as words, which a rule may hold as well."""
MOST_RETENTION_DAYS = 540
"""How long visitors are kept in an audience at most."""
OBJECTIVES = frozenset(
    {"AWARENESS", "CONSIDERATION", "WEB_CONVERSION", "CATALOG_SALES", "VIDEO_COMPLETION"}
)
"""What ads may be after whose viewers are in an audience."""


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


def invalid_audience(detail: str) -> ApiError:
    """Return a 400 with code 400, which is how the description refuses an audience.

    Args:
        detail: What was wrong, without any value from the body.

    Returns:
        The refusal, to be raised.
    """
    return ApiError(400, 400, f"Invalid ad account audience parameters. {detail}")


def read_audience(body: bytes) -> AudienceBody:
    """Read the body of audiences/create.

    Args:
        body: The bytes that were sent.

    Returns:
        What they ask for.

    Raises:
        ApiError: 400 for anything that is not allowed.
    """
    fields = _read(body)
    name = _text(fields, "name")
    if not name:
        raise invalid("'name' is required and must be a non-empty string.")
    asked = fields.get("audience_type")
    audience_type = AUDIENCE_TYPES.get(asked) if isinstance(asked, str) else None
    if audience_type is None:
        raise invalid(f"'audience_type' must be one of: {', '.join(AUDIENCE_TYPES)}.")
    if "rule" not in fields:
        raise invalid("'rule' is required.")
    return AudienceBody(
        name=name,
        audience_type=audience_type,
        rule=_rule(fields["rule"], audience_type),
        description=_text(fields, "description"),
    )


def read_audience_update(body: bytes, audience_type: AudienceType) -> AudienceUpdateBody:
    """Read the body of audiences/update.

    Args:
        body: The bytes that were sent.
        audience_type: What the audience is made of.

    Returns:
        What they ask for.

    Raises:
        ApiError: 400 for anything that is not allowed.
    """
    fields = _read(body)
    operation_type = fields.get("operation_type", "UPDATE")
    if operation_type not in ("UPDATE", "REMOVE"):
        raise invalid("'operation_type' must be one of: UPDATE, REMOVE.")
    name = _text(fields, "name")
    if name == "":
        raise invalid("'name' must be a non-empty string.")
    return AudienceUpdateBody(
        operation_type=str(operation_type),
        name=name,
        rule=_rule(fields["rule"], audience_type) if "rule" in fields else None,
        description=_text(fields, "description"),
    )


def _read(body: bytes) -> Mapping[str, object]:
    fields = read_object(body)
    # The account in the path is the one that counts.
    if "ad_account_id" in fields and not _is_id(fields["ad_account_id"]):
        raise invalid("'ad_account_id' must be a string of digits.")
    return fields


def _text(fields: Mapping[str, object], name: str) -> str | None:
    value = fields.get(name)
    if value is None and name not in fields:
        return None
    if not isinstance(value, str):
        raise invalid(f"'{name}' must be a string.")
    return value


def _rule(rule: object, audience_type: AudienceType) -> Mapping[str, object]:
    if not isinstance(rule, dict):
        raise invalid("'rule' must be an object.")
    fields = dict(cast("dict[str, object]", rule))
    percentage = fields.get("percentage")
    # An integer to the schema, and "10" in the example beside it.
    if isinstance(percentage, str) and percentage in PERCENTAGES:
        fields["percentage"] = int(percentage)
    for name, (is_right, form) in _RULE_FIELDS.items():
        if name in fields and not is_right(fields[name]):
            raise invalid(f"'rule.{name}' must be {form}.")
    needed = NEEDED_FIELDS.get(audience_type)
    if needed is not None and not fields.get(needed):
        raise invalid_audience(f"'rule.{needed}' is required for {audience_type}.")
    return fields


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_integer(value: object) -> bool:
    if isinstance(value, float):
        return value.is_integer()  # to JSON Schema 8.0 is an integer
    return isinstance(value, int) and not isinstance(value, bool)


def _is_in(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: _is_integer(value) and low <= cast("float", value) <= high


def _is_list_of(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(is_right, cast("list[object]", value)))


_Form = tuple[Callable[[object], bool], str]
_AN_ID: _Form = (_is_id, "a string of digits")
_IDS: _Form = (_is_list_of(_is_id), "an array of strings of digits")
_A_TEXT: _Form = (_is_text, "a string")
_TEXTS: _Form = (_is_list_of(_is_text), "an array of strings")
_AN_OBJECT: _Form = (_is_object, "an object")

_RULE_FIELDS: Mapping[str, _Form] = {
    "ad_account_id": _AN_ID,
    "ad_id": _IDS,
    "campaign_id": _IDS,
    "country": _A_TEXT,
    "customer_list_id": _AN_ID,
    "engagement_domain": _TEXTS,
    "engagement_type": _A_TEXT,
    "engager_type": (_is_integer, "an integer"),
    "event": _A_TEXT,
    "event_data": _AN_OBJECT,
    "event_source": _AN_OBJECT,
    "ingestion_source": _AN_OBJECT,
    "objective_type": (
        _is_list_of(lambda value: isinstance(value, str) and value in OBJECTIVES),
        f"an array of: {', '.join(sorted(OBJECTIVES))}",
    ),
    "percentage": (_is_in(1, LARGEST_PERCENTAGE), f"from 1 to {LARGEST_PERCENTAGE}"),
    "pin_id": _IDS,
    "prefill": (lambda value: isinstance(value, bool), "a boolean"),
    "retention_days": (_is_in(1, MOST_RETENTION_DAYS), f"from 1 to {MOST_RETENTION_DAYS}"),
    "seed_id": _IDS,
    "url": _TEXTS,
    "visitor_source_id": _AN_ID,
}
