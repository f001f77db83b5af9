"""Checks of ``doctor``: local ones first, then one read from Pinterest; the live check."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from pinterest_audiences._config import base_url, config_file
from pinterest_audiences._errors import (
    APIError,
    CallError,
    ConfigurationError,
    PinterestAudiencesError,
    ServerError,
)
from pinterest_audiences._http.network import Network
from pinterest_audiences._models import CUSTOMER_LIST_ROLES
from pinterest_audiences._text import counted
from pinterest_audiences._version import __version__
from pinterest_audiences.cli.error_reports import (
    CommandError,
    ErrorReport,
    ExitCode,
    error_report,
    require_confirmation,
    usage_error,
)
from pinterest_audiences.cli.installed_extras import installed_extras

if TYPE_CHECKING:
    from pinterest_audiences import ProbeResult, VerificationReport
    from pinterest_audiences._models import JSON
    from pinterest_audiences._sync_client import Client
    from pinterest_audiences.cli.context import Context

__all__ = [
    "CheckResult",
    "confirm_live_check",
    "live_results",
    "run_checks",
    "run_live_check",
]

_IGNORED_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # of requests and curl
_MAX_SHOWN_ACCOUNTS = 5
_LEFT = "the next check removes what this one has left"
_LOGIN_WARNING_SECONDS = 7 * 86_400.0  # before the login expires


@frozen(kw_only=True)
class CheckResult:
    """Result of one check.

    Attributes:
        check: Name of the check.
        verdict: ``ok``, ``warning`` or ``error``.
        finding: What was found.
        remedy: What to do; empty if nothing.
        exit: Exit code of commands with this problem.
    """

    check: str
    verdict: str = "ok"
    finding: str
    remedy: str = ""
    exit: ExitCode = ExitCode.OK

    def to_dict(self) -> dict[str, JSON]:
        """Return the result as JSON values; existing keys never change."""
        return {
            "check": self.check,
            "verdict": self.verdict,
            "finding": self.finding,
            "remedy": self.remedy,
        }


def run_checks(context: Context, *, offline: bool) -> list[CheckResult]:
    """Run all checks.

    Args:
        context: Context of the command.
        offline: Whether to make no request to Pinterest.
    """
    checks: list[tuple[str, Callable[[Context], Iterator[CheckResult]]]] = [
        ("installation", _installation),
        ("configuration", _configuration),
        ("network", _network),
        ("credentials", _credentials),
        ("ad_account", _ad_account),
        ("state", _state),
    ]
    results = [result for name, check in checks for result in _check(name, check, context)]
    # The connection is also checked without an ad account, by a request that needs none.
    failed = any(result.verdict == "error" and result.check != "ad_account" for result in results)
    if offline or failed:
        reason = "skipped: --offline" if offline else "skipped: fix the errors above first"
        return [*results, CheckResult(check="pinterest", verdict="warning", finding=reason)]
    return [*results, *_check("pinterest", _read, context)]


def _check(
    name: str, check: Callable[[Context], Iterator[CheckResult]], context: Context
) -> list[CheckResult]:
    """Run a check; an error is its last result."""
    results: list[CheckResult] = []
    try:
        results.extend(check(context))
    except (PinterestAudiencesError, OSError, sqlite3.Error) as error:
        results.append(_error(name, error_report(error)))
    return results


def _error(name: str, report: ErrorReport) -> CheckResult:
    finding, remedy = report.message, report.hint
    if report.code == "no_credentials":  # whose message is long, because it says what to do
        finding, remedy = finding.partition(": ")[0], f"`auth login`; {remedy}"
    return CheckResult(
        check=name, verdict="error", finding=finding, remedy=remedy, exit=report.exit
    )


def _installation(_context: Context) -> Iterator[CheckResult]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield CheckResult(
        check="installation",
        finding=f"pinterest-audiences {__version__}, Python {version}, "
        f"extras: {', '.join(installed_extras())}",
    )


def _configuration(context: Context) -> Iterator[CheckResult]:
    path = _config_path()
    where = "none (the home directory is unknown)"
    if path is not None:
        where = f"profile {context.profile.name!r} of {path}" if path.exists() else f"none ({path})"
    yield CheckResult(check="configuration", finding=where)
    base_url(context.base_url)  # checked before it is shown: it may hold a password
    yield CheckResult(
        check="configuration",
        finding="the local emulator" if context.emulated else f"the API at {context.base_url}",
    )


def _config_path() -> Path | None:
    try:
        return config_file()
    except ConfigurationError:  # no home directory
        return None


def _network(context: Context) -> Iterator[CheckResult]:
    if context.emulated:
        return
    try:
        where = base_url(context.base_url)
    except ConfigurationError:  # reported with the configuration
        return
    through = Network().describe(where.text)
    ignored = [name for name in _IGNORED_VARIABLES if os.environ.get(name)]
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if ignored and where.secure and not named:
        yield CheckResult(
            check="network",
            verdict="warning",
            finding=f"{through}; {' and '.join(ignored)} in the environment: ignored",
            remedy="set SSL_CERT_FILE instead",
        )
        return
    yield CheckResult(check="network", finding=through)


def _ad_account(context: Context) -> Iterator[CheckResult]:
    try:
        yield CheckResult(check="ad_account", finding=context.ad_account)
    except CommandError as error:
        if error.exit != ExitCode.CREDENTIALS:
            raise
        yield CheckResult(  # the check of the credentials has said what is wrong with these
            check="ad_account",
            verdict="error",
            finding="no ad account",
            remedy="`auth login` lets you choose one; or use --ad-account",
            exit=ExitCode.USAGE,
        )


def _credentials(context: Context) -> Iterator[CheckResult]:
    credentials = context.credentials()
    context.token_source()
    if credentials.environment_first:
        yield CheckResult(check="credentials", finding="a token in the environment")
        return
    stored = credentials.store.load()
    if stored is None:
        yield CheckResult(check="credentials", finding="an access token without a login")
        return
    ends = stored.refresh_expires_at
    if ends is not None and ends - time.time() < _LOGIN_WARNING_SECONDS:
        yield CheckResult(
            check="credentials",
            verdict="warning",
            finding="the login expires within a week unless it is refreshed",
            remedy="`auth refresh`",
        )
        return
    yield CheckResult(check="credentials", finding=f"a login in {credentials.store.path}")


def _state(context: Context) -> Iterator[CheckResult]:
    path = context.state
    if not path.exists():
        folder = next(each for each in path.absolute().parents if each.exists())
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "is not writable", str(folder))
        yield CheckResult(check="state", finding=f"{path}: created by the first job")
        return
    account = context.ad_account_or_none
    if account is None:
        yield CheckResult(check="state", verdict="warning", finding="skipped: no ad account")
        return
    with context.offline_client() as client:
        known = client.status(account, state=path)
    unfinished = sum(not each.settled for each in known)
    if unfinished:
        yield CheckResult(
            check="state",
            verdict="warning",
            finding=f"{path}: {counted(unfinished, 'list', 'have')} an unfinished job",
            remedy="`resume`",
        )
        return
    yield CheckResult(
        check="state", finding=f"{path}: {counted(len(known), 'list')}, no unfinished job"
    )


def _read(context: Context) -> Iterator[CheckResult]:
    account = context.ad_account_or_none
    with context.client(exclusive=False) as client:
        if account is None:
            yield _accounts(client)
            return
        yield from _role(client, account)
        client.customer_lists_list(account, page_size=1).collect(limit=1)
    yield CheckResult(check="pinterest", finding="the lists of the ad account are readable")


def _accounts(client: Client) -> CheckResult:
    """Return which ad accounts could be used; at least that Pinterest has answered."""
    ids = [each.id for each in client.ad_accounts_list().collect(limit=_MAX_SHOWN_ACCOUNTS + 1)]
    shown = ", ".join(ids[:_MAX_SHOWN_ACCOUNTS])
    if not ids:
        return CheckResult(
            check="pinterest",
            verdict="warning",
            finding="Pinterest can be reached; the token's user has no ad account",
            remedy="ask an owner or admin of an ad account for a role on it",
        )
    more = ", …" if len(ids) > _MAX_SHOWN_ACCOUNTS else ""
    return CheckResult(
        check="pinterest",
        finding=f"Pinterest can be reached; ad accounts: {shown}{more}",
        remedy=f"--ad-account {ids[0]}" if len(ids) == 1 else "use one of them as --ad-account",
    )


def _role(client: Client, ad_account: str) -> Iterator[CheckResult]:
    """Check the roles of the token's user on the ad account, as far as they can be read."""
    try:
        account = client.ad_accounts_get(ad_account)
    except APIError as error:
        if error.status in (401, 429) or isinstance(error, ServerError):
            raise
        # Reading the lists decides whether this is a problem.
        yield CheckResult(
            check="role",
            verdict="warning",
            finding=f"the ad account cannot be read: {error.summary}",
            remedy="`accounts list` shows the ad accounts that you can use",
        )
        return
    roles = ", ".join(account.permissions or ()) or "none"
    if account.allows_customer_lists is False:
        yield CheckResult(
            check="role",
            verdict="warning",
            finding=f"your roles on the ad account: {roles}; customer lists need one of "
            f"{', '.join(CUSTOMER_LIST_ROLES)}",
            remedy="ask an owner or admin of the ad account for the role Audience "
            "(AUDIENCE_MANAGER)",
        )
    elif account.permissions is not None:
        yield CheckResult(check="role", finding=f"{roles} on ad account {account.id}")


