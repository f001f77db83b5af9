"""Customer segments with both clients: requests, responses, and looking one up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from support.twins import Kind, Twins, twins
from support.wire import Reply, refusal

from pinterest_audiences import (
    AsyncClient,
    ConfigurationError,
    CustomerSegment,
    CustomerSegmentStatus,
    GuardError,
    NotFoundError,
    ServerError,
)
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

BASE = "https://api.pinterest.com/v5/ad_accounts/549/customer_segments"
SHOWN: dict[str, object] = {
    "id": "5841155000000",
    "ad_account_id": "549",
    "name": "Existing",
    "audience_ids": ["1", "2"],
    "status": "ACTIVE",
    "created_time": 1600000000,
    "updated_time": 1700000000,
    "reach": 5,
}
CREATE = {"name": "Existing", "audience_ids": ["1"]}


@pytest.fixture(params=["awaiting", "blocking"])
def client(request: pytest.FixtureRequest) -> Twins:
    kind: Kind = request.param
    return twins(kind)


async def test_segment_is_created_from_audiences(client: Twins) -> None:
    """The fields of a recorded response; ids may be numbers and come from a generator."""
    async with client(Reply(200, SHOWN)) as twin:
        segment = await twin.call(
            "customer_segments_create", 549, name="Existing", audience_ids=(i for i in (1, "2"))
        )
    assert segment == CustomerSegment(
        id="5841155000000",
        ad_account_id="549",
        name="Existing",
        audience_ids=["1", "2"],
        status=CustomerSegmentStatus.ACTIVE,
        created_time=datetime.fromtimestamp(1600000000, UTC),
        updated_time=datetime.fromtimestamp(1700000000, UTC),
    )
    assert segment.extra == {"reach": 5}
    (sent,) = twin.sent
    assert (sent.method, sent.url) == ("POST", BASE)
    assert json.loads(sent.body) == {"name": "Existing", "audience_ids": ["1", "2"]}


async def test_create_is_not_repeated_when_it_may_have_been_applied(client: Twins) -> None:
    """A second segment of that name would be possible."""
    async with client(Reply(502, body=b"")) as twin:
        with pytest.raises(ServerError) as raised:
            await twin.call("customer_segments_create", 549, **CREATE)
    assert raised.value.maybe_applied
    assert len(twin.sent) == 1


async def test_update_replaces_audiences_and_returns_nothing(client: Twins) -> None:
    """It is repeated when its response was lost; the recorded response is null."""
    async with client(Reply(502, body=b""), Reply(200, body=b"null")) as twin:
        result = await twin.call("customer_segments_update", 549, 7, audience_ids=["3"])
    assert result is None
    assert [(each.method, each.url) for each in twin.sent] == [("PATCH", BASE)] * 2
    assert json.loads(twin.sent[0].body) == {
        "id": "7",
        "operation_type": "UPDATE",
        "audience_ids": ["3"],
    }


async def test_removal_sends_no_audiences(client: Twins) -> None:
    """An empty body is a success too."""
    async with client(Reply(200, body=b"")) as twin:
        await twin.call("customer_segments_update", 549, "7", operation_type="REMOVE")
    assert json.loads(twin.sent[0].body) == {"id": "7", "operation_type": "REMOVE"}


async def test_unknown_segment_is_not_found(client: Twins) -> None:
    async with client(refusal(404, 404)) as twin:
        with pytest.raises(NotFoundError, match="customer_segments_update: 404"):
            await twin.call("customer_segments_update", 549, "7", operation_type="REMOVE")


@pytest.mark.parametrize(
    ("method", "arguments", "param"),
    [
        ("create", {**CREATE, "name": " "}, "name"),
        ("create", {**CREATE, "audience_ids": []}, "audience_ids"),
        ("create", {**CREATE, "audience_ids": "643"}, "audience_ids"),
        ("create", {**CREATE, "audience_ids": b"643"}, "audience_ids"),
        ("create", {**CREATE, "audience_ids": {"643": "Buyers"}}, "audience_ids"),
        ("create", {**CREATE, "audience_ids": None}, "audience_ids"),
        ("create", {**CREATE, "audience_ids": ["Buyers"]}, "audience_ids"),
        ("update", {"customer_segment_id": "x", "audience_ids": ["1"]}, "customer_segment_id"),
        ("update", {"customer_segment_id": "7"}, "audience_ids"),
        ("update", {"customer_segment_id": "7", "operation_type": "DELETE"}, "operation_type"),
        (
            "update",
            {"customer_segment_id": "7", "operation_type": "REMOVE", "audience_ids": ["1"]},
            "audience_ids",
        ),
    ],
)
async def test_wrong_argument_is_refused_before_a_request(
    client: Twins, method: str, arguments: dict[str, object], param: str
) -> None:
    async with client() as twin:
        with pytest.raises(ConfigurationError, match=param) as raised:
            await twin.call(f"customer_segments_{method}", "549", **arguments)
    assert raised.value.param == param
    assert twin.sent == []


async def test_segments_are_listed_over_all_pages(client: Twins) -> None:
    """With the query of other listings."""
    pages = (
        Reply(200, {"items": [SHOWN], "bookmark": "b"}),
        Reply(200, {"items": [{"id": "8"}], "bookmark": None}),
    )
    async with client(*pages) as twin:
        segments = await twin.walk("customer_segments_list", "549", page_size=1, order="DESCENDING")
    assert [segment.id for segment in segments] == ["5841155000000", "8"]
    query = "page_size=1&order=DESCENDING"
    assert [each.url for each in twin.sent] == [f"{BASE}?{query}", f"{BASE}?{query}&bookmark=b"]


@pytest.fixture
async def emulated(anyio_backend: str) -> AsyncIterator[tuple[AsyncClient, Emulator]]:
    """A client and its emulator."""
    emulator = Emulator()
    async with AsyncClient("token", transport=emulator.transport()) as client:
        yield client, emulator


async def test_segment_is_found_by_id_or_name_until_it_is_removed(
    emulated: tuple[AsyncClient, Emulator],
) -> None:
    """In the listing, as no operation returns one segment."""
    client, emulator = emulated
    one, other = emulator.seed_audiences("549", 2)
    first = await client.customer_segments_create("549", name="A", audience_ids=[one])
    second = await client.customer_segments_create("549", name="B", audience_ids=[one])
    await client.customer_segments_update("549", second.id, audience_ids=[other])
    for reference in (second.id, int(second.id), "B"):
        found = await client.find_customer_segment("549", reference)
        assert (found.id, found.audience_ids) == (second.id, [other])
    await client.customer_segments_update("549", second.id, operation_type="REMOVE")
    for reference in (second.id, "B"):
        with pytest.raises(GuardError, match=r"customer_segments_list\(\)") as raised:
            await client.find_customer_segment("549", reference)
        assert raised.value.guard == "no_segment"
    assert (await client.find_customer_segment("549", "A")).id == first.id


async def test_ambiguous_segment_name_is_an_error_with_the_ids(
    emulated: tuple[AsyncClient, Emulator],
) -> None:
    client, emulator = emulated
    audience_ids = emulator.seed_audiences("549", 1)
    ids = [
        (await client.customer_segments_create("549", name="A", audience_ids=audience_ids)).id
        for _ in range(2)
    ]
    with pytest.raises(GuardError, match="customer_segment_id=") as raised:
        await client.find_customer_segment("549", "A")
    assert raised.value.guard == "ambiguous_name"
    assert all(item in str(raised.value) for item in ids)
