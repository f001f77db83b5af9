"""Compare the client with plain httpx: pagination, sending, sync calls, imports, rate limits."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import re
import resource
import subprocess
import sys

import anyio
import httpx
import trio
import trio.testing
from harness import (
    ROUNDS,
    Rounds,
    Row,
    canned_server,
    in_turns,
    json_response,
    show,
    side_by_side,
)

from pinterest_audiences import AsyncClient, Batch, Client, Clock, make_batches
from pinterest_audiences.emulator import Emulator

LISTS, PAGE = 100_000, 250
ACCOUNT = "549755885175"


def one_list(number: int) -> dict[str, object]:
    return {
        "ad_account_id": ACCOUNT,
        "created_time": 1452208622 + number,
        "exceptions": {},
        "id": str(10**10 + number),
        "is_nca": False,
        "name": f"Customers of {number}, exported from the shop",
        "num_batches": 2,
        "num_removed_user_records": 0,
        "num_uploaded_user_records": 11,
        "status": "READY",
        "type": "customerlist",
        "updated_time": 1461269616,
    }


PAGES: dict[int, bytes] = {}


def one_page(number: int) -> bytes:
    if number not in PAGES:
        PAGES[number] = make_page(number)
    return PAGES[number]


def make_page(number: int) -> bytes:
    items = [one_list(number * PAGE + i) for i in range(PAGE)]
    bookmark = f"page{number + 1}" if (number + 1) * PAGE < LISTS else None
    return json_response(json.dumps({"items": items, "bookmark": bookmark}).encode())


def respond_page(head: bytes) -> bytes:
    found = re.search(rb"bookmark=page(\d+)", head)
    return one_page(int(found[1]) if found else 0)


def respond_list(_: bytes) -> bytes:
    return json_response(json.dumps(one_list(1)).encode())


async def walk() -> Row:
    with canned_server(respond_page) as url:
        headers = {"Authorization": "Bearer token"}
        async with (
            AsyncClient("token", base_url=url) as client,
            httpx.AsyncClient(headers=headers) as raw,
        ):

            async def baseline() -> int:
                count, params = 0, {"page_size": str(PAGE)}
                while True:
                    address = f"{url}/ad_accounts/{ACCOUNT}/customer_lists"
                    page = json.loads((await raw.get(address, params=params)).content)
                    for _ in page["items"]:
                        count += 1
                    if not page["bookmark"]:
                        return count
                    params["bookmark"] = page["bookmark"]

            async def ours() -> int:
                count = 0
                async for _ in client.customer_lists_list(ACCOUNT, page_size=PAGE):
                    count += 1
                return count

            if (await baseline(), await ours()) != (LISTS, LISTS):
                raise AssertionError("both must return every list")
            rounds = await side_by_side(baseline, ours)
    goal = 1.0 if importlib.util.find_spec("orjson") else 1.4
    return rounds.ratio("walk 100,000 lists, CPU", "httpx + json.loads", goal)


async def send() -> list[Row]:
    hashes = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(15_384)]
    records = ",".join(hashes)
    (batch,) = make_batches(hashes, max_records=len(hashes), max_bytes=1_100_000)
    ready = b'{"operation_type":"ADD","records":"' + records.encode() + b'"}'
    rows: list[Row] = []
    with canned_server(respond_list) as url:
        headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
        async with (
            AsyncClient("token", base_url=url) as client,
            httpx.AsyncClient(headers=headers) as raw,
        ):

            async def baseline() -> None:
                for _ in range(50):
                    address = f"{url}/ad_accounts/{ACCOUNT}/customer_lists/1"
                    (await raw.patch(address, content=ready)).raise_for_status()

            async def with_json() -> None:
                for _ in range(50):
                    address = f"{url}/ad_accounts/{ACCOUNT}/customer_lists/1"
                    body = {"operation_type": "ADD", "records": ",".join(hashes)}
                    (await raw.patch(address, json=body)).raise_for_status()

            async def from_string(given: str | list[str] | Batch = records) -> None:
                for _ in range(50):
                    await client.customer_lists_update(
                        ACCOUNT, 1, operation_type="ADD", records=given
                    )

            for name, given, other, other_name, goal in (
                ("one string", records, baseline, "httpx with ready bytes", 1.3),
                ("a list of strings", hashes, with_json, "httpx with json=", 0.7),
                ("a Batch", batch, baseline, "httpx with ready bytes", 1.1),
            ):
                rounds = await side_by_side(other, functools.partial(from_string, given))
                figure = f"send 1 MB of records from {name}, CPU"
                rows.append(rounds.ratio(figure, other_name, goal))
    return rows


async def blocking() -> list[Row]:
    calls = 300
    with canned_server(respond_list) as url, canned_server(respond_list) as url2:
        async with AsyncClient("token", base_url=url) as native:
            with Client("token", base_url=url2) as client:

                async def baseline() -> None:
                    for _ in range(calls):
                        await native.customer_lists_get(ACCOUNT, 1)

                async def ours() -> None:
                    for _ in range(calls):
                        client.customer_lists_get(ACCOUNT, 1)

                # CPU of both threads: wall time on a busy machine gives negative differences.
                by_call = await side_by_side(baseline, ours)
    with canned_server(respond_page) as url, canned_server(respond_page) as url2:
        async with AsyncClient("token", base_url=url) as native:
            with Client("token", base_url=url2) as client:

                async def baseline_pages() -> None:
                    async for page in native.customer_lists_list(ACCOUNT, page_size=PAGE).by_page():
                        for _ in page.items:
                            pass

                async def our_items() -> None:
                    for _ in client.customer_lists_list(ACCOUNT, page_size=PAGE):
                        pass

                # CPU of both threads: wall time varies by more than the goal from run to run.
                by_item = await side_by_side(baseline_pages, our_items)
    return [
        by_call.difference(
            "a sync call, more CPU", "the same call, async", units=1e6 / calls, unit="us", goal=300
        ),
        by_item.difference(
            "sync iteration, more CPU an item", "async pages", units=1e6 / LISTS, unit="us", goal=1
        ),
    ]


IMPORTS = {
    "bare Python": "pass",
    "the package": "import pinterest_audiences",
    "libraries": "import httpx, attrs, cattrs, anyio, anyio.from_thread",
    "Client": "from pinterest_audiences import Client",
}
BY_HAND = """
import httpx, anyio.from_thread, json, sys
with anyio.from_thread.start_blocking_portal() as portal:
    client = httpx.AsyncClient(headers={"Authorization": "Bearer token"})
    response = portal.call(client.get, sys.argv[1] + "/ad_accounts/ACCOUNT/customer_lists/1")
    assert json.loads(response.content)["name"]
    portal.call(client.aclose)
