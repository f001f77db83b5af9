"""Clients on the emulator without a server: in memory, and the one that commands use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import httpx
import pytest
from support.programs import HANGS_AFTER_SECONDS

from pinterest_audiences import AsyncClient, AuthenticationError, Client, NotFoundError
from pinterest_audiences._config import EMULATOR_BASE_URL
from pinterest_audiences._file_lock import file_lock
from pinterest_audiences._jobs.job_errors import EmulatorStateError
from pinterest_audiences._local_emulator import LocalEmulator, RequestLog, open_local_emulator
from pinterest_audiences.emulator import Emulator, Request

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
EMAILS = ["ada@shop.example", "ben@shop.example"]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_emulated_client_has_an_emulator_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each a new one; neither environment nor files are used, and nothing is left."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name in ("ACCESS_TOKEN", "REFRESH_ACCESS_TOKEN", "API_URI", "AUDIENCES_CONFIG"):
        monkeypatch.setenv(f"PINTEREST_{name}", "not usable")
    for _ in range(2):
        async with AsyncClient.emulated() as client:
            report = await client.upload(ACCOUNT, EMAILS, name="Buyers")
            assert (report.created, report.added) == (True, 2)
            assert len(await client.customer_lists_list(ACCOUNT).collect()) == 1
            assert len(await client.jobs()) == 1
    with Client.emulated() as blocking:
        assert blocking.upload(ACCOUNT, EMAILS, name="Buyers").created
        assert files(tmp_path) != []
    assert files(tmp_path) == []
    assert files(Path(os.environ["XDG_STATE_HOME"])) == []


async def test_emulated_client_takes_an_emulator() -> None:
    """So that a test can look into it, and several clients share one."""
    emulator = Emulator(match_rate=1.0)
    with Client.emulated(emulator) as first:
        created = first.customer_lists_create(ACCOUNT, name="Buyers", records=EMAILS)
    async with AsyncClient.emulated(emulator) as second:
        assert (await second.customer_lists_get(ACCOUNT, created.id)).name == "Buyers"
    assert emulator.members(created.id) == set(EMAILS)


async def test_emulated_client_takes_a_token() -> None:
    emulator = Emulator(access_tokens=["pina_right"])
    async with AsyncClient.emulated(emulator) as client:
        with pytest.raises(AuthenticationError):
            await client.customer_lists_list(ACCOUNT).collect()
    async with AsyncClient.emulated(emulator, access_token="pina_right") as client:
        assert await client.customer_lists_list(ACCOUNT).collect() == []


@pytest.mark.parametrize("how", ["argument", "environment", "profile"])
async def test_emulator_as_base_url_is_the_emulator_of_commands(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """It keeps its lists and the jobs on them; tokens of Pinterest are not used."""
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "'not usable'")
    argument = None
    if how == "argument":
        argument = "emulator:"
    elif how == "environment":
        monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    else:
        folder = Path(os.environ["XDG_CONFIG_HOME"]) / "pinterest-audiences"
        folder.mkdir()
        (folder / "config.toml").write_text("[profiles.default]\napi_uri = 'emulator:'\n")
    async with AsyncClient(base_url=argument) as client:
        report = await client.upload(ACCOUNT, EMAILS, name="Buyers")
    with Client(base_url=argument) as blocking:
        (customer_list,) = blocking.customer_lists_list(ACCOUNT)
        assert (customer_list.id, customer_list.name) == (report.customer_list_id, "Buyers")
        assert blocking.upload(ACCOUNT, EMAILS, name="Buyers").created is False
    state = Path(os.environ["XDG_STATE_HOME"]) / "pinterest-audiences" / "emulator"
    assert (state / "state.sqlite3").exists()
    assert not (state.parent / "state.sqlite3").exists()


@pytest.mark.parametrize("text", ["emulator:/", " emulator: "])
def test_spaces_and_slashes_around_emulator_are_ignored(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a real token would be sent to a host that does not exist."""
    monkeypatch.setenv("PINTEREST_API_URI", text)
    with Client() as client:
        assert client.customer_lists_list(ACCOUNT).collect() == []


async def test_commands_and_clients_share_the_emulator() -> None:
    """A command while a client is open, and a client after the command."""
    pytest.importorskip("cyclopts", reason="the command line needs the extra [cli]")
    from pinterest_audiences.cli import run_command

    Path(os.environ["XDG_STATE_HOME"]).joinpath("people.txt").write_text("\n".join(EMAILS))
    people = str(Path(os.environ["XDG_STATE_HOME"]) / "people.txt")
    async with AsyncClient(base_url="emulator:") as client:
        await client.upload(ACCOUNT, EMAILS, name="By a client")
        words = ["upload", people, "--name", "By a command", "--emulator", "-q"]
        assert await anyio.to_thread.run_sync(run_command, words) == 0
        names = [each.name async for each in client.customer_lists_list(ACCOUNT)]
        assert names == ["By a client", "By a command"]
        await client.upload(ACCOUNT, EMAILS, name="Last")
    with Client(base_url="emulator:") as blocking:
        names = [each.name for each in blocking.customer_lists_list(ACCOUNT)]
    assert names == ["By a client", "By a command", "Last"]


