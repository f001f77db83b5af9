"""Settings of a client: accepted and refused values."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from platformdirs.macos import MacOS

from pinterest_audiences import AsyncClient, Client, ConfigurationError, _config
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "url",
    [
        "https://api.pinterest.com/v5",
        "https://api.example:8443/proxy/v5",
        "https://192.0.2.7/v5",
        "https://[2001:db8::1]:8443/v5",
        "http://localhost:8765/v5",
        "http://LOCALHOST/v5",
        "http://127.0.0.1:8765/v5",
        "http://127.255.255.254",
        "http://[::1]:8765/v5",
        "HTTPS://api.example/v5",
    ],
)
def test_https_is_accepted_anywhere_and_http_on_localhost(url: str) -> None:
    """Plain http would expose the token on a network."""
    found = _config.base_url(url)
    assert found == _config.BaseURL(url, secure=url.lower().startswith("https"))


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://api.example/v5/", "https://api.example/v5"),
        ("https://api.example//", "https://api.example"),
        ("  https://api.example/v5\n", "https://api.example/v5"),
    ],
)
def test_trailing_slashes_and_whitespace_are_removed(given: str, taken: str) -> None:
    assert _config.base_url(given).text == taken


@pytest.mark.parametrize(
    "url",
    [
        "http://api.pinterest.com/v5",
        "http://128.0.0.1/v5",
        "http://10.0.0.1/v5",
        "http://0.0.0.0/v5",
        "http://[::2]/v5",
        "http://127.0.0.1.evil.example/v5",
        "http://localhost.evil.example/v5",
        "ftp://localhost/v5",
        "ws://localhost/v5",
        "file:///etc/passwd",
    ],
)
def test_plain_http_to_another_host_is_refused(url: str) -> None:
    """Also for hosts that only look like localhost, and for other schemes."""
    with pytest.raises(ConfigurationError, match=r"^base_url "):
        _config.base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user@host/v5",
        "https://user:password@host/v5",
        "https://@host/v5",
        "http://localhost@evil.example/v5",
        "https://user:12/password@host/v5",
        "https://user:12?password@host/v5",
        "https://host/v5?a=b",
        "https://host/v5#top",
        "https://host/v5?",
        "https://host/v5#",
        "https://host/v5/?",
    ],
)
def test_base_url_with_user_query_or_fragment_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^base_url ") as refused:
        _config.base_url(url)
    assert "password" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "   ",
        "junk",
        "//host/v5",
        "https://",
        "https:///v5",
        "https://:443/v5",
        "https://host:99999/v5",
        "https://host:port/v5",
        "https://host:-1/v5",
        "https://[::1/v5",
        "https://ho st/v5",
        "https://ho\nst/v5",
        "https://host/v5\x00",
        "https://hôte/v5",
    ],
)
def test_invalid_base_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^base_url "):
        _config.base_url(url)


@pytest.mark.parametrize("url", ["https://999.1.1.1/v5", "https://[v1.x]/v5", "https://xn--/v5"])
def test_invalid_host_is_refused_at_client_creation(url: str) -> None:
    """Not by an exception of another library at the first call."""
    with pytest.raises(ConfigurationError, match=r"^base_url "):
        AsyncClient("token", base_url=url)


@pytest.mark.parametrize("bad", [5, b"https://host/v5"])
def test_base_url_that_is_not_a_string_is_refused(bad: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^base_url "):
        AsyncClient("token", base_url=bad)  # type: ignore[arg-type]  # what is refused here


def test_base_url_precedence_is_argument_environment_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`PINTEREST_API_URI` points every client of a process at an emulator."""
    assert _config.base_url(None).text == _config.DEFAULT_BASE_URL == "https://api.pinterest.com/v5"
    monkeypatch.setenv("PINTEREST_API_URI", "http://127.0.0.1:8765/v5/")
    assert _config.base_url(None).text == "http://127.0.0.1:8765/v5"
    assert _config.base_url("https://host").text == "https://host"
    monkeypatch.setenv("PINTEREST_API_URI", "http://api.pinterest.com/v5")
    with pytest.raises(ConfigurationError, match="must use https"):
        AsyncClient("token")


async def test_environment_token_is_used_without_argument(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without any token the error names what to set."""
    with pytest.raises(ConfigurationError, match="PINTEREST_ACCESS_TOKEN"):
        AsyncClient()
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "")
    with pytest.raises(ConfigurationError, match="set PINTEREST_ACCESS_TOKEN"):
        AsyncClient()
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "of-the\nenvironment")
    with pytest.raises(ConfigurationError, match="printable ASCII") as refused:
        AsyncClient()
    assert "of-the" not in str(refused.value)
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "of-the-environment")
    emulator = Emulator(access_tokens=["of-the-environment"])
    async with AsyncClient(transport=emulator.transport()) as client:
        assert await client.customer_lists_list("549").collect() == []


@pytest.mark.parametrize("bad", [0, -1, 0.0, math.nan, math.inf, -math.inf, True, "5", [5]])
def test_invalid_timeout_is_refused(bad: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^timeout must be a number above 0, or None"):
        AsyncClient("token", timeout=bad)  # type: ignore[arg-type]  # what is refused here


def test_valid_timeout_is_unchanged() -> None:
    """None disables the timeout."""
    assert [_config.validate_timeout(good) for good in (None, 5, 0.5)] == [None, 5, 0.5]


@pytest.mark.parametrize("bad", [0, -5.0, math.nan, None, True, "120"])
def test_max_wait_must_be_a_finite_number_above_zero(bad: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^max_wait must be a number above 0$"):
        AsyncClient("token", max_wait=bad)  # type: ignore[arg-type]  # what is refused here


@pytest.mark.parametrize("bad", [-1, 101, 1.0, True, None, "3"])
def test_max_retries_must_be_an_int_from_0_to_100(bad: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^max_retries must be an integer from 0 to 100"):
        AsyncClient("token", max_retries=bad)  # type: ignore[arg-type]  # what is refused here
    assert [_config.validate_integer("n", good, 0, 100) for good in (0, 100)] == [0, 100]


@pytest.mark.parametrize("bad", [1, 0, "true", None])
def test_flag_must_be_a_bool(bad: object) -> None:
    """1 is not True in JSON."""
    with pytest.raises(ConfigurationError, match=r"^is_nca must be True or False$"):
        _config.validate_flag("is_nca", bad)
    assert _config.validate_flag("is_nca", True) is True


def test_sync_client_refuses_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any I/O and with the same messages."""
    with pytest.raises(ConfigurationError, match=r"^timeout "):
        Client("token", timeout=0)
    with pytest.raises(ConfigurationError, match="PINTEREST_ACCESS_TOKEN"):
        Client()


@pytest.mark.parametrize(("kind", "earlier"), [("config", ".config"), ("state", ".local/state")])
def test_folder_of_an_earlier_version_is_used_if_it_exists(
    kind: str, earlier: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise the folder of the platform, here macOS."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "PINTEREST_AUDIENCES_STATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("platformdirs.PlatformDirs", MacOS)

    def folder() -> Path:
        return _config.config_folder() if kind == "config" else _config.state_file(None).parent

    assert folder() == tmp_path / "Library" / "Application Support" / "pinterest-audiences"
    (tmp_path / earlier / "pinterest-audiences").mkdir(parents=True)
    assert folder() == tmp_path / earlier / "pinterest-audiences"
