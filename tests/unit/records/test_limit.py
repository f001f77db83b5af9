"""Sources that are limited to their first rows, for a trial."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cases import each_case

from pinterest_audiences import (
    ConfigurationError,
    RejectReason,
    Source,
    file_source,
    open_source,
    prepare,
    prepare_rows,
)
from pinterest_audiences._records.chunks import AsciiChunk, RowChunk, first_rows

COUNT = 2_500
ADDRESSES = [f"person{number}@shop.de" for number in range(COUNT)]


def file(folder: Path, name: str, text: str) -> Source:
    path = folder / name
    path.write_text(text)
    return open_source(path)


def lines(folder: Path) -> Source:
    return file(folder, "list.txt", "".join(f"{address}\n" for address in ADDRESSES))


def delimited(folder: Path) -> Source:
    rows = "".join(f"{number},{address}\n" for number, address in enumerate(ADDRESSES))
    return file(folder, "people.csv", f"id,email\n{rows}")


def quoted(folder: Path) -> Source:
    rows = "".join(f'"a, b","{address}"\n' for address in ADDRESSES)
    return file(folder, "quoted.csv", f"id,email\n{rows}")


def ndjson(folder: Path) -> Source:
    rows = "".join(json.dumps({"email": address}) + "\n" for address in ADDRESSES)
    return file(folder, "people.ndjson", rows)


def several(folder: Path) -> Source:
    names = [folder / f"part{number}.txt" for number in range(3)]
    for number, name in enumerate(names):
        name.write_text("".join(f"{address}\n" for address in ADDRESSES[number::3]))
    return file_source(names)


def addresses(_: Path) -> Source:
    return open_source(ADDRESSES)


OPEN_DATABASES: list[sqlite3.Connection] = []


@pytest.fixture(autouse=True)
def close_databases() -> Iterator[None]:
    """Close the databases whose cursors a test reads."""
    yield
    while OPEN_DATABASES:
        OPEN_DATABASES.pop().close()


def cursor(_: Path) -> Source:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    OPEN_DATABASES.append(database)
    database.execute("create table people (email)")
    database.executemany("insert into people values (?)", [(address,) for address in ADDRESSES])
    return open_source(database.execute("select email from people"))


@each_case(
    "make", [lines, delimited, quoted, ndjson, several, cursor, lambda _: open_source(ADDRESSES)]
)
@each_case("limit", [1, 2_048, 2_049, COUNT, COUNT + 1])
def test_limit_reads_the_first_rows_of_every_kind_of_source(
    tmp_path: Path, make: Callable[[Path], Source], limit: int
) -> None:
    everything = [record for chunk in prepare(make(tmp_path)) for record in chunk]
    prepared = prepare(make(tmp_path).limit(limit))
    assert [record for chunk in prepared for record in chunk] == everything[:limit]
    report = prepared.report
    assert (report.rows, report.limit, report.complete) == (min(limit, COUNT), limit, True)


@pytest.mark.anyio
async def test_limit_reads_the_first_rows_of_an_async_source() -> None:
    async def people() -> AsyncIterator[str]:
        for address in ADDRESSES:
            yield address

    prepared = prepare(open_source(people()).limit(2_100))
    assert sum([len(chunk) async for chunk in prepared]) == 2_100
    assert (prepared.report.rows, prepared.report.limit) == (2_100, 2_100)


def test_blank_rows_do_not_count_towards_the_limit(tmp_path: Path) -> None:
    source = file(tmp_path, "people.csv", "email\n\nann@shop.de\n\n\nnone\n\neve@shop.de\n")
    report = prepare(source.limit(2)).run()
    assert (report.rows, report.records, report.blank) == (2, 1, 3)
    assert report.first_rows == {RejectReason.NO_AT_SIGN: (5,)}


def test_rows_with_several_values_count_once(tmp_path: Path) -> None:
    text = "email,email\na@b.de,b@b.de\nc@b.de,d@b.de\ne@b.de,f@b.de\n"
    report = prepare(file(tmp_path, "people.csv", text).limit(2)).run()
    assert (report.rows, report.records) == (2, 4)
    rows = prepare_rows(open_source([{"email": "a@b.de"}, {"email": "c@b.de"}]).limit(1))
    assert rows.run().records == 1


def test_rows_after_the_limit_are_not_read() -> None:
    """Neither is an error in them noticed, nor is a generator advanced further than a chunk."""

    def people() -> Iterator[str]:
        yield from ADDRESSES[:2_048]
        raise AssertionError

    assert prepare(open_source(people()).limit(2_048)).run().rows == 2_048


def test_smaller_of_two_limits_applies() -> None:
    source = open_source(ADDRESSES)
    assert source.limit(3).limit(5).max_rows == 3
    assert source.limit(5).limit(3).max_rows == 3
    assert source.max_rows is None


def test_report_of_a_limited_source_says_so() -> None:
    prepared = prepare(open_source(ADDRESSES).limit(3))
    assert "so far" in str(prepared.report)
    report = prepared.run()
    assert "3 rows; limited to the first 3" in str(report)
    assert (report.to_dict()["limit"], prepare(ADDRESSES).run().to_dict()["limit"]) == (3, None)


@each_case("limit", [0, -1, 1.5, True, "3", None])
def test_invalid_limit_is_a_configuration_error(limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="limit must be an integer"):
        open_source(ADDRESSES).limit(limit)


@each_case(
    ("chunk", "count", "values", "numbers", "blank"),
    [
        (AsciiChunk(1, b"a\nb\nc\n", 3, "f"), 2, ["a", "b"], None, 0),
        (RowChunk(1, ["a", "b", "c"], None, 0, "f"), 2, ["a", "b"], None, 0),
        (RowChunk(1, ["a", "b", "c"], [2, 4, 5], 2, "f"), 2, ["a", "b"], [2, 4], 2),
        (RowChunk(1, ["a", "b", "c"], [1, 1, 3], 1, "f"), 1, ["a", "b"], [1, 1], 0),
        (RowChunk(3, ["a"], [4], 1, "f"), 1, ["a"], [4], 1),
    ],
)
def test_first_rows_of_a_chunk(
    chunk: Any, count: int, values: list[str], numbers: list[int] | None, blank: int
) -> None:
    first = first_rows(chunk, count)
    assert (list(first.values), first.count, first.file) == (values, count, "f")
    if isinstance(first, RowChunk):
        assert (first.row_numbers, first.blank) == (numbers, blank)
