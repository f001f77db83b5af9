"""What a command works with: its results, its screen, its profile, and a client."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pinterest_audiences.cli.output import FORMATS, Output
from pinterest_audiences.cli.refusals import usage
from pinterest_audiences.cli.screen import Screen

if TYPE_CHECKING:
    from typing import TextIO

    from pinterest_audiences.blocking import Client
    from pinterest_audiences.cli.credentials import Credentials
    from pinterest_audiences.cli.embedded import Embedded
    from pinterest_audiences.cli.options import Common
    from pinterest_audiences.cli.output import Format
    from pinterest_audiences.cli.profiles import Profile
    from pinterest_audiences.jobs.events import JobEvent, OnEvent

__all__ = ["EMULATED_ACCOUNT", "Context", "make_context"]

EMULATED_ACCOUNT = "549755885175"
"""The ad account of the embedded emulator, where none is said; it has any other one too."""

_EMULATOR = "emulator:"


class Context:
    """What one command works with. A flag goes before the environment, that before the profile.

    Args:
        options: The options of every command.
        profile: The profile; its warnings have been told.
        out: Where results go.
        screen: Where everything else goes.
    """

    def __init__(self, options: Common, profile: Profile, out: Output, screen: Screen) -> None:
        self.options = options
        self.profile = profile
        self.out = out
        self.screen = screen
        self.resume_command = ""  # told when a job is interrupted, once one has begun
        self._force_emulator = False

    def use_emulator(self) -> None:
        """Run on the embedded emulator, whatever was said; for the demonstration."""
        self._force_emulator = True

    @property
    def emulated(self) -> bool:
        """Whether the command runs on the embedded emulator."""
        if self._force_emulator:
            return True
        if self.options.emulator is not None:
            return self.options.emulator
        return (os.environ.get("PINTEREST_API_URI") or self.profile.api_uri or "") == _EMULATOR

    @property
    def base_url(self) -> str | None:
        """Where the API is; None for Pinterest itself."""
        if self.emulated:
            from pinterest_audiences.cli.embedded import BASE_URL  # noqa: PLC0415 - when used

            return BASE_URL
        said = os.environ.get("PINTEREST_API_URI") or self.profile.api_uri
        # --no-emulator takes back what the environment or the profile says.
        if said == _EMULATOR:
            from pinterest_audiences._wire.settings import DEFAULT_BASE_URL  # noqa: PLC0415

            return DEFAULT_BASE_URL
        return said

    @property
    def ad_account(self) -> str:
        """The ad account.

        Raises:
            CommandError: None is said.
        """
        said = self.said_ad_account
        if said is None:
            raise usage(
                "no ad account: say --ad-account ID, or set PINTEREST_AD_ACCOUNT_ID, or write "
                "ad_account in the profile"
            )
        return said

    @property
    def said_ad_account(self) -> str | None:
        """The ad account, if one is said; the emulator has one anyway."""
        said = (
            self.options.ad_account
            or os.environ.get("PINTEREST_AD_ACCOUNT_ID")
            or self.profile.ad_account
        )
        return EMULATED_ACCOUNT if said is None and self.emulated else said

    @cached_property
    def state(self) -> Path:
        """The jobs' state file; the emulator's jobs have one of their own."""
        from pinterest_audiences.jobs.database import state_path  # noqa: PLC0415 - when used

        if self._said_state:
            return Path(self._said_state).expanduser()
        path = state_path(None)
        return path.parent / "emulator" / path.name if self.emulated else path

    @property
    def _said_state(self) -> str | None:
        if self.options.state is not None:
            return str(self.options.state)
        return os.environ.get("PINTEREST_AUDIENCES_STATE") or self.profile.state

    @property
    def emulator_file(self) -> Path:
        """The file of the embedded emulator."""
        from pinterest_audiences.cli.embedded import emulator_file  # noqa: PLC0415 - when used

        return emulator_file(self.state, explicit=bool(self._said_state))

    def list_id(self, said: str) -> str:
        """Return the id of a list that is said by its id, or by a name of the profile.

        Raises:
            CommandError: It is neither.
        """
        found = self.profile.lists.get(said, said)
        if not found.isascii() or not found.isdigit():
            known = ", ".join(self.profile.lists) or "none"
            raise usage(
                # What was said may be a customer.
                "what was said is no id of a list, and no name of one in profile "
                f"{self.profile.name!r} (there: {known})",
                "`lists list` shows the ids",
            )
        return found

    @contextmanager
    def client(self, *, alone: bool = True) -> Generator[Client, None, None]:
        """Open a client.

        Args:
            alone: Whether it keeps other commands from the embedded emulator meanwhile.

        Raises:
            CommandError: There are no credentials, or the emulator cannot be used.
        """
        from pinterest_audiences.blocking import Client  # noqa: PLC0415 - heavy

        if not self.emulated:
            with Client(self.credentials().source(), base_url=self.base_url) as client:
                yield client
            return
        from pinterest_audiences.cli.embedded import embedded  # noqa: PLC0415 - when used

        with embedded(self.emulator_file, alone=alone) as place:
            # Any token does there; what looks after logins is loaded if there has been one.
            login = self._emulated_login.exists()
            source = self.credentials(place).source() if login else "emulated"
            with Client(source, base_url=self.base_url, transport=place.transport()) as client:
                yield client

    @contextmanager
    def offline_client(self) -> Generator[Client, None, None]:
        """Open a client that only reads the jobs' state; it needs no credentials."""
        from pinterest_audiences.auth.tokens import NoToken  # noqa: PLC0415 - when used
        from pinterest_audiences.blocking import Client  # noqa: PLC0415 - heavy

        with Client(NoToken(), base_url=self.base_url) as client:
            yield client

    @property
    def _emulated_login(self) -> Path:
        """The emulator's login; never one of Pinterest's, whatever folder the state is in."""
        name = login_file(self.profile.name)
        file = self.emulator_file
        return file.with_name(f"{file.name}.{name}" if self._said_state else name)

    def credentials(self, place: Embedded | None = None) -> Credentials:
        """Return what there is to show to Pinterest, or to the embedded emulator."""
        from pinterest_audiences.cli.credentials import Credentials  # noqa: PLC0415 - when used

        return Credentials(
            self.profile,
            emulated_login=self._emulated_login if self.emulated else None,
            base_url=self.base_url,
            transport=None if place is None else place.transport,
        )

    def watching(self, teller: OnEvent) -> OnEvent:
        """Follow a job, and know from its beginning how it is finished if it is interrupted.

        Args:
            teller: Told what happens.
        """

        def watch(event: JobEvent) -> None:
            self.resume_command = f"pinterest-audiences resume{self._flags()}"
            teller(event)

        return watch

    def _flags(self) -> str:
        """Return the flags that another command needs to mean the same place."""
        said: list[str] = []
        if self.options.emulator or self._force_emulator:
            said.append("--emulator")
        elif self.options.emulator is False:
            said.append("--no-emulator")
        for name, value in (
            ("--profile", self.options.profile),
            ("--ad-account", self.options.ad_account),
            ("--state", self.options.state),
        ):
            if value is not None:
                said += [name, _quoted(str(value))]
        return "".join(f" {word}" for word in said)


