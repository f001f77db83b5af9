"""Customers at URLs and in folders, read by commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.web_files import Server, running_server
from unit.cli.conftest import Run

pytest.importorskip("fsspec", reason="the extra [remote] is not installed")
pytest.importorskip("aiohttp", reason="the extra [remote] is not installed")

LIST = ("--name", "All", "--emulator")
SECRET = "sig=s3cr3t"


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as server:
        for letter in "ab":
            people = "".join(f"{letter}{number}@shop.de\n" for number in range(20_000))
            server.files[f"{letter}.csv"] = f"email\n{people}".encode()
        yield server


@pytest.mark.parametrize("how", ["404", "403", "500", "truncated", "reset"])
def test_mirror_changes_nothing_if_one_of_its_files_cannot_be_read(
    run: Run, server: Server, how: str
) -> None:
    """Customers of the rest of the file would be removed otherwise."""
    good = [f"{server.url}/files/{name}" for name in server.files]
    assert run("mirror", *good, *LIST).data["added"] == 40_000
    for command in ("mirror", "plan"):
        words = (command, good[0], f"{server.url}/{how}/b.csv?{SECRET}", *LIST)
        done = run(*words)
        assert (done.code, done.error["code"]) == (5, "source")
        assert done.error["message"].startswith(f"{server.url}/{how}/b.csv")
        verbose = run(*words, "-vv")
        assert verbose.code == 5
        assert "s3cr3t" not in done.out + done.err + verbose.out + verbose.err
    assert run("status", "--emulator").data[0]["records"] == 40_000
    assert run("mirror", *good, *LIST).data["planned"] == 0


def test_upload_of_a_file_that_cannot_be_read_sends_nothing(run: Run, server: Server) -> None:
    done = run("upload", f"{server.url}/files/a.csv", f"{server.url}/truncated/b.csv", *LIST)
    assert (done.code, done.error["code"]) == (5, "source")
    assert run("lists", "list", "--emulator").data == []


def test_credentials_of_a_url_are_in_no_output_and_not_in_the_state(
    run: Run, server: Server, tmp_path: Path
) -> None:
    url = f"{server.url.replace('//', '//ann:s3cr3t@')}/files/a.csv?{SECRET}"
    for words in (
        ("check", url), ("upload", url, *LIST), ("mirror", url, *LIST),
        ("plan", url, *LIST), ("mirror", url, *LIST, "--dry-run"), ("jobs", "list", "--emulator"),
        ("upload", url, *LIST, "-vv", "--quiet"), ("check", url, "-o", "table"),
    ):  # fmt: skip
        done = run(*words)
        assert done.code == 0
        assert "s3cr3t" not in done.out + done.err
    state = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert state
    assert not [path for path in state if b"s3cr3t" in path.read_bytes()]


def test_folder_and_quoted_pattern_are_read_by_commands(run: Run) -> None:
    Path("exports").mkdir()
    for number in range(3):
        Path(f"exports/2026-{number}.csv").write_text(f"email\nperson{number}@shop.de\n")
    Path("exports/_SUCCESS").touch()
    for given in ("exports", "exports/2026-*.csv"):
        data = run("check", given).data
        assert (data["source"], data["records"]) == ("3 files in exports", 3)
    done = run("check", "exports/2025-*.csv")
    assert (done.code, done.error["message"]) == (
        *(5,),
        "exports/2025-*.csv: no file matches this pattern",
    )
