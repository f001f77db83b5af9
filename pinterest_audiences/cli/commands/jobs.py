"""``resume``, ``status``, ``wait``, ``forget``: what comes after a job has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from pinterest_audiences.cli.context import Context
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.options import COMMON, Common, File, Flag, Given, ListId
from pinterest_audiences.cli.problems import in_words_of_the_command_line
from pinterest_audiences.cli.progress import following
from pinterest_audiences.cli.refusals import CommandError, usage
from pinterest_audiences.cli.reports import in_our_words, show_reports
from pinterest_audiences.cli.rows import row_of
from pinterest_audiences.errors import SourceError

if TYPE_CHECKING:
    from pinterest_audiences.blocking import Client
    from pinterest_audiences.jobs.report import ForgetReceipt, JobReport, ListStatus
    from pinterest_audiences.records.sources import Source

__all__ = ["forget", "resume", "status", "wait"]

_STATUS_COLUMNS = (
    "customer_list_id",
    "name",
    "origin",
    "records",
    "in_doubt",
    "settled",
)
_FORGET_COLUMNS = ("ad_account_id", "customer_list_id", "name", "records", "problem")
_ListFlag = Annotated[str | None, Parameter(name="--list")]


def resume(
    *,
    list_id: _ListFlag = None,
    dry_run: Flag = False,
    patience: float = 7200.0,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Finish the jobs that were interrupted; no source is needed.

    Args:
        list_id: Only the jobs of this list.
        dry_run: Say which jobs are unfinished, and send nothing.
        patience: Seconds for which a batch is tried while Pinterest fails.
        common: Options of every command.
        context: What the command works with.
    """
    number = None if list_id is None else context.list_id(list_id)
    if dry_run:
        with context.offline_client() as client:
            show_reports(context, _unfinished(_known(context, client, number)))
        return
    with context.client() as client, following(context.screen) as teller:
        reports = client.resume(
            context.ad_account,
            customer_list_id=number,
            state=context.state,
            on_event=context.watching(teller),
            patience=patience,
        )
    if not reports:
        context.screen.note("nothing was unfinished")
    show_reports(context, reports)


def status(*, list_id: _ListFlag = None, common: Common = COMMON, context: Given) -> None:
    """Tell what the state file knows of lists and their jobs; asks Pinterest nothing.

    Args:
        list_id: Only this list.
        common: Options of every command.
        context: What the command works with.
    """
    number = None if list_id is None else context.list_id(list_id)
    with context.offline_client() as client:
        known = _known(context, client, number)
    context.out.rows((in_our_words(each.to_dict()) for each in known), _STATUS_COLUMNS)


