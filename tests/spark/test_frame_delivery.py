"""`mirror` of a DataFrame, with a snapshot in memory in place of Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from pinterest_audiences import (
    Client,
    ConfigurationError,
    GuardError,
    JobInterruptedError,
    NotFoundError,
    TooManyRejectsError,
    spark,
)
from pinterest_audiences._models import IdentifierType
from pinterest_audiences._spark_frames import _clean
from pinterest_audiences.emulator import Emulator
from pinterest_audiences.spark import FrameMirrorReport, FrameReport, mirror

pyarrow = pytest.importorskip("pyarrow", reason="Spark passes columns to Python by pyarrow")
ACCOUNT = "549755885175"


def digest(number: int) -> str:
    return sha256(f"p{number}@shop.de".encode()).hexdigest()


def digests(numbers: Iterable[int]) -> set[str]:
    return set(map(digest, numbers))


class Prepared:
    """Records of a source, in place of `PreparedFrame`."""

    def __init__(self, values: set[str]) -> None:
        self.values = values

    def report(self) -> FrameReport:
        count = len(self.values)
        return FrameReport(rows=count, records=count, duplicates=0, rejects={})


class MemorySnapshot(spark._Snapshot):
    """A snapshot whose files are in memory, and whose sources are sets of digests."""

    files: dict[str, Any]

    def __init__(self, df: set[str], root: str, owner: dict[str, Any]) -> None:
        self._source = df
        self._root = root
        self._owner = owner

    def prepare(self, column: str | None, kind: str) -> Any:
        number = self._committed_number()
        for other in self._numbers():
            if other != number:
                self._delete(self.folder(other))
        self.files[f"{self.folder(number + 1)}/outcomes"] = self._source
        return Prepared(self._source)

    def compare(self, prepared: Any, report: FrameReport, last: Any) -> dict[str, Any]:
        number = self._committed_number() + 1
        certain: set[str] = set()
        unsure: set[str] = set()
        if last is not None:
            refused = {group: set(values) for group, values in last["refused"].items()}
            unsure = refused["uncertain"]
            certain = self.files[f"{self.folder(number - 1)}/outcomes"] | refused["present"]
            certain -= refused["absent"] | unsure
        changes = {
            "ADD": self._source - certain,
            "REMOVE": (certain | unsure) - self._source,
        }
        parts = [
            {"operation": operation, "files": sorted(values), "count": len(values)}
            for operation, values in changes.items()
            if values
        ]
        return {
            **self._owner,
            "snapshot_id": "memory",
            "number": number,
            "source": report.to_dict(),
            "records": report.records,
            "add": len(changes["ADD"]),
            "remove": len(changes["REMOVE"]),
            "parts": parts,
        }

    def part(self, plan: Any, part: Any) -> Any:
        return pyarrow.table({"digest": part["files"]})

    def _numbers(self) -> list[int]:
        return sorted({int(path.removeprefix(self._root).split("/")[1]) for path in self.files})

    def _read(self, path: str) -> Any:
        return self.files.get(path)

    def _write(self, path: str, manifest: Any) -> None:
        self.files[path] = manifest

    def _delete(self, path: str) -> None:
        for name in list(self.files):
            if name == path or name.startswith(f"{path}/"):
                del self.files[name]


class Refusing(httpx.AsyncBaseTransport):
    """Refuses every request with one of some records, and counts the requests that write."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.refused: set[str] = set()
        self.writes = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = (await request.aread()).decode()
        self.writes += request.method != "GET"
        if any(record in body for record in self.refused):
            return httpx.Response(400, json={"code": 1, "message": "Invalid record"})
        return await self.inner.handle_async_request(request)


class Lists:
    """A snapshot in memory, and an emulator."""

    def __init__(self, folder: Path) -> None:
        self.emulator = Emulator(processing_seconds=0, rate_limits=None)
        self.wire = Refusing(cast("httpx.AsyncBaseTransport", self.emulator.transport()))
        self.client = Client("token", transport=self.wire)
        self.states = folder / "states"

    def mirror(self, numbers: Iterable[int], **options: Any) -> FrameMirrorReport:
        arguments: dict[str, Any] = {
            "client": self.client,
            "ad_account_id": ACCOUNT,
            "state_folder": self.states,
            "allow_removals": True,
            **({} if "customer_list_id" in options else {"name": "Buyers"}),
            **options,
        }
        return mirror(cast("Any", digests(numbers)), "memory:", **arguments)

    def members(self, name: str = "Buyers") -> set[object]:
        found = self.client.find_customer_list(ACCOUNT, name)
        return set(self.emulator.members(found.id))

    def create(self, name: str, number: int = 999) -> str:
        return self.client.customer_lists_create(ACCOUNT, name=name, records=[digest(number)]).id


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lists]:
    monkeypatch.setattr(MemorySnapshot, "files", {}, raising=False)
    monkeypatch.setattr(spark, "_Snapshot", MemorySnapshot)
    monkeypatch.setattr(spark, "text_column", lambda *_: None)
    result = Lists(tmp_path)
    with result.client:
        yield result


