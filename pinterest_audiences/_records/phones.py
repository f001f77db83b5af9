"""Phone numbers in international form (E.164); ambiguous ones are rejected, never guessed."""

from __future__ import annotations

import re
from types import ModuleType
from typing import TYPE_CHECKING

from pinterest_audiences._errors import ConfigurationError
from pinterest_audiences._records.chunks import INVISIBLE, WHITE_SPACE, RejectReason

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

__all__ = ["check_region", "to_e164"]


_SCHEME = re.compile(r"(?:tel|callto|sms|phone|mobile):/*\s*", re.IGNORECASE)
_SPACE = re.compile(f"[{WHITE_SPACE}{INVISIBLE}]+")
_PUNCTUATION = re.compile(r"[ .\-/()\u2010-\u2015\u2212]")
_DECIMAL = re.compile(
    r"[+-]?[0-9]{6,}[.,][0-9]{1,2}|[+-]?[0-9]+(?:[.,][0-9]+)?e[+-]?[0-9]+", re.IGNORECASE
)
_EXTENSION = re.compile(
    r"(?P<number>.*?[0-9].*?)(?:[;,]?\s*\b(?:ext(?:ension|n)?|extn|poste|anexo|ramal|app|dw|durchwahl"
    r"|int)\b[.:=\s]*|[;,]?\s*(?:ext|x|#)[.:=\s]*|[,;pw]+)(?P<extension>[0-9]{1,6})#?",
    re.IGNORECASE,
)
_BETWEEN_NUMBERS = re.compile(
    r"[;,|&\n\r\t\u3001\uff0c\uff1b]|\s(?:or|and|und|oder|et|ou|y|e|o|og|och|en)\s", re.IGNORECASE
)
_ALL_DIGITS = re.compile(r"\+?[0-9]+")
_SECOND_PLUS = re.compile(r"[0-9]{2}.*\+")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # at most 15 digits; no country code begins with 0
_MAX_DIGITS = 15
_MIN_WHOLE_NUMBER_DIGITS = 9  # before a slash; fewer are an area code
_MAX_SUFFIX_DIGITS = 4  # after a slash: replaces the last digits ("12345/46")

# Calling codes (ITU-T E.164) of one and of two digits; all others have three.
_ONE_DIGIT_CODES = frozenset({"1", "7"})
_TWO_DIGIT_CODES = frozenset(
    {
        "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46",
        "47", "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63",
        "64", "65", "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
    }
)  # fmt: skip
# National numbers may begin with 0, which the international form preserves.
_CODES_WITH_NATIONAL_ZERO = frozenset(
    {"39", "225", "226", "227", "229", "241", "242", "378", "379", "992"}
)
# Countries whose trunk prefix is not 0: number of digits of a national number, and the prefix.
_NATIONAL_LENGTHS = {"1": 10, "7": 10, "370": 8, "375": 9, "692": 7, "993": 8}
_OTHER_TRUNK_PREFIXES = {"1": "1", "7": "8", "370": "8", "375": "8", "692": "1", "993": "8"}


def to_e164(text: str, region: str | None) -> str | RejectReason:
    """Return a number as ``+`` and digits.

    Punctuation is removed, and a leading ``00`` is read as ``+``. Rejected are two numbers in one
    cell, extensions, numbers that a spreadsheet turned into decimals, and a trunk prefix after the
    country code (``+41 044…``), except in the notation ``+41 (0)44``.

    Args:
        text: A trimmed number.
        region: The country of numbers without a country code, ISO 3166. With a region, the library
            phonenumbers parses and checks every number; a number without plus and leading zero is
            rejected if its first digits may be a country code. ``None`` rejects all numbers
            without a country code.
    """
    number = _SPACE.sub(" ", _SCHEME.sub("", text, count=1)).strip()
    if not number:
        return RejectReason.EMPTY
    reason = _check_cell(text, number)
    if reason is not None:
        return reason
    if region is not None:
        return _parse_with_region(number, region)
    zero_in_parentheses = "(0)" in number
    number = _PUNCTUATION.sub("", number.replace("(0)", ""))
    if number.startswith("00") and number.strip("0"):
        number = "+" + number[2:]
    if number.isascii() and number.isdigit() and number.strip("0"):
        return RejectReason.PHONE_WITHOUT_COUNTRY_CODE
    if not _E164.fullmatch(number):
        return RejectReason.NOT_A_PHONE_NUMBER
    return _check_prefix(number[1:], zero_in_parentheses) or number


def check_region(region: object) -> str | None:
    """Return a region in upper case.

    Raises:
        ConfigurationError: The country does not exist, or phonenumbers is not installed.
    """
    if region is None:
        return None
    regions = _import_phonenumbers().SUPPORTED_REGIONS
    if isinstance(region, str) and region.upper() in regions:
        return region.upper()
    raise ConfigurationError(
        "phone_region must be an ISO 3166 country code, such as 'DE'", param="phone_region"
    )


