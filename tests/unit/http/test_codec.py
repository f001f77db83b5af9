"""Decoding: no value is coerced; optional values may have wrong types, be missing, or be new."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

from pinterest_audiences import (
    JSON,
    Audience,
    CreatedUpload,
    CustomerList,
    CustomerListStatus,
    CustomerListUpload,
    ErrorCount,
    Page,
    RecordCounts,
    RecordRow,
    UserAccount,
)
from pinterest_audiences._http import codec
from pinterest_audiences._http.codec import UnreadableError

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
    **dict.fromkeys(COUNTERS, "an integer"),
    **dict.fromkeys(TIMES, "Unix seconds"),
    "is_nca": "a boolean",
}
RIGHT: dict[str, set[str]] = {
    "a string": {"a string"},
    "an integer": set(),  # 5 and 5.5 are both "a number": see the test of whole floats
    "Unix seconds": {"a number"},
    "a boolean": {"a boolean"},
}
OUT_OF_RANGE: list[JSON] = [
    math.nan,
    math.inf,
    -math.inf,
    1e300,
    10**4000,
    -(10**12),
    253_402_300_800,
]
WRONG = [
    *(
        (field, value)
        for field, wanted in WANTED.items()
        for value, name in NAMES
        if name not in RIGHT[wanted]
        and value is not None
        and not (wanted == "an integer" and value == 5)
        and field != "id"
    ),
    *((field, value) for field in COUNTERS for value in (11.5, math.nan, math.inf, "11", True)),
    *((field, value) for field in TIMES for value in (*OUT_OF_RANGE, "1452208622", True)),
]


def json_values(strings: st.SearchStrategy[str]) -> st.SearchStrategy[JSON]:
    """Generate any value that `json.loads` can return, including NaN and Infinity."""
    plain: st.SearchStrategy[JSON] = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), strings
    )
    return st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
        max_leaves=12,
    )


def nearly_lists(values: st.SearchStrategy[JSON]) -> st.SearchStrategy[dict[str, JSON]]:
    """Generate objects with a list's fields, some missing, some of the wrong type."""
    right = st.fixed_dictionaries({}, optional={name: st.just(FULL[name]) for name in FULL})
    wrong = st.dictionaries(st.sampled_from([*FULL, "extra", "new_field"]), values, max_size=3)
    return st.builds(lambda some, others: {**some, **others}, right, wrong)


def nearly_pages(values: st.SearchStrategy[JSON]) -> st.SearchStrategy[dict[str, JSON]]:
    """Generate objects with a page's fields, some missing, some of the wrong type."""
    return st.fixed_dictionaries(
        {}, optional={"items": values | st.lists(nearly_lists(values)), "bookmark": values}
    )


ANY_JSON = json_values(st.text())
JSON_VALUES = ANY_JSON | nearly_lists(ANY_JSON) | nearly_pages(ANY_JSON)


def problems(data: JSON, kind: type[object] = CustomerList) -> list[str]:
    """Return the reported problems, and assert that there are some."""
    with pytest.raises(UnreadableError) as caught:
        codec.decode(data, kind)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


def test_complete_list_is_decoded_field_by_field() -> None:
    """Every described field arrives with the model's type."""
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
def test_missing_or_null_optional_field_is_none(field: str) -> None:
    """Only the id is required."""
    absent = codec.decode({k: v for k, v in FULL.items() if k != field}, CustomerList)
    null = codec.decode({**FULL, field: None}, CustomerList)
    assert getattr(absent, field) is None
    assert getattr(null, field) is None
    assert absent == null
    assert absent.extra == {} == null.extra


@pytest.mark.parametrize(("value", "shown"), [case for case in NAMES if case[1] != "a string"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "sparse"])
def test_id_of_wrong_type_is_unreadable_with_its_path(value: JSON, shown: str, whole: bool) -> None:
    """No coercion: null is not "None", and 5 is not "5"."""
    rest: dict[str, JSON] = FULL if whole else {}
    assert problems({**rest, "id": value}) == [f"expected a string, got {shown} @ $.id"]


@each_case(("field", "value"), WRONG)
@each_case("whole", [True, False])
def test_optional_field_of_wrong_type_is_none_and_kept_in_extra(
    field: str, value: JSON, whole: bool
) -> None:
    """The rest of the response is decoded; no value is coerced or lost."""
    rest: dict[str, JSON] = FULL if whole else {"id": "1"}
    page = codec.decode({"items": [{**rest, field: value}, rest]}, Page[CustomerList])
    odd, right = page.items
    expected = codec.decode({name: v for name, v in rest.items() if name != field}, CustomerList)
    assert getattr(odd, field) is None
    assert odd == expected
    assert _same(odd.extra, {field: value})
    assert right == codec.decode(rest, CustomerList)
    assert right.extra == {}


