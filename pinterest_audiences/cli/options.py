"""The options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from attrs import frozen
from cyclopts import Parameter

from pinterest_audiences.cli.context import Context
from pinterest_audiences.cli.output import Format
from pinterest_audiences.cli.refusals import usage

__all__ = [
    "ANY_LIST",
    "AS_USUAL",
    "COMMON",
    "MOST_REMOVED",
    "Common",
    "File",
    "Flag",
    "Given",
    "ListChoice",
    "ListId",
    "SourceOptions",
]

Flag: TypeAlias = Annotated[bool, Parameter(negative="", show_default=False)]
"""One that is said or not."""


def _no_option(_kind: object, value: str | None) -> None:
    if value is not None and value.startswith("-") and value != "-":
        raise ValueError(f"unknown option {value}; a file of that name is ./{value}")


# A dash alone looks like an option to the parser; what else begins with one is no file.
File: TypeAlias = Annotated[
    str, Parameter(name="FILE", allow_leading_hyphen=True, validator=_no_option)
]
"""A path, or ``-`` for standard input."""

ListId: TypeAlias = Annotated[str, Parameter(name="LIST")]
"""The id of a list, or a name of the profile."""

Given: TypeAlias = Annotated[Context, Parameter(parse=False)]
"""What the command works with; it is no option, and comes from `entry`."""


@Parameter(name="*", group="Options of every command")
@frozen(kw_only=True)
class Common:
    """Options of every command.

    Attributes:
        emulator: Run on the embedded emulator: no account and no network is needed.
        ad_account: The ad account's id; else PINTEREST_AD_ACCOUNT_ID, or the profile's.
        profile: A profile of the configuration file; else PINTEREST_AUDIENCES_PROFILE.
        output: How results are written; else PINTEREST_AUDIENCES_OUTPUT, the profile's, or a table
            on a terminal and JSON otherwise.
        state: The state file of the jobs; else PINTEREST_AUDIENCES_STATE.
        quiet: No progress and no notes; warnings and errors only.
        verbose: Tell what is done; -vv tells more.
    """

    emulator: Annotated[bool | None, Parameter(negative="--no-emulator")] = None
    ad_account: str | None = None
    profile: str | None = None
    output: Annotated[Format | None, Parameter(alias="-o")] = None
    state: Path | None = None
    quiet: Annotated[Flag, Parameter(alias="-q")] = False
    verbose: Annotated[int, Parameter(alias="-v", count=True, show_default=False)] = 0


@Parameter(name="*", group="Source")
@frozen(kw_only=True)
class SourceOptions:
    """How a source of customers is read and cleaned.

    Attributes:
        kind: What the source holds.
        column: The column to read; without it the only plausible one is taken, and told.
        columns: For rows of several identifiers: pairs like email=Email,maid=Device.
        format: The form of the file; without it its name or its first line tells.
        encoding: Of a text file that is neither UTF-8 nor UTF-16.
        delimiter: Of a delimited file.
        algorithm: By which plain values are hashed.
        idfa_case: How an IDFA is written before it is hashed.
        phone_form: How a phone number is written before it is hashed.
        max_reject_share: Above this share of rejects, 0 to 1, nothing is sent; else the profile's,
            or 0.1.
        rejects_to: A file for the rejects: row number and reason.
        reject_values: Write the rejected values into that file too.
    """

    kind: Literal["email", "maid", "idfa", "hashed_pinner_id"] = "email"
    column: str | None = None
    columns: str | None = None
    format: Literal["csv", "tsv", "psv", "lines", "ndjson", "parquet"] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    algorithm: Literal["sha256", "sha1", "md5"] = "sha256"
    idfa_case: Literal["lower", "upper"] = "lower"
    phone_form: Literal["e164", "digits"] | None = None
    max_reject_share: float | None = None
    rejects_to: Path | None = None
    reject_values: Flag = False


@Parameter(name="*", group="Which list")
@frozen(kw_only=True)
class ListChoice:
    """Which list is meant.

    Attributes:
        name: Its name.
        list_id: Its id, or a name of your own for it in the profile.
    """

    name: str | None = None
    list_id: Annotated[str | None, Parameter(name="--list")] = None

    def check(self) -> None:
        """Refuse a choice that says too much or too little.

        Raises:
            CommandError: Not exactly one is said.
        """
        if (self.name is None) == (self.list_id is None):
            raise usage("exactly one of --name and --list is needed")


COMMON = Common()
AS_USUAL = SourceOptions()
ANY_LIST = ListChoice()
MOST_REMOVED = 0.2  # of a list, unasked; the library's own default for mirrors
