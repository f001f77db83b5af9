"""A source, read to its end before anything is sent: its keys and its report."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Self

from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.jobs.database import state_path
from pinterest_audiences.jobs.errors import disk_error
from pinterest_audiences.jobs.keys import keys_of
from pinterest_audiences.jobs.spool import Spool
from pinterest_audiences.models import RecordRow, UserListType
from pinterest_audiences.records.identifiers import IdentifierKind
from pinterest_audiences.records.iterables import iterating
from pinterest_audiences.records.prepare import Preparation, prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Sequence

    from pinterest_audiences.models import JSON

__all__ = ["OPAQUE_KINDS", "SourceKeys"]

OPAQUE_KINDS = (IdentifierKind.LR_ID, IdentifierKind.DLX_ID)


class SourceKeys:
    """The keys of everything in a source; use it in a ``with`` block.

    Args:
        source: A preparation, or anything that `open_source` takes.
        kind: What the source holds, where it is no preparation.
        column: Its column, where it is no preparation.
        keep_unhashed: Whether columns of rows that go unhashed may be kept in the state.
        state: The state file; large sources need room beside it for a while.

    Raises:
        ConfigurationError: The records of this kind cannot be kept.
    """

    def __init__(
        self,
        source: object,
        *,
        kind: IdentifierKind | str,
        column: str | None,
        keep_unhashed: bool,
        state: str | os.PathLike[str] | None,
    ) -> None:
        if isinstance(source, Preparation):
            self._preparation: Preparation[str] | Preparation[RecordRow] = source
        else:
            self._preparation = prepare(source, kind, column=column)
        self.kind: str = self._preparation.report.kind
        if self.kind in OPAQUE_KINDS:
            raise ConfigurationError(
                f"kind: {self.kind} is sent as it is and not hashed, and jobs keep only hashes in "
                "their state file; send such records with customer_lists_update"
            )
        self._keep_unhashed = keep_unhashed
        self._directory = state_path(state).absolute().parent
        self.spools: dict[str, Spool] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for spool in self.spools.values():
            spool.close()

    @property
    def count(self) -> int:
        """Records read, duplicates among them."""
        return sum(spool.count for spool in self.spools.values())

    @property
    def report(self) -> dict[str, JSON]:
        """What became of the rows."""
        told: dict[str, JSON] = json.loads(self._preparation.report.to_json())
        return told

    @property
    def list_type(self) -> UserListType:
        """What a list of these records is called by Pinterest."""
        known = UserListType(self.kind.upper())
        return known if known.is_known else UserListType.EMAIL  # rows have no type of their own

    def read(self) -> None:
        """Read the source to its end.

        Raises:
            SourceError: It cannot be read to its end.
            TooManyRejectsError: As the preparation says.
            ConfigurationError: A record cannot be kept.
            StateError: There is no room for its keys.
        """
        for records in self._preparation:
            self._take(records)

    async def aread(self) -> None:
        """Read the source to its end; one that has to be awaited, too. Raises as :meth:`read`."""
        preparation: AsyncIterable[Sequence[str | RecordRow]] = self._preparation
        async with iterating(preparation) as chunks:
            async for records in chunks:
                self._take(records)

    def _take(self, records: Sequence[str | RecordRow]) -> None:
        for form, keys in keys_of(records, keep_unhashed=self._keep_unhashed):
            if form.name not in self.spools:
                self._make_directory()
                self.spools[form.name] = Spool(form, str(self._directory))
            self.spools[form.name].add(keys)

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, self._directory) from error
