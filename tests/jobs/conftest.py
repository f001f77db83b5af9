"""A client on virtual time, an emulator, and a state file of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.jobs import Rig, make_rig

from pinterest_audiences.jobs import keys


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where a state file will be, in a directory of its own."""
    return tmp_path / "state" / "jobs.sqlite3"


@pytest.fixture
async def rig(state: Path, anyio_backend: str) -> AsyncIterator[Rig]:
    """A client, an emulator without budgets, and the wire between them."""
    made = make_rig(state)
    async with made.client:
        yield made


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let ten records fill a request, so that some dozen are many batches."""
    monkeypatch.setattr(keys, "MAX_RECORDS", 10)
    return 10
