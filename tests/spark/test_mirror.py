"""`mirror` of a Spark DataFrame makes a list equal to it, also after crashes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pinterest_audiences import (
    Client,
    ConfigurationError,
    GuardError,
    JobInterruptedError,
    TooManyRejectsError,
)
from pinterest_audiences.emulator import Emulator
from pinterest_audiences.spark import FrameMirrorReport, _Snapshot, mirror

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ACCOUNT = "549755885175"


def people(numbers: Iterable[int]) -> list[str]:
    return [f"Person{number}@Shop.de" for number in numbers]


def digests(numbers: Iterable[int]) -> set[str]:
    return {sha256(email.lower().encode()).hexdigest() for email in people(numbers)}


class Lists:
    """A snapshot, and a list at an emulator."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark = spark
        self.folder = folder
        self.emulator = Emulator(processing_seconds=0, rate_limits=None)
        self.client = Client("token", transport=self.emulator.transport())
        self.states = folder / "states"

    def frame(self, values: Iterable[str | None]) -> DataFrame:
        return self.spark.createDataFrame([(value,) for value in values], "email string")

    def mirror(self, values: Iterable[str | None], **options: Any) -> FrameMirrorReport:
        arguments: dict[str, Any] = {
            "client": self.client,
            "ad_account_id": ACCOUNT,
            "state_folder": self.states,
            **({} if "customer_list_id" in options else {"name": "Buyers"}),
            **options,
        }
        return mirror(self.frame(values), f"file:{self.folder}/snapshot", **arguments)

    def members(self) -> set[object]:
        lists = self.client.customer_lists_list(ACCOUNT).collect()
        assert len(lists) <= 1
        return set(self.emulator.members(lists[0].id)) if lists else set()

    def stored(self) -> list[str]:
        """Return the files of the snapshot, without those of Spark."""
        root = self.folder / "snapshot"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*.json"))


@pytest.fixture
def lists(spark: SparkSession, tmp_path: Path) -> Iterator[Lists]:
    made = Lists(spark, tmp_path)
    with made.client:
        yield made


def test_list_equals_each_source_and_only_changes_are_sent(lists: Lists) -> None:
    first = lists.mirror([*people(range(300)), *people(range(10)), None])
    assert (first.added, first.removed, first.kept, first.source.rows) == (300, 0, 0, 311)
    assert lists.members() == digests(range(300))
    second = lists.mirror(people(range(20, 330)))
    assert (second.added, second.removed, second.kept) == (30, 20, 280)
    assert second.customer_list_id == first.customer_list_id
    assert lists.members() == digests(range(20, 330))
    sent = lists.client.customer_lists_get(ACCOUNT, str(first.customer_list_id))
    third = lists.mirror(people(range(20, 330)))
    assert (third.added, third.removed, third.kept) == (0, 0, 310)
    again = lists.client.customer_lists_get(ACCOUNT, str(first.customer_list_id))
    assert again.num_batches == sent.num_batches
    # Only the last snapshot is left, without changes, and no state file.
    assert lists.stored() == ["00000003/done.json", "00000003/plan.json"]
    assert not (lists.folder / "snapshot" / "00000003" / "changes").exists()
    assert list(lists.states.iterdir()) == []


def test_guards_refuse_and_nothing_is_sent(lists: Lists) -> None:
    lists.mirror(people(range(300)))
    for values, options, error, guard in (
        (people(range(200)), {}, GuardError, "removals"),
        (["none", None], {}, GuardError, "empty_source"),
        (people(range(290)), {"expect_rows": 0.99}, GuardError, "expected_rows"),
        ([*people(range(290)), "ann at shop.de"], {}, GuardError, "unreadable_rows"),
        ([*people(range(9)), "x y"], {"max_reject_share": 0.05}, TooManyRejectsError, None),
        (people(range(300)), {"name": "Other"}, ConfigurationError, None),
        (people(range(300)), {"ad_account_id": "1"}, ConfigurationError, None),
        (people(range(300)), {"kind": "maid"}, ConfigurationError, None),
        (people(range(300)), {"customer_list_id": "1", "name": "x"}, ConfigurationError, None),
    ):
        with pytest.raises(error) as caught:
            lists.mirror(values, **options)
        assert getattr(caught.value, "guard", None) == guard
        assert lists.members() == digests(range(300))
    lists.mirror(people(range(200)), allow_removals=True)
    assert lists.members() == digests(range(200))
    lists.mirror([*people(range(190)), "ann at shop.de"], allow_unreadable=True)
    assert lists.members() == digests(range(190))


