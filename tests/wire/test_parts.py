"""How a file is cut into parts: between lines, large enough, and without being read."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinterest_audiences import ConfigurationError, SourceError
from pinterest_audiences._wire.parts import SMALLEST_PART, CutFile, cut

MB = 1024 * 1024
LINE = b"0123456789abcde\n"


def lines(size: int) -> bytes:
    return (LINE * (size // len(LINE) + 1))[:size]


def contents(file: CutFile) -> list[bytes]:
    found: list[bytes] = []
    for part in file.parts:
        with file.open_at(part) as opened:
            found.append(opened.read(part.size))
    return found


def sizes(file: CutFile) -> list[int]:
    return [part.size for part in file.parts]


@pytest.fixture
def hole(tmp_path: Path) -> Path:
    """A file of 200 MB that takes no room."""
    path = tmp_path / "large.txt"
    with path.open("wb") as opened:
        opened.truncate(200 * MB)
    return path


@pytest.mark.parametrize("size", [1, 17, SMALLEST_PART, 2 * SMALLEST_PART - 1, 16 * MB])
def test_a_small_file_is_one_part(size: int) -> None:
    """Of any size above 0."""
    file = cut(bytes(size), None)
    assert [(part.number, part.start, part.size) for part in file.parts] == [(1, 0, size)]


@pytest.mark.parametrize(
    ("size", "count"),
    [(16 * MB + 1, 2), (32 * MB, 2), (33 * MB, 3), (160 * MB, 10), (200 * MB, 10)],
)
def test_a_large_file_is_cut_into_parts_of_16_mb_or_into_ten(
    hole: Path, size: int, count: int
) -> None:
    """So that a broken connection costs little."""
    os.truncate(hole, size)
    file = cut(hole, None)
    assert len(file.parts) == count
    assert sum(sizes(file)) == size


@settings(max_examples=40)
@given(
    size=st.integers(1, 1000) | st.integers(10 * MB, 12 * MB),
    wanted=st.sampled_from([None, 1, 2]),
    width=st.integers(1, 200),
)
def test_the_parts_joined_are_the_file_and_each_is_whole_lines(
    size: int, wanted: int | None, width: int
) -> None:
    """Nothing is lost or doubled, and no line is cut."""
    if wanted == 2 and size < 2 * SMALLEST_PART:
        wanted = None
    line = b"x" * width + b"\n"
    data = (line * (size // len(line) + 1))[:size]
    file = cut(data, wanted)
    parts = contents(file)
    assert b"".join(parts) == data
    assert wanted is None or len(parts) == wanted
    assert [part.number for part in file.parts] == list(range(1, len(parts) + 1))
    assert all(part.endswith(b"\n") and len(part) >= SMALLEST_PART for part in parts[:-1])


@pytest.mark.parametrize("width", [7, 999, 12_345])
def test_no_part_but_the_last_is_below_the_minimum(width: int) -> None:
    """Where the parts could not be smaller, what one line adds is not taken from the next part."""
    data = (b"x" * width + b"\n") * (10 * SMALLEST_PART // width + 1)
    file = cut(data[: 10 * SMALLEST_PART], 10)
    assert min(sizes(file)[:-1]) >= SMALLEST_PART
    assert 0 < sizes(file)[-1] <= SMALLEST_PART


@pytest.mark.parametrize("shift", range(-2, 3))
def test_a_cut_that_falls_between_two_lines_stays_there(shift: int) -> None:
    """And one that falls inside a line moves to its end."""
    half = SMALLEST_PART + 64
    data = b"a" * (half + shift - 1) + b"\n" + b"b" * (half - shift)
    first, second = contents(cut(data, 2))
    if shift >= 0:
        assert (first, second) == (data[: half + shift], data[half + shift :])
    else:  # the line that begins before the middle has no end: it is cut through
        assert len(first) == half


def test_a_line_that_does_not_end_is_cut_through() -> None:
    """A file without line ends can be sent as well."""
    assert sizes(cut(bytes(12 * MB), 2)) == [6 * MB, 6 * MB]


def test_as_many_parts_as_asked_for_or_none() -> None:
    """Each must be large enough, and there may be ten."""
    data = lines(3 * SMALLEST_PART)
    assert len(cut(data, 3).parts) == 3
    with pytest.raises(ConfigurationError, match=r"^total_parts: 3 at most for 15728640 bytes"):
        cut(data, 4)
    with pytest.raises(ConfigurationError, match=r"^total_parts: 1 at most for 3 bytes"):
        cut(b"a\nb", 2)
    for wrong in (0, 11, True, "2"):
        with pytest.raises(ConfigurationError, match=r"^total_parts: a whole number from 1 to 10"):
            cut(data, wrong)  # type: ignore[arg-type]  # that is what is refused


def test_a_large_file_is_not_read(hole: Path) -> None:
    """It is looked into where it is cut, and nowhere else."""
    tracemalloc.start()
    try:
        assert len(cut(hole, None).parts) == 10
        assert tracemalloc.get_traced_memory()[1] < MB
    finally:
        tracemalloc.stop()


def test_a_file_is_a_path_or_bytes(tmp_path: Path) -> None:
    """Bytes are the contents, never a path."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\nb\n")
    for given_path in (path, str(path)):
        assert contents(cut(given_path, None)) == [b"a\nb\n"]
        assert cut(given_path, None).name == str(path)
    assert contents(cut(os.fsencode(path), None)) == [os.fsencode(path)]
    assert cut(b"a", None).name == "bytes"


@pytest.mark.parametrize("wrong", [None, 5, ["a"], bytearray(b"a")])
def test_anything_else_is_refused(wrong: object) -> None:
    """A number could be somebody's open file."""
    with pytest.raises(ConfigurationError, match=r"^file: a path or bytes are needed$"):
        cut(wrong, None)  # type: ignore[arg-type]  # that is what is refused


def test_what_cannot_be_read_is_told_with_its_name(tmp_path: Path) -> None:
    """Nothing there, a directory, an empty file, an impossible name."""
    empty = tmp_path / "empty"
    empty.touch()
    for path, reason in [
        (tmp_path / "gone", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (empty, "is empty; there is nothing to upload"),
    ]:
        with pytest.raises(SourceError) as failed:
            cut(path, None)
        assert str(failed.value) == f"{path}: {reason}"
    with pytest.raises(SourceError, match="cannot be opened"):
        cut("a\0b", None)
    with pytest.raises(SourceError, match=r"^bytes: is empty"):
        cut(b"", None)


@pytest.mark.parametrize("change", ["longer", "shorter", "rewritten", "gone"])
def test_a_file_that_changes_after_it_was_cut_is_noticed(tmp_path: Path, change: str) -> None:
    """Its parts would not fit together any more."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\nb\n")
    os.utime(path, ns=(0, 0))
    file = cut(path, None)
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes({"longer": b"a\nb\nc\n", "shorter": b"a\n"}.get(change, b"c\nd\n"))
    with pytest.raises(SourceError) as failed:
        file.open_at(file.parts[0])
    assert failed.value.source == str(path)
    assert failed.value.reason == (
        "No such file or directory" if change == "gone" else "was changed while it was uploaded"
    )
