"""``upload``, ``remove``, ``lists create``: everything in a source, once."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pinterest_audiences.cli.context import Context
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.options import (
    ANY_LIST,
    AS_USUAL,
    COMMON,
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
from pinterest_audiences.jobs.errors import GuardError

if TYPE_CHECKING:
    from pinterest_audiences.blocking import Client
    from pinterest_audiences.jobs.report import JobReport
    from pinterest_audiences.models import OperationType

__all__ = ["create", "remove", "upload"]

_MOST_REMOVED = 0.2


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
        dry_run: Read and check the source, and send nothing.
        keep_unhashed: Keep columns of rows that go unhashed in the state file.
        patience: Seconds for which a batch is tried while Pinterest fails.
        common: Options of every command.
        context: What the command works with.
    """
    which.check()
    if not yes and not dry_run:
        _guard(context, file, which, source)
    _send(
        context,
        file,
        which,
        source,
        operation="REMOVE",
        dry_run=dry_run,
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
        dry_run: Read and check the source, and send nothing.
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
        show_report(
            context, dry_report(context, ready, list_id, which.name, keep_unhashed=keep_unhashed)
        )
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
    show_report(context, report)


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


def _check_new(context: Context, client: Client, name: str) -> None:
    for each in client.customer_lists_list(context.ad_account, page_size=250):
        if each.name == name:
            raise CommandError(
                f"there is a list of that name already: {each.id}",
                code="guard_name_taken",
                exit=Exit.REFUSED,
                hint=f"`upload --list {each.id}` adds to it",
            )


def _guard(context: Context, file: str, which: ListChoice, source: SourceOptions) -> None:
    """Refuse to remove most of a list unasked, as far as is known what is on it."""
    list_id = None if which.list_id is None else context.list_id(which.list_id)
    with context.offline_client() as client:
        known = [
            each
            for each in client.status(context.ad_account, state=context.state)
            if (each.customer_list_id == list_id if list_id else each.name == which.name)
        ]
    records = sum(each.records for each in known)
    if not records:
        return
    # What can be read once only would be counted here, and be empty when it is to be sent.
    if file == "-" or (Path(file).exists() and not Path(file).is_file()):
        told = "standard input" if file == "-" else f"{file}, which is no regular file,"
        raise _refused(f"how much {told} removes is not known beforehand")
    share = allowed_rejects(context, source)
    # What is known of the list has nobody twice.
    count = preparation(file, source, share=share, deduplicate=True).run().records
    if count > _MOST_REMOVED * records:
        raise _refused(
            f"{count:,} of {records:,} records ({count / records:.0%}) would be removed, more than "
            f"{_MOST_REMOVED:.0%}"
        )


def _refused(text: str) -> CommandError:
    return CommandError(
        text, code="guard_removals", exit=Exit.REFUSED, hint="say --yes if that is right"
    )
