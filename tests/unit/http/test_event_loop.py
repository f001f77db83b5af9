"""Worker threads of the package, also on systems where no thread can be started."""

from __future__ import annotations

import threading

import anyio.to_thread
import pytest

from pinterest_audiences import _threads

NO_THREAD = "can't start new thread"


@pytest.mark.anyio
async def test_function_runs_in_a_worker_thread() -> None:
    assert await _threads.run_in_thread(threading.get_ident) != threading.get_ident()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text", [NO_THREAD, "can't create new thread at interpreter shutdown"], ids=["start", "create"]
)
async def test_function_runs_in_the_calling_thread_if_no_thread_can_start(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the end of the main thread on CPython 3.12.0."""

    async def refuse(*_: object, **__: object) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(anyio.to_thread, "run_sync", refuse)
    assert await _threads.run_in_thread(threading.get_ident) == threading.get_ident()


@pytest.mark.anyio
@pytest.mark.parametrize("text", [NO_THREAD, "another error"])
async def test_function_that_raises_runs_once_and_its_exception_propagates(text: str) -> None:
    """Even if its message equals that of a thread that cannot start."""
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise RuntimeError(text)

    with pytest.raises(RuntimeError, match=text):
        await _threads.run_in_thread(fail)
    assert len(calls) == 1
