"""Which credentials a command uses, and whose they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli.conftest import Run

TOKEN = "pina_SENTINELTOKEN"
BACK = ("--redirect-uri", "http://localhost:18085/")


def folder() -> Path:
    """Where a login is kept."""
    return Path(os.environ["XDG_CONFIG_HOME"]) / "pinterest-audiences"


@pytest.mark.parametrize("how", ["flag", "environment", "profile"])
def test_the_emulator_never_touches_a_real_login(
    run: Run, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Not where the state file that was said lies beside it, nor where a variable leads to it."""
    run("auth", "login", "--token-stdin", stdin=f"{TOKEN}\n")
    real = folder() / "tokens.json"
    kept = real.read_bytes()
    state, flags = folder() / "state.sqlite3", ["--emulator"]
    if how == "flag":
        flags += ["--state", str(state)]
    elif how == "environment":
        monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", str(state))
        monkeypatch.setenv("PINTEREST_TOKEN_STORE", str(real))
    else:
        (folder() / "config.toml").write_text(
            f"[profiles.default]\nstate = '{state}'\ntoken_store = '{real}'\n"
        )
    assert run("auth", "status", *flags).data["source"] == "emulator"
    done = run("auth", "login", *BACK, *flags)
    assert (done.code, done.data["source"]) == (0, "login")
    assert done.data["store"] == f"{state}.emulator.tokens.json"
    assert run("auth", "refresh", *flags).code == 0
    assert run("lists", "list", *flags).code == 0
    assert run("auth", "logout", *flags).data["deleted"] is True
    assert real.read_bytes() == kept
