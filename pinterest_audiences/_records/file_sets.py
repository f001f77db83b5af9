"""Sets of files: several paths, folders, patterns and URLs, read one after another as one source.

The files of a folder are what a job has written there: names that begin with ``_`` or ``.``, such
as ``_SUCCESS``, and checksums are left out, everything else is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from fnmatch import fnmatch
from glob import escape, glob, has_magic
from itertools import takewhile
from pathlib import Path
from posixpath import basename, dirname
from typing import Literal, TypeAlias, cast

from attrs import evolve, frozen

from pinterest_audiences._errors import ConfigurationError, SourceError, suggest
from pinterest_audiences._records.chunks import Chunk, EmptyFileError, RowChunk
from pinterest_audiences._records.columns import ColumnSelection
from pinterest_audiences._records.remote_files import RemoteFile, RemoteFolder, is_url, open_url
from pinterest_audiences._records.text_files import FilePosition, check_path, path_error

__all__ = [
    "FilePath",
    "FoundFile",
    "MemberFile",
    "SetPosition",
    "find_files",
    "is_pattern",
    "read_files",
    "set_name",
    "unique_names",
]

FilePath: TypeAlias = str | os.PathLike[str]
FoundFile: TypeAlias = Literal["-"] | Path | RemoteFile
"""Standard input, a local file, or a file at a URL."""
_IGNORED = ("_*", ".*", "*.crc", "~$*", "thumbs.db", "desktop.ini")
_QUERY = re.compile(r"(?:versionId|generation)=|.*\bsig=")  # of an object of S3 or Azure
_SLASHES = re.compile(r"(?<=.)/{2,}", re.DOTALL)  # two at the start are a network share
_TABLES = (
    (re.compile(r"(?:^|/)_delta_log/"), "a Delta table", "deltalake"),
    (re.compile(r"(?:^|/)metadata/[^/]*\.metadata\.json$"), "an Iceberg table", "pyiceberg"),
    (re.compile(r"(?:^|/)\.hoodie/"), "a Hudi table", "hudi"),
)


@frozen
class MemberFile:
    """A file of a set, which is opened when its turn comes.

    Attributes:
        name: Its name in reports and errors.
        chunks: Reads it.
        position: How far it has been read.
    """

    name: str
    chunks: Callable[[ColumnSelection], Iterator[Chunk]]
    position: FilePosition


class SetPosition:
    """How far several files have been read, one after another.

    Attributes:
        size: Their size in bytes; ``None`` if that of one is unknown.
    """

    def __init__(self, files: Iterable[FilePosition]) -> None:
        self._files = list(files)
        sizes = [file.size for file in self._files if file.size is not None]
        self.size: int | None = sum(sizes) if len(sizes) == len(self._files) else None
        self._finished = 0
        self._finished_bytes = 0

    def get(self) -> int | None:
        """Return the number of bytes read; ``None`` if their size is unknown."""
        if self.size is None:
            return None
        files = self._files
        if self._finished and not files[0].finished:  # they are read again
            self._finished = self._finished_bytes = 0
        while self._finished < len(files) and files[self._finished].finished:
            self._finished_bytes += files[self._finished].size or 0
            self._finished += 1
        if self._finished == len(files):
            return self.size
        return min(self._finished_bytes + (files[self._finished].get() or 0), self.size)


def is_pattern(path: str) -> bool:
    """Return whether a path has characters of a pattern: ``*``, ``?`` or ``[``."""
    if is_url(path):
        if path.lower().startswith(("http://", "https://")):
            return False
        before, _, query = path.partition("?")
        path = before if _QUERY.match(query) else path
    return has_magic(path)


def find_files(paths: FilePath | Iterable[FilePath]) -> list[FoundFile]:
    """Return the files that paths stand for, each once, in their order; those of a path sorted.

    Raises:
        ConfigurationError: There are no paths, one is given twice, or is not a path.
        SourceError: A path does not exist, a pattern or folder has no files, or a folder is a
            table of another format.
    """
    if isinstance(paths, str | os.PathLike):
        paths = (paths,)
    files: dict[object, FoundFile] = {}
    given: set[object] = set()
    for path in cast("Iterable[object]", paths):
        if not isinstance(path, str | os.PathLike):
            raise ConfigurationError(
                f"paths must be strings or paths, not {type(path).__name__}", param="paths"
            )
        for file, key, is_single in _expand(cast("FilePath", path)):
            if is_single and key in given:
                raise ConfigurationError(
                    f"{_name(file)}: is given twice",
                    param="paths",
                    suggestion="leave one of them out",
                )
            if is_single:
                given.add(key)
            files.setdefault(key, file)
    if not files:
        raise ConfigurationError("paths must not be empty", param="paths")
    return list(files.values())


def _name(file: FoundFile) -> str:
    if file == "-":
        return "standard input"
    return file.name if isinstance(file, RemoteFile) else str(file)


def _expand(path: FilePath) -> Iterator[tuple[FoundFile, object, bool]]:
    """Yield the files of a path, with a key that is the same for the same file.

    The third item is whether the path names this file alone.
    """
    if path == "-":
        yield "-", "-", True
        return
    text = os.fspath(path)
    if is_url(text):
        opened = open_url(text, is_pattern=is_pattern(text))
        if isinstance(opened, RemoteFile):
            yield opened, text, True
            return
        for name in _remote_paths(opened):
            remote = opened.file(name)
            yield remote, remote.name, False
        return
    try:
        is_folder, exists = bool(text) and Path(text).is_dir(), Path(text).exists()
    except (OSError, ValueError):  # not a valid name
        is_folder = exists = False
    if is_folder:
        found = [f"{text}/{name}" for name in _data_files(_walk(text), text)]
    elif has_magic(text) and not exists:
        found = _local_matches(text)
    else:
        checked = check_path(path)
        _check_tables([str(checked)], _exists)
        yield checked, os.path.realpath(checked), True
        return
    for name in found:
        yield check_path(name), os.path.realpath(name), False


def _walk(folder: str) -> list[str]:
    """Return the names of all files below a folder, relative to it; links are followed.

    Raises:
        SourceError: A folder cannot be listed, or contains itself through a link.
    """
    names: list[str] = []
    pending: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(folder),))]
    while pending:
        relative, parents = pending.pop()
        try:
            with os.scandir(f"{folder}/{relative}") as entries:
                for entry in entries:
                    name = f"{relative}{entry.name}"
                    if not entry.is_dir():
                        names.append(name)
                        continue
                    real = os.path.realpath(entry.path)
                    if real in parents:
                        raise SourceError("is a link to a folder that contains it", entry.path)
                    pending.append((f"{name}/", (*parents, real)))
        except OSError as error:
            raise SourceError(
                error.strerror or "cannot be listed", source=f"{folder}/{relative}".rstrip("/")
            ) from None
    return names


def _data_files(names: Iterable[str], folder: str, *, may_be_empty: bool = False) -> list[str]:
    """Return the names of data files among those of a folder, sorted.

    Raises:
        SourceError: The folder is a table of another format, or has no data files and may not be
            empty.
    """
    data: list[str] = []
    for name in names:
        for pattern, what, library in _TABLES:
            if pattern.search(name):
                raise _table_error(folder, what, library)
        if not _is_ignored(name):
            data.append(name)
    if not data and not may_be_empty:
        raise SourceError("has no files to read", source=folder)
    return sorted(data)


def _is_ignored(name: str) -> bool:
    """Return whether a file is not data; folders of a partition may have any name."""
    return any(
        fnmatch(part.lower(), pattern) and not ("=" in part and part.startswith("_"))
        for part in name.split("/")
        for pattern in _IGNORED
    )


def _table_error(source: str, what: str, library: str) -> SourceError:
    return SourceError(
        f"is {what}, whose files contain deleted rows too; read it with its own library "
        f"({library}) or a query, and pass the result",
        source=source,
    )


def _local_matches(pattern: str) -> list[str]:
    """Return the files that match a pattern; of a matching folder, all files.

    Raises:
        SourceError: There are none, or a folder is a table of another format.
    """
    found: list[str] = []
    for name in sorted(glob(pattern, recursive=True)):  # noqa: PTH207 - a relative pattern stays so
        if _is_unwanted_match(name, pattern):
            continue
        if not Path(name).is_dir():
            found.append(name)
        elif not _matches_all_inside(pattern):
            data = _data_files(_walk(name), name, may_be_empty="**" in pattern)
            found += [f"{name.rstrip('/')}/{inside}" for inside in data]
    if not found:
        raise path_error("no file matches this pattern", pattern)
    _check_tables(found, _exists)
    return found


def _exists(pattern: str) -> bool:
    return bool(glob(pattern, include_hidden=True))  # noqa: PTH207 - of any folder


def _matches_all_inside(pattern: str) -> bool:
    """Return whether a pattern matches the files in the folders that it matches, too."""
    return basename(_normalize(pattern)) == "**"


def _is_unwanted_match(name: str, pattern: str) -> bool:
    """Return whether a match is not data, and the pattern does not ask for it."""
    pattern = _normalize(pattern)
    if _is_ignored(basename(pattern)):
        return False
    fixed = len(list(takewhile(lambda part: not has_magic(part), pattern.split("/"))))
    return _is_ignored("/".join(_normalize(name).split("/")[fixed:]))


def _normalize(path: str) -> str:
    """Return a path with one slash between its parts, so that those of a match can be counted."""
    return _SLASHES.sub("/", path.replace(os.sep, "/"))


def _remote_paths(folder: RemoteFolder) -> list[str]:
    """Return the paths of the files in a remote folder, or that match a pattern.

    Raises:
        SourceError: There are none, or it is a table of another format.
    """
    root = folder.path
    if not folder.is_pattern:
        return [f"{root}/{name}" for name in _data_files(_names_in(folder, root), folder.name)]
    found: list[str] = []
    for path in sorted({path.rstrip("/") for path in folder.glob(root)}):
        if _is_unwanted_match(path, root):
            continue
        if not folder.is_directory(path):
            found.append(path)
        elif not _matches_all_inside(root):
            names = _names_in(folder, path)
            name = folder.file(path).name
            data = _data_files(names, name, may_be_empty="**" in root)
            found += [f"{path}/{inside}" for inside in data]
    if not found:
        raise SourceError("no file matches this pattern", source=folder.name)
    _check_tables(found, lambda pattern: bool(folder.glob(pattern)))
    return found


def _names_in(folder: RemoteFolder, path: str) -> list[str]:
    """Return the names of all files below a path; a name that ends with a slash is a folder."""
    return [
        found.removeprefix(f"{path}/") for found in folder.find(path) if not found.endswith("/")
    ]


def _check_tables(files: Iterable[str], exists: Callable[[str], bool]) -> None:
    """Check that Parquet files are not data files of a table of another format.

    Raises:
        SourceError: They are.
    """
    names = (file.replace(os.sep, "/") for file in files)
    parents = {dirname(name) for name in names if name.endswith((".parquet", ".pq"))}
    for parent in sorted(parents):
        folder = parent
        while "=" in basename(folder):  # a partition
            folder = dirname(folder)
        place = escape(folder) or "."
        if exists(f"{place}/_delta_log"):
            raise _table_error(folder, "a Delta table", "deltalake")
        if exists(f"{place}/.hoodie"):
            raise _table_error(folder, "a Hudi table", "hudi")
        if basename(folder) == "data" and exists(
            f"{dirname(place) or '.'}/metadata/*.metadata.json"
        ):
            raise _table_error(folder, "an Iceberg table", "pyiceberg")


def unique_names(names: Iterable[str]) -> list[str]:
    """Return names with a number after those that were there before, such as ``a.csv (2)``.

    URLs that differ in their queries have the same name.
    """
    counts: dict[str, int] = {}
    unique: list[str] = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return unique


def set_name(names: Sequence[str]) -> str:
    """Return the name of a set of files for reports and errors."""
    try:
        folder = os.path.commonpath([dirname(name) for name in names])
    except ValueError:  # on several drives, or relative and absolute
        folder = ""
    scheme, colon, rest = folder.partition(":/")
    if colon and is_url(names[0]):
        folder = f"{scheme}://{rest}"
    return f"{len(names):,} files" + (
        f" in {folder}" if folder and not folder.endswith(":") else ""
    )


def read_files(files: Iterable[MemberFile], choice: ColumnSelection) -> Iterator[Chunk]:
    """Read files one after another; the chunks have the name of their file.

    Each file has a header, and its columns are found in it. A file without rows gives one empty
    chunk.

    Raises:
        SourceError: A file cannot be read to its end, or does not have the columns of the others.
    """
    files = list(files)
    for file in files:
        file.position.finished = False  # of an earlier time that they were read
    first = plain_list = ""
    for file in files:
        own = choice.copy()
        has_rows = False
        chunks = cast("Generator[Chunk, None, None]", file.chunks(own))
        with closing(chunks), suppress(EmptyFileError):
            for chunk in chunks:
                choice.adopt(own, source=file.name, first=first)
                if not own.resolved and _has_values(chunk):
                    plain_list = plain_list or file.name
                if plain_list and (first or own.resolved):
                    raise _mixed_files_error(plain_list, first or file.name)
                has_rows = True
                yield evolve(chunk, file=file.name)
        file.position.finished = True
        if not has_rows:
            yield RowChunk(1, [], file=file.name)
        choice.adopt(own, source=file.name, first=first)
        if own.resolved:
            first = first or file.name
            if plain_list:  # a table without rows
                raise _mixed_files_error(plain_list, first)


def _has_values(chunk: Chunk) -> bool:
    return not isinstance(chunk, RowChunk) or bool(chunk.values)


def _mixed_files_error(plain_list: str, table: str) -> SourceError:
    """Return the error of a file of notes among tables, whose lines would become records."""
    return SourceError(
        f"has no columns, but {table} has; it may not be data",
        source=plain_list,
        param="format",
        suggestion=suggest("leave it out, or set {format} if all files are lists", format="lines"),
    )
