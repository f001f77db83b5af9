"""Fixtures of the emulator's tests: a clock that a test controls, and a caller of `handle`."""

from __future__ import annotations

import json as json_codec
from collections.abc import Callable

import pytest

from pinterest_audiences.emulator import Emulator, Request, Response


class FakeClock:
    """A clock that only changes when it is advanced."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Caller:
    """Sends requests directly to an emulator, with a valid token."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def __call__(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        query: str = "",
        token: str = "pina_test",
        body: bytes = b"",
    ) -> Response:
        return self.emulator.handle(
            Request(
                method=method,
                path=f"/v5/ad_accounts/{path}",
                query=query,
                headers={"Authorization": f"Bearer {token}"},
                body=body if json is None else json_codec.dumps(json).encode(),
            )
        )

    def fields(self, response: Response) -> dict[str, object]:
        decoded = response.json()
        assert isinstance(decoded, dict)
        return decoded

    def create(self, account: str = "549", **fields: object) -> dict[str, object]:
        sent = {"name": "Spring", "records": "a@example.com", **fields}
        response = self("POST", f"{account}/customer_lists", sent)
        assert response.status == 200
        return self.fields(response)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def new_emulator(clock: FakeClock) -> Callable[..., Emulator]:
    """Create emulators on the fake clock, where every record matches, without rate limits."""

    def new(**settings: object) -> Emulator:
        chosen = {"clock": clock, "match_rate": 1.0, "rate_limits": None, **settings}
        return Emulator(**chosen)  # type: ignore[arg-type]  # settings are checked by Emulator

    return new


@pytest.fixture
def call(new_emulator: Callable[..., Emulator]) -> Caller:
    return Caller(new_emulator())
