"""Remote files: URLs of object stores and web servers, opened with fsspec.

Requires the extra ``[remote]``, and the library of an object store; both are imported when they are
used. A URL may contain a signature or a password: only its `url_name` is shown.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from glob import has_magic
from importlib import import_module
from typing import BinaryIO, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from attrs import field, frozen

from pinterest_audiences._errors import ConfigurationError, SourceError
from pinterest_audiences._redaction import NOT_SHOWN

__all__ = ["RemoteFile", "RemoteFolder", "RemoteReadError", "is_url", "open_url", "url_name"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")  # a drive of Windows is one letter
# urlsplit raises a ValueError for some, which depends on the version of Python.
_URL_PARTS = re.compile(r"([^:]+)://([^/?#]*)([^?#]*)(.*)", re.DOTALL)
_WEB = ("http", "https")
_GOOGLE = ("gs", "gcs")
_AZURE = ("az", "abfs", "abfss")
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(_GOOGLE, "gcsfs"),
    **dict.fromkeys(_AZURE, "adlfs"),
    **dict.fromkeys(_WEB, "aiohttp"),
}
_CONNECT_SECONDS = 30.0
_READ_SECONDS = 300.0  # between two blocks; the whole file may take longer
_BLOCK_BYTES = 5 * 1_048_576
T = TypeVar("T")


class _FileSystem(Protocol):
    """The used part of ``fsspec.AbstractFileSystem``."""

    def open(self, path: str, mode: str, **options: object) -> BinaryIO: ...
    def info(self, path: str) -> Mapping[str, object]: ...
    def find(self, path: str, *, detail: bool) -> Mapping[str, Mapping[str, object]]: ...
    def glob(self, path: str, *, detail: bool) -> Mapping[str, Mapping[str, object]]: ...
    def isdir(self, path: str) -> bool: ...
    def invalidate_cache(self) -> None: ...


def is_url(path: object) -> bool:
    """Return whether a path is a URL."""
    return isinstance(path, str) and _URL.match(path) is not None


def url_name(url: str) -> str:
    """Return a URL without user, password, query and fragment, which may be credentials.

    Only the scheme is shown if the password may have an unencoded ``/``, ``?`` or ``#``: what
    looks like a host with a port may be a user with the first digits of a password.
    """
    scheme, place, path, rest = _parts(url)
    if not url.isprintable() or ("@" in path + rest and ":" in place):
        return f"{scheme}://{NOT_SHOWN}"
    user, _, host = place.rpartition("@")
    if user and scheme in _AZURE and ":" not in user:
        host = place  # the user is the container
    return f"{scheme}://{host}{path}"


def _parts(url: str) -> tuple[str, str, str, str]:
    """Return the scheme, the host with user and port, the path, and query with fragment."""
    match = _URL_PARTS.match(url)
    scheme, place, path, rest = match.groups() if match else (url, "", "", "")
    return scheme.lower(), place, path, rest


class RemoteReadError(OSError):
    """A remote file that cannot be read.

    Args:
        reason: Why, without credentials.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(0, reason)
        self.reason = reason


