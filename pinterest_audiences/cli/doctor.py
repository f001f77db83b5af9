"""What could keep commands from working: checks that need no network, then one read."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from attrs import frozen

from pinterest_audiences._version import __version__
from pinterest_audiences._wire.settings import base_url
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.problems import Problem, problem_of
from pinterest_audiences.cli.profiles import config_path
from pinterest_audiences.errors import PinterestAudiencesError

if TYPE_CHECKING:
    from pinterest_audiences.cli.context import Context
    from pinterest_audiences.models import JSON

__all__ = ["Finding", "examine"]

_SOON = 7 * 86_400.0  # seconds before the end of a login that it is worth telling


@frozen(kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What.
        verdict: ``ok``, ``warning`` or ``error``.
        finding: What was found.
        remedy: What to do; empty where nothing has to be done.
        exit: What other commands would end with.
    """

    check: str
    verdict: str = "ok"
    finding: str
    remedy: str = ""
    exit: Exit = Exit.OK

    def to_dict(self) -> dict[str, JSON]:
        """Return it as JSON values; names are only ever added."""
        return {
            "check": self.check,
            "verdict": self.verdict,
            "finding": self.finding,
            "remedy": self.remedy,
        }


def examine(context: Context, *, offline: bool) -> list[Finding]:
    """Look at everything.

    Args:
        context: What the command works with.
        offline: Whether Pinterest is not asked.
    """
    checks: list[tuple[str, Callable[[Context], Iterator[Finding]]]] = [
        ("installation", _installation),
        ("configuration", _configuration),
        ("ad_account", _ad_account),
        ("credentials", _credentials),
        ("state", _state),
    ]
    found = [each for name, check in checks for each in _told(name, check, context)]
    broken = any(each.verdict == "error" for each in found)
    if offline or broken:
        reason = "not asked: --offline" if offline else "not asked: mend the errors above first"
        return [*found, Finding(check="pinterest", verdict="warning", finding=reason)]
    return [*found, *_told("pinterest", _read, context)]


def _told(
    name: str, check: Callable[[Context], Iterator[Finding]], context: Context
) -> list[Finding]:
    """Run a check; what stops it is its finding."""
    try:
        return list(check(context))
    except (PinterestAudiencesError, OSError, sqlite3.Error) as error:
        problem = problem_of(error)
        return [_error(name, problem)]


def _error(name: str, problem: Problem) -> Finding:
    return Finding(
        check=name,
        verdict="error",
        finding=problem.message,
        remedy=problem.hint,
        exit=problem.exit,
    )


def _installation(_context: Context) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    extras = {"arrow": "pyarrow", "keyring": "keyring"}
    there = [extra for extra, module in extras.items() if find_spec(module) is not None]
    yield Finding(
        check="installation",
        finding=f"pinterest-audiences {__version__}, Python {version}, "
        f"extras: {', '.join(['cli', *there])}",
    )


def _configuration(context: Context) -> Iterator[Finding]:
    path = config_path()
    where = f"profile {context.profile.name!r} of {path}" if path.exists() else f"none ({path})"
    yield Finding(check="configuration", finding=where)
    base_url(context.base_url)  # one that cannot work is not shown: it may hold a password
    where = context.base_url or "https://api.pinterest.com/v5"
    yield Finding(
        check="configuration",
        finding="the embedded emulator" if context.emulated else f"the API at {where}",
    )


def _ad_account(context: Context) -> Iterator[Finding]:
    yield Finding(check="ad_account", finding=context.ad_account)


def _credentials(context: Context) -> Iterator[Finding]:
    credentials = context.credentials()
    credentials.source()
    if credentials.environment_first:
        yield Finding(check="credentials", finding="a token in the environment")
        return
    kept = credentials.store.load()
    if kept is None:
        yield Finding(check="credentials", finding="a token that needs no login")
        return
    ends = kept.refresh_expires_at
    if ends is not None and ends - time.time() < _SOON:
        yield Finding(
            check="credentials",
            verdict="warning",
            finding="the login ends within a week, unless it is refreshed",
            remedy="`auth refresh`",
        )
        return
    yield Finding(check="credentials", finding=f"a login in {credentials.store.path}")


def _state(context: Context) -> Iterator[Finding]:
    path = context.state
    if not path.exists():
        folder = next(each for each in path.absolute().parents if each.exists())
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "cannot be written to", str(folder))
        yield Finding(check="state", finding=f"{path}: will be made by the first job")
        return
    with context.offline_client() as client:
        known = client.status(context.ad_account, state=path)
    unfinished = sum(not each.settled for each in known)
    if unfinished:
        yield Finding(
            check="state",
            verdict="warning",
            finding=f"{path}: {unfinished} lists have an unfinished job",
            remedy="`resume`",
        )
        return
    yield Finding(check="state", finding=f"{path}: {len(known)} lists known, no unfinished job")


def _read(context: Context) -> Iterator[Finding]:
    with context.client(alone=False) as client:
        client.customer_lists_list(context.ad_account, page_size=1).collect(limit=1)
    yield Finding(check="pinterest", finding="the lists of the ad account can be read")
