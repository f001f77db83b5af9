"""The pytest fixtures for users, used in this suite and run as a user's tests."""

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

pytestmark = pytest.mark.slow

PLUGIN = "pinterest_audiences.pytest_plugin"
TOKEN = {"Authorization": "Bearer pina_test"}


def test_client_fixture_uses_the_emulator_fixture(
    pinterest_client: Client, pinterest_emulator: Emulator
) -> None:
    made = pinterest_client.customer_lists_create("549", name="Spring", records="a@example.com")
    assert pinterest_emulator.members(made.id) == {"a@example.com"}


@pytest.mark.pinterest_emulator(match_rate=1.0, access_tokens=["only-this"], seed=3)
def test_marker_configures_the_emulator(
    pinterest_client: Client, pinterest_emulator: Emulator
) -> None:
    """The client has a valid token."""
    records = ",".join(f"{number}@example.com" for number in range(100))
    made = pinterest_client.customer_lists_create("549", name="Spring", records=records)
    pinterest_emulator.advance(hours=1)
    assert pinterest_client.customer_lists_get("549", made.id).status == "READY"


def test_waits_take_no_time_and_advance_the_emulator_clock(
    pinterest_client: Client, pinterest_emulator: Emulator
) -> None:
    """One of 100 seconds, 900 calls at the rate limit, and one beyond the limit."""
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


def test_server_fixture_serves_the_emulator_over_a_socket(
    pinterest_server: PinterestServer, pinterest_client: Client
) -> None:
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
def test_each_test_has_a_separate_emulator(pinterest_client, pinterest_emulator, number):
    assert repr(pinterest_emulator).startswith("<Emulator: 0 ad_accounts, 0 customer_lists")
    made = pinterest_client.customer_lists_create("549", name="Spring", records="a@example.com")
    assert pinterest_emulator.counts()["customer_lists"] == 1

@pytest.mark.parametrize("number", range(6))
def test_each_test_has_a_separate_server(pinterest_server, number):
    url = pinterest_server.base_url + "/ad_accounts/549/customer_lists"
    for count in range(2):
        assert len(httpx.get(url, headers={"Authorization": "Bearer x"}).json()["items"]) == count
        pinterest_server.emulator.seed_lists("549", 1)

@pytest.mark.pinterest_emulator(match_rate=5)
def test_invalid_setting_is_an_error(pinterest_emulator):
    pass
"""


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    # Load only the named plugins: others may import httpx or define fixtures.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]")  # a user's project, wherever the temporary folder is
    done = pytester.runpytest_subprocess("-p", PLUGIN, "-W", "error", *arguments, timeout=100)
    return "\n".join([*done.outlines, *done.errlines])


def test_user_tests_are_isolated_from_each_other(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each emulator starts empty; an invalid setting is reported in its test."""
    pytester.makepyfile(USERS_TESTS)
    said = run(pytester, monkeypatch)
    assert "12 passed, 1 error" in said
    assert "ValueError: match_rate must be between 0.0 and 1.0" in said


