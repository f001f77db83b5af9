"""`auth login` asks for what it needs, finds the ad account and writes the profile."""

from __future__ import annotations

import os
import re
import signal
import socket
import tomllib
import webbrowser
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest
from support.browser import chromium, wait_for_text
from support.programs import HANGS_AFTER_SECONDS
from support.terminal import Terminal
from unit.cli.conftest import ACCOUNT, Run

from pinterest_audiences._file_lock import file_lock
from pinterest_audiences.pytest_plugin import PinterestServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.pinterest_emulator(apps={"1234567": "SENTINELsecret"}),
]
on_terminal = pytest.mark.skipif(os.name != "posix", reason="requires pseudo-terminals")
two_accounts = pytest.mark.pinterest_emulator(
    apps={"1234567": "SENTINELsecret"}, ad_accounts=["111", "222"]
)
APP_ID, SECRET = "1234567", "SENTINELsecret"


def folder() -> Path:
    return Path(os.environ["XDG_CONFIG_HOME"]) / "pinterest-audiences"


def profile(name: str = "default") -> dict[str, Any]:
    """Return the profile in the configuration file."""
    table: dict[str, Any] = tomllib.loads((folder() / "config.toml").read_text())["profiles"][name]
    return table


def visit(url: str) -> bool:
    """Open the URL of a login as a browser does, without asking for consent."""
    with build_opener(ProxyHandler({})).open(url, timeout=HANGS_AFTER_SECONDS) as response:
        return b"You may close this window" in response.read()


@pytest.fixture
def back() -> str:
    """Return a redirect URI on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://localhost:{free.getsockname()[1]}/"


@pytest.fixture
def server(pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> PinterestServer:
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    return pinterest_server


@pytest.fixture
def app(server: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> PinterestServer:
    """An app in the environment, and a browser that consents."""
    monkeypatch.setenv("PINTEREST_APP_ID", APP_ID)
    monkeypatch.setenv("PINTEREST_APP_SECRET", SECRET)
    monkeypatch.setattr(webbrowser, "open", visit)
    return server


@pytest.mark.parametrize(
    ("words", "variables", "names"),
    [
        ((), {}, ("PINTEREST_APP_ID", "PINTEREST_APP_SECRET", "PINTEREST_APP_SECRET_FILE")),
        (("--app-id", APP_ID), {}, ("PINTEREST_APP_SECRET", "PINTEREST_APP_SECRET_FILE")),
        ((), {"PINTEREST_APP_ID": APP_ID}, ("PINTEREST_APP_SECRET", "PINTEREST_APP_SECRET_FILE")),
        ((), {"PINTEREST_APP_SECRET": SECRET}, ("PINTEREST_APP_ID",)),
    ],
)
def test_without_a_terminal_the_missing_variables_are_a_usage_error(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    variables: dict[str, str],
    names: tuple[str, ...],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = run("auth", "login", *words)
    assert (done.code, done.error["code"], done.out) == (2, "no_app", "")
    for name in ("PINTEREST_APP_ID", "PINTEREST_APP_SECRET", "PINTEREST_APP_SECRET_FILE"):
        assert (name in re.findall(r"\w+", done.error["message"])) is (name in names)
    assert "https://developers.pinterest.com/apps/" in done.error["hint"]
    assert "SENTINEL" not in done.err


def test_login_takes_the_only_ad_account_and_writes_the_profile(
    run: Run, app: PinterestServer, back: str
) -> None:
    """The secret of the environment is not stored."""
    done = run("auth", "login", "--redirect-uri", back)
    assert (done.code, done.data["source"], done.data["ad_account_id"]) == (0, "login", ACCOUNT)
    assert profile() == {"ad_account": ACCOUNT, "app_id": APP_ID, "api_uri": app.base_url}
    assert (folder() / "config.toml").stat().st_mode & 0o777 == 0o600
    assert "SENTINEL" not in done.out + done.err + (folder() / "config.toml").read_text()
    assert not (folder() / "app-secret").exists()


def test_second_login_changes_nothing_in_the_profile(
    run: Run, app: PinterestServer, back: str
) -> None:
    run("auth", "login", "--redirect-uri", back)
    before = (folder() / "config.toml").stat()
    assert run("auth", "login", "--redirect-uri", back).code == 0
    assert (folder() / "config.toml").stat() == before


def test_login_is_used_without_any_variable(
    run: Run, app: PinterestServer, back: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profile has the address, the ad account and the app."""
    run("auth", "login", "--redirect-uri", back)
    for name in ("PINTEREST_API_URI", "PINTEREST_APP_ID", "PINTEREST_APP_SECRET"):
        monkeypatch.delenv(name)
    assert run("lists", "list").data == []
    assert run("auth", "status").data["app_id"] == APP_ID


