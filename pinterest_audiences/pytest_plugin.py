"""Fixtures for pytest: an offline Pinterest for each test, and clients of it.

They are there as soon as the package is installed, and load nothing until a test asks for one.

- ``pinterest_emulator`` is an `Emulator` for one test.
- ``pinterest_client`` is a `Client` of it, and ``pinterest_async_client`` an `AsyncClient`. Their
  clock is the emulator's: retries and waits take no time, and move the emulator's clock ahead.
- ``pinterest_server`` serves it on a port of the loopback interface, for code that wants an
  address.

Mark a test to change the settings of its emulator:
``@pytest.mark.pinterest_emulator(seed=7, match_rate=1.0)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anyio.from_thread import BlockingPortal

    from pinterest_audiences._client import AsyncClient
    from pinterest_audiences._sync_client import Client
    from pinterest_audiences.emulator import Emulator

__all__ = [
    "PinterestServer",
    "pinterest_async_client",
    "pinterest_client",
    "pinterest_emulator",
    "pinterest_server",
]

_MARKER = "pinterest_emulator"
_TOKEN = "pinterest-emulator"  # noqa: S105 - any will do
_GRACE_SECONDS = 0.1  # an abandoned slow response must not delay the next test


class PinterestServer(NamedTuple):
    """An emulator that is served on the loopback interface while a test runs.

    Attributes:
        base_url: Its address, such as ``http://127.0.0.1:8765/v5``.
        emulator: The emulator behind it.
    """

    base_url: str
    emulator: Emulator


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known.

    Args:
        config: That of the test run.
    """
    words = "pinterest_emulator(**settings): the arguments of the Emulator of this test."
    config.addinivalue_line("markers", words)


@pytest.fixture
def pinterest_emulator(request: pytest.FixtureRequest) -> Emulator:
    """An offline Pinterest of this test's own."""
    from pinterest_audiences.emulator import Emulator  # noqa: PLC0415

    return Emulator(**_settings(request))  # type: ignore[arg-type]  # checked by Emulator


@pytest.fixture
def pinterest_client(
    request: pytest.FixtureRequest, pinterest_emulator: Emulator
) -> Iterator[Client]:
    """A synchronous client of the emulator of this test."""
    from pinterest_audiences._sync_client import Client  # noqa: PLC0415

    token, clock = _token(request), pinterest_emulator.clock
    with Client.emulated(pinterest_emulator, access_token=token, clock=clock) as client:
        yield client


@pytest.fixture
def pinterest_async_client(
    request: pytest.FixtureRequest, pinterest_emulator: Emulator
) -> AsyncClient:
    """An asynchronous client of the emulator of this test, for its event loop."""
    from pinterest_audiences._client import AsyncClient  # noqa: PLC0415

    # Not an asynchronous fixture: those depend on the plugin that runs the event loop. A client
    # belongs to the loop of its first call, and on an emulator it has no connections to close.
    token, clock = _token(request), pinterest_emulator.clock
    return AsyncClient.emulated(pinterest_emulator, access_token=token, clock=clock)


@pytest.fixture
def pinterest_server(
    pinterest_emulator: Emulator, _pinterest_loop: BlockingPortal
) -> Iterator[PinterestServer]:
    """The emulator of this test, on a port of the loopback interface."""
    from pinterest_audiences.emulator import serve  # noqa: PLC0415

    # A listener for each test, so that clients of an earlier test cannot reach it.
    serving = serve(pinterest_emulator, grace=_GRACE_SECONDS)
    with _pinterest_loop.wrap_async_context_manager(serving) as base_url:
        yield PinterestServer(base_url, pinterest_emulator)


@pytest.fixture(scope="session")
def _pinterest_loop() -> Iterator[BlockingPortal]:
    """One event loop in a thread for all servers, because threads cost more than listeners."""
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415

    with start_blocking_portal() as portal:
        yield portal


def _settings(request: pytest.FixtureRequest) -> dict[str, object]:
    marker = request.node.get_closest_marker(_MARKER)
    return {} if marker is None else dict(marker.kwargs)


def _token(request: pytest.FixtureRequest) -> str:
    tokens = cast("Iterable[str]", _settings(request).get("access_tokens") or (_TOKEN,))
    return next(iter(tokens))
