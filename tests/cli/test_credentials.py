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


SECRET = "pina_SENTINEL"
PERSON = "ada@sentinel.example"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("auth", "login", "--token-stdin", SECRET), "`auth login`: 1 word too many"),
        (("forget", "people.txt", PERSON, PERSON), "`forget`: 2 words too many"),
        (("check", "people.csv", "--max-reject-share", SECRET), "--max-reject-share: a number is"),
        (("check", "people.csv", "--kind", PERSON), "--kind: one of email, maid, idfa, hashed"),
        (("check", "people.csv", f"-o{SECRET}"), "-o: one of table, json, ndjson, csv is needed"),
        (("check", "people.csv", f"--quiet={SECRET}"), "--quiet: it takes no value"),
        (("check", "people.csv", f"--verbose={SECRET}"), "--verbose: a whole number is needed"),
        (("check", "people.csv", f"--colum={SECRET}"), "option --colum (did you mean --column?)"),
        (("check", "people.csv", f"-x{SECRET}"), "`check`: unknown option -x"),
        (("check", "people.csv", f"--{SECRET}"), "`check`: an option that it does not have"),
        (("check", f"--{SECRET}"), "an option that it does not have; a file of such a name is ./-"),
        (("check", f"--colum={SECRET}"), "unknown option --colum; a file of such a name is ./-"),
        (("check", "a.csv", "--column", SECRET, "--column", SECRET), "--column is there twice"),
        (("check", "people.csv", "--column"), "--column needs a value"),
        (("check",), "FILE is missing"),
        ((PERSON,), "no such command; there are: auth, whoami"),
        (("auth", SECRET), "no such command; there are: login, status, refresh, logout"),
        (("uplod", SECRET), "no such command (did you mean upload?)"),
        (("lists", "get", PERSON, "--emulator"), "no id of a list"),
        (("lists", "list", "--profile", SECRET), "profile"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_a_word_in_the_wrong_place_is_not_repeated(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    """It may be a token or a customer; the option or the number of words is told instead."""
    monkeypatch.setenv("PINTEREST_AUDIENCES_OUTPUT", "json")
    done = run(*words)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert told in done.error["message"]
    assert "sentinel" not in done.err.lower()
