"""Invalid credentials: one error line each, which contains no credential."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from unit.cli.conftest import ACCOUNT, Done, Run, refused

from pinterest_audiences import AppCredentials, Client, NoAuth
from pinterest_audiences.pytest_plugin import PinterestServer

TOKEN = "pina_SENTINELaccess"
REFRESH = "pinr.SENTINELrefresh"
SECRET = "SENTINELsecret"
APP = AppCredentials("1234567", SECRET)
BACK = "http://localhost:18085/"
DAY = 86_400.0
with_app = pytest.mark.pinterest_emulator(
    apps={APP.app_id: SECRET}, access_tokens=[TOKEN], refresh_tokens=[REFRESH]
)
only_posix = pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes")


@pytest.fixture
def server(pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> PinterestServer:
    """A separate Pinterest server, without credentials in the environment."""
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", ACCOUNT)
    return pinterest_server


@pytest.fixture
def authorized_server(server: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> PinterestServer:
    """The same server, with a valid token in the environment."""
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", TOKEN)
    return server


def store() -> Path:
    """The token store of a login."""
    return Path(os.environ["XDG_CONFIG_HOME"], "pinterest-audiences", "tokens.json")


def save_tokens(**fields: object) -> None:
    """Store tokens as a login does."""
    store().parent.mkdir(parents=True, exist_ok=True)
    store().write_text(json.dumps({"format": 1, "app_id": APP.app_id, **fields}))
    store().chmod(0o600)


def token_for(server: PinterestServer, *scopes: str) -> str:
    """Issue an access token of a system user with the given scopes."""
    code = server.emulator.authorize(
        app_id=APP.app_id, redirect_uri=BACK, scopes=scopes, is_system_user=True
    )
    with Client(NoAuth(), base_url=server.base_url) as client:
        given = client.oauth_token(
            APP, grant_type="authorization_code", code=code, redirect_uri=BACK
        )
    assert given.access_token is not None
    return given.access_token


@with_app
def test_expired_token_without_known_expiry_is_reported(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pinterest reports it, because the token was given without its expiry."""
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", token_for(server, "ads:read"))
    assert run("lists", "list").code == 0
    server.emulator.advance(hours=24 * 31)
    done = run("lists", "list")
    refused(done, 3, "authentication", "get a new access token")
    assert done.error["request_id"].isdigit()


