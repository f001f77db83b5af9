"""What the nouns promise: open enums, quiet reprs, plain values."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinterest_audiences import (
    Audience,
    AudienceOperationType,
    AudienceStatus,
    AudienceType,
    CreatedUpload,
    CustomerList,
    CustomerListStatus,
    CustomerListUpload,
    ErrorCount,
    OpenEnum,
    OperationType,
    Order,
    OwnershipType,
    Page,
    RecordCounts,
    RecordRow,
    S3FilePart,
    S3MultipartUploadData,
    UploadState,
    UserListType,
)
from pinterest_audiences._wire import codec

KNOWN: dict[type[OpenEnum], list[str]] = {
    CustomerListStatus: ["PROCESSING", "READY", "TOO_SMALL", "UPLOADING"],
    UserListType: ["EMAIL", "IDFA", "MAID", "LR_ID", "DLX_ID", "HASHED_PINNER_ID"],
    OperationType: ["ADD", "REMOVE"],
    Order: ["ASCENDING", "DESCENDING"],
    AudienceType: ["CUSTOMER_LIST", "VISITOR", "ENGAGEMENT", "ACTALIKE", "PERSONA"],
    AudienceStatus: [
        "INITIALIZING",
        "READY",
        "TOO_SMALL",
        "ELIGIBLE",
        "PERSONAS_INELIGIBLE_SIZE",
        "PERSONAS_INITIALIZING",
    ],
    OwnershipType: ["OWNED", "RECEIVED"],
    AudienceOperationType: ["UPDATE", "REMOVE"],
    UploadState: ["NOT_STARTED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED"],
}
ENUMS = list(KNOWN)
SENTINEL = "sentinel-7c1f@example.com"

COPIES: list[Callable[[OpenEnum], OpenEnum]] = [
    copy.copy,
    copy.deepcopy,
    lambda member: pickle.loads(pickle.dumps(member)),
    lambda member: pickle.loads(pickle.dumps(member, protocol=0)),
]

enums = pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)


@enums
@given(value=st.text())
def test_any_string_is_a_value_that_equals_and_hashes_as_itself(
    kind: type[OpenEnum], value: str
) -> None:
    """An enum takes a value it does not know, and the value stays the wire's string."""
    member = kind(value)
    assert isinstance(member, kind)
    assert member == value
    assert hash(member) == hash(value)
    assert {value: 1}[member] == 1
    assert (str(member), member.value, f"{member}") == (value, value, value)
    assert json.dumps([member, {member: 1}]) == json.dumps([value, {value: 1}])


@enums
@pytest.mark.parametrize("copied", COPIES)
@given(value=st.text())
def test_an_unknown_value_survives_copying_and_pickling(
    kind: type[OpenEnum], copied: Callable[[OpenEnum], OpenEnum], value: str
) -> None:
    """A copy is of the same class, with the same value."""
    member = copied(kind(value))
    assert type(member) is kind
    assert member == value
    assert member.value == value
    assert member.is_known == (value in KNOWN[kind])


@enums
def test_known_values_are_singletons_even_when_copied(kind: type[OpenEnum]) -> None:
    """A known member is one object, however it was come by."""
    for value in KNOWN[kind]:
        member = kind(value)
        assert member is kind[value]
        assert all(copied(member) is member for copied in COPIES)
        assert member.is_known
        assert member.name == value


@enums
def test_unknown_values_do_not_pollute_the_enum(kind: type[OpenEnum]) -> None:
    """After an unknown value the enum still has its own members only."""
    unknown = kind("NEW_IN_2030")
    assert not unknown.is_known
    assert unknown.name == "UNKNOWN"
    assert list(kind) == KNOWN[kind]
    assert list(kind.__members__) == KNOWN[kind]
    assert not hasattr(kind, "UNKNOWN")
    assert not kind("NEW_IN_2030").is_known


@enums
@pytest.mark.parametrize("value", [None, 1, 1.0, True, b"READY", ["READY"]])
def test_only_strings_are_values(kind: type[OpenEnum], value: object) -> None:
    """Being open does not mean taking in anything: what is no string is refused."""
    with pytest.raises(ValueError, match="is not a valid"):
        kind(value)  # type: ignore[arg-type]  # that is what is refused


def test_different_unknown_values_differ() -> None:
    """Two unknown values are told apart, and differ from every known one."""
    assert CustomerListStatus("A") != CustomerListStatus("B")
    assert CustomerListStatus("A") == CustomerListStatus("A")
    assert CustomerListStatus("A") not in list(CustomerListStatus)


def test_an_unknown_status_can_be_matched_by_case_underscore() -> None:
    """`match` compares by value, and an unknown status falls through to `case _`."""

    def told(status: CustomerListStatus) -> str:
        match status:
            case CustomerListStatus.READY:
                return "ready"
            case _:
                return "other"

    assert told(CustomerListStatus("READY")) == "ready"
    assert told(CustomerListStatus("ARCHIVED")) == "other"


