"""Run the command line in this process and capture its streams."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from attrs import frozen

pytest.importorskip("cyclopts", reason="the extra [cli] is not installed")

from pinterest_audiences.cli import run_command
from pinterest_audiences.pytest_plugin import PinterestServer

PEOPLE = 300
ACCOUNT = "549755885175"


@frozen
class Done:
    """The outcome of a command.

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
        """Its standard output, parsed as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error on its standard error, parsed as JSON."""
        return json.loads(self.err.splitlines()[-1])["error"]


Run: TypeAlias = Callable[..., Done]


def refused(
    done: Done, exit_code: int, code: str, *words: str, retryable: bool | None = None
) -> None:
    """Expect one line with an error and nothing else, without any secret."""
    assert (done.code, done.out) == (exit_code, ""), done.err
    (line,) = done.err.splitlines()
    error = json.loads(line)["error"]
    assert set(error) == {"code", "message", "hint", "retryable", "request_id", "exit"}
    assert (error["code"], error["exit"]) == (code, exit_code)
    assert error["retryable"] is (exit_code in (6, 7) if retryable is None else retryable)
    text = f"{error['message']} {error['hint'] or ''}"
    for word in words:
        assert word in text
    assert "SENTINEL" not in line
    assert "Traceback" not in line


@pytest.fixture(autouse=True)
def _isolated_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Isolate the test from the user's configuration and logins, in an empty working directory."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command and return its outcome."""

    def run(*words: object, stdin: str | bytes = "") -> Done:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        code = run_command([str(word) for word in words])
        streams = capsys.readouterr()
        return Done(code, streams.out, streams.err)

    return run


@pytest.fixture
def server(pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> PinterestServer:
    """A separate Pinterest server, with an ad account and a valid token in the environment."""
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_SENTINEL")
    monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", ACCOUNT)
    return pinterest_server


@pytest.fixture
def people() -> Path:
    """A file of customers, two of whom have no valid e-mail address."""
    path = Path("people.csv").absolute()
    lines = [f"{number},person{number}@shop.example" for number in range(PEOPLE)]
    path.write_text("\n".join(["id,email", *lines, f"{PEOPLE},", f"{PEOPLE + 1},none"]) + "\n")
    return path