@with_app
def test_revoked_token_is_reported(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like an expired one: Pinterest's response is the same."""
    token = token_for(server, "ads:read")
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", token)
    assert run("lists", "list").code == 0
    with Client(NoAuth(), base_url=server.base_url) as client:
        client.token_revoke(APP, token=token)
    refused(run("lists", "list"), 3, "authentication", "get a new access token")


@with_app
def test_token_with_read_scope_only_cannot_write(
    run: Run, server: PinterestServer, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job stays resumable with a token that has the scope."""
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", token_for(server, "ads:read"))
    assert run("lists", "list").code == 0
    done = run("upload", people, "--name", "All", "-q")
    refused(
        done, 7, "job_interrupted", "scope ads:write", "pinterest-audiences resume", retryable=False
    )
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", TOKEN)
    assert run("resume").data[0]["left"] == 0
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", token_for(server, "ads:read"))
    done = run("whoami")
    refused(done, 3, done.error["code"], "scope user_accounts:read")


@with_app
@pytest.mark.parametrize(
    "token", [TOKEN[:-1], TOKEN[:4], f"{TOKEN} ", f"{TOKEN}x", "pina_SENTINEL two", f"{TOKEN}é"]
)
def test_mistyped_token_is_reported_and_not_shown(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """Truncated, with a space, or with a character that no token contains."""
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", token)
    done = run("lists", "list")
    refused(done, 3, done.error["code"])
    assert done.error["code"] in ("authentication", "credentials")
    if done.error["code"] == "credentials":  # then it is known without asking anybody
        assert run("auth", "status").code == 3
        assert server.emulator.handled == 0


@with_app
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"pina_SENTINEL\npina_SENTINEL\n"])
def test_token_file_without_token_is_reported_by_its_variable(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """`auth status` does not report it as usable."""
    if content is not None:
        Path("token").write_bytes(content)
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN_FILE", "token")
    refused(run("lists", "list"), 3, "credentials", "PINTEREST_ACCESS_TOKEN_FILE")
    status = run("auth", "status")
    assert (status.code, status.data["source"]) == (3, "environment")
    assert "PINTEREST_ACCESS_TOKEN_FILE" in status.error["message"]
    assert run("doctor").code == 3


@with_app
def test_wrong_app_secret_is_reported_and_refresh_token_stays_valid(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tokens(access_token="pina_SENTINELold", expires_at=1000.0, refresh_token=REFRESH)
    monkeypatch.setenv("PINTEREST_APP_ID", APP.app_id)
    monkeypatch.setenv("PINTEREST_APP_SECRET", "SENTINELwrong")
    refused(run("lists", "list"), 3, "token_refresh", "check the app id and the app secret")
    refused(run("auth", "refresh"), 3, "token_refresh", "check the app id and the app secret")
    monkeypatch.setenv("PINTEREST_APP_SECRET", SECRET)
    assert run("lists", "list").code == 0
    assert run("auth", "refresh").data["expired"] is False


@with_app
def test_expired_or_used_refresh_token_suggests_login(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was used by another program, or 60 days have passed."""
    save_tokens(
        access_token="pina_SENTINELold", expires_at=1000.0, refresh_token="pinr.SENTINELused"
    )
    monkeypatch.setenv("PINTEREST_APP_ID", APP.app_id)
    monkeypatch.setenv("PINTEREST_APP_SECRET", SECRET)
    refused(run("lists", "list"), 3, "token_refresh", "log in again")


def test_expired_login_without_app_credentials_names_them(
    run: Run, server: PinterestServer
) -> None:
    """No request is sent with a token that is known to have expired."""
    save_tokens(access_token="pina_SENTINELold", expires_at=time.time() - 1, refresh_token=REFRESH)
    refused(run("lists", "list"), 3, "credentials", "PINTEREST_APP_ID and PINTEREST_APP_SECRET")
    assert run("auth", "status").code == 3
    save_tokens(access_token="pina_SENTINELold", expires_at=time.time() - 1)
    refused(run("lists", "list"), 3, "credentials", "log in again")
    assert server.emulator.handled == 0
    save_tokens(access_token=TOKEN, expires_at=time.time() + DAY, refresh_token=REFRESH)
    assert run("lists", "list").code == 0


def test_login_file_truncated_anywhere_is_reported_and_not_shown(
    run: Run, server: PinterestServer
) -> None:
    """A full disk or another program truncates it."""
    save_tokens(access_token=TOKEN, refresh_token=REFRESH, expires_at=time.time() + DAY)
    whole = store().read_text()
    for length in range(0, len(whole), 7):
        store().write_text(whole[:length])
        refused(run("lists", "list"), 3, "token_store", str(store()))
    assert run("auth", "logout").code in (0, 3)
    assert server.emulator.handled == 0


@only_posix
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o666])
def test_login_file_readable_by_others_is_not_used(
    run: Run, server: PinterestServer, mode: int
) -> None:
    """The suggested command repairs it."""
    save_tokens(access_token=TOKEN)
    store().chmod(mode)
    refused(run("lists", "list"), 3, "token_store", "chmod 600", str(store()))
    store().chmod(0o600)
    assert run("lists", "list").code == 0


def as_unprivileged_user(*words: str) -> Done:
    """Run a command without the capabilities by which root ignores file modes."""
    # PR_CAPBSET_DROP of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: effective after the exec.
    code = (
        "import ctypes, os, sys\n"
        "prctl = ctypes.CDLL(None).prctl\n"
        "assert os.geteuid() or not prctl(24, 1, 0, 0, 0) | prctl(24, 2, 0, 0, 0)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'pinterest_audiences', *sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        input=f"{TOKEN}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="requires Linux capabilities")
def test_unwritable_folder_is_reported_before_a_token_is_used(tmp_path: Path) -> None:
    """The folder of logins and the folder of the state."""
    for folder in (store().parent, tmp_path / "state"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o555)
    refused(
        as_unprivileged_user("auth", "login", "--token-stdin"),
        3,
        "token_store",
        str(store().parent),
    )
    assert not store().exists()
    done = as_unprivileged_user("lists", "get", "1", "--emulator")
    refused(done, 1, done.error["code"], str(tmp_path / "state"))
    assert done.error["code"] != "unexpected"


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0,
    reason="requires root to change the owner of a file",
)
def test_login_file_owned_by_another_user_is_reported() -> None:
    """`sudo` leaves such a file."""
    save_tokens(access_token=TOKEN)
    os.chown(store(), 65534, 65534)
    done = as_unprivileged_user("lists", "list", "--ad-account", ACCOUNT)
    refused(done, 3, "token_store", str(store()))


def test_missing_credentials_suggest_the_emulator_flag(run: Run, server: PinterestServer) -> None:
    """The command works once the flag is appended."""
    done = run("lists", "list")
    refused(done, 3, "no_credentials", "PINTEREST_ACCESS_TOKEN", "auth login", "--emulator")
    assert run("lists", "list", "--emulator").code == 0
    assert server.emulator.handled == 0
