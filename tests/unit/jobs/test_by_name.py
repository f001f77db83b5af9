"""A name works wherever an id does; one that is unknown or not unique is an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from support.jobs import ACCOUNT, NAME, Rig, digest, digests, people

from pinterest_audiences import (
    AsyncClient,
    ConfigurationError,
    GuardError,
    JobInterruptedError,
    JobNotFoundError,
    NotFoundError,
    SourceError,
)
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

# What looks a list up at Pinterest.
ONLINE: dict[str, Callable[[Rig, str], Awaitable[object]]] = {
    "upload": lambda rig, name: rig.client.upload(
        ACCOUNT, people(0, 5), customer_list_id=name, state=rig.state
    ),
    "plan_upload": lambda rig, name: rig.client.plan_upload(
        ACCOUNT, people(0, 5), customer_list_id=name, state=rig.state
    ),
    "plan_mirror": lambda rig, name: rig.client.plan_mirror(
        ACCOUNT, people(0, 5), customer_list_id=name, adopt=True, state=rig.state
    ),
    "mirror": lambda rig, name: rig.client.mirror(
        ACCOUNT, people(0, 5), customer_list_id=name, adopt=True, state=rig.state
    ),
    "wait_until_ready": lambda rig, name: rig.client.wait_until_ready(ACCOUNT, name),
    "find_customer_list": lambda rig, name: rig.client.find_customer_list(ACCOUNT, name),
    "create_customer_list_audience": lambda rig, name: rig.client.create_customer_list_audience(
        ACCOUNT, name, "Buyers"
    ),
}
# What looks a list up in the state file, and sends nothing.
OFFLINE: dict[str, Callable[[Rig, str], Awaitable[object]]] = {
    "resume": lambda rig, name: rig.client.resume(ACCOUNT, customer_list_id=name, state=rig.state),
    "status": lambda rig, name: rig.client.status(ACCOUNT, customer_list_id=name, state=rig.state),
    "forget_list": lambda rig, name: rig.client.forget_list(
        ACCOUNT, customer_list_id=name, state=rig.state
    ),
}


def list_id_of(result: object) -> object:
    """Return the id of the list that a method worked on."""
    rule = getattr(result, "rule", None)
    if rule is not None:
        return rule["customer_list_id"]
    return getattr(result, "customer_list_id", None) or getattr(result, "id", None)


@pytest.mark.parametrize("method", ONLINE)
async def test_name_of_a_list_works_as_its_id(rig: Rig, method: str) -> None:
    """For lists that the state file does not know, too."""
    rig.emulator.seed_lists(ACCOUNT, 3, name="Other {}")
    (expected,) = rig.emulator.seed_lists(ACCOUNT, 1, name="Größe 1, neu")
    rig.emulator.advance(hours=1)
    assert list_id_of(await ONLINE[method](rig, "Größe 1, neu")) == expected


@pytest.mark.parametrize("method", ONLINE)
async def test_unknown_name_is_an_error_and_creates_no_list(rig: Rig, method: str) -> None:
    """It says how to list them, and does not repeat the name, which may be a customer."""
    rig.emulator.seed_lists(ACCOUNT, 1, name=NAME)
    with pytest.raises(GuardError, match=r"customer_lists_list\(\) lists") as refused:
        await ONLINE[method](rig, "ada@shop.example")
    assert refused.value.guard == "no_list"
    assert "ada" not in str(refused.value)
    assert rig.wire.writes == []


@pytest.mark.parametrize("method", ONLINE)
async def test_ambiguous_name_is_an_error_with_the_ids(rig: Rig, method: str) -> None:
    """Nothing is sent; the id of one of them works."""
    ids = rig.emulator.seed_lists(ACCOUNT, 2, name=NAME)
    with pytest.raises(GuardError, match="customer_list_id=") as refused:
        await ONLINE[method](rig, NAME)
    assert refused.value.guard == "ambiguous_name"
    assert all(item in str(refused.value) for item in ids)
    assert rig.wire.writes == []
    rig.emulator.advance(hours=1)
    assert list_id_of(await ONLINE[method](rig, ids[0])) == ids[0]


@pytest.mark.parametrize("method", [*ONLINE, *OFFLINE])
@pytest.mark.parametrize("wrong", ["", "  ", "1234567890123456789"])
async def test_what_is_neither_id_nor_name_is_refused(rig: Rig, method: str, wrong: str) -> None:
    """Digits are an id, of 18 digits at most."""
    with pytest.raises(ConfigurationError, match="customer_list_id must be"):
        await (ONLINE | OFFLINE)[method](rig, wrong)
    assert rig.wire.sent == []


@pytest.mark.parametrize("method", ["upload", "find_customer_list"])
async def test_digits_are_an_id_even_if_a_list_has_that_name(rig: Rig, method: str) -> None:
    """``name=`` selects it by name."""
    (named,) = rig.emulator.seed_lists(ACCOUNT, 1, name="2026")
    with pytest.raises(NotFoundError):
        await ONLINE[method](rig, "2026")
    report = await rig.client.upload(ACCOUNT, people(0, 5), name="2026", state=rig.state)
    assert report.customer_list_id == named


@pytest.mark.parametrize("method", OFFLINE)
async def test_name_in_the_state_file_works_without_a_request(rig: Rig, method: str) -> None:
    """Only the list of that name is selected."""
    report = await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, people(5, 9), name="Other", state=rig.state)
    before = len(rig.wire.sent)
    result = await OFFLINE[method](rig, NAME)
    expected = {"resume": [], "status": [report.customer_list_id]}
    items: list[object] = result if isinstance(result, list) else [result]
    assert [list_id_of(item) for item in items] == expected.get(method, [report.customer_list_id])
    assert len(rig.wire.sent) == before


@pytest.mark.parametrize("method", OFFLINE)
async def test_name_that_the_state_file_does_not_know_is_an_error(rig: Rig, method: str) -> None:
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    with pytest.raises(JobNotFoundError, match="has no list with that name"):
        await OFFLINE[method](rig, "ada@shop.example")


@pytest.mark.parametrize("method", OFFLINE)
async def test_ambiguous_name_in_the_state_file_is_an_error(rig: Rig, method: str) -> None:
    ids = rig.emulator.seed_lists(ACCOUNT, 2, name=NAME)
    for item in ids:
        await rig.client.upload(ACCOUNT, people(0, 5), customer_list_id=item, state=rig.state)
    with pytest.raises(GuardError) as refused:
        await OFFLINE[method](rig, NAME)
    assert all(item in str(refused.value) for item in ids)


@pytest.mark.parametrize("method", OFFLINE)
async def test_plan_that_was_never_applied_makes_no_name_ambiguous(rig: Rig, method: str) -> None:
    """Its list was created by others in the meantime, and is then used."""
    await rig.client.plan_upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    (number,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME)
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    result = await OFFLINE[method](rig, NAME)
    items: list[object] = result if isinstance(result, list) else [result]
    expected = {"resume": []}.get(method, [number])
    assert [list_id_of(item) for item in items] == expected


async def test_interrupted_job_is_resumed_by_the_name_of_its_list(
    rig: Rig, small_batches: int
) -> None:
    """Jobs of other lists stay interrupted."""
    rig.emulator.fault("status", status=403, operation="customer_lists_update", times=2)
    for name in (NAME, "Other"):
        with pytest.raises(JobInterruptedError):
            await rig.client.upload(ACCOUNT, people(0, 50), name=name, state=rig.state)
    reports = await rig.client.resume(ACCOUNT, customer_list_id=NAME, state=rig.state)
    assert [(item.name, item.status) for item in reports] == [(NAME, "done")]
    assert await rig.members() == digests(people(0, 50))


async def test_wait_by_name_continues_through_an_outage(rig: Rig) -> None:
    """Also while the name is looked up."""
    records = [digest(text) for text in people(0, 300)]
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=records)
    rig.emulator.fault("status", status=500, operation="customer_lists_list", times=20)
    ready = await rig.client.wait_until_ready(ACCOUNT, NAME)
    assert (ready.id, ready.status) == (there, "READY")


async def test_audience_is_found_by_id_and_by_name(rig: Rig) -> None:
    """Own ones first, then those that others share."""
    own, other = rig.emulator.seed_audiences(ACCOUNT, 2)
    (received,) = rig.emulator.seed_audiences("77", 1, name="Shared", shared_with=ACCOUNT)
    rig.emulator.seed_audiences("77", 1, name="Audience 1", shared_with=ACCOUNT)
    for reference, expected in (
        (own, own),
        (int(other), other),
        ("Audience 1", own),
        ("Shared", received),
    ):
        assert (await rig.client.find_audience(ACCOUNT, reference)).id == expected


async def test_unknown_and_ambiguous_audience_names_are_errors(rig: Rig) -> None:
    """With the ids, and how to list them."""
    ids = rig.emulator.seed_audiences(ACCOUNT, 2, name="Buyers")
    with pytest.raises(GuardError, match="audience_id=") as refused:
        await rig.client.find_audience(ACCOUNT, "Buyers")
    assert refused.value.guard == "ambiguous_name"
    assert all(item in str(refused.value) for item in ids)
    with pytest.raises(GuardError, match=r"audiences_list\(\) lists") as refused:
        await rig.client.find_audience(ACCOUNT, "buyers")
    assert refused.value.guard == "no_audience"
    with pytest.raises(ConfigurationError, match="audience_id must be an id"):
        await rig.client.find_audience(ACCOUNT, "")


async def test_file_is_uploaded_to_a_list_by_its_name() -> None:
    """After the file has been read, so that a wrong file sends no request."""
    emulator = Emulator(processing_seconds=0)
    (there,) = emulator.seed_lists(ACCOUNT, 1, name=NAME)
    async with AsyncClient("token", transport=emulator.transport()) as client:
        with pytest.raises(SourceError):
            await client.upload_file_in_parts(ACCOUNT, NAME, b"")
        assert emulator.requests == ()
        upload = await client.upload_file_in_parts(ACCOUNT, NAME, b"a@shop.example")
        assert upload.customer_list_id == there
        with pytest.raises(GuardError, match="has no customer list"):
            await client.upload_file_in_parts(ACCOUNT, "Other", b"a@shop.example")


@pytest.mark.usefixtures("homeless")
async def test_find_needs_no_folder_for_the_state_of_jobs() -> None:
    """As in a container that runs with an arbitrary user id."""
    emulator = Emulator()
    (list_id,) = emulator.seed_lists(ACCOUNT, 1)
    (audience_id,) = emulator.seed_audiences(ACCOUNT, 1)
    transport = emulator.transport()
    async with AsyncClient(
        "token", base_url="https://api.pinterest.com/v5", transport=transport
    ) as client:
        assert (await client.find_customer_list(ACCOUNT, list_id)).id == list_id
        assert (await client.find_audience(ACCOUNT, "Audience 1")).id == audience_id


@pytest.mark.usefixtures("homeless")
async def test_audience_of_a_list_needs_no_folder_for_the_state_of_jobs() -> None:
    """It retries like a job, and stores nothing."""
    emulator = Emulator()
    (list_id,) = emulator.seed_lists(ACCOUNT, 1)
    transport = emulator.transport()
    async with AsyncClient(
        "token", base_url="https://api.pinterest.com/v5", transport=transport
    ) as client:
        audience = await client.create_customer_list_audience(ACCOUNT, list_id, "Buyers")
        assert audience.rule == {"customer_list_id": list_id}
        again = await client.create_customer_list_audience(ACCOUNT, list_id, "Buyers")
        assert again.id == audience.id
