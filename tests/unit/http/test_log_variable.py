"""``PINTEREST_AUDIENCES_LOG``, which prints log messages to standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from pinterest_audiences import Client, ConfigurationError

LOGGER = logging.getLogger("pinterest_audiences")


@pytest.fixture(autouse=True)
def _logger_without_handlers() -> Iterator[None]:
    handlers, level = LOGGER.handlers[:], LOGGER.level
    LOGGER.handlers.clear()
    yield
    LOGGER.handlers[:] = handlers
    LOGGER.setLevel(level)


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    for _ in range(2):  # a second client prints nothing twice
        with Client.emulated() as client:
            client.customer_lists_list("549755885175").collect()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "lines"), [("debug", 2), ("DEBUG", 2), ("info", 0), ("", 0), (None, 0)]
)
def test_level_selects_what_is_printed(
    value: str | None,
    lines: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if value is not None:
        monkeypatch.setenv("PINTEREST_AUDIENCES_LOG", value)
    text = printed(capsys)
    assert text.count("pinterest_audiences DEBUG customer_lists_list: attempt 1: 200") == lines


def test_info_enables_messages_of_level_info(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINTEREST_AUDIENCES_LOG", "info")
    with Client.emulated():
        assert LOGGER.isEnabledFor(logging.INFO)
        assert not LOGGER.isEnabledFor(logging.DEBUG)


def test_logger_with_a_handler_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PINTEREST_AUDIENCES_LOG", "debug")
    own = logging.NullHandler()
    LOGGER.addHandler(own)
    assert printed(capsys) == ""
    assert LOGGER.handlers == [own]


def test_unknown_level_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINTEREST_AUDIENCES_LOG", "loud")
    with pytest.raises(ConfigurationError, match="PINTEREST_AUDIENCES_LOG must be debug or info"):
        Client.emulated()
