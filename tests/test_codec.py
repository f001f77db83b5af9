"""What the reading of answers promises: strict about types, tolerant of what is new."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinterest_audiences import JSON, CustomerList, CustomerListStatus, Page, RecordRow
from pinterest_audiences._wire import codec
from pinterest_audiences._wire.codec import UnreadableError

SENTINEL = "sentinel-7c1f@example.com"
STRINGS = ["ad_account_id", "name", "type", "status"]
COUNTERS = ["num_batches", "num_uploaded_user_records", "num_removed_user_records"]
TIMES = ["created_time", "updated_time"]
OPTIONAL = [*STRINGS, *COUNTERS, *TIMES, "is_nca", "exceptions"]
FULL: dict[str, JSON] = {
    "ad_account_id": "549755885175",
    "created_time": 1_452_208_622,
    "exceptions": {"code": 2},
    "id": "643",
    "is_nca": False,
    "name": "The Glengarry Glen Ross leads",
    "num_batches": 2,
    "num_removed_user_records": 0,
    "num_uploaded_user_records": 11,
    "status": "PROCESSING",
    "type": "customerlist",
    "updated_time": 1_461_269_616.5,
}
NAMES: list[tuple[JSON, str]] = [
    (None, "null"),
    (True, "a boolean"),
    ("text", "a string"),
    (5, "a number"),
    (5.5, "a number"),
    ([], "an array"),
    ({}, "an object"),
]
WANTED = {
    **dict.fromkeys(["id", *STRINGS], "a string"),
    **dict.fromkeys(COUNTERS, "a whole number"),
    **dict.fromkeys(TIMES, "Unix seconds"),
    "is_nca": "a boolean",
}
RIGHT: dict[str, set[str]] = {
    "a string": {"a string"},
    "a whole number": set(),  # 5 and 5.5 are both "a number": told apart in a test of their own
    "Unix seconds": {"a number"},
    "a boolean": {"a boolean"},
}
WRONG = [
    (field, value, told)
    for field, wanted in WANTED.items()
    for value, told in NAMES
    if told not in RIGHT[wanted]
    and not (value is None and field != "id")
    and not (wanted == "a whole number" and value == 5)
]


def json_values(strings: st.SearchStrategy[str]) -> st.SearchStrategy[JSON]:
    """Any value that `json.loads` can give, NaN and Infinity too, with these strings in it."""
    plain: st.SearchStrategy[JSON] = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), strings
    )
    return st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
        max_leaves=12,
    )


def nearly_lists(values: st.SearchStrategy[JSON]) -> st.SearchStrategy[dict[str, JSON]]:
    """Objects with the fields of a list, some left out, some of the wrong type."""
    right = st.fixed_dictionaries({}, optional={name: st.just(FULL[name]) for name in FULL})
    wrong = st.dictionaries(st.sampled_from([*FULL, "extra", "new_field"]), values, max_size=3)
    return st.builds(lambda some, others: {**some, **others}, right, wrong)


def nearly_pages(values: st.SearchStrategy[JSON]) -> st.SearchStrategy[dict[str, JSON]]:
    """Objects with the fields of a page, some left out, some of the wrong type."""
    return st.fixed_dictionaries(
        {}, optional={"items": values | st.lists(nearly_lists(values)), "bookmark": values}
    )


ANY_JSON = json_values(st.text())
JSON_VALUES = ANY_JSON | nearly_lists(ANY_JSON) | nearly_pages(ANY_JSON)


def problems(data: JSON, kind: type[object] = CustomerList) -> list[str]:
    """Return what was wrong; fail if nothing was."""
    with pytest.raises(UnreadableError) as caught:
        codec.decode(data, kind)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


def test_a_full_list_is_read_field_by_field() -> None:
    """Every field of the description arrives, as the type that the model says."""
    found = codec.decode(FULL, CustomerList)
    assert found.id == "643"
    assert found.ad_account_id == "549755885175"
    assert found.name == "The Glengarry Glen Ross leads"
    assert found.type == "customerlist"
    assert found.status is CustomerListStatus.PROCESSING
    assert found.status.is_known
    assert found.created_time == datetime(2016, 1, 7, 23, 17, 2, tzinfo=UTC)
    assert found.updated_time == datetime(2016, 4, 21, 20, 13, 36, 500_000, tzinfo=UTC)
    assert (found.num_batches, found.num_uploaded_user_records) == (2, 11)
    assert found.num_removed_user_records == 0
    assert found.is_nca is False
    assert found.exceptions == {"code": 2}
    assert found.extra == {}


@pytest.mark.parametrize("field", OPTIONAL)
def test_a_field_that_is_absent_or_null_is_none(field: str) -> None:
    """Only the id is certain: any other field may be left out, or be null."""
    absent = codec.decode({k: v for k, v in FULL.items() if k != field}, CustomerList)
    null = codec.decode({**FULL, field: None}, CustomerList)
    assert getattr(absent, field) is None
    assert getattr(null, field) is None
    assert absent == null
    assert absent.extra == {} == null.extra


@pytest.mark.parametrize(("field", "value", "told"), WRONG)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "sparse"])
def test_a_wrong_type_is_told_with_its_path(
    field: str, value: JSON, told: str, whole: bool
) -> None:
    """Nothing is coerced: null is no "None", 5 no "5", "7" no 7, and 1 not True."""
    rest: dict[str, JSON] = FULL if whole else {"id": "1"}
    assert problems({**rest, field: value}) == [f"expected {WANTED[field]}, got {told} @ $.{field}"]


def test_a_missing_id_is_told() -> None:
    """A list without an id is none, whatever else it holds."""
    assert problems({}) == ["required field missing @ $.id"]
    assert problems({k: v for k, v in FULL.items() if k != "id"}) == [
        "required field missing @ $.id"
    ]


@pytest.mark.parametrize(("value", "told"), [case for case in NAMES if case[1] != "an object"])
def test_what_is_no_object_is_no_list(value: JSON, told: str) -> None:
    """An answer of another shape is named by its shape."""
    assert problems(value) == [f"expected an object, got {told} @ $"]
    assert problems(value, Page[CustomerList]) == [f"expected an object, got {told} @ $"]


@pytest.mark.parametrize("field", COUNTERS)
@pytest.mark.parametrize(
    ("wire", "meant"), [(11, 11), (11.0, 11), (-0.0, 0), (0, 0), (1e15, 10**15)]
)
def test_a_counter_may_come_as_a_float_that_is_whole(field: str, wire: float, meant: int) -> None:
    """The description types counters as numbers, so 11.0 is 11, and an int."""
    found = getattr(codec.decode({"id": "1", field: wire}, CustomerList), field)
    assert found == meant
    assert type(found) is int


@pytest.mark.parametrize("field", COUNTERS)
@pytest.mark.parametrize("wire", [11.5, math.nan, math.inf, -math.inf])
def test_a_counter_that_is_not_whole_is_refused(field: str, wire: float) -> None:
    """No counter is rounded."""
    assert problems({"id": "1", field: wire}) == [
        f"expected a whole number, got a number @ $.{field}"
    ]


@pytest.mark.parametrize("field", TIMES)
@pytest.mark.parametrize(
    "wire", [math.nan, math.inf, -math.inf, 1e300, 10**4000, -(10**12), 253_402_300_800]
)
def test_a_time_outside_the_calendar_is_refused(field: str, wire: float) -> None:
    """A time that no datetime can hold is the answer's fault, not an OverflowError."""
    assert problems({"id": "1", field: wire}) == [
        f"expected Unix seconds within the years 1 to 9999, got a number @ $.{field}"
    ]