def test_list_without_a_snapshot_is_refused_unless_adopted(lists: Lists) -> None:
    created = lists.client.customer_lists_create(ACCOUNT, name="Buyers", records=people([1]))
    for target in ({"name": "Buyers"}, {"customer_list_id": created.id}):
        with pytest.raises(GuardError) as caught:
            lists.mirror(people(range(5)), **target)
        assert caught.value.guard == "unknown_content"
    report = lists.mirror(people(range(5)), customer_list_id=created.id, adopt=True)
    assert report.customer_list_id == created.id
    assert lists.members() >= digests(range(5))


def test_interrupted_delivery_is_finished_before_the_next_comparison(lists: Lists) -> None:
    """What the interrupted run removed, and the next one adds, is on the list."""
    lists.mirror(people(range(300)))
    lists.emulator.fault("status", status=403, operation="customer_lists_update", times=None)
    with pytest.raises(JobInterruptedError):
        lists.mirror(people(range(50, 320)), retry_timeout=0.01)
    lists.emulator.faults.clear()
    report = lists.mirror(people(range(320)))
    assert (report.added, report.removed, report.finished) == (50, 0, True)
    assert lists.members() == digests(range(320))


def test_comparison_includes_what_pinterest_refused(lists: Lists) -> None:
    lists.mirror(people(range(40)))
    [path] = (lists.folder / "snapshot").glob("*/done.json")
    done = json.loads(path.read_text())
    assert done["refused"] == {"absent": [], "present": [], "uncertain": []}
    for group, numbers in {"absent": [4, 5], "present": [100], "uncertain": [6, 7, 200]}.items():
        done["refused"][group] = sorted(digests(numbers))
    path.write_text(json.dumps(done))
    path.with_name(".done.json.crc").unlink(missing_ok=True)
    store = _Snapshot(
        lists.frame(people({*range(41)} - {4, 7})),
        f"file:{lists.folder}/snapshot",
        {name: done[name] for name in ("service", "ad_account_id", "kind")},
    )
    prepared = store.prepare("email", "email")
    plan = store.compare(prepared, prepared.report(), store.committed())
    changes: dict[str, set[str]] = {}
    for part in plan["parts"]:
        changes[part["operation"]] = set(store.part(plan, part)["digest"].to_pylist())
    assert changes == {"ADD": digests([5, 6, 40]), "REMOVE": digests([7, 100, 200])}


class Crash(BaseException):
    """A crash that nothing catches."""


class Steps:
    """Counts the steps of a run that change anything, and crashes before or after one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.crash_at = 0
        for owner, name in (
            (_Snapshot, "_write"),
            (_Snapshot, "_delete"),
            (Client, "upload"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, call: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            self._step()
            result = call(*arguments, **options)
            self._step()
            return result

        return counted

    def _step(self) -> None:
        self.count += 1
        if self.count == self.crash_at:
            raise Crash


@pytest.mark.once
def test_crash_at_any_step_loses_nothing(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run, with a third source, makes the list equal to its source."""
    steps = Steps(monkeypatch)
    crashes = 0
    for crash_at in range(1, 100):
        steps.count, steps.crash_at = 0, crash_at
        try:
            lists.mirror(people(range(20, 300 + 2 * crash_at)))
        except Crash:
            crashes += 1
        else:
            break
        steps.crash_at = 0
        # Adds what the interrupted run removes, and removes some of what it adds.
        source = [*range(10), *range(20, 301 + 2 * crash_at)]
        lists.mirror(people(source))
        assert lists.members() == digests(source), crash_at
    assert crashes > 10
