"""No record and no token in a log, a repr, or an exception of the clients."""

from __future__ import annotations

import logging

import pytest

from pinterest_audiences import AsyncClient, CallError, Client, RecordError, RecordRow
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

EMAIL = "sentinel.person@secret-shop.example"
TOKEN = "pina_SENTINELTOKEN"
ACCOUNT = "549755885175"


async def test_logs_of_every_level_contain_no_record_and_no_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Including httpx and httpcore, from creation to an error."""
    caplog.set_level(logging.DEBUG)
    emulator = Emulator()
    async with AsyncClient(TOKEN, transport=emulator.transport()) as client:
        made = await client.customer_lists_create(ACCOUNT, name="x", records=EMAIL)
        await client.customer_lists_update(
            ACCOUNT, made.id, operation_type="ADD", records_v2=[RecordRow(email=EMAIL)]
        )
        await client.customer_lists_list(ACCOUNT).collect()
        with pytest.raises(CallError):
            await client.customer_lists_update(ACCOUNT, 1, operation_type="ADD", records=EMAIL)
        shown = f"{client!r} {vars(client)!r} {made!r} {client.customer_lists_list(ACCOUNT)!r}"
    assert "customer_lists_update: attempt 1: 404" in caplog.text
    for secret in (EMAIL, "SENTINEL"):
        assert secret not in caplog.text
        assert secret not in shown


async def test_logs_of_a_real_connection_contain_no_record_and_no_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Httpcore logs much of its work on a socket."""
    caplog.set_level(logging.DEBUG)
    with Client(TOKEN, base_url="http://127.0.0.1:9/v5", max_retries=0) as client:
        with pytest.raises(CallError) as failed:
            client.customer_lists_create(ACCOUNT, name="x", records=EMAIL)
        assert EMAIL not in f"{failed.value} {failed.value!r} {vars(failed.value)}"
    assert "httpcore" in caplog.text
    for secret in (EMAIL, "SENTINEL"):
        assert secret not in caplog.text


def test_record_error_does_not_contain_the_record() -> None:
    """Only its index."""
    with Client(TOKEN, transport=Emulator().transport()) as client:
        with pytest.raises(RecordError) as refused:
            client.customer_lists_create(ACCOUNT, name="x", records=["a@b.co", EMAIL + " "])
        assert refused.value.index == 1
        assert EMAIL not in f"{refused.value} {refused.value!r} {vars(refused.value)}"
