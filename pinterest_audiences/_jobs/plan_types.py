"""The types of the values of a plan that is read from a file, which may have been edited."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinterest_audiences._models import JSON

__all__ = ["check_types"]

_MAX_COUNT = 2**63  # of the state file
_MAX_DEPTH = 3  # of lists and mappings in a value of a source; those of this version have 2


def check_types(values: Mapping[str, JSON]) -> None:
    """Check the values of a plan; a value may be missing.

    Args:
        values: The values by the names of the attributes of the plan.

    Raises:
        TypeError: A value has another type than in a plan; the message is its name.
    """
    _check(values, _OF_A_PLAN)
    if isinstance(source := values.get("source"), dict):
        _check(source, _OF_A_SOURCE)
        for name, value in source.items():
            if not _depth_is_at_most(_MAX_DEPTH, value):
                raise TypeError(f"source.{name}")


def _check(values: Mapping[str, JSON], types: Mapping[str, Callable[[JSON], bool]]) -> None:
    for name, is_valid in types.items():
        if name in values and not is_valid(values[name]):
            raise TypeError(name if types is _OF_A_PLAN else f"source.{name}")


def _is_text(value: JSON) -> bool:
    return isinstance(value, str)


def _is_optional_text(value: JSON) -> bool:
    return value is None or isinstance(value, str)


def _is_texts(value: JSON) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT


def _is_counts(value: JSON) -> bool:
    return isinstance(value, list) and all(map(_is_count, value))


def _is_number(value: JSON) -> bool:
    return _is_count(value) or (isinstance(value, float) and math.isfinite(value) and value >= 0)


def _is_optional_number(value: JSON) -> bool:
    return value is None or _is_number(value)


def _by_reason(is_valid: Callable[[JSON], bool]) -> Callable[[JSON], bool]:
    return lambda value: isinstance(value, dict) and all(map(is_valid, value.values()))


def _is_report_finding(value: JSON) -> bool:
    return isinstance(value, dict) and not any(
        isinstance(item, dict | list) for item in value.values()
    )


def _depth_is_at_most(depth: int, value: JSON) -> bool:
    inner = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    )
    return inner is None or (
        depth > 0 and all(_depth_is_at_most(depth - 1, item) for item in inner)
    )


_OF_A_PLAN: Mapping[str, Callable[[JSON], bool]] = {
    "job_id": _is_count,
    "ad_account_id": _is_text,
    "customer_list_id": _is_optional_text,
    "name": _is_optional_text,
    **dict.fromkeys(("add", "remove", "resend", "keep", "calls"), _is_count),
    "calls_a_minute": _is_optional_number,
    "removal_share": _is_number,
    "blocked": _is_text,
    "source": lambda value: value is None or isinstance(value, dict),
    "findings": _is_texts,
    "kind": lambda value: value in ("mirror", "upload"),
}
_OF_A_SOURCE: Mapping[str, Callable[[JSON], bool]] = {
    **dict.fromkeys(("source", "kind"), _is_text),
    **dict.fromkeys(("rows", "blank", "records", "duplicates", "rejected", "values"), _is_count),
    "limit": lambda value: value is None or _is_count(value),
    "complete": lambda value: isinstance(value, bool),
    **dict.fromkeys(("rejects", "forms", "files"), _by_reason(_is_count)),
    "first_rows": _by_reason(_is_counts),
    "first_files": _by_reason(_is_texts),
    "columns": _is_texts,
    "findings": lambda value: isinstance(value, list) and all(map(_is_report_finding, value)),
}
