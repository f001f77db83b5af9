"""Batches: both caps, the order, the bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinterest_audiences import Batch, ConfigurationError, RecordError, RecordRow, make_batches
from pinterest_audiences._records.batches import RESERVED_BYTES, BatchMaker

records = st.text(st.characters(codec="utf-8", exclude_characters=',"\\', categories=["L", "N"]))
some = st.lists(records.filter(bool), min_size=1)


def contents(batch: Batch) -> list[str]:
    body = json.loads(b"{" + batch.fragment + b"}")
    return body["records"].split(",")  # type: ignore[no-any-return]  # it is JSON


@given(some, st.integers(1, 20), st.integers(0, 100))
def test_batches_hold_all_records_in_order_under_both_limits(
    cells: list[str], most: int, room: int
) -> None:
    """No record is lost, repeated or moved, and each batch is as large as possible."""
    longest = max(len(cell.encode()) for cell in cells)
    max_bytes = RESERVED_BYTES + len('"records":""') + longest + room
    batches = list(make_batches(cells, max_records=most, max_bytes=max_bytes))
    assert [cell for batch in batches for cell in contents(batch)] == cells
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    for batch, after in zip(batches, [*batches[1:], None], strict=True):
        assert batch.count == len(contents(batch)) <= most
        assert len(batch.fragment) <= max_bytes - RESERVED_BYTES
        if after is not None and batch.count < most:
            first = contents(after)[0]
            assert len(batch.fragment) + 1 + len(first.encode()) > max_bytes - RESERVED_BYTES


@given(some, st.data())
def test_batches_do_not_depend_on_the_size_of_chunks(cells: list[str], data: st.DataObject) -> None:
    """The same records give the same bytes."""
    whole = list(make_batches(cells, max_records=3))
    maker, at, pieced = BatchMaker("records", max_records=3), 0, list[Batch]()
    while at < len(cells):
        step = data.draw(st.integers(1, 5))
        pieced += maker.add(cells[at : at + step])
        at += step
    assert [*pieced, *maker.finish()] == whole


def test_rows_become_json_that_reads_back_as_the_rows() -> None:
    """Only the cells that are set are there, and quotes in free text survive."""
    rows = [
        RecordRow(email="a" * 64, external_id='17 "x" \\'),
        RecordRow(user_agent="Mozilla/5.0 (ü)"),
    ]
    [batch] = make_batches(rows)
    assert batch.field == "records_v2"
    assert json.loads(b"{" + batch.fragment + b"}") == {
        "records_v2": [
            {"email": "a" * 64, "external_id": '17 "x" \\'},
            {"user_agent": "Mozilla/5.0 (ü)"},
        ]
    }


def test_rows_stay_within_both_limits() -> None:
    """Rows are counted and measured as records are."""
    rows = [RecordRow(email=f"{n:064}") for n in range(10)]
    assert [batch.count for batch in make_batches(rows, max_records=4)] == [4, 4, 2]
    size = len('"records_v2":[]') + 2 * len('{"email":""}') + 128 + 1
    batches = list(make_batches(rows, max_bytes=size, reserve=0))
    assert [batch.count for batch in batches] == [2] * 5
    assert all(len(batch.fragment) == size for batch in batches)


def test_default_batch_is_1900_records_and_one_megabyte() -> None:
    """The default limits are 1,900 records and 1,000,000 bytes."""
    hashes = [f"{n:064x}" for n in range(10_001)]
    assert [batch.count for batch in make_batches(hashes[:1_901])] == [1_900, 1]
    assert [batch.count for batch in make_batches(hashes, max_records=10**6)] == [10_001]
    both_caps = [batch.count for batch in make_batches(hashes * 2, max_records=10**6)]
    assert both_caps == [15_380, 4_622]  # 65 bytes each, less one, within 999,744 less the name


def test_no_records_make_no_batches() -> None:
    """Empty batches do not exist."""
    assert list(make_batches([])) == []


@pytest.mark.parametrize("record", ["", "a b", "a,b", 'a"b', "a\\b", "a\x00", "\ud800", "a\xa0b"])
def test_record_that_cannot_be_sent_is_refused_with_its_index(record: str) -> None:
    """Records that are not from prepare are checked."""
    with pytest.raises(RecordError, match="record 2 ") as caught:
        list(make_batches(["a", "b", record]))
    assert caught.value.index == 2


@pytest.mark.parametrize("thing", [None, 7, b"a"])
def test_object_that_is_not_a_record_is_refused(thing: object) -> None:
    """Only strings, or only rows."""
    with pytest.raises(RecordError, match="not a string"):
        list(make_batches(["a", thing]))  # type: ignore[arg-type]  # on purpose
    with pytest.raises(RecordError, match="not a RecordRow"):
        list(make_batches([RecordRow(email="a"), thing]))  # type: ignore[arg-type]  # on purpose


def test_rows_that_cannot_be_sent_are_refused() -> None:
    """An empty row, and a control character, are named by place and column."""
    with pytest.raises(RecordError, match="no column"):
        list(make_batches([RecordRow()]))
    with pytest.raises(RecordError, match="external_id cannot be sent"):
        list(make_batches([RecordRow(external_id="a\nb")]))


def test_record_longer_than_a_batch_is_refused() -> None:
    """It is named, not cut and not sent."""
    with pytest.raises(RecordError, match=r"record 1 .*max_bytes"):
        list(make_batches(["a", "b" * 100], max_bytes=350))


@pytest.mark.parametrize(
    "caps",
    [{"max_records": 0}, {"max_records": True}, {"max_bytes": 10}, {"reserve": -1}],
)
def test_limits_that_are_too_small_are_refused(caps: dict[str, int]) -> None:
    """A batch must have space for one record of one byte."""
    with pytest.raises(ConfigurationError, match=next(iter(caps))):
        list(make_batches(["a"], **caps))


def test_repr_of_a_batch_has_no_records() -> None:
    """It shows sizes only."""
    [batch] = make_batches(["ann@shop.de"])
    assert repr(batch) == "Batch(number=1, records=1, bytes=23)"
