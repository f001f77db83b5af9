"""The customer list operations on the emulator, with both clients."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Literal, TypeVar, cast

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

from pinterest_audiences import (
    AsyncClient,
    Client,
    ClientClosedError,
    ConfigurationError,
    CustomerList,
    CustomerListStatus,
    NotFoundError,
    OperationType,
    Order,
    PaginationError,
    RecordError,
    RecordRow,
    UserListType,
)
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

T = TypeVar("T")
AnyClient = AsyncClient | Client
ACCOUNT = "549755885175"
PATH = f"/v5/ad_accounts/{ACCOUNT}/customer_lists"
NOW = 1_700_000_000.0


class EmulatorClock:
    """A clock for the emulator, set by the test."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> EmulatorClock:
    return EmulatorClock()


@pytest.fixture
def emulator(hands: EmulatorClock) -> Emulator:
    return Emulator(clock=hands, match_rate=1.0, rate_limits=None)


@pytest.fixture(params=["awaiting", "blocking"])
async def client(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[AnyClient]:
    """Either client; the synchronous one works inside a running event loop, too."""
    if request.param == "awaiting":
        async with AsyncClient("token", transport=emulator.transport()) as awaiting:
            yield awaiting
    else:
        with Client("token", transport=emulator.transport()) as blocking:
            yield blocking


async def done(result: T | Awaitable[T]) -> T:
    """Return a result, awaited if necessary."""
    return await result if inspect.isawaitable(result) else result


async def lists(client: AnyClient, **arguments: object) -> list[CustomerList]:
    """Return all lists of the account."""
    pager = client.customer_lists_list(ACCOUNT, **arguments)  # type: ignore[arg-type]
    return await done(pager.collect())


def requests_to(emulator: Emulator) -> list[tuple[str, str, int]]:
    return [(entry.method, entry.path, entry.status) for entry in emulator.requests]


async def test_create_returns_the_list_with_its_records(
    client: AnyClient, emulator: Emulator
) -> None:
    """In one POST."""
    made = await done(
        client.customer_lists_create(
            ACCOUNT, name="Früh & Spät", records=["a@example.com", "b@example.com", "a@example.com"]
        )
    )
    assert emulator.members(made.id) == {"a@example.com", "b@example.com"}
    assert (made.name, made.ad_account_id, made.type) == ("Früh & Spät", ACCOUNT, "customerlist")
    assert made.status is CustomerListStatus.PROCESSING
    assert (made.num_batches, made.num_uploaded_user_records) == (1, 3)
    assert made.num_removed_user_records == 0
    assert made.created_time is not None
    assert made.created_time.timestamp() == NOW
    assert made.is_nca is None  # only listings have it
    assert requests_to(emulator) == [("POST", PATH, 200)]


@pytest.mark.parametrize(
    "records",
    ["a@example.com,b@example.com", ("a@example.com", "b@example.com"), None],
    ids=["string", "tuple", "generator"],
)
async def test_create_accepts_a_string_or_any_iterable(
    client: AnyClient, emulator: Emulator, records: str | Iterable[str] | None
) -> None:
    """All create the same list."""
    if records is None:
        records = (f"{letter}@example.com" for letter in "ab")
    made = await done(client.customer_lists_create(ACCOUNT, name="x", records=records))
    assert emulator.members(made.id) == {"a@example.com", "b@example.com"}


async def test_create_accepts_rows(client: AnyClient, emulator: Emulator) -> None:
    """A row is one member with all its identifiers."""
    made = await done(
        client.customer_lists_create(
            ACCOUNT,
            name="x",
            records_v2=[
                RecordRow(email="a@example.com", external_id="7, rue"),
                RecordRow(maid="b" * 64),
            ],
        )
    )
    assert emulator.members(made.id) == {
        (("email", "a@example.com"), ("external_id", "7, rue")),
        (("maid", "b" * 64),),
    }
    assert made.num_uploaded_user_records == 2


@each_case("list_type", [*UserListType, "MAID"])
@each_case("is_nca", [None, True, False])
async def test_create_accepts_list_type_and_is_nca(
    client: AnyClient, list_type: UserListType | Literal["MAID"], is_nca: bool | None
) -> None:
    """Listings return `is_nca`."""
    made = await done(
        client.customer_lists_create(
            ACCOUNT, name="x", records="a", list_type=list_type, is_nca=is_nca
        )
    )
    *_, listed = await lists(client)
    assert (listed.id, listed.is_nca) == (made.id, bool(is_nca))


@pytest.mark.parametrize("status", [200, 201])
async def test_create_accepts_status_200_and_201(status: int) -> None:
    """Newer versions of the API return 201."""
    emulator = Emulator(create_status=status, rate_limits=None)  # type: ignore[arg-type]  # one of the two
    async with AsyncClient("token", transport=emulator.transport()) as client:
        made = await client.customer_lists_create(ACCOUNT, name="x", records="a")
    assert requests_to(emulator) == [("POST", PATH, status)]
    assert emulator.members(made.id) == {"a"}


async def test_get_returns_the_current_state(
    client: AnyClient, emulator: Emulator, hands: EmulatorClock
) -> None:
    """A list that is processing becomes ready in time."""
    small, large = (
        emulator.seed_lists(ACCOUNT, 1),
        emulator.seed_lists(ACCOUNT, 1, name="Large", records=map(str, range(100))),
    )
    found = await done(client.customer_lists_get(ACCOUNT, large[0]))
    assert (found.id, found.name) == (large[0], "Large")
    assert found.status == "PROCESSING"
    hands.now += 3600
    ready = await done(client.customer_lists_get(ACCOUNT, large[0]))
    assert ready.status is CustomerListStatus.READY
    assert (await done(client.customer_lists_get(ACCOUNT, small[0]))).status == "TOO_SMALL"
    assert requests_to(emulator) == [
        ("GET", f"{PATH}/{each}", 200) for each in (large[0], large[0], small[0])
    ]


async def test_get_of_unknown_list_names_the_call(client: AnyClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        await done(client.customer_lists_get(ACCOUNT, "999"))
    error = caught.value
    assert (error.operation, error.status, error.attempts) == ("customer_lists_get", 404, 1)
    assert error.path == f"/ad_accounts/{ACCOUNT}/customer_lists/999"
    assert error.request_id
    assert not error.maybe_applied


async def test_update_adds_and_removes_records(
    client: AnyClient, emulator: Emulator, hands: EmulatorClock
) -> None:
    """Members are a set; the counters count what was sent."""
    (only,) = emulator.seed_lists(ACCOUNT, 1, records=["a", "b"])
    hands.now += 60
    added = await done(
        client.customer_lists_update(
            ACCOUNT, only, operation_type=OperationType.ADD, records=["b", "c", "d"]
        )
    )
    assert emulator.members(only) == {"a", "b", "c", "d"}
    assert (added.num_batches, added.num_uploaded_user_records) == (2, 5)
    assert added.updated_time is not None
    assert added.updated_time.timestamp() == NOW + 60
    removed = await done(
        client.customer_lists_update(ACCOUNT, only, operation_type="REMOVE", records="a,x")
    )
    assert emulator.members(only) == {"b", "c", "d"}
    assert (removed.num_batches, removed.num_removed_user_records) == (3, 2)
    assert requests_to(emulator) == [("PATCH", f"{PATH}/{only}", 200)] * 2


async def test_update_accepts_rows(client: AnyClient, emulator: Emulator) -> None:
    """Rows are added and removed as a whole."""
    (only,) = emulator.seed_lists(ACCOUNT, 1)
    rows = [RecordRow(email="a"), RecordRow(email="b", maid="c")]
    await done(
        client.customer_lists_update(ACCOUNT, only, operation_type="ADD", records_v2=iter(rows))
    )
    await done(
        client.customer_lists_update(ACCOUNT, only, operation_type="REMOVE", records_v2=rows[:1])
    )
    assert emulator.members(only) == {(("email", "b"), ("maid", "c"))}


async def test_list_returns_all_lists_over_all_pages(client: AnyClient, emulator: Emulator) -> None:
    """In the requested order and page size."""
    ids = list(emulator.seed_lists(ACCOUNT, 7))
    emulator.seed_lists("1", 3)
    oldest_first = await lists(client, page_size=3, order=Order.ASCENDING)
    assert [each.id for each in oldest_first] == ids
    assert requests_to(emulator) == [("GET", PATH, 200)] * 3
    newest_first = await lists(client, page_size=250, order="DESCENDING")
    assert [each.id for each in newest_first] == ids[::-1]
    assert len(emulator.requests) == 4
    assert len(await lists(client, page_size=1)) == 7
    assert len(emulator.requests) == 11
    assert all(each.name and each.status for each in newest_first)


@pytest.mark.parametrize(("exclude", "count"), [(True, 2), (False, 5), (None, 5)])
async def test_list_sends_exclude_nca_with_every_page(
    client: AnyClient, emulator: Emulator, exclude: bool | None, count: int
) -> None:
    emulator.seed_lists(ACCOUNT, 3, is_nca=True)
    emulator.seed_lists(ACCOUNT, 2)
    assert len(await lists(client, page_size=1, exclude_nca=exclude)) == count


GOOD_IDS = ["5", "0", "007", "549755885175", "9" * 18, 5, 0, 10**18 - 1]


@each_case("identifier", GOOD_IDS)
async def test_ids_are_digit_strings_or_ints(
    client: AnyClient, emulator: Emulator, identifier: str | int
) -> None:
    """Up to 18 digits."""
    for call in calls(client, identifier, identifier):
        with pytest.raises(NotFoundError):
            await done(call())
        assert emulator.requests[-1].path.endswith(f"customer_lists/{identifier}")
    assert await done(client.customer_lists_list(identifier).collect()) == []
    assert emulator.requests[-1].path == f"/v5/ad_accounts/{identifier}/customer_lists"


def calls(
    client: AnyClient, account: str | int, customer_list: str | int
) -> list[Callable[[], CustomerList | Awaitable[CustomerList]]]:
    """The calls that take both ids."""
    return [
        lambda: client.customer_lists_get(account, customer_list),
        lambda: client.customer_lists_update(
            account, customer_list, operation_type="ADD", records="a"
        ),
    ]


BAD_IDS = [
    "",
    " ",
    "abc",
    "12a",
    " 12",
    "12 ",
    "12\n",
    "-5",
    "+5",
    "1.5",
    "1" * 19,
    "../",
    "..",
    "5/../6",
    "5?x=1",
    "5%2F6",
    "\uff11\uff12",  # digits of other scripts are none
    "\u0663",
    "\u00b2",
    -1,
    10**18,
    pytest.param(10**5000, id="huge"),
    True,
    False,
    5.0,
    None,
    b"5",
    ["5"],
]


@each_case("bad", BAD_IDS)
async def test_invalid_id_is_refused_before_sending(
    client: AnyClient, emulator: Emulator, bad: str
) -> None:
    """Either id of each call."""
    attempts: list[tuple[str, Callable[[], object]]] = [
        ("ad_account_id", lambda: client.customer_lists_create(bad, name="x", records="a")),
        ("ad_account_id", lambda: client.customer_lists_list(bad).collect()),
        *(("ad_account_id", call) for call in calls(client, bad, "1")),
        *(("customer_list_id", call) for call in calls(client, "1", bad)),
    ]
    for name, attempt in attempts:
        with pytest.raises(ConfigurationError, match=f"^{name} must be a string of 1 to 18 digits"):
            await done(attempt())
    assert requests_to(emulator) == []


BAD_LISTINGS = [
    *({"page_size": size} for size in (0, 251, -1, "ten", "10", True, False, 10.0, 2**64)),
    *({"order": order} for order in ("UP", "ascending", "", 1, True, Order("UP"))),
    *({"bookmark": bookmark} for bookmark in ("", 5, b"b", ["b"])),
    *({"exclude_nca": flag} for flag in ("true", 0, 1, "")),
]


@each_case("arguments", BAD_LISTINGS)
async def test_invalid_listing_argument_is_refused_at_the_call(
    client: AnyClient, emulator: Emulator, arguments: dict[str, object]
) -> None:
    """Not at the first iteration; the error names the argument."""
    (name,) = arguments
    with pytest.raises(ConfigurationError, match=f"^{name}(: | must be )"):
        client.customer_lists_list(ACCOUNT, **arguments)  # type: ignore[arg-type]
    assert requests_to(emulator) == []


@pytest.mark.parametrize("wrong", ["REPLACE", "add", "", None, OperationType("REPLACE")])
async def test_unknown_operation_type_is_refused_before_sending(
    client: AnyClient, emulator: Emulator, wrong: object
) -> None:
    (only,) = emulator.seed_lists(ACCOUNT, 1, records=["a"])
    with pytest.raises(ConfigurationError, match=r"^operation_type must be one of ADD, REMOVE"):
        await done(
            client.customer_lists_update(
                ACCOUNT, only, operation_type=cast("OperationType", wrong), records="b"
            )
        )
    assert requests_to(emulator) == []
    assert emulator.members(only) == {"a"}


BAD_RECORDS: list[dict[str, object]] = [
    {},
    {"records": "a", "records_v2": [RecordRow(email="a")]},
    {"records": ""},
    {"records": []},
    {"records": ["a", "b c"]},
    {"records": ["a", "b,c"]},
    {"records": "a,b,"},
    {"records": b"a"},
    {"records": ["a", 5]},
    {"records_v2": []},
    {"records_v2": [RecordRow()]},
    {"records_v2": [{"email": "a"}]},
]


@each_case("arguments", BAD_RECORDS)
async def test_invalid_records_are_refused_before_sending(
    client: AnyClient, emulator: Emulator, arguments: dict[str, object]
) -> None:
    """By create and by update."""
    attempts: list[Callable[[], CustomerList | Awaitable[CustomerList]]] = [
        lambda: client.customer_lists_create(ACCOUNT, name="x", **arguments),  # type: ignore[call-overload]
        lambda: client.customer_lists_update(ACCOUNT, "1", operation_type="ADD", **arguments),  # type: ignore[call-overload]
    ]
    for attempt in attempts:
        with pytest.raises(RecordError):
            await done(attempt())
    assert requests_to(emulator) == []


@pytest.mark.parametrize("arguments", BAD_RECORDS, ids=str)
def test_both_clients_raise_the_same_record_errors(
    emulator: Emulator, arguments: dict[str, object]
) -> None:
    messages: list[str] = []
    with Client("token", transport=emulator.transport()) as blocking:
        with pytest.raises(RecordError) as caught:
            blocking.customer_lists_create(ACCOUNT, name="x", **arguments)  # type: ignore[call-overload]
        messages.append(str(caught.value))

    async def main() -> None:
        async with AsyncClient("token", transport=emulator.transport()) as awaiting:
            with pytest.raises(RecordError) as caught:
                await awaiting.customer_lists_create(ACCOUNT, name="x", **arguments)  # type: ignore[call-overload]
            messages.append(str(caught.value))

    anyio.run(main)
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    "arguments", [{"name": ""}, {"name": "x", "list_type": "PHONE"}, {"name": "x", "is_nca": 1}]
)
async def test_invalid_list_argument_is_refused_before_sending(
    client: AnyClient, emulator: Emulator, arguments: dict[str, object]
) -> None:
    with pytest.raises(ConfigurationError):
        await done(
            client.customer_lists_create(ACCOUNT, records="a", **arguments)  # type: ignore[call-overload]
        )
    assert requests_to(emulator) == []


async def test_every_call_of_a_closed_client_raises(client: AnyClient, emulator: Emulator) -> None:
    """A second close does nothing."""
    pager = client.customer_lists_list(ACCOUNT)
    for _ in range(2):
        await done(client.aclose() if isinstance(client, AsyncClient) else client.close())  # type: ignore[func-returns-value]
    attempts: list[Callable[[], object]] = [
        *calls(client, ACCOUNT, "1"),
        lambda: client.customer_lists_create(ACCOUNT, name="x", records="a"),
        pager.collect,
        lambda: client.customer_lists_list(ACCOUNT).collect(),
    ]
    for attempt in attempts:
        with pytest.raises(ClientClosedError, match="create a new one"):
            await done(attempt())
    enter: Callable[[], object] = (
        client.__aenter__ if isinstance(client, AsyncClient) else client.__enter__
    )
    with pytest.raises(ClientClosedError):
        await done(enter())
    assert requests_to(emulator) == []


async def test_pagination_error_names_the_call() -> None:
    """Like every CallError."""

    def endless(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": [{"id": "1"}], "bookmark": "again"})

    async with AsyncClient("token", transport=httpx.MockTransport(endless)) as client:
        with pytest.raises(PaginationError) as caught:
            await client.customer_lists_list(ACCOUNT).collect()
    assert caught.value.operation == "customer_lists_list"
    assert "customer_lists_list" in str(caught.value)


steps = st.lists(
    st.tuples(st.sampled_from(["ADD", "REMOVE"]), st.sets(st.sampled_from("abcdef"), min_size=1)),
    max_size=6,
)


@pytest.mark.slow
@given(steps=steps)
def test_members_after_any_updates_equal_a_set_in_memory(
    steps: list[tuple[Literal["ADD", "REMOVE"], set[str]]],
) -> None:
    """In any order of additions and removals."""
    emulator = Emulator(rate_limits=None)
    (only,) = emulator.seed_lists(ACCOUNT, 1)
    wanted: set[str] = set()

    async def main() -> None:
        async with AsyncClient("token", transport=emulator.transport()) as client:
            for operation, records in steps:
                await client.customer_lists_update(
                    ACCOUNT, only, operation_type=operation, records=records
                )
                if operation == "ADD":
                    wanted.update(records)
                else:
                    wanted.difference_update(records)

    anyio.run(main)
    assert emulator.members(only) == wanted
