"""How far a source has been read: bytes of a file of known size, otherwise rows."""

from __future__ import annotations

import bz2
import gzip
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from support.cases import each_case

from pinterest_audiences import (
    Client,
    ConfigurationError,
    ReadProgress,
    SourceLike,
    file_source,
    open_source,
    prepare,
    prepare_rows,
)

COUNT = 20_000
LINES = "".join(f"person{number}@shop.de\n" for number in range(COUNT)).encode()
TABLE = b"email\n" + LINES


def read(source: SourceLike) -> list[ReadProgress]:
    """Return what is reported while a source is read."""
    events: list[ReadProgress] = []
    prepare(source, on_progress=events.append).run()
    return events


@each_case(
    ("name", "content"),
    [
        ("list.txt", LINES),
        ("people.csv", TABLE),
        ("people.csv.gz", gzip.compress(TABLE)),
        ("people.csv.bz2", bz2.compress(TABLE)),
    ],
)
def test_file_of_known_size_reports_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    """Of the compressed file; neither rows nor bytes ever decrease."""
    path = tmp_path / name
    path.write_bytes(content)
    events = read(path)
    assert all(event.bytes_total == len(content) for event in events)
    rows = [event.rows for event in events]
    positions = [event.bytes_read or 0 for event in events]
    assert (rows, positions) == (sorted(rows), sorted(positions))
    assert 0 < positions[0] <= positions[-1] == len(content)
    assert events[-1] == ReadProgress(
        rows=COUNT, bytes_read=len(content), bytes_total=len(content), complete=True
    )
    assert [event.complete for event in events[:-1]] == [False] * (len(events) - 1)