def _check_cell(text: str, number: str) -> RejectReason | None:
    if _DECIMAL.fullmatch(number):
        return RejectReason.DECIMAL_NUMBER
    if _SECOND_PLUS.search(number):
        return RejectReason.SEVERAL_PHONE_NUMBERS
    extension = _EXTENSION.fullmatch(number)
    if extension is not None and _count_digits(extension["number"]) >= _MAX_SUFFIX_DIGITS + 1:
        return RejectReason.PHONE_EXTENSION
    parts = [part for part in _BETWEEN_NUMBERS.split(text.strip()) if _count_digits(part)]
    if len(parts) > 1 or _several_by_slash(number):
        return RejectReason.SEVERAL_PHONE_NUMBERS
    too_many = _count_digits(number) > _MAX_DIGITS + len("00") and _PUNCTUATION.search(number)
    return RejectReason.SEVERAL_PHONE_NUMBERS if too_many else None


def _several_by_slash(number: str) -> bool:
    """Return whether slashes separate numbers, rather than the area code from the rest."""
    first, _, rest = number.partition("/")
    if not (_count_digits(first) and _count_digits(rest)):
        return False
    digits = re.sub("[^0-9]", "", first)
    if number.startswith("00"):
        digits = digits[2:]
    whole = len(digits) >= _MIN_WHOLE_NUMBER_DIGITS
    return whole or rest.strip().startswith(("0", "+")) or _count_digits(rest) < _MAX_SUFFIX_DIGITS


def _count_digits(text: str) -> int:
    return sum(character in "0123456789" for character in text)


def _check_prefix(digits: str, zero_in_parentheses: bool) -> RejectReason | None:  # noqa: FBT001 - one caller
    length = 1 if digits[0] in _ONE_DIGIT_CODES else 2 if digits[:2] in _TWO_DIGIT_CODES else 3
    code, national = digits[:length], digits[length:]
    if code in _CODES_WITH_NATIONAL_ZERO:
        return RejectReason.PHONE_TRUNK_PREFIX if zero_in_parentheses else None
    if national.startswith("0"):
        return RejectReason.PHONE_TRUNK_PREFIX
    expected = _NATIONAL_LENGTHS.get(code)
    if expected is None or len(national) == expected:
        return None
    trunk = national.startswith(_OTHER_TRUNK_PREFIXES[code]) and len(national) > expected
    return RejectReason.PHONE_TRUNK_PREFIX if trunk else RejectReason.NOT_A_PHONE_NUMBER


def _parse_with_region(number: str, region: str) -> str | RejectReason:
    """Return a number as parsed by phonenumbers, unless its country code is ambiguous."""
    digits = _PUNCTUATION.sub("", number)
    if not _ALL_DIGITS.fullmatch(digits):
        return RejectReason.NOT_A_PHONE_NUMBER  # phonenumbers would read letters as on a keypad
    # With a region, phonenumbers would ignore a plus before an unknown country code.
    parsed = _parse_valid(number, None if digits.startswith("+") else region)
    if parsed is None:
        return RejectReason.NOT_A_PHONE_NUMBER
    if digits.startswith(("+", "0")):
        return _format_e164(parsed)
    return _resolve_country(digits, parsed)


def _resolve_country(digits: str, national: PhoneNumber) -> str | RejectReason:
    """Return a number without plus and leading zero in E.164 if its country is unambiguous.

    Its first digits may be a country code: ``49151…`` is a mobile number of Germany, and also a
    valid national number.
    """
    library = _import_phonenumbers()
    international = _parse_valid("+" + digits, None)
    if international is None or international == national:
        return _format_e164(national)
    if international.country_code == national.country_code:
        mobile = library.PhoneNumberType.MOBILE
        if library.number_type(international) == mobile != library.number_type(national):
            return _format_e164(international)
        return RejectReason.AMBIGUOUS_COUNTRY_CODE
    written = library.format_number(national, library.PhoneNumberFormat.NATIONAL)
    if re.sub("[^0-9]", "", written) == digits:  # a country without a trunk prefix
        return _format_e164(national)
    return RejectReason.AMBIGUOUS_COUNTRY_CODE


def _parse_valid(number: str, region: str | None) -> PhoneNumber | None:
    """Return a number if phonenumbers can parse it and it is valid."""
    library = _import_phonenumbers()
    try:
        parsed: PhoneNumber = library.parse(number, region)
    except library.NumberParseException:
        return None
    return parsed if library.is_valid_number(parsed) else None


def _format_e164(number: PhoneNumber) -> str:
    library = _import_phonenumbers()
    return str(library.format_number(number, library.PhoneNumberFormat.E164))


def _import_phonenumbers() -> ModuleType:
    try:
        import phonenumbers  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise ConfigurationError(
            "phone_region requires the extra [phone]: pip install 'pinterest-audiences[phone]'",
            param="phone_region",
        ) from None
    return phonenumbers
