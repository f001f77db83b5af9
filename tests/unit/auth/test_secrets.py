"""No output, log or pickle contains a secret."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from pathlib import Path

import pytest
from support.cases import each_case
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
def test_repr_str_and_traceback_hide_secrets(name: str) -> None:
    holder = HOLDERS[name]
    assert "SENTINEL" not in f"{holder!r} {holder!s} {holder} {[holder]}"


@every_holder
@each_case("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_with_secrets_cannot_be_pickled(name: str, protocol: int) -> None:
    """They do not reach a cache, a queue or another machine by accident."""
    with pytest.raises(TypeError, match="contains a secret and cannot be pickled"):
        pickle.dumps(HOLDERS[name], protocol)


@every_holder
def test_copy_returns_the_same_object(name: str) -> None:
    """Copied settings still share one refresh."""
    assert copy.copy(HOLDERS[name]) is copy.deepcopy(HOLDERS[name]) is HOLDERS[name]


async def test_file_store_can_be_pickled(tmp_path: Path) -> None:
    """It has only the path."""
    store = FileTokenStore(tmp_path / "tokens.json")
    with store.lock() as locked:
        locked.save(kept())
    assert b"SENTINEL" not in pickle.dumps(store)
    assert pickle.loads(pickle.dumps(store)).load() == kept()


@pytest.mark.parametrize("good", [True, False])
async def test_refresh_logs_and_errors_contain_no_secret(
    good: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """At every level, of every library."""
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
    outputs = [*capfd.readouterr(), caplog.text, repr(vars(source))]
    if failed is not None:
        outputs += [
            *traceback.format_exception(failed),
            repr(vars(failed)),
            repr(pickle.dumps(failed)),
        ]
        assert str(pickle.loads(pickle.dumps(failed))) == str(failed)
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert "SENTINEL" not in "".join(outputs)
