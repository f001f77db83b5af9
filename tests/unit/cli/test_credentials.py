"""Which credentials a command uses, and in which order."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from unit.cli.conftest import Run

from pinterest_audiences.cli.error_reports import CommandError, ExitCode, error_report
from pinterest_audiences.pytest_plugin import PinterestServer

pytestmark = pytest.mark.slow

TOKEN = "pina_SENTINEL"  # that of the fixture `server`
BACK = ("--redirect-uri", "http://localhost:18085/")


def folder() -> Path:
    """The folder of logins."""
    return Path(os.environ["XDG_CONFIG_HOME"]) / "pinterest-audiences"


@pytest.mark.parametrize("how", ["flag", "environment", "profile"])
def test_emulator_login_never_changes_a_real_login(
    run: Run, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Neither next to the state file nor where an environment variable points."""
    run("auth", "login", "--token-stdin", stdin=f"{TOKEN}\n")
    real = folder() / "tokens.json"
    content = real.read_bytes()
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
    assert real.read_bytes() == content


SECRET = "pina_SENTINEL"
PERSON = "ada@sentinel.example"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("auth", "login", "--token-stdin", SECRET), "`auth login`: 1 argument too many"),
        (("lists", "get", "7", PERSON, PERSON), "`lists get`: 2 arguments too many"),
        (("forget", "a.csv", PERSON, "--yes"), "FILE: no such file"),
        (("upload", "a.csv", PERSON, "--name", "All"), "FILE: no such file"),
        (
            ("check", "people.csv", "--max-reject-share", SECRET),
            "--max-reject-share must be a number",
        ),
        (
            ("check", "people.csv", "--kind", PERSON),
            "--kind must be one of email, maid, idfa, hashed",
        ),
        (("check", "people.csv", f"-o{SECRET}"), "-o must be one of table, json, ndjson, csv"),
        (("check", "people.csv", f"--quiet={SECRET}"), "--quiet takes no value"),
        (("check", "people.csv", f"--verbose={SECRET}"), "--verbose must be a whole number"),
        (("check", "people.csv", f"--colum={SECRET}"), "option --colum (did you mean --column?)"),
        (("check", "people.csv", f"-x{SECRET}"), "`check`: unknown option -x"),
        (("check", "people.csv", f"--{SECRET}"), "`check`: unknown option"),
        (("check", f"--{SECRET}"), "unknown option; write a file name with a leading dash"),
        (
            ("check", f"--colum={SECRET}"),
            "unknown option --colum (did you mean --column?); write a file name with a leading",
        ),
        (
            ("check", "a.csv", "--format", SECRET, "--format", SECRET),
            "--format is given more than once",
        ),
        (("check", "people.csv", "--column"), "--column requires a value"),
        (("check",), "FILE is missing"),
        ((PERSON,), "no such command; commands: demo, auth, accounts, whoami"),
        (("help",), "no such command: help (did you mean --help?)"),
        (("help", SECRET), "no such command: help (did you mean --help?)"),
        (("lists", "help"), "no such command: help (did you mean --help?)"),
        (("version",), "no such command: version (did you mean --version?)"),
        (("upload",), "FILE is missing, and --name or --list"),
        (("plan",), "FILE is missing, and --name or --list"),
        (("remove", "people.csv"), "--name or --list is missing"),
        (("upload", "--name", "All"), "FILE is missing"),
        (("auth", SECRET), "no such command; commands: login, status, refresh, logout"),
        (("uplod", SECRET), "no such command: uplod (did you mean upload?)"),
        (("lists", "list", "--profile", SECRET), "profile"),
        (("check", PERSON), "no such file"),
        (("check", "a.csv", "--encoding", SECRET), "encoding"),
        (("check", "a.csv", f"--encoding={SECRET}"), "encoding"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_misplaced_argument_is_not_repeated_in_the_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    """It may be a token or a customer; the error names the option or the number of arguments."""
    monkeypatch.setenv("PINTEREST_AUDIENCES_OUTPUT", "json")
    Path("a.csv").write_text("email\nbuyer@shop.example\n")
    done = run(*words)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert message in done.error["message"]
    assert "sentinel" not in done.err.lower()


@pytest.mark.parametrize(
    ("answer", "first"),
    [((401, 2), "log in"), ((403, 29), "log in"), ((404, 404), "check the ids"), ((429, 8), "")],
)
def test_job_that_a_retry_cannot_finish_names_the_first_step(
    run: Run, server: PinterestServer, people: Path, answer: tuple[int, int], first: str
) -> None:
    """It is still resumable, so the exit code is 7."""
    status, code = answer
    server.emulator.fault(
        "status", operation="customer_lists_create", status=status, code=code, times=None
    )
    done = run("upload", people, "--name", "All", "--retry-timeout", "0.01")
    assert (done.code, done.error["retryable"]) == (7, not first)
    assert done.error["hint"].startswith(first or "finish it with: ")
    assert done.error["hint"].endswith("finish it with: pinterest-audiences resume")


def test_interrupted_forget_is_repeated_instead_of_resumed(
    run: Run, server: PinterestServer, people: Path
) -> None:
    """`resume` would skip the lists that it had not reached."""
    run("upload", people, "--name", "All")
    main_thread = threading.get_ident()

    def interrupt(_request: object) -> bool:
        signal.pthread_kill(main_thread, signal.SIGINT)
        return True

    server.emulator.fault("slow", seconds=30, when=interrupt)
    done = run("forget", people, "--yes")
    assert (done.code, done.error["retryable"]) == (130, True)
    assert done.error["hint"] == "run the same `forget` again"


def test_locked_emulator_error_is_retryable() -> None:
    """The command line's own errors follow the same rule."""
    busy = CommandError("busy", code="emulator_busy", exit=ExitCode.UNFINISHED)
    assert error_report(busy).retryable
    assert not error_report(CommandError("no", code="usage", exit=ExitCode.USAGE)).retryable


@pytest.mark.parametrize("there", [False, True])
def test_failed_refresh_without_response_exits_with_6(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """A new login does not repair a network, and nothing has been refused."""
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
        assert done.error["code"] == ("rate_limit" if there else "transport")
        assert "401" not in done.error["message"]


@pytest.mark.parametrize("content", [None, "two words"])
def test_unreadable_token_file_of_profile_is_named(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """`auth status` and `doctor` do not report it as usable."""
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


def save_tokens(path: Path, **fields: object) -> None:
    """Store tokens as a login does."""
    path.write_text(json.dumps({"format": 1, **fields}))
    path.chmod(0o600)


@pytest.fixture
def environment_token_file(server: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The token file that the environment names."""
    path = Path("kept.json").absolute()
    monkeypatch.setenv("PINTEREST_TOKEN_STORE", str(path))
    return path


APP, APP_SECRET, REFRESH = "1234567", "SENTINELsecret", "pinr.SENTINEL"
with_app = pytest.mark.pinterest_emulator(
    apps={APP: APP_SECRET}, access_tokens=[TOKEN], refresh_tokens=[REFRESH]
)


@with_app
@pytest.mark.parametrize("app", [True, False])
def test_environment_access_token_is_used_while_token_store_is_empty(
    run: Run, environment_token_file: Path, monkeypatch: pytest.MonkeyPatch, app: bool
) -> None:
    """With or without an app."""
    if app:
        monkeypatch.setenv("PINTEREST_APP_ID", APP)
        monkeypatch.setenv("PINTEREST_APP_SECRET", APP_SECRET)
    assert run("lists", "list").code == 0
    assert run("auth", "status").data["source"] == "environment"
    assert not environment_token_file.exists()


@with_app
def test_stored_login_precedes_environment_token_only_with_app_credentials(
    run: Run, environment_token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auth status` shows the one in use, and `auth login` warns of it."""
    save_tokens(
        environment_token_file,
        access_token="pina_SENTINELold",
        refresh_token=REFRESH,
        expires_at=1000.0,
    )
    assert run("auth", "status").data["source"] == "environment"
    assert run("lists", "list").code == 0
    assert "instead of the login" in run("auth", "login", "--token-stdin", stdin=TOKEN).err
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_SENTINELwrong")
    monkeypatch.setenv("PINTEREST_APP_ID", APP)
    monkeypatch.setenv("PINTEREST_APP_SECRET", APP_SECRET)
    assert run("auth", "login", "--token-stdin", stdin=TOKEN).err == ""
    assert run("auth", "status").data["source"] == "login"
    assert run("lists", "list").code == 0


@with_app
@pytest.mark.parametrize("variable", [True, False])
def test_app_of_profile_refreshes_login_of_environment(
    run: Run, environment_token_file: Path, monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    """A login in its token store, or its refresh token."""
    monkeypatch.delenv("PINTEREST_ACCESS_TOKEN")
    folder().mkdir(parents=True)
    Path("secret").write_text(APP_SECRET)
    (folder() / "config.toml").write_text(
        f"[profiles.default]\napp_id = '{APP}'\napp_secret_file = 'secret'\n"
    )
    if variable:
        monkeypatch.setenv("PINTEREST_REFRESH_ACCESS_TOKEN", REFRESH)
    else:
        save_tokens(environment_token_file, refresh_token=REFRESH, app_id=APP)
    assert run("lists", "list").code == 0
    assert json.loads(environment_token_file.read_text())["refresh_token"] != REFRESH


@with_app
def test_access_token_in_environment_store_is_used_without_app(
    run: Run, environment_token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to refresh."""
    monkeypatch.delenv("PINTEREST_ACCESS_TOKEN")
    assert run("lists", "list").error["code"] == "no_credentials"
    assert run("auth", "login", "--token-stdin", stdin=TOKEN).err == ""
    assert environment_token_file.exists()
    assert run("lists", "list").code == 0


def test_emulator_login_bypasses_the_proxy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would see the code and could not reach this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert run("auth", "login", "--emulator", *BACK).code == 0


@pytest.mark.parametrize(
    ("given", "message"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfep\0i\0", "not text")]
)
def test_stdin_without_token_is_reported_and_nothing_is_stored(
    run: Run, monkeypatch: pytest.MonkeyPatch, given: bytes, message: str
) -> None:
    done = run("auth", "login", "--token-stdin", stdin=given)
    assert (done.code, done.error["code"]) == (2, "usage")
    assert message in done.error["message"]
    assert not folder().exists() or not (folder() / "tokens.json").exists()


def test_named_configuration_file_must_exist(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job must not use another account because a volume is not mounted."""
    monkeypatch.setenv("PINTEREST_AUDIENCES_CONFIG", str(Path("my.toml").absolute()))
    done = run("whoami", "--emulator")
    assert (done.code, done.error["code"]) == (2, "config")
    assert "PINTEREST_AUDIENCES_CONFIG" in done.error["message"]
    text = "[profiles.default]\nad_account = '8'\n"
    Path("my.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())  # as Notepad writes it
    monkeypatch.setenv("PINTEREST_AUDIENCES_PROFILE", "")
    assert run("whoami", "--emulator").data["ad_account_id"] == "8"


@pytest.mark.parametrize("flags", [(), ("--fresh",)])
def test_port_in_use_is_reported_as_an_error(run: Run, flags: tuple[str, ...]) -> None:
    """No output suggests an address that another program serves."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("emulator", "serve", "--port", port, *flags)
    assert (done.code, done.out, done.error["code"]) == (1, "", "port_taken")
    assert f"127.0.0.1:{port}" in done.error["message"]
    assert "PINTEREST_API_URI" not in done.err


def test_existing_file_is_named_even_if_it_looks_like_a_secret(run: Run) -> None:
    """An existing file is not a secret, and the user has to find it."""
    name = "550e8400-e29b-41d4-a716-446655440000.csv"
    Path(name).write_text("")
    assert name in run("check", name).error["message"]
