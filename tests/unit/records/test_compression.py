"""Compressed files: recognized by content, decompressed as a stream, and never read in part."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.cases import each_case

from pinterest_audiences import ConfigurationError, SourceError, open_source, prepare

PEOPLE = ["ann@shop.example", "bob@shop.example"]
CSV = b"email,id\nann@shop.example,1\nbob@shop.example,2\n"
LONG = b"email\n" + b"".join(b"p%d@shop.example\n" % number for number in range(50_000))


def read(source: object, **options: object) -> list[str]:
    opened = open_source(source, **options)  # type: ignore[arg-type]  # options of several types
    return [record for chunk in prepare(opened, plain_emails=True) for record in chunk]


def error_of(source: object, **options: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read(source, **options)
    assert "@" not in str(caught.value)
    return caught.value


def zip_archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def zip_compress(data: bytes) -> bytes:
    return zip_archive(("people.csv", data))


def zstd_compress(data: bytes) -> bytes:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    module = pytest.importorskip(name, reason="backports.zstd is not installed")
    checksum = {module.CompressionParameter.checksum_flag: 1}  # as the program zstd does
    return bytes(module.compress(data, options=checksum))


STREAMS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd_compress,
}
COMPRESSIONS = {**STREAMS, "zip": zip_compress}
streams = pytest.mark.parametrize("compression", STREAMS)
compressions = pytest.mark.parametrize("compression", COMPRESSIONS)


class Pipe(io.RawIOBase):
    """A stream that cannot seek, and returns a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as typeshed's
        data = self._file.read(min(3, len(buffer)))
        buffer[: len(data)] = data
        return len(data)


@compressions
@pytest.mark.parametrize(
    "name",
    ["a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zst", "a.csv.zip", "a.csv", "a.txt", "a", "a.zip"],
)
def test_compression_is_recognized_by_content_under_any_name(
    tmp_path: Path, compression: str, name: str
) -> None:
    """The suffix may be missing or wrong."""
    path = tmp_path / name
    path.write_bytes(COMPRESSIONS[compression](CSV))
    assert read(path) == PEOPLE
    assert read(path, column=1, skip_rows=2, header=False) == PEOPLE[1:]


@compressions
@each_case(
    ("name", "text"),
    [
        ("a.tsv", "id\temail\n1\tann@shop.example\n2\tbob@shop.example\n"),
        ("a.psv", "id|email\n1|ann@shop.example\n2|bob@shop.example\n"),
        ("a.txt", "ann@shop.example\nbob@shop.example\n"),
        ("a.ndjson", '{"email": "ann@shop.example"}\n{"email": "bob@shop.example"}\n'),
    ],
)
def test_every_text_format_is_read_from_every_compression(
    tmp_path: Path, compression: str, name: str, text: str
) -> None:
    """By the suffix of the format before that of the compression, and without one."""
    for encoding in ("utf-8", "utf-16"):
        data = COMPRESSIONS[compression](text.encode(encoding))
        for file in (f"{name}.xz", "a"):
            path = tmp_path / file
            path.write_bytes(data)
            assert read(path) == PEOPLE


@streams
def test_compressed_stream_is_read_in_any_pieces(compression: str) -> None:
    """A pipe that returns three bytes at a time."""
    assert read(Pipe(STREAMS[compression](CSV))) == PEOPLE


@compressions
def test_open_file_is_decompressed(tmp_path: Path, compression: str) -> None:
    """A file opened with 'rb', also in memory."""
    path = tmp_path / "a"
    path.write_bytes(COMPRESSIONS[compression](CSV))
    with path.open("rb") as file:
        assert read(file) == PEOPLE
    assert read(io.BytesIO(COMPRESSIONS[compression](CSV))) == PEOPLE


@streams
@pytest.mark.parametrize("padding", [0, 4, 512, 100_000])
def test_streams_that_follow_each_other_are_read_to_the_last(
    tmp_path: Path, compression: str, padding: int
) -> None:
    """As `cat a.gz b.gz` and parallel compressors write them; NULs between them are padding."""
    compress = STREAMS[compression]
    path = tmp_path / "a"
    nuls = bytes(padding)
    path.write_bytes(compress(LONG) + nuls + compress(b"") + compress(b"last@x.de\n") + nuls)
    records = read(path)
    assert (len(records), records[-1]) == (50_001, "last@x.de")


@compressions
@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_truncated_file_is_an_error_with_the_position(
    tmp_path: Path, compression: str, share: float
) -> None:
    """It never ends as if it were complete."""
    data = COMPRESSIONS[compression](LONG)
    path = tmp_path / "a.csv"
    path.write_bytes(data[: int(len(data) * share)])
    error = error_of(path)
    assert f"the {compression} file is truncated" in error.reason
    if compression != "zip":  # whose directory is at its end
        assert error.offset is not None
        assert error.offset <= len(LONG)


