"""Logging in, and what is told of it: everything but the tokens."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli.conftest import Done, Run

from pinterest_audiences.pytest_plugin import PinterestServer

TOKEN = "pina_SENTINELTOKEN"
ACCOUNT = "549755885175"


def store() -> Path:
    """Where a login is kept."""
    return Path(os.environ["XDG_CONFIG_HOME"]) / "pinterest-audiences" / "tokens.json"


def emulated_store() -> Path:
    """Where a login at the embedded emulator is kept."""
    return Path(os.environ["XDG_STATE_HOME"]) / "pinterest-audiences" / "emulator" / "tokens.json"


def holds_none(done: Done, *secrets: str) -> bool:
    return not any(secret in done.out + done.err for secret in secrets)


def test_a_login_at_the_emulator_refreshes_and_ends(run: Run) -> None:
    """The whole flow, with its redirect; the refresh token is replaced each time."""
    assert run("auth", "status", "--emulator").data["source"] == "emulator"
    done = run("auth", "login", "--emulator", "--redirect-uri", "http://localhost:18085/")
    assert (done.code, done.data["source"], done.data["refreshable"]) == (0, "login", True)
    first = json.loads(emulated_store().read_text())
    assert holds_none(done, first["access_token"], first["refresh_token"])
    assert run("whoami", "--emulator").data["username"] == "emulator"
    refreshed = run("auth", "refresh", "--emulator", "-vv")
    second = json.loads(emulated_store().read_text())
    assert refreshed.code == 0
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert holds_none(refreshed, second["access_token"], second["refresh_token"])
    assert run("auth", "logout", "--emulator").data["deleted"] is True
    assert run("auth", "logout", "--emulator").data["deleted"] is False
    assert run("auth", "status", "--emulator").data["source"] == "emulator"


@pytest.mark.pinterest_emulator(access_tokens=[TOKEN])
def test_a_token_comes_by_standard_input_and_is_used(
    run: Run, pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept in a file of its owner's alone, and shown nowhere."""
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    done = run("auth", "login", "--token-stdin", stdin=f"{TOKEN}\n")
    assert (done.code, done.data["source"], done.data["refreshable"]) == (0, "login", False)
    assert holds_none(done, TOKEN)
    assert store().stat().st_mode & 0o777 == 0o600
    listed = run("lists", "list", "--ad-account", ACCOUNT, "-vv")
    assert (listed.code, listed.data) == (0, [])
    assert holds_none(listed, TOKEN)
    assert run("auth", "refresh").error["code"] == "not_refreshable"


def test_what_is_no_token_is_refused(run: Run) -> None:
    """And not kept."""
    for text in ("", "two words\n"):
        done = run("auth", "login", "--token-stdin", stdin=text)
        assert (done.code, done.out) == (2, "")
        assert "two words" not in done.err
    assert not store().exists()


def test_status_without_any_credentials_is_an_error_with_data(run: Run) -> None:
    """A script can see it by the exit code, a person by the words."""
    done = run("auth", "status")
    assert (done.code, done.data["source"]) == (3, None)
    assert done.error["code"] == "no_credentials"


def test_status_tells_of_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which goes before a login."""
    run("auth", "login", "--token-stdin", stdin="kept\n")
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", TOKEN)
    done = run("auth", "status")
    assert (done.code, done.data["source"]) == (0, "environment")
    assert holds_none(done, TOKEN)
    assert "goes before the login" in run("auth", "login", "--token-stdin", stdin="kept\n").err


def test_a_login_without_an_app_says_what_is_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the id, then the secret."""
    assert "PINTEREST_APP_ID" in run("auth", "login").error["message"]
    done = run("auth", "login", "--app-id", "1234567")
    assert (done.code, "PINTEREST_APP_SECRET" in done.error["message"]) == (3, True)
    monkeypatch.setenv("PINTEREST_APP_SECRET_FILE", "/nowhere")
    assert run("auth", "login", "--app-id", "1234567").code in (2, 3)


@pytest.mark.parametrize("text", ["{", '{"format": 1, "access_token": 5}', "\0"])
def test_a_login_file_that_is_broken_is_told_and_not_quoted(run: Run, text: str) -> None:
    """Half-written, or of another kind."""
    run("auth", "login", "--token-stdin", stdin="kept\n")
    store().write_text(text)
    done = run("lists", "list", "--ad-account", ACCOUNT)
    assert (done.code, done.error["code"]) == (3, "token_store")


@pytest.mark.skipif(os.name != "posix", reason="modes of files are a matter of Unix")
def test_a_login_file_that_others_may_read_is_refused(run: Run) -> None:
    """And its remedy is told."""
    run("auth", "login", "--token-stdin", stdin="kept\n")
    store().chmod(0o644)
    done = run("lists", "list", "--ad-account", ACCOUNT)
    assert (done.code, done.error["code"]) == (3, "token_store")
    assert "chmod" in done.error["message"]


def test_profiles_have_logins_of_their_own(run: Run) -> None:
    """As they have accounts of their own."""
    store().parent.mkdir(parents=True)
    (store().parent / "config.toml").write_text("[profiles.shop]\nad_account = '1'\n")
    run("auth", "login", "--token-stdin", "--profile", "shop", stdin="kept\n")
    assert (store().parent / "tokens-shop.json").exists()
    assert run("auth", "status").code == 3
    assert run("auth", "status", "--profile", "shop").code == 0


def test_a_token_may_be_in_a_file_that_the_profile_names(
    run: Run, pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As containers are given their secrets."""
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    Path("token").write_text(f"{TOKEN}\n")
    store().parent.mkdir(parents=True)
    (store().parent / "config.toml").write_text("[profiles.default]\naccess_token_file = 'token'\n")
    assert run("auth", "status").data["source"] == "profile"
    assert run("lists", "list", "--ad-account", ACCOUNT).data == []


def test_doctor_tells_each_finding_with_its_remedy(run: Run) -> None:
    """What is missing here is not asked of Pinterest."""
    done = run("doctor", "--emulator")
    assert (done.code, {each["verdict"] for each in done.data}) == (0, {"ok"})
    assert done.data[-1]["finding"] == "the lists of the ad account can be read"
    done = run("doctor")
    found = {each["check"]: each for each in done.data}
    assert done.code == 2  # that of the first error: no ad account
    assert "--ad-account" in found["ad_account"]["finding"]
    assert "--emulator" in found["credentials"]["remedy"]
    assert found["pinterest"]["verdict"] == "warning"
    assert run("doctor", "--ad-account", "1").code == 3


def test_doctor_tells_of_unfinished_jobs(
    run: Run, pinterest_server: PinterestServer, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how they are finished."""
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", TOKEN)
    pinterest_server.emulator.fault("status", operation="customer_lists_create", status=403)
    run("upload", people, "--name", "All", "--ad-account", ACCOUNT)
    done = run("doctor", "--ad-account", ACCOUNT)
    (state,) = (each for each in done.data if each["check"] == "state")
    assert (done.code, state["verdict"], state["remedy"]) == (0, "warning", "`resume`")
