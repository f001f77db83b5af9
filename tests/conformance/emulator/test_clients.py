"""The clients of this package with the emulator: audiences, uploads and tokens, end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from support.clock import FakeClock

from pinterest_audiences import (
    AppCredentials,
    AsyncClient,
    AudienceType,
    AuthenticationError,
    Client,
    MemoryTokenStore,
    NoAuth,
    NotFoundError,
    PermissionDeniedError,
    RefreshingToken,
    TokenRefreshError,
    TokenSet,
    UploadError,
    UploadsUnavailableError,
)
from pinterest_audiences.emulator import Assumptions, Emulator, serve

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
APP = AppCredentials("1234567", "the-secret")
HOME = "http://localhost:8085/"
DIGEST = "0f" * 32
SMALL_PARTS = Assumptions(smallest_part_bytes=1)


def digests(count: int, begin: int = 0) -> list[str]:
    return [f"{number:064x}" for number in range(begin, begin + count)]


def emulator_on(clock: FakeClock, **settings: object) -> Emulator:
    chosen = {"clock": clock.time, "match_rate": 1.0, **settings}
    return Emulator(**chosen)  # type: ignore[arg-type]  # settings are checked by Emulator


async def test_list_becomes_audience_that_is_changed_and_removed() -> None:
    """From PROCESSING to READY, with the number of matched members."""
    clock = FakeClock()
    emulator = emulator_on(clock, processing_seconds=60.0)
    async with AsyncClient("pina_test", transport=emulator.transport(), clock=clock) as client:
        made = await client.customer_lists_create(ACCOUNT, name="Buyers", records=digests(150))
        assert made.id is not None
        ready = await client.wait_until_ready(ACCOUNT, made.id)
        assert ready.status == "READY"
        audience = await client.create_customer_list_audience(ACCOUNT, made.id, "Buyers")
        assert (audience.status, audience.size) == ("INITIALIZING", 0)
        assert audience.id is not None
        clock.advance(60)
        audience = await client.audiences_get(ACCOUNT, audience.id)
        assert (audience.status, audience.size) == ("READY", 150)
        changed = await client.audiences_update(ACCOUNT, str(audience.id), name="All buyers")
        assert changed.name == "All buyers"
        alike = await client.audiences_create(
            ACCOUNT,
            name="Alike",
            audience_type=AudienceType.ACTALIKE,
            rule={"seed_id": [str(audience.id)], "country": "US", "percentage": 5},
        )
        listed = await client.audiences_list(ACCOUNT, page_size=1).collect()
        assert [each.id for each in listed] == [audience.id, alike.id]
        await client.audiences_update(ACCOUNT, str(audience.id), operation_type="REMOVE")
        with pytest.raises(NotFoundError):
            await client.audiences_get(ACCOUNT, str(audience.id))
        assert (await client.customer_lists_get(ACCOUNT, made.id)).status == "READY"


async def test_audience_whose_response_was_lost_is_found_and_created_once() -> None:
    clock = FakeClock()
    emulator = emulator_on(clock)
    (list_id,) = emulator.seed_lists(ACCOUNT, 1)
    emulator.fault("no_answer", operation="audiences_create")
    async with AsyncClient("pina_test", transport=emulator.transport(), clock=clock) as client:
        audience = await client.create_customer_list_audience(ACCOUNT, list_id, "Buyers")
        existing = await client.audiences_list(ACCOUNT).collect()
        assert [(each.id, each.name) for each in existing] == [(audience.id, "Buyers")]


async def test_client_keeps_unknown_enum_values() -> None:
    """Of an audience and of an upload's list, without an error."""
    clock = FakeClock()
    emulator = emulator_on(clock)
    (audience_id,) = emulator.seed_audiences(ACCOUNT, 1)
    emulator.fault("unknown_enum", operation="audiences_get", value="FROZEN")
    async with AsyncClient("pina_test", transport=emulator.transport(), clock=clock) as client:
        assert (await client.audiences_get(ACCOUNT, audience_id)).status == "FROZEN"


