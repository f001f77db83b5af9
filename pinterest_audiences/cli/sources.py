"""From the options of a command to a source that is cleaned and hashed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pinterest_audiences.cli.refusals import usage
from pinterest_audiences.errors import TooManyRejectsError
from pinterest_audiences.records.prepare import Preparation, prepare, prepare_rows
from pinterest_audiences.records.sources import Source, open_source

if TYPE_CHECKING:
    from pinterest_audiences.cli.context import Context
    from pinterest_audiences.cli.options import SourceOptions
    from pinterest_audiences.models import RecordRow
    from pinterest_audiences.records.report import PreparationReport

__all__ = ["DEFAULT_REJECT_SHARE", "allowed_rejects", "check_rejects", "preparation"]

DEFAULT_REJECT_SHARE = 0.1
"""Above it nothing is sent: so many rejects are more often a wrong column than bad customers."""


def preparation(
    file: str, options: SourceOptions, *, share: float | None, deduplicate: bool = False
) -> Preparation[str] | Preparation[RecordRow]:
    """Open a source, ready to be read.

    Args:
        file: A path, or ``-`` for standard input.
        options: How it is read.
        share: The share of rejects past which it is given up; None for never.
        deduplicate: Whether equal records are counted apart.

    Raises:
        CommandError: There is no such file.
        ConfigurationError: An option cannot work.
        SourceError: It cannot be opened.
    """
    opened = _opened(file, options)
    if options.columns is not None:
        return prepare_rows(
            opened,
            algorithm=options.algorithm,
            phone_form=options.phone_form,
            deduplicate=deduplicate,
            max_reject_share=share,
            rejects_to=options.rejects_to,
            reject_values=options.reject_values,
        )
    return prepare(
        opened,
        options.kind,
        algorithm=options.algorithm,
        idfa_case=options.idfa_case,
        deduplicate=deduplicate,
        max_reject_share=share,
        rejects_to=options.rejects_to,
        reject_values=options.reject_values,
    )


def allowed_rejects(context: Context, options: SourceOptions) -> float:
    """Return the share of rejects that is allowed: flag, profile, default.

    Raises:
        CommandError: The flag's is no share.
    """
    said = options.max_reject_share
    if said is not None and not 0 <= said <= 1:
        raise usage("--max-reject-share: a number from 0 to 1 is needed")
    for share in (said, context.profile.max_reject_share):
        if share is not None:
            return share
    return DEFAULT_REJECT_SHARE


def check_rejects(report: PreparationReport, share: float) -> None:
    """Judge a source that was read to its end.

    Raises:
        TooManyRejectsError: More of it was rejected than is allowed.
    """
    if report.rejected > share * report.rows:
        raise TooManyRejectsError(
            f"{report.source}: {report.rejected:,} of {report.rows:,} rows rejected, more than the "
            f"share of {share:g} that is allowed (--max-reject-share)",
            rows=report.rows,
            rejected=report.rejected,
            allowed=share,
        )


def _opened(file: str, options: SourceOptions) -> Source:
    if file != "-" and not Path(file).exists():
        raise usage(f"{file}: there is no such file")
    return open_source(
        file,
        column=options.column,
        columns=None if options.columns is None else _pairs(options.columns),
        encoding=options.encoding,
        delimiter=options.delimiter,
        format=options.format,
    )


def _pairs(said: str) -> dict[str, str]:
    pairs = [each.strip().partition("=") for each in said.split(",")]
    return {ours: theirs if sign else ours for ours, sign, theirs in pairs}
