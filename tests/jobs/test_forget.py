"""Erasure: nobody who asked to be forgotten is on a list, or in the state, afterwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from support.jobs import ACCOUNT, NAME, Rig, ask, digest, digests, people, state_bytes

from pinterest_audiences import (
    ConfigurationError,
    JobInterruptedError,
    SourceError,
    prepare,
    prepare_rows,
)

pytestmark = pytest.mark.anyio

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


async def test_a_person_is_gone_from_every_list_and_from_the_state(
    rig: Rig, small_batches: int
) -> None:
    """And all the others stay, also of the batch that she was in."""
    for name in ("One", "Two"):
        await rig.client.upload(ACCOUNT, [*people(0, 25), ANN], name=name, state=rig.state)
    await rig.client.upload("777", [*people(0, 5), ANN], name="Three", state=rig.state)
    await rig.client.upload(ACCOUNT, people(0, 5), name="Without", state=rig.state)
    assert traces(rig.state, ANN)
    receipt = await rig.client.forget(" Ann@Shop.example", reference="GDPR-17", state=rig.state)
    assert receipt.complete
    assert (receipt.reference, receipt.people, receipt.unusable) == ("GDPR-17", 1, 0)
    assert [(each.name, each.records) for each in receipt.lists] == [
        ("One", 1),
        ("Two", 1),
        ("Three", 1),
        ("Without", 0),
    ]
    assert await rig.members("One") == await rig.members("Two") == digests(people(0, 25))
    assert traces(rig.state, ANN) == []
    assert len(traces(rig.state, *people(0, 25))) == 25


@pytest.mark.parametrize("older", [False, True])
async def test_a_person_whose_upload_was_refused_and_given_up_is_gone(
    rig: Rig, small_batches: int, older: bool
) -> None:
    """Her digest was never sent and is in no snapshot; it must not be left in the file either."""
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


async def test_a_receipt_is_for_the_file(rig: Rig) -> None:
    """It tells what was done, and not to whom."""
    await rig.client.upload(ACCOUNT, [*people(0, 5), ANN], name=NAME, state=rig.state)
    receipt = await rig.client.forget(ANN, reference="GDPR-17", state=rig.state)
    told = json.loads(receipt.to_json())
    assert told["begun"] == rig.clock.time()
    assert told["lists"][0]["customer_list_id"] == (await rig.lists())[0]
    assert str(receipt).splitlines()[0] == "forget GDPR-17: 1 identifiers"
    assert "1 records removed" in str(receipt)
    for text in (receipt.to_json(), str(receipt), repr(receipt)):
        assert "ann" not in text
        assert digest(ANN) not in text


async def test_only_the_lists_of_one_account(rig: Rig) -> None:
    """Where the request is about one of several customers of an agency."""
    await rig.client.upload(ACCOUNT, [ANN], name="One", state=rig.state)
    other = await rig.client.upload("777", [ANN], name="Two", state=rig.state)
    receipt = await rig.client.forget(ANN, ad_account_id=int(ACCOUNT), state=rig.state)
    assert [each.name for each in receipt.lists] == ["One"]
    assert await rig.members("One") == frozenset()
    assert rig.emulator.members(other.customer_list_id or "") == {digest(ANN)}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_form_of_a_hash_is_found(rig: Rig, algorithm: str) -> None:
    """However the list was hashed, a plain identifier is enough; so is its own hash."""
    ready = prepare([ANN, *people(0, 9)], algorithm=algorithm)
    await rig.client.upload(ACCOUNT, ready, name=NAME, state=rig.state)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert (receipt.lists[0].records, traces(rig.state, ANN)) == (1, [])
    (someone,) = people(3, 4)
    receipt = await rig.client.forget(digest(someone, algorithm).upper(), state=rig.state)
    assert (receipt.lists[0].records, traces(rig.state, someone)) == (1, [])
    assert await rig.members() == digests([*people(0, 3), *people(4, 9)], algorithm)


@pytest.mark.parametrize("case", ["lower", "upper"])
async def test_advertising_ids_are_found_in_either_case(rig: Rig, case: str) -> None:
    """Nobody knows in which case Pinterest wants an IDFA hashed."""
    idfa = "EA7583CD-A667-48BC-B806-42ECB2B48606"
    ready = prepare([idfa], "idfa", idfa_case=case)
    await rig.client.upload(ACCOUNT, ready, name=NAME, state=rig.state)
    receipt = await rig.client.forget(idfa.lower(), kind="idfa", state=rig.state)
    assert receipt.lists[0].records == 1
    assert await rig.members() == frozenset()


async def test_rows_are_removed_that_hold_a_person_in_any_column(rig: Rig) -> None:
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
async def test_every_form_is_removed_from_lists_of_others(rig: Rig, adopt: bool) -> None:
    """What others wrote is not known: known to be there or not, all forms are removed."""
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


async def test_several_people_from_a_list_a_path_or_an_awaited_source(
    rig: Rig, tmp_path: Path
) -> None:
    """As for uploads."""
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


async def test_who_cannot_be_read_is_told(rig: Rig) -> None:
    """A request that was not fulfilled is not complete."""
    await rig.client.upload(ACCOUNT, people(0, 30), name=NAME, state=rig.state)
    receipt = await rig.client.forget(["no address", people(0, 1)[0]], state=rig.state)
    assert (receipt.people, receipt.unusable, receipt.complete) == (2, 1, False)
    assert await rig.members() == digests(people(1, 30))
    with pytest.raises(SourceError):
        await rig.client.forget(rig.state.with_name("missing.csv"), state=rig.state)
    with pytest.raises(ConfigurationError, match="no job keeps such records"):
        await rig.client.forget("XY", kind="lr_id", state=rig.state)


async def test_a_blank_line_is_nobody(rig: Rig, tmp_path: Path) -> None:
    """Editors leave them; a file of nothing else looks at no list. Empty cells are somebody."""
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


async def test_nobody_is_known_without_a_state(rig: Rig) -> None:
    """The receipt says that no list was looked at."""
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert receipt.lists == ()
    assert rig.wire.sent == []


async def test_what_an_unfinished_upload_would_add_is_removed_after_it(
    rig: Rig, small_batches: int
) -> None:
    """Finished first: else the resume would bring her back."""
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=1)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, [*people(0, 35), ANN], name=NAME, state=rig.state)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert receipt.complete
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []
    assert await rig.members() == digests(people(0, 35))
    assert traces(rig.state, ANN) == []


async def test_a_list_that_cannot_be_reached_is_told_and_the_others_are_done(rig: Rig) -> None:
    """Nothing else is kept waiting; a second request finishes it."""
    one = await rig.client.upload(ACCOUNT, [ANN, *people(0, 5)], name="One", state=rig.state)
    await rig.client.upload(ACCOUNT, [ANN, *people(0, 5)], name="Two", state=rig.state)
    path = f"*/{one.customer_list_id}"
    rig.emulator.fault("status", status=403, path=path, times=None)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert not receipt.complete
    assert ["403" in each.problem for each in receipt.lists] == [True, False]
    assert await rig.members("Two") == digests(people(0, 5))
    rig.emulator.faults.clear()
    again = await rig.client.forget(ANN, state=rig.state)
    assert again.complete
    assert await rig.members("One") == digests(people(0, 5))
    assert traces(rig.state, ANN) == []


async def test_a_list_that_cannot_be_created_is_told(rig: Rig) -> None:
    """Its upload would bring her back: a request that cannot finish it first is not complete."""
    rig.emulator.fault("status", status=403, operation="customer_lists_create", times=2)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, [ANN, *people(0, 5)], name=NAME, state=rig.state)
    receipt = await rig.client.forget(ANN, state=rig.state)
    assert not receipt.complete
    assert [(each.name, each.customer_list_id) for each in receipt.lists] == [(NAME, "")]
    assert f'list "{NAME}" (not created): ' in str(receipt)
    assert (await rig.client.forget(ANN, state=rig.state)).complete
    assert await rig.members() == digests(people(0, 5))


async def test_a_resumed_request_leaves_no_digest_either(rig: Rig) -> None:
    """Interrupted, and finished by a resume or by the next upload."""
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
