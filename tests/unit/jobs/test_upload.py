"""Uploads: every record of a source is sent once to the right list, or nothing is."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.jobs import ACCOUNT, NAME, Rig, adds_up, digest, digests, people

from pinterest_audiences import (
    ConfigurationError,
    GuardError,
    IdentifierType,
    NotFoundError,
    SourceError,
    TooManyRejectsError,
    prepare,
    prepare_rows,
)

pytestmark = pytest.mark.anyio


async def test_upload_to_an_unused_name_creates_the_list(rig: Rig, small_batches: int) -> None:
    """Once, with the first batch; the other batches are added."""
    report = await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(0, 25))
    assert [item.method for item in rig.wire.writes] == ["POST", "PATCH", "PATCH"]
    assert (report.created, report.status, report.kind) == (True, "done", "upload")
    assert (report.planned, report.added, report.left, report.sent_twice) == (25, 25, 0, 0)
    assert report.customer_list_id == (await rig.lists())[0]
    assert report.batches == 3
    assert adds_up(report)


async def test_second_upload_by_name_uses_the_same_list(rig: Rig) -> None:
    """It is in the state file, so no list is created or looked up."""
    first = await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    rig.emulator.seed_lists(ACCOUNT, 1, name=NAME)
    second = await rig.client.upload(ACCOUNT, people(5, 9), name=NAME, state=rig.state)
    assert second.customer_list_id == first.customer_list_id
    assert not second.created
    assert rig.emulator.members(first.customer_list_id or "") == digests(people(0, 9))


async def test_list_is_found_by_name_at_pinterest(rig: Rig) -> None:
    """Its members stay."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=[digest("old@shop.example")])
    rig.emulator.seed_lists(ACCOUNT, 3, name="Other {}")
    report = await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    assert (report.customer_list_id, report.created) == (there, False)
    assert await rig.members() == digests([*people(0, 5), "old@shop.example"])


async def test_ambiguous_name_is_refused(rig: Rig) -> None:
    """The error has the ids; nothing is sent."""
    twins = rig.emulator.seed_lists(ACCOUNT, 2, name=NAME)
    with pytest.raises(GuardError, match="2 lists are called 'Customers'") as refused:
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    assert refused.value.guard == "ambiguous_name"
    assert all(twin in str(refused.value) for twin in twins)
    assert rig.wire.writes == []


async def test_name_in_another_account_is_another_list(rig: Rig) -> None:
    one = await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    other = await rig.client.upload("777", people(5, 9), name=NAME, state=rig.state)
    assert other.created
    assert rig.emulator.members(one.customer_list_id or "") == digests(people(0, 5))
    assert rig.emulator.members(other.customer_list_id or "") == digests(people(5, 9))


async def test_empty_upload_does_not_hide_a_list_created_later(rig: Rig) -> None:
    """The list at Pinterest is used."""
    empty = await rig.client.upload(ACCOUNT, [], name=NAME, state=rig.state)
    assert empty.customer_list_id is None
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME)
    report = await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    assert (report.customer_list_id, report.created) == (there, False)
    again = await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    assert again.customer_list_id == there
    assert len(await rig.lists()) == 1


async def test_add_and_remove_by_id(rig: Rig, small_batches: int) -> None:
    """Only the records of the source are removed."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, records=sorted(digests(people(100, 110))))
    added = await rig.client.upload(ACCOUNT, people(0, 25), customer_list_id=there, state=rig.state)
    removed = await rig.client.upload(
        ACCOUNT,
        people(5, 105),
        customer_list_id=int(there),
        operation="REMOVE",
        allow_removals=True,
        state=rig.state,
    )
    assert rig.emulator.members(there) == digests([*people(0, 5), *people(105, 110)])
    assert (added.added, added.removed) == (25, 0)
    assert (removed.added, removed.removed) == (0, 100)
    assert adds_up(added)
    assert adds_up(removed)


async def test_unknown_list_id_is_an_error(rig: Rig) -> None:
    """The API's error is raised, and nothing is stored."""
    with pytest.raises(NotFoundError):
        await rig.client.upload(ACCOUNT, people(0, 5), customer_list_id="1", state=rig.state)
    assert await rig.client.status(ACCOUNT, state=rig.state) == []


