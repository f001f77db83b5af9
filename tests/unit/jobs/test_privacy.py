"""Privacy: jobs disclose no identifier or digest, and store no plain identifier."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.jobs import ACCOUNT, NAME, Rig, cut_off, digest, state_bytes

from pinterest_audiences import PinterestAudiencesError, prepare, prepare_rows

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]

PEOPLE = [f"sentinel.person{number}@secret-shop.example" for number in range(40)]
PHONE = "+4930901820"


def secrets() -> Iterator[str]:
    """Return what must not be disclosed."""
    yield "sentinel"
    yield "secret-shop"
    yield PHONE.removeprefix("+")
    for text in PEOPLE:
        for algorithm in ("sha256", "sha1", "md5"):
            # A part of it is enough to identify a person.
            yield digest(text, algorithm)[:12]


def check(text: str) -> None:
    for secret in secrets():
        assert secret not in text.lower()


def all_files(place: Path) -> list[Path]:
    return [path for path in sorted(place.rglob("*")) if path.is_file()]


def rows() -> Any:
    return prepare_rows(
        [{"email": text, "hashed_phone_number": PHONE, "external_id": "7"} for text in PEOPLE],
        phone_form="e164",
    )


async def test_jobs_disclose_no_record(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """In no log, report, plan, event, status or receipt; as text, repr or JSON."""
    caplog.set_level(logging.DEBUG)
    options: dict[str, Any] = {"state": rig.state, "on_event": rig.events.append}
    rig.emulator.fault("no_answer", operation="customer_lists_create")
    rig.emulator.fault("status", status=503, operation="customer_lists_update", times=8)
    results: list[Any] = [
        await rig.client.upload(ACCOUNT, PEOPLE, name=NAME, **options),
        await rig.client.plan_mirror(ACCOUNT, PEOPLE[5:], name=NAME, state=rig.state),
        await rig.client.mirror(
            ACCOUNT, prepare(PEOPLE[:9], algorithm="md5"), name="Hashes", **options
        ),
        await rig.client.upload(ACCOUNT, rows(), name="Rows", keep_unhashed=True, **options),
        await rig.client.forget(PEOPLE[7], reference="17", **options),
        *await rig.client.status(ACCOUNT, state=rig.state),
    ]
    assert len(rig.events) > 20
    for item in [*results, *rig.events]:
        check(f"{item} {item!r}")
    for item in results:
        check(item.to_json())
    check(f"{rig.client!r} {vars(rig.client)!r}")
    assert "retrying" in caplog.text
    check(caplog.text)


async def test_failed_jobs_disclose_no_record(
    rig: Rig, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Pinterest may quote what it received, and a source may raise anything."""
    caplog.set_level(logging.DEBUG)
    there, other = rig.emulator.seed_lists(ACCOUNT, 2)

    def breaks() -> Iterator[str]:
        yield from PEOPLE
        raise ValueError(PEOPLE[0])

    quoted = f"Invalid records: {digest(PEOPLE[0])},{digest(PEOPLE[1], 'md5')} {PEOPLE[2]}"
    rig.emulator.fault(
        "status", status=400, message=quoted, operation="customer_lists_update", times=None
    )
    plain = prepare(PEOPLE, plain_emails=True)
    plain_rows = prepare_rows([{"email": PEOPLE[0]}], plain_emails=True)
    file = tmp_path / "other.sqlite3"
    file.write_text("\n".join(PEOPLE * 100))
    failures = 0
    for wanted, source, state in (
        (there, PEOPLE, rig.state),
        (other, rows(), rig.state),
        (there, breaks(), rig.state),
        (there, plain, rig.state),
        (there, plain_rows, rig.state),
        (there, PEOPLE, file),
    ):
        try:
            await rig.client.upload(
                ACCOUNT, source, customer_list_id=wanted, state=state, on_event=rig.events.append
            )
        except PinterestAudiencesError as error:
            failures += 1
            check(f"{error} {error!r} {vars(error)!r}")
            cause = error.__cause__
            while isinstance(cause, PinterestAudiencesError):
                check(f"{cause} {cause!r} {vars(cause)!r}")
                cause = cause.__cause__
    assert failures == 6
    receipt = await rig.client.forget(PEOPLE[0], state=rig.state)
    assert not receipt.complete
    check(f"{receipt} {receipt!r} {receipt.to_json()}")
    for event in rig.events:
        check(repr(event))
    check(caplog.text)


async def test_no_plain_identifier_is_written_to_disk(rig: Rig, tmp_path: Path) -> None:
    """Neither while a job runs nor after an interruption, in any file next to the state file."""
    held: list[bytes] = []

    async def look(_wire: object) -> None:
        held.append(state_bytes(rig.state))

    rig.wire.before = look
    await rig.client.upload(ACCOUNT, PEOPLE, name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, rows(), name="Rows", keep_unhashed=True, state=rig.state)
    rig.wire.sent.clear()
    with anyio.CancelScope() as scope:
        rig.wire.before = cut_off(3, scope)
        newer = [*PEOPLE[:3], *(f"x{text}" for text in PEOPLE)]
        await rig.client.mirror(ACCOUNT, newer, name=NAME, allow_removals=True, state=rig.state)
    assert scope.cancelled_caught
    await rig.client.forget(PEOPLE[0], state=rig.state)
    held.append(state_bytes(rig.state))
    held += [path.read_bytes() for path in all_files(tmp_path)]
    assert len(held) > 10
    assert any(bytes.fromhex(digest(PEOPLE[1])) in item for item in held)  # this is what is kept
    for item in held:
        for text in (b"sentinel", b"secret-shop", PHONE.encode(), PHONE.encode()[1:]):
            assert text not in item.lower()


async def test_digests_are_stored_raw_and_not_as_text(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, PEOPLE, name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, rows(), name="Rows", keep_unhashed=True, state=rig.state)
    held = state_bytes(rig.state)
    assert all(bytes.fromhex(digest(text)) in held for text in PEOPLE)
    assert not any(digest(text)[:12].encode() in held for text in PEOPLE)
