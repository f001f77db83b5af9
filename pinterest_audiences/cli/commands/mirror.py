"""``plan`` and ``mirror``: a list kept equal to a source."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attrs import fields
from cyclopts import Parameter

from pinterest_audiences.cli.context import Context
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
from pinterest_audiences.cli.problems import in_words_of_the_command_line
from pinterest_audiences.cli.progress import following
from pinterest_audiences.cli.refusals import usage
from pinterest_audiences.cli.reports import (
    in_our_words,
    joined,
    show_dry_plan,
    show_report,
    warn_of,
)
from pinterest_audiences.cli.sources import allowed_rejects, preparation
from pinterest_audiences.jobs.errors import PlanError
from pinterest_audiences.jobs.plan import Plan

if TYPE_CHECKING:
    from pinterest_audiences.blocking import Client
    from pinterest_audiences.models import JSON

__all__ = ["mirror", "plan"]


def plan(
    file: File,
    /,
    *,
    which: ListChoice = ANY_LIST,
    source: SourceOptions = AS_USUAL,
    adopt: Flag = False,
    max_removal_share: float = MOST_REMOVED,
    match_rate: float | None = None,
    keep_unhashed: Flag = False,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Say what a mirror would add, remove and keep.

    Args:
        file: As for upload; - for standard input.
        which: Which list.
        source: How the source is read.
        adopt: Take a list that no job created for empty.
        max_removal_share: A plan that removes more than this share of the list needs --yes.
        match_rate: The share of records you expect to match, for the forecast.
        keep_unhashed: Keep columns of rows that go unhashed in the state file.
        common: Options of every command.
        context: What the command works with.
    """
    which.check()
    with context.client() as client:
        made = _planned(
            context,
            client,
            file,
            which,
            source,
            adopt=adopt,
            max_removal_share=max_removal_share,
            match_rate=match_rate,
            keep_unhashed=keep_unhashed,
        )
    warn_of(context, made.findings)
    if made.blocked:
        context.screen.warn(in_words_of_the_command_line(made.blocked))
    context.out.row(_row(context, made))


def mirror(
    file: File | None = None,
    /,
    *,
    which: ListChoice = ANY_LIST,
    source: SourceOptions = AS_USUAL,
    plan_file: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    adopt: Flag = False,
    max_removal_share: float | None = None,
    match_rate: float | None = None,
    yes: Flag = False,
    dry_run: Flag = False,
    keep_unhashed: Flag = False,
    patience: float = 7200.0,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Make a list hold exactly what a source holds; or apply a plan that was approved.

    Args:
        file: As for upload; - for standard input.
        which: Which list.
        source: How the source is read.
        plan_file: Apply this plan, the JSON of `plan`, instead of a source; - for standard input.
        adopt: Take a list that no job created for empty.
        max_removal_share: Removing more than this share of the list, else 0.2, needs --yes.
        match_rate: The share of records you expect to match, for the forecast.
        yes: Yes to removing more than that share.
        dry_run: Plan, and apply nothing.
        keep_unhashed: Keep columns of rows that go unhashed in the state file.
        patience: Seconds for which a batch is tried while Pinterest fails.
        common: Options of every command.
        context: What the command works with.
    """
    if (file is None) == (plan_file is None):
        raise usage("exactly one of FILE and --plan-file is needed")
    approved = None
    if plan_file is None:
        which.check()
    else:
        said = {
            "--adopt": adopt,
            "--max-removal-share": max_removal_share is not None,
            "--match-rate": match_rate is not None,
            "--keep-unhashed": keep_unhashed,
        }
        _refuse_beside_a_plan(which, source, [name for name, given in said.items() if given])
        approved = _approved(context, plan_file)
    with context.client() as client, following(context.screen) as teller:
        made = approved or _planned(
            context,
            client,
            file or "",
            which,
            source,
            adopt=adopt,
            max_removal_share=MOST_REMOVED if max_removal_share is None else max_removal_share,
            match_rate=match_rate,
            keep_unhashed=keep_unhashed,
        )
        if dry_run:
            show_dry_plan(context, made)
            return
        report = client.apply(
            made,
            allow_removals=yes,
            state=context.state,
            on_event=context.watching(teller),
            patience=patience,
        )
    show_report(context, report, made)


def _planned(
    context: Context,
    client: Client,
    file: str,
    which: ListChoice,
    source: SourceOptions,
    *,
    adopt: bool,
    max_removal_share: float,
    match_rate: float | None,
    keep_unhashed: bool,
) -> Plan:
    return client.plan_mirror(
        context.ad_account,
        preparation(file, source, share=allowed_rejects(context, source)),
        customer_list_id=None if which.list_id is None else context.list_id(which.list_id),
        name=which.name,
        keep_unhashed=keep_unhashed,
        adopt=adopt,
        max_removal_share=max_removal_share,
        match_rate=match_rate,
        state=context.state,
    )


def _refuse_beside_a_plan(which: ListChoice, source: SourceOptions, said: list[str]) -> None:
    """Refuse options that a plan has decided already; they would change nothing."""
    chosen = {"--name": which.name, "--list": which.list_id}
    said = [
        *(name for name, value in chosen.items() if value is not None),
        *(
            f"--{field.name.replace('_', '-')}"
            for field in fields(SourceOptions)
            if getattr(source, field.name) != getattr(AS_USUAL, field.name)
        ),
        *said,
    ]
    if said:
        raise usage(
            f"--plan-file cannot be used with {', '.join(said)}: the plan has decided it",
            "plan again with these, or leave them out",
        )


def _approved(context: Context, file: str) -> Plan:
    """Read a plan.

    Raises:
        CommandError: It is none, or one for another ad account than the flag says.
    """
    try:
        approved = Plan.from_json(_bytes(file).decode("utf-8-sig"))
        _check_types(approved)
    except (PlanError, UnicodeDecodeError):
        told = "standard input" if file == "-" else file
        raise usage(f"{told}: is no plan: JSON as `plan -o json` writes it is needed") from None
    account = context.options.ad_account
    if account is not None and account != approved.ad_account_id:
        raise usage(
            f"--ad-account {account} is not the plan's, which is {approved.ad_account_id}",
            "leave it out: the plan says whose list it is for",
        )
    return approved


def _check_types(approved: Plan) -> None:
    """Refuse JSON that has a plan's names and other values; it is shown before it is looked up.

    Raises:
        PlanError: It is such.
    """
    numbers: list[object] = [approved.job_id, approved.add, approved.remove, approved.calls]
    texts: list[object] = [approved.ad_account_id, approved.blocked, *approved.findings]
    if not all(type(each) is int for each in numbers) or not all(
        isinstance(each, str) for each in texts
    ):
        raise PlanError("a value is of another type than a plan's")


def _bytes(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read() if sys.stdin else b""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise usage(f"{file}: cannot be read: {error.strerror}") from None


def _row(context: Context, made: Plan) -> dict[str, JSON]:
    told = in_our_words(made.to_dict())
    if context.out.form in ("json", "ndjson"):
        return told
    del told["source"]
    told["findings"] = joined(told["findings"])
    return told