@frozen(repr=False)
class RemoteFile:
    """A file at a URL.

    Attributes:
        name: The URL without credentials.
        size: Its size in bytes; ``None`` if it is unknown before it is opened.
    """

    name: str
    _system: _FileSystem
    _path: str
    size: int | None = None

    @property
    def location(self) -> str:
        """The scheme and the path, without host, user and query of a web server.

        It is not shown: for a URL that is not valid, it may have a part of a password.
        """
        path = _parts(self._path)[2] if self._is_web else self._path
        return f"{self.name.partition('://')[0]}://{path}"

    @property
    def _is_web(self) -> bool:
        return self.name.lower().startswith(tuple(f"{scheme}:" for scheme in _WEB))

    def open(self, *, seekable: bool = False) -> BinaryIO:
        """Open the file for reading.

        Args:
            seekable: Whether to read it in any order. A web server must send parts of files then;
                otherwise the whole file is one request.

        Raises:
            RemoteReadError: The file cannot be opened.
        """
        self._check_encoding()
        options: dict[str, object] = {"block_size": _BLOCK_BYTES}
        if self._is_web and not seekable:
            options = {"block_size": 0, "size": 1}  # with a size, no request asks for it
        try:
            opened = self._system.open(self._path, "rb", **options)
        except Exception as error:  # noqa: BLE001 - each file system has its own errors
            raise _read_error(error) from None
        if self._is_web and seekable:
            _check_seekable(opened)
        return cast("BinaryIO", _RemoteReader(opened, seekable=seekable or not self._is_web))

    def size_of(self, file: BinaryIO) -> int | None:
        """Return the size of this file, which is open; ``None`` if the server does not send it."""
        return self.size if self.size is not None else cast("_RemoteReader", file).size()

    def _check_encoding(self) -> None:
        """Check that Google does not decompress an object on the way.

        gcsfs reads as many bytes as the compressed object has, and takes that as the end.

        Raises:
            RemoteReadError: It does, or the object cannot be looked up.
        """
        if self.name.partition("://")[0] not in _GOOGLE:
            return
        try:
            encoding = self._system.info(self._path).get("contentEncoding")
        except Exception as error:  # noqa: BLE001 - each file system has its own errors
            raise _read_error(error) from None
        if encoding == "gzip":
            raise RemoteReadError(
                "is stored with Content-Encoding: gzip, of which gcsfs may read only the first "
                "part; store it as a .gz file without that, or download it"
            )


def _check_seekable(file: BinaryIO) -> None:
    """Check that a web server sends parts of a file.

    Raises:
        RemoteReadError: It does not, or the request fails.
    """
    try:
        file.seek(-1, io.SEEK_END)
        file.read(1)
        file.seek(0)
    except ValueError:
        raise RemoteReadError(
            "the web server does not send parts of files, which this format requires; download it",
        ) from None
    except Exception as error:  # noqa: BLE001 - each file system has its own errors
        raise _read_error(error) from None


class _RemoteReader(io.RawIOBase):
    """An open remote file whose errors have no credentials."""

    def __init__(self, file: BinaryIO, *, seekable: bool) -> None:
        self._file = file
        self._seekable = seekable

    def size(self) -> int | None:
        """Return the size in bytes; ``None`` if it is unknown."""
        size = cast("object", getattr(self._file, "size", None))
        response = cast("object", getattr(self._file, "r", None))  # of a web server, as a stream
        headers = cast("Mapping[str, str]", getattr(response, "headers", {}))
        length = headers.get("Content-Length", "")
        if isinstance(size, int) and response is None:
            return size
        return int(length) if length.isdigit() and "Content-Encoding" not in headers else None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._file.read(size)
        except Exception as error:  # noqa: BLE001 - each file system has its own errors
            raise _read_error(error) from None

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return self._file.seek(offset, whence)
        except Exception as error:  # noqa: BLE001 - each file system has its own errors
            raise _read_error(error) from None

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            with suppress(Exception):  # nothing was written
                self._file.close()
        super().close()


