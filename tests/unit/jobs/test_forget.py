"""Erasure: an erased person is on no list and not in the state file afterwards."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from support.jobs import ACCOUNT, NAME, Rig, Wire, ask, digest, digests, people, state_bytes

from pinterest_audiences import (
    ConfigurationError,
    HashAlgorithm,
    JobInterruptedError,
    SourceError,
    prepare,
    prepare_rows,
)
from pinterest_audiences._jobs.state import State

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ANN = "ann@shop.example"
ALGORITHMS = ("sha256", "sha1", "md5")


def traces(state: Path, *texts: str) -> list[str]:
    """Return which digests of these people are in the bytes of a state, in any spelling."""
    held = state_bytes(state)
    return [
        f"{algorithm} of {text}"
        for text in texts
        for algorithm in ALGORITHMS
        for spelling in (
            bytes.fromhex(digest(text, algorithm)),
            digest(text, algorithm).encode(),
            digest(text, algorithm).upper().encode(),
        )
        if spelling in held
    ]


async def test_erased_person_is_removed_from_every_list_and_the_state(
    rig: Rig, small_batches: int
) -> None:
    """All others stay, also those of the same batch."""
    for name in ("One", "Two"):
        await rig.client.upload(ACCOUNT, [*people(0, 25), ANN], name=name, state=rig.state)
    await rig.client.upload("777", [*people(0, 5), ANN], name="Three", state=rig.state)
    await rig.client.upload(ACCOUNT, people(0, 5), name="Without", state=rig.state)
    assert traces(rig.state, ANN)
    receipt = await rig.client.forget(" Ann@Shop.example", reference="GDPR-17", state=rig.state)
    assert receipt.complete
    assert (receipt.reference, receipt.people, receipt.unusable) == ("GDPR-17", 1, 0)
    assert [(item.name, item.records) for item in receipt.lists] == [
        ("One", 1),
        ("Two", 1),
        ("Three", 1),
        ("Without", 0),
    ]
    assert await rig.members("One") == await rig.members("Two") == digests(people(0, 25))
    assert traces(rig.state, ANN) == []
    assert len(traces(rig.state, *people(0, 25))) == 25


@pytest.mark.parametrize("older", [False, True])
async def test_erased_person_is_removed_from_an_abandoned_upload(
    rig: Rig, small_batches: int, older: bool
) -> None:
    """The digest was never sent and is in no segment; it must not stay in the file either."""
    await rig.client.mirror(ACCOUNT, people(0, 20), name=NAME, state=rig.state)
    rig.emulator.fault("status", status=403, operation="customer_lists_update", times=1)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, [ANN], name=NAME, state=rig.state)
    (kept,) = ask(rig.state, "SELECT batch_id, hex(keys) FROM content ORDER BY batch_id DESC")[:1]
    assert bytes.fromhex(str(kept[1])) == bytes.fromhex(digest(ANN))
    report = await rig.client.mirror(ACCOUNT, people(0, 20), name=NAME, state=rig.state)
    assert report.planned == 0
    if older:  # as a version left it that kept the keys of what it gave up
        with closing(sqlite3.connect(rig.state)) as sql:
            sql.execute("INSERT INTO content VALUES (?, ?)", (kept[0], bytes.fromhex(str(kept[1]))))
            sql.commit()
        assert traces(rig.state, ANN)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert receipt.complete
    assert ask(rig.state, "SELECT count(*) FROM content") == [(0,)]
    assert bytes.fromhex(digest(ANN)) not in state_bytes(rig.state)
    assert traces(rig.state, ANN) == []
    assert await rig.members() == digests(people(0, 20))
    (found,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert [job.dropped for job in found.jobs] == [0, 1, 0]


async def test_receipt_contains_no_identifiers(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, [*people(0, 5), ANN], name=NAME, state=rig.state)
    receipt = await rig.client.forget(ANN, reference="GDPR-17", state=rig.state)
    data = json.loads(receipt.to_json())
    assert data["begun"] == rig.clock.time()
    assert data["lists"][0]["customer_list_id"] == (await rig.lists())[0]
    assert str(receipt).splitlines()[0] == "forget GDPR-17: 1 identifier"
    assert "1 record removed" in str(receipt)
    for text in (receipt.to_json(), str(receipt), repr(receipt)):
        assert "ann" not in text
        assert digest(ANN) not in text


async def test_erasure_can_be_limited_to_one_account(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, [ANN], name="One", state=rig.state)
    other = await rig.client.upload("777", [ANN], name="Two", state=rig.state)
    receipt = await rig.client.forget(ANN, ad_account_id=int(ACCOUNT), state=rig.state)
    assert [item.name for item in receipt.lists] == ["One"]
    assert await rig.members("One") == frozenset()
    assert rig.emulator.members(other.customer_list_id or "") == {digest(ANN)}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_erasure_finds_every_hash_of_an_identifier(rig: Rig, algorithm: str) -> None:
    """A plain identifier or one of its hashes is enough, however the list is hashed."""
    ready = prepare([ANN, *people(0, 9)], algorithm=HashAlgorithm(algorithm))
    await rig.client.upload(ACCOUNT, ready, name=NAME, state=rig.state)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert (receipt.lists[0].records, traces(rig.state, ANN)) == (1, [])
    (someone,) = people(3, 4)
    receipt = await rig.client.forget(digest(someone, algorithm).upper(), state=rig.state)
    assert (receipt.lists[0].records, traces(rig.state, someone)) == (1, [])
    assert await rig.members() == digests([*people(0, 3), *people(4, 9)], algorithm)


@pytest.mark.parametrize("case", ["lower", "upper"])
async def test_advertising_ids_are_found_in_either_case(rig: Rig, case: str) -> None:
    """It is not documented in which case Pinterest wants an IDFA hashed."""
    idfa = "EA7583CD-A667-48BC-B806-42ECB2B48606"
    ready = prepare([idfa], "idfa", idfa_case=case)
    await rig.client.upload(ACCOUNT, ready, name=NAME, state=rig.state)
    receipt = await rig.client.forget(idfa.lower(), kind="idfa", state=rig.state)
    assert receipt.lists[0].records == 1
    assert await rig.members() == frozenset()


async def test_rows_with_the_person_in_any_column_are_removed(rig: Rig) -> None:
    """As they were sent, with all their columns; rows of others stay."""
    rows = prepare_rows(
        [
            {"email": ANN, "external_id": "1"},
            {"email": people(0, 1)[0], "maid": digest(ANN, "md5")},
            {"email": people(1, 2)[0], "external_id": "2"},
        ]
    )
    await rig.client.upload(ACCOUNT, rows, name=NAME, keep_unhashed=True, state=rig.state)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert receipt.lists[0].records == 2
    assert await rig.members() == {(("email", digest(people(1, 2)[0])), ("external_id", "2"))}
    assert traces(rig.state, ANN) == []


@pytest.mark.parametrize("adopt", [True, False])
async def test_every_hash_is_removed_from_foreign_lists(rig: Rig, adopt: bool) -> None:
    """Their members are unknown, so all hashes are removed."""
    records = [digest(ANN, "sha1"), digest(ANN, "md5"), digest("old@shop.example")]
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=records)
    if adopt:
        await rig.client.mirror(ACCOUNT, people(0, 9), name=NAME, adopt=True, state=rig.state)
    else:
        await rig.client.upload(ACCOUNT, people(0, 9), name=NAME, state=rig.state)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert not receipt.lists[0].content_known
    assert receipt.complete
    assert rig.emulator.members(there) == digests([*people(0, 9), "old@shop.example"])
    assert traces(rig.state, ANN) == []


async def test_identifiers_can_come_from_a_list_a_path_or_an_async_source(
    rig: Rig, tmp_path: Path
) -> None:
    await rig.client.upload(ACCOUNT, people(0, 30), name=NAME, state=rig.state)
    path = tmp_path / "forget.csv"
    path.write_text("\n".join(["email", *people(5, 10)]))

    async def awaited() -> AsyncIterator[str]:
        for text in people(10, 15):
            yield text

    for source, count in ((people(0, 5), 5), (path, 5), (awaited(), 5), (people(0, 5), 0)):
        receipt = await rig.client.forget(source, state=rig.state)
        assert (receipt.people, receipt.lists[0].records) == (5, count)
    assert await rig.members() == digests(people(15, 30))
    assert traces(rig.state, *people(0, 15)) == []


async def test_invalid_identifiers_are_reported_as_unusable(rig: Rig) -> None:
    """The receipt is not complete."""
    await rig.client.upload(ACCOUNT, people(0, 30), name=NAME, state=rig.state)
    receipt = await rig.client.forget(["no address", people(0, 1)[0]], state=rig.state)
    assert (receipt.people, receipt.unusable, receipt.complete) == (2, 1, False)
    assert await rig.members() == digests(people(1, 30))
    with pytest.raises(SourceError):
        await rig.client.forget(rig.state.with_name("missing.csv"), state=rig.state)
    with pytest.raises(ConfigurationError, match="jobs do not store records"):
        await rig.client.forget("XY", kind="lr_id", state=rig.state)


async def test_blank_lines_are_skipped_and_empty_cells_are_unusable(
    rig: Rig, tmp_path: Path
) -> None:
    """A file of blank lines only does not search any list."""
    await rig.client.upload(ACCOUNT, people(0, 30), name=NAME, state=rig.state)
    path = tmp_path / "forget.txt"
    path.write_text(f"{people(0, 1)[0]}\n\n  \n")
    receipt = await rig.client.forget(path, state=rig.state)
    assert (receipt.people, receipt.unusable, receipt.complete) == (1, 0, True)
    assert await rig.members() == digests(people(1, 30))
    path.write_text("\n\n")
    receipt = await rig.client.forget(path, state=rig.state)
    assert (receipt.people, receipt.lists) == (0, ())
    path.write_text("id,email\n1,\n")
    receipt = await rig.client.forget(path.rename(tmp_path / "forget.csv"), state=rig.state)
    assert (receipt.people, receipt.unusable) == (1, 1)


async def test_erasure_without_a_state_file_has_no_lists(rig: Rig) -> None:
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert receipt.lists == ()
    assert rig.wire.sent == []


async def test_unfinished_upload_does_not_add_the_person_again(
    rig: Rig, small_batches: int
) -> None:
    """It is not finished first; the person is removed from what is left of it."""
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=1)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, [*people(0, 35), ANN], name=NAME, state=rig.state)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert receipt.complete
    assert traces(rig.state, ANN) == []
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.status, report.left) == ("done", 0)
    assert await rig.members() == digests(people(0, 35))
    assert traces(rig.state, ANN) == []


async def test_forget_does_not_wait_for_a_job_that_is_always_refused(
    rig: Rig, small_batches: int
) -> None:
    """The removal is made, and the refused job stays unfinished, without the person."""
    await rig.client.upload(ACCOUNT, [ANN, *people(0, 35)], name=NAME, state=rig.state)
    bad = digest("bad@shop.example")
    rig.emulator.fault(
        "status",
        status=403,
        operation="customer_lists_update",
        times=None,
        when=lambda request: bad.encode() in request.body,
    )
    source = ["bad@shop.example", ANN]
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, source, name=NAME, state=rig.state)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert (receipt.complete, receipt.lists[0].records) == (True, 1)
    assert traces(rig.state, ANN) == []
    assert await rig.members() == digests(people(0, 35))
    (stuck,) = (item for item in await rig.client.jobs(state=rig.state) if item.left)
    assert (stuck.status, stuck.planned, stuck.left) == ("running", 1, 1)


@pytest.mark.parametrize("known", [True, False])
async def test_forget_on_a_list_that_is_gone_erases_its_state(rig: Rig, known: bool) -> None:
    """The receipt says so and is complete; if the person is not on the list, no request is sent."""
    await rig.client.upload(ACCOUNT, [ANN, *people(0, 35)], name=NAME, state=rig.state)
    rig.emulator.reset()
    before = len(rig.wire.sent)
    receipt = await rig.client.forget(ANN if known else "other@shop.example", state=rig.state)
    assert receipt.complete
    assert [item.gone for item in receipt.lists] == [known]
    assert ("gone at Pinterest; its state was erased" in str(receipt)) == known
    assert (len(rig.wire.sent) > before) == known
    assert bool(await rig.client.status(ACCOUNT, state=rig.state)) != known
    assert (traces(rig.state, ANN, *people(0, 35)) == []) == known


async def test_forget_keeps_the_state_of_a_list_it_may_not_see(rig: Rig) -> None:
    """A 404 for the whole ad account says nothing about the list."""
    await rig.client.upload(ACCOUNT, [ANN, *people(0, 35)], name=NAME, state=rig.state)
    rig.emulator.fault("status", status=404, times=None)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert not receipt.complete
    assert "404" in receipt.lists[0].problem
    rig.emulator.faults.clear()
    assert (await rig.client.forget(ANN, state=rig.state)).complete
    assert await rig.members() == digests(people(0, 35))


@pytest.mark.parametrize("abandon", [True, False])
@pytest.mark.parametrize("lists", [0, 1, 2])
async def test_forget_finds_the_list_of_a_create_without_response(
    rig: Rig, lists: int, abandon: bool
) -> None:
    """The person is removed from each list that may have been created."""
    records = sorted(digests([ANN, *people(0, 5)]))

    async def lose(wire: Wire) -> None:
        if wire.sent[-1].method == "POST" or len(wire.sent) > 3:
            raise httpx.ReadError("reset")

    rig.wire.before = lose
    with pytest.raises(JobInterruptedError) as caught:
        await rig.client.upload(
            ACCOUNT, [ANN, *people(0, 5)], name=NAME, state=rig.state, retry_timeout=1
        )
    rig.wire.before = None
    ids = rig.emulator.seed_lists(ACCOUNT, lists, name=NAME, records=records) if lists else []
    if abandon:
        assert caught.value.report is not None
        await rig.client.abandon(caught.value.report.job_id, state=rig.state)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert receipt.complete, receipt
    assert {item.customer_list_id for item in receipt.lists} == set(ids)
    for item in ids:
        assert rig.emulator.members(item) == digests(people(0, 5))
    assert traces(rig.state, ANN) == []
    await rig.client.resume(ACCOUNT, state=rig.state)
    for item in await rig.lists():
        assert digest(ANN) not in rig.emulator.members(item)
    assert traces(rig.state, ANN) == []


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX resource limits")
@pytest.mark.once
async def test_forget_on_300_lists_with_256_descriptors(rig: Rig) -> None:
    """Some systems allow no more open files by default."""
    import resource

    for number, item in enumerate(rig.emulator.seed_lists(ACCOUNT, 300, records=[digest(ANN)])):
        with closing(State(rig.state, "https://api.pinterest.com/v5")) as state:
            state.get_or_create_list(ACCOUNT, item, f"List {number}", "foreign")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        receipt = await rig.client.forget(ANN, state=rig.state)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert receipt.complete
    assert sum(item.records for item in receipt.lists) == 900  # in each of the three forms
    assert all(not rig.emulator.members(item.customer_list_id) for item in receipt.lists)


async def test_erasure_reports_a_failed_list_and_finishes_the_others(rig: Rig) -> None:
    """A second call finishes it."""
    one = await rig.client.upload(ACCOUNT, [ANN, *people(0, 5)], name="One", state=rig.state)
    await rig.client.upload(ACCOUNT, [ANN, *people(0, 5)], name="Two", state=rig.state)
    path = f"*/{one.customer_list_id}"
    rig.emulator.fault("status", status=403, path=path, times=None)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert not receipt.complete
    assert ["403" in item.problem for item in receipt.lists] == [True, False]
    assert await rig.members("Two") == digests(people(0, 5))
    rig.emulator.faults.clear()
    again = await rig.client.forget(ANN, state=rig.state)
    assert again.complete
    assert await rig.members("One") == digests(people(0, 5))
    assert traces(rig.state, ANN) == []


async def test_erasure_does_not_wait_for_a_list_that_cannot_be_created(rig: Rig) -> None:
    """Its upload continues without the person."""
    rig.emulator.fault("status", status=403, operation="customer_lists_create", times=2)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, [ANN, *people(0, 5)], name=NAME, state=rig.state)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert (receipt.complete, receipt.lists) == (True, ())
    assert traces(rig.state, ANN) == []
    rig.emulator.faults.clear()
    await rig.client.resume(ACCOUNT, state=rig.state)
    assert await rig.members() == digests(people(0, 5))


async def test_resumed_erasure_leaves_no_digest(rig: Rig) -> None:
    """Interrupted, and finished by resume or by the next upload."""
    for finish in ("resume", "upload"):
        await rig.client.upload(ACCOUNT, [ANN, *people(0, 5)], name=NAME, state=rig.state)
        rig.emulator.fault("status", status=403, operation="customer_lists_update")
        assert not (await rig.client.forget(ANN, state=rig.state)).complete
        if finish == "resume":
            await rig.client.resume(ACCOUNT, state=rig.state)
        else:
            await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
        assert await rig.members() == digests(people(0, 5))
        assert traces(rig.state, ANN) == []


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (f"Ann <{ANN}>, Bob <bob@shop.example>", (2, 0, 0)),
        (f"{ANN};bob@shop.example", (2, 0, 0)),
        (f"{ANN}, bob@shop", (1, 1, 2)),
    ],
)
async def test_several_identifiers_in_one_cell_are_all_erased_or_unusable(
    rig: Rig, cell: str, expected: tuple[int, int, int]
) -> None:
    """The receipt counts the cell as unusable if one of them is invalid."""
    await rig.client.upload(ACCOUNT, [ANN, "bob@shop.example"], name=NAME, state=rig.state)
    receipt = await rig.client.forget([cell], state=rig.state)
    assert (receipt.people, receipt.unusable, len(await rig.members())) == expected
    assert receipt.complete == (receipt.unusable == 0)
