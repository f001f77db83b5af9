"""Audiences: what an ad is shown to, made of customer lists and of other things."""

from __future__ import annotations

# The text of JSON names Sequence, and is read where the model is defined.
from collections.abc import Mapping, Sequence  # noqa: F401  # pyright: ignore[reportUnusedImport]
from datetime import datetime

from attrs import define, field

from pinterest_audiences.models.base import JSON, OpenEnum, no_extra

__all__ = [
    "Audience",
    "AudienceOperationType",
    "AudienceStatus",
    "AudienceType",
    "OwnershipType",
]


class AudienceType(OpenEnum):
    """What an audience is made of."""

    CUSTOMER_LIST = "CUSTOMER_LIST"
    VISITOR = "VISITOR"
    ENGAGEMENT = "ENGAGEMENT"
    ACTALIKE = "ACTALIKE"
    PERSONA = "PERSONA"


class AudienceStatus(OpenEnum):
    """Where an audience is in its life; only the first three are told of before 5.28.

    ``TOO_SMALL`` means that it holds fewer than 100 people with Pinterest accounts.
    """

    INITIALIZING = "INITIALIZING"
    READY = "READY"
    TOO_SMALL = "TOO_SMALL"
    ELIGIBLE = "ELIGIBLE"
    PERSONAS_INELIGIBLE_SIZE = "PERSONAS_INELIGIBLE_SIZE"
    PERSONAS_INITIALIZING = "PERSONAS_INITIALIZING"


class OwnershipType(OpenEnum):
    """Whose audiences are listed: the ad account's own, or those that others share with it."""

    OWNED = "OWNED"
    RECEIVED = "RECEIVED"


class AudienceOperationType(OpenEnum):
    """What an update does with an audience."""

    UPDATE = "UPDATE"
    REMOVE = "REMOVE"


@define
class Audience:
    """An audience, as Pinterest shows it.

    Attributes:
        id: The audience's id, a string of digits.
        ad_account_id: The ad account it belongs to.
        name: Its name.
        description: Its description.
        type: Always ``audience``.
        audience_type: What it is made of; unknown types are kept as they come.
        rule: Who is in it, as it comes; of a customer list ``{"customer_list_id": ...}``.
        size: How many people it holds, where Pinterest tells.
        status: Where it is in its life; unknown states are kept as they come.
        created_timestamp: When it was created (aware, UTC). Customer lists call theirs
            ``created_time``.
        updated_timestamp: When it was last changed (aware, UTC).
        created_by_company_name: The company that created it.
        is_nca: Whether it is for new customer acquisition (5.28).
        extra: Fields that this version of the package does not know.
    """

    id: str
    ad_account_id: str | None = None
    name: str | None = None
    description: str | None = None
    type: str | None = None
    audience_type: AudienceType | None = None
    rule: Mapping[str, JSON] | None = None
    size: int | None = None
    status: AudienceStatus | None = None
    created_timestamp: datetime | None = None
    updated_timestamp: datetime | None = None
    created_by_company_name: str | None = None
    is_nca: bool | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)