def test_refused_addition_is_sent_again_by_the_next_run(lists: Lists) -> None:
    lists.wire.refused = {digest(5)}
    first = lists.mirror(range(40))
    assert (first.added, first.refused) == (39, 1)
    assert first.findings == ("Pinterest refused 1 record individually (400); left out",)
    assert lists.members() == digests(range(40)) - {digest(5)}
    lists.wire.refused = set()
    second = lists.mirror(range(40))
    assert (second.added, second.refused, second.kept) == (1, 0, 39)
    assert lists.members() == digests(range(40))


def test_refused_addition_that_left_the_source_is_not_removed(lists: Lists) -> None:
    lists.wire.refused = {digest(5)}
    lists.mirror(range(40))
    writes = lists.wire.writes
    report = lists.mirror(set(range(40)) - {5})
    assert (report.added, report.removed, report.refused) == (0, 0, 0)
    assert lists.wire.writes == writes


def test_refused_removal_is_sent_again_until_it_is_accepted(lists: Lists) -> None:
    lists.mirror(range(40))
    lists.wire.refused = {digest(35)}
    report = lists.mirror(range(30))
    assert (report.removed, report.refused) == (9, 1)
    # Only the refused record is left to send; its refusal does not block the snapshot.
    report = lists.mirror(range(30))
    assert (report.removed, report.refused) == (0, 1)
    assert report.findings == ("Pinterest refused the last 1 records of a part (400)",)
    assert lists.members() == digests([*range(30), 35])
    lists.wire.refused = set()
    assert lists.mirror(range(30)).removed == 1
    assert lists.members() == digests(range(30))


def test_refused_removal_that_returns_to_the_source_is_kept(lists: Lists) -> None:
    lists.mirror(range(40))
    lists.wire.refused = {digest(35)}
    lists.mirror(range(30))
    report = lists.mirror([*range(30), 35])
    assert (report.added, report.removed, report.kept) == (0, 0, 31)
    assert lists.members() == digests([*range(30), 35])


def test_record_refused_after_a_resumed_part_is_removed_when_it_leaves(lists: Lists) -> None:
    """An earlier job of the part may have added it, so its removal is sent in any case."""
    lists.mirror(range(40))
    lists.emulator.fault("status", status=403, operation="customer_lists_update", times=None)
    with pytest.raises(JobInterruptedError):
        lists.mirror(range(60), retry_timeout=0.01)
    lists.emulator.faults.clear()
    [state] = lists.states.glob("*.sqlite3")
    lists.client.resume(ACCOUNT, state=state)
    assert lists.members() == digests(range(60))
    lists.wire.refused = {digest(55)}
    assert lists.mirror(range(60)).finished
    lists.wire.refused = set()
    lists.mirror(range(50))
    assert lists.members() == digests(range(50))


def test_large_part_of_which_everything_is_refused_is_an_error(lists: Lists) -> None:
    lists.mirror(range(40))
    lists.wire.refused = digests(range(40, 300))
    with pytest.raises(JobInterruptedError):
        lists.mirror(range(300))
    lists.wire.refused = set()
    lists.mirror(range(300))
    assert lists.members() == digests(range(300))


@pytest.mark.parametrize("adopt", [True, False])
def test_wrong_list_id_is_an_error_before_anything_is_stored(lists: Lists, adopt: bool) -> None:
    created = lists.create("Other")
    for _ in range(2):
        with pytest.raises(NotFoundError):
            lists.mirror(range(5), customer_list_id="123", adopt=adopt)
    assert MemorySnapshot.files == {}
    report = lists.mirror(range(5), customer_list_id=created, adopt=True)
    assert report.customer_list_id == created
    assert lists.members("Other") >= digests(range(5))