def test_field_of_wrong_type_does_not_displace_unknown_fields() -> None:
    """Both are in `extra`."""
    found = codec.decode({**FULL, "num_batches": "7", "new": 1, "extra": 2}, CustomerList)
    assert found.num_batches is None
    assert found.extra == {"num_batches": "7", "new": 1, "extra": 2}


UPLOAD: dict[str, JSON] = {"id": "7", "state": "RUNNING", "record_counts": {"processed": 3}}
NESTED: list[tuple[type[object], dict[str, JSON], str, JSON, object]] = [
    (CustomerListUpload, UPLOAD, "record_counts", [], None),
    (CustomerListUpload, UPLOAD, "record_counts", "3", None),
    (CustomerListUpload, UPLOAD, "error_counts", {}, None),
    (CustomerListUpload, UPLOAD, "error_counts", [{"count": 1}, "odd"], None),
    (CustomerListUpload, UPLOAD, "state", 5, None),
    (CustomerListUpload, UPLOAD, "operation", ["ADD"], None),
    (CustomerListUpload, UPLOAD, "creation_time", "yesterday", None),
    (Audience, {"id": "7", "name": "A"}, "rule", "text", None),
    (Audience, {"id": "7", "name": "A"}, "rule", [1], None),
    (Audience, {"id": "7", "name": "A"}, "size", "17", None),
    (Audience, {"id": "7", "name": "A"}, "status", {"a": 1}, None),
    (Audience, {"id": "7", "name": "A"}, "audience_type", False, None),
    (Audience, {"id": "7", "name": "A"}, "created_timestamp", 1e300, None),
    (UserAccount, {"id": "7"}, "account_type", 7, None),
    (UserAccount, {"id": "7"}, "business_name", {}, None),
]


@pytest.mark.parametrize(("kind", "rest", "field", "value", "expected"), NESTED)
def test_field_of_wrong_type_is_kept_in_extra_by_every_model(
    kind: type[object], rest: dict[str, JSON], field: str, value: JSON, expected: object
) -> None:
    """Uploads, audiences and accounts are decoded like lists."""
    found = codec.decode({**rest, field: value}, kind)
    assert getattr(found, field) is expected
    assert getattr(found, "extra") == {field: value}  # noqa: B009
    assert getattr(found, "id") == "7"  # noqa: B009


def test_nested_field_of_wrong_type_does_not_affect_its_siblings() -> None:
    """The raw value is in the nested object's `extra`."""
    wire: dict[str, JSON] = {
        **UPLOAD,
        "record_counts": {"processed": 3, "valid": "2"},
        "error_counts": [{"error_code": "42", "count": 1}],
    }
    found = codec.decode(wire, CustomerListUpload)
    assert found.record_counts == RecordCounts(processed=3)
    assert found.record_counts is not None
    assert found.record_counts.extra == {"valid": "2"}
    assert found.error_counts == [ErrorCount(count=1)]
    assert found.error_counts[0].extra == {"error_code": "42"}
    assert found.extra == {}


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("part_number", "1", "expected an integer, got a string"),
        ("presigned_url", None, "expected a string, got null"),
    ],
)
def test_required_fields_of_every_model_are_strict(field: str, value: JSON, problem: str) -> None:
    """They have no default."""
    part: dict[str, JSON] = {"part_number": 1, "presigned_url": "https://s3.example/1"}
    wire: JSON = {
        "customer_list_upload": {"id": "7"},
        "s3_multipart_upload_data": {"file_parts": [part, {**part, field: value}]},
    }
    place = f"$.s3_multipart_upload_data.file_parts[1].{field}"
    assert problems(wire, CreatedUpload) == [f"{problem} @ {place}"]


def test_list_without_id_is_unreadable() -> None:
    """Whatever else it contains."""
    assert problems({}) == ["required field missing @ $.id"]
    assert problems({k: v for k, v in FULL.items() if k != "id"}) == [
        "required field missing @ $.id"
    ]


@pytest.mark.parametrize(("value", "type_name"), [case for case in NAMES if case[1] != "an object"])
def test_value_that_is_not_an_object_is_unreadable_as_list(value: JSON, type_name: str) -> None:
    """The error names its type."""
    assert problems(value) == [f"expected an object, got {type_name} @ $"]
    assert problems(value, Page[CustomerList]) == [f"expected an object, got {type_name} @ $"]


