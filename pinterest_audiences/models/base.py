"""What all nouns are made of: JSON, enums that stay open, and pages."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Generic, Self, TypeAlias, TypeVar

from attrs import define

__all__ = ["JSON", "OpenEnum", "Order", "Page", "no_extra"]

T = TypeVar("T")

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"
"""Any JSON value, as Python's `json` reads it."""


class OpenEnum(enum.StrEnum):
    """A string enum that keeps values it does not know.

    A new value of the API must not break an old client: an unknown string becomes a member of its
    own that compares, hashes, pickles and serialises as that string. Compare with ``==``, not
    ``is``, and give ``match`` a ``case _``.

    Example:
        >>> from pinterest_audiences import CustomerListStatus
        >>> CustomerListStatus("READY") is CustomerListStatus.READY
        True
        >>> CustomerListStatus("ARCHIVED") == "ARCHIVED"
        True
        >>> CustomerListStatus("ARCHIVED").is_known
        False
    """

    def __reduce_ex__(self, _protocol: object) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.value,)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = "UNKNOWN"
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """Whether this version of the package knows the value."""
        return self._value_ in type(self)._value2member_map_


class Order(OpenEnum):
    """In which order things are listed, by id; a higher id is newer."""

    ASCENDING = "ASCENDING"
    DESCENDING = "DESCENDING"


@define
class Page(Generic[T]):
    """One page of a listing.

    Attributes:
        items: What is on the page, in the order it came.
        bookmark: Fetches the page after this one; ``None`` on the last page.
        request_bookmark: Fetched this page; ``None`` on the first one.
    """

    items: list[T]
    bookmark: str | None = None
    request_bookmark: str | None = None


def no_extra() -> dict[str, JSON]:
    """Return what ``extra`` is when every field is known."""
    return {}
