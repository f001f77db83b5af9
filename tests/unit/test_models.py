"""The models: open enums, reprs without customer data, plain values."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

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
from pinterest_audiences._http import codec
from pinterest_audiences._models import JSON, Model

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


@pytest.mark.slow
@enums
@given(value=st.text())
def test_open_enum_accepts_any_string_and_equals_it(kind: type[OpenEnum], value: str) -> None:
    member = kind(value)
    assert isinstance(member, kind)
    assert member == value
    assert hash(member) == hash(value)
    assert {value: 1}[member] == 1
    assert (str(member), member.value, f"{member}") == (value, value, value)
    assert json.dumps([member, {member: 1}]) == json.dumps([value, {value: 1}])


@pytest.mark.slow
@enums
@pytest.mark.parametrize("copied", COPIES)
@given(value=st.text())
def test_unknown_enum_value_can_be_copied_and_pickled(
    kind: type[OpenEnum], copied: Callable[[OpenEnum], OpenEnum], value: str
) -> None:
    member = copied(kind(value))
    assert type(member) is kind
    assert member == value
    assert member.value == value
    assert member.is_known == (value in KNOWN[kind])


@enums
def test_known_enum_values_are_singletons(kind: type[OpenEnum]) -> None:
    """Also after copying."""
    for value in KNOWN[kind]:
        member = kind(value)
        assert member is kind[value]
        assert all(copied(member) is member for copied in COPIES)
        assert member.is_known
        assert member.name == value


@enums
def test_unknown_enum_value_adds_no_member(kind: type[OpenEnum]) -> None:
    unknown = kind("NEW_IN_2030")
    assert not unknown.is_known
    assert unknown.name == "UNKNOWN"
    assert list(kind) == KNOWN[kind]
    assert list(kind.__members__) == KNOWN[kind]
    assert not hasattr(kind, "UNKNOWN")
    assert not kind("NEW_IN_2030").is_known


@enums
@each_case("value", [None, 1, 1.0, True, b"READY", ["READY"]])
def test_enum_value_that_is_not_a_string_is_refused(kind: type[OpenEnum], value: object) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        kind(value)  # type: ignore[arg-type]  # that is what is refused


def test_unknown_enum_values_compare_by_their_string() -> None:
    """They differ from each other and from every member."""
    assert CustomerListStatus("A") != CustomerListStatus("B")
    assert CustomerListStatus("A") == CustomerListStatus("A")
    assert CustomerListStatus("A") not in list(CustomerListStatus)


def test_unknown_enum_value_matches_the_default_case() -> None:
    """`match` compares by value."""

    def describe(status: CustomerListStatus) -> str:
        match status:
            case CustomerListStatus.READY:
                return "ready"
            case _:
                return "other"

    assert describe(CustomerListStatus("READY")) == "ready"
    assert describe(CustomerListStatus("ARCHIVED")) == "other"


@given(value=st.text())
def test_unknown_status_round_trips_through_json(value: str) -> None:
    decoded = codec.decode({"id": "1", "status": value}, CustomerList)
    assert isinstance(decoded.status, CustomerListStatus)
    assert decoded.status == value
    assert decoded.status.is_known == (value in KNOWN[CustomerListStatus])
    assert codec.to_wire(decoded)["status"] == value
    assert json.loads(json.dumps(codec.to_wire(decoded)))["status"] == value


def test_repr_of_a_row_has_column_names_and_no_values() -> None:
    """A row may be logged."""
    names = [column.name for column in attrs.fields(RecordRow)]
    full = RecordRow(**{name: f"{SENTINEL}-{name}" for name in names})
    assert repr(full) == f"RecordRow({', '.join(names)})"
    assert SENTINEL not in repr(full) + str(full)
    assert repr(RecordRow(maid="x", email="y")) == "RecordRow(email, maid)"
    assert repr(RecordRow()) == "RecordRow()"


def test_row_is_immutable_and_keyword_only() -> None:
    row = RecordRow(email="a@example.com")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        row.email = "b@example.com"  # type: ignore[misc]  # that is what is refused
    with pytest.raises(TypeError):
        RecordRow("a@example.com")  # type: ignore[call-arg]  # that is what is refused
    assert row == RecordRow(email="a@example.com")
    assert pickle.loads(pickle.dumps(row)) == row


def test_repr_of_a_list_omits_exceptions_and_extra() -> None:
    """They may quote records."""
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


def test_repr_of_an_upload_omits_addresses_and_messages() -> None:
    """An address is a secret, and a message may quote a record."""
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


def test_lists_compare_by_known_fields() -> None:
    """Not by `extra`."""
    assert CustomerList(id="1", extra={"new": 1}) == CustomerList(id="1")
    assert CustomerList(id="1", name="a") != CustomerList(id="1", name="b")
    assert CustomerList(id="1").extra == {}


def test_models_have_slots() -> None:
    """A misspelled attribute is an error."""
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
    """Unix seconds become the datetime of the same instant."""
    decoded = codec.decode({"id": "1", "created_time": seconds}, CustomerList)
    assert decoded.created_time is not None
    assert decoded.created_time.tzinfo is UTC
    assert decoded.created_time == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def test_page_has_both_bookmarks() -> None:
    """Without any it is the only page."""
    page = Page(items=["a", "b"], bookmark="next", request_bookmark="this")
    assert (page.items, page.bookmark, page.request_bookmark) == (["a", "b"], "next", "this")
    alone = Page[str](items=[])
    assert (alone.items, alone.bookmark, alone.request_bookmark) == ([], None, None)


def test_model_becomes_json_with_times_and_unknown_fields() -> None:
    """to_dict and to_json have every field, nested models, and unknown fields."""
    wire: dict[str, JSON] = {
        "id": "7",
        "creation_time": 1783585800,
        "state": "RUNNING",
        "operation": "NEW_VALUE",
        "record_counts": {"processed": 3, "valid": 2, "invalid": 1, "skipped": 0},
        "error_counts": [{"error_code": 42, "message": "Invalid", "count": 1}],
        "updated_time": "soon",
        "color": {"of": ["day"]},
    }
    upload = codec.decode(wire, CustomerListUpload)
    written = upload.to_dict()
    assert json.loads(upload.to_json()) == written
    assert written == {
        **wire,
        "creation_time": "2026-07-09T08:30:00Z",
        "customer_list_id": None,
        "ad_account_id": None,
        "error_counts": [{"error_code": 42, "message": "Invalid", "count": 1}],
    }


@pytest.mark.parametrize("model", [CustomerList(id="1"), Audience(id="1"), ErrorCount()])
def test_every_field_of_a_model_is_in_its_json(model: CustomerList | Audience | ErrorCount) -> None:
    """Except ``extra``, whose content appears under its own keys."""
    names = {field.name for field in attrs.fields(type(model))} - {"extra"}
    assert model.to_dict().keys() == names


def every_model(kind: type[Model] = Model) -> Iterator[type[Model]]:
    """Yield the subclasses of the base class of models."""
    for subclass in kind.__subclasses__():
        yield subclass
        yield from every_model(subclass)


def test_every_model_has_the_short_repr() -> None:
    """Attrs generates a long one unless it is declined."""
    kinds = set(every_model())
    assert {CustomerList, Page, Audience, S3FilePart} <= kinds
    assert [kind.__name__ for kind in kinds if kind.__repr__ is not Model.__repr__] == []


def test_repr_of_a_model_shows_values_that_are_set() -> None:
    """Enums and times as their strings; nested models too."""
    model = CustomerList(
        id="643",
        status=CustomerListStatus.READY,
        created_time=datetime(2026, 7, 9, 8, 30, tzinfo=UTC),
        num_batches=0,
    )
    assert repr(model) == (
        "CustomerList(id='643', status='READY', created_time='2026-07-09T08:30:00Z', num_batches=0)"
    )
    assert repr(CustomerList(id="1", status=CustomerListStatus("NEW"))) == (
        "CustomerList(id='1', status='NEW')"
    )
    upload = CustomerListUpload(id="7", record_counts=RecordCounts(valid=1))
    assert repr(upload) == "CustomerListUpload(id='7', record_counts=RecordCounts(valid=1))"


def test_repr_of_a_model_cuts_long_values_and_counts_long_lists() -> None:
    assert len(repr(CustomerList(id="1", name="x" * 10_000))) < 200
    audience = Audience(id="1", rule={f"key{number}": "value" for number in range(1_000)})
    assert len(repr(audience)) < 200
    lists = [CustomerList(id=str(number)) for number in range(250)]
    assert repr(Page(items=lists, bookmark="b")) == "Page(items=[250 items], bookmark='b')"
    assert repr(Page(items=lists[:1])) == "Page(items=[CustomerList(id='0')])"


def test_page_becomes_json_with_its_items() -> None:
    page = Page(items=[CustomerList(id="1", extra={"new": 1})], bookmark="b")
    written = page.to_dict()
    assert written == {
        "items": [page.items[0].to_dict()],
        "bookmark": "b",
        "request_bookmark": None,
    }
    assert json.loads(page.to_json()) == written


@pytest.mark.anyio
async def test_fastapi_returns_what_to_dict_returns() -> None:
    """With the annotation that the documentation shows; the schema of the response is an object."""
    fastapi = pytest.importorskip("fastapi", reason="FastAPI is not installed")
    model = CustomerList(
        id="1",
        status=CustomerListStatus("NEW"),
        created_time=datetime(2026, 7, 9, 8, 30, tzinfo=UTC),
        extra={"color": {"of": ["day"]}},
    )
    app = fastapi.FastAPI()

    @app.get("/list")  # type: ignore[untyped-decorator]
    async def one() -> Mapping[str, object]:
        return model.to_dict()

    @app.get("/page")  # type: ignore[untyped-decorator]
    async def page() -> Mapping[str, object]:
        return Page(items=[model], bookmark="b").to_dict()

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as browser:
        response = await browser.get("/list")
        assert response.json() == model.to_dict()
        assert response.json()["created_time"] == "2026-07-09T08:30:00Z"
        assert response.json()["color"] == {"of": ["day"]}
        assert (await browser.get("/page")).json()["items"] == [model.to_dict()]
        assert "/list" in (await browser.get("/openapi.json")).json()["paths"]
