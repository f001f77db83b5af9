"""Who a token belongs to."""

from __future__ import annotations

# The text of JSON names Sequence, and is read where the model is defined.
from collections.abc import Mapping, Sequence  # noqa: F401  # pyright: ignore[reportUnusedImport]

from attrs import define, field

from pinterest_audiences.models.base import JSON, OpenEnum, no_extra

__all__ = ["UserAccount", "UserAccountType"]


class UserAccountType(OpenEnum):
    """What kind of account it is."""

    PINNER = "PINNER"
    BUSINESS = "BUSINESS"


@define
class UserAccount:
    """The account that a token acts for, as Pinterest shows it.

    Attributes:
        id: The account's id, a string of digits.
        username: Its name at Pinterest.
        account_type: What kind of account it is; unknown kinds are kept as they come.
        business_name: The name of the business, where it is one.
        extra: Everything else that Pinterest tells, such as counts of boards and pins.
    """

    id: str | None = None
    username: str | None = None
    account_type: UserAccountType | None = None
    business_name: str | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)
