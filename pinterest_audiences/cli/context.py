"""Context of a command: options, profile, output, console and clients."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from pinterest_audiences._config import DEFAULT_BASE_URL, ConfigFileError, Settings, config_file
from pinterest_audiences._errors import ConfigurationError, PinterestAudiencesError
from pinterest_audiences._redaction import has_secret
from pinterest_audiences.cli.error_reports import (
    CommandError,
    ExitCode,
    no_credentials,
    usage_error,
)
from pinterest_audiences.cli.output import FORMATS, Console, Output

if TYPE_CHECKING:
    from typing import TextIO

    from pinterest_audiences._auth.environment import Credentials
    from pinterest_audiences._config import Profile
    from pinterest_audiences._credentials import TokenSource
    from pinterest_audiences._jobs.reports import JobEvent, OnEvent
    from pinterest_audiences._local_emulator import LocalEmulator
    from pinterest_audiences._sync_client import Client
    from pinterest_audiences.cli.options import CommonOptions, ReadOptions, SourceOptions
    from pinterest_audiences.cli.output import Format

__all__ = ["Context", "ContextArg", "make_context"]
_MAY_HAVE_SECRET = re.compile(r"://(?:[^/]*@|\S*\?)")  # a user, or a query, in a URL
# Commands in hints, which need the options that select the account, the profile and the state.
_COMMAND_OF_ACCOUNT = re.compile(
    r"`((?:(?:lists|audience|segments|accounts|jobs) list|resume|status|doctor|auth login)"
    r"(?: --all-accounts)?)`"
)
_MAX_REJECT_SHARE = 0.1  # more rejects are usually a wrong column, not bad data


class Context:
    """Context of one command. Options take precedence over variables, and these over the profile.

    Args:
        options: Common options.
        settings: Settings from options, environment and profile.
        out: Output of results.
        console: Output of everything else.
    """

    def __init__(
        self, options: CommonOptions, settings: Settings, out: Output, console: Console
    ) -> None:
        self.options = options
        self.settings = settings
        self.out = out
        self.console = console
        self.command: Sequence[str] = ()  # its words, such as "lists", "create"
        self.arguments: Sequence[str] = ()  # the words after it
        self.resume_command = ""  # set once a job has started
        self.done = ""  # what an interrupted command without a job has done, and what not
        self.begun: float = time.time()
        self._force_emulator = False
        self._overrides_checked = False

    @property
    def profile(self) -> Profile:
        """The profile."""
        return self.settings.profile

    def use_emulator(self) -> None:
        """Use the local emulator regardless of options, for ``demo`` and ``emulator serve``."""
        self._force_emulator = True
        self.settings.use_emulator()

    @property
    def emulated(self) -> bool:
        """Whether the command uses the local emulator."""
        return self.settings.emulated

    @property
    def base_url(self) -> str:
        """Base URL of the API."""
        return self.settings.base_url or DEFAULT_BASE_URL

    @property
    def ad_account(self) -> str:
        """The ad account.

        Raises:
            CommandError: No ad account is set.
        """
        ad_account = self.ad_account_or_none
        if ad_account is None:
            raise usage_error(
                "no ad account: use --ad-account, or set PINTEREST_AD_ACCOUNT_ID, or ad_account in "
                "the profile",
                "`accounts list` shows your ad accounts"
                if self._has_credentials()
                else "`auth login` lets you choose one; without an account, use the local emulator "
                "with --emulator",
            )
        return ad_account

    def _has_credentials(self) -> bool:
        """Return whether there are credentials, also such that cannot be used."""
        try:
            return self.credentials(warn_of_token=False).find() is not None
        except PinterestAudiencesError:
            return True

    @property
    def ad_account_or_none(self) -> str | None:
        """The ad account; ``None`` if it is not set, except on the emulator."""
        return self.settings.ad_account

    @cached_property
    def state(self) -> Path:
        """State file of the jobs; jobs on the emulator have a separate one."""
        return self.settings.state

    @property
    def emulator_file(self) -> Path:
        """State file of the local emulator."""
        return self.settings.emulator_file

    def batch_size(self, given: int | None) -> int | None:
        """Return the maximum records per request from option or profile; ``None`` for the default.

        Raises:
            CommandError: The option is below 1.
        """
        if given is not None and given < 1:
            raise usage_error("--batch-size must be a whole number of at least 1")
        return self.profile.batch_size if given is None else given

    def max_reject_share(self, given: float | None) -> float:
        """Return the maximum share of rejects from option, profile or default.

        Raises:
            CommandError: The option is not from 0 to 1.
        """
        if given is not None and not 0 <= given <= 1:
            raise usage_error("--max-reject-share must be from 0 to 1")
        for share in (given, self.profile.max_reject_share):
            if share is not None:
                return share
        return _MAX_REJECT_SHARE

    def database_url(self, source: SourceOptions | ReadOptions) -> str | None:
        """Return the URL of the database: the option, or the setting if there is a query.

        A password that others can read is a warning.
        """
        if source.database is None and source.query is None:
            return None
        from pinterest_audiences._records.databases import has_password  # noqa: PLC0415 - when used

        url = self.settings.database if source.database is None else source.database
        if url is None or not has_password(url):
            return url
        if url == source.database:
            self.console.warn(
                "--database contains a password, which other users of this machine can see in the "
                "list of processes; set PINTEREST_AUDIENCES_DATABASE, or database in the profile"
            )
        elif url == self.profile.database and os.name == "posix":
            path = config_file()
            if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
                self.console.warn(
                    f"{path} contains a password and is readable by others; run chmod 600 {path}"
                )
        return url

    def list_reference(self, value: str) -> str:
        """Return the id or the name of a list; an alias of the profile stands for an id."""
        return self.profile.lists.get(value, value)

    @contextmanager
    def client(self, *, exclusive: bool = True) -> Generator[Client, None, None]:
        """Open a client.

        Args:
            exclusive: Whether to lock the local emulator for other commands meanwhile.

        Raises:
            CommandError: No credentials are found, or the emulator cannot be used.
        """
        from pinterest_audiences._sync_client import Client  # noqa: PLC0415 - heavy

        if not self.emulated:
            with Client(self.token_source(), base_url=self.base_url) as client:
                yield client
            return
        from pinterest_audiences._local_emulator import open_local_emulator  # noqa: PLC0415 - when used

        with open_local_emulator(self.emulator_file, exclusive=exclusive) as emulator:
            # Any token works there; the code for logins is imported only after a login.
            source = (
                self.token_source(emulator) if self.settings.login_file.exists() else "emulated"
            )
            with Client(source, base_url=self.base_url, transport=emulator.transport()) as client:
                yield client

    def token_source(self, emulator: LocalEmulator | None = None) -> TokenSource:
        """Return the token source for Pinterest, or for the local emulator.

        Raises:
            CommandError: No credentials are found, or they cannot be used.
            TokenStoreError: The file of the login cannot be read.
        """
        credentials = self.credentials(emulator)
        if not credentials.from_environment:
            _ = credentials.store  # an unknown home directory is another error
        try:
            source = credentials.find()
        except ConfigurationError as error:
            raise CommandError(
                str(error), code="credentials", exit=ExitCode.CREDENTIALS, hint="see `auth status`"
            ) from None
        if source is None:
            raise no_credentials(credentials.missing_text())
        return source

    def credentials(
        self, emulator: LocalEmulator | None = None, *, warn_of_token: bool = True
    ) -> Credentials:
        """Return the credentials for Pinterest, or for the local emulator.

        Args:
            emulator: The local emulator.
            warn_of_token: Whether to warn of a token that is used instead of the profile's login.
        """
        from pinterest_audiences._auth.environment import Credentials  # noqa: PLC0415 - slow to import

        credentials = Credentials(
            self.settings, transport=None if emulator is None else emulator.transport
        )
        if not self._overrides_checked:
            self._overrides_checked = True
            for warning in self.settings.override_warnings():
                self.console.warn(warning)
            token_warning = credentials.override_warning() if warn_of_token else None
            if token_warning is not None:
                self.console.warn(token_warning)
        return credentials

    @contextmanager
    def offline_client(self) -> Generator[Client, None, None]:
        """Open a client without credentials and network, for the state file."""
        from pinterest_audiences._credentials import NoAuth  # noqa: PLC0415
        from pinterest_audiences._http.network import NoNetwork  # noqa: PLC0415 - when used
        from pinterest_audiences._sync_client import Client  # noqa: PLC0415 - heavy

        with Client(NoAuth(), base_url=self.base_url, transport=NoNetwork()) as client:
            yield client

    def with_resume_hint(self, progress: OnEvent) -> OnEvent:
        """Pass on events, and store how to resume the job once it has started.

        Args:
            progress: Receives the events.
        """

        def watch(event: JobEvent) -> None:
            if event.job_id:  # 0 while the list is looked up, before the job starts
                self.console.job_id = event.job_id
                self.resume_command = " ".join(self.next_command("resume"))
            progress(event)

        return watch

    def next_command(self, *words: str) -> list[str]:
        """Return a command that uses the same account and state, its words quoted for a shell."""
        return ["pinterest-audiences", *map(_quoted, words), *self._flags()]

    def with_options(self, hint: str) -> str:
        """Return a hint whose commands use the same account and state, so that they work as is.

        Without a change if an option looks like a token or a person.
        """
        flags = self._flags()
        if not flags or any(map(_looks_secret, flags)):
            return hint
        return _COMMAND_OF_ACCOUNT.sub(lambda found: f"`{' '.join([found[1], *flags])}`", hint)

    def same_command(
        self,
        *command: str,
        add: Sequence[str] = (),
        leave_out: Mapping[str, bool] = MappingProxyType({}),
    ) -> list[str]:
        """Return the command that was typed, as another command, with its words quoted for a shell.

        Args:
            command: The words of the other command; none for the same one.
            add: Options to add.
            leave_out: Options to leave out, and whether each has a value.

        Returns:
            The words; empty if one may have a password or a signature, or looks like a token or a
            person.
        """
        kept: list[str] = []
        arguments = iter(self.arguments)
        for word in arguments:
            option, sign, _ = word.partition("=")
            if option not in leave_out:
                kept.append(word)
            elif leave_out[option] and not sign:
                next(arguments, None)
        end = kept.index("--") if "--" in kept else len(kept)
        words = [*(command or self.command), *kept[:end], *add, *kept[end:]]
        if any(_MAY_HAVE_SECRET.search(word) or _looks_secret(word) for word in words):
            return []
        return ["pinterest-audiences", *map(_quoted, words)]

    def _flags(self) -> list[str]:
        """Return the options with which another command uses the same account and state."""
        flags: list[str] = []
        if self.options.emulator or self._force_emulator:
            flags.append("--emulator")
        elif self.options.emulator is False:
            flags.append("--no-emulator")
        for name, value in (
            ("--profile", self.options.profile),
            ("--ad-account", self.options.ad_account),
            ("--state", self.options.state),
        ):
            if value is not None:
                flags += [name, _quoted(str(value))]
        return flags


ContextArg: TypeAlias = Annotated[Context, Parameter(parse=False)]
"""The context parameter of a command; set by `main`, not an option."""


def make_context(
    options: CommonOptions, stdout: TextIO, stderr: TextIO, *, may_be_new: bool = False
) -> Context:
    """Create the context of a command, and print warnings about the profile.

    Args:
        options: Common options.
        stdout: Standard output.
        stderr: Standard error.
        may_be_new: Whether the profile may be missing, because the command creates it.

    Raises:
        CommandError: The profile or the output format is invalid.
    """
    for flag, value in (("--ad-account", options.ad_account), ("--profile", options.profile)):
        # An unset variable in a script must not select another account.
        if value is not None and not value.strip():
            raise usage_error(f"{flag} must not be empty")
    try:
        settings = Settings(
            profile=options.profile,
            ad_account=options.ad_account,
            state=options.state,
            emulated=options.emulator,
            may_be_new=may_be_new,
        )
        profile = settings.profile
    except ConfigFileError as error:
        raise CommandError(str(error), code="config", exit=ExitCode.USAGE) from None
    output = options.output or os.environ.get("PINTEREST_AUDIENCES_OUTPUT") or profile.output
    form = choose_format(output, stdout)
    console = Console(
        stderr,
        form,
        quiet=options.quiet,
        verbose=options.verbose,
        log_format=options.log_format,
    )
    for warning in settings.warnings():
        console.warn(warning)
    return Context(options, settings, Output(stdout, form), console)


def choose_format(output: str | None, stdout: TextIO) -> Format:
    """Return the output format: the given one, or a table on a terminal and JSON otherwise.

    Raises:
        CommandError: The format is unknown.
    """
    if output is None:
        return "table" if stdout.isatty() else "json"
    if output not in FORMATS:
        raise usage_error(f"output must be one of {', '.join(FORMATS)}")
    return output


def _looks_secret(word: str) -> bool:
    """Return whether a word of the command line looks like a token or a person, and no file."""
    _, sign, value = word.partition("=")
    value = value if sign and word.startswith("-") else word
    return has_secret(value) and not os.path.exists(value)  # noqa: PTH110 - any text


def _quoted(text: str) -> str:
    """Return a word quoted for a shell; on one line, and without control characters."""
    import shlex  # noqa: PLC0415 - when a job is interrupted

    if text.isprintable() or os.name == "nt":  # whose shells have no such quotes
        return shlex.quote(text)
    with suppress(UnicodeEncodeError):
        return "$'" + "".join(map(_escaped, text)) + "'"
    return shlex.quote(text)


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    if character == "\n":
        return "\\n"
    # Bytes that are not UTF-8 are surrogates in words of the command line.
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))