async def test_two_open_clients_see_each_others_changes() -> None:
    """Whichever is closed first loses nothing of the other's."""
    async with AsyncClient(base_url="emulator:") as first:
        async with AsyncClient(base_url="emulator:") as second:
            one = await first.customer_lists_create(ACCOUNT, name="1", records=EMAILS)
            two = await second.customer_lists_create(ACCOUNT, name="2", records=EMAILS)
            assert one.id != two.id
            assert (await first.customer_lists_get(ACCOUNT, two.id)).name == "2"
        three = await first.customer_lists_create(ACCOUNT, name="3", records=EMAILS)
    async with AsyncClient(base_url="emulator:") as client:
        names = [each.name async for each in client.customer_lists_list(ACCOUNT)]
        assert (names, len({one.id, two.id, three.id})) == (["1", "2", "3"], 3)


KILLED = """
import os
from pinterest_audiences import Client
client = Client(base_url="emulator:")
client.customer_lists_create("549755885175", name="Kept", records=["ada@shop.example"])
os._exit(9)
"""


def test_what_the_emulator_acknowledged_survives_a_killed_client() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], timeout=HANGS_AFTER_SECONDS, check=False)
    assert done.returncode == 9
    with Client(base_url="emulator:") as client:
        assert [each.name for each in client.customer_lists_list(ACCOUNT)] == ["Kept"]


def emulator_file() -> Path:
    """Return the state file of the local emulator of clients."""
    return Path(os.environ["XDG_STATE_HOME"]) / "pinterest-audiences/emulator/pinterest.sqlite3"


def names_of_lists() -> list[str | None]:
    with Client(base_url="emulator:") as client:
        return [each.name for each in client.customer_lists_list(ACCOUNT)]


def create(name: str) -> Request:
    """Return a request that creates a list."""
    return Request(
        method="POST",
        path=f"/v5/ad_accounts/{ACCOUNT}/customer_lists",
        headers={"authorization": "Bearer t", "content-type": "application/json"},
        body=json.dumps({"name": name, "records": EMAILS[0]}).encode(),
    )


READ = Request(
    method="GET",
    path=f"/v5/ad_accounts/{ACCOUNT}/customer_lists",
    headers={"authorization": "Bearer t"},
)


@pytest.fixture
def state_of_emulator() -> Path:
    path = emulator_file()
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("reads", [0, 1, 3])
def test_change_is_applied_once_after_a_kill_between_saving_and_clearing_the_log(
    state_of_emulator: Path, monkeypatch: pytest.MonkeyPatch, reads: int
) -> None:
    """Reads before the change are counted, but are not in the log."""
    killed = LocalEmulator(state_of_emulator)
    for _ in range(reads):
        assert killed.handle(READ).status == 200
    assert killed.handle(create("Once")).status == 200
    saving = LocalEmulator(state_of_emulator)
    with monkeypatch.context() as patch:
        patch.setattr(RequestLog, "clear", lambda _: None)
        saving.close()
    assert state_of_emulator.exists()
    assert RequestLog(state_of_emulator.with_name("pinterest.sqlite3.log")).used
    assert names_of_lists() == ["Once"]


@pytest.mark.parametrize("left", [1, 7, 8, 60, -1], ids=lambda left: f"{left} bytes left")
def test_changes_after_a_cut_log_entry_are_kept(state_of_emulator: Path, left: int) -> None:
    """The entry was cut off by a crash before its change was acknowledged."""
    log = state_of_emulator.with_name("pinterest.sqlite3.log")
    emulator = LocalEmulator(state_of_emulator)
    emulator.handle(create("First"))
    size = log.stat().st_size
    emulator.handle(create("Cut off"))
    with log.open("r+b") as file:
        file.truncate((size if left > 0 else log.stat().st_size) + left)
    assert LocalEmulator(state_of_emulator).handle(create("After")).status == 200
    assert names_of_lists() == ["First", "After"]


def test_reading_the_emulator_leaves_a_cut_log_as_it_is(state_of_emulator: Path) -> None:
    """Without the lock the cut entry may be one that another process is writing."""
    LocalEmulator(state_of_emulator).handle(create("First"))
    log = state_of_emulator.with_name("pinterest.sqlite3.log")
    with log.open("ab") as file:
        file.write(b"\0")
    before = log.read_bytes()
    with open_local_emulator(state_of_emulator, exclusive=False) as emulator:
        assert emulator.handle(READ).status == 200
    assert log.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="requires limits of file sizes")
