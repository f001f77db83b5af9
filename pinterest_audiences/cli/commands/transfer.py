"""``upload``, ``remove``, ``lists create``: everything in a source, once."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from pinterest_audiences.cli.context import Context
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.options import (
    ANY_LIST,
    AS_USUAL,
    COMMON,
    MOST_REMOVED,
    Common,
    File,
    Flag,
    Given,
    ListChoice,
    SourceOptions,
)
from pinterest_audiences.cli.progress import following
from pinterest_audiences.cli.refusals import CommandError
from pinterest_audiences.cli.reports import dry_report, show_report
from pinterest_audiences.cli.sources import allowed_rejects, preparation
from pinterest_audiences.errors import SourceError
from pinterest_audiences.jobs.errors import GuardError

if TYPE_CHECKING:
    from pinterest_audiences.blocking import Client
    from pinterest_audiences.jobs.report import JobReport, ListStatus
    from pinterest_audiences.models import CustomerList, OperationType

__all__ = ["create", "remove", "upload"]

_SAY_YES = "say --yes if that is right"


def upload(
    file: File,
    /,
    *,
    which: ListChoice = ANY_LIST,
    source: SourceOptions = AS_USUAL,
    dry_run: Flag = False,
    new_customers: Flag | None = None,
    keep_unhashed: Flag = False,
    patience: float = 7200.0,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Add everything in a source to a list; with --name, the list is created if there is none.

    Args:
        file: CSV, TSV, NDJSON, a plain list, Parquet; - for standard input.
        which: Which list.
        source: How the source is read.
        dry_run: Read and check the source, and send nothing.
        new_customers: A list that is created is for new customer acquisition.
        keep_unhashed: Keep columns of rows that go unhashed in the state file.
        patience: Seconds for which a batch is tried while Pinterest fails.
        common: Options of every command.
        context: What the command works with.
    """
    which.check()
    _send(
        context,
        file,
        which,
        source,
        operation="ADD",
        dry_run=dry_run,
        is_nca=new_customers,
        keep_unhashed=keep_unhashed,
        patience=patience,
    )