def test_fixtures_work_with_pytest_xdist(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every worker has a separate port and thread."""
    if importlib.util.find_spec("xdist") is None:
        pytest.skip("pytest-xdist is not installed here")
    pytester.makepyfile(USERS_TESTS)
    assert "12 passed, 1 error" in run(pytester, monkeypatch, "-p", "xdist", "-n", "2")


ASYNC_TESTS = """
import pytest

DAY_SECONDS = 86_400

@MARK
async def test_call_reaches_the_emulator(pinterest_async_client, pinterest_emulator):
    created = await pinterest_async_client.customer_lists_create(
        "549", name="Spring", records="a@example.com"
    )
    assert pinterest_emulator.members(created.id) == {"a@example.com"}

@MARK
async def test_client_can_be_entered(pinterest_async_client):
    async with pinterest_async_client as client:
        assert await client.customer_lists_list("549").collect() == []

@MARK
@pytest.mark.pinterest_emulator(processing_seconds=DAY_SECONDS, access_tokens=["only-this"])
async def test_waits_take_no_time(pinterest_async_client, pinterest_emulator):
    pinterest_emulator.fault("status", status=429, headers={"retry-after": "100"})
    before = pinterest_emulator.clock.time()
    report = await pinterest_async_client.upload("549", ["a@example.com"], name="Spring")
    assert 100 <= pinterest_emulator.clock.time() - before < DAY_SECONDS
    await pinterest_async_client.wait_until_ready("549", report.customer_list_id)
    assert pinterest_emulator.clock.time() - before >= DAY_SECONDS
"""
# Without the option, pytest-asyncio warns about a future default.
PYTEST_ASYNCIO = (
    *("-p", "pytest_asyncio.plugin"),
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)
ASYNC_PLUGINS = {
    "pytest-asyncio": ("pytest.mark.asyncio", PYTEST_ASYNCIO),
    "pytest-asyncio-auto": (
        "pytest.mark.filterwarnings('error')",
        (*PYTEST_ASYNCIO, "--asyncio-mode=auto"),
    ),
    "anyio": ("pytest.mark.anyio", ("-p", "anyio.pytest_plugin")),
}


@pytest.mark.parametrize("plugin", ASYNC_PLUGINS)
def test_async_client_fixture_works_with_async_plugins(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, plugin: str
) -> None:
    """On the event loop of the test; anyio runs each test on asyncio and trio."""
    mark, arguments = ASYNC_PLUGINS[plugin]
    module = arguments[1].split(".")[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed here")
    pytester.makepyfile(ASYNC_TESTS.replace("MARK", mark))
    count = 6 if plugin == "anyio" else 3
    assert f"{count} passed" in run(pytester, monkeypatch, *arguments)


def test_async_client_fixture_works_with_unittest(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(
        """
        import unittest
        import pytest

        class Test(unittest.IsolatedAsyncioTestCase):
            @pytest.fixture(autouse=True)
            def _client(self, pinterest_async_client):
                self.client = pinterest_async_client

            async def test_call_reaches_the_emulator(self):
                assert await self.client.customer_lists_list("549").collect() == []
        """
    )
    assert "1 passed" in run(pytester, monkeypatch)


def test_client_fixtures_read_no_environment_and_leave_no_files(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINTEREST_API_URI", "http://127.0.0.1:1/v5")
    monkeypatch.setenv("XDG_STATE_HOME", str(pytester.path / "state"))
    pytester.makepyfile(
        """
        def test_upload(pinterest_client, pinterest_emulator):
            pinterest_client.upload("549", ["a@example.com"], name="Spring")
            assert pinterest_emulator.counts()["customer_lists"] == 1
        """
    )
    assert "1 passed" in run(pytester, monkeypatch)
    assert not (pytester.path / "state").exists()


def test_plugin_imports_nothing_until_a_fixture_is_used(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For tests of other projects with the package installed."""
    pytester.makepyfile(
        """
        import sys

        def test_no_heavy_module_was_imported():
            assert not {"httpx", "anyio", "attr", "cattrs", "h11", "asyncio"} & set(sys.modules)
            loaded = {name for name in sys.modules if name.startswith("pinterest_audiences.")}
            assert loaded == {"pinterest_audiences._version", "pinterest_audiences.pytest_plugin"}

        def test_emulator_imports_no_client(pinterest_emulator):
            pinterest_emulator.seed_lists("549", 1)
            assert not {"httpx", "anyio", "cattrs", "h11", "asyncio"} & set(sys.modules)
        """
    )
    assert "2 passed" in run(pytester, monkeypatch)


def test_pytest_lists_fixtures_and_marker(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --fixtures and --markers."""
    fixtures = run(pytester, monkeypatch, "--fixtures")
    for name in (
        *("pinterest_emulator", "pinterest_server"),
        *("pinterest_client", "pinterest_async_client"),
    ):
        assert f"{name} --" in fixtures
    assert "@pytest.mark.pinterest_emulator(**settings)" in run(pytester, monkeypatch, "--markers")


def test_plugin_is_registered_as_entry_point() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}