async def test_removal_from_an_unknown_name_is_refused(rig: Rig) -> None:
    """No list is created for it."""
    with pytest.raises(GuardError, match="nothing can be removed from it"):
        await rig.client.upload(
            ACCOUNT, people(0, 5), name=NAME, operation="REMOVE", state=rig.state
        )
    assert rig.wire.writes == []


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": NAME, "customer_list_id": "1"},
        {"name": " "},
        {"name": NAME, "operation": "MOVE"},
        {"name": NAME, "kind": "fax"},
        {"name": NAME, "retry_timeout": 0},
    ],
)
async def test_invalid_arguments_are_refused(rig: Rig, wrong: dict[str, str]) -> None:
    """Before the source is read."""
    read: list[str] = []

    def source() -> Iterator[str]:
        read.append("read")
        yield "ann@shop.example"

    with pytest.raises(ConfigurationError):
        await rig.client.upload(ACCOUNT, source(), state=rig.state, **wrong)  # type: ignore[call-overload]  # wrong on purpose
    assert (read, rig.wire.sent) == ([], [])


async def test_duplicates_are_sent_once(rig: Rig, small_batches: int) -> None:
    """However they are written, and wherever they are in the source."""
    doubled = [*people(0, 25), *(text.upper() for text in people(0, 25)), " person3@shop.example "]
    report = await rig.client.upload(ACCOUNT, doubled, name=NAME, state=rig.state)
    sent = [record for item in rig.wire.writes for record in item.records]
    assert len(sent) == len(set(sent)) == report.planned == 25


async def test_rows_are_uploaded_as_records_v2(rig: Rig, small_batches: int) -> None:
    """With their columns; equal rows once."""
    customers = [
        {"email": text, "maid": digest(text, "md5"), "external_id": text[6:8]}
        for text in people(10, 35)
    ]
    report = await rig.client.upload(
        ACCOUNT,
        prepare_rows([*customers, *customers]),
        name=NAME,
        keep_unhashed=True,
        state=rig.state,
    )
    assert report.planned == 25
    assert await rig.members() == {
        (("email", digest(text)), ("external_id", text[6:8]), ("maid", digest(text, "md5")))
        for text in people(10, 35)
    }


async def test_hashes_of_several_algorithms_are_sent_unchanged(
    rig: Rig, small_batches: int
) -> None:
    """Each algorithm in separate batches."""
    hashes = {
        digest(text, ("sha256", "sha1", "md5")[number % 3])
        for number, text in enumerate(people(0, 60))
    }
    report = await rig.client.upload(ACCOUNT, sorted(hashes), name=NAME, state=rig.state)
    assert report.added == 60
    assert await rig.members() == hashes


async def test_upload_of_an_empty_source_sends_nothing_and_has_a_finding(rig: Rig) -> None:
    report = await rig.client.upload(ACCOUNT, [], name=NAME, state=rig.state)
    assert (report.status, report.planned, report.batches) == ("done", 0, 0)
    assert report.findings == ("the source has no records; nothing was sent",)
    assert rig.wire.writes == []


@pytest.mark.slow
async def test_source_that_fails_at_60_percent_sends_nothing(rig: Rig) -> None:

    def source() -> Iterator[str]:
        yield from people(0, 30_000)
        raise OSError("the database has gone")

    with pytest.raises(SourceError, match="OSError; the items after that are missing") as failed:
        await rig.client.upload(ACCOUNT, source(), name=NAME, state=rig.state)
    assert failed.value.row == 30_000
    assert rig.wire.writes == []


async def test_async_source_that_fails_sends_nothing(rig: Rig) -> None:
    """One that does not fail is sent."""

    async def source(*, fails: bool) -> AsyncIterator[str]:
        for text in people(0, 30):
            yield text
        if fails:
            raise OSError("the database has gone")

    with pytest.raises(SourceError):
        await rig.client.upload(ACCOUNT, source(fails=True), name=NAME, state=rig.state)
    assert rig.wire.writes == []
    await rig.client.upload(ACCOUNT, source(fails=False), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(0, 30))