@given(value=st.text())
def test_an_unknown_status_round_trips_through_the_wire(value: str) -> None:
    """What came from the wire goes back to it as it was."""
    decoded = codec.decode({"id": "1", "status": value}, CustomerList)
    assert isinstance(decoded.status, CustomerListStatus)
    assert decoded.status == value
    assert decoded.status.is_known == (value in KNOWN[CustomerListStatus])
    assert codec.to_wire(decoded)["status"] == value
    assert json.loads(json.dumps(codec.to_wire(decoded)))["status"] == value


def test_the_repr_of_a_row_names_its_columns_and_shows_no_value() -> None:
    """A row may be logged: its repr tells which columns are set, and nothing of a person."""
    names = [column.name for column in attrs.fields(RecordRow)]
    full = RecordRow(**{name: f"{SENTINEL}-{name}" for name in names})
    assert repr(full) == f"RecordRow({', '.join(names)})"
    assert SENTINEL not in repr(full) + str(full)
    assert repr(RecordRow(maid="x", email="y")) == "RecordRow(email, maid)"
    assert repr(RecordRow()) == "RecordRow()"


def test_a_row_cannot_be_changed_and_takes_no_positional_values() -> None:
    """A row is a value: the columns are named when it is made, and stay."""
    row = RecordRow(email="a@example.com")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        row.email = "b@example.com"  # type: ignore[misc]  # that is what is refused
    with pytest.raises(TypeError):
        RecordRow("a@example.com")  # type: ignore[call-arg]  # that is what is refused
    assert row == RecordRow(email="a@example.com")
    assert pickle.loads(pickle.dumps(row)) == row


def test_the_repr_of_a_list_shows_neither_exceptions_nor_extra() -> None:
    """Pinterest's own errors and unknown fields may quote records, so a repr leaves them out."""
    shown = repr(
        CustomerList(
            id="643",
            name="Spring",
            exceptions={"message": SENTINEL},
            extra={"sample": SENTINEL},
        )
    )
    assert "id='643'" in shown
    assert "name='Spring'" in shown
    assert SENTINEL not in shown
    assert "exceptions" not in shown
    assert "extra" not in shown


def test_the_repr_of_an_upload_shows_no_address_and_no_message() -> None:
    """An address is a secret, and the message of an error may quote a record."""
    part = S3FilePart(part_number=1, presigned_url=SENTINEL, extra={"new": SENTINEL})
    found = CustomerListUpload(
        id="7",
        error_counts=[ErrorCount(error_code=42, message=SENTINEL, count=3)],
        record_counts=RecordCounts(processed=3, extra={"new": SENTINEL}),
    )
    made = CreatedUpload(found, S3MultipartUploadData([part]))
    for shown in (repr(made), str(made), f"{made}", repr([made])):
        assert SENTINEL not in shown
        assert "error_code=42" in shown
        assert "part_number=1" in shown
    assert made.s3_multipart_upload_data.file_parts[0].presigned_url == SENTINEL


def test_lists_compare_by_what_they_know() -> None:
    """Unknown fields do not make two lists different; a known field does."""
    assert CustomerList(id="1", extra={"new": 1}) == CustomerList(id="1")
    assert CustomerList(id="1", name="a") != CustomerList(id="1", name="b")
    assert CustomerList(id="1").extra == {}


def test_models_have_slots() -> None:
    """A misspelt attribute is an error, not a silent new one."""
    for model in (
        CustomerList(id="1"),
        RecordRow(),
        Page[str](items=[]),
        Audience(id="1"),
        CustomerListUpload(id="1"),
        ErrorCount(),
        RecordCounts(),
        S3FilePart(1, ""),
        S3MultipartUploadData([]),
    ):
        assert not hasattr(model, "__dict__")


@given(seconds=st.integers(min_value=-62_135_596_800, max_value=253_402_300_799))
def test_times_are_aware_and_in_utc(seconds: int) -> None:
    """Unix seconds become datetimes that carry their zone and mean the same instant."""
    decoded = codec.decode({"id": "1", "created_time": seconds}, CustomerList)
    assert decoded.created_time is not None
    assert decoded.created_time.tzinfo is UTC
    assert decoded.created_time == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def test_a_page_knows_what_fetched_it_and_what_comes_next() -> None:
    """A page holds its items and both bookmarks; without any it is the only page."""
    page = Page(items=["a", "b"], bookmark="next", request_bookmark="this")
    assert (page.items, page.bookmark, page.request_bookmark) == (["a", "b"], "next", "this")
    alone = Page[str](items=[])
    assert (alone.items, alone.bookmark, alone.request_bookmark) == ([], None, None)
