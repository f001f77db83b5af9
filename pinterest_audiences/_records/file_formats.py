"""The format of a file: by its first bytes, the options, its name and its first lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from attrs import frozen

from pinterest_audiences._config import validate_flag
from pinterest_audiences._errors import ConfigurationError, SourceError, suggest
from pinterest_audiences._records import arrow
from pinterest_audiences._records.avro import AVRO_MAGIC, avro_chunks, import_fastavro
from pinterest_audiences._records.chunks import Chunk, is_blank
from pinterest_audiences._records.columns import ColumnSelection, is_address, is_column_name
from pinterest_audiences._records.compression import COMPRESSION_SUFFIXES, is_zip
from pinterest_audiences._records.csv_files import (
    DELIMITERS,
    chain_texts,
    check_delimiter,
    check_no_delimiter,
    delimited_chunks,
    skip_lines,
    split_line,
)
from pinterest_audiences._records.remote_files import RemoteFile
from pinterest_audiences._records.rows import (
    check_json_lines,
    json_array_chunks,
    may_be_json_array,
    ndjson_chunks,
)
from pinterest_audiences._records.signatures import is_ole
from pinterest_audiences._records.text_files import (
    InputFile,
    WholeLines,
    check_encoding,
    decoded_texts,
    line_chunks,
    whole_lines,
)
from pinterest_audiences._records.workbooks import check_sheet, import_calamine, workbook_chunks

__all__ = [
    "FILE_OPTIONS",
    "FileFormat",
    "FileOptions",
    "check_options",
    "open_path",
    "stream_chunks",
]


FileFormat: TypeAlias = Literal[
    "csv", "tsv", "psv", "lines", "ndjson", "json", "parquet", "excel", "arrow", "orc", "avro"
]
_FORMAT_BY_SUFFIX: Mapping[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".psv": "psv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
    **dict.fromkeys((".arrow", ".arrows", ".feather"), "arrow"),
    ".orc": "orc",
    ".avro": "avro",
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), "excel"),
}
_FORMAT_NAMES: tuple[FileFormat, ...] = get_args(FileFormat)
_DELIMITER_BY_FORMAT = {"csv": None, "tsv": "\t", "psv": "|"}
_ARROW_STREAM = re.compile(rb"\xff{4}.{3}\0[\x04-\x40]\0\0\0", re.DOTALL)
_ORC_MAGIC = re.compile(rb"ORC(?:[^\t\n\r -~]|\n[\0-\x08])")
# The last is an empty column chunk at the start, as pyarrow 17 writes it.
_PARQUET_MAGIC = re.compile(rb"PAR1(?:[\0-\x08\x0e-\x1f]|&[\0-\x08]\x1c)")
_ReadChunks: TypeAlias = Callable[[ColumnSelection], Iterator[Chunk]]


@frozen
class FileOptions:
    """How a file is read."""

    encoding: str | None
    delimiter: str | None
    format: FileFormat | None
    sheet: str | int | None
    header: bool
    skip_rows: int

    def reject(self, what: str, *names: str) -> None:
        """Check that options without effect on a source are not set.

        Raises:
            ConfigurationError: One of them is set.
        """
        usual = FileOptions(None, None, None, None, header=True, skip_rows=0)
        for name in names:
            if getattr(self, name) != getattr(usual, name):
                raise ConfigurationError(
                    f"{name} has no effect on {what}", param=name, suggestion="leave it out"
                )


FILE_OPTIONS = ("encoding", "delimiter", "header", "skip_rows", "sheet")
"""Options without effect on sources that are not files."""
_UNUSED_OPTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "csv": ("a CSV file", ("sheet",)),
    "tsv": ("a TSV file", ("sheet",)),
    "psv": ("a file with pipes", ("sheet",)),
    "parquet": ("a Parquet file", FILE_OPTIONS),
    "arrow": ("an Arrow file", FILE_OPTIONS),
    "orc": ("an ORC file", FILE_OPTIONS),
    "avro": ("an Avro file", FILE_OPTIONS),
    "json": ("a JSON array", ("delimiter", "header", "skip_rows", "sheet")),
    "excel": ("a workbook", ("encoding", "delimiter")),
    "ndjson": ("NDJSON, whose rows have names", ("delimiter", "header", "sheet")),
    "lines": ("a plain list", ("delimiter", "sheet")),
}


def _reject_unused_options(form: FileFormat, options: FileOptions) -> None:
    if form in _UNUSED_OPTIONS:
        what, names = _UNUSED_OPTIONS[form]
        options.reject(what, *names)


def check_options(
    encoding: str | None,
    delimiter: str | None,
    form: object,
    sheet: object,
    *,
    header: bool,
    skip_rows: int,
) -> FileOptions:
    """Validate the options of a file.

    Raises:
        ConfigurationError: An option is not valid, or has no effect on the format.
    """
    options = FileOptions(
        check_encoding(encoding),
        check_delimiter(delimiter),
        _check_format(form),
        check_sheet(sheet),
        header=validate_flag("header", header),
        skip_rows=_check_skip_rows(skip_rows),
    )
    if options.format is not None:
        _reject_unused_options(options.format, options)
    return options


def _check_skip_rows(count: object) -> int:
    if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
        return count
    raise ConfigurationError("skip_rows must be a number of lines, 0 or more", param="skip_rows")


def _check_format(form: object) -> FileFormat | None:
    if form is None:
        return None
    for name in _FORMAT_NAMES:
        if form == name:
            return name
    raise ConfigurationError(f"format must be one of {', '.join(_FORMAT_NAMES)}", param="format")


def open_path(file: InputFile, options: FileOptions) -> _ReadChunks:
    """Return how a file at a path is read.

    Raises:
        ConfigurationError: An option has no effect on its format, or a library is not installed.
        SourceError: The file cannot be opened.
    """
    by_name = _format_by_name(Path(file.name))
    form = options.format or by_name
    if file.location is None or isinstance(file.location, RemoteFile):  # opened when it is read
        if form is not None:
            _check_usable(form, options)
        return lambda choice: stream_chunks(file, options, choice, by_name)
    form = _detect_format(file, options, by_name)
    if form is not None:
        _check_usable(form, options)
    return lambda choice: _file_chunks(file, options, form, choice)


def _check_usable(form: FileFormat, options: FileOptions) -> None:
    """Check that the options have an effect on a format, and that its library is installed."""
    _reject_unused_options(form, options)
    if form in ("parquet", "arrow", "orc"):
        arrow.import_pyarrow()
    if form == "excel":
        import_calamine()
    if form == "avro":
        import_fastavro()


def stream_chunks(
    file: InputFile,
    options: FileOptions,
    choice: ColumnSelection,
    by_name: FileFormat | None = None,
) -> Iterator[Chunk]:
    """Read a file that is opened only when it is read.

    Raises:
        ConfigurationError: An option has no effect on its format, or a library is not installed.
        SourceError: The file cannot be read to its end, or a selected column is missing.
    """
    yield from _file_chunks(file, options, _detect_format(file, options, by_name), choice)


def _detect_format(
    file: InputFile, options: FileOptions, by_name: FileFormat | None
) -> FileFormat | None:
    """Return the format of a file by its first bytes, the options or its name.

    Raises:
        ConfigurationError: An option has no effect on the format.
        SourceError: The file has another format than the options.
    """
    form = options.format or by_name
    is_trusted = isinstance(file.location, RemoteFile) and form not in (None, "excel")
    form = None if is_trusted else _table_format(file)
    if form is not None and options.format not in (None, form):
        raise SourceError(
            f"is {_UNUSED_OPTIONS[form][0]}, not {options.format}",
            source=file.name,
            param="format",
            suggestion=suggest("set {format}, or leave it out", format=form),
        )
    form = form or options.format or by_name
    if form == "excel" and options.format is None and not _may_be_workbook(file):
        form = None  # a text file with the suffix xls, as of many web sites
    if form is not None:
        _reject_unused_options(form, options)
    return form


def _table_format(file: InputFile) -> FileFormat | None:
    """Return the format of a file that is not text, by its first bytes."""
    first = file.first_bytes()
    if _PARQUET_MAGIC.match(first):
        return "parquet"
    if first.startswith(arrow.ARROW_MAGIC) or _ARROW_STREAM.match(first):
        return "arrow"
    if _ORC_MAGIC.match(first):
        return "orc"
    if first.startswith(AVRO_MAGIC):
        return "avro"
    if is_ole(first) or (is_zip(first) and file.is_workbook()):
        return "excel"
    return None


def _may_be_workbook(file: InputFile) -> bool:
    first = file.first_bytes()
    return is_ole(first) or is_zip(first)


def _file_chunks(
    file: InputFile, options: FileOptions, form: FileFormat | None, choice: ColumnSelection
) -> Iterator[Chunk]:
    if form == "parquet":
        return arrow.parquet_chunks(file, choice)
    if form == "arrow":
        return arrow.arrow_file_chunks(file, choice)
    if form == "orc":
        return arrow.orc_chunks(file, choice)
    if form == "avro":
        return avro_chunks(file, choice)
    if form == "excel":
        return workbook_chunks(
            file, options.sheet, choice, header=options.header, skip_rows=options.skip_rows
        )
    return _text_chunks(file, options, form, choice)


def _format_by_name(path: Path) -> FileFormat | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in COMPRESSION_SUFFIXES:
        suffixes.pop()
    return _FORMAT_BY_SUFFIX.get(suffixes[-1]) if suffixes else None


_LINES_TO_GUESS_FORMAT = 40
_SAMPLE_LINES = 500


def _text_chunks(
    file: InputFile, options: FileOptions, form: FileFormat | None, choice: ColumnSelection
) -> Iterator[Chunk]:
    with closing(decoded_texts(file, options.encoding)) as decoded:  # closes it on an error too
        yield from _decoded_chunks(decoded, file, options, form, choice)


def _decoded_chunks(
    texts_read: Iterator[str],
    file: InputFile,
    options: FileOptions,
    form: FileFormat | None,
    choice: ColumnSelection,
) -> Iterator[Chunk]:
    start = next(texts_read, "")
    decoded = chain([start], texts_read)
    has_title = options.skip_rows > 0  # which may be in brackets
    is_array = options.format is None and may_be_json_array(start, objects_only=has_title)
    if form == "json" or (form in (None, "ndjson") and is_array):
        _reject_unused_options("json", options)
        return json_array_chunks(decoded, choice, file.name)
    texts = whole_lines(decoded)
    if form is None:
        first = next(texts, "")
        form = _guess_format(first, options.skip_rows, options.delimiter, file.name)
        _reject_unused_options(form, options)
        if form == "lines":
            _check_plain_list(first, options, choice, file.name)
        texts = chain_texts(first, texts)
    if form in ("lines", "ndjson"):
        texts = skip_lines(texts, options.skip_rows)
        if form == "ndjson":
            return ndjson_chunks(texts, choice, file.name)
        if choice.kind is None:
            raise SourceError(
                "is a plain list; rows require a table with columns", source=file.name
            )
        return line_chunks(texts)
    return delimited_chunks(
        texts,
        choice,
        options.delimiter or _DELIMITER_BY_FORMAT[form],
        file.name,
        header=options.header,
        skip_rows=options.skip_rows,
    )


def _guess_format(
    first: WholeLines, skip_rows: int, delimiter: str | None, source: str
) -> FileFormat:
    """Return the format of a file by its first lines, if its name does not show it.

    Raises:
        SourceError: The file is one JSON document.
    """
    lines = first.split("\n", skip_rows + _LINES_TO_GUESS_FORMAT) if isinstance(first, str) else []
    lines = [line.strip("\ufeff ") for line in lines[skip_rows:-1] if not is_blank(line)]
    line = lines[0] if lines else ""
    check_json_lines(lines, source)
    if line.startswith("{"):
        return "ndjson"
    if delimiter is not None:
        return "csv"
    if any(delimiter in line for delimiter in DELIMITERS) or any(map(_may_be_header, lines)):
        return "csv"
    return "lines"


def _may_be_header(line: str) -> bool:
    """Return whether a line can be the header of a table, below a title or comments."""
    return not is_address(line) and any(
        is_column_name(cell) for delimiter in DELIMITERS for cell in split_line(line, delimiter)
    )


def _check_plain_list(
    first: WholeLines, options: FileOptions, choice: ColumnSelection, source: str
) -> None:
    """Check that a detected plain list is not a table, and no column is selected.

    Raises:
        SourceError: The file may be a table, or has no such column.
    """
    lines = first.split("\n")[options.skip_rows : -1] if isinstance(first, str) else []
    check_no_delimiter(lines[:_SAMPLE_LINES], source)
    if choice.selected not in ((), (1,), ("1",)):
        raise SourceError(
            "looks like a plain list, which has no columns",
            source=source,
            param="column",
            suggestion=suggest("leave out {column}, or set {format}", column=..., format="csv"),
        )
