"""What a client is told at its making, checked before any I/O."""

from __future__ import annotations

import ipaddress
import math
import os
from urllib.parse import urlsplit

from attrs import frozen

from pinterest_audiences.errors import ConfigurationError

__all__ = [
    "DEFAULT_BASE_URL",
    "BaseURL",
    "base_url",
    "flag",
    "is_loopback",
    "number",
    "timeout",
    "whole_number",
]

DEFAULT_BASE_URL = "https://api.pinterest.com/v5"
_NO_ADDRESS = "base_url: an address like https://host/v5 is needed"


@frozen
class BaseURL:
    """Where the API is.

    Attributes:
        text: Without a slash at the end.
        secure: Whether it is https.
    """

    text: str
    secure: bool


def base_url(given: object) -> BaseURL:
    """Choose the base URL: the argument, ``PINTEREST_API_URI``, or Pinterest's own.

    Raises:
        ConfigurationError: It is no http or https address, carries more than host, port and
            path, or would send the token over plain http to another machine.
    """
    text = given or os.environ.get("PINTEREST_API_URI") or DEFAULT_BASE_URL
    if not isinstance(text, str):
        raise ConfigurationError(_NO_ADDRESS)
    text = text.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # a bad port shows only when it is asked for
    except ValueError:
        raise ConfigurationError(_NO_ADDRESS) from None
    if not host or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(_NO_ADDRESS)
    if parts.username is not None or "?" in text or "#" in text:
        raise ConfigurationError("base_url: host, port and path only; no user, query or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationError("base_url: https is needed; plain http only for loopback hosts")
    return BaseURL(text, secure=parts.scheme == "https")


def timeout(seconds: float | None) -> float | None:
    """Check a time-out.

    Raises:
        ConfigurationError: It is neither None nor a number above 0.
    """
    if seconds is None:
        return None
    return number("timeout", seconds, above=0.0, hint="or None for no limit")


def number(name: str, value: object, *, above: float, hint: str = "") -> float:
    """Check a number of the configuration.

    Raises:
        ConfigurationError: It is no finite number above the bound.
    """
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not math.isfinite(value)
        or value <= above
    ):
        raise ConfigurationError(f"{name}: a number above {above:g} is needed {hint}".rstrip())
    return value


def whole_number(name: str, value: object, least: int, most: int) -> int:
    """Check a whole number.

    Raises:
        ConfigurationError: It is none, or out of its bounds.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigurationError(f"{name}: a whole number from {least} to {most} is needed")
    return value


def flag(name: str, value: object) -> bool:
    """Check a truth value.

    Raises:
        ConfigurationError: It is neither True nor False.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}: True or False is needed")
    return value


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, by its name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