@given(seconds=st.floats(min_value=0, max_value=4e9))
def test_times_may_have_fractions(seconds: float) -> None:
    """The description types times as numbers: fractions are kept, to the microsecond."""
    found = codec.decode({"id": "1", "updated_time": seconds}, CustomerList).updated_time
    assert found is not None
    distance = found - (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    assert abs(distance) <= timedelta(microseconds=1)


@pytest.mark.parametrize("known", [FULL, {"id": "1"}], ids=["whole", "sparse"])
def test_unknown_fields_are_kept(known: dict[str, JSON]) -> None:
    """A newer API's fields are in `extra`, even those with a name of ours."""
    news: dict[str, JSON] = {
        "new_in_2030": {"a": [1, None]},
        "extra": "the wire's",
        "request_bookmark": "the wire's too",
    }
    found = codec.decode({**known, **news}, CustomerList)
    assert found.extra == news
    assert found == codec.decode(known, CustomerList)


def test_unknown_fields_that_take_the_place_of_missing_ones_are_kept() -> None:
    """As many fields as expected are not yet the expected fields."""
    swapped = {("renamed" if name == "name" else name): value for name, value in FULL.items()}
    found = codec.decode(swapped, CustomerList)
    assert found.name is None
    assert found.extra == {"renamed": FULL["name"]}


def test_extra_belongs_to_each_list_alone() -> None:
    """Two lists do not share one mapping, nor does a list keep the answer's."""
    wire: dict[str, JSON] = {"id": "1", "new": 1}
    first, second = codec.decode([wire, wire], list[CustomerList])
    wire["new"] = 2
    assert first.extra == {"new": 1}
    assert first.extra is not second.extra


@pytest.mark.parametrize("value", [None, [], {}, "text", 5, 5.5, False, [{"code": 2}]])
def test_exceptions_are_kept_whatever_they_are(value: JSON) -> None:
    """Nobody has seen one, so any JSON is taken as it comes."""
    assert codec.decode({"id": "1", "exceptions": value}, CustomerList).exceptions == value


def test_a_page_is_read() -> None:
    """A page has its items in order, its bookmark, and no request bookmark of the wire's."""
    page = codec.decode(
        {
            "items": [{"id": "2"}, FULL, {"id": "1"}],
            "bookmark": "b&=",
            "request_bookmark": "not ours",
            "new_in_2030": 1,
        },
        Page[CustomerList],
    )
    assert [item.id for item in page.items] == ["2", "643", "1"]
    assert all(isinstance(item, CustomerList) for item in page.items)
    assert page.bookmark == "b&="
    assert page.request_bookmark is None


@pytest.mark.parametrize("end", [{"bookmark": None}, {}])
def test_a_page_without_a_bookmark_is_the_last(end: dict[str, JSON]) -> None:
    """A null bookmark and an absent one are the same."""
    page = codec.decode({"items": [], **end}, Page[CustomerList])
    assert page == Page(items=[], bookmark=None)


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        ({}, ["required field missing @ $.items"]),
        ({"bookmark": "b"}, ["required field missing @ $.items"]),
        ({"items": None}, ["expected an array, got null @ $.items"]),
        ({"items": {}}, ["expected an array, got an object @ $.items"]),
        ({"items": "[]"}, ["expected an array, got a string @ $.items"]),
        ({"items": [], "bookmark": 5}, ["expected a string, got a number @ $.bookmark"]),
        ({"items": [None]}, ["expected an object, got null @ $.items[0]"]),
        ({"items": [[]]}, ["expected an object, got an array @ $.items[0]"]),
    ],
)
def test_a_broken_page_is_told(wire: JSON, told: list[str]) -> None:
    """A page without items, or with something else for them, is not an empty page."""
    assert problems(wire, Page[CustomerList]) == told


