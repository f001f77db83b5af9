"""What request bodies promise: the JSON that was meant, or an error that names no record."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinterest_audiences import ConfigurationError, OperationType, RecordError, RecordRow
from pinterest_audiences import UserListType as ListType
from pinterest_audiences._wire import bodies

SENTINEL = "sentinel-7c1f@example.com"
PLAIN_COLUMNS = ["external_id", "user_agent"]
STRICT_COLUMNS = [c.name for c in attrs.fields(RecordRow) if c.name not in PLAIN_COLUMNS]
ALL_CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1)]
FORBIDDEN = [
    c for c in ALL_CHARACTERS if c.isspace() or c < " " or "\x7f" <= c <= "\x9f" or c in '"\\'
]
SURROGATES = ["\ud800", "\udbff", "\udc00", "\udfff"]


class Text(str):
    """A string of somebody's own class."""

    __slots__ = ()


def update(
    records: str | Iterable[str] | None = None, records_v2: Iterable[RecordRow] | None = None
) -> bytes:
    return b"".join(
        bodies.update_body(operation_type="ADD", records=records, records_v2=records_v2)
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
        bodies.create_body(
            name=name, list_type=list_type, is_nca=is_nca, records=records, records_v2=records_v2
        )
    )


def refused(call: Callable[[], bytes]) -> RecordError:
    """Return the error; fail if there is none or if it shows the sentinel."""
    with pytest.raises(RecordError) as caught:
        call()
    told = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert SENTINEL not in told
    assert "\n" not in str(caught.value)
    return caught.value


def generated(items: Iterable[str]) -> Iterator[str]:
    yield from items


records = st.text(min_size=1, max_size=20).filter(
    lambda text: "," not in text and not any(c in FORBIDDEN for c in text) and _encodes(text)
)


