"""What every test may use."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

# A shell that starts the suite in the background has it ignore Ctrl-C, and all its children too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("suite", deadline=None, print_blob=True)
settings.load_profile("suite")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each asynchronous test on both event loops."""
    backend: str = request.param
    return backend


@pytest.fixture(autouse=True)
def _no_surroundings(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep the developer's own tokens, addresses and state out of the tests."""
    for name in [name for name in os.environ if name.startswith("PINTEREST_")]:
        if name != "PINTEREST_OPENAPI":  # the description that contract tests read
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
