"""The command line with network, proxy, certificate and home directory problems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.network import VARIABLES, Certificates, refusing_proxy
from support.tokens import TokenWorld
from unit.cli.conftest import ACCOUNT, Run, refused

from pinterest_audiences.pytest_plugin import PinterestServer

TOKEN = "pina_SENTINELaccess0"
LISTS = ("lists", "list", "--ad-account", ACCOUNT)


@pytest.fixture(autouse=True)
def _a_token_and_no_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", TOKEN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "gopher://user:SENTINEL@host:70"),
        ("ALL_PROXY", "http://user:SENTINEL@host:port"),
        ("NO_PROXY", "[::1"),
        ("SSL_CERT_FILE", "/missing.pem"),
        ("SSL_CERT_DIR", "/missing"),
    ],
)
def test_invalid_environment_variable_is_named_by_commands_and_doctor(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Exit code 2. `doctor` prints its whole table and reports no other problem."""
    monkeypatch.setenv(name, value)
    refused(run(*LISTS), 2, "configuration", f"{name}: ", retryable=False)
    done = run("doctor", "--ad-account", ACCOUNT)
    rows = {row["check"]: row for row in done.data}
    assert done.code == 2
    assert {check for check, row in rows.items() if row["verdict"] == "error"} == {"network"}
    assert rows["network"]["finding"].startswith(f"{name}: ")
    assert "SENTINEL" not in done.out + done.err


def test_doctor_shows_proxy_without_password_and_certificate_source(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:

    def network() -> tuple[str, str]:
        done = run("doctor", "--ad-account", ACCOUNT, "--offline")
        row = next(row for row in done.data if row["check"] == "network")
        assert "SENTINEL" not in done.out
        return row["verdict"], row["finding"]

    assert network() == ("ok", "no proxy; trusted certificates: the operating system")
    monkeypatch.setenv("https_proxy", "http://user:SENTINEL@proxy.example:3128")
    monkeypatch.setenv("SSL_CERT_FILE", str(Certificates().pem(tmp_path / "ca.pem")))
    assert network() == (
        "ok",
        "the proxy of https_proxy (http://proxy.example:3128); trusted certificates: SSL_CERT_FILE",
    )
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/company.pem")
    verdict, finding = network()
    assert verdict == "warning"
    assert "REQUESTS_CA_BUNDLE in the environment: ignored" in finding


def test_failed_connection_shows_its_causes_with_vv(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 6 for each; only temporary failures are retryable."""
    with TokenWorld().served(Certificates().server()) as base_url:
        monkeypatch.setenv("PINTEREST_API_URI", base_url)
        done = run(*LISTS, "-vv")
        assert done.code == 6
        assert "caused by ssl.SSLCertVerificationError" in done.err
        assert "caused by httpx.ConnectError" in done.err
        refused(run(*LISTS), 6, "transport", "is not trusted", "SSL_CERT_FILE", retryable=False)
        done = run("doctor", "--ad-account", ACCOUNT)
        assert done.code == 6
        assert "is not trusted" in done.data[-1]["finding"]
    monkeypatch.delenv("PINTEREST_API_URI")
    with refusing_proxy("407 Proxy Authentication Required") as way:
        monkeypatch.setenv("HTTPS_PROXY", way.url)
        refused(run(*LISTS), 6, "transport", "407", "HTTPS_PROXY", retryable=False)
        assert len(way.requests) == 1


@pytest.mark.usefixtures("homeless")
def test_missing_home_directory_names_variables_to_set(
    run: Run, pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands without user files work; the others exit with 2."""
    monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
    Path("people.txt").write_text("a@example.com\n")
    assert run("check", "people.txt", "--format", "lines").code == 0
    assert run(*LISTS).code == 0
    refused(run("status", "--ad-account", ACCOUNT), 2, "configuration", "set HOME")
    refused(run("lists", "list", "--profile", "shop"), 2, "configuration", "set HOME")
    assert run("auth", "status").code == 0
    monkeypatch.delenv("PINTEREST_ACCESS_TOKEN")
    done = run(*LISTS)
    assert done.code == 2
    assert "set HOME" in done.error["message"]
    done = run("doctor", "--ad-account", ACCOUNT)
    assert {row["check"] for row in done.data if row["verdict"] == "error"} >= {"state"}


def test_environment_token_over_explicit_profile_prints_a_warning(
    run: Run, pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a command for one account would silently use the token of another."""
    folder = Path(os.environ["XDG_CONFIG_HOME"], "pinterest-audiences")
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        f'[profiles.shop]\nad_account = "{ACCOUNT}"\napi_uri = "{pinterest_server.base_url}"\n'
    )
    done = run("lists", "list", "--profile", "shop")
    assert done.code == 0
    assert done.err.count("warning: ") == 1
    assert (
        "the token of PINTEREST_ACCESS_TOKEN is used, not the login of profile 'shop'" in done.err
    )
    assert "SENTINEL" not in done.err
    monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", "1")
    done = run("lists", "list", "--profile", "shop")
    assert "warning: PINTEREST_AD_ACCOUNT_ID overrides ad_account of profile 'shop'" in done.err
    monkeypatch.setenv("PINTEREST_AUDIENCES_PROFILE", "shop")
    assert "warning" not in run("lists", "list").err