def login_file(profile: str) -> str:
    """Return the name of the file that keeps the login of a profile."""
    return "tokens.json" if profile == "default" else f"tokens-{profile}.json"


def make_context(options: Common, stdout: TextIO, stderr: TextIO) -> Context:
    """Put together what a command works with, and tell what is odd about the profile.

    Raises:
        CommandError: The profile cannot be used, or the output has no such form.
    """
    from pinterest_audiences.cli.profiles import read_profile  # noqa: PLC0415 - when used

    wanted = options.profile or os.environ.get("PINTEREST_AUDIENCES_PROFILE") or None
    for flag, value in (("--ad-account", options.ad_account), ("--profile", options.profile)):
        # An unset variable in a script must not mean another account.
        if value is not None and not value.strip():
            raise usage(f"{flag}: its value is empty")
    profile, warnings = read_profile(wanted)
    said = options.output or os.environ.get("PINTEREST_AUDIENCES_OUTPUT") or profile.output
    form = chosen_form(said, stdout)
    screen = Screen(stderr, form, quiet=options.quiet, verbose=options.verbose)
    for warning in warnings:
        screen.warn(warning)
    return Context(options, profile, Output(stdout, form), screen)


def chosen_form(said: str | None, stdout: TextIO) -> Format:
    """Choose the form of results: what is said, or a table for a person and JSON for a program.

    Raises:
        CommandError: There is no such form.
    """
    if said is None:
        return "table" if stdout.isatty() else "json"
    if said not in FORMATS:
        raise usage(f"output: one of {', '.join(FORMATS)} is needed")
    return said


def _quoted(text: str) -> str:
    import shlex  # noqa: PLC0415 - when a job is interrupted

    return shlex.quote(text)
