"""The embedded emulator: a Pinterest in this process, whose state is in a file."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pinterest_audiences.auth.locks import exclusive
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.problems import CommandError
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
_SHARE = 0.05  # of the time may go into saving while a command runs


class Embedded:
    """An emulator that keeps what was changed.

    Args:
        path: Its file.
        keep: Whether what is changed is kept.

    Raises:
        CommandError: The file cannot be used.
    """

    def __init__(self, path: Path, *, keep: bool = True) -> None:
        try:
            self.emulator = Emulator(state=path)
        except (OSError, ValueError) as error:
            raise CommandError(
                f"{path}: cannot be used as the emulator's state: {error}",
                code="emulator_state",
                exit=Exit.UNEXPECTED,
                hint=f"delete it to begin anew, and the jobs' state beside it: {path.parent}",
            ) from error
        self._keep = keep
        self._changed = False
        self._next_save = 0.0

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
        from urllib.request import urlopen  # noqa: PLC0415 - for a login

        asked = urlsplit(url)
        answer = self._handle(Request(method="GET", path=asked.path, query=asked.query))
        where = dict(answer.headers).get("location", "")
        if not where.startswith("http://"):
            raise LoginError("login: the emulator refused; see --redirect-uri and --scopes")
        self._changed = True  # a code was given
        with urlopen(where, timeout=_PATIENCE):  # noqa: S310 - to this machine
            pass

    def save(self) -> None:
        """Write what was changed."""
        if self._changed:
            began = time.monotonic()
            self.emulator.save()
            self._changed = False
            ended = time.monotonic()
            self._next_save = ended + (ended - began) / _SHARE

    def _handle(self, request: Request) -> Response:
        response = self.emulator.handle(request)
        if self._keep and request.method != "GET":
            self._changed = True
            # Now, and not at the end: a command that is killed must leave a Pinterest that knows
            # what the jobs' state knows of it.
            if time.monotonic() >= self._next_save:
                self.save()
        return response


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
        stack.callback(place.save)
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
            raise CommandError(
                f"another command has been using the embedded emulator for {_PATIENCE:g} s",
                code="emulator_busy",
                exit=Exit.UNFINISHED,
                hint="wait for it, or use `emulator serve`, which serves many at once",
            ) from None
        yield


def emulator_file(state: Path, *, explicit: bool) -> Path:
    """Return the emulator's file: beside the jobs' state."""
    return state.with_name(f"{state.name}.emulator" if explicit else "pinterest.sqlite3")
