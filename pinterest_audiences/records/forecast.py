"""Whether a list can reach the size that Pinterest asks for, before any call is made."""

from __future__ import annotations

import math

from attrs import frozen

from pinterest_audiences.errors import ConfigurationError

__all__ = ["MINIMUM_MATCHED", "Forecast", "forecast"]

MINIMUM_MATCHED = 100
"""Source: "the list must include at least 100 Pinterest accounts" (Pinterest's description)."""


@frozen
class Forecast:
    """What to expect of a list at a stated match rate.

    Attributes:
        records: Records that would be sent.
        match_rate: The share of them expected to match an account.
        expected_matches: Accounts expected on the list.
        records_needed: Records needed at this rate for 100 accounts.
    """

    records: int
    match_rate: float
    expected_matches: int
    records_needed: int

    @property
    def reaches_minimum(self) -> bool:
        """Whether 100 matched accounts are to be expected; with fewer a list is TOO_SMALL."""
        return self.records >= self.records_needed

    def __str__(self) -> str:
        verdict = "enough" if self.reaches_minimum else f"{self.records_needed:,} records needed"
        return (
            f"{self.records:,} records at a match rate of {self.match_rate:.0%}: about "
            f"{self.expected_matches:,} of the {MINIMUM_MATCHED} matched accounts needed; {verdict}"
        )


def forecast(records: int, match_rate: float) -> Forecast:
    """Tell whether so many records can reach 100 matched accounts.

    The match rate is yours to state: Pinterest publishes none. A record matches one account at
    most, so below 100 records the answer is no at any rate.

    Args:
        records: Records that would be sent, without duplicates.
        match_rate: The share expected to match, above 0 and up to 1.

    Raises:
        ConfigurationError: The rate or the number is out of range.

    Example:
        >>> forecast(180, 0.5).reaches_minimum
        False
        >>> forecast(180, 0.5).records_needed
        200
    """
    if not _is_rate(match_rate):
        raise ConfigurationError("match_rate: a number above 0 and up to 1 is needed")
    if records < 0:
        raise ConfigurationError("records: a number that is not negative is needed")
    return Forecast(
        records=records,
        match_rate=match_rate,
        expected_matches=math.floor(records * match_rate),
        records_needed=math.ceil(MINIMUM_MATCHED / match_rate),
    )


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