def _encodes(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


@given(items=st.lists(records, min_size=1))
def test_an_update_is_the_json_that_was_meant(items: list[str]) -> None:
    """The body that is put together by hand parses as what was given, in its order."""
    assert json.loads(update(items)) == {"operation_type": "ADD", "records": ",".join(items)}


@given(
    name=st.text().filter(str.strip),
    items=st.lists(records, min_size=1),
    list_type=st.sampled_from(ListType),
    is_nca=st.none() | st.booleans(),
)
def test_a_create_is_the_json_that_was_meant(
    name: str, items: list[str], list_type: ListType, is_nca: bool | None
) -> None:
    """Names may hold anything that JSON can; what was not given is not sent."""
    wanted: dict[str, object] = {"name": name, "list_type": list_type.value}
    if is_nca is not None:
        wanted["is_nca"] = is_nca
    body = create(name, records=items, list_type=list_type, is_nca=is_nca)
    assert json.loads(body) == {**wanted, "records": ",".join(items)}


@given(items=st.lists(records, min_size=1))
def test_a_string_and_an_iterable_give_the_same_bytes(items: list[str]) -> None:
    """A list, a tuple, a generator and the joined string are the same records."""
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


@given(wire=st.lists(rows, min_size=1, max_size=5))
def test_rows_are_the_json_that_was_meant(wire: list[dict[str, str]]) -> None:
    """Each row is an object of the columns that are set, and of no others."""
    given_rows = [RecordRow(**row) for row in wire]
    assert json.loads(update(None, given_rows)) == {"operation_type": "ADD", "records_v2": wire}
    assert update(None, iter(given_rows)) == update(None, given_rows)
    assert json.loads(create(records=None, records_v2=given_rows))["records_v2"] == wire


@pytest.mark.parametrize(
    ("plain", "wide"),
    [(None, None), ("a@example.com", [RecordRow(email="a@example.com")]), ([], []), ("", ())],
)
def test_exactly_one_kind_of_records_is_needed(
    plain: str | list[str] | None, wide: list[RecordRow] | None
) -> None:
    """Both kinds of records, or neither, are refused: by update and by create."""
    told = "records: exactly one of records and records_v2 is needed"
    for error in (
        refused(lambda: update(plain, wide)),
        refused(lambda: create(records=plain, records_v2=wide)),
    ):
        assert (str(error), error.index) == (told, None)


@pytest.mark.parametrize(
    "nothing", ["", [], (), iter(())], ids=lambda nothing: type(nothing).__name__
)
def test_no_records_are_refused(nothing: str | Iterable[str]) -> None:
    """A call without a record would do nothing, so it is not made."""
    error = refused(lambda: update(nothing))
    assert (str(error), error.index) == ("records: there are none", None)


def test_no_rows_are_refused() -> None:
    """The same for rows."""
    error = refused(lambda: update(None, []))
    assert (str(error), error.index) == ("records: there are none", None)


@pytest.mark.parametrize(
    "character",
    [pytest.param(c, id=f"U+{ord(c):04X}") for c in [*FORBIDDEN, *SURROGATES]],
)
def test_a_character_that_cannot_be_sent_is_refused(character: str) -> None:
    """White space of every script, controls, quotes, backslashes, halves of characters."""
    for bad in (f"{SENTINEL}{character}", f"{character}{SENTINEL}", f"sen{character}tinel"):
        for given_records in (["a", "b", bad, "c"], generated(["a", "b", bad]), f"a,b,{bad},c"):
            error = refused(lambda records=given_records: update(records))  # type: ignore[misc]
            assert error.index == 2
            assert "white space, a control character, a quote or a backslash" in error.reason


def test_every_other_character_is_sent_as_it_is() -> None:
    """Nothing else of Unicode is refused or changed."""
    refused_ones = {*FORBIDDEN, ","}
    everything = "".join(c for c in ALL_CHARACTERS if c not in refused_ones and _encodes(c))
    assert json.loads(update(everything))["records"] == everything


@pytest.mark.parametrize("bad", [f"{SENTINEL},b", ",", f"{SENTINEL},", f",{SENTINEL}"])
def test_a_comma_inside_a_record_is_refused(bad: str) -> None:
    """A comma would make two records of one."""
    error = refused(lambda: update(["a", bad, "c"]))
    assert (error.index, error.reason) == (1, "holds a comma, which separates records")


@pytest.mark.parametrize(
    ("text", "index"),
    [(",a", 0), ("a,b,", 2), (",", 0), (",,", 0), ("ä,b,", 2), (f"{SENTINEL},,", 1)],
)
def test_an_empty_record_in_a_string_is_refused(text: str, index: int) -> None:
    """A comma at either end says that a record was lost."""
    error = refused(lambda: update(text))
    assert (error.index, error.reason) == (index, "is empty")


def test_two_commas_inside_a_string_are_let_through() -> None:
    """Pinterest takes an empty record for none, and to look for them would cost too much."""
    assert json.loads(update("a,,c"))["records"] == "a,,c"


@given(before=st.lists(records, max_size=3), after=st.lists(records, max_size=3))
def test_an_empty_record_in_an_iterable_is_refused(before: list[str], after: list[str]) -> None:
    """An empty record is named by its place, first, last, or alone."""
    error = refused(lambda: update([*before, "", *after]))
    assert (error.index, error.reason) == (len(before), "is empty")


@pytest.mark.parametrize(
    "thing",
    [None, 5, b"a@example.com", 5.5, ["a"], True, object()],
    ids=lambda thing: type(thing).__name__,
)
def test_a_record_that_is_no_string_is_refused(thing: object) -> None:
    """Numbers are not turned into text, nor bytes decoded."""
    mixed = cast("list[str]", ["a", "b", thing, "d", thing])
    error = refused(lambda: update(mixed))
    assert (error.index, error.reason) == (2, "not a string")
    error = refused(lambda: update(generated(mixed)))
    assert error.index == 2


def test_a_string_of_a_class_of_its_own_is_not_the_culprit() -> None:
    """Such strings are records too, so the fault is the number's behind them."""
    error = refused(lambda: update(cast("list[str]", ["a", Text("b"), 5])))
    assert (error.index, error.reason) == (2, "not a string")


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bytes_are_no_records(kind: type[bytes | bytearray]) -> None:
    """Bytes are an iterable of numbers, so the error says what is needed instead."""
    error = refused(lambda: update(cast("str", kind(SENTINEL.encode()))))
    assert error.index is None
    assert "a string or an iterable of strings is needed, not bytes" in str(error)


@pytest.mark.parametrize("thing", [5, 5.5, True, object()], ids=lambda thing: type(thing).__name__)
def test_what_cannot_be_iterated_is_no_records(thing: object) -> None:
    """It is refused as a wrong argument, as everything else that cannot be records."""
    assert refused(lambda: update(cast("str", thing))).index is None


@pytest.mark.parametrize("thing", [5, RecordRow(email=SENTINEL)], ids=["number", "one row"])
def test_what_cannot_be_iterated_is_no_rows(thing: object) -> None:
    """One row by itself is the likely slip, and is told as such a one."""
    assert refused(lambda: update(None, cast("list[RecordRow]", thing))).index is None


def test_what_a_generator_raises_gets_out() -> None:
    """A fault in the caller's own generator is the caller's, not a RecordError."""

    def broken() -> Iterator[str]:
        yield "a"
        raise LookupError("of the caller's own")

    with pytest.raises(LookupError, match="of the caller's own"):
        update(broken())


@pytest.mark.parametrize("thing", ["a@example.com", {"email": "a"}, None, 5, ("a",)])
def test_a_row_that_is_no_row_is_refused(thing: object) -> None:
    """Only RecordRow says which columns there are."""
    rows_given = cast("list[RecordRow]", [RecordRow(email="a"), thing])
    error = refused(lambda: update(None, rows_given))
    assert (error.index, error.reason) == (1, "not a RecordRow")


def test_a_row_without_a_column_is_refused() -> None:
    """An empty row names nobody."""
    error = refused(lambda: update(None, [RecordRow(email="a"), RecordRow()]))
    assert (error.index, error.reason) == (1, "has no column set")


@pytest.mark.parametrize("column", [*STRICT_COLUMNS, *PLAIN_COLUMNS])
@pytest.mark.parametrize("value", ["", " ", "\u2003", 5, b"a", True, ["a"]])
def test_a_cell_that_is_empty_or_no_string_is_refused(column: str, value: object) -> None:
    """What is not set is None; an empty string is a mistake somewhere before."""
    row = RecordRow(**{column: cast("str", value)})
    error = refused(lambda: update(None, [RecordRow(email=SENTINEL), row]))
    assert (error.index, error.reason) == (1, f"{column} is not a string, or empty")


@pytest.mark.parametrize("column", STRICT_COLUMNS)
@pytest.mark.parametrize("character", [*" \t\n\r\x00\x7f\x85\xa0\u2028\u3000", *'",\\', "\ud800"])
def test_an_identifier_holds_no_character_that_records_may_not_hold(
    column: str, character: str
) -> None:
    """The rule for records is the rule for the columns that are identifiers."""
    row = RecordRow(**{column: f"{SENTINEL}{character}x"})
    error = refused(lambda: update(None, [RecordRow(email="a"), row]))
    assert (error.index, error.reason) == (1, f"{column} holds a character that cannot be sent")


@pytest.mark.parametrize("column", PLAIN_COLUMNS)
@pytest.mark.parametrize("character", [*"\t\n\r\x00\x1f\x7f\x85\x9f", "\ud800"])
def test_free_text_holds_no_control_character(column: str, character: str) -> None:
    """A user agent or an id of one's own may be any text, on one line."""
    row = RecordRow(**{column: f"{SENTINEL}{character}x"})
    assert refused(lambda: update(None, [row])).index == 0


@pytest.mark.parametrize("column", PLAIN_COLUMNS)
def test_free_text_may_hold_spaces_commas_and_quotes(column: str) -> None:
    """What JSON escapes is no problem there."""
    value = 'Mozilla/5.0 (X11; Linux) "like", \\Gecko ä'
    body = json.loads(update(None, [RecordRow(**{column: value})]))
    assert body["records_v2"] == [{column: value}]


@pytest.mark.parametrize("name", ["", " ", "\t\u2003", None, 5, b"Spring", ["Spring"]])
def test_a_list_needs_a_name(name: object) -> None:
    """The name is a string with something in it."""
    with pytest.raises(ConfigurationError, match=r"^name: a string that is not empty is needed$"):
        create(name)


@pytest.mark.parametrize("value", ["PHONE", "email", "", None, 5, OperationType.ADD])
def test_an_unknown_list_type_is_refused(value: object) -> None:
    """What the API does not know is told before it is sent, with what it does know."""
    with pytest.raises(ConfigurationError, match=r"^list_type: one of EMAIL, .* is needed$"):
        create(list_type=cast("str", value))
    with pytest.raises(ConfigurationError):
        create(list_type=ListType("PHONE"))


@pytest.mark.parametrize("value", ["REPLACE", "add", "", None, 5, ListType.EMAIL])
def test_an_unknown_operation_type_is_refused(value: object) -> None:
    """There is ADD and REMOVE, and nothing else, whatever the enum lets through."""
    told = r"^operation_type: one of ADD, REMOVE is needed$"
    with pytest.raises(ConfigurationError, match=told):
        bodies.update_body(operation_type=cast("str", value), records="a", records_v2=None)
    with pytest.raises(ConfigurationError, match=told):
        bodies.update_body(operation_type=OperationType("REPLACE"), records="a", records_v2=None)


@pytest.mark.parametrize("given_type", ["REMOVE", OperationType.REMOVE, Text("REMOVE")])
def test_an_operation_type_may_be_a_string_or_a_member(given_type: str) -> None:
    """Both mean the same on the wire."""
    body = bodies.update_body(operation_type=given_type, records="a", records_v2=None)
    assert json.loads(b"".join(body))["operation_type"] == "REMOVE"


@pytest.mark.parametrize("value", [0, 1, "true", "", []])
def test_is_nca_is_true_or_false(value: object) -> None:
    """It cannot be changed later, so nothing is taken for a truth value."""
    with pytest.raises(ConfigurationError, match=r"^is_nca: True or False is needed$"):
        create(is_nca=cast("bool", value))


def test_the_arguments_are_checked_before_the_records_are_read() -> None:
    """A generator is not used up by a call that could not be made anyway."""
    source = generated(["a", "b"])
    with pytest.raises(ConfigurationError):
        create("", records=source)
    with pytest.raises(ConfigurationError):
        bodies.update_body(operation_type="REPLACE", records=source, records_v2=None)
    assert list(source) == ["a", "b"]


def test_a_million_bytes_of_hashes_come_through() -> None:
    """The size that connectors send at once."""
    hashes = [f"{number:064x}" for number in range(15_400)]
    assert json.loads(update(hashes))["records"].split(",") == hashes


def test_no_fault_is_made_up() -> None:
    """Where every record is fine, the search for the faulty one does not name one."""
    with pytest.raises(AssertionError, match="unreachable"):
        bodies._first_fault("a,b")