@pytest.mark.parametrize("field", COUNTERS)
@pytest.mark.parametrize(
    ("wire", "meant"), [(11, 11), (11.0, 11), (-0.0, 0), (0, 0), (1e15, 10**15)]
)
def test_whole_float_is_decoded_as_int_counter(field: str, wire: float, meant: int) -> None:
    """The description types counters as numbers."""
    found = getattr(codec.decode({"id": "1", field: wire}, CustomerList), field)
    assert found == meant
    assert type(found) is int


@given(seconds=st.floats(min_value=0, max_value=4e9))
def test_fractional_timestamp_is_decoded_to_the_microsecond(seconds: float) -> None:
    """The description types times as numbers."""
    found = codec.decode({"id": "1", "updated_time": seconds}, CustomerList).updated_time
    assert found is not None
    distance = found - (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    assert abs(distance) <= timedelta(microseconds=1)


@pytest.mark.parametrize("known", [FULL, {"id": "1"}], ids=["whole", "sparse"])
def test_unknown_fields_are_stored_in_extra(known: dict[str, JSON]) -> None:
    """Also those named like attributes of the model."""
    news: dict[str, JSON] = {
        "new_in_2030": {"a": [1, None]},
        "extra": "the wire's",
        "request_bookmark": "the wire's too",
    }
    found = codec.decode({**known, **news}, CustomerList)
    assert found.extra == news
    assert found == codec.decode(known, CustomerList)


def test_unknown_fields_are_kept_if_as_many_known_ones_are_missing() -> None:
    """The number of fields does not show that they are the expected ones."""
    swapped = {("renamed" if name == "name" else name): value for name, value in FULL.items()}
    found = codec.decode(swapped, CustomerList)
    assert found.name is None
    assert found.extra == {"renamed": FULL["name"]}


def test_extra_is_not_shared_between_lists() -> None:
    """It does not keep the response in memory either."""
    wire: dict[str, JSON] = {"id": "1", "new": 1}
    first, second = codec.decode([wire, wire], list[CustomerList])
    wire["new"] = 2
    assert first.extra == {"new": 1}
    assert first.extra is not second.extra


@pytest.mark.parametrize("value", [None, [], {}, "text", 5, 5.5, False, [{"code": 2}]])
def test_exceptions_field_accepts_any_json(value: JSON) -> None:
    """Its format is not known."""
    assert codec.decode({"id": "1", "exceptions": value}, CustomerList).exceptions == value


def test_page_is_decoded_with_items_and_bookmark() -> None:
    """In order, without the request bookmark of the wire format."""
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
def test_page_with_null_or_missing_bookmark_is_the_last(end: dict[str, JSON]) -> None:
    page = codec.decode({"items": [], **end}, Page[CustomerList])
    assert page == Page(items=[], bookmark=None)


@pytest.mark.parametrize(
    ("wire", "expected"),
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
def test_page_without_valid_items_is_unreadable(wire: JSON, expected: list[str]) -> None:
    """It is not treated as an empty page."""
    assert problems(wire, Page[CustomerList]) == expected


def test_unreadable_page_lists_every_problem_with_its_path() -> None:
    items: list[JSON] = [{"id": "0"}, FULL, {}, {"id": 5}, {"id": "4", "name": 1, "is_nca": "x"}]
    assert problems({"items": items, "bookmark": 5}, Page[CustomerList]) == [
        "required field missing @ $.items[2].id",
        "expected a string, got a number @ $.items[3].id",
        "expected a string, got a number @ $.bookmark",
    ]


def test_reported_problems_are_limited() -> None:
    """A million invalid items give one short error that mentions the rest."""
    found = problems({"items": [{"id": 5}] * 100_000, "bookmark": 5}, Page[CustomerList])
    assert found[0] == "expected a string, got a number @ $.items[0].id"
    assert len(found) == 31
    assert found[-1] == "more problems follow and are not listed"


@attrs.define
class CountedHook:
    """A model whose field has a hook that counts its calls."""

    id: str
    kind: CustomerListStatus | None = None
    extra: dict[str, object] = attrs.field(factory=dict)


@pytest.mark.parametrize("odd", [{"kind": 5}, {"id": 5}], ids=["lenient", "strict"])
def test_decoding_items_with_wrong_types_takes_linear_time(
    odd: dict[str, JSON], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many such items require at most twice as many values examined."""
    calls = 0
    original = codec._json_type

    def counted(value: object) -> str:
        nonlocal calls
        calls += 1
        return original(value)

    monkeypatch.setattr(codec, "_json_type", counted)
    counts: list[int] = []
    for number in (1000, 2000):
        calls = 0
        outcome(lambda n=number: codec.decode([{"id": "1", **odd}] * n, list[CountedHook]))  # type: ignore[misc]
        counts.append(calls)
    assert counts[1] <= 2 * counts[0]
    assert counts[1] <= 8000


def outcome(call: Callable[[], object]) -> object:
    """Return the result or the UnreadableError; any other exception propagates."""
    try:
        return call()
    except UnreadableError as error:
        return error


@pytest.mark.slow
@given(data=JSON_VALUES, kind=st.sampled_from([CustomerList, Page[CustomerList]]))
def test_any_json_decodes_or_raises_unreadable_error(data: JSON, kind: type[object]) -> None:
    """Never a KeyError, TypeError or cattrs exception."""
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
def test_reported_problems_contain_no_values(data: JSON, kind: type[object]) -> None:
    """Only types and paths, because a value may identify a customer."""
    found = outcome(lambda: codec.decode(data, kind))
    if isinstance(found, UnreadableError):
        assert SENTINEL not in f"{found} {found!r} {found.problems}"
        assert found.__suppress_context__  # the exception of cattrs quotes the value


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


@pytest.mark.slow
@given(
    wire=st.fixed_dictionaries({"id": st.text()}, optional=FIELDS),
    more=UNKNOWN,
    data=st.data(),
)
def test_generated_list_is_decoded_field_by_field(
    wire: dict[str, JSON], more: dict[str, JSON], data: st.DataObject
) -> None:
    """Any fields in any order."""
    order = data.draw(st.permutations([*wire.items(), *more.items()]))
    found = codec.decode(dict(order), CustomerList)
    for name in ["id", *STRINGS, *COUNTERS, "is_nca", "exceptions"]:
        assert _same(getattr(found, name), wire.get(name))
    for name in TIMES:
        moment = getattr(found, name)
        assert (None if moment is None else moment.timestamp()) == wire.get(name)
    assert _same(found.extra, more)


def _same(left: object, right: object) -> bool:
    """Compare as JSON text, so that NaN equals itself and True differs from 1."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is empty"),
        (b"<html>", "the body is not JSON at character 0"),
        (b'{"id": "1"', "the body is not JSON at character 10"),
        (b'{"id": "1"} {}', "the body is not JSON at character 12"),
        (b'{"id": "\xff"}', "the body is not JSON"),
        (b"[" * 200_000, "the JSON is nested too deeply"),
    ],
)
def test_invalid_json_is_unreadable(body: bytes, problem: str) -> None:
    """HTML, truncated JSON, invalid UTF-8, or excessive nesting."""
    with pytest.raises(UnreadableError) as caught:
        codec.parse(body)
    assert caught.value.problems == [problem]