@streams
@pytest.mark.parametrize("last", [b"garbage, not a stream", b"\x1f\x8bgarbage", b"a@b.de\n" * 99])
def test_bytes_after_a_stream_that_are_not_a_stream_are_an_error(
    tmp_path: Path, compression: str, last: bytes
) -> None:
    """They may have been customers."""
    path = tmp_path / "a.csv"
    path.write_bytes(STREAMS[compression](CSV) + last)
    assert f"the {compression} file is" in error_of(path).reason


@compressions
def test_damaged_file_is_an_error(tmp_path: Path, compression: str) -> None:
    """Its checksum or its structure is wrong."""
    data = bytearray(COMPRESSIONS[compression](LONG))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    assert error_of(path).reason


@compressions
def test_memory_does_not_grow_with_the_decompressed_size(tmp_path: Path, compression: str) -> None:
    """A few kilobytes that become 64 MiB."""
    path = tmp_path / "a.csv"
    path.write_bytes(COMPRESSIONS[compression](CSV + b"x" * (64 << 20)))
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    try:
        report = prepare(path).run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (report.records, report.rejects) == (2, {"line_too_long": 1})
    assert peak < 16 << 20


def test_zstd_frame_with_metadata_is_skipped(tmp_path: Path) -> None:
    """As pzstd writes before the data."""
    path = tmp_path / "a.csv.zst"
    path.write_bytes(b"\x50\x2a\x4d\x18\x04\0\0\0data" + zstd_compress(CSV))
    assert read(path) == PEOPLE


def test_zstd_without_a_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other files do not require it."""
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / "a.csv.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x24\x30" + CSV)
    with pytest.raises(ConfigurationError, match=r"pinterest-audiences\[zstd\]"):
        read(path)


ADDED = [
    ("people/", b""),
    ("__MACOSX/._people.csv", b"\0\5\x16\7"),
    ("people/.DS_Store", b"\0\0\0\1Bud1"),
    ("Thumbs.db", b"\xd0\xcf"),
]


def test_zip_archive_of_one_file_is_read_without_what_systems_add(tmp_path: Path) -> None:
    """Folders, and files of macOS and Windows."""
    path = tmp_path / "people.zip"
    path.write_bytes(zip_archive(*ADDED, ("people/customers.csv", CSV)))
    assert read(path) == PEOPLE
    path.write_bytes(zip_archive(("customers.csv", CSV), method=zipfile.ZIP_STORED))
    assert read(path) == PEOPLE


def encrypted(archive: bytes) -> bytes:
    """Set the flag of encryption in both headers of the only member."""
    data = bytearray(archive)
    data[6] |= 1
    data[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


OPEN_DOCUMENT = b"application/vnd.oasis.opendocument.text"
ARCHIVES = [
    ("with 2 files", zip_archive(("a.csv", CSV), ("b.csv", CSV))),
    ("with no files", zip_archive(*ADDED)),
    ("with no files", zip_archive()),
    ("with a password", encrypted(zip_compress(CSV))),
    ("a Word document", zip_archive(("[Content_Types].xml", b""), ("word/document.xml", b""))),
    ("PowerPoint", zip_archive(("[Content_Types].xml", b""), ("ppt/slides/1.xml", b""))),
    ("Numbers", zip_archive(("Index/Document.iwa", b""), ("preview.jpg", b""))),
    ("Java archive", zip_archive(("META-INF/MANIFEST.MF", b""), ("A.class", b""))),
    ("OpenDocument", zip_archive(("mimetype", OPEN_DOCUMENT), ("content.xml", b""))),
    ("twice, with gzip", zip_archive(("a.csv.gz", gzip.compress(CSV)))),
    ("PDF", zip_archive(("a.pdf", b"%PDF-1.7\n"))),
]


@each_case(("what", "content"), ARCHIVES)
@each_case("name", ["a.zip", "a.csv"])
def test_zip_archive_that_is_not_read_is_named(
    tmp_path: Path, name: str, what: str, content: bytes
) -> None:
    """By what it holds."""
    path = tmp_path / name
    path.write_bytes(content)
    assert what in error_of(path).reason
    assert what in error_of(io.BytesIO(content)).reason


def test_zip_archive_as_a_stream_is_an_error_that_names_the_path() -> None:
    """Its directory is at its end."""
    assert "zip archive" in error_of(Pipe(zip_compress(CSV))).reason


def test_zip_archive_with_an_unsupported_compression_is_named(tmp_path: Path) -> None:
    """Such as Deflate64 of Windows, for files over 2 GB."""
    data = bytearray(zip_compress(CSV))
    data[8] = data[data.index(b"PK\x01\x02") + 10] = 9
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    assert "unsupported compression" in error_of(path).reason


def test_library_of_zstd_is_not_imported_for_other_files(tmp_path: Path) -> None:
    """It is loaded when a file is compressed with it."""
    if find_spec("backports") is None or sys.version_info >= (3, 14):
        pytest.skip("backports.zstd is not installed")
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(CSV))
    sys.modules.pop("backports.zstd", None)
    read(path)
    assert "backports.zstd" not in sys.modules
    import_module("backports.zstd")
