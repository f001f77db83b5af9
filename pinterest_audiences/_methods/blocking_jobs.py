"""Jobs, blocking. The source is read in the calling thread, where a cursor may depend on it."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Literal

from pinterest_audiences._methods.base import Methods
from pinterest_audiences._methods.work import work_for
from pinterest_audiences._wire import bodies
from pinterest_audiences.models import CustomerList, OperationType
from pinterest_audiences.records.identifiers import IdentifierKind

if TYPE_CHECKING:
    from pinterest_audiences.jobs.events import OnEvent
    from pinterest_audiences.jobs.plan import Plan
    from pinterest_audiences.jobs.report import ForgetReceipt, JobReport, ListStatus

__all__ = ["Jobs"]


class Jobs(Methods):
    """The jobs of :class:`Client`."""

    def upload(
        self,
        ad_account_id: str | int,
        source: object,
        *,
        customer_list_id: str | int | None = None,
        name: str | None = None,
        operation: OperationType | str = OperationType.ADD,
        kind: IdentifierKind | str = IdentifierKind.EMAIL,
        column: str | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        via: Literal["calls", "multipart"] = "calls",
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        patience: float = 7200.0,
    ) -> JobReport:
        """Add everything in a source to a list, or remove it; survives crashes.

        Arguments, result and errors: :meth:`AsyncClient.upload`.
        """
        from pinterest_audiences.jobs import run  # noqa: PLC0415 - when used
        from pinterest_audiences.jobs.source import SourceKeys  # noqa: PLC0415

        known = bodies.known_value("operation", operation, OperationType)
        with SourceKeys(
            source, kind=kind, column=column, keep_unhashed=keep_unhashed, state=state
        ) as keys:
            work = work_for(self._client, state, on_event, patience)
            wanted = run.Wanted(ad_account_id, customer_list_id, name, is_nca)
            wanted.check()
            run.check_via(via)
            keys.read()
            return self._portal.call(run.upload, work, wanted, keys, known, via)

    def plan_mirror(
        self,
        ad_account_id: str | int,
        source: object,
        *,
        customer_list_id: str | int | None = None,
        name: str | None = None,
        kind: IdentifierKind | str = IdentifierKind.EMAIL,
        column: str | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        adopt: bool = False,
        max_removal_share: float = 0.2,
        match_rate: float | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> Plan:
        """Say what would make a list hold exactly what a source holds; changes nothing there.

        Arguments, result and errors: :meth:`AsyncClient.plan_mirror`.
        """
        from pinterest_audiences.jobs import mirror, run  # noqa: PLC0415 - when used
        from pinterest_audiences.jobs.source import SourceKeys  # noqa: PLC0415

        with SourceKeys(
            source, kind=kind, column=column, keep_unhashed=keep_unhashed, state=state
        ) as keys:
            work = work_for(self._client, state)
            wanted = run.Wanted(ad_account_id, customer_list_id, name, is_nca)
            wanted.check()
            choices = mirror.Choices(adopt, max_removal_share, match_rate)
            choices.check()
            keys.read()
            return self._portal.call(run.plan_mirror, work, wanted, keys, choices)

    def apply(
        self,
        plan: Plan,
        *,
        allow_removals: bool = False,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        patience: float = 7200.0,
    ) -> JobReport:
        """Apply a plan: additions first, then removals.

        Arguments, result and errors: :meth:`AsyncClient.apply`.
        """
        from pinterest_audiences.jobs import run  # noqa: PLC0415 - when used

        work = work_for(self._client, state, on_event, patience)
        return self._portal.call(partial(run.apply, work, plan, allow_removals=allow_removals))

    def mirror(
        self,
        ad_account_id: str | int,
        source: object,
        *,
        customer_list_id: str | int | None = None,
        name: str | None = None,
        kind: IdentifierKind | str = IdentifierKind.EMAIL,
        column: str | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        adopt: bool = False,
        max_removal_share: float = 0.2,
        match_rate: float | None = None,
        allow_removals: bool = False,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        patience: float = 7200.0,
    ) -> JobReport:
        """Make a list hold exactly what a source holds: :meth:`plan_mirror`, then :meth:`apply`.

        Arguments, result and errors: :meth:`AsyncClient.mirror`.
        """
        from pinterest_audiences.jobs import mirror, run  # noqa: PLC0415 - when used
        from pinterest_audiences.jobs.source import SourceKeys  # noqa: PLC0415

        with SourceKeys(
            source, kind=kind, column=column, keep_unhashed=keep_unhashed, state=state
        ) as keys:
            work = work_for(self._client, state, on_event, patience)
            wanted = run.Wanted(ad_account_id, customer_list_id, name, is_nca)
            wanted.check()
            choices = mirror.Choices(adopt, max_removal_share, match_rate)
            choices.check()
            keys.read()
            return self._portal.call(
                partial(run.mirror, work, wanted, keys, choices, allow_removals=allow_removals)
            )

    def resume(
        self,
        ad_account_id: str | int,
        *,
        customer_list_id: str | int | None = None,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        patience: float = 7200.0,
    ) -> list[JobReport]:
        """Finish the jobs that were interrupted; several lists side by side.

        Arguments, result and errors: :meth:`AsyncClient.resume`.
        """
        return self._portal.call(
            partial(
                self._client.resume,
                ad_account_id,
                customer_list_id=customer_list_id,
                state=state,
                on_event=on_event,
                patience=patience,
            )
        )

    def status(
        self,
        ad_account_id: str | int,
        *,
        customer_list_id: str | int | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> list[ListStatus]:
        """Tell what the state file knows of lists and their jobs; asks Pinterest nothing.

        Arguments, result and errors: :meth:`AsyncClient.status`.
        """
        return self._portal.call(
            partial(
                self._client.status,
                ad_account_id,
                customer_list_id=customer_list_id,
                state=state,
            )
        )

    def forget(
        self,
        people: object,
        *,
        kind: IdentifierKind | str = IdentifierKind.EMAIL,
        ad_account_id: str | int | None = None,
        reference: str = "",
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        patience: float = 7200.0,
    ) -> ForgetReceipt:
        """Remove people from every list in the state file, and from the file itself.

        Arguments, result and errors: :meth:`AsyncClient.forget`.
        """
        from pinterest_audiences.jobs import forget as forgetting  # noqa: PLC0415 - when used

        found = forgetting.read_people(people, kind)
        work = work_for(self._client, state, on_event, patience)
        return self._portal.call(forgetting.forget, work, found, ad_account_id, reference)

    def wait_until_ready(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        timeout: float = 172_800.0,
        first_gap: float = 5.0,
        longest_gap: float = 300.0,
    ) -> CustomerList:
        """Wait until a list is READY or TOO_SMALL.

        Arguments, result and errors: :meth:`AsyncClient.wait_until_ready`.
        """
        return self._portal.call(
            partial(
                self._client.wait_until_ready,
                ad_account_id,
                customer_list_id,
                timeout=timeout,
                first_gap=first_gap,
                longest_gap=longest_gap,
            )
        )