def test_large_file_reports_positions_between_start_and_end(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(TABLE)
    positions = {event.bytes_read for event in read(path)}
    assert len(positions) > 3


def test_calls_per_chunk_and_not_per_row(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(TABLE)
    assert len(read(path)) < COUNT / 100


def test_sources_of_unknown_size_report_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TABLE)
    with path.open("rb") as opened:
        for source in (LINES.decode().split(), opened):
            events = read(source)
            assert {(event.bytes_read, event.bytes_total) for event in events} == {(None, None)}
            assert (events[-1].rows, events[-1].complete) == (COUNT, True)


def check_bytes(events: list[ReadProgress], total: int, rows: int) -> list[int]:
    """Check that bytes never decrease and end with their total; return them."""
    positions = [event.bytes_read or 0 for event in events]
    assert {event.bytes_total for event in events} == {total}
    assert positions == sorted(positions)
    assert events[-1] == ReadProgress(rows=rows, bytes_read=total, bytes_total=total, complete=True)
    return positions


def test_several_files_report_bytes_of_all(tmp_path: Path) -> None:
    """Also compressed ones, in partitions, and empty ones."""
    files = {
        "a.csv": TABLE,
        "x=1/b.csv.gz": gzip.compress(TABLE),
        "c.csv": b"email\n",
        "d.csv": b"",
        "e.csv": TABLE,
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    total = sum(map(len, files.values()))
    events = read(file_source(tmp_path))
    positions = check_bytes(events, total, 3 * COUNT)
    assert len(TABLE) in positions
    assert len(set(positions)) > 9


def test_several_files_that_are_read_again_report_bytes_from_the_start(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(TABLE)
    source = file_source(tmp_path)
    first, second = read(source), read(source)
    assert [event.bytes_read for event in second] == [event.bytes_read for event in first]
    assert check_bytes(second, 2 * len(TABLE), 2 * COUNT)[0] < len(TABLE)


@pytest.mark.skipif(os.name != "posix", reason="requires named pipes")
def test_several_files_with_a_pipe_report_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TABLE)
    os.mkfifo(tmp_path / "b.csv")
    writer = threading.Thread(target=(tmp_path / "b.csv").write_bytes, args=(TABLE,))
    writer.start()
    events = read(file_source([tmp_path / "a.csv", tmp_path / "b.csv"], format="csv"))
    writer.join()
    assert {(event.bytes_read, event.bytes_total) for event in events} == {(None, None)}
    assert events[-1].rows == 2 * COUNT


def table_writers() -> dict[str, Callable[[Path], object]]:
    pa: Any = pytest.importorskip("pyarrow", reason="the extra [arrow] is not installed")
    import_module("pyarrow.orc")
    import_module("pyarrow.parquet")
    table = pa.table({"email": LINES.decode().split(), "id": list(range(COUNT))})

    def write_batches(open_writer: Callable[..., Any], path: Path) -> None:
        with open_writer(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=3_000)

    return {
        "a.parquet": lambda path: pa.parquet.write_table(table, path, row_group_size=7_000),
        "a.arrow": lambda path: write_batches(pa.ipc.new_file, path),
        "one.arrow": lambda path: import_module("pyarrow.feather").write_feather(table, str(path)),
        "a.arrows": lambda path: write_batches(pa.ipc.new_stream, path),
        "a.orc": lambda path: pa.orc.write_table(table, str(path)),
    }


def test_files_of_columns_report_the_share_of_their_rows(tmp_path: Path) -> None:
    """In bytes of the file, so that files of several formats add up."""
    total = 0
    for name, write in table_writers().items():
        path = tmp_path / name
        write(path)
        size = path.stat().st_size
        total += size
        events = read(path)
        positions = check_bytes(events, size, COUNT)
        assert len(set(positions)) > 3
        if name != "a.arrows":  # bytes
            for event in events:
                assert abs(event.rows / COUNT - (event.bytes_read or 0) / size) < 0.1
    check_bytes(read(tmp_path), total, 5 * COUNT)


@pytest.mark.skipif(os.name != "posix", reason="requires named pipes")
def test_named_pipe_reports_rows(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(TABLE,))
    writer.start()
    events = read(open_source(path, format="csv"))
    writer.join()
    assert {event.bytes_total for event in events} == {None}
    assert events[-1].rows == COUNT


def test_limited_source_reports_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(TABLE)
    events = read(open_source(path).limit(5_000))
    assert {(event.bytes_total, event.max_rows) for event in events} == {(None, 5_000)}
    assert (events[-1].rows, events[-1].complete) == (5_000, True)


@pytest.mark.anyio
async def test_async_source_reports_rows() -> None:
    async def people() -> AsyncIterator[str]:
        for line in LINES.decode().split():
            yield line

    events: list[ReadProgress] = []
    async for _ in prepare(people(), on_progress=events.append):
        pass
    assert (events[-1].rows, events[-1].complete) == (COUNT, True)
    assert len(events) > 3


def test_source_that_fails_is_never_complete() -> None:
    def people() -> Iterator[str]:
        yield from LINES.decode().split()
        raise OSError

    events: list[ReadProgress] = []
    with pytest.raises(Exception, match="the iterator raised OSError"):
        prepare(people(), on_progress=events.append).run()
    assert events
    assert not any(event.complete for event in events)


def test_job_reports_the_progress_of_its_source(tmp_path: Path) -> None:
    """In the thread of the client, before the first event of the job."""
    events: list[object] = []
    prepared = prepare(LINES.decode().split(), on_progress=events.append)
    with Client.emulated() as client:
        client.upload(
            "549755885175", prepared, name="All", state=tmp_path / "jobs", on_event=events.append
        )
    kinds = [type(event).__name__ for event in events]
    assert kinds == sorted(kinds, reverse=True)
    assert set(kinds) == {"ReadProgress", "JobEvent"}


def test_rows_report_progress() -> None:
    events: list[ReadProgress] = []
    prepare_rows([{"email": "a@b.de"}] * 3, on_progress=events.append).run()
    assert events[-1] == ReadProgress(rows=3, complete=True)


@each_case("callback", [1, "print", []])
def test_callback_that_is_not_a_function_is_a_configuration_error(callback: Any) -> None:
    with pytest.raises(ConfigurationError, match="on_progress must be a function"):
        prepare(["a@b.de"], on_progress=callback)
