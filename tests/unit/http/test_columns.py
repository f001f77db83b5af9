"""Decoding a page by columns gives the same result as decoding it by objects."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

from pinterest_audiences import JSON, CustomerList, CustomerListStatus, Page
from pinterest_audiences._http import codec
from pinterest_audiences._http.codec import UnreadableError

FULL: dict[str, JSON] = {
    "ad_account_id": "549755885175",
    "created_time": 1_452_208_622,
    "exceptions": {"code": 2},
    "id": "643",
    "is_nca": False,
    "name": "Spring",
    "num_batches": 2,
    "num_removed_user_records": 0,
    "num_uploaded_user_records": 11,
    "status": "READY",
    "type": "customerlist",
    "updated_time": 1_461_269_616.5,
}
ODD: list[tuple[str, JSON]] = [
    ("status", None),
    ("status", "ARCHIVED"),
    ("status", 5),
    ("status", {}),
    ("created_time", None),
    ("created_time", True),
    ("created_time", "soon"),
    ("created_time", 10**30),
    ("created_time", 1e300),
    ("created_time", -5.25),
    ("created_time", float("nan")),
    ("num_batches", 2.0),
    ("num_batches", 2.5),
    ("num_batches", True),
    ("name", None),
    ("name", 7),
    ("is_nca", 1),
    ("exceptions", [1]),
    ("color", "red"),
]


def outcome(read: Callable[[], list[CustomerList]]) -> object:
    """Return the models with their extra fields, or None if they are unreadable."""
    try:
        return [(model, dict(model.extra), repr(model)) for model in read()]
    except UnreadableError:
        return None


def as_page(items: list[dict[str, JSON]]) -> list[CustomerList]:
    return codec.decode({"items": items, "bookmark": None}, Page[CustomerList]).items


def one_by_one(items: list[dict[str, JSON]]) -> list[CustomerList]:
    return [codec.decode(item, CustomerList) for item in items]


@each_case(("field", "value"), ODD)
@each_case("places", [{0}, {3}, {5}, set(range(6))])
def test_page_with_unusual_value_decodes_as_by_object(
    places: set[int], field: str, value: JSON
) -> None:
    items = [{**FULL, "id": str(i)} for i in range(6)]
    for place in places:
        items[place][field] = value
    assert outcome(lambda: as_page(items)) == outcome(lambda: one_by_one(items))
    assert [model.id for model in as_page(items)] == list("012345")


@each_case("field", sorted(FULL.keys() - {"id"}))
@each_case("places", [{0}, {5}, set(range(6))])
def test_page_with_missing_field_decodes_as_by_object(places: set[int], field: str) -> None:
    items = [{**FULL, "id": str(i)} for i in range(6)]
    for place in places:
        del items[place][field]
    assert outcome(lambda: as_page(items)) == outcome(lambda: one_by_one(items))
    assert [getattr(as_page(items)[place], field) for place in places] == [None] * len(places)


@pytest.mark.parametrize("value", [None, 5, "absent"])
def test_page_with_invalid_id_is_unreadable_with_its_path(value: JSON) -> None:
    items = [{**FULL, "id": str(i)} for i in range(6)]
    if value == "absent":
        del items[4]["id"]
    else:
        items[4]["id"] = value
    with pytest.raises(UnreadableError, match=r"@ \$\.items\[4\]\.id"):
        as_page(items)


def test_values_of_a_page_are_assigned_to_their_objects() -> None:
    items = [{**FULL, "id": str(i), "name": f"List {i}", "color": i} for i in range(250)]
    models = as_page(items)
    assert [(m.id, m.name) for m in models] == [(str(i), f"List {i}") for i in range(250)]
    assert [m.extra for m in models] == [{"color": i} for i in range(250)]
    assert {m.status for m in models} == {CustomerListStatus.READY}
    assert models[0].extra is not models[1].extra


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),  # NaN in a field that is not read differs from itself
    st.text(max_size=5),
    st.just("READY"),
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*FULL, "color", "size"]), values, max_size=4),
        min_size=1,
        max_size=7,
    ),
    st.sets(st.sampled_from(sorted(FULL.keys() - {"id"}))),
)
def test_any_page_decodes_as_by_object(changes: list[dict[str, JSON]], absent: set[str]) -> None:
    base = {name: value for name, value in FULL.items() if name not in absent}
    items = [{**base, **change} for change in changes]
    assert outcome(lambda: as_page(items)) == outcome(lambda: one_by_one(items))
