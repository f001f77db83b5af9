"""The local emulator: runs inside the client or command, with its state in a file.

A command opens the file for itself until it ends (`open_local_emulator`). A client may stay open,
so it locks the file for each request (`SharedEmulator`).
"""

from __future__ import annotations

import json
import os
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attrs import frozen

from pinterest_audiences import _threads
from pinterest_audiences._errors import LoginError
from pinterest_audiences._file_lock import LockHeldError, file_lock
from pinterest_audiences._jobs.database import open_private
from pinterest_audiences._jobs.job_errors import EmulatorBusyError, EmulatorStateError
from pinterest_audiences.emulator import Emulator, Request
from pinterest_audiences.emulator._transport import EmulatorTransport

if TYPE_CHECKING:
    from pinterest_audiences.emulator import Response

__all__ = [
    "LocalEmulator",
    "LoggedRequest",
    "RequestLog",
    "SharedEmulator",
    "lock_emulator",
    "open_local_emulator",
]

_LOCK_TIMEOUT_SECONDS = 30.0


class LocalEmulator:
    """An emulator that stores its changes.

    Writing its file takes time in proportion to its size, so it is written once, at the end. Until
    then, requests that change something are appended to a log, which the next command replays:
    also after a kill, the emulator has everything that it acknowledged.

    Args:
        path: File of its state.
        keep: Whether to store changes.

    Raises:
        EmulatorStateError: The file cannot be used.
    """

    def __init__(self, path: Path, *, keep: bool = True) -> None:
        self._log = RequestLog(path.with_name(f"{path.name}.log"))
        self._keep = keep
        self._now: float | None = None
        try:
            self._emulator = Emulator(state=path, clock=self._time)
            self._replay()
            if keep:
                self._log.truncate()
        except (OSError, ValueError) as error:
            raise EmulatorStateError(
                f"cannot be used as the emulator's state: {error}; to start again, delete"
                f" it and the state of the jobs in {path.parent}",
                str(path),
            ) from error

    def transport(self) -> EmulatorTransport:
        """Return a transport to the emulator."""
        return EmulatorTransport(self.handle)

    def allow(self, url: str) -> None:
        """Authorize a login, in place of the user and the browser.

        Args:
            url: The authorization URL.

        Raises:
            LoginError: The emulator refused the login.
        """
        from urllib.request import ProxyHandler, build_opener  # noqa: PLC0415 - for a login

        asked = urlsplit(url)
        answer = self.handle(Request(method="GET", path=asked.path, query=asked.query))
        where = dict(answer.headers).get("location", "")
        if not where.startswith("http://"):
            raise LoginError("login: the emulator refused; see --redirect-uri and --scopes")
        # Without a proxy, which would see the code and could not reach this machine.
        with build_opener(ProxyHandler({})).open(where, timeout=_LOCK_TIMEOUT_SECONDS):
            pass

    def close(self) -> None:
        """Write the changes to the file, and clear the log."""
        if self._keep and self._log.used:
            self._emulator.save()
            self._log.clear()

    def handle(self, request: Request) -> Response:
        """Handle a request.

        Args:
            request: The request.
        """
        # A login starts with a GET that creates a code.
        if self._keep and (request.method != "GET" or request.path == "/oauth/"):
            self._log.add(self._emulator.handled, time.time(), request)
        return self._emulator.handle(request)

    def _replay(self) -> None:
        for logged in self._log.read():
            # Requests from before the file was written are already in the file.
            if logged.number >= self._emulator.handled:
                # The log lacks reads, which count too: a file that is written later must have a
                # higher number than each request in the log.
                self._emulator.handled = logged.number
                self._replay_request(logged)

    def _replay_request(self, logged: LoggedRequest) -> None:
        self._now = logged.time
        try:
            self._emulator.handle(logged.request)
        finally:
            self._now = None

    def _time(self) -> float:
        return time.time() if self._now is None else self._now


class _SharedTransport(EmulatorTransport):
    """A transport that writes the changes when it is closed."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Response]],
        save: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(answer)
        self._save = save

    async def aclose(self) -> None:
        """Write the changes."""
        await self._save()


class SharedEmulator:
    """The local emulator of clients, which other clients and commands use at the same time.

    Each request locks the file, and reads it again if another process has changed it.

    Args:
        path: File of its state; read with the first request.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._emulator: LocalEmulator | None = None
        self._version: object = None
        self._lock = threading.Lock()

    def transport(self) -> EmulatorTransport:
        """Return a transport to the emulator; closing it writes the changes to the file.

        A request raises `EmulatorStateError` or `EmulatorBusyError` if the file cannot be used.
        """
        return _SharedTransport(self._answer, self._save)

    async def _answer(self, request: Request) -> Response:
        return await _threads.run_in_thread(self._handle, request)  # a lock or the disk may block

    def _handle(self, request: Request) -> Response:
        with self._lock, lock_emulator(self._path):
            if self._emulator is None or self._version != self._read_version():
                self._emulator = LocalEmulator(self._path)
            response = self._emulator.handle(request)
            self._version = self._read_version()
            return response

    async def _save(self) -> None:
        await _threads.run_in_thread(self._write)

    def _write(self) -> None:
        with self._lock:
            if self._emulator is None:
                return
            # Another process that uses or has changed the file writes these changes from the log.
            with suppress(EmulatorBusyError), lock_emulator(self._path, timeout=0.0):
                if self._version == self._read_version():
                    self._emulator.close()
            self._emulator = None

    def _read_version(self) -> list[tuple[int, int, int] | None]:
        """Return what changes with the file or its log."""
        log = self._path.with_name(f"{self._path.name}.log")
        return [_file_version(self._path), _file_version(log)]


