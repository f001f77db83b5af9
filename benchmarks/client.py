"""The client against raw httpx: walking, sending, blocking, importing, and using a budget."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import statistics
import subprocess
import sys
import time

import anyio
import httpx
import trio
import trio.testing
from harness import ROUNDS, Row, canned_server, json_answer, show, side_by_side

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
    return json_answer(json.dumps({"items": items, "bookmark": bookmark}).encode())


def answer_page(head: bytes) -> bytes:
    found = re.search(rb"bookmark=page(\d+)", head)
    return one_page(int(found[1]) if found else 0)


def answer_list(_: bytes) -> bytes:
    return json_answer(json.dumps(one_list(1)).encode())


async def walk() -> Row:
    with canned_server(answer_page) as url:
        headers = {"Authorization": "Bearer token"}
        async with (
            AsyncClient("token", base_url=url) as client,
            httpx.AsyncClient(headers=headers) as raw,
        ):

            async def floor() -> int:
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

            if (await floor(), await ours()) != (LISTS, LISTS):
                raise AssertionError("both must see every list")
            base, spent = await side_by_side(floor, ours)
    return Row("walk 100,000 lists, CPU", "httpx + json.loads", spent / base, "x", 1.75)


async def send() -> list[Row]:
    hashes = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(15_384)]
    records = ",".join(hashes)
    (batch,) = make_batches(hashes, max_records=len(hashes), max_bytes=1_100_000)
    ready = b'{"operation_type":"ADD","records":"' + records.encode() + b'"}'
    rows: list[Row] = []
    with canned_server(answer_list) as url:
        headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
        async with (
            AsyncClient("token", base_url=url) as client,
            httpx.AsyncClient(headers=headers) as raw,
        ):

            async def floor() -> None:
                for _ in range(50):
                    address = f"{url}/ad_accounts/{ACCOUNT}/customer_lists/1"
                    (await raw.patch(address, content=ready)).raise_for_status()

            async def from_string(given: str | list[str] | Batch = records) -> None:
                for _ in range(50):
                    await client.customer_lists_update(
                        ACCOUNT, 1, operation_type="ADD", records=given
                    )

            for name, given in (
                ("one string", records),
                ("a list of strings", hashes),
                ("a Batch", batch),
            ):
                base, spent = await side_by_side(floor, functools.partial(from_string, given))
                figure = f"send 1 MB of records from {name}, CPU"
                rows.append(Row(figure, "httpx with ready bytes", spent / base, "x", 1.3))
    return rows


async def blocking() -> list[Row]:
    calls = 300
    with canned_server(answer_list) as url, canned_server(answer_list) as url2:
        async with AsyncClient("token", base_url=url) as native:
            with Client("token", base_url=url2) as client:

                async def floor() -> None:
                    for _ in range(calls):
                        await native.customer_lists_get(ACCOUNT, 1)

                async def ours() -> None:
                    for _ in range(calls):
                        client.customer_lists_get(ACCOUNT, 1)

                base, spent = await side_by_side(floor, ours, time.perf_counter)
    more = (spent - base) / calls * 1e6
    with canned_server(answer_page) as url, canned_server(answer_page) as url2:
        async with AsyncClient("token", base_url=url) as native:
            with Client("token", base_url=url2) as client:

                async def floor_pages() -> None:
                    async for page in native.customer_lists_list(ACCOUNT, page_size=PAGE).by_page():
                        for _ in page.items:
                            pass

                async def our_items() -> None:
                    for _ in client.customer_lists_list(ACCOUNT, page_size=PAGE):
                        pass

                # CPU of both threads: wall time varies by more than the goal from run to run.
                base, spent = await side_by_side(floor_pages, our_items)
    an_item = (spent - base) / LISTS * 1e6
    return [
        Row("a blocking call, more wall time", "the same call awaited", more, "us", 150),
        Row("blocking iteration, more CPU an item", "awaited pages", an_item, "us", 1),
    ]


def importing() -> Row:
    spent: dict[str, list[float]] = {"pass": [], "import pinterest_audiences": []}
    for _ in range(2 * ROUNDS + 1):
        for code, seconds in spent.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            seconds.append(time.perf_counter() - start)
    bare, ours = (statistics.median(seconds[1:]) for seconds in spent.values())
    return Row("import pinterest_audiences, more", "bare Python", (ours - bare) * 1000, "ms", 40)


class VirtualClock(Clock):
    """Trio's virtual time, which jumps whenever nothing is left to do."""

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
            answer = await inner.handle_async_request(request)
            await trio.sleep(latency / 2)
            return answer

    async with AsyncClient("token", transport=Distant(), clock=VirtualClock()) as client:
        lists = [
            await client.customer_lists_create(ACCOUNT, name=str(i), records="a@b.co")
            for i in range(tasks)
        ]
        # From the start of one of the emulator's windows, so that ten hold ten quotas.
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
    floor = f"{quota} writes a minute, 10 min"
    return [
        Row("rate budget used", floor, used, "%", 97, at_least=True),
        Row("answers 429", floor, statuses.count(429), "", 1),
    ]


def main() -> None:
    rows = [anyio.run(walk), *anyio.run(send), *anyio.run(blocking), importing()]
    clock = trio.testing.MockClock(autojump_threshold=0)
    rows += anyio.run(spend_a_budget, backend="trio", backend_options={"clock": clock})
    show(rows)


if __name__ == "__main__":
    main()
