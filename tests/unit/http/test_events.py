"""The ``on_event`` of clients: what it receives, and that it cannot harm a call."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextvars import copy_context

import anyio
import anyio.lowlevel
import httpx
import pytest
from support.clock import FakeClock

from pinterest_audiences import (
    AsyncClient,
    CallEvent,
    Client,
    ConfigurationError,
    FailureEvent,
    RequestEvent,
    RequestTimeoutError,
    ResponseEvent,
    ServerError,
    WaitEvent,
)
from pinterest_audiences.emulator import Emulator, FaultKind

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
EMAIL = "secret.person@example.com"
TOKEN = "pina_secret_token"


def shape(event: CallEvent) -> tuple[object, ...]:
    match event:
        case RequestEvent():
            return ("request", event.operation, event.attempt)
        case ResponseEvent():
            return ("response", event.status, event.request.attempt)
        case FailureEvent():
            return ("failure", event.reason, event.request.attempt)
        case WaitEvent():
            return ("wait", event.reason)


SUCCESS: list[tuple[object, ...]] = [("request", "customer_lists_list", 1), ("response", 200, 1)]
RETRY: list[tuple[object, ...]] = [
    ("wait", "retry"),
    ("request", "customer_lists_list", 2),
    ("response", 200, 2),
]
FAULTS: dict[str, tuple[FaultKind | None, dict[str, object], list[tuple[object, ...]]]] = {
    "success": (None, {}, SUCCESS),
    "status 503": ("status", {"status": 503}, [SUCCESS[0], ("response", 503, 1), *RETRY]),
    "lost": ("reset_after", {}, [SUCCESS[0], ("failure", "reset", 1), *RETRY]),
    "429": (
        "status",
        {"status": 429, "headers": {"retry-after": "60"}},
        [SUCCESS[0], ("response", 429, 1), ("wait", "budget"), *RETRY[1:]],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["function", "coroutine function"])
async def test_events_of_a_call_and_its_retries(name: str, asynchronous: bool) -> None:
    kind, settings, expected = FAULTS[name]
    emulator, events = Emulator(), list[CallEvent]()
    if kind is not None:
        emulator.fault(kind, **settings)  # type: ignore[arg-type]

    async def append_later(event: CallEvent) -> None:
        await anyio.lowlevel.checkpoint()
        events.append(event)

    on_event: Callable[[CallEvent], object] = append_later if asynchronous else events.append
    async with AsyncClient.emulated(emulator, clock=emulator.clock, on_event=on_event) as client:
        await client.customer_lists_list(ACCOUNT).collect()
        assert [shape(event) for event in events] == expected
        first = events[0]
        assert isinstance(first, RequestEvent)
        assert {e.call_id for e in events if isinstance(e, RequestEvent | WaitEvent)} == {
            first.call_id
        }
        await client.customer_lists_list(ACCOUNT).collect()
    last = events[-1]
    assert isinstance(last, ResponseEvent)
    assert last.request.call_id != first.call_id


async def test_events_have_sizes_times_and_the_request_id() -> None:
    emulator, events = Emulator(clock=lambda: 0.0), list[CallEvent]()
    emulator.fault("slow", seconds=2)
    async with AsyncClient.emulated(
        emulator, clock=emulator.clock, on_event=events.append
    ) as client:
        await client.customer_lists_create(ACCOUNT, name="Buyers", records=EMAIL)
    request, response = events
    assert isinstance(request, RequestEvent)
    assert isinstance(response, ResponseEvent)
    assert request.url == f"https://emulator.invalid/v5/ad_accounts/{ACCOUNT}/customer_lists"
    assert request.path_template == "/ad_accounts/{ad_account_id}/customer_lists"
    assert (request.method, response.request, response.seconds) == ("POST", request, 2)
    assert request.request_bytes > len(EMAIL)
    assert response.response_bytes > 0
    assert response.request_id is not None


def test_synchronous_client_has_the_same_events() -> None:
    events = list[CallEvent]()
    with Client.emulated(on_event=events.append) as client:
        client.customer_lists_list(ACCOUNT).collect()
    assert [shape(event) for event in events] == SUCCESS


async def test_events_contain_no_record_token_or_bookmark() -> None:
    emulator, events = Emulator(access_tokens=[TOKEN]), list[CallEvent]()
    emulator.seed_lists(ACCOUNT, 3)
    emulator.fault("status", status=400, message=EMAIL, operation="customer_lists_update")
    async with AsyncClient.emulated(
        emulator, access_token=TOKEN, clock=emulator.clock, on_event=events.append
    ) as client:
        await client.customer_lists_create(ACCOUNT, name="Buyers", records=EMAIL)
        await client.customer_lists_list(ACCOUNT, page_size=2).collect()
    assert len(events) == 6
    text = "".join(f"{event!r}{getattr(event, 'url', '')}" for event in events)
    assert EMAIL not in text
    assert TOKEN not in text
    assert "bookmark" not in text


@pytest.mark.parametrize("failing", [RequestEvent, ResponseEvent, FailureEvent, WaitEvent])
async def test_exception_of_on_event_is_logged_and_loses_no_answer(
    failing: type[object], caplog: pytest.LogCaptureFixture
) -> None:
    """The list is created once, and its creation is reported."""

    def fail(event: CallEvent) -> None:
        if isinstance(event, failing):
            raise RuntimeError("of the hook")  # noqa: TRY004

    emulator = Emulator()
    emulator.fault("reset_before", operation="customer_lists_list")
    async with AsyncClient.emulated(emulator, clock=emulator.clock, on_event=fail) as client:
        created = await client.customer_lists_create(ACCOUNT, name="Buyers", records=EMAIL)
        listed = await client.customer_lists_list(ACCOUNT).collect()
    assert [item.id for item in listed] == [created.id]
    assert f"on_event failed for a {failing.__name__}" in caplog.messages


async def test_total_timeout_pauses_while_a_response_is_reported() -> None:
    """So that a slow function does not lose the answer of a change that was applied."""
    deadlines = dict[str, float]()

    async def note_deadline(event: CallEvent) -> None:
        await anyio.lowlevel.checkpoint()
        deadlines[type(event).__name__] = anyio.current_effective_deadline()

    async with AsyncClient(
        "token",
        base_url="emulator:",
        transport=Emulator().transport(),
        total_timeout=3600,
        on_event=note_deadline,
    ) as client:
        await client.customer_lists_create(ACCOUNT, name="Buyers", records=EMAIL)
    assert deadlines["RequestEvent"] < math.inf
    assert deadlines["ResponseEvent"] == math.inf


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_change_is_not_lost_when_its_response_and_the_timeout_are_due_at_once() -> None:
    """In a busy event loop; the coroutine function is awaited in spite of the timeout."""
    emulator, loop = Emulator(), asyncio.get_running_loop()
    inner = emulator.transport()

    class BusyLoop(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await inner.handle_async_request(request)
            deadline, arrived = anyio.current_effective_deadline(), loop.create_future()
            loop.call_at(deadline - 0.02, time.sleep, 0.1)
            loop.call_at(deadline - 0.01, arrived.set_result, None)
            await arrived
            return response

    async def on_event(event: CallEvent) -> None:
        await anyio.lowlevel.checkpoint()

    async with AsyncClient(
        "token",
        base_url="emulator:",
        transport=BusyLoop(),
        total_timeout=1,
        on_event=on_event,
    ) as client:
        created = await client.customer_lists_create(ACCOUNT, name="Buyers", records=EMAIL)
    assert emulator.customer_list(created.id)["name"] == "Buyers"


async def test_time_of_on_event_does_not_count_as_time_of_the_request() -> None:
    clock, seconds = FakeClock(), list[float]()

    async def on_event(event: CallEvent) -> None:
        await clock.sleep(5)
        if isinstance(event, ResponseEvent):
            seconds.append(event.seconds)

    async with AsyncClient.emulated(clock=clock, on_event=on_event) as client:
        await client.customer_lists_list(ACCOUNT).collect()
    assert seconds == [0.0]


async def test_total_timeout_continues_after_a_failed_response() -> None:
    emulator, deadlines = Emulator(), list[float]()
    emulator.fault("status", status=503)

    def note_deadline(event: CallEvent) -> None:
        if isinstance(event, WaitEvent):
            deadlines.append(anyio.current_effective_deadline())

    async with AsyncClient(
        "token",
        base_url="emulator:",
        transport=emulator.transport(),
        clock=emulator.clock,
        total_timeout=3600,
        on_event=note_deadline,
    ) as client:
        await client.customer_lists_list(ACCOUNT).collect()
    assert [deadline < math.inf for deadline in deadlines] == [True]


async def test_total_timeout_ends_a_request_with_a_failure_event() -> None:
    emulator, events = Emulator(), list[CallEvent]()
    emulator.fault("slow", seconds=1000)
    async with AsyncClient(
        "token",
        base_url="emulator:",
        transport=emulator.transport(),
        total_timeout=0.01,
        on_event=events.append,
    ) as client:
        with pytest.raises(RequestTimeoutError):
            await client.customer_lists_list(ACCOUNT).collect()
    assert [shape(event) for event in events] == [SUCCESS[0], ("failure", "total_timeout", 1)]


async def test_failure_event_of_another_exception_has_its_class_as_reason() -> None:
    """Such as a defect of a transport; the exception itself reaches the caller."""

    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise LookupError

    events = list[CallEvent]()
    async with AsyncClient("token", transport=Broken(), on_event=events.append) as client:
        with pytest.raises(LookupError):
            await client.customer_lists_list(ACCOUNT).collect()
    assert [shape(event) for event in events] == [SUCCESS[0], ("failure", "LookupError", 1)]


async def test_cancelled_request_ends_with_a_failure_event() -> None:
    """A coroutine function is awaited in spite of the cancellation."""
    emulator, events = Emulator(), list[CallEvent]()
    emulator.fault("slow", seconds=1000)

    async with anyio.create_task_group() as tasks:

        async def cancel_during_the_request(event: CallEvent) -> None:
            await anyio.lowlevel.checkpoint()
            events.append(event)
            if isinstance(event, RequestEvent):
                tasks.cancel_scope.cancel()

        async with AsyncClient.emulated(emulator, on_event=cancel_during_the_request) as client:
            await client.customer_lists_list(ACCOUNT).collect()
    assert [shape(event) for event in events] == [SUCCESS[0], ("failure", "cancelled", 1)]


async def test_last_failure_has_no_wait_event() -> None:
    emulator, events = Emulator(), list[CallEvent]()
    emulator.fault("status", status=503, times=None)
    async with AsyncClient(
        "token",
        base_url="emulator:",
        transport=emulator.transport(),
        clock=emulator.clock,
        max_retries=1,
        on_event=events.append,
    ) as client:
        with pytest.raises(ServerError):
            await client.customer_lists_list(ACCOUNT).collect()
    assert [shape(event)[0] for event in events] == [
        *("request", "response", "wait"),
        *("request", "response"),
    ]


def test_on_event_must_be_a_function() -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncClient("token", on_event="print")  # type: ignore[arg-type]
    assert caught.value.param == "on_event"


async def test_log_records_have_fields(caplog: pytest.LogCaptureFixture) -> None:
    emulator = Emulator()
    emulator.fault("status", status=503)
    with caplog.at_level(logging.DEBUG, "pinterest_audiences"):
        async with AsyncClient.emulated(emulator, clock=emulator.clock) as client:
            await client.customer_lists_list(ACCOUNT).collect()
    fields = ("operation", "attempt", "status")
    records = [
        tuple(getattr(record, name, None) for name in fields)
        for record in caplog.records
        if record.name == "pinterest_audiences"
    ]
    name = "customer_lists_list"
    assert records == [(name, 1, 503), (name, 1, None), (name, 2, 200)]
    assert all(hasattr(caplog.records[i], "duration_ms") for i in (0, 2))
    assert vars(caplog.records[0])["request_id"] is not None
    assert vars(caplog.records[1])["wait_seconds"] > 0


async def test_context_holds_no_call_after_it() -> None:
    """Nor its body, which may be large."""
    async with AsyncClient.emulated() as client:
        await client.customer_lists_create(ACCOUNT, name="Buyers", records=EMAIL)
    assert EMAIL not in repr([str(vars_of(value)) for value in copy_context().values()])


def vars_of(value: object) -> object:
    return getattr(getattr(value, "call", None), "body", None)
