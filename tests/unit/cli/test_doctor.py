"""`doctor`: each problem is said once, and the connection is checked without an ad account."""

from __future__ import annotations

import socket
import sys
import tomllib
from email.message import Message
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from support.cases import each_case
from support.network import VARIABLES
from unit.cli.conftest import ACCOUNT, Run

from pinterest_audiences.cli import installed_extras
from pinterest_audiences.pytest_plugin import PinterestServer

ROOT = Path(__file__).parents[3]


def found(run: Run, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = run("doctor", *words)
    return done.code, {each["check"]: each for each in done.data}


@pytest.fixture
def no_account(server: PinterestServer, monkeypatch: pytest.MonkeyPatch) -> PinterestServer:
    """A server and a token for it, without an ad account."""
    monkeypatch.delenv("PINTEREST_AD_ACCOUNT_ID")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return server


@pytest.mark.usefixtures("no_account")
def test_missing_ad_account_is_reported_once_with_the_ids_to_choose_from(run: Run) -> None:
    code, checks = found(run)
    errors = [name for name, each in checks.items() if each["verdict"] == "error"]
    assert (code, errors) == (2, ["ad_account"])
    assert checks["pinterest"] == {
        "check": "pinterest",
        "verdict": "ok",
        "finding": f"Pinterest can be reached; ad accounts: {ACCOUNT}",
        "remedy": f"--ad-account {ACCOUNT}",
    }


@pytest.mark.usefixtures("no_account")
def test_state_is_skipped_without_an_ad_account(run: Run, people: Path) -> None:
    assert run("upload", people, "--name", "All", "--ad-account", ACCOUNT).code == 0
    _, checks = found(run)
    state = checks["state"]
    assert (state["verdict"], state["finding"]) == ("warning", "skipped: no ad account")


@pytest.mark.pinterest_emulator(ad_accounts=[])
@pytest.mark.usefixtures("no_account")
def test_login_without_any_ad_account_is_a_warning(run: Run) -> None:
    code, checks = found(run)
    assert (code, checks["pinterest"]["verdict"]) == (2, "warning")
    assert "no ad account" in checks["pinterest"]["finding"]


@pytest.mark.usefixtures("no_account")
def test_wrong_proxy_is_found_without_an_ad_account(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/how-to/proxies.md says."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.delenv("PINTEREST_API_URI")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    _, checks = found(run)
    assert checks["pinterest"]["verdict"] == "error"
    assert "HTTPS_PROXY" in checks["pinterest"]["finding"]


@pytest.mark.usefixtures("no_account")
def test_no_request_without_an_ad_account_and_with_offline(run: Run) -> None:
    _, checks = found(run, "--offline")
    assert checks["pinterest"]["finding"] == "skipped: --offline"


@frozen
class Installed:
    """Metadata of an installed distribution."""

    requires: list[str]
    metadata: Message


def extras_of_pyproject() -> dict[str, list[str]]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras: dict[str, list[str]] = tomllib.loads(text)["project"]["optional-dependencies"]
    return extras


def install(monkeypatch: pytest.MonkeyPatch, names: set[str]) -> None:
    """Install these distributions, which require nothing but fsspec with its extra."""
    metadata = Message()
    requires: list[str] = []
    for extra, lines in extras_of_pyproject().items():
        metadata["Provides-Extra"] = extra
        for line in lines:
            requirement, sign, marker = line.partition(";")
            marker = f"({marker.strip()}) and " if sign else ""
            requires.append(f'{requirement}; {marker}extra == "{extra}"')

    def distribution(name: str) -> Installed:
        if name == "pinterest-audiences":
            return Installed(["anyio>=4", *requires], metadata)
        if name not in names:
            raise PackageNotFoundError(name)
        needed = ['aiohttp; extra == "http"'] if name == "fsspec" else []
        return Installed(needed, Message())

    monkeypatch.setattr(installed_extras, "distribution", distribution)


REQUIRED = {
    "arrow": {"pyarrow"},
    "avro": {"fastavro"},
    "excel": {"python-calamine"},
    "zstd": set[str]() if sys.version_info >= (3, 14) else {"backports.zstd"},
    "keyring": {"keyring"},
    "phone": {"phonenumbers"},
    "remote": {"fsspec", "aiohttp"},
    "otel": {"opentelemetry-api"},
    "sql": {"sqlalchemy"},
    "spark": {"pyspark", "pyarrow"},
    "cli": {"cyclopts", "rich"},
}


def test_table_has_every_extra() -> None:
    assert set(REQUIRED) == set(extras_of_pyproject())


@each_case("extra", sorted(REQUIRED))
def test_extra_is_listed_if_all_that_it_requires_is_installed(extra: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        install(monkeypatch, REQUIRED[extra])
        assert extra in installed_extras.installed_extras()
        for name in REQUIRED[extra]:
            install(monkeypatch, REQUIRED[extra] - {name})
            assert extra not in installed_extras.installed_extras()


def test_doctor_lists_the_installed_extras(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"cyclopts", "rich", "python-calamine"})
    always = ["zstd"] * (sys.version_info >= (3, 14))
    _, checks = found(run, "--emulator")
    finding = checks["installation"]["finding"]
    assert finding.endswith(f"extras: {', '.join(['cli', 'excel', *always])}")


def test_doctor_without_metadata_lists_the_extra_of_the_command_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def distribution(name: str) -> Installed:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed_extras, "distribution", distribution)
    _, checks = found(run, "--emulator")
    assert checks["installation"]["finding"].endswith("extras: cli")
