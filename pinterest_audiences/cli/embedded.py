"""The embedded emulator: a Pinterest in this process, whose state is in a file."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pinterest_audiences.auth.locks import exclusive
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.refusals import CommandError
from pinterest_audiences.cli.replay import Log, LoggedRequest
from pinterest_audiences.emulator import Emulator
from pinterest_audiences.emulator.messages import Request
from pinterest_audiences.emulator.transport import EmulatorTransport
from pinterest_audiences.errors import LoginError, TokenStoreError

if TYPE_CHECKING:
    from pinterest_audiences.emulator.messages import Response

__all__ = ["BASE_URL", "Embedded", "embedded", "emulator_file", "locked"]

BASE_URL = "https://emulator.invalid/v5"
"""Where jobs say that their lists are: nowhere else, so that none is taken for Pinterest's."""

_PATIENCE = 30.0  # seconds for another command to end


class Embedded:
    """An emulator that keeps what was changed.

    Its file is written at the end, which takes as long as it is large. Until then each request
    that changes something is in a log beside it, for the next command to repeat: a command that
    is killed must leave a Pinterest that has what it had acknowledged.

    Args:
        path: Its file.
        keep: Whether what is changed is kept.

    Raises:
        CommandError: The file cannot be used.
    """

    def __init__(self, path: Path, *, keep: bool = True) -> None:
        self._log = Log(path.with_name(f"{path.name}.log"))
        self._keep = keep
        self._now: float | None = None
        try:
            self._emulator = Emulator(state=path, clock=self._time)
            self._repeat()
        except (OSError, ValueError) as error:
            raise CommandError(
                f"{path}: cannot be used as the emulator's state: {error}",
                code="emulator_state",
                exit=Exit.UNEXPECTED,
                hint=f"delete it to begin anew, and the jobs' state beside it: {path.parent}",
            ) from error

    def transport(self) -> EmulatorTransport:
        """Return a transport that leads there."""
        return EmulatorTransport(self._handle)

    def allow(self, url: str) -> None:
        """Be the person who says yes to a login, and the browser that brings the answer back.

        Args:
            url: The address that a person would be shown.

        Raises:
            LoginError: The emulator refused.
        """
        from urllib.request import ProxyHandler, build_opener  # noqa: PLC0415 - for a login

        asked = urlsplit(url)
        answer = self._handle(Request(method="GET", path=asked.path, query=asked.query))
        where = dict(answer.headers).get("location", "")
        if not where.startswith("http://"):
            raise LoginError("login: the emulator refused; see --redirect-uri and --scopes")
        # To this machine: a proxy would be shown the code, and could not bring it here.
        with build_opener(ProxyHandler({})).open(where, timeout=_PATIENCE):
            pass

    def close(self) -> None:
        """Write what was changed, and begin the log anew."""
        if self._keep and self._log.used:
            self._emulator.save()
            self._log.clear()

    def _handle(self, request: Request) -> Response:
        # A login begins with a GET that gives a code.
        if self._keep and (request.method != "GET" or request.path == "/oauth/"):
            self._log.add(self._emulator.handled, time.time(), request)
        return self._emulator.handle(request)

    def _repeat(self) -> None:
        for logged in self._log.read():
            # One that came before the file was written is in the file.
            if logged.number >= self._emulator.handled:
                self._repeat_one(logged)

    def _repeat_one(self, logged: LoggedRequest) -> None:
        self._now = logged.time
        try:
            self._emulator.handle(logged.request)
        finally:
            self._now = None

    def _time(self) -> float:
        return time.time() if self._now is None else self._now


@contextmanager
def embedded(path: Path, *, alone: bool = True) -> Generator[Embedded, None, None]:
    """Open the embedded emulator.

    Args:
        path: Its file.
        alone: Keep other commands from it until the block ends. What only looks does not have to.

    Raises:
        CommandError: The file cannot be used, or another command has it for too long.
    """
    with ExitStack() as stack:
        if alone:
            stack.enter_context(locked(path))
        place = Embedded(path, keep=alone)
        stack.callback(place.close)
        yield place


@contextmanager
def locked(path: Path) -> Generator[None, None, None]:
    """Keep other commands from an emulator's file until the block ends.

    Args:
        path: The file; its folder is made where it is missing.

    Raises:
        CommandError: Another command has it for too long.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(path.with_name(f"{path.name}.lock"), _PATIENCE))
        except TokenStoreError:
            if not os.access(path.parent, os.W_OK):
                raise CommandError(
                    f"{path.parent}: cannot be written to",
                    code="emulator_state",
                    exit=Exit.UNEXPECTED,
                    hint="say --state with a file elsewhere",
                ) from None
            raise CommandError(
                f"another command has been using the embedded emulator for {_PATIENCE:g} s",
                code="emulator_busy",
                exit=Exit.UNFINISHED,
                hint="wait for it, or use `emulator serve`, which serves many at once",
            ) from None
        yield


def emulator_file(state: Path, *, explicit: bool) -> Path:
    """Return the emulator's file: beside the jobs' state.

    Args:
        state: The jobs' state file.
        explicit: Whether its place was said; then the folder may hold others too.
    """
    return state.with_name(f"{state.name}.emulator" if explicit else "pinterest.sqlite3")