def test_every_problem_of_a_page_is_told_with_its_place() -> None:
    """One broken item fails the page, and all that is wrong is told at once."""
    items: list[JSON] = [{"id": "0"}, FULL, {}, {"id": 5}, {"id": "4", "name": 1, "is_nca": "x"}]
    assert problems({"items": items, "bookmark": 5}, Page[CustomerList]) == [
        "required field missing @ $.items[2].id",
        "expected a string, got a number @ $.items[3].id",
        "expected a string, got a number @ $.items[4].name",
        "expected a boolean, got a string @ $.items[4].is_nca",
        "expected a string, got a number @ $.bookmark",
    ]


MOODS: list[str] = []


class Moody(enum.Enum):
    """Takes a value that it does not know only when it was asked before."""

    KNOWN = "KNOWN"

    @classmethod
    def _missing_(cls, _: object) -> Moody | None:
        MOODS.append("asked")
        return cls.KNOWN if len(MOODS) > 1 else None


@attrs.define
class Mood:
    """A model of one moody field."""

    kind: Moody | None = None


@pytest.mark.parametrize(("data", "kind"), [({"kind": "x"}, Mood), ([{"kind": "x"}], list[Mood])])
def test_what_could_not_be_read_is_unreadable_even_if_nothing_explains_it(
    data: JSON, kind: type[object]
) -> None:
    """A second reading looks for the words; that it succeeds does not unmake the failure."""
    MOODS.clear()
    assert problems(data, kind) == ["unreadable value @ $"]
    assert codec.decode(data, kind) is not None


def outcome(call: Callable[[], object]) -> object:
    """Return the result, or the UnreadableError; any other exception gets out."""
    try:
        return call()
    except UnreadableError as error:
        return error


@given(data=JSON_VALUES, kind=st.sampled_from([CustomerList, Page[CustomerList]]))
def test_any_json_decodes_or_is_unreadable(data: JSON, kind: type[object]) -> None:
    """There is no third way: no KeyError, no TypeError, no cattrs exception gets out."""
    found = outcome(lambda: codec.decode(data, kind))
    assert isinstance(found, CustomerList | Page | UnreadableError)
    if isinstance(found, UnreadableError):
        assert found.problems
        assert all(" @ $" in problem for problem in found.problems)


