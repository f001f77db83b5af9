"""Profiles are written without touching anything else in the configuration file."""

from __future__ import annotations

import os
import threading
import tomllib
from pathlib import Path

import pytest

from pinterest_audiences._config import read_profile
from pinterest_audiences._file_lock import file_lock
from pinterest_audiences.cli.error_reports import CommandError
from pinterest_audiences.cli.profiles import save_secret, write_profile

VALUES = {"ad_account": "549", "app_id": "12"}
SHOP = "\n[profiles.shop]\napp_id = '9'\n"
LINES = 'ad_account = "549"\napp_id = "12"\n'


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "config.toml"
    monkeypatch.setenv("PINTEREST_AUDIENCES_CONFIG", str(path))
    return path


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("default", "", f"[profiles.default]\n{LINES}"),
        ("my shop", "", f'[profiles."my shop"]\n{LINES}'),
        ("default", "# mine\n", f"# mine\n\n[profiles.default]\n{LINES}"),
        ("default", "# no line end", f"# no line end\n\n[profiles.default]\n{LINES}"),
        ("default", "[profiles.default]", f"[profiles.default]\n{LINES}"),
        (
            "default",
            f"[profiles.default] # mine\nstate = 's'  # here\n{SHOP}",
            f"[profiles.default] # mine\nstate = 's'  # here\n{LINES}{SHOP}",
        ),
        (
            "shop",
            "[profiles.default]\napp_id = '9'\n",
            f"[profiles.default]\napp_id = '9'\n\n[profiles.shop]\n{LINES}",
        ),
        (
            "default",
            "[profiles.default]\n'ad_account'='1'\napp_id = 12\n[profiles.default.lists]\na = 1\n",
            f"[profiles.default]\n{LINES}[profiles.default.lists]\na = 1\n",
        ),
        ("default", "[profiles.default]\r\nstate = 's'\r\n", None),
    ],
)
def test_values_are_set_and_the_rest_stays(
    config: Path, name: str, before: str, after: str | None
) -> None:
    config.parent.mkdir()
    config.write_bytes(before.encode())
    assert write_profile(name, VALUES) == config
    if after is None:
        after = before + LINES.replace("\n", "\r\n")
    assert config.read_bytes().decode() == after
    written = read_profile(name)
    assert (written.ad_account, written.app_id) == ("549", "12")


def test_second_write_of_the_same_values_changes_nothing(config: Path) -> None:
    write_profile("default", VALUES)
    before = config.stat()
    assert write_profile("default", VALUES) is None
    assert config.stat() == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[profiles.default]\n", None),
        ("[profiles.default]\nstate = 's'\n", None),
        ("[profiles.default]\napp_id = '9'\nstate = 's'\n", "[profiles.default]\nstate = 's'\n"),
        (f"[profiles.default]\n\"app_id\"='9'{SHOP}", f"[profiles.default]{SHOP}"),
    ],
)
def test_value_of_none_deletes_the_key_of_that_profile_only(
    config: Path, before: str, after: str | None
) -> None:
    config.parent.mkdir()
    config.write_text(before)
    assert write_profile("default", {"app_id": None}) == (None if after is None else config)
    assert config.read_text() == (before if after is None else after)


def test_file_in_another_form_with_these_values_needs_no_edit(config: Path) -> None:
    config.parent.mkdir()
    config.write_text("[profiles]\ndefault = { ad_account = '549', app_id = '12' }\n")
    assert write_profile("default", VALUES) is None


def test_file_with_these_values_is_neither_locked_nor_written(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it is read-only."""
    config.parent.mkdir()
    config.write_text("[profiles.default]\nad_account = '549'\napp_id = '12'\n")
    monkeypatch.setattr("pinterest_audiences.cli.profiles._LOCK_TIMEOUT_SECONDS", 0.0)
    with file_lock(config.with_name("config.toml.lock"), 0):
        assert write_profile("default", VALUES) is None
        assert write_profile("default", {}) is None
        with pytest.raises(CommandError, match="is locked by another process"):
            write_profile("default", {"app_id": "13"})


def test_profile_without_values_is_created_empty(config: Path) -> None:
    assert write_profile("new", {}) == config
    assert config.read_text() == "[profiles.new]\n"


def test_error_of_another_form_names_the_key_to_delete(config: Path) -> None:
    config.parent.mkdir()
    config.write_text("[profiles]\ndefault = { app_secret_file = 's' }\n")
    with pytest.raises(CommandError, match="delete app_secret_file from it"):
        write_profile("default", {"app_id": "12", "app_secret_file": None})


@pytest.mark.parametrize(
    "before",
    [
        "[profiles]\ndefault = { state = 's' }\n",
        "profiles.default.state = 's'\n",
        "[profiles]\ndefault.state = 's'\n",
        '[profiles.default]\nad_account = """\n1"""\n',
    ],
)
def test_file_in_another_form_is_not_edited(config: Path, before: str) -> None:
    """The error lists the lines to add."""
    config.parent.mkdir()
    config.write_text(before)
    with pytest.raises(CommandError, match='ad_account = "549"'):
        write_profile("default", VALUES)
    assert config.read_text() == before


def test_text_that_looks_like_a_header_is_not_taken_for_one(config: Path) -> None:
    before = "[profiles.other]\nstate = '''\n[profiles.default]\n'''\n"
    config.parent.mkdir()
    config.write_text(before)
    with pytest.raises(CommandError):
        write_profile("default", VALUES)
    assert config.read_text() == before


@pytest.mark.parametrize("value", ['a"b', "a\\b", "ä", "tab\there"])
def test_values_are_quoted(config: Path, value: str) -> None:
    write_profile("default", {"state": value})
    assert tomllib.loads(config.read_text()) == {"profiles": {"default": {"state": value}}}


@pytest.mark.skipif(os.name != "posix", reason="requires file modes")
def test_modes_of_files_and_folder(config: Path) -> None:
    """New ones belong to the owner; an existing file keeps its mode, and a link stays a link."""
    write_profile("default", VALUES)
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.parent.stat().st_mode & 0o777 == 0o700
    config.chmod(0o644)
    link = config.with_name("link.toml")
    link.symlink_to(config)
    os.environ["PINTEREST_AUDIENCES_CONFIG"] = str(link)
    write_profile("default", {"state": "s"})
    assert (config.stat().st_mode & 0o777, link.is_symlink()) == (0o644, True)
    secret = config.with_name("app-secret")
    secret.touch(0o644)
    save_secret(secret, "s3cret")
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("s3cret\n", 0o600)


def test_concurrent_writes_lose_nothing(config: Path) -> None:
    names = [f"shop{number}" for number in range(8)]
    threads = [threading.Thread(target=write_profile, args=(name, VALUES)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(tomllib.loads(config.read_text())["profiles"].keys() ^ set(names)) == []


def test_interrupted_write_leaves_the_old_file(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profile("default", VALUES)
    before = config.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_profile("default", {"state": "s"})
    assert config.read_bytes() == before
    assert sorted(path.name for path in config.parent.iterdir()) == [
        "config.toml",
        "config.toml.lock",
    ]
