"""Chunked answers compressed with gzip, in the transport and the server."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, cast

import httpx
import pytest

from pinterest_audiences import AsyncClient
from pinterest_audiences.emulator import Emulator, Request, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinterest_audiences.emulator._faults import FaultKind

LISTS = "/v5/ad_accounts/549/customer_lists"
TOKEN = {"Authorization": "Bearer x"}


def headers_of(emulator: Emulator, accept_encoding: str | None) -> dict[str, str]:
    headers = (
        dict(TOKEN) if accept_encoding is None else TOKEN | {"Accept-Encoding": accept_encoding}
    )
    return dict(emulator.handle(Request(method="GET", path=LISTS, headers=headers)).headers)


@pytest.mark.parametrize(
    ("accept_encoding", "compressed"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip, deflate, br, zstd", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, identity", False),
    ],
)
def test_gzip_is_sent_only_to_clients_that_accept_it(
    new_emulator: Callable[..., Emulator], accept_encoding: str | None, compressed: bool
) -> None:
    """All answers are chunked; without the switch they are plain, with their length."""
    headers = headers_of(new_emulator(compress=True), accept_encoding)
    assert (headers.get("content-encoding") == "gzip") is compressed
    assert headers["transfer-encoding"] == "chunked"
    assert headers["vary"] == "Accept-Encoding"
    assert "content-length" not in headers
    plain = headers_of(new_emulator(), accept_encoding)
    assert not {"content-encoding", "transfer-encoding"} & plain.keys()


def test_compressed_answers_decode_to_the_same_content(
    new_emulator: Callable[..., Emulator],
) -> None:
    """Refusals too; an answer without a body, and the storage of parts, are unchanged."""
    plain, compressed = new_emulator(), new_emulator(compress=True)
    accepting = TOKEN | {"Accept-Encoding": "gzip"}
    for method, path in (
        ("GET", LISTS),
        ("GET", f"{LISTS}/1"),
        ("DELETE", LISTS),
        ("GET", "/v5/unknown"),
    ):
        request = Request(method=method, path=path, headers=accepting)
        expected, answer = plain.handle(request), compressed.handle(request)
        assert gzip.decompress(answer.body) == expected.body
        assert answer.status == expected.status
    head = Request(method="HEAD", path=LISTS, headers=accepting)
    assert compressed.handle(head) == plain.handle(head)
    put = Request(method="PUT", path="/_s3/customer-list-uploads/1/1", headers=accepting)
    assert compressed.handle(put).body == plain.handle(put).body


@pytest.mark.anyio
async def test_clients_read_chunked_gzip_from_transport_and_server() -> None:
    """httpx, our client, and the bytes on the wire."""
    emulator = Emulator(compress=True, rate_limits=None)
    ids = emulator.seed_lists("549", 60)
    async with (
        serve(emulator) as base_url,
        AsyncClient("any-token", base_url=base_url) as over_wire,
        AsyncClient("any-token", transport=emulator.transport()) as in_process,
        httpx.AsyncClient(headers=TOKEN) as web,
    ):
        for client in (over_wire, in_process):
            lists = await client.customer_lists_list("549", page_size=25).collect()
            assert [each.id for each in lists] == list(ids)
        url = f"{base_url}/ad_accounts/549/customer_lists"
        async with web.stream("GET", url) as answer:
            raw = b"".join([chunk async for chunk in answer.aiter_raw()])
            assert answer.headers["transfer-encoding"] == "chunked"
            assert answer.headers["content-encoding"] == "gzip"
            assert "content-length" not in answer.headers
        assert gzip.decompress(raw).startswith(b'{"items":[')


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["reset_during", "reset_after", "no_answer", "truncated_json"])
async def test_faults_apply_to_compressed_answers(kind: str) -> None:
    """As to plain ones: the call fails, and the next one works."""
    emulator = Emulator(compress=True)
    emulator.fault(cast("FaultKind", kind))
    async with serve(emulator) as base_url, httpx.AsyncClient(headers=TOKEN) as web:
        url = f"{base_url}/ad_accounts/549/customer_lists"
        with pytest.raises((httpx.TransportError, ValueError)):
            (await web.get(url)).json()
        assert (await web.get(url)).json() == {"items": [], "bookmark": None}
