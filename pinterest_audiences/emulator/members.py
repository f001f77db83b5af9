"""Who is in a list, kept small, and who of them is known to Pinterest.

A hashed record is kept as the bytes that its hexadecimal digits stand for: half the memory of the
string, of which a list may have millions. What comes out again is what went in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import chain

Member = str | tuple[tuple[str, str], ...]
"""A record as it was sent, or a row as its sorted (field, value) pairs."""

Match = float | Callable[[Member], bool]
"""Whom Pinterest knows: a share from 0.0 to 1.0, or a function that is asked for each member."""

Packed = str | bytes | tuple[str | bytes, ...]
"""A member as it is kept: a string, the bytes of a digest, or a row as names and packed values."""

_DIGITS_OF_DIGESTS = frozenset({32, 40, 64})  # MD5, SHA1, SHA256

_HASH_BYTES = 8
_HASH_RANGE = 2 ** (8 * _HASH_BYTES)


def seeded_key(seed: int, purpose: str) -> bytes:
    """Derive a key for one purpose from the emulator's seed.

    Args:
        seed: The emulator's seed.
        purpose: What the key is for; different purposes get unrelated keys.

    Returns:
        32 bytes.
    """
    return blake2b(f"{purpose}:{seed}".encode(), digest_size=32).digest()


def pack(member: Member) -> Packed:
    """Return the form in which a member is kept.

    Args:
        member: A record, or a row.

    Returns:
        The same in less memory; equal for equal members.
    """
    if isinstance(member, str):
        return _pack_text(member)
    return tuple(chain.from_iterable((sys.intern(n), _pack_text(value)) for n, value in member))


def unpack(packed: Packed) -> Member:
    """Return a member as it was sent.

    Args:
        packed: What `pack` made of it.

    Returns:
        The member.
    """
    if not isinstance(packed, tuple):
        return _unpack_text(packed)
    words = [_unpack_text(word) for word in packed]
    return tuple(zip(words[::2], words[1::2], strict=True))


def _pack_text(text: str) -> str | bytes:
    if len(text) in _DIGITS_OF_DIGESTS:
        try:
            packed = bytes.fromhex(text)
        except ValueError:
            return text
        # Upper-case digits and blanks between them would be lost.
        if packed.hex() == text:
            return packed
    return text


def _unpack_text(packed: str | bytes) -> str:
    return packed if isinstance(packed, str) else packed.hex()


class Matcher:
    """Decides which members Pinterest knows: the same ones for the same seed.

    Args:
        seed: Chooses whom Pinterest knows, when it is a share of all.
        match: The share of members that are known, or a function that says it of each.
    """

    def __init__(self, seed: int, match: Match) -> None:
        self._asked = match if callable(match) else None
        # A keyed hash, ready to be copied: half the price of keying one for each member.
        self._keyed = blake2b(key=seeded_key(seed, "match"), digest_size=_HASH_BYTES)
        self._below = 0 if callable(match) else round(match * _HASH_RANGE)

    def count(self, members: Iterable[Member]) -> int:
        """Return how many of these members are Pinterest accounts.

        Args:
            members: Records or rows, each counted once for every time it comes.

        Returns:
            The number of matches.
        """
        if self._asked is not None:
            return sum(map(bool, map(self._asked, members)))
        matches = 0
        for member in members:
            digest = self._keyed.copy()
            # JSON may carry half a surrogate pair, which plain UTF-8 refuses.
            digest.update(str(member).encode("utf-8", "surrogatepass"))
            matches += int.from_bytes(digest.digest(), "big") < self._below
        return matches