@pytest.mark.parametrize("fast", [True, False])
@each_case("digits", [19, 20, 640, 641, 4300, 4301, 100_000])
@each_case("sign", ["", "-"])
def test_number_with_too_many_digits_does_not_affect_other_fields(
    sign: str, digits: int, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python refuses to convert more than 4,300 digits."""
    if not fast:
        monkeypatch.setattr(codec, "_fast_loads", None)
    number = sign + "1" * digits
    body = f'{{"items": [{{"id": "643", "num_batches": {number}}}, {{"id": "644"}}]}}'.encode()
    page = codec.decode(codec.parse(body), Page[CustomerList])
    assert [item.id for item in page.items] == ["643", "644"]
    counter = page.items[0].num_batches or page.items[0].extra["num_batches"]
    assert counter == (int(number) if len(number) <= 640 else number)


@given(body=st.binary())
def test_any_bytes_parse_or_raise_unreadable_error(body: bytes) -> None:
    found = outcome(lambda: codec.parse(body))
    assert not isinstance(found, UnreadableError) or len(found.problems) == 1


SAME_WITH_AND_WITHOUT_ORJSON = [
    b'{"id": "\\ud800"}',
    b'{"id": "\\ud83d\\ude00"}',
    b'{"id": "\xed\xa0\x80"}',
    b'{"a": NaN, "b": Infinity, "c": -Infinity}',
    b'{"a": 1e400, "b": -1e400, "c": 1e-400, "d": -0, "e": -0.0, "f": 1E2}',
    b'{"a": 18446744073709551615, "b": 18446744073709551616, "c": 9223372036854775808}',
    b'{"a": -9223372036854775808, "b": -9223372036854775809, "c": 123456789012345678901234567890}',
    b'{"a": 0.1, "b": 1.7976931348623157e308, "c": 5e-324, "d": 123456789.123456789}',
    b'{"a": 1, "a": 2, "b": {"c": 1, "c": null}}',
    b"\xef\xbb\xbf{}",
    '{"id": "1"}'.encode("utf-16"),
    '{"id": "1"}'.encode("utf-32-le"),
    b'{"a": "tab\there"}',
    b'{"a": "\x00"}',
    b'{"a": 01}',
    b'{"a": 1.}',
    b'{"a": .5}',
    b'{"a": +1}',
    b'{"a": 1,}',
    b"[1 2]",
    b"\xa0[]",
    b" \t\r\n [ ] ",
    b"[" * 900 + b"]" * 900,
    b"1" * 5000,
    b"tru",
    b'"\\x"',
    b"{'a': 1}",
    b"\x0c[]",
]


def _described(body: bytes) -> object:
    found = outcome(lambda: codec.parse(body))
    return found.problems if isinstance(found, UnreadableError) else repr(found)


@each_case("body", SAME_WITH_AND_WITHOUT_ORJSON)
def test_parsing_is_the_same_with_and_without_orjson(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Surrogates, NaN, large integers, duplicate keys, encodings and errors."""
    orjson = pytest.importorskip("orjson")
    monkeypatch.setattr(codec, "_fast_loads", orjson.loads)
    fast = _described(body)
    monkeypatch.setattr(codec, "_fast_loads", None)
    assert fast == _described(body)


@given(body=st.one_of(st.binary(), ANY_JSON.map(lambda data: json.dumps(data).encode())))
def test_any_bytes_parse_the_same_with_and_without_orjson(body: bytes) -> None:
    """For any bytes and any JSON."""
    orjson = pytest.importorskip("orjson")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "_fast_loads", orjson.loads)
        fast = _described(body)
        patch.setattr(codec, "_fast_loads", None)
        assert fast == _described(body)


