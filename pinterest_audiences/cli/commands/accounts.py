"""``accounts list|get``, ``whoami``, ``doctor`` and ``verify-api``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pinterest_audiences.cli.context import ContextArg
from pinterest_audiences.cli.doctor import (
    confirm_live_check,
    live_results,
    run_checks,
    run_live_check,
)
from pinterest_audiences.cli.error_reports import ExitCode, usage_error
from pinterest_audiences.cli.options import DEFAULT_OPTIONS, CommonOptions, Flag, page_size
from pinterest_audiences.cli.output import to_row

if TYPE_CHECKING:
    from pinterest_audiences._models import JSON, AdAccount

__all__ = ["doctor", "get", "list_all", "verify_api", "whoami"]

_COLUMNS = ("check", "verdict", "finding", "remedy")
_PROBE_COLUMNS = ("name", "verdict", "observed", "assumed", "reason")
_REPORT_FILE = Path("pinterest-api-check.md")
_ACCOUNT_COLUMNS = ("id", "name", "owner", "country", "permissions", "allows_customer_lists")


def list_all(
    *,
    limit: int | None = None,
    owned: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """List the ad accounts that the access token can use, and your roles on them.

    Args:
        limit: Maximum number of results. Default: all.
        owned: Only your own ad accounts, without those that others share with you.
        common: Common options.
        context: Context of the command.
    """
    size = page_size(limit)
    with context.client() as client:
        pager = client.ad_accounts_list(
            include_shared_accounts=False if owned else None,
            page_size=size,
        )
        context.out.rows((_account_row(item) for item in islice(pager, limit)), _ACCOUNT_COLUMNS)


def get(
    ad_account: Annotated[str | None, Parameter(name="ACCOUNT")] = None,
    /,
    *,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Show one ad account, and your roles on it.

    Args:
        ad_account: Id of the ad account. Default: that of --ad-account, PINTEREST_AD_ACCOUNT_ID or
            the profile.
        common: Common options.
        context: Context of the command.
    """
    with context.client() as client:
        account = client.ad_accounts_get(ad_account or context.ad_account)
    context.out.row(_account_row(account))


def _account_row(account: AdAccount) -> dict[str, JSON]:
    """Return an ad account as a row, with its owner's name and whether its roles are enough."""
    return {
        **to_row(account),
        "owner": None if account.owner is None else account.owner.username,
        "allows_customer_lists": account.allows_customer_lists,
    }


def whoami(*, common: CommonOptions = DEFAULT_OPTIONS, context: ContextArg) -> None:
    """Show the account that the access token belongs to.

    Args:
        common: Common options.
        context: Context of the command.
    """
    with context.client() as client:
        account = client.user_account_get()
    row: dict[str, JSON] = to_row(account)
    row["ad_account_id"] = context.ad_account_or_none
    context.out.row(row)


def doctor(
    *,
    offline: Flag = False,
    live: Flag = False,
    yes: Flag = False,
    report: Path | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> ExitCode:
    """Diagnose configuration problems: check the installation, then read once from Pinterest.

    Args:
        offline: Make no request to Pinterest.
        live: Run `verify-api`: compare Pinterest's API with the emulator's assumptions.
        yes: Allow --live to create its list and audiences without asking.
        report: File for the report of --live. Default: pinterest-api-check.md.
        common: Common options.
        context: Context of the command.

    Raises:
        CommandError: The options cannot be used together, or --live was not confirmed.
    """
    if live and offline:
        raise usage_error("--live cannot be used with --offline")
    if not live and (yes or report is not None):
        raise usage_error(f"{'--yes' if yes else '--report'} requires --live")
    report = report or _REPORT_FILE
    if live:
        confirm_live_check(context, report, yes=yes)
    results = run_checks(context, offline=offline)
    if live:
        results += live_results(context, report, results)
    rows = (
        {**result.to_dict(), "remedy": context.with_options(result.remedy)} for result in results
    )
    context.out.rows(rows, _COLUMNS)
    return next((result.exit for result in results if result.exit != ExitCode.OK), ExitCode.OK)


def verify_api(
    *,
    yes: Flag = False,
    report: Path = _REPORT_FILE,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Compare Pinterest's API with the emulator's assumptions, and write a report.

    Args:
        yes: Allow the check to create its list and audiences without asking.
        report: File for the report, in Markdown.
        common: Common options.
        context: Context of the command.

    Raises:
        CommandError: It was not confirmed, or the file cannot be written.
        OSError: The file could not be written after the check; the report was printed.
    """
    confirm_live_check(context, report, yes=yes)
    verification = run_live_check(context, report)
    for item in verification.unremoved:
        context.console.warn(f"not removed: {item}")
    if context.out.form in ("json", "ndjson"):
        context.out.row({**verification.to_dict(), "report": str(report)})
        return
    # What was assumed is long, and the same as what was observed unless it differs.
    is_table = context.out.form == "table"
    rows: Iterator[dict[str, JSON]] = (
        {**result.to_dict(), "assumed": ""}
        if is_table and result.verdict != "differs"
        else result.to_dict()
        for result in verification.results
    )
    context.out.rows(rows, _PROBE_COLUMNS)
