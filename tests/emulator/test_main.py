"""`python -m pinterest_audiences.emulator`: a process that others start and stop."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import anyio.from_thread
import httpx
import pytest

from pinterest_audiences.emulator import Emulator, Request
from pinterest_audiences.emulator import __main__ as main_module
from pinterest_audiences.emulator.__main__ import main

resource = pytest.importorskip("resource", reason="limits of open files are a matter of Unix")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "pinterest_audiences.emulator"]
TOKEN = {"Authorization": "Bearer pina_test"}
LISTS = "/v5/ad_accounts/549/customer_lists"
RAW_GET = f"GET {LISTS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n".encode()


@contextmanager
def running(*arguments: str, prefix: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*prefix, *COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def base_url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def end(process: subprocess.Popen[str], by: signal.Signals) -> tuple[int, str, str]:
    """Stop a process and give its exit status and what it had still to say."""
    process.send_signal(by)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def connect(base_url: str) -> socket.socket:
    url = urlsplit(base_url)
    return socket.create_connection((str(url.hostname), url.port or 0), timeout=30)


def ask(connection: socket.socket) -> bytes:
    connection.sendall(RAW_GET)
    received = b""
    while b"}" not in received:
        piece = connection.recv(65536)
        if not piece:
            break
        received += piece
    return received


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_serves_and_ends_cleanly(by: signal.Signals) -> None:
    """The line is the base URL; a signal ends it with 0 and not a word, clients or not."""
    with running("--port", "0") as process, httpx.Client(headers=TOKEN) as client:
        base_url = base_url_of(process)
        url = urlsplit(base_url)
        assert base_url == f"http://127.0.0.1:{url.port}/v5"
        answer = client.get(f"{base_url}/ad_accounts/549/customer_lists")
        assert answer.json() == {"items": [], "bookmark": None}
        assert answer.headers["x-ratelimit-remaining"] == "99"
        assert end(process, by) == (0, "", "")


def test_its_answers_are_those_of_an_emulator_with_the_same_settings() -> None:
    """Seed, match rate, processing time and tokens are obeyed."""
    records = ",".join(f"{number}@example.com" for number in range(1000))
    body = {"name": "Spring", "records": records}
    arguments = ["--port", "0", "--seed", "11", "--match-rate", "1", "--processing-seconds", "0"]
    tokens = ["--access-token", "one", "--access-token", "two"]
    emulator = Emulator(
        seed=11, match_rate=1.0, processing_seconds=0.0, access_tokens=["one", "two"]
    )
    in_process = httpx.Client(transport=emulator.transport())
    with running(*arguments, *tokens) as process, httpx.Client() as over_the_wire, in_process:
        clients = [(over_the_wire, base_url_of(process)), (in_process, "http://any.host/v5")]
        for token in ("none", "one", "two"):
            answers: list[tuple[int, str, dict[str, object]]] = []
            for client, base_url in clients:
                url = f"{base_url}/ad_accounts/549/customer_lists"
                headers = {"Authorization": f"Bearer {token}"}
                answer = client.post(url, json=body, headers=headers)
                fields = answer.json()
                for clocked in ("created_time", "updated_time"):
                    fields.pop(clocked, None)
                answers.append((answer.status_code, answer.headers["x-pinterest-rid"], fields))
            assert answers[0] == answers[1]
            assert answers[0][2].get("status") == (None if token == "none" else "READY")


def test_faults_of_a_file_wait_from_the_beginning(tmp_path: Path) -> None:
    """In their order, and then no more."""
    file = tmp_path / "faults.json"
    file.write_text('[{"kind": "status", "status": 503}, {"kind": "no_answer"}]')
    with (
        running("--port", "0", "--faults", str(file)) as process,
        httpx.Client(headers=TOKEN) as client,
    ):
        url = f"{base_url_of(process)}/ad_accounts/549/customer_lists"
        assert client.get(url).status_code == 503
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(url)
        assert client.get(url).status_code == 200


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        (None, "No such file"),
        ("[", "Expecting value"),
        ('[{"kind": "html"}, {"kind": "flood"}]', "fault 2: kind must be one of"),
    ],
)
def test_a_file_without_faults_is_a_usage_error(
    tmp_path: Path, written: str | None, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said with its name, before anything is served."""
    file = tmp_path / "faults.json"
    if written is not None:
        file.write_text(written)
    with pytest.raises(SystemExit) as exit_:
        main(["--port", "0", "--faults", str(file)])
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert f"--faults {file}: " in said
    assert complaint in said