@given(data=ANY_JSON)
def test_json_round_trips(data: JSON) -> None:
    assert _same(codec.parse(json.dumps(data).encode()), data)


def test_row_is_encoded_without_unset_columns() -> None:
    """Not even as null."""
    row = RecordRow(email="a@example.com", external_id="7")
    assert codec.to_wire(row) == {"email": "a@example.com", "external_id": "7"}
    assert codec.to_wire(RecordRow()) == {}


@attrs.define
class _OneField:
    """A model with one field."""

    only: int
    extra: dict[str, object] = attrs.field(factory=dict)


def test_model_with_one_field_is_decoded_like_others() -> None:
    """With unknown fields and problems."""
    assert codec.decode({"only": 1.0}, _OneField) == _OneField(1)
    assert codec.decode({"only": 1, "new": 2}, _OneField).extra == {"new": 2}
    with pytest.raises(UnreadableError, match=r"required field missing @ \$.only"):
        codec.decode({}, _OneField)


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [
        ([1, 2.0], list[int], [1, 2]),
        ([True, False], list[bool], [True, False]),
        ([None, "a"], list[str | None], [None, "a"]),
        ([1, "a"], list[int | str], [1, "a"]),
        ("a", str, "a"),
        (None, str | None, None),
    ],
    ids=str,
)
def test_plain_values_are_decoded_outside_models(
    data: JSON, kind: type[object], expected: object
) -> None:
    """In a list, or alone."""
    assert codec.decode(data, kind) == expected


@pytest.mark.parametrize(
    ("data", "kind", "problem"),
    [
        ([1, True], list[int], "expected an integer, got a boolean @ $[1]"),
        ([True, 1], list[bool], "expected a boolean, got a number @ $[1]"),
        (["a", 1], list[str | None], "expected a string, got a number @ $[1]"),
    ],
    ids=str,
)
def test_plain_values_of_wrong_type_are_unreadable_outside_models(
    data: JSON, kind: type[object], problem: str
) -> None:
    """With their path."""
    assert problems(data, kind) == [problem]


@attrs.define
class _Positive:
    """A model that validates its values."""

    number: int = attrs.field(validator=attrs.validators.gt(0))
    extra: dict[str, object] = attrs.field(factory=dict)


def test_value_refused_by_the_model_is_unreadable() -> None:
    """Without the message of its exception, which may quote the value."""
    assert codec.decode({"number": 1}, _Positive) == _Positive(1)
    assert problems({"number": -7}, _Positive) == ["unreadable value @ $"]


def test_json_is_parsed_without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a copy of the module that cannot import orjson."""
    monkeypatch.setitem(sys.modules, "orjson", None)
    spec = importlib.util.spec_from_file_location("parsing_without_orjson", codec.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.fast_dumps is None
    assert module.parse(b'{"id": "643", "n": [1, 2.5, null]}') == {"id": "643", "n": [1, 2.5, None]}
    with pytest.raises(module.UnreadableError, match="the body is not JSON at character 1"):
        module.parse(b"[")
