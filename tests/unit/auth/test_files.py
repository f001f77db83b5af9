"""Tokens in a file: private, complete, and refused otherwise."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.cases import each_case
from support.clock import FakeClock
from support.tokens import APP, TokenWorld, kept

from pinterest_audiences import (
    ConfigurationError,
    FileTokenStore,
    RefreshingToken,
    TokenRefreshError,
    TokenSet,
    TokenStoreError,
)

pytestmark = pytest.mark.anyio

as_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0,
    reason="requires root to change the owner of a file",
)


def save(store: FileTokenStore, tokens: TokenSet | None = None) -> None:
    with store.lock() as locked:
        locked.save(tokens or kept())


@pytest.fixture
def store(tmp_path: Path) -> FileTokenStore:
    found = FileTokenStore(tmp_path / "deep" / "er" / "tokens.json")
    save(found)
    return found


def refused(store: FileTokenStore) -> str:
    with pytest.raises(TokenStoreError) as found:
        store.load()
    assert str(found.value).startswith(f"{store.path}: ")
    assert "SENTINEL" not in str(found.value)
    return str(found.value)


def test_saved_tokens_are_loaded_field_by_field(store: FileTokenStore) -> None:
    """Unset fields stay unset."""
    assert store.load() == kept()
    save(store, TokenSet(access_token="a"))
    assert store.load() == TokenSet(access_token="a")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_token_file_is_private_with_any_umask(tmp_path: Path, umask: int) -> None:
    """Also its lock file, and its folder if it was created."""
    before = os.umask(umask)
    try:
        store = FileTokenStore(tmp_path / "new" / "tokens.json")
        if umask == 0o277:
            store.path.parent.mkdir(mode=0o700)
            store.path.parent.chmod(0o700)
        save(store)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.with_name("tokens.json.lock").stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_only_the_lock_file_remains_next_to_the_token_file(store: FileTokenStore) -> None:
    """After a save, and after a lock with unused reserved space."""
    with store.lock() as locked:
        locked.reserve()
        assert store.load() == kept()
    assert {path.name for path in store.path.parent.iterdir()} == {
        "tokens.json",
        "tokens.json.lock",
    }


def test_delete_is_idempotent(store: FileTokenStore) -> None:
    """Logging out without a login is not an error."""
    with store.lock() as locked:
        locked.delete()
        locked.delete()
    assert store.load() is None


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o602, 0o666, 0o610])
def test_token_file_accessible_by_others_is_refused(store: FileTokenStore, mode: int) -> None:
    """The error has its mode and the command that fixes it."""
    store.path.chmod(mode)
    message = refused(store)
    assert f"mode {mode:04o}" in message
    assert f"chmod 600 {store.path}" in message
    store.path.chmod(0o600)
    assert store.load() == kept()


@as_root
def test_token_file_of_another_user_is_refused(store: FileTokenStore) -> None:
    """Root could rewrite it and lock its owner out."""
    os.chown(store.path, 65534, 65534)
    assert "belongs to another user (uid 65534, not 0)" in refused(store)


def texts() -> Iterator[bytes]:
    whole = kept().to_json().encode()
    yield from (whole[:cut] for cut in range(0, len(whole) - 2, 7))
    yield from (b"[]", b"null", b"{}", b"\x00" * 400, b"\xff\xfe", b" " * 16384, b"[" * 100_000)
    data = json.loads(whole)
    for name, wrong in (("format", 2), ("expires_at", "soon"), ("refresh_token", 5)):
        yield json.dumps({**data, name: wrong}).encode()


@each_case("text", list(texts()))
def test_truncated_or_invalid_token_file_is_refused(store: FileTokenStore, text: bytes) -> None:
    """It is not quoted, and a new login replaces it."""
    store.path.write_bytes(text)
    assert "delete it and log in again" in refused(store)
    save(store)
    assert store.load() == kept()


def test_folder_or_pipe_as_token_file_is_refused(store: FileTokenStore) -> None:
    """Without waiting for the pipe."""
    store.path.unlink()
    store.path.mkdir()
    assert "is not a file" in refused(store)
    store.path.rmdir()
    os.mkfifo(store.path, 0o600)
    assert "is not a file" in refused(store)


def test_save_through_a_symlink_replaces_its_target(tmp_path: Path, store: FileTokenStore) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(store.path)
    through = FileTokenStore(link)
    save(through, TokenSet(access_token="new"))
    assert link.is_symlink()
    assert store.load() == through.load() == TokenSet(access_token="new")


@pytest.mark.parametrize("name", ["tokens.json.lock", "tokens.json.new"])
def test_symlink_as_temporary_file_is_not_followed(tmp_path: Path, name: str) -> None:
    """Another user may have created it to overwrite a file."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(TokenStoreError):
        save(FileTokenStore(tmp_path / "tokens.json"))
    assert victim.read_text() == "precious"


