"""Identifier types: normalization, hashing and reject reasons.

This is the plain path: one value in, a record or a reject reason out. The fast path of `fast_path`
gives the same results, byte for byte.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from ipaddress import ip_address
from typing import Literal, Protocol, TypeAlias, cast

from attrs import frozen

from pinterest_audiences._config import validate_flag
from pinterest_audiences._errors import ConfigurationError
from pinterest_audiences._models import IdentifierType, OpenEnum
from pinterest_audiences._records import emails
from pinterest_audiences._records.chunks import (
    RejectReason,
    WarningCode,
    bytes_to_text,
    cell_to_text,
    find_forbidden_character,
    is_null_word,
    list_items,
    number_to_text,
    trim,
    unquote_cell,
)
from pinterest_audiences._records.emails import looks_like_list, split_list, split_mailboxes
from pinterest_audiences._records.phones import check_region, to_e164

__all__ = [
    "COLUMN_NORMALIZERS",
    "HEX_LENGTHS",
    "KIND_NORMALIZERS",
    "MOBILE_KINDS",
    "Digest",
    "HashAlgorithm",
    "HashAlgorithmLike",
    "IdfaCase",
    "InputForm",
    "NormalizationOptions",
    "Normalized",
    "Outcome",
    "PhoneForm",
    "check_algorithm",
    "check_kind",
    "decode_hash",
    "detect_algorithm",
    "hash_from_bytes",
    "hash_function",
    "make_options",
    "normalize",
    "normalize_all",
    "placeholder_hashes",
]


MOBILE_KINDS = frozenset({IdentifierType.MAID, IdentifierType.IDFA})


def check_kind(kind: object) -> IdentifierType:
    """Return the kind that an argument names.

    Raises:
        ConfigurationError: The kind does not exist.
    """
    member = IdentifierType(kind.lower()) if isinstance(kind, str) else None
    if member is not None and member.is_known:
        return member
    is_phone = member is not None and member in {"phone", "hashed_phone_number"}
    hint = "; for phone numbers, use prepare_rows" if is_phone else ""
    raise ConfigurationError(f"kind must be one of {', '.join(IdentifierType)}{hint}", param="kind")


class HashAlgorithm(OpenEnum):
    """The hash algorithm of an identifier.

    Source: "hashed using SHA1, SHA256, or MD5" of Pinterest's API description.
    """

    SHA256 = "sha256"
    SHA1 = "sha1"
    MD5 = "md5"


HashAlgorithmLike: TypeAlias = HashAlgorithm | Literal["sha256", "sha1", "md5"]


def check_algorithm(value: object) -> HashAlgorithm:
    """Return the algorithm that an argument names.

    Raises:
        ConfigurationError: Pinterest does not accept the algorithm.
    """
    member = HashAlgorithm(value) if isinstance(value, str) else None
    if member is None or not member.is_known:
        raise ConfigurationError(
            f"algorithm must be one of {', '.join(HashAlgorithm)}", param="algorithm"
        )
    return member


PhoneForm: TypeAlias = Literal["e164", "digits"]
IdfaCase: TypeAlias = Literal["lower", "upper"]


@frozen
class NormalizationOptions:
    """The configurable part of the normalization; see :func:`make_options`."""

    algorithm: HashAlgorithm = HashAlgorithm.SHA256
    plain_emails: bool = False
    idfa_case: IdfaCase = "lower"
    phone_form: PhoneForm = "digits"
    phone_region: str | None = None

    def hash(self, text: str) -> str:
        """Return the hash of a normalized value as hexadecimal digits."""
        return hash_function(self.algorithm)(text.encode()).hexdigest()


def make_options(
    *,
    algorithm: HashAlgorithm | str = HashAlgorithm.SHA256,
    plain_emails: bool = False,
    idfa_case: str = "lower",
    phone_form: str = "digits",
    phone_region: str | None = None,
) -> NormalizationOptions:
    """Validate the options of the normalization.

    Args:
        algorithm: The algorithm for plain values.
        plain_emails: Send plain e-mails normalized but not hashed.
        idfa_case: The case of an IDFA before hashing, ``lower`` or ``upper``. Pinterest does not
            document it; Apple writes upper case, connectors hash lower case.
        phone_form: The form of a phone number before hashing: ``digits`` (as Pinterest's
            conversions API requires) or ``e164`` (with the ``+``).
        phone_region: The country of phone numbers without a country code, ISO 3166 ("DE");
            requires the extra ``[phone]``. Without it such numbers are rejected.

    Raises:
        ConfigurationError: An option is not valid, or the extra is not installed.
    """
    validate_flag("plain_emails", plain_emails)
    if idfa_case not in {"lower", "upper"}:
        raise ConfigurationError("idfa_case must be 'lower' or 'upper'", param="idfa_case")
    if phone_form not in {"e164", "digits"}:
        raise ConfigurationError("phone_form must be 'digits' or 'e164'", param="phone_form")
    return NormalizationOptions(
        algorithm=check_algorithm(algorithm),
        plain_emails=plain_emails,
        idfa_case="upper" if idfa_case == "upper" else "lower",
        phone_form="e164" if phone_form == "e164" else "digits",
        phone_region=check_region(phone_region),
    )


InputForm: TypeAlias = HashAlgorithm | Literal["plain"]
"""The form of an input value: hashed by an algorithm, or plain."""


@frozen(repr=False)
class Normalized:
    """A value that became a record.

    Attributes:
        record: The text to send.
        form: The form of the input value.
        warning: A problem of the value, if any.
    """

    record: str
    form: InputForm
    warning: WarningCode | None = None

    def __repr__(self) -> str:
        return f"Normalized(form={str(self.form)!r}, warning={self.warning!r})"


Outcome: TypeAlias = Normalized | RejectReason
Normalizer: TypeAlias = Callable[[str, NormalizationOptions], Outcome]


def normalize(value: object, normalizer: Normalizer, options: NormalizationOptions) -> Outcome:
    """Return the record of one value, or the reason to reject it."""
    cells = list_items(value)
    if cells is not None:
        records = _normalize_items(cells, normalizer, options)
        if isinstance(records, RejectReason):
            return records
        return records[0] if len(records) == 1 else RejectReason.SEVERAL_ADDRESSES
    text = _to_text(value, normalizer)
    return text if isinstance(text, RejectReason) else normalizer(text, options)


def normalize_all(
    value: object, normalizer: Normalizer, options: NormalizationOptions
) -> list[Normalized] | RejectReason:
    """Return the records of one value, which may name several people, or the reject reason."""
    cells = list_items(value)
    if cells is not None:
        return _normalize_items(cells, normalizer, options)
    if normalizer is not normalize_email:
        outcome = normalize(value, normalizer, options)
        return [outcome] if isinstance(outcome, Normalized) else outcome
    text = _to_text(value, normalizer)
    return text if isinstance(text, RejectReason) else _normalize_emails(text, options)


def _normalize_items(
    cells: Sequence[object], normalizer: Normalizer, options: NormalizationOptions
) -> list[Normalized] | RejectReason:
    """Return the records of all items of a list cell, or a reason; never only some of them."""
    records: list[Normalized] = []
    reasons: list[RejectReason] = []
    for cell in cells:
        nested = list_items(cell) is not None
        outcome = RejectReason.NOT_TEXT if nested else normalize_all(cell, normalizer, options)
        if not isinstance(outcome, RejectReason):
            records += outcome
        elif outcome is not RejectReason.EMPTY:
            reasons.append(outcome)
    if reasons:
        return reasons[0] if len(reasons) == 1 and not records else RejectReason.SEVERAL_ADDRESSES
    return list({item.record: item for item in records}.values()) or RejectReason.EMPTY


def _to_text(value: object, normalizer: Normalizer) -> str | RejectReason:
    text = cell_to_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(cast("bytes", value))
        digest = hash_from_bytes(raw) if normalizer in _ACCEPT_HASHES else None
        text = digest or bytes_to_text(raw)
    elif text is RejectReason.NOT_TEXT:
        return number_to_text(value) if normalizer in _ACCEPT_NUMBERS else RejectReason.NOT_TEXT
    if isinstance(text, RejectReason):
        return text
    return RejectReason.EMPTY if is_null_word(text) else text


_MIN_TWO_HASHES_CHARACTERS = 65  # two MD5 and a separator
_MAYBE_SEVERAL = frozenset(
    {
        RejectReason.NO_AT_SIGN,
        RejectReason.SEVERAL_AT_SIGNS,
        RejectReason.FORBIDDEN_CHARACTER,
        RejectReason.SPACE_INSIDE,
    }
)


def normalize_email(text: str, options: NormalizationOptions) -> Outcome:
    """E-mail: normalized and checked by `emails`, then hashed; a hash is preserved.

    Source: "Emails must be lowercase and can be plain text or hashed" (Pinterest's description).
    """
    records = _normalize_emails(text, options)
    if isinstance(records, RejectReason):
        return records
    return records[0] if len(records) == 1 else RejectReason.SEVERAL_ADDRESSES


def _normalize_emails(text: str, options: NormalizationOptions) -> list[Normalized] | RejectReason:
    """Return the records of all people in a cell, or a reason; never only some of them."""
    if not text.isascii():
        repaired = emails.repair_mojibake(text)
        if isinstance(repaired, RejectReason):
            return repaired
        text = repaired
    outcome = _normalize_one_email(text, options)
    if isinstance(outcome, Normalized):
        return [outcome]
    if outcome not in _MAYBE_SEVERAL or (
        outcome == RejectReason.NO_AT_SIGN and len(text) < _MIN_TWO_HASHES_CHARACTERS
    ):
        return outcome
    parts = split_mailboxes(text)
    if parts:
        outcomes = [_normalize_one_email(part, options) for part in parts]
        records = [item for item in outcomes if isinstance(item, Normalized)]
        if len(records) == len(outcomes):
            return list({item.record: item for item in records}.values())
    several = looks_like_list(text) or _lists_an_email(text, options)
    return RejectReason.SEVERAL_ADDRESSES if several else outcome


def _normalize_one_email(text: str, options: NormalizationOptions) -> Outcome:
    value = emails.unwrap_email(text)
    if not value:
        return RejectReason.EMPTY
    if "@" not in value:
        return _normalize_hash(value) or _find_character_error(value) or RejectReason.NO_AT_SIGN
    address = value.lower()
    reason = emails.find_unit_sign(value) or emails.check_email(address)
    if reason is not None:
        return reason
    warning = WarningCode.RESERVED_DOMAIN if emails.has_reserved_domain(address) else None
    return Normalized(address if options.plain_emails else options.hash(address), "plain", warning)


def _find_character_error(text: str) -> RejectReason | None:
    # "No @" is more helpful than "a space inside"; characters that cannot be sent come first.
    if "\uff20" in text or "\ufe6b" in text:
        return RejectReason.COMPATIBILITY_FORM  # full-width and small "@"
    reason = find_forbidden_character(text)
    return None if reason is RejectReason.SPACE_INSIDE else reason


def _lists_an_email(text: str, options: NormalizationOptions) -> bool:
    """Return whether separators divide an address from other content."""
    for parts in split_list(text):
        named = [part for part in parts if _has_content(part)]
        if len(named) > 1 and any(
            isinstance(_normalize_one_email(part, options), Normalized) for part in named
        ):
            return True
    return False


def _has_content(part: str) -> bool:
    return any(map(str.isalnum, part)) and not is_null_word(part)


_MOBILE_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ALL_ZERO = re.compile(r"[0-]+")
_UNDASHED_ID_DIGITS = 32


def normalize_maid(text: str, options: NormalizationOptions) -> Outcome:
    """Mobile advertising id (Android): 8-4-4-4-12 hexadecimal digits, lower-cased, then hashed.

    Source: "MAIDs and IDFAs must be hashed" (Pinterest's description, ``records``); the rows of
    5.28 accept it plain too, and a hash is valid in both. Lower case: Tealium's Pinterest guide.
    32 digits without dashes look like an MD5: they are sent as one, with a warning.
    """
    return _normalize_mobile_id(text, options, str.lower)


def normalize_idfa(text: str, options: NormalizationOptions) -> Outcome:
    """Apple's id for advertisers: like a MAID, in the case of ``idfa_case``.

    Source: "MAIDs and IDFAs must be hashed" (Pinterest's description). The case before hashing is
    not documented: connectors use ``lower``, Apple writes ``upper``.
    """
    return _normalize_mobile_id(
        text, options, str.upper if options.idfa_case == "upper" else str.lower
    )


def _normalize_mobile_id(
    text: str, options: NormalizationOptions, case: Callable[[str], str]
) -> Outcome:
    value = unquote_cell(text)
    if not value:
        return RejectReason.EMPTY
    if _MOBILE_ID.fullmatch(value):
        if _ALL_ZERO.fullmatch(value):
            return RejectReason.ALL_ZERO_ID
        return Normalized(options.hash(case(value)), "plain")
    if len(value) == _UNDASHED_ID_DIGITS and not value.strip("0"):
        return RejectReason.ALL_ZERO_ID
    hashed = _normalize_hash(value)
    if (
        isinstance(hashed, Normalized)
        and hashed.form == HashAlgorithm.MD5
        and hashed.warning is None
    ):
        return Normalized(hashed.record, hashed.form, WarningCode.MAYBE_UNDASHED_ID)
    return hashed or find_forbidden_character(value) or RejectReason.NOT_A_MOBILE_ID


def normalize_phone(text: str, options: NormalizationOptions) -> Outcome:
    """Phone number: international form without punctuation, hashed; see `phones`.

    A national number is rejected unless ``phone_region`` names its country. ``phone_form`` decides
    whether the ``+`` is hashed.

    Source: "hashed_phone_number" accepts hashes only (Pinterest's description, 5.28). The form
    before hashing is that of the conversions API: "only digits with country code, area code, and
    number. Remove any symbols, letters, spaces and leading zeros".
    """
    value = unquote_cell(text)
    if not value:
        return RejectReason.EMPTY
    hashed = _normalize_hash(value)
    if hashed is not None:
        return hashed
    number = to_e164(value, options.phone_region)
    if isinstance(number, RejectReason):
        return number
    return Normalized(options.hash(number if options.phone_form == "e164" else number[1:]), "plain")


def normalize_pinner_id(text: str, _options: NormalizationOptions) -> Outcome:
    """Hashed Pinner id: a hash created by Pinterest, without a plain form.

    Source: "hashed_pinner_id … hashed" (Pinterest's description, 5.28).
    """
    digest = unquote_cell(text)
    if not digest:
        return RejectReason.EMPTY
    return _normalize_hash(digest) or RejectReason.NOT_A_HASH


_SPREADSHEET_NUMBER = re.compile(
    r"[+-]?[0-9]+\.0+|[+-]?[0-9][.,][0-9]+[eE][+-]?[0-9]+|[+-]?[0-9][eE]\+[0-9]+"
)
_NOT_IN_OPAQUE_IDS = re.compile(r'[,"\\]')
_MAX_OPAQUE_ID_CHARACTERS = 512  # a limit of this package; Pinterest documents none
# In lower case.
_PLACEHOLDER_IDS = frozenset(
    {
        "none", "nil", "undefined", "unknown", "missing", "empty", "anonymous", "not set",
        "(not set)", "(none)", "false", "true", "nan", "null", "na", "n/a", "[object object]",
        "#value!", "#ref!", "#name?", "#error!", "#div/0!",
    }
)  # fmt: skip
_ZERO_ID = re.compile(r"0+")
_LITERAL_OF_CODE = re.compile(r"\(?[A-Za-z]{1,3}(['\"]).*\1,?\)?")


def normalize_opaque_id(text: str, _options: NormalizationOptions) -> Outcome:
    """LiveRamp id and Data Axle id: trimmed, otherwise sent unchanged.

    Source: list types LR_ID and DLX_ID (Pinterest's description), which does not define their
    form; so only values that cannot be sent in a comma-separated string are rejected.
    """
    value = unquote_cell(text)
    if not value:
        return RejectReason.EMPTY
    if len(value) > _MAX_OPAQUE_ID_CHARACTERS:
        return RejectReason.TOO_LONG
    if _SPREADSHEET_NUMBER.fullmatch(value):
        return RejectReason.DECIMAL_NUMBER
    reason = _check_id(value) or find_forbidden_character(value)
    if reason is None and _NOT_IN_OPAQUE_IDS.search(value):
        reason = RejectReason.FORBIDDEN_CHARACTER
    return reason or Normalized(value, "plain")


def normalize_external_id(text: str, _options: NormalizationOptions) -> Outcome:
    """External id: trimmed, otherwise sent unchanged; spaces and punctuation are allowed.

    Integers are accepted. Numbers that a spreadsheet reformatted (``5550001.0``, ``5.55E+09``) are
    rejected; a leading apostrophe is removed.

    Source: "external_id": not hashed (Pinterest's description, 5.28).
    """
    value = unquote_cell(text)
    if _SPREADSHEET_NUMBER.fullmatch(value):
        return RejectReason.DECIMAL_NUMBER
    return _check_id(value) or normalize_user_agent(value, _options)


def _check_id(value: str) -> RejectReason | None:
    """Return the reason to reject a placeholder or an undecoded string literal, if any."""
    if value.lower() in _PLACEHOLDER_IDS or _ZERO_ID.fullmatch(value):
        return RejectReason.PLACEHOLDER
    return RejectReason.FORBIDDEN_CHARACTER if _LITERAL_OF_CODE.fullmatch(value) else None


def normalize_user_agent(text: str, _options: NormalizationOptions) -> Outcome:
    """User agent: trimmed, otherwise sent unchanged; spaces and punctuation are allowed.

    Source: "user_agent": not hashed (Pinterest's description, 5.28).
    """
    value = trim(text)
    if not value:
        return RejectReason.EMPTY
    if value.lower() in _PLACEHOLDER_IDS:
        return RejectReason.PLACEHOLDER
    return find_forbidden_character(value, spaces=True) or Normalized(value, "plain")


def normalize_ip_address(text: str, _options: NormalizationOptions) -> Outcome:
    """IP address, version 4 or 6, in canonical form; unspecified and loopback are rejected.

    Source: "ip_address": not hashed (Pinterest's description, 5.28).
    """
    value = trim(text)
    if not value:
        return RejectReason.EMPTY
    try:
        address = ip_address(value)
    except ValueError:
        return RejectReason.NOT_AN_IP_ADDRESS
    if "%" in value:
        return RejectReason.NOT_AN_IP_ADDRESS  # an IPv6 zone has a meaning on one machine only
    if address.is_unspecified or address.is_loopback:
        return RejectReason.PLACEHOLDER
    return Normalized(str(address), "plain")


_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]+={0,2}")  # both alphabets of RFC 4648


def normalize_envelope(text: str, _options: NormalizationOptions) -> Outcome:
    """LiveRamp envelope: Base64, sent unchanged.

    Source: "liveramp_envelope … Base64, not hashed" (Pinterest's description, 5.28).
    """
    value = trim(text)
    if not value:
        return RejectReason.EMPTY
    if not _BASE64.fullmatch(value):
        return RejectReason.NOT_BASE64
    return Normalized(value, "plain")


_ACCEPT_HASHES: frozenset[Normalizer] = frozenset(
    {normalize_email, normalize_maid, normalize_idfa, normalize_pinner_id, normalize_phone}
)
_ACCEPT_NUMBERS: frozenset[Normalizer] = frozenset(
    {normalize_phone, normalize_external_id, normalize_opaque_id}
)
KIND_NORMALIZERS: Mapping[IdentifierType, Normalizer] = {
    IdentifierType.EMAIL: normalize_email,
    IdentifierType.MAID: normalize_maid,
    IdentifierType.IDFA: normalize_idfa,
    IdentifierType.HASHED_PINNER_ID: normalize_pinner_id,
    IdentifierType.LR_ID: normalize_opaque_id,
    IdentifierType.DLX_ID: normalize_opaque_id,
}
"""The normalizer of each kind of list."""
COLUMN_NORMALIZERS: Mapping[str, Normalizer] = {
    "email": normalize_email,
    "maid": normalize_maid,
    "hashed_phone_number": normalize_phone,
    "hashed_pinner_id": normalize_pinner_id,
    "external_id": normalize_external_id,
    "ip_address": normalize_ip_address,
    "user_agent": normalize_user_agent,
    "liveramp_envelope": normalize_envelope,
}
"""The normalizer of each column of a row (``records_v2``)."""


class Digest(Protocol):
    """The result of a function of `hashlib`."""

    def digest(self) -> bytes:
        """Return the digest as bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest as hexadecimal digits in lower case."""
        ...


# SHA-1 and MD5 are formats of Pinterest here, which a hardened OpenSSL must allow.
_FUNCTIONS: Mapping[str, Callable[[bytes], Digest]] = {
    HashAlgorithm.SHA256: hashlib.sha256,
    HashAlgorithm.SHA1: partial(hashlib.sha1, usedforsecurity=False),
    HashAlgorithm.MD5: partial(hashlib.md5, usedforsecurity=False),
}
HEX_LENGTHS = {HashAlgorithm.SHA256: 64, HashAlgorithm.SHA1: 40, HashAlgorithm.MD5: 32}
"""Number of hexadecimal digits of a digest."""
_ALGORITHM_BY_LENGTH = {length: algorithm for algorithm, length in HEX_LENGTHS.items()}
_UNSUPPORTED_LENGTHS = frozenset({56, 96, 128})  # SHA-224, SHA-384 and SHA-512
_HEX = re.compile(r"[0-9a-fA-F]+")
# What programs hash in place of a missing value, and column names hashed with the values.
_EMPTY_VALUES = (
    "", " ", "\t", "\0", "0", "-", "--", ".", "@", "\\N", "#N/A", "#NULL!", "#VALUE!", "#REF!",
    "#NAME?", "<NA>", "NA", "na", "N/A", "n/a", "NaN", "nan", "NAN", "NaT", "null", "NULL", "Null",
    "(null)", "none", "None", "NONE", "nil", "undefined", "unknown", "Unknown", "empty", "false",
    "true", "email", "Email", "EMAIL", "e-mail", "E-Mail", "E-mail", "mail", "email_address",
    "phone", "b''", "[object Object]", '""', "''", "{}", "[]",
)  # fmt: skip


def hash_function(algorithm: HashAlgorithm) -> Callable[[bytes], Digest]:
    """Return the function of `hashlib` for an algorithm."""
    return _FUNCTIONS[algorithm]


def detect_algorithm(text: str) -> HashAlgorithm | RejectReason | None:
    """Return the algorithm of 32, 40 or 64 hexadecimal digits, ``None`` for other text.

    The digest of an algorithm that Pinterest does not accept gives a reason.
    """
    length = len(text)
    if length not in _ALGORITHM_BY_LENGTH and length not in _UNSUPPORTED_LENGTHS:
        return None
    if not _HEX.fullmatch(text):
        return None
    return _ALGORITHM_BY_LENGTH.get(length, RejectReason.UNSUPPORTED_HASH)


def _normalize_hash(text: str) -> Outcome | None:
    """Return the record of a hash, a reason to reject it, or None for other text."""
    digits = decode_hash(text) if detect_algorithm(text) is None else text
    if digits is None or isinstance(digits, RejectReason):
        return digits
    algorithm = detect_algorithm(digits)
    if algorithm is None or isinstance(algorithm, RejectReason):
        return algorithm
    digest = digits.lower()
    reason = placeholder_hashes().get(digest)
    if reason is not None:
        return reason
    return Normalized(digest, algorithm, None if digest == digits else WarningCode.UPPER_CASE_HASH)


@cache
def placeholder_hashes() -> Mapping[str, RejectReason]:
    """Return the digests of empty values, placeholders and all-zero ids, by all algorithms."""
    values = dict.fromkeys(emails.placeholder_emails(), RejectReason.HASH_OF_PLACEHOLDER)
    values["00000000-0000-0000-0000-000000000000"] = RejectReason.HASH_OF_PLACEHOLDER
    values.update(dict.fromkeys(_EMPTY_VALUES, RejectReason.HASH_OF_NOTHING))
    # With the line end of `echo` in a shell, or of a Windows file.
    values |= {value + end: reason for value, reason in values.items() for end in ("\n", "\r\n")}
    digests = {
        function(value.encode()).hexdigest(): reason
        for value, reason in values.items()
        for function in _FUNCTIONS.values()
    }
    zeros = {"0" * length: RejectReason.HASH_OF_PLACEHOLDER for length in _ALGORITHM_BY_LENGTH}
    return digests | zeros


_MIN_ENCODED_HASH_CHARACTERS = 22
"""Length of an MD5 in Base64 without padding."""
_HEX_PREFIX = re.compile(r"(?:0x|\\{1,2}x|x')", re.IGNORECASE)
_ALGORITHM_PREFIX = re.compile(
    r"\{?(sha-?(?:1|224|256|384|512)|(?<=\{)sha(?=\})|md5)(?:\}[:=\s]*|[:=$\s-]+)", re.IGNORECASE
)
_ALGORITHM_BY_NAME = {
    "md5": HashAlgorithm.MD5,
    "sha": HashAlgorithm.SHA1,
    "sha1": HashAlgorithm.SHA1,
    "sha256": HashAlgorithm.SHA256,
}
_HEX_PAIRS = re.compile(r"[0-9a-fA-F]{2}(?:[:\- ][0-9a-fA-F]{2}){15,}")
_BASE64_DIGEST = re.compile(r"[A-Za-z0-9+/_-]{22,}={0,2}")
_MIN_DAMAGED_HASH_DIGITS = 28  # only digests have that many
_SHA256_BASE64_CHARACTERS = 43
_MD5_SHA1_BASE64_CHARACTERS = frozenset({22, 27})  # MD5, SHA-1
_RAW_DIGEST_BYTES = frozenset({16, 20, 28, 32, 48, 64})


def decode_hash(text: str) -> str | RejectReason | None:
    r"""Return the hexadecimal digits of a digest in another notation.

    Supported are the prefixes ``0x``, ``\x`` and ``X'…'``, the name of the algorithm (``sha256:``,
    ``{SHA256}``), pairs of digits separated by colons, dashes or spaces, and a SHA-256 in Base64.
    MD5 and SHA-1 in Base64 are not decoded, because an id may have the same form.

    Returns:
        The digits, a reason for a digest that cannot be decoded, ``None`` for anything else.
    """
    if len(text) < _MIN_ENCODED_HASH_CHARACTERS:
        return None
    name = _ALGORITHM_PREFIX.match(text)
    algorithm = name[1].lower().replace("-", "") if name else ""
    if name and algorithm not in _ALGORITHM_BY_NAME:
        return RejectReason.UNSUPPORTED_HASH
    rest = text[name.end() :] if name else text
    prefix = _HEX_PREFIX.match(rest)
    rest = rest[prefix.end() :].rstrip("'") if prefix else rest
    digits = _hex_digits(rest)
    if digits is None:
        digits = _decode_base64(rest, sure=name is not None)
    return _check_digest(
        digits, _ALGORITHM_BY_NAME.get(algorithm), marked=bool(name or prefix) and text.isascii()
    )


def _check_digest(
    digits: str | RejectReason | None, named: HashAlgorithm | None, *, marked: bool
) -> str | RejectReason | None:
    """Return digits in lower case if they are a digest, of the named algorithm if any."""
    if digits is None:
        return RejectReason.ENCODED_HASH if marked else None
    algorithm = digits if isinstance(digits, RejectReason) else detect_algorithm(digits)
    if isinstance(algorithm, RejectReason):
        return algorithm
    if algorithm is None or (named is not None and algorithm != named):
        damaged = marked or (len(digits) >= _MIN_DAMAGED_HASH_DIGITS and not digits.isdigit())
        return RejectReason.DAMAGED_HASH if damaged else None
    return digits.lower()


def _hex_digits(text: str) -> str | RejectReason | None:
    if _HEX.fullmatch(text):
        return text
    if not re.search("[a-fA-F]", text):
        return None  # a phone number, or several
    if _HEX_PAIRS.fullmatch(text):
        return re.sub("[^0-9a-fA-F]", "", text)
    joined = re.sub(r"[\s-]", "", text)
    parts = re.split(r"[\s-]+", text)
    if len(joined) >= _MIN_DAMAGED_HASH_DIGITS and _HEX.fullmatch(joined) and not _is_uuid(parts):
        # Several whole digests are a list; but two MD5 are probably a SHA-256 with a space.
        several = (
            all(len(part) in _ALGORITHM_BY_LENGTH for part in parts)
            and len(joined) not in _ALGORITHM_BY_LENGTH
        )
        return None if several else RejectReason.DAMAGED_HASH
    return None


def _is_uuid(parts: list[str]) -> bool:
    return len(parts) > 1 and len(parts[0]) == len("00000000") and len(parts[1]) == len("0000")


def _decode_base64(text: str, *, sure: bool) -> str | RejectReason | None:
    if not _BASE64_DIGEST.fullmatch(text):
        return None
    body = text.rstrip("=")
    padded = len(body) < len(text)
    if not (sure or padded or _looks_random(body)):
        return None
    raw = _b64decode(body)
    if (
        raw is not None
        and len(raw) in _ALGORITHM_BY_LENGTH
        and _HEX.fullmatch(raw.decode("latin-1"))
    ):
        return raw.decode("ascii")  # Base64 of hexadecimal digits
    decodable = sure or (len(body) == _SHA256_BASE64_CHARACTERS and any(map(str.isdigit, body)))
    if raw is not None and decodable and _looks_random(body):
        return raw.hex()
    known = len(body) == _SHA256_BASE64_CHARACTERS or len(body) in _MD5_SHA1_BASE64_CHARACTERS
    return RejectReason.ENCODED_HASH if known or padded else None


def _looks_random(text: str) -> bool:
    """Return whether a text mixes upper and lower case like a digest in Base64."""
    enough = len(text) // 8  # one digest in ten thousand has fewer
    return sum(map(str.isupper, text)) > enough and sum(map(str.islower, text)) > enough


def _b64decode(body: str) -> bytes | None:
    body = body.replace("-", "+").replace("_", "/")
    padded = body + "=" * (-len(body) % 4)
    try:
        raw = b64decode(padded, validate=True)
    except Base64Error:
        return None
    return raw if b64encode(raw).decode() == padded else None


def hash_from_bytes(value: bytes) -> str | None:
    """Return a digest in bytes, raw or already hexadecimal, as hexadecimal digits."""
    if value.isascii():
        text = value.decode("ascii")
        return text if len(text) in _ALGORITHM_BY_LENGTH and _HEX.fullmatch(text) else None
    return value.hex() if len(value) in _RAW_DIGEST_BYTES and not _is_text(value) else None


def _is_text(value: bytes) -> bool:
    try:
        return value.decode().isprintable()
    except UnicodeDecodeError:
        return False
