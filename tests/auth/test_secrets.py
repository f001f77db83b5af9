"""Nothing prints, logs or pickles a secret."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.tokens import APP, TokenWorld, kept

from pinterest_audiences import (
    CallableToken,
    FileTokenStore,
    MemoryTokenStore,
    OAuthToken,
    RefreshingToken,
    StaticToken,
    Token,
    TokenRefreshError,
)

pytestmark = pytest.mark.anyio

HOLDERS = {
    "app": APP,
    "answer": OAuthToken(
        access_token="SENTINEL", refresh_token="SENTINEL", extra={"x": "SENTINEL"}
    ),
    "kept": kept(origin="SENTINEL"),
    "memory": MemoryTokenStore(kept()),
    "token": Token("SENTINEL"),
    "static": StaticToken("SENTINEL"),
    "callable": CallableToken(lambda: "SENTINEL"),
    "refreshing": RefreshingToken(MemoryTokenStore(kept()), APP, seed=kept()),
}
every_holder = pytest.mark.parametrize("name", HOLDERS)


@every_holder
def test_no_repr_shows_a_secret(name: str) -> None:
    """Nor what a format or a traceback makes of it."""
    holder = HOLDERS[name]
    assert "SENTINEL" not in f"{holder!r} {holder!s} {holder} {[holder]}"


@every_holder
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_holds_a_secret_is_not_pickled(name: str, protocol: int) -> None:
    """So it reaches no cache, queue or other machine by accident."""
    with pytest.raises(TypeError, match="holds a secret and is not pickled"):
        pickle.dumps(HOLDERS[name], protocol)


@every_holder
def test_a_copy_is_the_same_object(name: str) -> None:
    """Settings that are copied go on working, and there is still one refresh."""
    assert copy.copy(HOLDERS[name]) is copy.deepcopy(HOLDERS[name]) is HOLDERS[name]


async def test_a_file_store_holds_none(tmp_path: Path) -> None:
    """It may be pickled, for it is a path; what is in the file stays there."""
    store = FileTokenStore(tmp_path / "tokens.json")
    with store.lock() as locked:
        locked.save(kept())
    assert b"SENTINEL" not in pickle.dumps(store)
    assert pickle.loads(pickle.dumps(store)).load() == kept()


@pytest.mark.parametrize("good", [True, False])
async def test_a_refresh_tells_no_secret(
    good: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Logs of every level of every library, output, errors and their tracebacks."""
    caplog.set_level(logging.DEBUG)
    store = FileTokenStore(tmp_path / "tokens.json")
    with store.lock() as locked:
        locked.save(kept())
    world = TokenWorld() if good else TokenWorld(refresh_token="another")
    failed: TokenRefreshError | None = None
    with world.served() as base_url:
        source = RefreshingToken(store, APP, base_url=base_url, clock=FakeClock())
        try:
            await source.get()
        except TokenRefreshError as error:
            failed = error
    assert (failed is None) == good
    told = [*capfd.readouterr(), caplog.text, repr(vars(source))]
    if failed is not None:
        told += [
            *traceback.format_exception(failed),
            repr(vars(failed)),
            repr(pickle.dumps(failed)),
        ]
        assert str(pickle.loads(pickle.dumps(failed))) == str(failed)
    assert "httpcore" in {record.name.split(".")[0] for record in caplog.records}
    assert "SENTINEL" not in "".join(told)