@pytest.mark.parametrize("frontend", ["transport", "server"])
async def test_multipart_upload_changes_members(frontend: str, tmp_path: Path) -> None:
    """From a file through the storage and the processing; added, then removed."""
    file = tmp_path / "records.txt"
    # Long addresses, so that each part holds the 5 MB that it must with few of them.
    count = 11_000
    file.write_text("\n".join([*(f"{number:01000}@example.com" for number in range(count)), "x"]))
    clock = FakeClock()
    emulator = emulator_on(clock)
    (list_id,) = emulator.seed_lists(ACCOUNT, 1, records=[DIGEST])

    async def live(client: AsyncClient) -> None:
        added = await client.upload_file_in_parts(ACCOUNT, list_id, file, total_parts=2)
        assert added.record_counts is not None
        assert (added.state, added.record_counts.valid) == ("SUCCEEDED", count)
        assert added.record_counts.invalid == 1
        assert len(emulator.members(list_id)) == count + 1
        await client.upload_file_in_parts(ACCOUNT, list_id, file, operation="REMOVE", total_parts=2)
        assert emulator.members(list_id) == {DIGEST}

    if frontend == "server":
        async with (
            serve(emulator) as base_url,
            AsyncClient("pina_test", base_url=base_url, clock=clock) as client,
        ):
            await live(client)
    else:
        async with AsyncClient("pina_test", transport=emulator.transport(), clock=clock) as client:
            await live(client)
    puts = [entry for entry in emulator.requests if entry.method == "PUT"]
    assert [entry.status for entry in puts] == [200] * 4


async def test_part_with_broken_connection_is_sent_again() -> None:
    """It counts once."""
    clock = FakeClock()
    emulator = emulator_on(clock, assumptions=SMALL_PARTS)
    (list_id,) = emulator.seed_lists(ACCOUNT, 1)
    emulator.fault("reset_after", operation="customer_list_uploads_put")
    emulator.fault("status", operation="customer_list_uploads_put", status=503)
    async with AsyncClient("pina_test", transport=emulator.transport(), clock=clock) as client:
        content = "\n".join(digests(3)).encode()
        done = await client.upload_file_in_parts(ACCOUNT, list_id, content)
    assert done.state == "SUCCEEDED"
    assert emulator.members(list_id) == set(digests(3))
    assert emulator.customer_list(list_id)["num_uploaded_user_records"] == 3


async def test_run_with_lost_answer_is_waited_for() -> None:
    """The processing has started."""
    clock = FakeClock()
    emulator = emulator_on(clock, assumptions=SMALL_PARTS)
    (list_id,) = emulator.seed_lists(ACCOUNT, 1)
    emulator.fault("reset_after", operation="customer_list_uploads_run")
    async with AsyncClient("pina_test", transport=emulator.transport(), clock=clock) as client:
        done = await client.upload_file_in_parts(ACCOUNT, list_id, DIGEST.encode())
    assert done.state == "SUCCEEDED"
    assert [entry.fault for entry in emulator.requests].count("reset_after") == 1


async def test_file_without_valid_record_fails() -> None:
    """With Pinterest's error."""
    clock = FakeClock()
    emulator = emulator_on(clock, assumptions=SMALL_PARTS)
    (list_id,) = emulator.seed_lists(ACCOUNT, 1)
    async with AsyncClient("pina_test", transport=emulator.transport(), clock=clock) as client:
        with pytest.raises(UploadError) as failed:
            await client.upload_file_in_parts(ACCOUNT, list_id, b"absent\nnothing")
    assert failed.value.upload is not None
    assert failed.value.upload.state == "FAILED"


@pytest.mark.parametrize("uploads", ["restricted", "forbidden"])
async def test_missing_upload_access_error_has_a_hint(
    uploads: Literal["restricted", "forbidden"],
) -> None:
    """For both refusals; nothing is sent to the storage."""
    clock = FakeClock()
    emulator = emulator_on(clock, uploads=uploads)
    (list_id,) = emulator.seed_lists(ACCOUNT, 1)
    async with AsyncClient("pina_test", transport=emulator.transport(), clock=clock) as client:
        with pytest.raises(UploadsUnavailableError, match="customer_lists_update"):
            await client.upload_file_in_parts(ACCOUNT, list_id, DIGEST.encode())
    assert [entry.method for entry in emulator.requests] == ["POST"]


