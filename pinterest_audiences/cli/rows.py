"""From the package's models to rows of JSON values."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, cast

from attrs import AttrsInstance, asdict

if TYPE_CHECKING:
    from pinterest_audiences.models import JSON

__all__ = ["row_of"]


def row_of(thing: object) -> dict[str, JSON]:
    """Return what Pinterest told of a thing, without what this version does not know of.

    Times are ISO 8601 in UTC. Names are only ever added.

    Args:
        thing: A customer list, an audience, or an account.
    """
    told = asdict(cast("AttrsInstance", thing), value_serializer=_plain)
    # `exceptions` may quote records, and nobody knows what is in `extra`.
    return {name: value for name, value in told.items() if name not in ("extra", "exceptions")}


def _plain(_owner: object, _field: object, value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, str) else value
