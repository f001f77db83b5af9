"""`auth login`, `auth status`, `auth logout` and `doctor`; no output contains a token."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from unit.cli.conftest import Done, Run

from pinterest_audiences import ConfigurationError, token_from_environment
from pinterest_audiences.pytest_plugin import PinterestServer

TOKEN = "pina_SENTINELTOKEN"
ACCOUNT = "549755885175"


def store() -> Path:
    """The token store of a profile."""
    return Path(os.environ["XDG_CONFIG_HOME"]) / "pinterest-audiences" / "tokens.json"


def emulated_store() -> Path:
    """The token store of a login on the embedded emulator."""
    return Path(os.environ["XDG_STATE_HOME"]) / "pinterest-audiences" / "emulator" / "tokens.json"


def holds_none(done: Done, *secrets: str) -> bool:
    return not any(secret in done.out + done.err for secret in secrets)


def test_emulator_login_refreshes_and_logs_out(run: Run) -> None:
    """Covers the redirect; the refresh token is replaced at each refresh."""
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
def test_token_from_stdin_is_stored_and_used(
    run: Run, pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is readable by its owner only, and no output shows the token."""
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    done = run("auth", "login", "--token-stdin", stdin=f"{TOKEN}\n")
    assert (done.code, done.data["source"], done.data["refreshable"]) == (0, "login", False)
    assert holds_none(done, TOKEN)
    assert store().stat().st_mode & 0o777 == 0o600
    listed = run("lists", "list", "--ad-account", ACCOUNT, "-vv")
    assert (listed.code, listed.data) == (0, [])
    assert holds_none(listed, TOKEN)
    assert run("auth", "refresh").error["code"] == "not_refreshable"


def test_login_with_invalid_token_is_refused_and_not_stored(run: Run) -> None:
    for text in ("", "two words\n"):
        done = run("auth", "login", "--token-stdin", stdin=text)
        assert (done.code, done.out) == (2, "")
        assert "two words" not in done.err
    assert not store().exists()


def test_auth_status_without_credentials_fails_and_prints_data(run: Run) -> None:
    """The exit code serves scripts, the message serves people."""
    done = run("auth", "status")
    assert (done.code, done.data["source"]) == (3, None)
    assert done.error["code"] == "no_credentials"


@pytest.mark.parametrize("words", [("auth", "status"), ("lists", "list", "--ad-account", ACCOUNT)])
def test_error_without_credentials_is_that_of_clients_with_profile_and_store(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    store().parent.mkdir(parents=True)
    (store().parent / "config.toml").write_text("[profiles.'my shop']\n")
    monkeypatch.setenv("PINTEREST_TOKEN_STORE", "none.json")
    done = run(*words, "--profile", "my shop")
    assert (done.code, done.error["code"]) == (3, "no_credentials")
    message = done.error["message"]
    assert "PINTEREST_TOKEN_STORE names a file without a login" in message
    assert "`pinterest-audiences auth login --profile 'my shop'`" in message
    with pytest.raises(ConfigurationError) as failed:
        token_from_environment(profile="my shop")
    assert str(failed.value) == message.replace(": log", ": pass access_token=, log")


def test_auth_status_shows_environment_before_login(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("auth", "login", "--token-stdin", stdin="kept\n")
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", TOKEN)
    done = run("auth", "status")
    assert (done.code, done.data["source"]) == (0, "environment")
    assert holds_none(done, TOKEN)
    assert "used instead of the login" in run("auth", "login", "--token-stdin", stdin="kept\n").err


@pytest.mark.parametrize(
    ("words", "warning"),
    [
        (("login", "--token-stdin"), "the environment also has a token, which is used instead of"),
        (("logout",), "the environment still has a token"),
    ],
)
def test_login_and_logout_of_a_profile_warn_once_of_a_token_in_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], warning: str
) -> None:
    store().parent.mkdir(parents=True)
    (store().parent / "config.toml").write_text("[profiles.shop]\n")
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", TOKEN)
    done = run("auth", *words, "--profile", "shop", stdin="kept\n")
    assert (done.code, done.err.count("warning: ")) == (0, 1)
    assert f"warning: {warning}" in done.err


@pytest.mark.parametrize("text", ["{", '{"format": 1, "access_token": 5}', "\0"])
def test_broken_login_file_is_reported_without_its_content(run: Run, text: str) -> None:
    """Truncated JSON, wrong types, or binary data."""
    run("auth", "login", "--token-stdin", stdin="kept\n")
    store().write_text(text)
    done = run("lists", "list", "--ad-account", ACCOUNT)
    assert (done.code, done.error["code"]) == (3, "token_store")


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes")
def test_login_file_readable_by_others_is_refused_with_remedy(run: Run) -> None:
    run("auth", "login", "--token-stdin", stdin="kept\n")
    store().chmod(0o644)
    done = run("lists", "list", "--ad-account", ACCOUNT)
    assert (done.code, done.error["code"]) == (3, "token_store")
    assert "chmod" in done.error["message"]


def test_each_profile_has_a_separate_login(run: Run) -> None:
    store().parent.mkdir(parents=True)
    (store().parent / "config.toml").write_text("[profiles.shop]\nad_account = '1'\n")
    run("auth", "login", "--token-stdin", "--profile", "shop", stdin="kept\n")
    assert (store().parent / "tokens-shop.json").exists()
    assert run("auth", "status").code == 3
    assert run("auth", "status", "--profile", "shop").code == 0


def test_token_is_read_from_file_named_in_profile(
    run: Run, pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers receive secrets as files."""
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    Path("token").write_text(f"{TOKEN}\n")
    store().parent.mkdir(parents=True)
    (store().parent / "config.toml").write_text("[profiles.default]\naccess_token_file = 'token'\n")
    assert run("auth", "status").data["source"] == "profile"
    assert run("lists", "list", "--ad-account", ACCOUNT).data == []


def test_doctor_lists_every_finding_with_remedy(run: Run) -> None:
    """Checks that lack their input send no request."""
    done = run("doctor", "--emulator")
    assert (done.code, {each["verdict"] for each in done.data}) == (0, {"ok"})
    assert done.data[-1]["finding"] == "the lists of the ad account are readable"
    done = run("doctor")
    found = {each["check"]: each for each in done.data}
    assert done.code == 3  # that of the first error: no credentials
    assert list(found).index("credentials") < list(found).index("ad_account")
    assert found["credentials"]["remedy"].startswith("`auth login`")
    assert "--emulator" in found["credentials"]["remedy"]
    assert found["ad_account"]["remedy"].startswith("`auth login`")
    assert found["pinterest"]["verdict"] == "warning"
    assert run("doctor", "--ad-account", "1").code == 3
    run("auth", "login", "--token-stdin", stdin="kept\n")
    done = run("doctor", "--offline")
    (account,) = (each for each in done.data if each["check"] == "ad_account")
    assert (done.code, account["remedy"]) == (2, "`accounts list` shows your ad accounts")


def test_doctor_lists_unfinished_jobs_with_resume_command(
    run: Run, pinterest_server: PinterestServer, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", TOKEN)
    pinterest_server.emulator.fault("status", operation="customer_lists_create", status=403)
    run("upload", people, "--name", "All", "--ad-account", ACCOUNT)
    done = run("doctor", "--ad-account", ACCOUNT)
    (state,) = (each for each in done.data if each["check"] == "state")
    assert (done.code, state["verdict"], state["remedy"]) == (
        *(0, "warning"),
        f"`resume --ad-account {ACCOUNT}`",
    )
