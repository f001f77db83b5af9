"""`python -m pinterest_audiences.emulator`: start, output and end of the process."""

from __future__ import annotations

import errno
import json
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import anyio.from_thread
import httpx
import pytest

from pinterest_audiences.emulator import Emulator, Request
from pinterest_audiences.emulator import __main__ as main_module
from pinterest_audiences.emulator.__main__ import main
from pinterest_audiences.emulator._admin import handle_admin_request

pytestmark = pytest.mark.slow

resource = pytest.importorskip("resource", reason="requires POSIX resource limits")
fcntl = pytest.importorskip("fcntl")

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
    """Stop a process and return its exit status and remaining output."""
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
def test_prints_base_url_and_ends_with_0_on_signal(by: signal.Signals) -> None:
    """Without other output, with and without clients."""
    with running("--port", "0") as process, httpx.Client(headers=TOKEN) as client:
        base_url = base_url_of(process)
        url = urlsplit(base_url)
        assert base_url == f"http://127.0.0.1:{url.port}/v5"
        answer = client.get(f"{base_url}/ad_accounts/549/customer_lists")
        assert answer.json() == {"items": [], "bookmark": None}
        assert answer.headers["x-ratelimit-remaining"] == "99"
        assert end(process, by) == (0, "", "")


def test_options_configure_the_emulator() -> None:
    """Seed, match rate, processing time and tokens."""
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


NETWORK = ["--host", "0.0.0.0", "--allow-network"]
ADMIN_TOKEN = "an-admin-token-for-tests"