def test_login_with_a_profile_writes_that_profile(
    run: Run, app: PinterestServer, back: str
) -> None:
    folder().mkdir(parents=True)
    text = "# mine\n[profiles.shop]\nstate = 's'  # here\n\n[profiles.default]\nad_account = '1'\n"
    (folder() / "config.toml").write_text(text)
    assert run("auth", "login", "--redirect-uri", back, "--profile", "shop").code == 0
    assert profile("shop")["ad_account"] == ACCOUNT
    assert profile() == {"ad_account": "1"}
    assert (folder() / "config.toml").read_text().startswith("# mine\n[profiles.shop]\nstate = 's'")
    assert (folder() / "tokens-shop.json").exists()


@pytest.mark.parametrize("named_by", ["option", "variable"])
@pytest.mark.parametrize("others", [None, "[profiles.shop]\nstate = 's'\n"])
@pytest.mark.usefixtures("app")
def test_login_creates_the_profile(
    run: Run,
    back: str,
    monkeypatch: pytest.MonkeyPatch,
    named_by: str,
    others: str | None,
) -> None:
    """Of a name that the configuration file lacks; other profiles stay as they are."""
    if others is not None:
        write_config(others)
    if named_by == "variable":
        monkeypatch.setenv("PINTEREST_AUDIENCES_PROFILE", "new shop")
    option = ("--profile", "new shop") if named_by == "option" else ()
    done = run("auth", "login", "--redirect-uri", back, *option)
    assert (done.code, done.data["source"], done.data["profile"]) == (0, "login", "new shop")
    assert (profile("new shop")["ad_account"], profile("new shop")["app_id"]) == (ACCOUNT, APP_ID)
    assert (folder() / "config.toml").read_text().startswith(others or "")
    assert run("lists", "list", "--profile", "new shop").code == 0


@pytest.mark.parametrize(
    "words",
    [("--token-stdin",), ("--emulator", "--redirect-uri", "http://localhost:18085/")],
    ids=["token", "emulator"],
)
def test_login_without_values_for_the_profile_creates_it_empty(
    run: Run, words: tuple[str, ...]
) -> None:
    """Otherwise other commands could not use the login."""
    assert run("auth", "login", *words, "--profile", "new", stdin="kept\n").code == 0
    assert profile("new") == {}
    emulated = words[:1] if words[0] == "--emulator" else ()
    status = run("auth", "status", "--profile", "new", *emulated)
    assert (status.code, status.data["source"]) == (0, "login")


