"""A batch goes to Pinterest as it is, through both clients."""

from __future__ import annotations

import pytest

from pinterest_audiences import (
    AsyncClient,
    Batch,
    Client,
    RecordError,
    RecordRow,
    make_batches,
    prepare,
    prepare_rows,
)
from pinterest_audiences._http import requests
from pinterest_audiences.emulator import Emulator

ACCOUNT = "549755885175"
EMAILS = [f"p{n}@shop.de" for n in range(250)]


def body(batch: Batch) -> bytes:
    return b"".join(
        requests.customer_list_update(operation_type="ADD", records=batch, records_v2=None)
    )


@pytest.mark.anyio
async def test_batches_create_and_fill_a_list() -> None:
    """The first creates it, the others are added; the counters say that all arrived."""
    emulator = Emulator(match_rate=1.0, rate_limits=None)
    async with AsyncClient("token", transport=emulator.transport()) as client:
        made = None
        for batch in prepare(EMAILS).batches(max_records=100):
            if made is None:
                made = await client.customer_lists_create(ACCOUNT, name="Spring", records=batch)
            else:
                made = await client.customer_lists_update(
                    ACCOUNT, made.id, operation_type="ADD", records=batch
                )
    assert made is not None
    assert (made.num_batches, made.num_uploaded_user_records) == (3, 250)


def test_batches_are_accepted_by_the_sync_client() -> None:
    """Of rows, too."""
    rows = [{"email": email, "external_id": f'"{email}"'} for email in EMAILS]
    emulator = Emulator(match_rate=1.0, rate_limits=None)
    with Client("token", transport=emulator.transport()) as client:
        [batch] = prepare_rows(rows).batches()
        made = client.customer_lists_create(ACCOUNT, name="Spring", records=batch)
        assert made.num_uploaded_user_records == 250
        [removed] = prepare(EMAILS[:5]).batches()
        after = client.customer_lists_update(
            ACCOUNT, made.id, operation_type="REMOVE", records=removed
        )
        assert after.num_removed_user_records == 5


def test_batch_is_the_body_that_its_records_would_be() -> None:
    """Byte for byte, as strings and as rows."""
    [batch] = make_batches(["a" * 64, "b" * 64])
    plain = requests.customer_list_update(
        operation_type="ADD", records=["a" * 64, "b" * 64], records_v2=None
    )
    assert body(batch) == b"".join(plain)
    row = RecordRow(email="a" * 64, external_id='1"7')
    [batch] = make_batches([row])
    plain = requests.customer_list_update(operation_type="ADD", records=None, records_v2=[row])
    assert body(batch) == b"".join(plain)


def test_batch_is_the_only_records_of_a_call() -> None:
    """Batch and rows together are refused."""
    [batch] = make_batches(["a"])
    with pytest.raises(RecordError, match="exactly one"):
        requests.customer_list_update(
            operation_type="ADD", records=batch, records_v2=[RecordRow(email="a")]
        )
