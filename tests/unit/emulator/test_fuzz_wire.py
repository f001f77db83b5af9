"""Malformed requests over a socket are answered below 500 or disconnected, and soon."""

from __future__ import annotations

import signal

import pytest
from support.broken import answers_to, broken_requests
from unit.emulator.test_main import base_url_of, end, running

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_make_the_server_fail_or_hang(seed: int) -> None:
    """Without output; `nox -s fuzz` does the same a hundred thousand times."""
    statuses: set[int] = set()
    with running("--port", "0") as process:
        base_url = base_url_of(process)
        for request in broken_requests(seed, 300):
            answered = answers_to(base_url, request)
            assert all(status < 500 for status in answered), request
            statuses.update(answered)
        assert end(process, signal.SIGTERM) == (0, "", "")
    assert {200, 400, 404} <= statuses


def test_malformed_requests_are_reproducible_by_seed() -> None:
    """A failure can be repeated."""
    assert list(broken_requests(5, 50)) == list(broken_requests(5, 50))
    assert list(broken_requests(5, 50)) != list(broken_requests(6, 50))