def test_a_port_in_use_is_said_in_one_line() -> None:
    """On standard error, with what to do, and status 1."""
    with running("--port", "0") as first:
        port = str(urlsplit(base_url_of(first)).port)
        done = subprocess.run(
            [*COMMAND, "--port", port], check=False, capture_output=True, text=True, timeout=30
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"cannot listen on 127.0.0.1:{port}: Address already in use;")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "65536"], "must be between 0 and 65535"),
        (["--port", "x"], "invalid _port value"),
        (["--match-rate", "2"], "match_rate must be between 0.0 and 1.0"),
        (["--processing-seconds", "-1"], "processing_seconds must not be negative"),
        (["--access-token", ""], "access_tokens must not be empty"),
        (["--refresh-token", ""], "refresh_tokens must not be empty"),
        (["--app-id", "1"], "--app-id and --app-secret belong together"),
        (["--app-secret", "s"], "--app-id and --app-secret belong together"),
        (["--access", "free"], "invalid choice: 'free'"),
        (["--state", __file__], "is not the state of an emulator"),
        (["--state", "/nowhere/state"], "No such file or directory"),
    ],
)
def test_an_argument_out_of_its_range_is_a_usage_error(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, and which argument it was."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    said = capsys.readouterr()
    assert complaint in said.err
    assert said.out == ""


def test_it_also_ends_where_the_event_loop_receives_no_signals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on Windows: Ctrl-C then arrives as an exception, and ends it just as well."""

    def refuse(*_: signal.Signals) -> None:
        raise NotImplementedError

    async def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anyio.open_signal_receiver", refuse)
    monkeypatch.setattr("anyio.sleep_forever", interrupt)
    assert main(["--port", "0"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("http://127.0.0.1:")
    assert said.err == ""


def test_an_app_logs_in_over_the_wire_and_its_state_outlives_the_process(tmp_path: Path) -> None:
    """A refresh token from before gives tokens; lists and tokens are there after a restart."""
    state = tmp_path / "state"
    arguments = ["--port", "0", "--app-id", "1", "--app-secret", "s", "--refresh-token", "pinr.a"]
    arguments += ["--access", "trial", "--state", str(state)]
    form = {"grant_type": "refresh_token", "refresh_token": "pinr.a"}
    body = {"name": "Spring", "records": "a@example.com"}
    with running(*arguments) as process, httpx.Client() as client:
        base_url = base_url_of(process)
        assert client.get(f"{base_url}/ad_accounts", headers=TOKEN).status_code == 401
        issued = client.post(f"{base_url}/oauth/token", data=form, auth=("1", "s")).json()
        headers = {"Authorization": f"Bearer {issued['access_token']}"}
        url = f"{base_url}/ad_accounts/549/customer_lists"
        made = client.post(url, json=body, headers=headers)
        assert "ads_write_app_id_user_id" in made.headers["x-ratelimit-limit"]
        assert "300;w=86400" in made.headers["x-ratelimit-limit"]
        assert end(process, signal.SIGTERM) == (0, "", "")
    with running(*arguments) as process, httpx.Client() as client:
        base_url = base_url_of(process)
        lists = client.get(f"{base_url}/ad_accounts/549/customer_lists", headers=headers).json()
        assert [each["id"] for each in lists["items"]] == [made.json()["id"]]
        again = client.post(f"{base_url}/oauth/token", data=form, auth=("1", "s"))
        assert again.status_code == 400
        assert end(process, signal.SIGINT) == (0, "", "")
    assert Emulator(state=state).members(made.json()["id"]) == {"a@example.com"}


class Telling(Emulator):
    """Says when it has been saved."""

    def __init__(self, state: Path, saved: anyio.Event) -> None:
        super().__init__(state=state)
        self.saved = saved

    def save(self, path: object = None) -> None:
        super().save()
        anyio.from_thread.run_sync(self.saved.set)


@pytest.mark.anyio
async def test_a_state_is_written_while_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When something was asked, so that a killed process loses little."""
    monkeypatch.setattr(main_module, "_SAVE_SECONDS", 0.001)
    saved = anyio.Event()
    emulator = Telling(tmp_path / "state", saved)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(main_module._keep_saving, emulator)
            await anyio.wait_all_tasks_blocked()
            emulator.handle(Request(method="GET", path="/"))
            await saved.wait()
            tasks.cancel_scope.cancel()
    assert Emulator(state=tmp_path / "state").handled == 1


def test_a_state_that_cannot_be_written_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, and the status says it."""
    emulator = Emulator(state=tmp_path / "nowhere" / "state")
    assert main_module._save(emulator) is False
    said = capsys.readouterr().err
    assert said.startswith("cannot write the state: ")
    assert said.count("\n") == 1


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow this process, and those it starts, enough open files for 1,000 connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1_500
    if hard not in (-1, resource.RLIM_INFINITY) and hard < wanted:
        pytest.skip(f"this machine allows a process only {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_thousand_connections_are_kept_alive() -> None:
    """Each is answered twice, and all of them do not keep the server from ending."""
    with running("--port", "0") as process, ExitStack() as closing:
        base_url = base_url_of(process)
        connections = [closing.enter_context(connect(base_url)) for _ in range(1_000)]
        for _ in range(2):
            for connection in connections:
                # Above 100 a second the answer is 429: an answer all the same.
                assert ask(connection).startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 429 "))
        assert end(process, signal.SIGTERM) == (0, "", "")


def test_running_out_of_open_files_is_survived() -> None:
    """Connections that cannot be accepted wait until others have gone."""
    few = ("sh", "-c", 'ulimit -n 40; exec "$@"', "sh")
    with running("--port", "0", prefix=few) as process, ExitStack() as closing:
        base_url = base_url_of(process)
        connections = [closing.enter_context(connect(base_url)) for _ in range(60)]
        assert json.loads(ask(connections[0]).partition(b"\r\n\r\n")[2])["items"] == []
        for connection in connections[:50]:
            connection.close()
        assert ask(connections[-1]).startswith(b"HTTP/1.1 200 ")
        assert end(process, signal.SIGTERM) == (0, "", "")


def test_faults_a_login_and_a_state_go_together(tmp_path: Path) -> None:
    """Each flag does what it does alone; a fault that is used up is no part of the state."""
    faults, state = tmp_path / "faults.json", tmp_path / "state.db"
    faults.write_text('[{"kind": "status", "status": 503, "operation": "oauth_token"}]')
    app = ("--app-id", "1", "--app-secret", "s", "--refresh-token", "pinr.a")
    flags = ("--port", "0", "--state", str(state), *app, "--access", "trial")
    form = {"grant_type": "refresh_token", "refresh_token": "pinr.a"}
    new = {"name": "Spring", "audience_type": "PERSONA", "rule": {}}
    with running(*flags, "--faults", str(faults)) as process, httpx.Client() as client:
        base_url = base_url_of(process)
        door = f"{base_url.removesuffix('/v5')}/_emulator"
        url = f"{base_url}/oauth/token"
        answers = [client.post(url, data=form, auth=("1", "s")) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [503, 200]
        token = {"Authorization": f"Bearer {answers[1].json()['access_token']}"}
        audiences = f"{base_url}/ad_accounts/549/audiences"
        made = client.post(audiences, json=new, headers=token)
        assert made.headers["x-ratelimit-limit"].startswith("300, ")
        overview = client.get(f"{door}/overview").json()
        assert [each["id"] for each in overview["audiences"]] == [made.json()["id"]]
        assert {each["budget"] for each in overview["budgets"]} >= {"ads_write", "org_read"}
        assert client.get(f"{door}/health").json()["audiences"] == 1
        assert end(process, signal.SIGTERM) == (0, "", "")
    with running(*flags) as process, httpx.Client() as client:
        audience = f"{base_url_of(process)}/ad_accounts/549/audiences/{made.json()['id']}"
        assert client.get(audience, headers=token).json()["name"] == "Spring"
        assert client.get(audience, headers=TOKEN).status_code == 401
        assert end(process, signal.SIGTERM) == (0, "", "")
