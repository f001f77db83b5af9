"""The fixtures for other people's tests, used in this suite and run as theirs."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from pinterest_audiences import Client, RateLimitError, TransportError
from pinterest_audiences.emulator import Emulator

if TYPE_CHECKING:
    from pinterest_audiences.pytest_plugin import PinterestServer

PLUGIN = "pinterest_audiences.pytest_plugin"
TOKEN = {"Authorization": "Bearer pina_test"}


def test_a_client_and_its_emulator_belong_together(
    pinterest_client: Client, pinterest_emulator: Emulator
) -> None:
    """What one does the other knows."""
    made = pinterest_client.customer_lists_create("549", name="Spring", records="a@example.com")
    assert pinterest_emulator.members(made.id) == {"a@example.com"}


@pytest.mark.pinterest_emulator(match_rate=1.0, access_tokens=["only-this"], seed=3)
def test_a_marker_sets_the_emulator_up(
    pinterest_client: Client, pinterest_emulator: Emulator
) -> None:
    """The client has a token that is accepted."""
    records = ",".join(f"{number}@example.com" for number in range(100))
    made = pinterest_client.customer_lists_create("549", name="Spring", records=records)
    pinterest_emulator.advance(hours=1)
    assert pinterest_client.customer_lists_get("549", made.id).status == "READY"


def test_waiting_takes_no_time_and_moves_the_emulators_clock(
    pinterest_client: Client, pinterest_emulator: Emulator
) -> None:
    """A wait of 100 seconds, one of 900 slow ones, and one that is too long to wait for."""
    before = pinterest_emulator.now()
    pinterest_emulator.fault("status", status=429, headers={"retry-after": "100"})
    assert list(pinterest_client.customer_lists_list("549")) == []
    assert 100 <= pinterest_emulator.now() - before < 200
    pinterest_emulator.fault("slow", seconds=900, times=None)
    with pytest.raises(TransportError):
        pinterest_client.customer_lists_get("549", "1")
    assert pinterest_emulator.now() - before > 5 * 30
    pinterest_emulator.faults.clear()
    pinterest_emulator.fault("status", status=429, headers={"retry-after": "1000"})
    with pytest.raises(RateLimitError):
        pinterest_client.customer_lists_get("549", "1")


def test_a_server_is_there_for_any_client(
    pinterest_server: PinterestServer, pinterest_client: Client
) -> None:
    """Over a socket, with the same emulator behind it."""
    pinterest_client.customer_lists_create("549", name="Spring", records="a@example.com")
    url = f"{pinterest_server.base_url}/ad_accounts/549/customer_lists"
    assert [each["name"] for each in httpx.get(url, headers=TOKEN).json()["items"]] == ["Spring"]
    assert pinterest_server.emulator.counts()["requests"] == 2
    with Client("any", base_url=pinterest_server.base_url) as client:
        assert [each.name for each in client.customer_lists_list("549")] == ["Spring"]


USERS_TESTS = """
import httpx
import pytest

@pytest.mark.parametrize("number", range(6))
def test_each_has_an_emulator_of_its_own(pinterest_client, pinterest_emulator, number):
    assert repr(pinterest_emulator).startswith("<Emulator: 0 ad_accounts, 0 customer_lists")
    made = pinterest_client.customer_lists_create("549", name="Spring", records="a@example.com")
    assert pinterest_emulator.counts()["customer_lists"] == 1

@pytest.mark.parametrize("number", range(6))
def test_each_has_a_server_of_its_own(pinterest_server, number):
    url = pinterest_server.base_url + "/ad_accounts/549/customer_lists"
    for count in range(2):
        assert len(httpx.get(url, headers={"Authorization": "Bearer x"}).json()["items"]) == count
        pinterest_server.emulator.seed_lists("549", 1)

@pytest.mark.pinterest_emulator(match_rate=5)
def test_a_wrong_setting_is_an_error(pinterest_emulator):
    pass
"""


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    # Only what is named is loaded, so that nobody else brings httpx or a fixture along.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]")  # a user's project, wherever the temporary folder is
    done = pytester.runpytest_subprocess("-p", PLUGIN, "-W", "error", *arguments, timeout=100)
    return "\n".join([*done.outlines, *done.errlines])


def test_a_users_tests_are_apart_from_each_other(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each emulator is empty at first; a setting that is wrong is said where it is."""
    pytester.makepyfile(USERS_TESTS)
    said = run(pytester, monkeypatch)
    assert "12 passed, 1 error" in said
    assert "ValueError: match_rate must be between 0.0 and 1.0" in said


def test_tests_may_run_in_several_processes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under pytest-xdist every worker has a port and a thread of its own."""
    if importlib.util.find_spec("xdist") is None:
        pytest.skip("pytest-xdist is not installed here")
    pytester.makepyfile(USERS_TESTS)
    assert "12 passed, 1 error" in run(pytester, monkeypatch, "-p", "xdist", "-n", "2")


def test_nothing_is_loaded_until_a_test_asks(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has the package installed, and tests other things, does not pay for it."""
    pytester.makepyfile(
        """
        import sys

        def test_nothing_heavy_was_loaded():
            assert not {"httpx", "anyio", "attr", "cattrs", "h11", "asyncio"} & set(sys.modules)
            loaded = {name for name in sys.modules if name.startswith("pinterest_audiences.")}
            assert loaded == {"pinterest_audiences._version", "pinterest_audiences.pytest_plugin"}

        def test_an_emulator_loads_no_client(pinterest_emulator):
            pinterest_emulator.seed_lists("549", 1)
            assert not {"httpx", "anyio", "cattrs", "h11", "asyncio"} & set(sys.modules)
        """
    )
    assert "2 passed" in run(pytester, monkeypatch)


def test_fixtures_and_marker_are_told_to_users(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the commands in which pytest tells them."""
    fixtures = run(pytester, monkeypatch, "--fixtures")
    for name in ("pinterest_emulator", "pinterest_server", "pinterest_client"):
        assert f"{name} --" in fixtures
    assert "@pytest.mark.pinterest_emulator(**settings)" in run(pytester, monkeypatch, "--markers")


def test_pytest_finds_the_plugin_by_itself() -> None:
    """The package names it as pytest wants it named."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}
