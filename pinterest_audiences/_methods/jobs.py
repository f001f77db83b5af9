"""Jobs, awaited: upload, mirror, resume, wait, forget. The machinery is loaded when first used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from pinterest_audiences._methods.work import JobCalls, work_for
from pinterest_audiences._wire import bodies, settings
from pinterest_audiences.models import CustomerList, OperationType
from pinterest_audiences.records.identifiers import IdentifierKind

if TYPE_CHECKING:
    from pinterest_audiences.jobs.events import OnEvent
    from pinterest_audiences.jobs.plan import Plan
    from pinterest_audiences.jobs.report import ForgetReceipt, JobReport, ListStatus

__all__ = ["AsyncJobs"]


class AsyncJobs(JobCalls):
    """The jobs of :class:`AsyncClient`."""

    async def upload(
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

        The source is read to its end before anything is sent, so that a broken one changes
        nothing. What is sent is kept in the state file first, as hashes; an interrupted upload is
        finished by :meth:`resume`, or by the next job on the list. Every record is sent, known to
        be on the list or not, and each of them once.

        Args:
            ad_account_id: 1 to 18 digits.
            source: A :class:`Preparation` (for all choices of cleaning), or anything that
                :func:`open_source` takes.
            customer_list_id: The list.
            name: Its name instead; without such a list one is created. Names in the state file
                come first, then those at Pinterest.
            operation: ``ADD`` or ``REMOVE``.
            kind: What the source holds, where it is no preparation.
            column: The column to read, where the source is no preparation.
            keep_unhashed: Keep columns of rows that go unhashed (``external_id``, ``ip_address``,
                ``user_agent``, ``liveramp_envelope``) in the state file; refused without.
            is_nca: For a list that is created.
            via: ``multipart`` sends what is left after a creation as one file; experimental, see
                :meth:`upload_file_in_parts`. Without access to it the calls are made after all.
            state: The state file; without it ``PINTEREST_AUDIENCES_STATE``, then the user's own.
            on_event: Told what happens, for a progress bar; called in the client's event loop.
            patience: Seconds for which a batch is tried in a row while Pinterest or the network
                fails.

        Returns:
            Exact figures.

        Raises:
            ConfigurationError: An argument or a record cannot be used; nothing was sent.
            SourceError: The source cannot be read to its end; nothing was sent.
            TooManyRejectsError: As the preparation says; nothing was sent.
            StateError: The state file cannot be used.
            ListBusyError: Another process works on the list.
            GuardError: Several lists have that name.
            JobInterruptedError: It stopped before its end, and can be resumed.
            CallError: The list could not be looked up.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> async def main(state: str) -> None:
            ...     async with AsyncClient("token", transport=Emulator().transport()) as client:
            ...         people = (f"person{n}@shop.de" for n in range(25_000))
            ...         report = await client.upload("549", people, name="All", state=state)
            ...         print(report.created, report.planned, report.added, report.batches)
            >>> with TemporaryDirectory() as place:
            ...     anyio.run(main, f"{place}/state.sqlite3")
            True 25000 25000 3
        """
        from pinterest_audiences.jobs import run  # noqa: PLC0415 - when used
        from pinterest_audiences.jobs.source import SourceKeys  # noqa: PLC0415

        self._session.check_usable()
        known = bodies.known_value("operation", operation, OperationType)
        with SourceKeys(
            source, kind=kind, column=column, keep_unhashed=keep_unhashed, state=state
        ) as keys:
            work = work_for(self, state, on_event, patience)
            wanted = run.Wanted(ad_account_id, customer_list_id, name, is_nca)
            wanted.check()
            run.check_via(via)
            await keys.aread()
            return await run.upload(work, wanted, keys, known, via)

    async def plan_mirror(
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

        Pinterest never tells who is on a list, so the plan compares with what the state file knows
        of earlier jobs. Print it, keep it as JSON, give it to :meth:`apply`. A newer plan or job
        on the list takes its place. Applied, it takes the place of what was interrupted before.

        Args:
            ad_account_id: 1 to 18 digits.
            source: As for :meth:`upload`.
            customer_list_id: The list.
            name: Its name instead; applying the plan creates the list if there is none.
            kind: As for :meth:`upload`.
            column: As for :meth:`upload`.
            keep_unhashed: As for :meth:`upload`.
            is_nca: For a list that is created.
            adopt: Take a list that no job created for empty. Whoever is on it already and not in
                the source stays there, unseen.
            max_removal_share: A plan that removes more than this share (0 to 1) of the list is
                applied only with ``allow_removals``.
            match_rate: The share of records you expect to match, for the forecast.
            state: As for :meth:`upload`.

        Returns:
            The plan.

        Raises:
            GuardError: The source has no records, no job created the list and it is not adopted,
                or several lists have that name.
            ConfigurationError: As for :meth:`upload`, like all that follow.
            SourceError: The source cannot be read to its end.
            StateError: The state file cannot be used.
            ListBusyError: Another process works on the list.
            CallError: The list could not be looked up.
        """
        from pinterest_audiences.jobs import mirror, run  # noqa: PLC0415 - when used
        from pinterest_audiences.jobs.source import SourceKeys  # noqa: PLC0415

        self._session.check_usable()
        with SourceKeys(
            source, kind=kind, column=column, keep_unhashed=keep_unhashed, state=state
        ) as keys:
            work = work_for(self, state)
            wanted = run.Wanted(ad_account_id, customer_list_id, name, is_nca)
            wanted.check()
            choices = mirror.Choices(adopt, max_removal_share, match_rate)
            choices.check()
            await keys.aread()
            return await run.plan_mirror(work, wanted, keys, choices)

    async def apply(
        self,
        plan: Plan,
        *,
        allow_removals: bool = False,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        patience: float = 7200.0,
    ) -> JobReport:
        """Apply a plan: additions first, then removals.

        Args:
            plan: What :meth:`plan_mirror` made; also one read by ``Plan.from_json``.
            allow_removals: Yes to a plan that removes more than its ``max_removal_share``.
            state: The state file that the plan is in.
            on_event: As for :meth:`upload`.
            patience: As for :meth:`upload`.

        Returns:
            Exact figures.

        Raises:
            PlanError: The list has changed since, or a newer plan took this one's place.
            GuardError: It removes too much for going unasked.
            StateError: The state file cannot be used.
            ListBusyError: Another process works on the list.
            JobInterruptedError: It stopped before its end, and can be resumed.
        """
        from pinterest_audiences.jobs import run  # noqa: PLC0415 - when used

        work = work_for(self, state, on_event, patience)
        return await run.apply(work, plan, allow_removals=allow_removals)

    async def mirror(
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

        Arguments, result and errors are theirs.
        """
        from pinterest_audiences.jobs import mirror, run  # noqa: PLC0415 - when used
        from pinterest_audiences.jobs.source import SourceKeys  # noqa: PLC0415

        self._session.check_usable()
        with SourceKeys(
            source, kind=kind, column=column, keep_unhashed=keep_unhashed, state=state
        ) as keys:
            work = work_for(self, state, on_event, patience)
            wanted = run.Wanted(ad_account_id, customer_list_id, name, is_nca)
            wanted.check()
            choices = mirror.Choices(adopt, max_removal_share, match_rate)
            choices.check()
            await keys.aread()
            return await run.mirror(work, wanted, keys, choices, allow_removals=allow_removals)

    async def resume(
        self,
        ad_account_id: str | int,
        *,
        customer_list_id: str | int | None = None,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        patience: float = 7200.0,
    ) -> list[JobReport]:
        """Finish the jobs that were interrupted; several lists side by side.

        Needs no source: what is left is in the state file. A batch whose answer was never heard is
        sent again, which changes no membership.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: Only this list.
            state: As for :meth:`upload`.
            on_event: As for :meth:`upload`.
            patience: As for :meth:`upload`.

        Returns:
            The reports of the jobs that were finished; none if there was nothing to do.

        Raises:
            StateError: The state file cannot be used.
            ListBusyError: Another process works on one of the lists.
            JobInterruptedError: One stopped again; the others were brought to their end.
        """
        from pinterest_audiences.jobs import run  # noqa: PLC0415 - when used

        work = work_for(self, state, on_event, patience)
        return await run.resume(work, ad_account_id, customer_list_id)

    async def status(
        self,
        ad_account_id: str | int,
        *,
        customer_list_id: str | int | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> list[ListStatus]:
        """Tell what the state file knows of lists and their jobs; asks Pinterest nothing.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: Only this list.
            state: As for :meth:`upload`.

        Returns:
            One for each list that jobs have worked on.

        Raises:
            StateError: The state file cannot be used.
        """
        from pinterest_audiences.jobs import run  # noqa: PLC0415 - when used

        return await run.status(work_for(self, state), ad_account_id, customer_list_id)

    async def forget(
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

        A plain identifier is looked for by all its hashes, a hash by itself. Rows are removed that
        hold one of them in any column. From lists that no job created all forms are removed,
        known to be there or not.

        Args:
            people: One identifier (a string), or a list, a path object or anything else that
                :func:`open_source` takes; blank lines are nobody.
            kind: What they are.
            ad_account_id: Only lists of this account.
            reference: Yours, for the receipt; no personal data.
            state: As for :meth:`upload`.
            on_event: As for :meth:`upload`.
            patience: As for :meth:`upload`.

        Returns:
            A receipt; see whether it is ``complete``.

        Raises:
            ConfigurationError: An argument cannot be used.
            SourceError: The source of people cannot be read to its end; nothing was sent.
            StateError: The state file cannot be used.
        """
        from pinterest_audiences.jobs import forget as forgetting  # noqa: PLC0415 - when used

        self._session.check_usable()
        found = await forgetting.aread_people(people, kind)
        work = work_for(self, state, on_event, patience)
        return await forgetting.forget(work, found, ad_account_id, reference)

    async def wait_until_ready(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        timeout: float = 172_800.0,  # noqa: ASYNC109 - it returns what was last seen
        first_gap: float = 5.0,
        longest_gap: float = 300.0,
    ) -> CustomerList:
        """Wait until a list is READY or TOO_SMALL.

        Polls with growing gaps. A state that this version does not know counts as work in
        progress. Pinterest is said to take up to 48 hours.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.
            timeout: Seconds to wait at most.
            first_gap: Seconds between the first two looks.
            longest_gap: Seconds between two looks at most.

        Returns:
            The list; see its ``status``.

        Raises:
            WaitTimeoutError: It was not done in time; holds the list as last seen.
            ConfigurationError: An argument is wrong.
            CallError: It could not be fetched.
        """
        from pinterest_audiences.jobs import wait  # noqa: PLC0415 - when used

        return await wait.wait_until_ready(
            work_for(self).desk,
            ad_account_id,
            customer_list_id,
            timeout=settings.number("timeout", timeout, above=0.0),
            first_gap=settings.number("first_gap", first_gap, above=0.0),
            longest_gap=settings.number("longest_gap", longest_gap, above=0.0),
        )