def confirm_live_check(context: Context, report: Path, *, yes: bool) -> None:
    """Print what a live check does, and ask whether to start it.

    Args:
        context: Context of the command.
        report: File for the report.
        yes: Whether it is confirmed already.

    Raises:
        CommandError: It is not confirmed, or the report cannot be written.
    """
    target = report if report.exists() else report.absolute().parent
    if report.is_dir() or not os.access(target, os.W_OK):
        raise usage_error("--report must be a file that can be written")
    if not yes:
        from pinterest_audiences._live_check.observer import MARKER, MAX_REQUESTS  # noqa: PLC0415 - heavy

        where = "the local emulator" if context.emulated else "Pinterest"
        context.console.write(
            f"The check works on ad account {context.ad_account} at {where}:\n"
            f"- It sends up to {MAX_REQUESTS} requests, one after the other, about 5 MB.\n"
            f'- It creates the customer list "{MARKER}" with made-up records. At the end the list '
            "is empty, but it cannot be deleted.\n"
            "- It creates audiences of that name and removes them, and an upload that is never run."
            f"\n- Other lists and audiences are not changed. The report is written to {report}."
        )
        yes = context.console.confirm("Continue?", default=False)
    require_confirmation(
        "nothing was sent: the check was not confirmed",
        yes=yes,
        code="guard_live",
        hint="confirm with --yes",
    )


