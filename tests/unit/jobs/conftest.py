"""A client on virtual time, an emulator, and a separate state file for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.jobs import Rig, make_rig

from pinterest_audiences._jobs import keys


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The path of a state file, in a separate directory."""
    return tmp_path / "state" / "jobs.sqlite3"


@pytest.fixture
async def rig(state: Path, anyio_backend: str) -> AsyncIterator[Rig]:
    """A client, an emulator without rate limits, and the recording transport between them."""
    made = make_rig(state)
    async with made.client:
        yield made


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    """Limit requests to ten records, so that a few dozen need many batches."""
    monkeypatch.setattr(keys, "MAX_RECORDS", 10)
    return 10