@frozen(repr=False)
class RemoteFolder:
    """What a URL stands for, if it is not a single file.

    Attributes:
        name: The URL without credentials.
        is_pattern: Whether it is a pattern.
    """

    name: str
    _system: _FileSystem
    _path: str
    is_pattern: bool
    _sizes: dict[str, int] = field(factory=dict[str, int])

    @property
    def path(self) -> str:
        """The path in the file system."""
        return self._path.rstrip("/")

    def file(self, path: str) -> RemoteFile:
        """Return a file of the same file system."""
        scheme = self.name.partition("://")[0]
        name = f"{scheme}://{path.lstrip('/')}"
        return RemoteFile(name, self._system, path, self._sizes.get(path))

    def find(self, path: str) -> list[str]:
        """Return the paths of all files in a folder, at any depth.

        Raises:
            SourceError: The folder cannot be listed.
        """
        return self._list(lambda: self._system.find(path, detail=True))

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that match a pattern.

        Raises:
            SourceError: They cannot be listed.
        """
        return self._list(lambda: self._system.glob(pattern, detail=True))

    def _list(self, call: Callable[[], Mapping[str, Mapping[str, object]]]) -> list[str]:
        listed = _call(self.name, call)
        for path, details in listed.items():
            size = _size(details)
            if size is not None:
                self._sizes[path] = size
        return list(listed)

    def is_directory(self, path: str) -> bool:
        """Return whether a path is a folder.

        Raises:
            SourceError: It cannot be looked up.
        """
        return _call(self.name, lambda: self._system.isdir(path))


def open_url(url: str, *, is_pattern: bool) -> RemoteFile | RemoteFolder:
    """Return what a URL stands for; a web server has files only.

    Raises:
        ConfigurationError: A library is not installed, or the scheme is unknown.
        SourceError: The file does not exist, or access is denied.
    """
    scheme, name = _parts(url)[0], url_name(url)
    _check_url(url, name)
    system, path = _file_system(url, scheme)
    if scheme in _WEB:
        return RemoteFile(name, system, path)
    system.invalidate_cache()  # a listing of an earlier run in this process
    if is_pattern:
        return RemoteFolder(name, system, path, is_pattern=True)
    details = _call(name, lambda: system.info(path))
    if details.get("type") == "directory":
        return RemoteFolder(name, system, path, is_pattern=False)
    return RemoteFile(name, system, path, _size(details))


def _size(details: Mapping[str, object]) -> int | None:
    size = details.get("size")
    return size if isinstance(size, int) and details.get("type") == "file" else None


def _check_url(url: str, name: str) -> None:
    """Check that a URL can be split.

    Raises:
        SourceError: It cannot, or has a pattern in place of a bucket.
    """
    scheme, place, _, _ = _parts(url)
    if scheme not in _WEB and has_magic(place.rpartition("@")[2]):
        raise SourceError(
            "has characters of a pattern (*, ?, [) in the name of the bucket; write it in full",
            source=name,
        )
    try:
        parts = urlsplit(url)
        _ = parts.port if scheme in _WEB else None
    except ValueError:  # without its message, which may have the password
        raise SourceError(
            "is not a valid URL; percent-encode special characters of user and password",
            source=name,
        ) from None


def _file_system(url: str, scheme: str) -> tuple[_FileSystem, str]:
    try:
        url_to_fs = cast(
            "Callable[..., tuple[_FileSystem, str]]", import_module("fsspec.core").url_to_fs
        )
    except ImportError:
        raise ConfigurationError(
            "URLs require fsspec: pip install 'pinterest-audiences[remote]'", param="source"
        ) from None
    try:
        return url_to_fs(url, **_options(scheme))
    except ImportError:
        package = _PACKAGES.get(scheme, "another library")
        raise ConfigurationError(
            f"{scheme}:// requires {package}: pip install {package}", param="source"
        ) from None
    except Exception as error:  # noqa: BLE001 - each file system has its own errors
        if not _is_known(scheme):
            raise ConfigurationError(
                f"{scheme}:// is not supported; use s3://, gs://, az:// or https://",
                param="source",
            ) from None
        raise SourceError(_reason(error), source=url_name(url)) from None


def _is_known(scheme: str) -> bool:
    return scheme in import_module("fsspec").available_protocols()


def _options(scheme: str) -> dict[str, object]:
    """Return options of a file system: aiohttp limits a whole request to five minutes."""
    if scheme not in _WEB:
        return {}
    timeout = import_module("aiohttp").ClientTimeout(
        total=None, sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS
    )
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}


def _call(name: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - each file system has its own errors
        raise SourceError(_reason(error), source=name) from None


def _read_error(error: Exception) -> RemoteReadError:
    return RemoteReadError(_reason(error))


def _reason(error: Exception) -> str:
    """Return why a file cannot be read, without the message of the error: it may have the URL."""
    status = getattr(error, "status", getattr(error.__cause__, "status", None))
    if isinstance(error, FileNotFoundError) and status in (None, 404, 410):
        return "no such file"
    if isinstance(error, PermissionError) or status in (401, 403):
        return "access is denied; check the credentials, or whether the URL has expired"
    if isinstance(status, int) and status >= 400:  # noqa: PLR2004 - the server's refusal
        return f"the server answered with HTTP {status}"
    return f"cannot be read ({type(error).__name__}): the connection or the server failed"