def run_live_check(context: Context, report: Path) -> VerificationReport:
    """Run a live check and write its report.

    Args:
        context: Context of the command.
        report: File for the report.

    Raises:
        CallError: The lists cannot be read or written; nothing was changed.
        OSError: The report cannot be written; it was printed.
    """
    results: list[ProbeResult] = []

    def show(result: ProbeResult) -> None:
        results.append(result)
        context.console.note(f"{result.verdict}: {result.question}")

    try:
        with context.client() as client:
            verification = client.verify_api(context.ad_account, on_probe=show)
    except CallError as error:
        context.console.note(_LEFT if error.maybe_applied else "the check changed nothing")
        raise
    except (Exception, KeyboardInterrupt) as error:
        if results or isinstance(error, KeyboardInterrupt):  # otherwise it may not have begun
            context.console.note(_LEFT)
        raise
    _write_report(context, report, verification.to_markdown())
    request = "" if context.emulated else "; it has no ids and names: please file it as an issue"
    differences = counted(len(verification.differences), "difference")
    context.console.note(f"{differences}; the report is in {report}{request}")
    return verification


def _write_report(context: Context, report: Path, text: str) -> None:
    """Write a report; print it if it cannot be written, because a check takes minutes.

    Raises:
        OSError: It cannot be written.
    """
    try:
        report.write_text(text, encoding="utf-8")
    except OSError:
        context.console.write(text)
        raise


def live_results(
    context: Context, report: Path, results: list[CheckResult]
) -> Iterator[CheckResult]:
    """Run a live check unless an earlier check failed; yield a result for each question.

    Args:
        context: Context of the command.
        report: File for the report.
        results: Results of the other checks.
    """
    if any(result.verdict == "error" for result in results):
        finding = "skipped: fix the errors above first"
        yield CheckResult(check="live", verdict="warning", finding=finding)
        return

    def run(context: Context) -> Iterator[CheckResult]:
        verification = run_live_check(context, report)
        for each in verification.results:
            differs = each.verdict == "differs"
            yield CheckResult(
                check=f"live {each.name}",
                verdict="warning" if differs else "ok",
                finding=each.observed or f"no answer: {each.reason}",
                remedy=f"the emulator assumes {each.assumed}; report {report}" if differs else "",
            )
        for item in verification.unremoved:
            yield CheckResult(
                check="live cleanup",
                verdict="warning",
                finding=f"not removed: {item}",
                remedy="check again later",
            )

    yield from _check("live", run, context)
