"""Fixtures for pytest: an offline Pinterest for each test, and a client on it.

They are there as soon as the package is installed, and load nothing until a test asks for one.

- ``pinterest_emulator`` is an `Emulator` of the test's own.
- ``pinterest_client`` is a blocking `Client` on it. Its clock is the emulator's: retries and waits
  take no time, and move the emulator's clock ahead.
- ``pinterest_server`` serves it on a port of the loopback interface, for code that wants an
  address.

Whoever needs an emulator with other settings marks the test:
``@pytest.mark.pinterest_emulator(seed=7, match_rate=1.0)``.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anyio.from_thread import BlockingPortal

    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences.blocking import Client
    from pinterest_audiences.emulator import Emulator

__all__ = ["PinterestServer", "pinterest_client", "pinterest_emulator", "pinterest_server"]

_MARKER = "pinterest_emulator"
_TOKEN = "pinterest-emulator"  # noqa: S105 - any will do
_GRACE_SECONDS = 0.1  # a slow answer that nobody waits for must not hold up the next test


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
    """A blocking client on the emulator of this test."""
    from pinterest_audiences.blocking import Client  # noqa: PLC0415

    tokens = cast("Iterable[str]", _settings(request).get("access_tokens") or (_TOKEN,))
    clock = _clock_of(pinterest_emulator)
    transport = pinterest_emulator.transport(sleep=clock.sleep)
    with Client(next(iter(tokens)), transport=transport, clock=clock) as client:
        yield client


@pytest.fixture
def pinterest_server(
    pinterest_emulator: Emulator, _pinterest_loop: BlockingPortal
) -> Iterator[PinterestServer]:
    """The emulator of this test, on a port of the loopback interface."""
    from pinterest_audiences.emulator.server import serve  # noqa: PLC0415

    # A listener for each test: what an earlier one left running reaches nobody.
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


def _clock_of(emulator: Emulator) -> Clock:
    from pinterest_audiences._wire.clock import Clock  # noqa: PLC0415

    class EmulatorClock(Clock):
        """The emulator's time, which passes by sleeping."""

        def __init__(self) -> None:
            self._random = random.Random(0)  # noqa: S311 - to be repeatable

        def monotonic(self) -> float:
            """Return the emulator's seconds."""
            return emulator.now()

        def time(self) -> float:
            """Return the emulator's Unix seconds."""
            return emulator.now()

        def random(self) -> float:
            """Return the next of a fixed row of numbers from 0 to 1."""
            return self._random.random()

        async def sleep(self, seconds: float) -> None:
            """Move the emulator's clock ahead."""
            await super().sleep(0)
            emulator.advance(seconds=max(seconds, 0.0))

    return EmulatorClock()
