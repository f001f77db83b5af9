"""Which credentials a command uses, and whose they are."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cli.conftest import Run

from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.problems import problem_of
from pinterest_audiences.cli.refusals import CommandError
from pinterest_audiences.pytest_plugin import PinterestServer

TOKEN = "pina_SENTINEL"  # that of the fixture `server`
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
        (("check", PERSON), "[e-mail]: there is no such file"),
        (("check", "a.csv", "--encoding", SECRET), "encoding"),
        (("check", "a.csv", f"--encoding={SECRET}"), "encoding"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_a_word_in_the_wrong_place_is_not_repeated(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    """It may be a token or a customer; the option or the number of words is told instead."""
    monkeypatch.setenv("PINTEREST_AUDIENCES_OUTPUT", "json")
    Path("a.csv").write_text("email\nbuyer@shop.example\n")
    done = run(*words)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert told in done.error["message"]
    assert "sentinel" not in done.err.lower()


@pytest.mark.parametrize(
    ("answer", "first"),
    [((401, 2), "log in"), ((403, 29), "log in"), ((404, 404), "check the ids"), ((429, 8), "")],
)
def test_a_job_that_a_retry_cannot_finish_says_what_comes_first(
    run: Run, server: PinterestServer, people: Path, answer: tuple[int, int], first: str
) -> None:
    """It is resumable all the same, and so it is 7."""
    status, code = answer
    server.emulator.fault(
        "status", operation="customer_lists_create", status=status, code=code, times=None
    )
    done = run("upload", people, "--name", "All", "--patience", "0.01")
    assert (done.code, done.error["retryable"]) == (7, not first)
    assert done.error["hint"].startswith(first or "finish it with: ")
    assert done.error["hint"].endswith("finish it with: pinterest-audiences resume")


def test_an_interrupted_forget_is_run_again(
    run: Run, server: PinterestServer, people: Path
) -> None:
    """`resume` would leave the lists alone that it had not come to."""
    run("upload", people, "--name", "All")
    main_thread = threading.get_ident()

    def interrupt(_request: object) -> bool:
        signal.pthread_kill(main_thread, signal.SIGINT)
        return True

    server.emulator.fault("slow", seconds=30, when=interrupt)
    done = run("forget", people, "--yes")
    assert (done.code, done.error["retryable"]) == (130, True)
    assert done.error["hint"] == "run the same `forget` again"


def test_an_emulator_that_is_busy_may_be_tried_again() -> None:
    """What the command line itself refuses is retryable by the same rule."""
    busy = CommandError("busy", code="emulator_busy", exit=Exit.UNFINISHED)
    assert problem_of(busy).retryable
    assert not problem_of(CommandError("no", code="usage", exit=Exit.USAGE)).retryable


@pytest.mark.parametrize("there", [False, True])
def test_a_token_that_cannot_be_refreshed_for_want_of_an_answer_is_later(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """No login mends a network; and nothing has been refused."""
    monkeypatch.delenv("PINTEREST_ACCESS_TOKEN")
    for name in ("PINTEREST_REFRESH_ACCESS_TOKEN", "PINTEREST_APP_ID", "PINTEREST_APP_SECRET"):
        monkeypatch.setenv(name, "1234567")
    if there:
        limit = {"retry-after": "9999"}
        server.emulator.fault("status", status=429, code=8, headers=limit, times=None)
    else:
        monkeypatch.setenv("PINTEREST_API_URI", "http://127.0.0.1:9/v5")
    for words in (("lists", "list"), ("auth", "refresh")):
        done = run(*words)
        assert (done.code, done.error["retryable"]) == (6, True), done.err
        assert done.error["code"] == "token_refresh"
        assert "401" not in done.error["message"]


@pytest.mark.parametrize("content", [None, "two words"])
def test_a_token_file_of_the_profile_that_cannot_be_read_is_told_by_its_name(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """By everything that would use it; `auth status` and `doctor` do not call it usable."""
    monkeypatch.delenv("PINTEREST_ACCESS_TOKEN")
    folder().mkdir(parents=True)
    (folder() / "config.toml").write_text("[profiles.default]\naccess_token_file = 'token'\n")
    if content is not None:
        Path("token").write_text(content)
    for words in (("lists", "list"), ("auth", "status")):
        done = run(*words)
        assert (done.code, done.error["code"]) == (3, "credentials")
        assert "access_token_file" in done.error["message"]
    done = run("doctor", "--offline")
    assert done.code != 0
    assert "access_token_file" in done.out
    assert server.emulator.handled == 0


def keep(path: Path, **fields: object) -> None:
    """Keep tokens as a login does."""
    path.write_text(json.dumps({"format": 1, **fields}))
    path.chmod(0o600)


@pytest.fixture
def kept(server: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the environment names for tokens."""
    path = Path("kept.json").absolute()
    monkeypatch.setenv("PINTEREST_TOKEN_STORE", str(path))
    return path


APP, APP_SECRET, REFRESH = "1234567", "SENTINELsecret", "pinr.SENTINEL"
with_app = pytest.mark.pinterest_emulator(
    apps={APP: APP_SECRET}, access_tokens=[TOKEN], refresh_tokens=[REFRESH]
)


