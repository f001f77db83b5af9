"""Refuses what an emulator cannot be made with, by name and without repeating a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinterest_audiences.emulator.access import LIMITS_OF
from pinterest_audiences.emulator.routing import IDENTIFIER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pinterest_audiences.emulator.members import Match


def check_settings(
    match: Match, processing_seconds: float, access: str, create_status: int, uploads: str
) -> None:
    """Check settings of `Emulator` that have a range.

    Args:
        match: Whom Pinterest knows.
        processing_seconds: How long a list takes.
        access: What Pinterest has granted the apps.
        create_status: What a successful create answers.
        uploads: Whether the account has access to uploads.

    Raises:
        ValueError: When one of them is out of its range.
    """
    if not callable(match) and not 0.0 <= match <= 1.0:
        raise ValueError("match_rate must be between 0.0 and 1.0")
    if not processing_seconds >= 0.0:
        raise ValueError("processing_seconds must not be negative")
    if access not in LIMITS_OF:
        raise ValueError(f"access must be one of: {', '.join(LIMITS_OF)}")
    if create_status not in (200, 201):
        raise ValueError("create_status must be 200 or 201")
    if uploads not in ("open", "restricted", "forbidden"):
        raise ValueError("uploads must be one of: open, restricted, forbidden")


def read_accounts(ids: Iterable[str] | None) -> frozenset[str] | None:
    """Read the setting `ad_accounts`.

    Args:
        ids: The ids of the accounts; None for any.

    Returns:
        The same.

    Raises:
        ValueError: When one of them can be no id.
    """
    accounts = _words("ad_accounts", ids)
    if accounts is not None and not all(map(IDENTIFIER.fullmatch, accounts)):
        raise ValueError("ad_accounts must be ids of 1 to 18 digits")
    return accounts


def read_tokens(argument: str, words: Iterable[str] | None) -> frozenset[str] | None:
    """Read a setting of tokens.

    Args:
        argument: Its name.
        words: The tokens; None for any.

    Returns:
        The same.

    Raises:
        ValueError: When one of them can be no token.
    """
    tokens = _words(argument, words)
    if tokens is not None and not all(each.split() == [each] for each in tokens):
        raise ValueError(f"{argument} must not be empty or hold white space")
    return tokens


def _words(argument: str, words: Iterable[str] | None) -> frozenset[str] | None:
    if isinstance(words, str):
        raise ValueError(f"{argument} must be several strings, not one")  # noqa: TRY004
    return None if words is None else frozenset(words)
