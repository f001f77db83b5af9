"""Customer lists, the rows they are made of, and their enums."""

from __future__ import annotations

# The text of JSON names Sequence, and is read where the model is defined.
from collections.abc import Mapping, Sequence  # noqa: F401  # pyright: ignore[reportUnusedImport]
from datetime import datetime

from attrs import define, field, fields, frozen

from pinterest_audiences.models.base import JSON, OpenEnum, no_extra

__all__ = ["CustomerList", "CustomerListStatus", "OperationType", "RecordRow", "UserListType"]


class CustomerListStatus(OpenEnum):
    """Where a list is in its life.

    ``TOO_SMALL`` means that it matched fewer than 100 Pinterest accounts.
    """

    PROCESSING = "PROCESSING"
    READY = "READY"
    TOO_SMALL = "TOO_SMALL"
    UPLOADING = "UPLOADING"


class UserListType(OpenEnum):
    """What the records of a list are. Set at creation; the API never shows it again."""

    EMAIL = "EMAIL"
    IDFA = "IDFA"
    MAID = "MAID"
    LR_ID = "LR_ID"
    DLX_ID = "DLX_ID"
    HASHED_PINNER_ID = "HASHED_PINNER_ID"


class OperationType(OpenEnum):
    """What an update does with its records."""

    ADD = "ADD"
    REMOVE = "REMOVE"


@define
class CustomerList:
    """A customer list, as Pinterest shows it.

    The counters count what was sent, not who is on the list: adding a record twice counts twice,
    and removing one that is not there counts too. Nothing in the API tells the members.

    Attributes:
        id: The list's id, a string of digits.
        ad_account_id: The ad account it belongs to.
        name: Its name; not unique.
        type: Always ``customerlist``.
        status: Where it is in its life; unknown states are kept as they come.
        created_time: When it was created (aware, UTC).
        updated_time: When it was last changed (aware, UTC).
        num_batches: Creation and updates so far, each counting as one.
        num_uploaded_user_records: Records sent to it, repeats included.
        num_removed_user_records: Records sent for removal, whether they were there or not.
        is_nca: Whether it was made for new customer acquisition (5.28).
        exceptions: Pinterest's own list of errors, as it comes. Not in the ``repr``: it may quote
            records.
        extra: Fields that this version of the package does not know.
    """

    id: str
    ad_account_id: str | None = None
    name: str | None = None
    type: str | None = None
    status: CustomerListStatus | None = None
    created_time: datetime | None = None
    updated_time: datetime | None = None
    num_batches: int | None = None
    num_uploaded_user_records: int | None = None
    num_removed_user_records: int | None = None
    is_nca: bool | None = None
    exceptions: JSON = field(default=None, repr=False)
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@frozen(kw_only=True)
class RecordRow:
    """One customer with every identifier that is known: a row of ``records_v2`` (5.28).

    At least one column must be given; the values are sent as they are, so hash them first where
    the column says so. The ``repr`` names the columns that are set, never their values.

    Attributes:
        email: Plain and in lower case, or hashed (SHA-256, SHA-1 or MD5).
        maid: Mobile advertising id, hashed (SHA-256, SHA-1 or MD5) or plain.
        hashed_phone_number: Hashed (SHA-256, SHA-1 or MD5).
        hashed_pinner_id: Hashed (SHA-256, SHA-1 or MD5).
        external_id: Your own id of the customer; not hashed.
        ip_address: Not hashed.
        user_agent: Not hashed.
        liveramp_envelope: A LiveRamp envelope in Base64; not hashed.
    """

    email: str | None = None
    maid: str | None = None
    hashed_phone_number: str | None = None
    hashed_pinner_id: str | None = None
    external_id: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    liveramp_envelope: str | None = None

    def __repr__(self) -> str:
        columns = (column.name for column in fields(type(self)))
        return f"RecordRow({', '.join(c for c in columns if getattr(self, c) is not None)})"