@pytest.mark.usefixtures("app")
def test_login_creates_the_file_that_a_variable_names(
    run: Run, back: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "mine" / "profiles.toml"
    monkeypatch.setenv("PINTEREST_AUDIENCES_CONFIG", str(path))
    assert run("auth", "login", "--redirect-uri", back).code == 0
    assert tomllib.loads(path.read_text())["profiles"]["default"]["app_id"] == APP_ID


@pytest.mark.parametrize("words", [("auth", "status"), ("auth", "logout"), ("lists", "list")])
def test_unknown_profile_is_an_error_of_commands_other_than_login(
    run: Run, words: tuple[str, ...]
) -> None:
    done = run(*words, "--profile", "new")
    assert (done.code, done.error["code"]) == (2, "config")
    assert not folder().exists()


@pytest.mark.parametrize("name", ["a/b", "../b", "a\\b", "/"])
def test_profile_name_with_a_path_separator_is_refused_before_a_login(run: Run, name: str) -> None:
    """Files of tokens and secrets are named after the profile."""
    done = run("auth", "login", "--token-stdin", "--profile", name, stdin="kept\n")
    assert (done.code, done.out) == (2, "")
    assert done.error["message"].startswith("--profile must not contain a path separator")
    assert not folder().exists()


@two_accounts
@pytest.mark.parametrize(
    ("account", "stored", "warning"),
    [
        ("", None, "2 ad accounts"),
        ("222", "222", ""),
        ("333", "333", "no access to ad account 333"),
    ],
)
@pytest.mark.usefixtures("app")
def test_ad_account_of_several_without_a_terminal(
    run: Run, back: str, account: str, stored: str | None, warning: str
) -> None:
    """The login is stored in any case."""
    option = ("--ad-account", account) if account else ()
    done = run("auth", "login", "--redirect-uri", back, *option)
    assert (done.code, done.data["ad_account_id"]) == (0, stored)
    assert profile().get("ad_account") == stored
    assert (warning in done.err) if warning else "warning" not in done.err


def test_login_is_stored_when_ad_accounts_cannot_be_listed(
    run: Run, app: PinterestServer, back: str
) -> None:
    app.emulator.fault("status", operation="ad_accounts_list", status=403, times=None)
    done = run("auth", "login", "--redirect-uri", back)
    assert (done.code, done.data["source"]) == (0, "login")
    assert "warning: the ad accounts cannot be listed" in done.err
    assert profile() == {"app_id": APP_ID, "api_uri": app.base_url}


def test_login_at_the_local_emulator_writes_no_profile(run: Run, back: str) -> None:
    assert run("auth", "login", "--emulator", "--redirect-uri", back).code == 0
    assert not folder().exists()


def test_secret_of_the_profile_is_not_used_for_another_app(
    run: Run, server: PinterestServer
) -> None:
    folder().mkdir(parents=True)
    Path("secret").write_text(SECRET)
    (folder() / "config.toml").write_text(
        f"[profiles.default]\napp_id = '{APP_ID}'\napp_secret_file = 'secret'\n"
    )
    done = run("auth", "login", "--app-id", "7654321")
    assert (done.code, "PINTEREST_APP_SECRET" in done.error["message"]) == (2, True)


def write_config(text: str) -> Path:
    """Write the configuration file."""
    folder().mkdir(parents=True)
    path = folder() / "config.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("stored_id", ["", "app_id = '7654321'\n"])
def test_login_with_another_app_removes_the_secret_file_of_the_old_one(
    run: Run, back: str, stored_id: str
) -> None:
    """Otherwise a refresh would send the secret of one app under the id of another."""
    Path("old").write_text("SENTINELold")
    write_config(f"[profiles.default]\n{stored_id}app_secret_file = 'old'\nstate = 's'\n")
    assert run("auth", "login", "--redirect-uri", back).code == 0
    assert profile()["app_id"] == APP_ID
    assert "app_secret_file" not in profile()
    assert profile()["state"] == "s"


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("stored_id", ["", f"app_id = '{APP_ID}'\n"])
def test_login_with_the_secret_of_the_profile_keeps_its_file(
    run: Run, back: str, monkeypatch: pytest.MonkeyPatch, stored_id: str
) -> None:
    monkeypatch.delenv("PINTEREST_APP_SECRET")
    Path("mine").write_text(SECRET)
    write_config(f"[profiles.default]\n{stored_id}app_secret_file = 'mine'\n")
    assert run("auth", "login", "--redirect-uri", back).code == 0
    assert (profile()["app_id"], profile()["app_secret_file"]) == (APP_ID, "mine")


@on_terminal
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("answer", ["n\n", "\x04"])
def test_login_with_another_app_on_a_terminal_removes_the_old_secret_file(
    back: str, answer: str
) -> None:
    Path("old").write_text("SENTINELold")
    write_config("[profiles.default]\napp_id = '7654321'\napp_secret_file = 'old'\n")
    words = ("auth", "login", "--no-browser", "--redirect-uri", back, "--app-id", APP_ID)
    with Terminal(*words) as terminal:
        terminal.expect("(hidden): ")
        terminal.type(f"{SECRET}\n")
        visit(url_on(terminal))
        terminal.expect("[Y/n] ")
        terminal.type(answer)
        assert terminal.end() == 0
    assert profile()["app_id"] == APP_ID
    assert "app_secret_file" not in profile()


@pytest.fixture
def as_pinterest(app: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> PinterestServer:
    """The address of the server in place of Pinterest's own."""
    for module in ("_config", "cli.commands.auth", "cli.context"):
        monkeypatch.setattr(f"pinterest_audiences.{module}.DEFAULT_BASE_URL", app.base_url)
    return app


@pytest.mark.usefixtures("as_pinterest")
def test_login_at_pinterest_despite_an_emulator_variable_stores_no_address(
    run: Run, back: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise commands would use the emulator once the variable is gone."""
    monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    assert run("auth", "login", "--no-emulator", "--redirect-uri", back).code == 0
    assert profile() == {"ad_account": ACCOUNT, "app_id": APP_ID}


def test_login_at_pinterest_replaces_the_emulator_in_the_profile(
    run: Run, as_pinterest: PinterestServer, back: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PINTEREST_API_URI")
    write_config("[profiles.default]\napi_uri = 'emulator:'\n")
    assert run("auth", "login", "--no-emulator", "--redirect-uri", back).code == 0
    assert profile()["api_uri"] == as_pinterest.base_url


@pytest.mark.usefixtures("app", "homeless")
def test_login_without_a_home_directory_warns_that_the_profile_is_not_written(
    run: Run, back: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a container; the login is stored in the file that a variable names."""
    store = tmp_path / "t.json"
    monkeypatch.setenv("PINTEREST_TOKEN_STORE", str(store))
    done = run("auth", "login", "--redirect-uri", back)
    assert (done.code, done.data["store"], store.exists()) == (0, str(store), True)
    assert "warning: the login is stored, but the profile is not complete: " in done.err
    assert "HOME" in done.err


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("obstacle", ["inline", "locked", "folder"])
def test_login_is_a_success_when_the_profile_cannot_be_written(
    run: Run, back: str, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    """A warning names the file and the reason."""
    path, reason = write_config(""), "is locked by another process"
    held = file_lock(path.with_name("config.toml.lock"), 0) if obstacle == "locked" else None
    if obstacle == "inline":
        path.write_text("[profiles]\ndefault = { state = 's' }\n")
        reason = "cannot be edited in this form"
    elif obstacle == "folder":
        (folder() / "config.toml.lock").mkdir()
        reason = "config.toml.lock: "
    monkeypatch.setattr("pinterest_audiences.cli.profiles._LOCK_TIMEOUT_SECONDS", 0.0)
    before = path.read_text()
    with held or nullcontext():
        done = run("auth", "login", "--redirect-uri", back)
    assert (done.code, done.data["source"]) == (0, "login")
    assert f"{path}" in done.err
    assert reason in done.err
    assert path.read_text() == before


def url_on(terminal: Terminal) -> str:
    """Return the URL of a login that a terminal shows."""
    return terminal.expect_match(r".*\n(http://\S+/oauth/\?\S+)\r\n")[1]


def not_in_process_list(terminal: Terminal, secret: str) -> bool:
    """Return whether a secret is neither an argument nor a variable of a running program."""
    process = Path("/proc") / str(terminal.pid)
    if not process.exists():  # not Linux
        return True
    seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    return secret.encode() not in seen


@on_terminal
def test_terminal_asks_for_the_app_and_writes_the_profile(
    server: PinterestServer, back: str
) -> None:
    """The secret is not shown, not even in the most detailed log."""
    words = ("auth", "login", "--no-browser", "--redirect-uri", back, "-vv")
    with Terminal(*words) as terminal:
        screen = terminal.expect("App id: ")
        assert "https://developers.pinterest.com/apps/" in screen
        assert back in screen
        terminal.type(f"{APP_ID}\n")
        terminal.expect("App secret key (hidden): ")
        terminal.type(f"{SECRET}\n")
        url = url_on(terminal)
        assert not_in_process_list(terminal, SECRET)
        assert visit(url)
        terminal.expect("Save the app secret in")
        terminal.type("\n")
        assert terminal.end() == 0
        assert "SENTINEL" not in terminal.screen
    secret = folder() / "app-secret"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == (f"{SECRET}\n", 0o600)
    assert profile() == {
        "ad_account": ACCOUNT,
        "app_id": APP_ID,
        "app_secret_file": str(secret),
        "api_uri": server.base_url,
    }


@on_terminal
@pytest.mark.parametrize("source", ["variable", "file variable", "profile"])
@pytest.mark.usefixtures("server")
def test_terminal_does_not_ask_for_a_secret_that_is_set(
    back: str, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Only the id of the app is missing."""
    Path("mine").write_text(SECRET)
    if source == "variable":
        monkeypatch.setenv("PINTEREST_APP_SECRET", SECRET)
    elif source == "file variable":
        monkeypatch.setenv("PINTEREST_APP_SECRET_FILE", "mine")
    else:
        write_config("[profiles.default]\napp_secret_file = 'mine'\n")
    with Terminal("auth", "login", "--no-browser", "--redirect-uri", back) as terminal:
        terminal.expect("App id: ")
        terminal.type(f"{APP_ID}\n")
        assert visit(url_on(terminal))
        assert terminal.end() == 0
        assert "(hidden)" not in terminal.screen
        assert "Save the app secret" not in terminal.screen
    assert profile()["app_id"] == APP_ID
    assert profile().get("app_secret_file") == ("mine" if source == "profile" else None)


@on_terminal
@pytest.mark.usefixtures("server")
def test_error_after_the_questions_names_only_what_is_still_missing(back: str) -> None:
    with Terminal("auth", "login", "--no-browser", "--redirect-uri", back) as terminal:
        terminal.expect("App id: ")
        terminal.type(f"{APP_ID}\n")
        terminal.expect("(hidden): ")
        terminal.type("\x04")
        assert terminal.end() == 2
    message = terminal.screen.partition("no app: ")[2]
    assert "PINTEREST_APP_SECRET" in message
    assert "PINTEREST_APP_ID" not in message


@on_terminal
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        ("", 130, "error: interrupted; logged in; the app secret was not saved"),
        ("\x04", 0, "logged in; the app secret was not saved: set PINTEREST_APP_SECRET"),
        ("n\n", 0, "logged in; the app secret was not saved: set PINTEREST_APP_SECRET"),
    ],
    ids=["ctrl-c", "ctrl-d", "no"],
)
def test_login_that_ends_at_the_last_question_says_what_is_stored(
    back: str, key: str, code: int, words: str
) -> None:
    """The next one shows the app of the profile, and asks only for its secret."""
    login = ("auth", "login", "--no-browser", "--redirect-uri", back)
    with Terminal(*login) as terminal:
        terminal.expect("App id: ")
        terminal.type(f"{APP_ID}\n")
        terminal.expect("(hidden): ")
        terminal.type(f"{SECRET}\n")
        visit(url_on(terminal))
        terminal.expect("[Y/n] ")
        if key:
            terminal.type(key)
        else:  # Ctrl-C: the program is not in the foreground of this terminal
            os.kill(terminal.pid, signal.SIGINT)
        assert terminal.end() == code
    assert words in terminal.screen
    assert "no job" not in terminal.screen
    assert (profile()["ad_account"], profile()["app_id"]) == (ACCOUNT, APP_ID)
    assert (folder() / "tokens.json").exists()
    assert not (folder() / "app-secret").exists()
    with Terminal(*login) as terminal:
        screen = terminal.expect("(hidden): ")
        assert f"App id: {APP_ID} (from the profile)" in screen


@on_terminal
@two_accounts
@pytest.mark.usefixtures("app")
def test_login_interrupted_before_the_profile_is_written_says_so(back: str) -> None:
    with Terminal("auth", "login", "--no-browser", "--redirect-uri", back) as terminal:
        visit(url_on(terminal))
        terminal.expect("Ad account (1 to 2): ")
        os.kill(terminal.pid, signal.SIGINT)
        assert terminal.end() == 130
    assert "error: interrupted; logged in; the profile was not written" in terminal.screen
    assert not (folder() / "config.toml").exists()


@on_terminal
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("words", "shown"),
    [((), f"App id: {APP_ID} (from PINTEREST_APP_ID)"), (("--app-id", APP_ID), "")],
    ids=["variable", "option"],
)
def test_app_id_that_is_not_typed_is_shown_with_its_source(
    back: str, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], shown: str
) -> None:
    monkeypatch.setenv("PINTEREST_APP_ID", APP_ID)
    with Terminal("auth", "login", "--no-browser", "--redirect-uri", back, *words) as terminal:
        screen = terminal.expect("(hidden): ")
    assert ("App id: " in screen) is bool(shown)
    assert shown in screen


@on_terminal
def test_second_login_on_a_terminal_asks_nothing(
    run: Run, server: PinterestServer, back: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app and its secret are in the profile, and the login can be refreshed."""
    words = ("auth", "login", "--no-browser", "--redirect-uri", back)
    with Terminal(*words) as terminal:
        terminal.expect("App id: ")
        terminal.type(f"{APP_ID}\n")
        terminal.expect("(hidden): ")
        terminal.type(f"{SECRET}\n")
        visit(url_on(terminal))
        terminal.expect("[Y/n] ")
        terminal.type("y\n")
        assert terminal.end() == 0
        assert "Next: pinterest-audiences doctor" in terminal.screen
    monkeypatch.delenv("PINTEREST_API_URI")
    before = (folder() / "config.toml").stat()
    with Terminal(*words) as terminal:
        visit(url_on(terminal))
        assert terminal.end() == 0
        assert "App id" not in terminal.screen
    assert (folder() / "config.toml").stat() == before
    assert run("auth", "refresh").data["refreshable"] is True


@on_terminal
@two_accounts
@pytest.mark.parametrize(
    ("answers", "account"),
    [
        (("2",), "222"),
        (("111",), "111"),
        (("3", "x", "1"), "111"),
        (("\x04",), None),
        (("",), None),
    ],
)
def test_terminal_lets_choose_the_ad_account(
    app: PinterestServer, back: str, answers: tuple[str, ...], account: str | None
) -> None:
    """By its number or id; anything else is asked again."""
    with Terminal("auth", "login", "--no-browser", "--redirect-uri", back) as terminal:
        visit(url_on(terminal))
        assert "222" in terminal.expect("Ad account (1 to 2): ")
        for number, answer in enumerate(answers, 1):
            terminal.expect("Ad account (1 to 2): ", times=number)
            terminal.type(answer if answer == "\x04" else f"{answer}\n")
        assert terminal.end() == 0
    assert profile().get("ad_account") == account


@on_terminal
@pytest.mark.parametrize("answer", ["n\n", "\x04"])
@pytest.mark.usefixtures("server")
def test_secret_is_not_saved_without_consent(back: str, answer: str) -> None:
    """The end of the input, as after Ctrl-D, does not mean yes."""
    with Terminal("auth", "login", "--no-browser", "--redirect-uri", back) as terminal:
        terminal.expect("App id: ")
        terminal.type(f"{APP_ID}\n")
        terminal.expect("(hidden): ")
        terminal.type(f"{SECRET}\n")
        visit(url_on(terminal))
        terminal.expect("[Y/n] ")
        terminal.type(answer)
        assert terminal.end() == 0
        assert "PINTEREST_APP_SECRET" in terminal.screen
    assert not (folder() / "app-secret").exists()
    assert "app_secret_file" not in profile()


@on_terminal
@pytest.mark.parametrize("at", ["App id: ", "(hidden): "])
def test_ctrl_d_at_a_prompt_is_a_missing_app(server: PinterestServer, at: str) -> None:
    with Terminal("auth", "login") as terminal:
        terminal.expect("App id: ")
        if at != "App id: ":
            terminal.type(f"{APP_ID}\n")
            terminal.expect(at)
        terminal.type("\x04")
        assert terminal.end() == 2
        assert "error: no app: set PINTEREST_APP_" in terminal.screen


@on_terminal
@two_accounts
def test_login_in_a_real_browser(server: PinterestServer, back: str, tmp_path: Path) -> None:
    """The browser is opened with the URL that is printed; the user consents on a page."""
    opener = tmp_path / "browser"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/opened\n')
    opener.chmod(0o755)
    with (
        chromium() as browser,
        Terminal(
            *("auth", "login", "--redirect-uri", back), environment={"BROWSER": f"{opener} %s"}
        ) as terminal,
    ):
        terminal.expect("App id: ")
        terminal.type(f"{APP_ID}\n")
        terminal.expect("(hidden): ")
        terminal.type(f"{SECRET}\n")
        url = url_on(terminal)
        browser.get(url)
        assert "ads:read, ads:write" in browser.page_source
        browser.find_element("css selector", "button[value=allow]").click()
        wait_for_text(browser, "You may close this window")
        assert browser.current_url.startswith(back)
        terminal.expect("Ad account (1 to 2): ")
        terminal.type("2\n")
        terminal.expect("[Y/n] ")
        terminal.type("\n")
        assert terminal.end() == 0
        assert "SENTINEL" not in terminal.screen
    assert (tmp_path / "opened").read_text() == url
    assert profile()["ad_account"] == "222"


@on_terminal
def test_cancel_in_a_real_browser_ends_the_login(server: PinterestServer, back: str) -> None:
    """With the exit code for credentials; nothing is stored."""
    with (
        chromium() as browser,
        Terminal("auth", "login", "--no-browser", "--redirect-uri", back) as terminal,
    ):
        terminal.expect("App id: ")
        terminal.type(f"{APP_ID}\n")
        terminal.expect("(hidden): ")
        terminal.type(f"{SECRET}\n")
        browser.get(url_on(terminal))
        browser.find_element("css selector", "button[value=deny]").click()
        wait_for_text(browser, "The login failed")
        assert terminal.end() == 3
        assert "access_denied" in terminal.screen
    assert not (folder() / "tokens.json").exists()
    assert not (folder() / "config.toml").exists()