"""
BY_CLIENT = """
import sys
from pinterest_audiences import Client
with Client("token", base_url=sys.argv[1]) as client:
    assert client.customer_lists_get("ACCOUNT", 1).name
"""


def process_seconds(code: str, *arguments: str) -> float:
    """Run code in a new Python that may cache bytecode; return the CPU seconds of the process."""
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def importing() -> list[Row]:
    """Measure imports; the libraries that a client cannot do without are a second baseline."""
    spent: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(2 * ROUNDS + 1):  # the first round writes bytecode
        for name, code in IMPORTS.items():
            spent[name].append(process_seconds(code))

    def more(ours: str, baseline: str) -> Rounds:
        return Rounds(spent[baseline][1:], spent[ours][1:])

    figure = "import Client, more CPU"
    libraries = more("libraries", "bare Python").difference("", "", units=1e3, unit="ms", goal=0)
    bare = f"bare Python (libraries: {libraries.value:.0f} ms)"
    return [
        more("the package", "bare Python").difference(
            "import pinterest_audiences, more CPU", "bare Python", units=1e3, unit="ms", goal=40
        ),
        more("Client", "bare Python").difference(figure, bare, units=1e3, unit="ms", goal=120),
        more("Client", "libraries").difference(
            figure, "httpx, attrs, cattrs, anyio", units=1e3, unit="ms", goal=60
        ),
    ]


def first_request() -> Row:
    """Measure a process that makes one blocking request."""
    by_hand, by_client = (code.replace("ACCOUNT", ACCOUNT) for code in (BY_HAND, BY_CLIENT))
    with canned_server(respond_list) as url:
        rounds = in_turns(
            lambda: process_seconds(by_hand, url),
            lambda: process_seconds(by_client, url),
            rounds=2 * ROUNDS,
        )
    return rounds.ratio("process with one request, CPU", "a portal and httpx by hand", 1.1)


class VirtualClock(Clock):
    """Trio's virtual time, which advances when all tasks wait."""

    def monotonic(self) -> float:
        return trio.current_time()

    def time(self) -> float:
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


async def spend_a_budget() -> list[Row]:
    quota, minutes, latency, tasks = 400, 10, 0.2, 16
    emulator = Emulator(clock=trio.current_time)
    inner = emulator.transport()

    class Distant(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await trio.sleep(latency / 2)
            response = await inner.handle_async_request(request)
            await trio.sleep(latency / 2)
            return response

    async with AsyncClient("token", transport=Distant(), clock=VirtualClock()) as client:
        lists = [
            await client.customer_lists_create(ACCOUNT, name=str(i), records="a@b.co")
            for i in range(tasks)
        ]
        # Start with one of the emulator's windows, so that ten minutes hold ten quotas.
        await trio.sleep(60 - trio.current_time() % 60)
        before = len(emulator.requests)

        async def write(customer_list_id: str) -> None:
            while True:
                await client.customer_lists_update(
                    ACCOUNT, customer_list_id, operation_type="ADD", records="a@b.co"
                )

        with anyio.move_on_after(60 * minutes):
            async with anyio.create_task_group() as group:
                for customer_list in lists:
                    group.start_soon(write, customer_list.id)
    statuses = [entry.status for entry in emulator.requests[before:]]
    used = statuses.count(200) / (quota * minutes) * 100
    baseline = f"{quota} writes a minute, 10 min"
    return [
        Row("rate budget used", baseline, used, "%", 97, at_least=True),
        Row("responses 429", baseline, statuses.count(429), "", 1),
    ]


def main() -> None:
    if "--imports" in sys.argv:
        show([*importing(), first_request()])
        return
    rows = [anyio.run(walk), *anyio.run(send), *anyio.run(blocking), *importing(), first_request()]
    clock = trio.testing.MockClock(autojump_threshold=0)
    rows += anyio.run(spend_a_budget, backend="trio", backend_options={"clock": clock})
    show(rows)


if __name__ == "__main__":
    main()
