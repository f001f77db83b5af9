"""Request bodies: the intended JSON, or an error that quotes no record."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

from pinterest_audiences import ConfigurationError, OperationType, RecordError, RecordRow
from pinterest_audiences import UserListType as ListType
from pinterest_audiences._http import codec, requests

SENTINEL = "sentinel-7c1f@example.com"
PLAIN_COLUMNS = ["external_id", "user_agent"]
STRICT_COLUMNS = [c.name for c in attrs.fields(RecordRow) if c.name not in PLAIN_COLUMNS]
FORBIDDEN = [
    c
    for c in map(chr, range(0x1_0000))
    if c.isspace() or c < " " or "\x7f" <= c <= "\x9f" or c in '"\\'
]
SURROGATES = ["\ud800", "\udbff", "\udc00", "\udfff"]


class Text(str):
    """A subclass of `str`."""

    __slots__ = ()


def update(
    records: str | Iterable[str] | None = None, records_v2: Iterable[RecordRow] | None = None
) -> bytes:
    return b"".join(
        requests.customer_list_update(operation_type="ADD", records=records, records_v2=records_v2)
    )


def create(
    name: object = "Spring",
    *,
    records: str | Iterable[str] | None = "a@example.com",
    records_v2: Iterable[RecordRow] | None = None,
    list_type: ListType | str = ListType.EMAIL,
    is_nca: bool | None = None,
) -> bytes:
    return b"".join(
        requests.customer_list_create(
            name=name, list_type=list_type, is_nca=is_nca, records=records, records_v2=records_v2
        )
    )


def refused(call: Callable[[], bytes]) -> RecordError:
    """Return the error, and assert that it does not contain the sentinel."""
    with pytest.raises(RecordError) as caught:
        call()
    text = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert SENTINEL not in text
    assert "\n" not in str(caught.value)
    return caught.value


def generated(items: Iterable[str]) -> Iterator[str]:
    yield from items


records = st.text(min_size=1, max_size=20).filter(
    lambda text: "," not in text and not any(c in FORBIDDEN for c in text) and _encodes(text)
)


def _encodes(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


@pytest.mark.slow
@given(items=st.lists(records, min_size=1))
def test_update_body_parses_to_the_given_values(items: list[str]) -> None:
    """The hand-built body parses as the arguments, in their order."""
    assert json.loads(update(items)) == {"operation_type": "ADD", "records": ",".join(items)}


@given(
    name=st.text().filter(str.strip),
    items=st.lists(records, min_size=1),
    list_type=st.sampled_from(ListType),
    is_nca=st.none() | st.booleans(),
)
def test_create_body_parses_to_the_given_values(
    name: str, items: list[str], list_type: ListType, is_nca: bool | None
) -> None:
    """Names may contain any JSON string; unset arguments are not sent."""
    wanted: dict[str, object] = {"name": name, "list_type": list_type.value}
    if is_nca is not None:
        wanted["is_nca"] = is_nca
    body = create(name, records=items, list_type=list_type, is_nca=is_nca)
    assert json.loads(body) == {**wanted, "records": ",".join(items)}


@given(items=st.lists(records, min_size=1))
def test_string_list_tuple_and_generator_give_the_same_body(items: list[str]) -> None:
    bytes_of_list = update(items)
    assert update(tuple(items)) == bytes_of_list
    assert update(generated(items)) == bytes_of_list
    assert update(",".join(items)) == bytes_of_list
    assert update([Text(item) for item in items]) == bytes_of_list
    assert update(Text(",".join(items))) == bytes_of_list


free_text = st.text(
    st.characters(min_codepoint=0xA0, exclude_categories=["Cs"]) | st.sampled_from(' ,"\\')
)
columns = {
    **dict.fromkeys(STRICT_COLUMNS, records),
    **dict.fromkeys(PLAIN_COLUMNS, free_text.filter(str.strip)),
}
rows = st.fixed_dictionaries({}, optional=columns).filter(bool)


@pytest.mark.slow
@given(wire=st.lists(rows, min_size=1, max_size=5))
def test_row_body_has_only_the_set_columns(wire: list[dict[str, str]]) -> None:
    given_rows = [RecordRow(**row) for row in wire]
    assert json.loads(update(None, given_rows)) == {"operation_type": "ADD", "records_v2": wire}
    assert update(None, iter(given_rows)) == update(None, given_rows)
    assert json.loads(create(records=None, records_v2=given_rows))["records_v2"] == wire


@pytest.mark.parametrize(
    ("plain", "wide"),
    [(None, None), ("a@example.com", [RecordRow(email="a@example.com")]), ([], []), ("", ())],
)
def test_records_and_rows_are_mutually_exclusive_and_required(
    plain: str | list[str] | None, wide: list[RecordRow] | None
) -> None:
    """For update and create."""
    message = "records: exactly one of records and records_v2 is required"
    for error in (
        refused(lambda: update(plain, wide)),
        refused(lambda: create(records=plain, records_v2=wide)),
    ):
        assert (str(error), error.index) == (message, None)


@pytest.mark.parametrize(
    "nothing", ["", [], (), iter(())], ids=lambda nothing: type(nothing).__name__
)
def test_empty_records_are_refused(nothing: str | Iterable[str]) -> None:
    """A call without records would do nothing."""
    error = refused(lambda: update(nothing))
    assert (str(error), error.index) == ("records: must not be empty", None)


def test_empty_rows_are_refused() -> None:
    error = refused(lambda: update(None, []))
    assert (str(error), error.index) == ("records: must not be empty", None)


@each_case(
    "character",
    [*FORBIDDEN, *SURROGATES],
)
def test_record_with_forbidden_character_is_refused(character: str) -> None:
    """Whitespace of every script, controls, quotes, backslashes, surrogates."""
    for bad in (f"{SENTINEL}{character}", f"{character}{SENTINEL}", f"sen{character}tinel"):
        for given_records in (["a", "b", bad, "c"], generated(["a", "b", bad]), f"a,b,{bad},c"):
            error = refused(lambda records=given_records: update(records))  # type: ignore[misc]
            assert error.index == 2
            assert "white space, a control character, a quote or a backslash" in error.reason


def test_record_with_any_other_character_is_sent_unchanged() -> None:
    refused_ones = {*FORBIDDEN, ","}
    characters = map(chr, range(sys.maxunicode + 1))
    everything = "".join(c for c in characters if c not in refused_ones and _encodes(c))
    assert json.loads(update(everything))["records"] == everything


@pytest.mark.parametrize("bad", [f"{SENTINEL},b", ",", f"{SENTINEL},", f",{SENTINEL}"])
def test_record_with_comma_is_refused(bad: str) -> None:
    """A comma would split it into two records."""
    error = refused(lambda: update(["a", bad, "c"]))
    assert (error.index, error.reason) == (1, "contains a comma, which separates records")


@pytest.mark.parametrize(
    ("text", "index"),
    [(",a", 0), ("a,b,", 2), (",", 0), (",,", 0), ("ä,b,", 2), (f"{SENTINEL},,", 1)],
)
def test_string_with_leading_or_trailing_comma_is_refused(text: str, index: int) -> None:
    """It indicates a lost record."""
    error = refused(lambda: update(text))
    assert (error.index, error.reason) == (index, "is empty")


def test_string_with_double_comma_is_accepted() -> None:
    """Pinterest ignores empty records, and checking would cost too much time."""
    assert json.loads(update("a,,c"))["records"] == "a,,c"


@given(before=st.lists(records, max_size=3), after=st.lists(records, max_size=3))
def test_empty_record_in_an_iterable_is_refused_with_its_position(
    before: list[str], after: list[str]
) -> None:
    """First, last, or alone."""
    error = refused(lambda: update([*before, "", *after]))
    assert (error.index, error.reason) == (len(before), "is empty")


@pytest.mark.parametrize(
    "thing",
    [None, 5, b"a@example.com", 5.5, ["a"], True, object()],
    ids=lambda thing: type(thing).__name__,
)
def test_record_that_is_not_a_string_is_refused(thing: object) -> None:
    """Numbers are not converted, and bytes are not decoded."""
    mixed = cast("list[str]", ["a", "b", thing, "d", thing])
    error = refused(lambda: update(mixed))
    assert (error.index, error.reason) == (2, "not a string")
    error = refused(lambda: update(generated(mixed)))
    assert error.index == 2


def test_str_subclass_is_a_valid_record() -> None:
    """The error names the number after it."""
    error = refused(lambda: update(cast("list[str]", ["a", Text("b"), 5])))
    assert (error.index, error.reason) == (2, "not a string")


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bytes_as_records_are_refused(kind: type[bytes | bytearray]) -> None:
    """Bytes are an iterable of numbers; the error names the accepted types."""
    error = refused(lambda: update(cast("str", kind(SENTINEL.encode()))))
    assert error.index is None
    assert "must be a string or an iterable of strings, not bytes" in str(error)


@pytest.mark.parametrize("thing", [5, 5.5, True, object()], ids=lambda thing: type(thing).__name__)
def test_records_that_are_not_iterable_are_refused(thing: object) -> None:
    assert refused(lambda: update(cast("str", thing))).index is None


@pytest.mark.parametrize("thing", [5, RecordRow(email=SENTINEL)], ids=["number", "one row"])
def test_rows_that_are_not_iterable_are_refused(thing: object) -> None:
    """A single row is the likely mistake, and the error says so."""
    assert refused(lambda: update(None, cast("list[RecordRow]", thing))).index is None


def test_exception_of_a_record_generator_propagates() -> None:
    """It is not a RecordError."""

    def broken() -> Iterator[str]:
        yield "a"
        raise LookupError("of the caller's own")

    with pytest.raises(LookupError, match="of the caller's own"):
        update(broken())


@pytest.mark.parametrize("thing", ["a@example.com", {"email": "a"}, None, 5, ("a",)])
def test_row_that_is_not_a_record_row_is_refused(thing: object) -> None:
    """Only RecordRow defines the columns."""
    rows_given = cast("list[RecordRow]", [RecordRow(email="a"), thing])
    error = refused(lambda: update(None, rows_given))
    assert (error.index, error.reason) == (1, "not a RecordRow")


def test_row_without_any_column_is_refused() -> None:
    """It identifies no customer."""
    error = refused(lambda: update(None, [RecordRow(email="a"), RecordRow()]))
    assert (error.index, error.reason) == (1, "has no column set")


@each_case("column", [*STRICT_COLUMNS, *PLAIN_COLUMNS])
@each_case("value", ["", " ", "\u2003", 5, b"a", True, ["a"]])
def test_empty_or_non_string_cell_is_refused(column: str, value: object) -> None:
    """An unset column is None; an empty string indicates an earlier mistake."""
    row = RecordRow(**{column: cast("str", value)})
    error = refused(lambda: update(None, [RecordRow(email=SENTINEL), row]))
    assert (error.index, error.reason) == (1, f"{column} must be a non-empty string")


@each_case("column", STRICT_COLUMNS)
@each_case("character", [*" \t\n\r\x00\x7f\x85\xa0\u2028\u3000", *'",\\', "\ud800"])
def test_identifier_column_with_forbidden_character_is_refused(column: str, character: str) -> None:
    """Identifier columns follow the rule for records."""
    row = RecordRow(**{column: f"{SENTINEL}{character}x"})
    error = refused(lambda: update(None, [RecordRow(email="a"), row]))
    assert (error.index, error.reason) == (1, f"{column} contains a character that cannot be sent")


@pytest.mark.parametrize("column", PLAIN_COLUMNS)
@pytest.mark.parametrize("character", [*"\t\n\r\x00\x1f\x7f\x85\x9f", "\ud800"])
def test_free_text_column_with_control_character_is_refused(column: str, character: str) -> None:
    """A user agent or external id may be any text on one line."""
    row = RecordRow(**{column: f"{SENTINEL}{character}x"})
    assert refused(lambda: update(None, [row])).index == 0


@pytest.mark.parametrize("column", PLAIN_COLUMNS)
def test_free_text_column_accepts_spaces_commas_and_quotes(column: str) -> None:
    """JSON escapes them."""
    value = 'Mozilla/5.0 (X11; Linux) "like", \\Gecko ä'
    body = json.loads(update(None, [RecordRow(**{column: value})]))
    assert body["records_v2"] == [{column: value}]


@pytest.mark.parametrize("name", ["", " ", "\t\u2003", None, 5, b"Spring", ["Spring"]])
def test_empty_or_missing_list_name_is_refused(name: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^name must be a non-empty string$"):
        create(name)


@pytest.mark.parametrize("value", ["PHONE", "email", "", None, 5, OperationType.ADD])
def test_unknown_list_type_is_refused(value: object) -> None:
    """Before sending; the error lists the known types."""
    with pytest.raises(ConfigurationError, match=r"^list_type must be one of EMAIL, "):
        create(list_type=cast("str", value))
    with pytest.raises(ConfigurationError):
        create(list_type=ListType("PHONE"))


@pytest.mark.parametrize("value", ["REPLACE", "add", "", None, 5, ListType.EMAIL])
def test_unknown_operation_type_is_refused(value: object) -> None:
    """Only ADD and REMOVE, whatever the enum accepts."""
    message = r"^operation_type must be one of ADD, REMOVE$"
    with pytest.raises(ConfigurationError, match=message):
        requests.customer_list_update(
            operation_type=cast("str", value), records="a", records_v2=None
        )
    with pytest.raises(ConfigurationError, match=message):
        requests.customer_list_update(
            operation_type=OperationType("REPLACE"), records="a", records_v2=None
        )


@pytest.mark.parametrize("given_type", ["REMOVE", OperationType.REMOVE, Text("REMOVE")])
def test_operation_type_accepts_string_and_enum_member(given_type: str) -> None:
    body = requests.customer_list_update(operation_type=given_type, records="a", records_v2=None)
    assert json.loads(b"".join(body))["operation_type"] == "REMOVE"


@pytest.mark.parametrize("value", [0, 1, "true", "", []])
def test_is_nca_must_be_a_bool(value: object) -> None:
    """It cannot be changed later, so no other value is converted."""
    with pytest.raises(ConfigurationError, match=r"^is_nca must be True or False$"):
        create(is_nca=cast("bool", value))


def test_arguments_are_validated_before_records_are_read() -> None:
    """An invalid call does not consume a generator."""
    source = generated(["a", "b"])
    with pytest.raises(ConfigurationError):
        create("", records=source)
    with pytest.raises(ConfigurationError):
        requests.customer_list_update(operation_type="REPLACE", records=source, records_v2=None)
    assert list(source) == ["a", "b"]


def test_body_of_a_megabyte_of_hashes_is_unchanged() -> None:
    """Connectors send that much at once."""
    hashes = [f"{number:064x}" for number in range(15_400)]
    assert json.loads(update(hashes))["records"].split(",") == hashes


def test_search_for_an_invalid_record_finds_none_in_valid_records() -> None:
    with pytest.raises(AssertionError, match="unreachable"):
        requests._first_invalid_record("a,b")


@pytest.mark.parametrize("with_orjson", [True, False])
def test_forbidden_characters_are_the_same_with_and_without_orjson(
    with_orjson: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whitespace, control characters, quotes and backslashes cannot be sent; all others can."""
    orjson = pytest.importorskip("orjson")
    monkeypatch.setattr(codec, "fast_dumps", orjson.dumps if with_orjson else None)
    for code in (*range(0x80), 0xE4, 0x2003, 0x1F600):
        text = f"a{chr(code)}b"
        refused = code <= 0x20 or code in {0x22, 0x5C, 0x7F, 0x2003}
        if refused:
            with pytest.raises(RecordError):
                requests.customer_list_update(operation_type="ADD", records=text, records_v2=None)
        else:
            body = requests.customer_list_update(
                operation_type="ADD", records=text, records_v2=None
            )
            assert json.loads(b"".join(body))["records"] == text


@pytest.mark.parametrize(
    "name",
    ["Spring sale", 'The "best"', "a\\b", "Frühling", "\ud800", "\x7f", "a\nb", "\U0001f600"],
)
@pytest.mark.parametrize("with_orjson", [True, False])
def test_body_has_the_same_bytes_with_and_without_orjson_whatever_the_name(
    name: str, with_orjson: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only records are validated: a name may contain spaces, quotes and lone surrogates."""
    orjson = pytest.importorskip("orjson")
    monkeypatch.setattr(codec, "fast_dumps", orjson.dumps if with_orjson else None)
    head = {"name": name, "list_type": "EMAIL"}
    wanted = json.dumps({**head, "records": "a@b.co,c@d.co"}, separators=(",", ":")).encode()
    assert create(name, records="a@b.co,c@d.co") == wanted
    with pytest.raises(RecordError):
        create(name, records="a@b.co,c d")