def _file_version(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


@contextmanager
def open_local_emulator(
    path: Path, *, exclusive: bool = True
) -> Generator[LocalEmulator, None, None]:
    """Open the local emulator.

    Args:
        path: File of its state.
        exclusive: Lock it for other commands until the block ends; reading needs no lock.

    Raises:
        EmulatorStateError: The file cannot be used.
        EmulatorBusyError: Another process does not release it in time.
    """
    with ExitStack() as stack:
        if exclusive:
            stack.enter_context(lock_emulator(path))
        emulator = LocalEmulator(path, keep=exclusive)
        stack.callback(emulator.close)
        yield emulator


@contextmanager
def lock_emulator(
    path: Path, *, timeout: float = _LOCK_TIMEOUT_SECONDS
) -> Generator[None, None, None]:
    """Lock the file of an emulator for other processes until the block ends.

    Args:
        path: The file; its folder is created if missing.
        timeout: Seconds to wait for another process; 0 for one attempt.

    Raises:
        EmulatorStateError: The folder cannot be written to.
        EmulatorBusyError: Another process does not release it in time.
    """
    with ExitStack() as stack:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(file_lock(path.with_name(f"{path.name}.lock"), timeout))
        except OSError:
            raise EmulatorStateError(
                "cannot be written to; use another state file", str(path.parent)
            ) from None
        except LockHeldError:
            raise EmulatorBusyError(
                "another process has been using the local emulator for"
                f" {timeout:g} s; wait for it to end, or run `emulator serve` for many at once and"
                " set PINTEREST_API_URI to its URL, in place of --emulator"
            ) from None
        yield


_LENGTHS = struct.Struct(">II")  # of the head and the body of a request
_HEADERS = ("authorization", "content-type", "host")


@frozen(repr=False)
class LoggedRequest:
    """A request in the log.

    Attributes:
        number: Number of requests handled before it.
        time: Unix time in seconds.
        request: The request.
    """

    number: int
    time: float
    request: Request


class RequestLog:
    """Log file of requests, readable by its owner only, because it holds records and tokens.

    Args:
        path: The file; created with the first request.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._complete_bytes = 0  # of the entries that were read

    @property
    def used(self) -> bool:
        """Whether the log has requests."""
        return self._path.exists()

    def add(self, number: int, time: float, request: Request) -> None:
        """Append a request, before it is handled.

        Args:
            number: Number of requests handled before it.
            time: Unix time in seconds.
            request: The request.

        Raises:
            OSError: It cannot be written; nothing of it is left in the log.
        """
        headers = {name: request.headers[name] for name in _HEADERS if name in request.headers}
        values = [number, time, request.method, request.path, request.query, headers]
        head = json.dumps(values).encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        entry = memoryview(_LENGTHS.pack(len(head), len(request.body)) + head + request.body)
        with os.fdopen(open_private(self._path, flags), "ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                while entry:
                    entry = entry[file.write(entry) :]
            except BaseException:  # the next entry must not follow an incomplete one
                with suppress(OSError):
                    file.truncate(size)
                raise

    def read(self) -> Iterator[LoggedRequest]:
        """Yield the requests, oldest first; one cut off by a crash was not handled."""
        self._complete_bytes = 0
        if not self._path.exists():
            return
        with os.fdopen(open_private(self._path, os.O_RDONLY), "rb") as file:
            while len(lengths := file.read(_LENGTHS.size)) == _LENGTHS.size:
                head_length, body_length = _LENGTHS.unpack(lengths)
                head, body = file.read(head_length), file.read(body_length)
                if len(head) + len(body) < head_length + body_length:
                    return
                number, time, method, path, query, headers = json.loads(head)
                request = Request(method=method, path=path, query=query, headers=headers, body=body)
                self._complete_bytes = file.tell()
                yield LoggedRequest(number, time, request)

    def truncate(self) -> None:
        """Remove a request that was cut off by a crash, after all others were read.

        Raises:
            OSError: The file cannot be written.
        """
        if self.used and self._path.stat().st_size > self._complete_bytes:
            with os.fdopen(open_private(self._path, os.O_WRONLY), "wb") as file:
                file.truncate(self._complete_bytes)

    def clear(self) -> None:
        """Delete the log."""
        self._path.unlink(missing_ok=True)