def test_change_that_a_full_disk_refuses_is_not_applied_and_later_ones_are() -> None:
    """The log then ends with the last complete entry."""
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL], timeout=HANGS_AFTER_SECONDS, check=False
    )
    assert done.returncode == 9
    assert names_of_lists() == ["First", "After"]


DISK_FULL = """
import os, resource, signal
from pathlib import Path
from pinterest_audiences import Client, PinterestAudiencesError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
account, soft = "549755885175", resource.getrlimit(resource.RLIMIT_FSIZE)[0]
log = Path(os.environ["XDG_STATE_HOME"], "pinterest-audiences/emulator/pinterest.sqlite3.log")
client = Client(base_url="emulator:", max_retries=0)
client.customer_lists_create(account, name="First", records=["ada@shop.example"])
size = log.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, resource.RLIM_INFINITY))
try:
    client.customer_lists_create(account, name="Refused", records=["ada@shop.example"])
except (OSError, PinterestAudiencesError):
    assert log.stat().st_size == size
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))
    client.customer_lists_create(account, name="After", records=["ada@shop.example"])
    os._exit(9)
"""


async def test_closing_a_client_waits_for_no_other_process() -> None:
    """Its changes are in the log, which the next client or command reads."""
    client = AsyncClient(base_url="emulator:")
    await client.customer_lists_create(ACCOUNT, name="Kept", records=EMAILS)
    with file_lock(emulator_file().with_name("pinterest.sqlite3.lock"), 0):
        with anyio.fail_after(HANGS_AFTER_SECONDS):
            await client.aclose()
    assert not emulator_file().exists()
    assert names_of_lists() == ["Kept"]
    assert emulator_file().exists()


async def test_damaged_state_of_the_emulator_is_named() -> None:
    path = Path(os.environ["XDG_STATE_HOME"]) / "pinterest-audiences/emulator/pinterest.sqlite3"
    path.parent.mkdir(parents=True)
    path.write_text("not a database" * 100)
    async with AsyncClient(base_url="emulator:") as client:
        with pytest.raises(EmulatorStateError, match="to start again, delete it"):
            await client.customer_lists_list(ACCOUNT).collect()


async def test_emulator_ignores_proxy_and_certificates() -> None:
    async with AsyncClient(base_url="emulator:", proxy="http://127.0.0.1:9") as client:
        with pytest.raises(NotFoundError):
            await client.customer_lists_get(ACCOUNT, "1")


async def test_a_request_waits_while_another_process_has_the_emulator() -> None:
    """It is sent when the lock is released, and the event loop is free meanwhile."""
    lock = Path(os.environ["XDG_STATE_HOME"]) / "pinterest-audiences/emulator"
    lock.mkdir(parents=True)
    finished: list[str] = []

    async def ask() -> None:
        async with AsyncClient(base_url="emulator:") as client:
            await client.customer_lists_list(ACCOUNT).collect()
        finished.append("request")

    async with anyio.create_task_group() as tasks:
        with file_lock(lock / "pinterest.sqlite3.lock", 0):
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            finished.append("lock")
    assert finished == ["lock", "request"]


def test_emulator_is_loaded_only_when_it_is_used() -> None:
    code = (
        "import sys, pinterest_audiences as p; p.Client('t'); p.AsyncClient('t');"
        "print([m for m in sys.modules if m.startswith('pinterest_audiences.emulator')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=True,
    )
    assert done.stdout.strip() == "[]"


async def test_jobs_on_the_emulator_are_not_jobs_at_pinterest(tmp_path: Path) -> None:
    """One state file for both: the base URL tells them apart."""
    state = tmp_path / "state.sqlite3"
    async with AsyncClient.emulated() as client:
        await client.upload(ACCOUNT, EMAILS, name="Buyers", state=state)
        assert len(await client.status(ACCOUNT, state=state)) == 1
    async with AsyncClient("t", transport=Emulator().transport()) as client:
        assert await client.status(ACCOUNT, state=state) == []
    assert EMULATOR_BASE_URL.encode() in state.read_bytes()


async def test_temporary_state_is_removed_when_the_transport_cannot_be_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    inner = Emulator().transport()

    class Stuck(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await inner.handle_async_request(request)

        async def aclose(self) -> None:
            raise OSError("cannot be closed")

    client = AsyncClient("token", base_url="emulator:", transport=Stuck())
    await client.upload(ACCOUNT, EMAILS, name="Buyers")
    assert files(tmp_path) != []
    with pytest.raises(OSError, match="cannot be closed"):
        await client.aclose()
    assert files(tmp_path) == []
