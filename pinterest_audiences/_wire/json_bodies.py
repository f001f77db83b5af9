"""Request bodies that are plain JSON objects: those of audiences and of uploads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from pinterest_audiences._wire import settings
from pinterest_audiences._wire.bodies import known_value
from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.models import (
    JSON,
    AudienceOperationType,
    AudienceType,
    OperationType,
)

__all__ = ["MOST_PARTS", "audience_create", "audience_update", "upload_create"]

MOST_PARTS = 10  # "total_parts: 1..10" of the API's description


def audience_create(
    *,
    name: object,
    audience_type: AudienceType | str,
    rule: object,
    description: object,
) -> tuple[bytes, ...]:
    """Make the body of ``audiences/create``.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    kind = known_value("audience_type", audience_type, AudienceType)
    _check_text("name", name)
    _check_rule(rule)
    given = {"name": name, "audience_type": str(kind), "rule": rule}
    if description is not None:
        given["description"] = _check_string("description", description)
    return _encoded(given)


def audience_update(
    *,
    operation_type: AudienceOperationType | str,
    name: object,
    description: object,
    rule: object,
) -> tuple[bytes, ...]:
    """Make the body of ``audiences/update``.

    Raises:
        ConfigurationError: An argument is wrong, an update changes nothing, or a removal comes
            with a change.
    """
    operation = known_value("operation_type", operation_type, AudienceOperationType)
    given: dict[str, object] = {}
    if name is not None:
        given["name"] = _check_text("name", name)
    if description is not None:
        given["description"] = _check_string("description", description)
    if rule is not None:
        given["rule"] = _check_rule(rule)
    if operation == AudienceOperationType.UPDATE and not given:
        raise ConfigurationError("audience: a name, description or rule to change is needed")
    if operation == AudienceOperationType.REMOVE and given:
        raise ConfigurationError("operation_type: REMOVE takes no other change; leave them out")
    return _encoded({"operation_type": str(operation), **given})


def upload_create(*, operation: OperationType | str, total_parts: object) -> tuple[bytes, ...]:
    """Make the body of ``customer_list_uploads/create``.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    kind = known_value("operation", operation, OperationType)
    parts = settings.whole_number("total_parts", total_parts, 1, MOST_PARTS)
    return _encoded({"operation": str(kind), "total_parts": parts})


def _encoded(given: Mapping[str, object]) -> tuple[bytes, ...]:
    return (json.dumps(given, separators=(",", ":")).encode(),)


def _check_text(name: str, value: object) -> str:
    if not _check_string(name, value).strip():
        raise ConfigurationError(f"{name}: a string that is not empty is needed")
    return str(value)


def _check_string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: a string is needed")
    return value


def _check_rule(rule: object) -> JSON:
    """Return the rule as JSON will have it; what it says is Pinterest's to judge."""
    if not isinstance(rule, Mapping) or not rule:
        raise ConfigurationError("rule: a mapping that is not empty is needed")
    try:
        encoded = json.dumps(dict(cast("Mapping[object, object]", rule)), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError("rule: holds something that JSON has no form for") from None
    plain: JSON = json.loads(encoded)
    return plain