def wait(
    list_id: ListId,
    /,
    *,
    timeout: float = 172_800.0,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Wait until a list is READY or TOO_SMALL, and show it.

    Args:
        list_id: Its id, or a name of your own for it in the profile.
        timeout: Seconds to wait at most; then the exit code is 6.
        common: Options of every command.
        context: What the command works with.
    """
    number = context.list_id(list_id)
    gap = 0.5 if context.emulated else 5.0
    with context.client(alone=False) as client, following(context.screen) as teller:
        teller.wait(f"waiting until list {number} is ready")
        seen = client.wait_until_ready(context.ad_account, number, timeout=timeout, first_gap=gap)
    if seen.status == "TOO_SMALL":
        context.screen.warn("fewer than 100 records match an account; the list reaches nobody")
    context.out.row(row_of(seen))


def forget(
    file: File,
    /,
    *,
    kind: Literal["email", "maid", "idfa", "hashed_pinner_id"] = "email",
    reference: str = "",
    all_accounts: Flag = False,
    yes: Flag = False,
    dry_run: Flag = False,
    patience: float = 7200.0,
    common: Common = COMMON,
    context: Given,
) -> Exit:
    """Remove people from every list that the state file knows, and from the file itself.

    Args:
        file: Whom: a file with one identifier a line, or a table; - for standard input.
        kind: What they are.
        reference: Yours, for the receipt; no personal data.
        all_accounts: From the lists of every ad account in the state file.
        yes: Yes, remove them; without it nothing is done.
        dry_run: Count the people and name the lists, and send nothing.
        patience: Seconds for which a batch is tried while Pinterest fails.
        common: Options of every command.
        context: What the command works with.

    Returns:
        7 where a list could not be done, 5 where an identifier is none; 0 otherwise.

    Raises:
        CommandError: Nobody said yes, or there is no such file.
        SourceError: It cannot be read to its end, or names nobody.
    """
    if not yes and not dry_run:
        raise CommandError(
            "nothing was removed: forgetting people cannot be taken back",
            code="guard_forget",
            exit=Exit.REFUSED,
            hint="say --yes, or look with --dry-run first",
        )
    source = _people(file)
    if dry_run:
        accounts = _accounts(context) if all_accounts else [context.ad_account]
        receipt = _dry_receipt(context, accounts, source, kind, reference)
        context.screen.note("dry run: nothing was sent")
        _refuse_nobody(receipt, source)
        _show_receipt(context, receipt, dry_run=True)
        return _judged(context, receipt, kind)
    with context.client() as client, following(context.screen) as teller:
        receipt = client.forget(
            source,
            kind=kind,
            ad_account_id=None if all_accounts else context.ad_account,
            reference=reference,
            state=context.state,
            on_event=context.watching(teller),
            patience=patience,
        )
    _refuse_nobody(receipt, source)
    for each in receipt.lists:
        if each.problem:
            problem = in_words_of_the_command_line(each.problem)
            context.screen.warn(f"list {each.customer_list_id}: {problem}")
    _show_receipt(context, receipt, dry_run=False)
    return _judged(context, receipt, kind)


def _refuse_nobody(receipt: ForgetReceipt, source: Source) -> None:
    """Refuse a file of nobody: a request that did nothing must not pass for one that was done.

    Raises:
        SourceError: It is such a file.
    """
    if not receipt.people:
        raise SourceError("names nobody; nothing was removed", source=source.name)


def _judged(context: Context, receipt: ForgetReceipt, kind: str) -> Exit:
    """Return the exit code of a receipt, and warn of identifiers that are none."""
    if any(each.problem for each in receipt.lists):
        return Exit.UNFINISHED
    if receipt.unusable:
        context.screen.warn(f"{receipt.unusable:,} identifiers are none of kind {kind}")
        return Exit.INPUT
    return Exit.OK


def _people(file: str) -> Source:
    """Open the file of whom to forget.

    Raises:
        CommandError: There is no such file.
    """
    from pathlib import Path  # noqa: PLC0415 - when used

    from pinterest_audiences.records.sources import open_source  # noqa: PLC0415

    if file != "-" and not Path(file).exists():
        # A string of the library's is one identifier; here those are never on the command line.
        raise usage(
            "FILE: there is no such file; people are named in a file or on standard input, for "
            "others can see command lines"
        )
    return open_source(file)


def _accounts(context: Context) -> list[str]:
    """Return the ad accounts whose lists the state file knows."""
    from pinterest_audiences._wire.settings import base_url  # noqa: PLC0415 - when used
    from pinterest_audiences.jobs.state import State  # noqa: PLC0415

    state = State(context.state, base_url(context.base_url).text)
    try:
        return list(dict.fromkeys(row.ad_account_id for row in state.lists()))
    finally:
        state.close()


def _dry_receipt(
    context: Context, accounts: list[str], source: Source, kind: str, reference: str
) -> ForgetReceipt:
    from time import time  # noqa: PLC0415 - when used

    from pinterest_audiences.jobs.forget import read_people  # noqa: PLC0415
    from pinterest_audiences.jobs.report import ForgetReceipt, ForgottenIn  # noqa: PLC0415

    people = read_people(source, kind)
    with context.offline_client() as client:
        lists = tuple(
            ForgottenIn(
                ad_account_id=each.ad_account_id,
                customer_list_id=each.customer_list_id or "",
                name=each.name,
                content_known=each.origin == "created",
            )
            for account in accounts
            for each in client.status(account, state=context.state)
        )
    return ForgetReceipt(
        reference=reference,
        people=people.count,
        unusable=people.unusable,
        begun=time(),
        lists=lists,
    )


def _show_receipt(context: Context, receipt: ForgetReceipt, *, dry_run: bool) -> None:
    if context.out.form in ("json", "ndjson"):
        # A receipt is kept as evidence: one of nothing must not pass for it.
        context.out.row({**in_our_words(receipt.to_dict()), "dry_run": dry_run})
        return
    context.screen.note(f"{receipt.people:,} people, {receipt.unusable:,} of them unusable")
    context.out.rows((in_our_words(each.to_dict()) for each in receipt.lists), _FORGET_COLUMNS)


def _known(context: Context, client: Client, number: str | None) -> list[ListStatus]:
    return client.status(context.ad_account, customer_list_id=number, state=context.state)


def _unfinished(known: list[ListStatus]) -> list[JobReport]:
    return [job for each in known for job in each.jobs if job.status == "running"]