@pytest.mark.slow
async def test_truncated_gzip_sends_nothing(rig: Rig, tmp_path: Path) -> None:
    """An incomplete transfer looks like a smaller file."""
    path = tmp_path / "customers.csv.gz"
    whole = gzip.compress("\n".join(["email", *people(0, 20_000)]).encode())
    path.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(SourceError, match=r"customers\.csv\.gz"):
        await rig.client.upload(ACCOUNT, path, name=NAME, state=rig.state)
    assert rig.wire.writes == []
    path.write_bytes(whole)
    await rig.client.upload(ACCOUNT, path, name=NAME, column="email", state=rig.state)
    assert await rig.members() == digests(people(0, 20_000))


async def test_too_many_rejects_send_nothing(rig: Rig) -> None:
    """The limit of the preparation applies to jobs."""
    ready = prepare([*people(0, 5), "nonsense"], max_reject_share=0.1)
    with pytest.raises(TooManyRejectsError):
        await rig.client.upload(ACCOUNT, ready, name=NAME, state=rig.state)
    assert rig.wire.writes == []


async def test_report_has_the_counts_of_the_source(rig: Rig) -> None:
    """Rejected values by reason."""
    report = await rig.client.upload(
        ACCOUNT, [*people(0, 5), "nonsense"], name=NAME, state=rig.state
    )
    assert isinstance(report.source, dict)
    assert report.source["rows"] == 6
    assert report.source["rejects"] == {"no_at_sign": 1}


async def test_plain_records_are_refused(rig: Rig) -> None:
    """The state file must not contain plain identifiers."""
    ready = prepare(people(0, 5), plain_emails=True)
    with pytest.raises(ConfigurationError, match="prepare the records without plain_emails"):
        await rig.client.upload(ACCOUNT, ready, name=NAME, state=rig.state)
    rows = prepare_rows([{"email": text} for text in people(0, 5)], plain_emails=True)
    with pytest.raises(
        ConfigurationError, match=r"email .* prepare the records without plain_emails"
    ):
        await rig.client.upload(ACCOUNT, rows, name=NAME, keep_unhashed=True, state=rig.state)
    assert rig.wire.writes == []


@pytest.mark.parametrize("kind", ["lr_id", "dlx_id"])
async def test_kinds_that_are_not_hashed_are_refused(rig: Rig, kind: str) -> None:
    """With a suggestion."""
    with pytest.raises(ConfigurationError, match=rf"kind {kind} .* customer_lists_update"):
        await rig.client.upload(
            ACCOUNT, ["XY12"], name=NAME, kind=IdentifierType(kind), state=rig.state
        )
    assert rig.wire.sent == []


async def test_unhashed_columns_require_keep_unhashed(rig: Rig) -> None:
    """An IP address is not hashed."""
    rows = prepare_rows([{"email": people(0, 1)[0], "ip_address": "192.0.2.1"}])
    with pytest.raises(ConfigurationError, match=r"ip_address .* keep_unhashed=True"):
        await rig.client.upload(ACCOUNT, rows, name=NAME, state=rig.state)
    assert rig.wire.writes == []


async def test_state_file_and_its_companions_are_private(rig: Rig) -> None:
    """SQLite's files, the locks and the created directory."""
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    files = list(rig.state.parent.iterdir())
    assert rig.state in files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert rig.state.parent.stat().st_mode & 0o777 == 0o700


async def test_async_source_is_closed_when_a_record_is_refused(rig: Rig) -> None:
    """At once, and not by the garbage collector."""
    ended: list[str] = []

    async def source() -> AsyncIterator[str]:
        try:
            for text in people(0, 30_000):
                yield text
        finally:
            ended.append("closed")

    ready = prepare(source(), plain_emails=True)
    with pytest.raises(ConfigurationError, match="prepare the records without plain_emails"):
        await rig.client.upload(ACCOUNT, ready, name=NAME, state=rig.state)
    assert ended == ["closed"]
