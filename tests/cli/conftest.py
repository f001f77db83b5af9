"""The command line in this process, with streams that are read afterwards."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from attrs import frozen

pytest.importorskip("cyclopts", reason="the command line needs the extra [cli]")

from pinterest_audiences.cli import main
from pinterest_audiences.pytest_plugin import PinterestServer

PEOPLE = 300
ACCOUNT = "549755885175"


@frozen
class Done:
    """What became of a command.

    Attributes:
        code: Its exit code.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it wrote, read as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error that it told, read as JSON."""
        return json.loads(self.err.splitlines()[-1])["error"]


Run: TypeAlias = Callable[..., Done]


def refused(
    done: Done, exit_code: int, code: str, *words: str, retryable: bool | None = None
) -> None:
    """Expect one clear line and nothing else, with nothing secret in it."""
    assert (done.code, done.out) == (exit_code, ""), done.err
    (line,) = done.err.splitlines()
    error = json.loads(line)["error"]
    assert set(error) == {"code", "message", "hint", "retryable", "request_id", "exit"}
    assert (error["code"], error["exit"]) == (code, exit_code)
    assert error["retryable"] is (exit_code in (6, 7) if retryable is None else retryable)
    told = f"{error['message']} {error['hint'] or ''}"
    for word in words:
        assert word in told
    assert "SENTINEL" not in line
    assert "Traceback" not in line


@pytest.fixture(autouse=True)
def _nothing_of_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration and no login but those of the test; and a folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command and return what became of it."""

    def run(*words: object, stdin: str | bytes = "") -> Done:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        code = main([str(word) for word in words])
        told = capsys.readouterr()
        return Done(code, told.out, told.err)

    return run


@pytest.fixture
def server(pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> PinterestServer:
    """A Pinterest that is somewhere else, an ad account, and a token that works."""
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_SENTINEL")
    monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", ACCOUNT)
    return pinterest_server


@pytest.fixture
def people() -> Path:
    """A file of customers, two of whom have no address."""
    path = Path("people.csv").absolute()
    lines = [f"{number},person{number}@shop.example" for number in range(PEOPLE)]
    path.write_text("\n".join(["id,email", *lines, f"{PEOPLE},", f"{PEOPLE + 1},none"]) + "\n")
    return path
