"""Which columns of a table are read: the one that was asked for, or the only plausible one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from attrs import fields

from pinterest_audiences.errors import ConfigurationError, SourceError
from pinterest_audiences.models import RecordRow
from pinterest_audiences.records.identifiers import IdentifierKind

__all__ = [
    "ROW_COLUMNS",
    "ColumnChoice",
    "check_column",
    "check_columns",
    "is_a_name",
    "looks_like_data",
]

ROW_COLUMNS = tuple(column.name for column in fields(RecordRow))

_EMAIL_NAMES = (
    "email emails emailaddress emailaddresses mail mailaddress useremail customeremail "
    "contactemail subscriberemail primaryemail emailhash hashedemail emailhashed emailsha256 "
    "sha256email emailsha1 emailmd5 hem"
)
_MOBILE_NAMES = "mobileadid mobileadvertisingid advertisingid mobileid deviceid adid"
_NAMES: Mapping[IdentifierKind, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        IdentifierKind.EMAIL: _EMAIL_NAMES,
        IdentifierKind.MAID: f"maid maids madid gaid aaid hashedmaid maidsha256 {_MOBILE_NAMES}",
        IdentifierKind.IDFA: f"idfa idfas hashedidfa idfasha256 {_MOBILE_NAMES}",
        IdentifierKind.HASHED_PINNER_ID: "hashedpinnerid hashedpinnerids",
        IdentifierKind.LR_ID: "lrid lrids liverampid rampid",
        IdentifierKind.DLX_ID: "dlxid dlxids dataaxleid",
    }.items()
}
_NOT_A_NAME = re.compile(r"@|[0-9]{6}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}|[0-9a-fA-F]{32}|[\x00-\x1f]")
_LONGEST_NAME = 60
_NAMES_SHOWN = 20


class ColumnChoice:
    """The columns that are read; settled when the header of the source is known.

    Args:
        kind: What a single column holds; ``None`` for rows of several columns.
        column: The name of the single column; without it the only plausible one is taken.
        columns: For rows: the name in the source of each column of a row; without it those whose
            names are the same are taken.

    Attributes:
        names: The columns as the source names them, once settled.
        targets: The columns of a row they become, in the same order; empty for a single one.
    """

    def __init__(
        self,
        kind: IdentifierKind | None,
        column: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self._column = column
        self._columns = columns
        self.names: tuple[str, ...] = ()
        self.targets: tuple[str, ...] = ()

    @property
    def single(self) -> bool:
        """Whether one column is read, rather than rows of several."""
        return self.kind is not None

    @property
    def settled(self) -> bool:
        """Whether it is known which columns are read."""
        return bool(self.names)

    def settle(self, header: Iterable[object], source: str) -> tuple[int, ...]:
        """Choose among the columns of a source.

        Args:
            header: The names of its columns.
            source: What to call it in an error.

        Returns:
            The places of the chosen columns.

        Raises:
            SourceError: A column that was asked for is not there, or none or several are
                plausible. The error lists the columns, unless they look like data.
        """
        names = [name if isinstance(name, str) else "" for name in header]
        if self.kind is None:
            places = self._several(names, source)
        elif self._column is not None:
            places = (_find(self._column, names, source),)
        else:
            places = (_plausible(self.kind, names, source),)
        self.names = tuple(names[place] for place in places)
        return places

    def _several(self, names: Sequence[str], source: str) -> tuple[int, ...]:
        if self._columns is not None:
            self.targets = tuple(self._columns)
            return tuple(_find(name, names, source) for name in self._columns.values())
        found = {name: place for place, name in enumerate(names) if name in ROW_COLUMNS}
        if not found:
            raise SourceError(
                f"no column is named as one of a row ({', '.join(ROW_COLUMNS)}); say which with "
                f"columns=; {_listed(names)}",
                source=source,
            )
        self.targets = tuple(found)
        return tuple(found.values())


def check_column(column: object) -> str | None:
    """Check the name of a column.

    Raises:
        ConfigurationError: It is no string.
    """
    if column is None or isinstance(column, str):
        return column
    raise ConfigurationError("column: the name of a column is needed, a string")


def check_columns(columns: object) -> dict[str, str] | None:
    """Check which column of the source becomes which column of a row.

    Raises:
        ConfigurationError: It is no mapping, empty, or names a column that rows do not have.
    """
    if columns is None:
        return None
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise ConfigurationError("columns: a mapping of row columns to source columns is needed")
    pairs = (
        dict(cast("Mapping[str, object]", columns))
        if isinstance(columns, Mapping)
        else {name: cast("object", name) for name in cast("Iterable[str]", columns)}
    )
    unknown = [str(name) for name in pairs if name not in ROW_COLUMNS]
    if unknown or not pairs:
        raise ConfigurationError(
            f"columns: a row has {', '.join(ROW_COLUMNS)}; give a mapping of those to source "
            f"columns{', not ' + ', '.join(unknown) if unknown else ''}"
        )
    named = {column: name for column, name in pairs.items() if isinstance(name, str)}
    if len(named) < len(pairs):
        raise ConfigurationError("columns: the names of source columns are strings")
    return named


def looks_like_data(names: Iterable[str]) -> bool:
    """Tell whether a header is a row of data: it must not be shown, and the header is missing."""
    return any(_NOT_A_NAME.search(name) or len(name) > _LONGEST_NAME for name in names)


def is_a_name(text: str) -> bool:
    """Tell whether a lone line is the header of a table of one column."""
    return any(_bare(text) in names for names in _NAMES.values()) or text in ROW_COLUMNS


def _find(name: str, names: Sequence[str], source: str) -> int:
    exact = [place for place, known in enumerate(names) if known == name]
    loose = [place for place, known in enumerate(names) if _bare(known) == _bare(name)]
    found = exact or loose
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} columns are named" if found else "no column is named"
    raise SourceError(f"{problem} {name!r}; {_listed(names)}", source=source)


def _plausible(kind: IdentifierKind, names: Sequence[str], source: str) -> int:
    found = [place for place, name in enumerate(names) if _bare(name) in _NAMES[kind]]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} columns could be" if found else "no column is plainly"
    raise SourceError(
        f"{problem} the one of kind {kind}; say which with column=; {_listed(names)}",
        source=source,
    )


def _listed(names: Sequence[str]) -> str:
    if looks_like_data(names):
        return (
            "the first row looks like data, not like a header (it is not shown): a plain list, "
            "one record a line, is read with format='lines'"
        )
    shown = ", ".join(repr(name) for name in names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"columns: {shown}{more}"


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())
