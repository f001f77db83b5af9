"""What a client can be told at its making, and what it refuses."""

from __future__ import annotations

import math

import pytest

from pinterest_audiences import AsyncClient, Client, ConfigurationError
from pinterest_audiences._wire import settings
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
def test_https_is_accepted_anywhere_and_http_on_this_machine(url: str) -> None:
    """Plain http never leaves the machine, so it cannot give the token away."""
    found = settings.base_url(url)
    assert found == settings.BaseURL(url, secure=url.lower().startswith("https"))


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://api.example/v5/", "https://api.example/v5"),
        ("https://api.example//", "https://api.example"),
        ("  https://api.example/v5\n", "https://api.example/v5"),
    ],
)
def test_slashes_and_white_space_at_the_end_do_not_count(given: str, taken: str) -> None:
    """Paths are put behind it as they are."""
    assert settings.base_url(given).text == taken


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
def test_plain_http_to_another_machine_is_refused(url: str) -> None:
    """Also where the host only looks like this one, and for any other scheme."""
    with pytest.raises(ConfigurationError, match=r"^base_url: "):
        settings.base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user@host/v5",
        "https://user:password@host/v5",
        "https://@host/v5",
        "http://localhost@evil.example/v5",
        "https://host/v5?a=b",
        "https://host/v5#top",
        "https://host/v5?",
        "https://host/v5#",
        "https://host/v5/?",
    ],
)
def test_an_address_with_more_than_host_port_and_path_is_refused(url: str) -> None:
    """A user would be a second credential, a query or fragment would swallow the path."""
    with pytest.raises(ConfigurationError, match=r"^base_url: ") as refused:
        settings.base_url(url)
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
def test_what_is_no_address_is_refused(url: str) -> None:
    """With a word on what one looks like."""
    with pytest.raises(ConfigurationError, match=r"^base_url: "):
        settings.base_url(url)


@pytest.mark.parametrize("url", ["https://999.1.1.1/v5", "https://[v1.x]/v5", "https://xn--/v5"])
def test_a_host_that_cannot_be_is_refused_when_the_client_is_made(url: str) -> None:
    """Not by an exception of another library at the first call."""
    with pytest.raises(ConfigurationError, match=r"^base_url: "):
        AsyncClient("token", base_url=url)


@pytest.mark.parametrize("bad", [5, b"https://host/v5"])
def test_an_address_that_is_no_string_is_refused(bad: object) -> None:
    """An address object of some library is turned into a string by its owner."""
    with pytest.raises(ConfigurationError, match=r"^base_url: "):
        AsyncClient("token", base_url=bad)  # type: ignore[arg-type]  # what is refused here


def test_the_argument_goes_before_the_environment_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`PINTEREST_API_URI` points every client of a process at an emulator."""
    assert (
        settings.base_url(None).text == settings.DEFAULT_BASE_URL == "https://api.pinterest.com/v5"
    )
    monkeypatch.setenv("PINTEREST_API_URI", "http://127.0.0.1:8765/v5/")
    assert settings.base_url(None).text == "http://127.0.0.1:8765/v5"
    assert settings.base_url("https://host").text == "https://host"
    monkeypatch.setenv("PINTEREST_API_URI", "http://api.pinterest.com/v5")
    with pytest.raises(ConfigurationError, match="https is needed"):
        AsyncClient("token")


async def test_the_token_of_the_environment_is_taken_where_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there is none anywhere, the error says what to set."""
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
def test_a_time_out_is_a_number_above_zero_or_none(bad: object) -> None:
    """Nothing else can be waited for."""
    with pytest.raises(ConfigurationError, match=r"^timeout: a number above 0 is needed or None"):
        AsyncClient("token", timeout=bad)  # type: ignore[arg-type]  # what is refused here


def test_good_time_outs_are_taken_as_they_are() -> None:
    """None is no limit."""
    assert [settings.timeout(good) for good in (None, 5, 0.5)] == [None, 5, 0.5]


@pytest.mark.parametrize("bad", [0, -5.0, math.nan, None, True, "120"])
def test_the_longest_wait_is_a_number_above_zero(bad: object) -> None:
    """For ever is not offered: a silent hour is worse than an error."""
    with pytest.raises(ConfigurationError, match=r"^max_wait: a number above 0 is needed$"):
        AsyncClient("token", max_wait=bad)  # type: ignore[arg-type]  # what is refused here


@pytest.mark.parametrize("bad", [-1, 101, 1.0, True, None, "3"])
def test_retries_are_a_whole_number_from_0_to_100(bad: object) -> None:
    """Both bounds are allowed themselves."""
    with pytest.raises(ConfigurationError, match=r"^max_retries: a whole number from 0 to 100"):
        AsyncClient("token", max_retries=bad)  # type: ignore[arg-type]  # what is refused here
    assert [settings.whole_number("n", good, 0, 100) for good in (0, 100)] == [0, 100]


@pytest.mark.parametrize("bad", [1, 0, "true", None])
def test_a_flag_is_true_or_false(bad: object) -> None:
    """1 is not True on the wire."""
    with pytest.raises(ConfigurationError, match=r"^is_nca: True or False is needed$"):
        settings.flag("is_nca", bad)
    assert settings.flag("is_nca", True) is True


def test_the_blocking_client_refuses_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clients check before any I/O, and in the same words."""
    with pytest.raises(ConfigurationError, match=r"^timeout: "):
        Client("token", timeout=0)
    with pytest.raises(ConfigurationError, match="PINTEREST_ACCESS_TOKEN"):
        Client()
