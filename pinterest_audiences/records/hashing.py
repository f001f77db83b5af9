"""Digests: which kinds Pinterest takes, how one is recognised, and which are worthless."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.models import OpenEnum
from pinterest_audiences.records.reasons import RejectReason

__all__ = [
    "Digest",
    "HashAlgorithm",
    "algorithm_of",
    "hash_function",
    "known_algorithm",
    "worthless_digests",
]


class Digest(Protocol):
    """What the functions of `hashlib` return."""

    def digest(self) -> bytes:
        """Return the digest as bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest as hexadecimal digits in lower case."""
        ...


class HashAlgorithm(OpenEnum):
    """How an identifier is hashed.

    Source: "hashed using SHA1, SHA256, or MD5" of Pinterest's API description.
    """

    SHA256 = "sha256"
    SHA1 = "sha1"
    MD5 = "md5"


# The older two are asked for by name and match accounts; a hardened OpenSSL must know that.
_FUNCTIONS: Mapping[str, Callable[[bytes], Digest]] = {
    HashAlgorithm.SHA256: hashlib.sha256,
    HashAlgorithm.SHA1: partial(hashlib.sha1, usedforsecurity=False),
    HashAlgorithm.MD5: partial(hashlib.md5, usedforsecurity=False),
}
_BY_LENGTH = {32: HashAlgorithm.MD5, 40: HashAlgorithm.SHA1, 64: HashAlgorithm.SHA256}
_OTHER_LENGTHS = frozenset({56, 96, 128})  # SHA-224, SHA-384 and SHA-512
_HEX = re.compile(r"[0-9a-fA-F]+")


def known_algorithm(value: object) -> HashAlgorithm:
    """Return the algorithm for an argument.

    Raises:
        ConfigurationError: It is none that Pinterest takes.
    """
    member = HashAlgorithm(value) if isinstance(value, str) else None
    if member is None or not member.is_known:
        raise ConfigurationError(f"algorithm: one of {', '.join(HashAlgorithm)} is needed")
    return member


def hash_function(algorithm: HashAlgorithm) -> Callable[[bytes], Digest]:
    """Return the function of `hashlib` for an algorithm."""
    return _FUNCTIONS[algorithm]


def algorithm_of(text: str) -> HashAlgorithm | RejectReason | None:
    """Tell by which algorithm a value was already hashed.

    Returns:
        The algorithm for 32, 40 or 64 hexadecimal digits of any case, a reason for a digest that
        Pinterest does not take, ``None`` for what is no digest.
    """
    length = len(text)
    if length not in _BY_LENGTH and length not in _OTHER_LENGTHS:
        return None
    if not _HEX.fullmatch(text):
        return None
    return _BY_LENGTH.get(length, RejectReason.UNSUPPORTED_HASH)


def worthless_digests(values: Mapping[str, RejectReason]) -> dict[str, RejectReason]:
    """Return the digests, by each algorithm, of values that stand for no customer."""
    return {
        function(value.encode()).hexdigest(): reason
        for value, reason in values.items()
        for function in _FUNCTIONS.values()
    }