@with_app
@pytest.mark.parametrize("app", [True, False])
def test_the_access_token_of_the_environment_is_used_while_its_store_is_empty(
    run: Run, kept: Path, monkeypatch: pytest.MonkeyPatch, app: bool
) -> None:
    """With or without an app: there is nothing else yet."""
    if app:
        monkeypatch.setenv("PINTEREST_APP_ID", APP)
        monkeypatch.setenv("PINTEREST_APP_SECRET", APP_SECRET)
    assert run("lists", "list").code == 0
    assert run("auth", "status").data["source"] == "environment"
    assert not kept.exists()


@with_app
def test_a_login_in_the_store_needs_its_app_to_go_before_the_environment(
    run: Run, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auth status` tells the one that is used; so does the warning of `auth login`."""
    keep(kept, access_token="pina_SENTINELold", refresh_token=REFRESH, expires_at=1000.0)
    assert run("auth", "status").data["source"] == "environment"
    assert run("lists", "list").code == 0
    assert "before the login" in run("auth", "login", "--token-stdin", stdin=TOKEN).err
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_SENTINELwrong")
    monkeypatch.setenv("PINTEREST_APP_ID", APP)
    monkeypatch.setenv("PINTEREST_APP_SECRET", APP_SECRET)
    assert run("auth", "login", "--token-stdin", stdin=TOKEN).err == ""
    assert run("auth", "status").data["source"] == "login"
    assert run("lists", "list").code == 0


@with_app
@pytest.mark.parametrize("variable", [True, False])
def test_the_app_of_the_profile_refreshes_what_the_environment_names(
    run: Run, kept: Path, monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    """A login in its store, or its refresh token."""
    monkeypatch.delenv("PINTEREST_ACCESS_TOKEN")
    folder().mkdir(parents=True)
    Path("secret").write_text(APP_SECRET)
    (folder() / "config.toml").write_text(
        f"[profiles.default]\napp_id = '{APP}'\napp_secret_file = 'secret'\n"
    )
    if variable:
        monkeypatch.setenv("PINTEREST_REFRESH_ACCESS_TOKEN", REFRESH)
    else:
        keep(kept, refresh_token=REFRESH, app_id=APP)
    assert run("lists", "list").code == 0
    assert json.loads(kept.read_text())["refresh_token"] != REFRESH


@with_app
def test_a_token_kept_in_the_store_of_the_environment_is_used(
    run: Run, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an app, for there is nothing to refresh."""
    monkeypatch.delenv("PINTEREST_ACCESS_TOKEN")
    assert run("lists", "list").error["code"] == "no_credentials"
    assert run("auth", "login", "--token-stdin", stdin=TOKEN).err == ""
    assert kept.exists()
    assert run("lists", "list").code == 0


def test_a_login_at_the_emulator_goes_through_no_proxy(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose owner would see the code, and who could not bring it to this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert run("auth", "login", "--emulator", *BACK).code == 0


@pytest.mark.parametrize(
    ("given", "told"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfep\0i\0", "not text")]
)
def test_standard_input_that_holds_no_token_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, given: bytes, told: str
) -> None:
    """Nothing is kept."""
    done = run("auth", "login", "--token-stdin", stdin=given)
    assert (done.code, done.error["code"]) == (2, "usage")
    assert told in done.error["message"]
    assert not folder().exists() or not (folder() / "tokens.json").exists()


@pytest.mark.skipif(os.name != "posix", reason="a terminal of Unix")
def test_ctrl_d_instead_of_the_apps_secret_is_no_secret() -> None:
    """And nothing unexpected."""
    keyboard, terminal = os.openpty()
    command = [sys.executable, "-m", "pinterest_audiences", "auth", "login", "--app-id", APP]
    with subprocess.Popen(
        command,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # it has no other terminal to ask at
    ) as process:
        assert process.stderr is not None
        told = b""
        while not told.endswith(b"(it is not shown): "):
            letter = process.stderr.read(1)
            assert letter, told
            told += letter
        os.write(keyboard, b"\x04")
        error = json.loads(process.stderr.read().splitlines()[-1])["error"]
    os.close(keyboard)
    os.close(terminal)
    assert (process.returncode, error["code"]) == (3, "no_app")


def test_a_configuration_that_is_named_has_to_be_there(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job must not run on another account because a volume is missing."""
    monkeypatch.setenv("PINTEREST_AUDIENCES_CONFIG", str(Path("my.toml").absolute()))
    done = run("whoami", "--emulator")
    assert (done.code, done.error["code"]) == (2, "config")
    assert "PINTEREST_AUDIENCES_CONFIG" in done.error["message"]
    text = "[profiles.default]\nad_account = '8'\n"
    Path("my.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())  # as Notepad writes it
    monkeypatch.setenv("PINTEREST_AUDIENCES_PROFILE", "")
    assert run("whoami", "--emulator").data["ad_account_id"] == "8"


@pytest.mark.parametrize("flags", [(), ("--fresh",)])
def test_a_port_that_is_taken_is_told_as_any_other_error(run: Run, flags: tuple[str, ...]) -> None:
    """And nobody is told to use an address where somebody else is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("emulator", "serve", "--port", port, *flags)
    assert (done.code, done.out, done.error["code"]) == (1, "", "port_taken")
    assert f"127.0.0.1:{port}" in done.error["message"]
    assert "PINTEREST_API_URI" not in done.err


def test_a_file_is_named_whatever_it_looks_like(run: Run) -> None:
    """One that is there is no secret, and has to be found."""
    name = "550e8400-e29b-41d4-a716-446655440000.csv"
    Path(name).write_text("")
    assert name in run("check", name).error["message"]
