"""Broken requests over a socket: each is answered below 500 or hung up on, and soon."""

from __future__ import annotations

import signal

import pytest
from emulator.test_main import base_url_of, end, running
from support.broken import answers_to, broken_requests


@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_make_the_server_fail_or_hang(seed: int) -> None:
    """Nor say a word; `nox -s fuzz` does the same a hundred thousand times."""
    statuses: set[int] = set()
    with running("--port", "0") as process:
        base_url = base_url_of(process)
        for request in broken_requests(seed, 300):
            answered = answers_to(base_url, request)
            assert all(status < 500 for status in answered), request
            statuses.update(answered)
        assert end(process, signal.SIGTERM) == (0, "", "")
    assert {200, 400, 404} <= statuses


def test_the_same_seed_breaks_requests_in_the_same_way() -> None:
    """What failed once can be tried again."""
    assert list(broken_requests(5, 50)) == list(broken_requests(5, 50))
    assert list(broken_requests(5, 50)) != list(broken_requests(6, 50))
