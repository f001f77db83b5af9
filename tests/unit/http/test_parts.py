"""Splitting a file into parts: at line ends, of sufficient size, without reading it."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinterest_audiences import ConfigurationError, SourceError
from pinterest_audiences._http.multipart import MIN_PART_BYTES, FileParts, split_file

MB = 1024 * 1024
LINE = b"0123456789abcde\n"


def lines(size: int) -> bytes:
    return (LINE * (size // len(LINE) + 1))[:size]


def contents(file: FileParts) -> list[bytes]:
    found: list[bytes] = []
    for part in file.parts:
        with file.open_at(part) as opened:
            found.append(opened.read(part.size))
    return found


def sizes(file: FileParts) -> list[int]:
    return [part.size for part in file.parts]


@pytest.fixture
def hole(tmp_path: Path) -> Path:
    """A sparse file of 200 MB."""
    path = tmp_path / "large.txt"
    with path.open("wb") as opened:
        opened.truncate(200 * MB)
    return path


@pytest.mark.parametrize("size", [1, 17, MIN_PART_BYTES, 2 * MIN_PART_BYTES - 1, 16 * MB])
def test_small_file_is_one_part(size: int) -> None:
    """Of any size above 0."""
    file = split_file(bytes(size), None)
    assert [(part.number, part.start, part.size) for part in file.parts] == [(1, 0, size)]


@pytest.mark.parametrize(
    ("size", "count"),
    [(16 * MB + 1, 2), (32 * MB, 2), (33 * MB, 3), (160 * MB, 10), (200 * MB, 10)],
)
def test_large_file_is_split_into_16_mb_parts_or_ten_parts(
    hole: Path, size: int, count: int
) -> None:
    """A broken connection then repeats little."""
    os.truncate(hole, size)
    file = split_file(hole, None)
    assert len(file.parts) == count
    assert sum(sizes(file)) == size


@settings(max_examples=40)
@given(
    size=st.integers(1, 1000) | st.integers(10 * MB, 12 * MB),
    wanted=st.sampled_from([None, 1, 2]),
    width=st.integers(1, 200),
)
def test_parts_are_whole_lines_and_join_to_the_file(
    size: int, wanted: int | None, width: int
) -> None:
    if wanted == 2 and size < 2 * MIN_PART_BYTES:
        wanted = None
    line = b"x" * width + b"\n"
    data = (line * (size // len(line) + 1))[:size]
    file = split_file(data, wanted)
    parts = contents(file)
    assert b"".join(parts) == data
    assert wanted is None or len(parts) == wanted
    assert [part.number for part in file.parts] == list(range(1, len(parts) + 1))
    assert all(part.endswith(b"\n") and len(part) >= MIN_PART_BYTES for part in parts[:-1])


@pytest.mark.parametrize("width", [7, 999, 12_345])
def test_only_the_last_part_may_be_below_the_minimum_size(width: int) -> None:
    """A long line in one part does not make the next part too small."""
    data = (b"x" * width + b"\n") * (10 * MIN_PART_BYTES // width + 1)
    file = split_file(data[: 10 * MIN_PART_BYTES], 10)
    assert min(sizes(file)[:-1]) >= MIN_PART_BYTES
    assert 0 < sizes(file)[-1] <= MIN_PART_BYTES


@pytest.mark.parametrize("shift", range(-2, 3))
def test_split_between_two_lines_is_not_moved(shift: int) -> None:
    """One inside a line moves to the line's end."""
    half = MIN_PART_BYTES + 64
    data = b"a" * (half + shift - 1) + b"\n" + b"b" * (half - shift)
    first, second = contents(split_file(data, 2))
    if shift >= 0:
        assert (first, second) == (data[: half + shift], data[half + shift :])
    else:  # the line that starts before the middle has no end, so it is split
        assert len(first) == half


def test_file_without_line_ends_is_split_inside_a_line() -> None:
    assert sizes(split_file(bytes(12 * MB), 2)) == [6 * MB, 6 * MB]


def test_requested_number_of_parts_is_exact_or_refused() -> None:
    """Each must reach the minimum size, and ten is the maximum."""
    data = lines(3 * MIN_PART_BYTES)
    assert len(split_file(data, 3).parts) == 3
    with pytest.raises(ConfigurationError, match="total_parts must be at most 3 for 15728640"):
        split_file(data, 4)
    with pytest.raises(ConfigurationError, match=r"^total_parts must be at most 1 for 3 bytes"):
        split_file(b"a\nb", 2)
    for wrong in (0, 11, True, "2"):
        with pytest.raises(ConfigurationError, match="total_parts must be an integer from 1 to"):
            split_file(data, wrong)  # type: ignore[arg-type]  # that is what is refused


def test_large_file_is_read_only_at_split_points(hole: Path) -> None:
    tracemalloc.start()
    try:
        assert len(split_file(hole, None).parts) == 10
        assert tracemalloc.get_traced_memory()[1] < MB
    finally:
        tracemalloc.stop()


def test_file_argument_is_a_path_or_bytes(tmp_path: Path) -> None:
    """Bytes are the content, never a path."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\nb\n")
    for given_path in (path, str(path)):
        assert contents(split_file(given_path, None)) == [b"a\nb\n"]
        assert split_file(given_path, None).name == str(path)
    assert contents(split_file(os.fsencode(path), None)) == [os.fsencode(path)]
    assert split_file(b"a", None).name == "bytes"


@pytest.mark.parametrize("wrong", [None, 5, ["a"], bytearray(b"a")])
def test_other_file_arguments_are_refused(wrong: object) -> None:
    """A number could be an open file descriptor."""
    with pytest.raises(ConfigurationError, match=r"^file must be a path or bytes$"):
        split_file(wrong, None)  # type: ignore[arg-type]  # that is what is refused


def test_unreadable_file_is_reported_with_its_name(tmp_path: Path) -> None:
    """Missing, a directory, empty, or an invalid name."""
    empty = tmp_path / "empty"
    empty.touch()
    for path, reason in [
        (tmp_path / "gone", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (empty, "is empty; there is nothing to upload"),
    ]:
        with pytest.raises(SourceError) as failed:
            split_file(path, None)
        assert str(failed.value) == f"{path}: {reason}"
    with pytest.raises(SourceError, match="cannot be opened"):
        split_file("a\0b", None)
    with pytest.raises(SourceError, match=r"^bytes: is empty"):
        split_file(b"", None)


@pytest.mark.parametrize("change", ["longer", "shorter", "rewritten", "gone"])
def test_file_changed_after_splitting_is_an_error(tmp_path: Path, change: str) -> None:
    """Its parts would not match."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\nb\n")
    os.utime(path, ns=(0, 0))
    file = split_file(path, None)
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes({"longer": b"a\nb\nc\n", "shorter": b"a\n"}.get(change, b"c\nd\n"))
    with pytest.raises(SourceError) as failed:
        file.open_at(file.parts[0])
    assert failed.value.source == str(path)
    assert failed.value.reason == (
        "No such file or directory" if change == "gone" else "was changed during the upload"
    )