async def test_login_exchanges_code_once() -> None:
    """Then the access token is accepted."""
    clock = FakeClock()
    emulator = emulator_on(clock, apps={APP.app_id: "the-secret"})
    code = emulator.authorize(redirect_uri=HOME)
    transport = emulator.transport()
    async with AsyncClient(NoAuth(), transport=transport, clock=clock) as client:
        got = await client.oauth_token(
            APP, grant_type="authorization_code", code=code, redirect_uri=HOME
        )
        with pytest.raises(AuthenticationError, match="code 283"):
            await client.oauth_token(
                APP, grant_type="authorization_code", code=code, redirect_uri=HOME
            )
        with pytest.raises(PermissionDeniedError):  # no system user's
            await client.token_revoke(APP, token=got.access_token)
    async with AsyncClient(got.access_token, transport=transport, clock=clock) as client:
        assert await client.customer_lists_list(ACCOUNT).collect() == []


async def test_rotating_tokens_are_refreshed_for_a_year() -> None:
    """Each refresh token works once, and the store always has the latest."""
    clock = FakeClock()
    assumptions = Assumptions(refresh_tokens_rotate=True)
    emulator = emulator_on(
        clock,
        apps={APP.app_id: "the-secret"},
        refresh_tokens=["pinr.first"],
        assumptions=assumptions,
    )
    transport = emulator.transport()
    store = MemoryTokenStore(
        TokenSet(access_token="pina.old", refresh_token="pinr.first", expires_at=0.0)
    )
    tokens = RefreshingToken(store, APP, transport=emulator.transport, clock=clock)
    seen = set()
    async with AsyncClient(tokens, transport=transport, clock=clock) as client:
        for _ in range(12):
            assert await client.audiences_list(ACCOUNT).collect() == []
            kept = store.load()
            assert kept is not None
            seen.add(kept.refresh_token)
            clock.advance(31 * 86_400)
    assert len(seen) == 12
    refreshes = [entry for entry in emulator.requests if entry.path == "/v5/oauth/token"]
    assert [entry.status for entry in refreshes] == [200] * 12
    late = MemoryTokenStore(
        TokenSet(access_token="pina.old", refresh_token="pinr.first", expires_at=0.0)
    )
    async with AsyncClient(
        RefreshingToken(late, APP, transport=emulator.transport, clock=clock),
        transport=transport,
        clock=clock,
    ) as client:
        with pytest.raises(TokenRefreshError):
            await client.audiences_list(ACCOUNT).collect()


@pytest.mark.parametrize("kind", ["no_answer", "status"])
async def test_refresh_is_retried_when_the_token_endpoint_fails(
    kind: Literal["no_answer", "status"],
) -> None:
    """The old refresh token is still valid."""
    clock = FakeClock()
    assumptions = Assumptions(refresh_tokens_rotate=False)
    emulator = emulator_on(
        clock,
        apps={APP.app_id: "the-secret"},
        refresh_tokens=["pinr.first"],
        assumptions=assumptions,
    )
    emulator.fault(kind, operation="oauth_token")
    transport = emulator.transport()
    store = MemoryTokenStore(
        TokenSet(access_token="pina.old", refresh_token="pinr.first", expires_at=0.0)
    )
    tokens = RefreshingToken(store, APP, transport=emulator.transport, clock=clock)
    async with AsyncClient(tokens, transport=transport, clock=clock) as client:
        assert await client.customer_lists_list(ACCOUNT).collect() == []
    assert list(emulator.faults) == []


def test_sync_client_supports_the_same(
    pinterest_client: Client, pinterest_emulator: Emulator
) -> None:
    """With the fixtures of the pytest plugin, whose waits take no time."""
    records = digests(500)
    made = pinterest_client.customer_lists_create(ACCOUNT, name="Buyers", records=records)
    assert made.id is not None
    pinterest_client.wait_until_ready(ACCOUNT, made.id)
    audience = pinterest_client.create_customer_list_audience(ACCOUNT, made.id, "Buyers")
    assert audience.id is not None
    pinterest_emulator.advance(minutes=5)
    assert pinterest_client.audiences_get(ACCOUNT, audience.id).status == "READY"
    content = "\n".join(digests(10, begin=500)).encode()
    done = pinterest_client.upload_file_in_parts(ACCOUNT, made.id, content)
    assert done.record_counts is not None
    assert done.record_counts.valid == 10
    assert pinterest_emulator.members(made.id) == set(digests(510))