def test_default_path_is_in_the_configuration_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert FileTokenStore().path == tmp_path / "xdg" / "pinterest-audiences" / "tokens.json"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FileTokenStore().path == tmp_path / ".config" / "pinterest-audiences" / "tokens.json"
    assert FileTokenStore("~/t.json").path == tmp_path / "t.json"
    with pytest.raises(ConfigurationError, match="path must not be empty"):
        FileTokenStore("")


def test_lock_timeout_names_the_lock_file(store: FileTokenStore) -> None:
    hasty = FileTokenStore(store.path, lock_timeout=0.05)
    with store.lock(), pytest.raises(TokenStoreError, match=r"held the lock for 0\.05 s"):
        save(hasty)
    save(hasty)


def test_lock_excludes_threads_of_one_process(store: FileTokenStore) -> None:
    inside, most, start = 0, 0, threading.Barrier(6)

    def visit() -> None:
        nonlocal inside, most
        start.wait()
        for _ in range(10):
            with store.lock():
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=visit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


@pytest.mark.parametrize("blanks", [0, 16384])
def test_complete_save_that_was_not_renamed_is_finished(store: FileTokenStore, blanks: int) -> None:
    """By the next holder of the lock; with or without reserved blanks after it."""
    new = store.path.with_name("tokens.json.new")
    new.write_text(kept(refresh_token="newer").to_json() + " " * blanks)
    new.chmod(0o600)
    assert store.load() == kept()
    with store.lock() as locked:
        assert locked.load() == kept(refresh_token="newer")
    assert not new.exists()


@pytest.mark.parametrize("part", [0, 1, 50])
def test_partial_save_is_discarded(store: FileTokenStore, part: int) -> None:
    """The old tokens stay."""
    new = store.path.with_name("tokens.json.new")
    new.write_text(kept(refresh_token="newer").to_json()[:part] + " " * 16000)
    new.chmod(0o600)
    with store.lock() as locked:
        assert locked.load() == kept()
    assert not new.exists()


@contextmanager
def no_space() -> Iterator[None]:
    """Limit files to a kilobyte, as on a full disk."""
    resource = pytest.importorskip("resource", reason="requires limits of file sizes")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_full_disk_stops_a_refresh_before_sending(
    store: FileTokenStore,
) -> None:
    """No token is lost, and a refresh succeeds once there is space."""
    world, clock = TokenWorld(), FakeClock()
    tokens = RefreshingToken(store, APP, transport=world.transport, clock=clock)
    with no_space(), pytest.raises(TokenRefreshError, match="has space"):
        await tokens.get()
    assert world.forms == []
    assert store.load() == kept()
    clock.advance(11)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"


READ_ONLY = """
import filelock, os, sys, anyio
from support.tokens import APP, TokenWorld, kept
from pinterest_audiences import MemoryTokenStore, RefreshingToken, TokenRefreshError
# Once before, because later imports may not be allowed to read files.
world = TokenWorld()
anyio.run(RefreshingToken(MemoryTokenStore(kept()), APP, transport=world.transport).get)
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
world = TokenWorld()
try:
    anyio.run(RefreshingToken(sys.argv[1], APP, transport=world.transport).get)
except TokenRefreshError as error:
    print(len(world.forms), error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("with_lock", [True, False])
def test_read_only_folder_stops_a_refresh_before_sending(
    with_lock: bool,
) -> None:
    """With or without an existing lock file; the error suggests a fix."""
    import tempfile

    with (
        tempfile.TemporaryDirectory() as name
    ):  # not the folder of pytest, which other users cannot enter
        folder = Path(name)
        store = FileTokenStore(folder / "tokens.json")
        save(store)
        lock = folder / "tokens.json.lock"
        if not with_lock:
            lock.unlink()
        if os.geteuid() == 0:
            for path in (folder, store.path, *([lock] if with_lock else [])):
                os.chown(path, 65534, 65534)
        folder.chmod(0o500)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(store.path)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        folder.chmod(0o700)
    assert done.stdout.startswith("0 ")
    assert "cannot be written (Permission denied)" in done.stdout
    assert "SENTINEL" not in done.stdout
