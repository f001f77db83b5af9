"""Workbooks: the sheets of Excel (xlsx, xlsm, xlsb, xls) and OpenDocument (ods).

Requires the extra ``[excel]``; python-calamine is imported when it is used. It loads a whole sheet,
so that memory use grows with the sheet.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date, datetime, time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Protocol, cast

from pinterest_audiences._errors import ConfigurationError, SourceError, suggest
from pinterest_audiences._records.chunks import Chunk
from pinterest_audiences._records.columns import ColumnSelection, display_name
from pinterest_audiences._records.csv_files import sheet_chunks
from pinterest_audiences._records.text_files import InputFile
from pinterest_audiences._redaction import show_argument

__all__ = ["check_sheet", "import_calamine", "workbook_chunks"]


_MAX_EXACT = 10**15  # Excel keeps 15 digits of a number
_MAX_NAMES_SHOWN = 20


def import_calamine() -> ModuleType:
    """Import python-calamine.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return import_module("python_calamine")
    except ImportError:
        raise ConfigurationError(
            "workbooks require python-calamine: pip install 'pinterest-audiences[excel]'"
        ) from None


def check_sheet(sheet: object) -> str | int | None:
    """Validate the argument ``sheet``.

    Raises:
        ConfigurationError: It is not a name, or a number from 1.
    """
    if sheet is None or (isinstance(sheet, str) and sheet):
        return sheet
    if isinstance(sheet, int) and not isinstance(sheet, bool) and sheet >= 1:
        return sheet
    raise ConfigurationError(
        "sheet must be the name of a sheet, or its number counted from 1", param="sheet"
    )


class _Sheet(Protocol):
    """The used part of ``python_calamine.CalamineSheet``."""

    height: int
    start: tuple[int, int] | None

    def iter_rows(self) -> Iterator[list[object]]: ...


class _SheetMetadata(Protocol):
    """The used part of ``python_calamine.SheetMetadata``."""

    name: str
    typ: object
    visible: object


class _Workbook(Protocol):
    """The used part of ``python_calamine.CalamineWorkbook``."""

    sheets_metadata: Sequence[_SheetMetadata]

    def get_sheet_by_name(self, name: str, /) -> _Sheet: ...


def workbook_chunks(
    file: InputFile,
    sheet: str | int | None,
    choice: ColumnSelection,
    *,
    header: bool,
    skip_rows: int,
) -> Iterator[Chunk]:
    """Read the selected columns of a sheet, by the rules of a delimited file.

    Args:
        file: The workbook.
        sheet: The name or number of the sheet; without it, the first visible one with content.
        choice: The columns to read. Other visible sheets with content are added to its
            ``unread_sheets`` if no sheet is named.
        header: Whether the sheet has a header.
        skip_rows: Number of rows to skip at the start.

    Raises:
        SourceError: The workbook cannot be read, or has no such sheet or column.
    """
    calamine = import_calamine()
    with file.random_access() as location, ExitStack() as stack:
        opened = location
        if isinstance(opened, Path):  # calamine believes the suffix of a path
            opened = stack.enter_context(opened.open("rb"))
        try:
            workbook = cast("_Workbook", calamine.CalamineWorkbook.from_filelike(opened))
            rows = _open_sheet(workbook, sheet, choice, file.name)
        except SourceError:
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise  # such as KeyboardInterrupt
            raise _unreadable(error, opened, file.name) from None
    yield from sheet_chunks(rows, choice, file.name, _cell_text, header=header, skip_rows=skip_rows)


_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # a stream of an encrypted xlsx
_ENCRYPTED_ODS = b"encryption-data"
_BLOCK_BYTES = 1_048_576


def _unreadable(error: BaseException, file: BinaryIO, source: str) -> SourceError:
    """Return the error of a workbook, without the message of the library, which may quote data."""
    if type(error).__name__ == "PasswordError" or _is_encrypted(file):
        return SourceError(
            "is a workbook with a password; save it without one, or as CSV", source=source
        )
    return SourceError(
        f"cannot be read as a workbook ({type(error).__name__}): damaged, truncated, with a "
        "password, or another document of Office; save it as xlsx or CSV",
        source=source,
    )


def _is_encrypted(file: BinaryIO) -> bool:
    """Return whether a file is an encrypted xlsx or ods."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            return _ENCRYPTED_ODS in archive.read("META-INF/manifest.xml")
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError):
        pass
    file.seek(0)
    before = b""
    while block := file.read(_BLOCK_BYTES):
        if _ENCRYPTED in before + block:
            return True
        before = block[-len(_ENCRYPTED) :]
    return False


def _open_sheet(
    workbook: _Workbook, sheet: str | int | None, choice: ColumnSelection, source: str
) -> Iterator[list[object]]:
    """Return the rows of the selected sheet, or of the first one with content."""
    sheets = [one for one in workbook.sheets_metadata if _ends_with(one.typ, "WorkSheet")]
    if sheet is not None:
        return _rows(workbook.get_sheet_by_name(_find_sheet(sheets, sheet, source)))
    visible = [one for one in sheets if _ends_with(one.visible, "Visible")]
    opened: _Sheet | None = None
    for one in visible or sheets:
        candidate = workbook.get_sheet_by_name(one.name)
        if not candidate.height:
            continue
        if opened is None:
            opened = candidate
        else:
            choice.unread_sheets.append(display_name(one.name, len(choice.unread_sheets) + 1))
    return iter(()) if opened is None else _rows(opened)


def _rows(sheet: _Sheet) -> Iterator[list[object]]:
    """Return the rows of a sheet from column A; calamine begins at the first used column."""
    if not sheet.height:  # calamine before 0.9 panics
        return iter(())
    unused = 0 if sheet.start is None else sheet.start[1]
    rows = sheet.iter_rows()
    return ([""] * unused + row for row in rows) if unused else rows


def _ends_with(kind: object, name: str) -> bool:
    return str(kind).rpartition(".")[2] == name


def _find_sheet(sheets: Sequence[_SheetMetadata], selector: str | int, source: str) -> str:
    """Return the name of a sheet that is selected by its name, in any case, or by its number.

    Raises:
        SourceError: The sheet does not exist; the error lists the sheets.
    """
    names = [one.name for one in sheets]
    if isinstance(selector, str):
        folded = selector.strip().casefold()
        matches = [name for name in names if name == selector] or [
            name for name in names if name.strip().casefold() == folded
        ]
        if matches:
            return matches[0]
    is_number = isinstance(selector, int) or (selector.isascii() and selector.isdigit())
    if is_number and 1 <= int(selector) <= len(names):
        return names[int(selector) - 1]
    shown = ", ".join(display_name(name, at) for at, name in enumerate(names[:_MAX_NAMES_SHOWN], 1))
    raise SourceError(
        f"has no sheet {show_argument(str(selector))}; sheets: {shown or 'none'}",
        source=source,
        param="sheet",
        suggestion=suggest("select one with {sheet}", sheet=...),
    )


def _cell_text(cell: object) -> str:
    """Return the text of a cell: whole numbers as digits, dates in ISO 8601."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < _MAX_EXACT else f"{cell:.15G}"
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    return "" if cell is None else str(cell)