def test_plan_of_which_nothing_was_sent_is_discarded_for_another_list(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = lists.create("First"), lists.create("Second")
    with monkeypatch.context() as patch:
        patch.setattr(spark._Delivery, "run", crash)
        with pytest.raises(Crash):
            lists.mirror(range(5), customer_list_id=first, adopt=True)
    with pytest.raises(GuardError) as refused:
        lists.mirror(range(5), customer_list_id=second)
    assert refused.value.guard == "unknown_content"
    report = lists.mirror(range(9), customer_list_id=second, adopt=True)
    assert (report.customer_list_id, report.finished) == (second, False)
    assert lists.members("First") == {digest(999)}
    with pytest.raises(ConfigurationError, match="snapshot belongs to another list"):
        lists.mirror(range(9), customer_list_id=first, adopt=True)


def test_plan_that_was_partly_sent_is_not_discarded(lists: Lists) -> None:
    lists.emulator.fault("status", status=403, operation="customer_lists_create", times=None)
    with pytest.raises(JobInterruptedError):
        lists.mirror(range(5), retry_timeout=0.01)
    lists.emulator.faults.clear()
    with pytest.raises(ConfigurationError, match="snapshot belongs to another list"):
        lists.mirror(range(5), name="Other")
    assert lists.mirror(range(5)).finished
    assert lists.members() == digests(range(5))


class Crash(BaseException):
    """A crash that nothing catches."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def test_list_created_by_others_before_the_first_upload_is_refused(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the run was interrupted or not, and again at the next attempt."""
    with monkeypatch.context() as patch:
        patch.setattr(spark._Delivery, "run", crash)
        with pytest.raises(Crash):
            lists.mirror(range(5))
    deliver = spark._Delivery.run

    def created_meanwhile(*arguments: Any) -> Any:
        lists.create("Buyers")
        return deliver(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(spark._Delivery, "run", created_meanwhile)
        with pytest.raises(GuardError) as refused:
            lists.mirror(range(5))
    assert refused.value.guard == "name_taken"
    with pytest.raises(GuardError) as refused:
        lists.mirror(range(5))
    assert refused.value.guard == "unknown_content"
    assert lists.members() == {digest(999)}
    lists.mirror(range(5), adopt=True)
    assert lists.members() == digests([*range(5), 999])


def test_list_whose_first_delivery_was_interrupted_is_continued(lists: Lists) -> None:
    lists.emulator.fault("status", status=403, operation="customer_lists_update", times=None)
    with pytest.raises(JobInterruptedError):
        lists.mirror(range(40), batch_size=10, retry_timeout=0.01)
    lists.emulator.faults.clear()
    report = lists.mirror(range(50))
    assert (report.added, report.finished) == (10, True)
    assert lists.members() == digests(range(50))


def test_name_of_digits_is_not_looked_up_as_an_id(lists: Lists) -> None:
    lists.mirror(range(5), name="2024")
    lists.mirror(range(6), name="2024")
    (item,) = lists.client.customer_lists_list(ACCOUNT).collect()
    assert item.name == "2024"
    assert set(lists.emulator.members(item.id)) == digests(range(6))


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"max_reject_share": float("nan")}, "max_reject_share"),
        ({"max_reject_share": 5}, "max_reject_share"),
        ({"max_reject_share": -0.1}, "max_reject_share"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"retry_timeout": 0}, "retry_timeout"),
        ({"retry_timeout": float("nan")}, "retry_timeout"),
        ({"customer_list_id": "Buyers"}, "customer_list_id"),
        ({"ad_account_id": "me"}, "ad_account_id"),
        ({"name": " "}, "name"),
    ],
)
def test_invalid_argument_is_an_error_before_anything_is_read(
    lists: Lists, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        lists.mirror(range(5), **options)
    assert caught.value.param == param
    assert MemorySnapshot.files == {}


@pytest.mark.parametrize(
    ("options", "error"),
    [({"expect_rows": 100}, GuardError), ({"max_reject_share": 0.0}, TooManyRejectsError)],
)
def test_guard_after_an_interrupted_delivery_says_that_it_was_sent(
    lists: Lists,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    error: type[Exception],
) -> None:
    lists.mirror(range(5))
    with monkeypatch.context() as patch:
        patch.setattr(spark._Delivery, "run", crash)
        with pytest.raises(Crash):
            lists.mirror(range(6))
    rejects = FrameReport(rows=9, records=8, duplicates=0, rejects={"no_at_sign": 1})  # type: ignore[dict-item]
    monkeypatch.setattr(Prepared, "report", lambda _: rejects)
    with pytest.raises(error, match="after the interrupted delivery was sent"):
        lists.mirror(range(7), **options)
    assert lists.members() == digests(range(6))


@pytest.mark.parametrize("kind", ["string", "large_string"])
def test_text_that_is_not_utf8_is_a_reject(kind: str) -> None:
    cells = [b"ann@shop.de", b"m\xfcller@shop.de", None, "müller@shop.de".encode()]
    binary = pyarrow.array(cells, "large_binary" if kind == "large_string" else "binary")
    text = getattr(pyarrow, kind)()
    values = pyarrow.Array.from_buffers(text, len(cells), binary.buffers())
    outcomes = _clean(values, IdentifierType.EMAIL).to_pylist()
    assert outcomes[1] == ["reject:replacement_character"]
    assert outcomes[2] is None
    expected = [sha256(cells[at] or b"").hexdigest() for at in (0, 3)]
    assert [outcomes[0], outcomes[3]] == [[expected[0]], [expected[1]]]


class _Files:
    """A file system of Hadoop that cannot rename files."""

    def create(self, *_: object) -> Any:
        class Stream:
            def write(self, data: bytearray) -> None:
                assert data

            def close(self) -> None:
                pass

        return Stream()

    def rename(self, *_: object) -> bool:
        return False


def test_file_that_is_not_renamed_is_an_error() -> None:
    store: Any = object.__new__(spark._Snapshot)
    store._files, store._path = _Files(), str
    write = cast("Callable[..., None]", store._write)
    with pytest.raises(OSError, match=r"done\.json"):
        write("s3a://bucket/done.json", {})