@pytest.mark.parametrize(
    ("arguments", "variable", "words"),
    [
        (["--host", "0.0.0.0"], ADMIN_TOKEN, "add --allow-network"),
        (["--host", "::", "--admin-token", ADMIN_TOKEN], "", "add --allow-network"),
        (NETWORK, "", "set PINTEREST_EMULATOR_ADMIN_TOKEN"),
        (NETWORK, "short", "at least 16 letters"),
        ([*NETWORK, "--admin-token", "with a blank inside"], "", "at least 16 letters"),
    ],
)
def test_network_requires_a_flag_and_an_admin_token(
    arguments: list[str],
    variable: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anything listens; the message does not repeat the token."""
    monkeypatch.setenv("PINTEREST_EMULATOR_ADMIN_TOKEN", variable)
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--port", "0"])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert words in " ".join(err.split())
    assert ADMIN_TOKEN not in err
    assert "blank inside" not in err


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "localhost"])
def test_host_and_admin_token_of_the_environment(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API accepts requests as without them; the admin endpoints only with the token."""
    monkeypatch.setenv("PINTEREST_EMULATOR_ADMIN_TOKEN", ADMIN_TOKEN)
    with running("--port", "0", "--host", host, "--allow-network") as process:
        base_url = base_url_of(process)
        root = base_url.removesuffix("/v5")
        assert root.startswith("http://127.0.0.1:")
        api = f"{base_url}/ad_accounts/549/customer_lists"
        assert httpx.get(api, headers=TOKEN).status_code == 200
        reset = f"{root}/_emulator/reset"
        assert httpx.post(reset, headers=TOKEN).status_code == 401
        right = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        assert httpx.post(reset, headers=right).status_code == 200
        assert end(process, signal.SIGTERM) == (0, "", "")


def test_faults_file_is_active_from_the_start(tmp_path: Path) -> None:
    """In their order, until they are used up."""
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


def test_assumptions_file_configures_the_emulator(tmp_path: Path) -> None:
    """`--guesses` has the switches of `Assumptions`."""
    file = tmp_path / "assumptions.json"
    file.write_text('{"most_records": 1}')
    with (
        running("--port", "0", "--guesses", str(file)) as process,
        httpx.Client(headers=TOKEN) as client,
    ):
        url = f"{base_url_of(process)}/ad_accounts/549/customer_lists"
        statuses = [
            client.post(url, json={"name": "A", "records": records}).status_code
            for records in ("a@example.com", "a@example.com,b@example.com")
        ]
    assert statuses == [200, 400]


@pytest.mark.parametrize(
    ("option", "written", "complaint"),
    [
        ("--faults", None, "No such file"),
        ("--faults", "[", "Expecting value"),
        ("--faults", '[{"kind": "html"}, {"kind": "flood"}]', "fault 2: kind must be one of"),
        ("--guesses", None, "No such file"),
        ("--guesses", "{", "Expecting property name"),
        ("--guesses", "[]", "must be a JSON object"),
        ("--guesses", '{"most_records": 0}', "most_records must be a whole number of at least 1"),
        ("--guesses", '{"records": 5}', "records is not one of: "),
    ],
)
def test_invalid_json_file_is_a_usage_error(
    tmp_path: Path,
    option: str,
    written: str | None,
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The error names the option, the file and the problem, before anything is served."""
    file = tmp_path / "option.json"
    if written is not None:
        file.write_text(written)
    with pytest.raises(SystemExit) as exit_:
        main(["--port", "0", option, str(file)])
    assert exit_.value.code == 2
    reported = capsys.readouterr().err
    assert f"{option} {file}: " in reported
    assert complaint in reported


def test_port_in_use_is_reported_in_one_line() -> None:
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
def test_argument_out_of_range_is_a_usage_error(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, with the name of the argument."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    said = capsys.readouterr()
    assert complaint in said.err
    assert said.out == ""


def test_ends_on_keyboard_interrupt_without_signal_support(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on Windows, where Ctrl-C raises an exception."""

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


def test_state_file_keeps_lists_and_tokens_across_restarts(tmp_path: Path) -> None:
    """An initial refresh token is exchanged over the wire."""
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
        assert 'name="ads_write_app_id"' in made.headers["x-ratelimit-limit"]
        assert "300;w=86400" in made.headers["x-ratelimit-limit"]
        assert end(process, signal.SIGTERM) == (0, "", "")
    with running(*arguments) as process, httpx.Client() as client:
        base_url = base_url_of(process)
        lists = client.get(f"{base_url}/ad_accounts/549/customer_lists", headers=headers).json()
        assert [each["id"] for each in lists["items"]] == [made.json()["id"]]
        again = client.post(f"{base_url}/oauth/token", data=form, auth=("1", "s"))
        assert again.status_code == 401
        assert end(process, signal.SIGINT) == (0, "", "")
    assert Emulator(state=state).members(made.json()["id"]) == {"a@example.com"}


class Signalling(Emulator):
    """Sets an event when it has been saved."""

    def __init__(self, state: Path, saved: anyio.Event) -> None:
        super().__init__(state=state)
        self.saved = saved

    def save(self, path: object = None) -> None:
        super().save()
        anyio.from_thread.run_sync(self.saved.set)


@pytest.mark.anyio
async def test_state_is_saved_while_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After requests, so that a killed process loses little."""
    monkeypatch.setattr(main_module, "_SAVE_SECONDS", 0.001)
    saved = anyio.Event()
    emulator = Signalling(tmp_path / "state", saved)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(main_module._save_repeatedly, emulator)
            await anyio.wait_all_tasks_blocked()
            emulator.handle(Request(method="GET", path="/"))
            await saved.wait()
            tasks.cancel_scope.cancel()
    assert Emulator(state=tmp_path / "state").handled == 1


@pytest.mark.anyio
async def test_changes_of_admin_endpoints_are_saved_while_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after the first attempt failed, as on Windows while another process reads the file."""
    monkeypatch.setattr(main_module, "_SAVE_SECONDS", 0.001)
    saved = anyio.Event()
    emulator = Signalling(tmp_path / "state", saved)
    attempts = 0

    def refuse_once(path: Path, target: Path) -> Path:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise PermissionError(errno.EACCES, "in use")
        return real_replace(path, target)

    real_replace = Path.replace
    monkeypatch.setattr(Path, "replace", refuse_once)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(main_module._save_repeatedly, emulator)
            await anyio.wait_all_tasks_blocked()
            body = b'{"ad_account_id": "549", "count": 2}'
            headers = {"host": "localhost"}
            path = "/_emulator/seed"
            request = Request(method="POST", path=path, headers=headers, body=body)
            answer = handle_admin_request(emulator, request)
            assert answer is not None
            assert answer.status == 200
            await saved.wait()
            tasks.cancel_scope.cancel()
    assert attempts == 2
    seeded = handle_admin_request(
        Emulator(state=tmp_path / "state"),
        Request(method="GET", path="/_emulator/health", headers={"host": "localhost"}),
    )
    assert seeded is not None
    assert json.loads(seeded.body)["customer_lists"] == 2


def test_unwritable_state_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, with a status that is not 0."""
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
def test_thousand_connections_are_kept_alive() -> None:
    """Each is answered twice, and they do not prevent the server from ending."""
    with running("--port", "0") as process, ExitStack() as closing:
        base_url = base_url_of(process)
        connections = [closing.enter_context(connect(base_url)) for _ in range(1_000)]
        for _ in range(2):
            for connection in connections:
                # Above 100 a second the answer is 429, which is an answer as well.
                assert ask(connection).startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 429 "))
        assert end(process, signal.SIGTERM) == (0, "", "")


def test_server_survives_too_many_open_files() -> None:
    """Connections that cannot be accepted wait until others are closed."""
    few = ("sh", "-c", 'ulimit -n 40; exec "$@"', "sh")
    with running("--port", "0", prefix=few) as process, ExitStack() as closing:
        base_url = base_url_of(process)
        connections = [closing.enter_context(connect(base_url)) for _ in range(60)]
        assert json.loads(ask(connections[0]).partition(b"\r\n\r\n")[2])["items"] == []
        for connection in connections[:50]:
            connection.close()
        assert ask(connections[-1]).startswith(b"HTTP/1.1 200 ")
        assert end(process, signal.SIGTERM) == (0, "", "")


def test_faults_login_and_state_can_be_combined(tmp_path: Path) -> None:
    """A fault that is used up is not part of the state."""
    faults, state = tmp_path / "faults.json", tmp_path / "state.db"
    faults.write_text('[{"kind": "status", "status": 503, "operation": "oauth_token"}]')
    app = ("--app-id", "1", "--app-secret", "s", "--refresh-token", "pinr.a")
    flags = ("--port", "0", "--state", str(state), *app, "--access", "trial")
    form = {"grant_type": "refresh_token", "refresh_token": "pinr.a"}
    new = {"name": "Spring", "audience_type": "PERSONA", "rule": {}}
    with running(*flags, "--faults", str(faults)) as process, httpx.Client() as client:
        base_url = base_url_of(process)
        admin = f"{base_url.removesuffix('/v5')}/_emulator"
        url = f"{base_url}/oauth/token"
        answers = [client.post(url, data=form, auth=("1", "s")) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [503, 200]
        token = {"Authorization": f"Bearer {answers[1].json()['access_token']}"}
        audiences = f"{base_url}/ad_accounts/549/audiences"
        made = client.post(audiences, json=new, headers=token)
        assert made.headers["x-ratelimit-limit"].startswith("300, ")
        overview = client.get(f"{admin}/overview").json()
        assert [each["id"] for each in overview["audiences"]] == [made.json()["id"]]
        assert {each["budget"] for each in overview["budgets"]} >= {"ads_write", "org_read"}
        assert client.get(f"{admin}/health").json()["audiences"] == 1
        assert end(process, signal.SIGTERM) == (0, "", "")
    with running(*flags) as process, httpx.Client() as client:
        audience = f"{base_url_of(process)}/ad_accounts/549/audiences/{made.json()['id']}"
        assert client.get(audience, headers=token).json()["name"] == "Spring"
        assert client.get(audience, headers=TOKEN).status_code == 401
        assert end(process, signal.SIGTERM) == (0, "", "")


SAVE_AND_DIE = """
import os, signal, sys
from pinterest_audiences.emulator import Emulator
emulator = Emulator(state=sys.argv[1])
emulator.seed_lists("549", 2)
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
emulator.save()
"""


def test_second_server_on_a_state_file_is_refused(tmp_path: Path) -> None:
    """With any path to it; when the first one ends, the file can be used again."""
    state, link = tmp_path / "state", tmp_path / "link"
    link.symlink_to(state)
    with running("--port", "0", "--state", str(state)) as first:
        base_url = base_url_of(first)
        for path in (state, tmp_path / "." / "state", link):
            second = subprocess.run(
                [*COMMAND, "--port", "0", "--state", str(path)],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert (second.returncode, second.stdout) == (1, "")
            assert "is in use by another emulator" in second.stderr
            assert str(state) in second.stderr
        with running("--port", "0", "--state", str(tmp_path / "other")) as other:
            assert base_url_of(other).startswith("http://127.0.0.1:")
        assert httpx.get(f"{base_url}/ad_accounts", headers=TOKEN).status_code == 200
        assert end(first, signal.SIGTERM) == (0, "", "")
    with running("--port", "0", "--state", str(state)) as third:
        assert base_url_of(third).startswith("http://127.0.0.1:")


def test_killed_server_releases_its_state_file(tmp_path: Path) -> None:
    """Its lock ends with the process; after a clean end the lock file is removed."""
    state = tmp_path / "state"
    with running("--port", "0", "--state", str(state)) as process:
        base_url_of(process)
        process.kill()
        process.wait(timeout=30)
    with running("--port", "0", "--state", str(state)) as process:
        assert base_url_of(process).startswith("http://127.0.0.1:")
        assert end(process, signal.SIGINT) == (0, "", "")
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_leftovers_of_a_kill_while_saving_are_removed(tmp_path: Path) -> None:
    """The old state is intact; other files, and those still being written, are not removed."""
    state = tmp_path / "state"
    before = Emulator(state=state)
    before.seed_lists("549", 1)
    before.save()
    killed = subprocess.run([sys.executable, "-c", SAVE_AND_DIE, str(state)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (leftover,) = tmp_path.glob(".state.*")
    foreign = tmp_path / ".states.abc.tmp"
    foreign.write_text("x")
    writing = tmp_path / ".state.abc.tmp"
    with writing.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with running("--port", "0", "--state", str(state)) as process:
            base_url = base_url_of(process)
            assert not leftover.exists()
            lists = httpx.get(f"{base_url}/ad_accounts/549/customer_lists", headers=TOKEN).json()
            assert len(lists["items"]) == 1
            assert end(process, signal.SIGTERM) == (0, "", "")
    assert {each.name for each in tmp_path.iterdir()} == {state.name, foreign.name, writing.name}