def remove(
    file: File,
    /,
    *,
    which: ListChoice = ANY_LIST,
    source: SourceOptions = AS_USUAL,
    yes: Flag = False,
    dry_run: Flag = False,
    keep_unhashed: Flag = False,
    patience: float = 7200.0,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Remove everything in a source from a list.

    Args:
        file: As for upload; - for standard input.
        which: Which list.
        source: How the source is read.
        yes: Yes to removing more than 20 % of what is known to be on the list.
        dry_run: Look for the list, read and check the source, and send nothing.
        keep_unhashed: Keep columns of rows that go unhashed in the state file.
        patience: Seconds for which a batch is tried while Pinterest fails.
        common: Options of every command.
        context: What the command works with.
    """
    which.check()
    if dry_run:
        _dry_removal(context, file, which, source, yes=yes, keep_unhashed=keep_unhashed)
        return
    if not yes:
        _guard(context, file, which, source)
    _send(
        context,
        file,
        which,
        source,
        operation="REMOVE",
        dry_run=False,
        keep_unhashed=keep_unhashed,
        patience=patience,
    )


def create(
    file: File,
    /,
    *,
    name: str,
    source: SourceOptions = AS_USUAL,
    dry_run: Flag = False,
    new_customers: Flag | None = None,
    keep_unhashed: Flag = False,
    patience: float = 7200.0,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Create a list from a source; refused where there is a list of that name (exit code 8).

    Args:
        file: As for upload; - for standard input.
        name: What the list is called.
        source: How the source is read.
        dry_run: See that the name is free, read and check the source, and send nothing.
        new_customers: The list is for new customer acquisition; cannot be changed later.
        keep_unhashed: Keep columns of rows that go unhashed in the state file.
        patience: Seconds for which a batch is tried while Pinterest fails.
        common: Options of every command.
        context: What the command works with.
    """
    _send(
        context,
        file,
        ListChoice(name=name),
        source,
        operation="ADD",
        dry_run=dry_run,
        is_nca=new_customers,
        keep_unhashed=keep_unhashed,
        patience=patience,
        must_be_new=True,
    )


def _send(
    context: Context,
    file: str,
    which: ListChoice,
    source: SourceOptions,
    *,
    operation: OperationType | str,
    dry_run: bool,
    is_nca: bool | None = None,
    keep_unhashed: bool,
    patience: float,
    must_be_new: bool = False,
) -> None:
    share = allowed_rejects(context, source)
    ready = preparation(file, source, share=share)
    list_id = None if which.list_id is None else context.list_id(which.list_id)
    if dry_run:
        if must_be_new:
            with context.client() as client:
                _check_new(context, client, which.name or "")
        known = _known_lists(context, which)
        dry = dry_report(
            context, ready, list_id, which.name, known=known, keep_unhashed=keep_unhashed
        )
        _refuse_nobody(dry, must_be_new=must_be_new)
        show_report(context, dry)
        return
    with (
        context.client() as client,
        following(context.screen) as teller,
        _missing_list_is_not_found(),
    ):
        if must_be_new:
            _check_new(context, client, which.name or "")
        report: JobReport = client.upload(
            context.ad_account,
            ready,
            customer_list_id=list_id,
            name=which.name,
            operation=operation,
            is_nca=is_nca,
            keep_unhashed=keep_unhashed,
            state=context.state,
            on_event=context.watching(teller),
            patience=patience,
        )
    _refuse_nobody(report, must_be_new=must_be_new)
    show_report(context, report)


def _refuse_nobody(report: JobReport, *, must_be_new: bool) -> None:
    """Refuse a source that is empty; to make a list, one without a customer too.

    A header without rows is an export of nobody, which is nothing to add or to remove.

    Raises:
        SourceError: It is such a source.
    """
    told = report.source if isinstance(report.source, dict) else {}
    name = str(told.get("source"))
    if must_be_new and not report.planned:
        raise SourceError("has no customer that can be sent; no list was created", source=name)
    if not told.get("rows") and not told.get("columns"):
        raise SourceError("is empty", source=name)


@contextmanager
def _missing_list_is_not_found() -> Generator[None, None, None]:
    """End as for an id that is not there where a name is not; nobody has to decide anything."""
    try:
        yield
    except GuardError as error:
        if error.guard != "no_list":
            raise
        raise CommandError(
            f"{error}", code="not_found", exit=Exit.NOT_FOUND, hint="see `lists list`"
        ) from None


def _named(context: Context, client: Client, name: str | None) -> list[str]:
    """Return the ids of the lists of a name, as Pinterest has them."""
    everything = client.customer_lists_list(context.ad_account, page_size=250)
    return [each.id for each in everything if each.name == name]


def _check_new(context: Context, client: Client, name: str) -> None:
    taken = _named(context, client, name)
    if taken:
        raise CommandError(
            f"there is a list of that name already: {taken[0]}",
            code="guard_name_taken",
            exit=Exit.REFUSED,
            hint=f"`upload --list {taken[0]}` adds to it",
        )


def _dry_removal(
    context: Context,
    file: str,
    which: ListChoice,
    source: SourceOptions,
    *,
    yes: bool,
    keep_unhashed: bool,
) -> None:
    """Say what would be removed, and what would keep the command from it."""
    ready = preparation(file, source, share=allowed_rejects(context, source))
    known = _known_lists(context, which)
    found = _looked_for(context, which, known)
    report = dry_report(
        context, ready, found.id, found.name, known=known, keep_unhashed=keep_unhashed
    )
    records = sum(each.records for each in known)
    objection = "" if yes else _objection(file, report.planned, records)
    _refuse_nobody(report, must_be_new=False)
    if objection:
        report = evolve(report, findings=(f"{objection}; {_SAY_YES}", *report.findings))
    show_report(context, report)


def _known_lists(context: Context, which: ListChoice) -> list[ListStatus]:
    """Return what the state file knows of the lists that may be meant."""
    list_id = None if which.list_id is None else context.list_id(which.list_id)
    with context.offline_client() as client:
        return [
            each
            for each in client.status(context.ad_account, state=context.state)
            if (each.customer_list_id == list_id if list_id else each.name == which.name)
        ]


def _looked_for(context: Context, which: ListChoice, known: list[ListStatus]) -> CustomerList:
    """Return the list that a job would work on.

    Raises:
        CommandError: There is none of that name, or there are several.
        NotFoundError: There is none of that id.
    """
    account = context.ad_account
    with context.client() as client:
        if which.list_id is not None:
            return client.customer_lists_get(account, context.list_id(which.list_id))
        ids = [each.customer_list_id for each in known if each.customer_list_id]
        ids = ids or _named(context, client, which.name)
        if len(ids) == 1:
            return client.customer_lists_get(account, ids[0])
    if ids:
        raise CommandError(
            f'there are {len(ids)} lists named "{which.name}": {", ".join(ids)}',
            code="guard_ambiguous_name",
            exit=Exit.REFUSED,
            hint="say which one with --list ID",
        )
    raise CommandError(
        f'there is no list named "{which.name}": there is nothing to remove from',
        code="not_found",
        exit=Exit.NOT_FOUND,
        hint="see `lists list`",
    )


def _guard(context: Context, file: str, which: ListChoice, source: SourceOptions) -> None:
    """Refuse to remove most of a list unasked, as far as is known what is on it."""
    records = sum(each.records for each in _known_lists(context, which))
    if not records:
        return
    count = 0
    if not _read_once(file):
        share = allowed_rejects(context, source)
        # What is known of the list has nobody twice.
        count = preparation(file, source, share=share, deduplicate=True).run().records
    objection = _objection(file, count, records)
    if objection:
        raise CommandError(objection, code="guard_removals", exit=Exit.REFUSED, hint=_SAY_YES)


def _objection(file: str, count: int, records: int) -> str:
    """Return what is against a removal that nobody has said yes to; empty for nothing."""
    if not records:
        return ""
    if _read_once(file):
        told = "standard input" if file == "-" else f"{file}, which is no regular file,"
        return f"how much {told} removes is not known beforehand"
    if count > MOST_REMOVED * records:
        return (
            f"{count:,} of {records:,} records ({count / records:.0%}) would be removed, more than "
            f"{MOST_REMOVED:.0%}"
        )
    return ""


def _read_once(file: str) -> bool:
    """Tell whether a source that was counted would be empty when it is to be sent."""
    return file == "-" or (Path(file).exists() and not Path(file).is_file())