MARKED = json_values(st.just(SENTINEL) | st.text().map(lambda text: SENTINEL + text))


@given(
    data=MARKED | nearly_lists(MARKED) | nearly_pages(MARKED),
    kind=st.sampled_from([CustomerList, Page[CustomerList]]),
)
def test_problems_never_hold_a_value(data: JSON, kind: type[object]) -> None:
    """Types and places are told; what stood there is not, for it may be a person's."""
    found = outcome(lambda: codec.decode(data, kind))
    if isinstance(found, UnreadableError):
        assert SENTINEL not in f"{found} {found!r} {found.problems}"
        assert found.__suppress_context__  # cattrs' own exception quotes what it could not take


whole = st.integers(min_value=0, max_value=2**63)
seconds = st.integers(min_value=0, max_value=4_000_000_000)
FIELDS: dict[str, st.SearchStrategy[JSON]] = {
    **{name: st.none() | st.text() for name in STRINGS},
    **{name: st.none() | whole for name in COUNTERS},
    **{name: st.none() | seconds for name in TIMES},
    "is_nca": st.none() | st.booleans(),
    "exceptions": ANY_JSON,
}
UNKNOWN = st.dictionaries(
    st.text().filter(lambda name: name not in FULL), json_values(st.text()), max_size=3
)


@given(
    wire=st.fixed_dictionaries({"id": st.text()}, optional=FIELDS),
    more=UNKNOWN,
    data=st.data(),
)
def test_a_generated_list_arrives_field_by_field(
    wire: dict[str, JSON], more: dict[str, JSON], data: st.DataObject
) -> None:
    """Whichever fields come, in whichever order: each is where it belongs, and none is lost."""
    order = data.draw(st.permutations([*wire.items(), *more.items()]))
    found = codec.decode(dict(order), CustomerList)
    for name in ["id", *STRINGS, *COUNTERS, "is_nca", "exceptions"]:
        assert _same(getattr(found, name), wire.get(name))
    for name in TIMES:
        moment = getattr(found, name)
        assert (None if moment is None else moment.timestamp()) == wire.get(name)
    assert _same(found.extra, more)


def _same(left: object, right: object) -> bool:
    """Compare as JSON text, where NaN equals itself and True is not 1."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is empty"),
        (b"<html>", "the body is not JSON at character 0"),
        (b'{"id": "1"', "the body is not JSON at character 10"),
        (b'{"id": "1"} {}', "the body is not JSON at character 12"),
        (b'{"id": "\xff"}', "the body is not JSON"),
        (b"1" * 5000, "the body is not JSON"),
        (b"[" * 200_000, "the JSON is nested too deeply"),
    ],
)
def test_what_is_not_json_is_unreadable(body: bytes, told: str) -> None:
    """HTML, cut-off JSON, bad UTF-8, absurd numbers and depths: one error for all of them."""
    with pytest.raises(UnreadableError) as caught:
        codec.parse(body)
    assert caught.value.problems == [told]


@given(body=st.binary())
def test_any_bytes_parse_or_are_unreadable(body: bytes) -> None:
    """No other exception than UnreadableError comes from bytes."""
    found = outcome(lambda: codec.parse(body))
    assert not isinstance(found, UnreadableError) or len(found.problems) == 1


@given(data=ANY_JSON)
def test_json_parses_to_what_it_was(data: JSON) -> None:
    """What was written as JSON is read as the same."""
    assert _same(codec.parse(json.dumps(data).encode()), data)


def test_a_row_goes_out_without_what_is_not_set() -> None:
    """A column that is not set is not sent, not even as null."""
    row = RecordRow(email="a@example.com", external_id="7")
    assert codec.to_wire(row) == {"email": "a@example.com", "external_id": "7"}
    assert codec.to_wire(RecordRow()) == {}


@attrs.define
class _Alone:
    """A model of one field."""

    only: int
    extra: dict[str, object] = attrs.field(factory=dict)


def test_a_model_of_one_field_is_read_like_any_other() -> None:
    """With what is new beside it, and what is wrong with it."""
    assert codec.decode({"only": 1.0}, _Alone) == _Alone(1)
    assert codec.decode({"only": 1, "new": 2}, _Alone).extra == {"new": 2}
    with pytest.raises(UnreadableError, match=r"required field missing @ \$.only"):
        codec.decode({}, _Alone)
