"""Guards: jobs that are probably mistakes are refused before anything is sent, in both clients."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import frozen
from support.jobs import ACCOUNT, NAME, digest, digests, people

from pinterest_audiences import (
    AsyncClient,
    Client,
    GuardError,
    JobInterruptedError,
    Plan,
    RecordRow,
    SourceError,
    TooManyRejectsError,
    prepare,
    prepare_rows,
)
from pinterest_audiences.emulator import Emulator

REMOVE = {"operation": "REMOVE"}
MAIDS = [f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(1, 9)]
UNREADABLE = "ann(at)shop.example"


@frozen
class Rig:
    """A client of one kind on an emulator, with a state file; each call has its own client.

    Attributes:
        kind: ``Client``, or the backend of an ``AsyncClient``.
        emulator: The emulator.
        state: The state file.
    """

    kind: str
    emulator: Emulator
    state: Path

    def call(self, method: str, *arguments: object, **options: Any) -> Any:
        """Call a method of a client, for the ad account unless a plan is applied."""
        if method != "apply":
            arguments = (ACCOUNT, *arguments)
        options.setdefault("state", self.state)
        transport = self.emulator.transport()
        if self.kind == "Client":
            with Client("token", transport=transport, max_retries=0) as client:
                return getattr(client, method)(*arguments, **options)

        async def main() -> Any:
            async with AsyncClient("token", transport=transport, max_retries=0) as client:
                result = getattr(client, method)(*arguments, **options)
                return await result if inspect.isawaitable(result) else result

        return anyio.run(main, backend=self.kind)

    def lists(self) -> dict[str, str | None]:
        """Return the name of each list, by its id."""
        with Client("token", transport=self.emulator.transport()) as client:
            return {item.id: item.name for item in client.customer_lists_list(ACCOUNT)}

    def members(self) -> list[object]:
        """Return the members of every list, with repetition."""
        return [member for number in self.lists() for member in self.emulator.members(number)]


@pytest.fixture(params=["Client", "asyncio", "trio"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """A rig of each kind of client, with a list of 100 customers that an upload created."""
    made = Rig(request.param, Emulator(rate_limits=None), tmp_path / "state" / "jobs.sqlite3")
    made.call("upload", people(0, 100), name=NAME)
    return made


def interrupt_creation(rig: Rig) -> dict[str, object]:
    """Lose the response to a create request, and return the list that it created."""
    rig.emulator.fault("no_answer", operation="customer_lists_create", times=1)
    rig.emulator.fault("status", status=403, operation="customer_lists_list", after=2)
    with pytest.raises(JobInterruptedError):
        rig.call("upload", people(0, 5), name="Lost")
    (lost,) = (number for number, name in rig.lists().items() if name == "Lost")
    return {"customer_list_id": lost}


def seed_twins(rig: Rig) -> dict[str, object]:
    """Create two lists of one name outside the jobs."""
    for _ in range(2):
        rig.emulator.seed_lists(ACCOUNT, 1, name="Twin")
    return {"name": "Twin"}


def seed_foreign(rig: Rig) -> dict[str, object]:
    """Create a list outside the jobs."""
    (number,) = rig.emulator.seed_lists(ACCOUNT, 1)
    return {"customer_list_id": number}


@frozen
class Case:
    """A job that a guard refuses.

    Attributes:
        guard: The code of the guard.
        method: The method of the client.
        source: The customers.
        options: Other arguments.
        prepare: Makes the list, and returns more arguments.
        permission: The argument that allows the job, if there is one.
    """

    guard: str
    method: str
    source: object
    options: dict[str, Any]
    prepare: Callable[[Rig], dict[str, object]] | None = None
    permission: dict[str, Any] | None = None


CUSTOMERS = {"name": NAME}
CASES = {
    "upload removes too much": Case(
        "removals", "upload", people(0, 21), CUSTOMERS | REMOVE, None, {"allow_removals": True}
    ),
    "upload removes more than a given share": Case(
        "removals",
        "upload",
        people(0, 11),
        CUSTOMERS | REMOVE | {"max_removal_share": 0.1},
        None,
        {"max_removal_share": 0.2},
    ),
    "upload removes more than is known": Case(
        "removals", "upload", people(0, 101), CUSTOMERS | REMOVE, None, {"allow_removals": True}
    ),
    "mirror removes too much": Case(
        "removals", "mirror", people(21, 100), CUSTOMERS, None, {"allow_removals": True}
    ),
    "mirror with more unreadable rows": Case(
        "unreadable_rows",
        "mirror",
        [UNREADABLE, *people(1, 100)],
        CUSTOMERS,
        None,
        {"allow_unreadable": True},
    ),
    "upload of too few rows": Case(
        "expected_rows", "upload", people(0, 89), CUSTOMERS | {"expect_rows": "90%"}
    ),
    "removal of too few rows": Case(
        "expected_rows", "upload", people(0, 9), CUSTOMERS | REMOVE | {"expect_rows": 10}
    ),
    "plan_upload of too few rows": Case(
        "expected_rows", "plan_upload", people(0, 89), CUSTOMERS | {"expect_rows": "90%"}
    ),
    "mirror of too few rows": Case(
        "expected_rows", "mirror", people(0, 99), CUSTOMERS | {"expect_rows": 100}
    ),
    "mirror of an empty source": Case("empty_source", "mirror", [], CUSTOMERS),
    "mirror of a list with unknown content": Case(
        "unknown_content", "mirror", people(0, 5), {}, seed_foreign, {"adopt": True}
    ),
    "upload of another type": Case(
        "list_type",
        "upload",
        MAIDS,
        CUSTOMERS | {"kind": "maid"},
        None,
        {"allow_other_type": True},
    ),
    "mirror of another type": Case(
        "list_type", "plan_mirror", MAIDS, CUSTOMERS | {"kind": "maid"}, None
    ),
    "upload to an ambiguous name": Case("ambiguous_name", "upload", people(0, 5), {}, seed_twins),
    "removal from an unknown list": Case(
        "no_list", "upload", people(0, 5), {"name": "Unknown"} | REMOVE
    ),
    "upload to a list that must be new": Case(
        "name_taken",
        "upload",
        people(0, 5),
        CUSTOMERS | {"must_be_new": True},
        None,
        {"must_be_new": False},
    ),
    "upload to a list that a lost request created": Case(
        "being_created", "upload", people(0, 5), {}, interrupt_creation
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_guard_refuses_a_job_and_sends_nothing(rig: Rig, case: Case) -> None:
    """With its code, and the argument that allows the job where there is one."""
    more = {} if case.prepare is None else case.prepare(rig)
    before = rig.members()
    with pytest.raises(GuardError) as caught:
        rig.call(case.method, case.source, **{**case.options, **more})
    assert caught.value.guard == case.guard
    assert rig.members() == before
    if case.permission is not None:
        for name in case.permission:
            assert name in str(caught.value) or not name.startswith(("allow", "adopt"))
        report = rig.call(case.method, case.source, **{**case.options, **more, **case.permission})
        assert report.status == "done"


def test_removal_of_a_small_share_is_not_refused(rig: Rig) -> None:
    """One fifth exactly is allowed."""
    report = rig.call("upload", people(0, 20), name=NAME, **REMOVE)
    assert report.removed == 20
    assert frozenset(rig.members()) == digests(people(20, 100))


def test_removal_from_a_list_without_stored_members_is_not_refused(rig: Rig) -> None:
    """A share of an unknown number cannot be computed."""
    (number,) = rig.emulator.seed_lists(ACCOUNT, 1, records=sorted(digests(people(0, 9))))
    report = rig.call("upload", people(0, 9), customer_list_id=number, **REMOVE)
    assert report.removed == 9


@pytest.mark.parametrize("method", ["upload", "plan_upload", "dry run"])
def test_records_that_are_not_on_the_list_do_not_count_as_removals(rig: Rig, method: str) -> None:
    """A file of everyone who has opted out contains few members of each list."""
    options = {"name": NAME, **REMOVE, **({"store": False} if method == "dry run" else {})}
    call = "upload" if method == "upload" else "plan_upload"
    report = rig.call(call, people(90, 390), **options)
    if method == "upload":
        assert report.removed == 300
        assert frozenset(rig.members()) == digests(people(0, 90))
    else:
        assert (report.remove, report.removal_share, report.guards) == (300, 0.1, {})
    members = len(rig.members())
    text = rf"{members - 60} of {members} records .* would be removed, more than 20%"
    with pytest.raises(GuardError, match=text):
        rig.call("upload", people(60, 390), name=NAME, **REMOVE)


UNKNOWN_MEMBERS: dict[str, Callable[[], Any]] = {
    "hashed with another algorithm": lambda: [digest(text, "md5") for text in people(0, 21)],
    "rows": lambda: prepare_rows(RecordRow(email=text) for text in people(0, 21)),
    "other people with another algorithm": lambda: [
        digest(text, "md5") for text in people(500, 521)
    ],
}


@pytest.mark.parametrize("source", UNKNOWN_MEMBERS.values(), ids=UNKNOWN_MEMBERS)
def test_records_that_cannot_be_compared_with_the_members_count_as_removals(
    rig: Rig, source: Callable[[], Any]
) -> None:
    """Each of them may be a member."""
    with pytest.raises(GuardError) as caught:
        rig.call("upload", source(), name=NAME, **REMOVE)
    assert caught.value.guard == "removals"
    assert "21 records of the source would be removed, more than 20% of the 100" in str(
        caught.value
    )
    assert len(rig.members()) == 100


def test_records_of_a_list_that_no_job_created_count_as_removals(rig: Rig) -> None:
    """The state file has only the members that were added by jobs."""
    (number,) = rig.emulator.seed_lists(ACCOUNT, 1, records=sorted(digests(people(0, 90))))
    rig.call("upload", people(90, 100), customer_list_id=number)
    with pytest.raises(GuardError, match="9 records of the source would be removed, more than"):
        rig.call("upload", people(0, 9), customer_list_id=number, **REMOVE)
    assert len(rig.emulator.members(number)) == 100


@pytest.mark.parametrize("stored", [True, False], ids=["plan", "json"])
def test_blocked_plan_of_an_upload_is_applied_only_with_permission(rig: Rig, stored: bool) -> None:
    plan = rig.call("plan_upload", people(0, 50), name=NAME, **REMOVE)
    assert set(plan.guards) == {"removals"}
    assert "50 of 100 records (50.0%) would be removed, more than 20%" in plan.blocked
    if not stored:
        plan = Plan.from_json(plan.to_json())
    with pytest.raises(GuardError, match="allow_removals=True") as caught:
        rig.call("apply", plan)
    assert caught.value.guard == "removals"
    with pytest.raises(GuardError):
        rig.call("apply", plan, allow_unreadable=True)
    assert len(rig.members()) == 100
    assert rig.call("apply", plan, allow_removals=True).removed == 50
    assert frozenset(rig.members()) == digests(people(50, 100))


@pytest.mark.parametrize("method", ["upload", "plan_upload", "mirror", "plan_mirror"])
def test_share_of_rejects_above_the_limit_is_an_error(rig: Rig, method: str) -> None:
    """The limit of the preparation counts in every job."""
    source = prepare([UNREADABLE, *people(0, 8)], max_reject_share=0.1)
    with pytest.raises(TooManyRejectsError):
        rig.call(method, source, name=NAME)
    assert len(rig.members()) == 100


@pytest.mark.parametrize("method", ["upload", "plan_upload"])
def test_new_list_without_records_is_an_error(rig: Rig, method: str) -> None:
    with pytest.raises(SourceError, match="no customer that can be sent; no list was created"):
        rig.call(method, [], name="New", must_be_new=True)
    assert len(rig.lists()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("email\n", "has no rows below its header"),
        (
            "email,id\n,1\n",
            r"no value in the column that was read, in 1 row.* choose another with column=",
        ),
    ],
)
def test_source_without_values_is_an_error_of_its_report(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "customers.csv"
    path.write_text(text)
    if not text:
        with pytest.raises(SourceError, match=message):
            prepare(path).run()
        return
    with pytest.raises(SourceError, match=message) as caught:
        prepare(path, column="email").run().check_has_values()
    assert caught.value.source == str(path)


def test_source_with_a_rejected_value_has_values() -> None:
    """All its rejects are not empty."""
    prepare([UNREADABLE, ""]).run().check_has_values()
