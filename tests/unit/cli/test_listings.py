"""Commands that list: `--limit` and `--order`."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from unit.cli.conftest import Run, refused

from pinterest_audiences.emulator import Request, Response
from pinterest_audiences.pytest_plugin import PinterestServer

LISTINGS = (("accounts", "list"), ("lists", "list"), ("audience", "list"), ("segments", "list"))


@pytest.fixture
def queries(server: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, list[str]]]:
    """The query of each request that the server receives."""
    received: list[dict[str, list[str]]] = []
    handle: Callable[[Request], Response] = server.emulator.handle

    def record(request: Request) -> Response:
        received.append(parse_qs(request.query))
        return handle(request)

    monkeypatch.setattr(server.emulator, "handle", record)
    return received


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
@pytest.mark.parametrize(
    ("limit", "size"), [(None, "250"), (0, "1"), (7, "7"), (250, "250"), (251, "250")]
)
def test_limit_up_to_250_is_the_page_size(
    run: Run,
    queries: list[dict[str, list[str]]],
    words: tuple[str, ...],
    limit: int | None,
    size: str,
) -> None:
    """Pinterest's maximum is 250."""
    assert run(*words, *(() if limit is None else ("--limit", limit))).code == 0
    assert [query["page_size"] for query in queries] == ([] if limit == 0 else [[size]])


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_negative_limit_is_refused_before_anything_is_sent(
    run: Run, server: PinterestServer, words: tuple[str, ...]
) -> None:
    refused(run(*words, "--limit", -1), 2, "usage", "--limit must be 0 or more")
    assert server.emulator.requests == ()


@pytest.mark.parametrize("words", LISTINGS[1:], ids=" ".join)
@pytest.mark.parametrize(
    ("order", "sent"),
    [(None, None), ("ascending", ["ASCENDING"]), ("descending", ["DESCENDING"])],
)
def test_order_is_sent_only_if_it_is_set(
    run: Run,
    queries: list[dict[str, list[str]]],
    words: tuple[str, ...],
    order: str | None,
    sent: list[str] | None,
) -> None:
    assert run(*words, *(() if order is None else ("--order", order))).code == 0
    assert [query.get("order") for query in queries] == [sent]
