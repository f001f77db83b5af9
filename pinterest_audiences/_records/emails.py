"""Normalization and validation of e-mail addresses, and splitting of cells with several.

Pinterest's description says: "Emails must be lowercase and can be plain text or hashed using SHA1,
SHA256, or MD5". Everything else is a choice of this package, made so that no address is changed
into the address of another person: dots and plus tags of Gmail are **not** removed, because
Pinterest does not document that it removes them; non-ASCII letters are lower-cased and preserved.

A cell is first unwrapped (`unwrap_email`), then lower-cased, then checked (`check_email`). Only a
cell that fails may be split into several addresses (`split_mailboxes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import category, decomposition, normalize
from urllib.parse import unquote

from pinterest_audiences._records.chunks import (
    LITERAL,
    RejectReason,
    find_forbidden_character,
    trim,
)

__all__ = [
    "PLACEHOLDER_LOCAL_PARTS",
    "check_email",
    "find_unit_sign",
    "has_reserved_domain",
    "looks_like_list",
    "placeholder_emails",
    "repair_mojibake",
    "split_list",
    "split_mailboxes",
    "unwrap_email",
]


# Never part of an address. RFC 5322 allows "'" at the start of one, but no mailbox uses it, and
# spreadsheets write it before text.
_QUOTES_AND_BRACKETS = (
    "'\"\u00b4\u02b9\u02ba\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u02ee\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u2039\u203a"
    "\u3008\u3009\u300a\u300b\u300c\u300d\u300e\u300f\u3010\u3011\u3014\u3015\u301d\u301e\u301f"
    "\uff02\uff07\uff08\uff09\uff1c\uff1e\uff3b\uff3d\uff5b\uff5d\uff62\uff63"
)
_SEPARATORS = ",;.\u2022\u00b7\u3001\u3002\uff0c\uff0e\uff1b"
_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">", "`": "`", "'": "'", '"': '"'}
_QUOTE = re.compile("['`]")
_AT_SIGNS = re.compile("[@\uff20\ufe6b]")
_PERCENT_ENCODED = re.compile(r"%[0-9a-fA-F]{2}")


def unwrap_email(text: str) -> str:
    """Remove what surrounds an address; its case is preserved.

    Removed are white space, control and invisible characters; quotes and brackets around the
    whole, also typographic and CJK ones; the apostrophe and ``="…"`` of a spreadsheet; trailing
    commas, semicolons and dots; ``mailto:`` with slashes, percent encoding and a query; and the
    display name with angle brackets (``Ann <ann@shop.de>``).

    Source: trimming is what every connector does.
    """
    address = _strip_edges(text)
    if address.endswith(">") and "<" in address:
        name, _, inner = address[:-1].rpartition("<")
        if not _AT_SIGNS.search(name):
            address = _strip_edges(inner)
    if address[:7].lower() == "mailto:":
        address = _strip_edges(_mailbox_of_url(address[7:]))
    return address


def _strip_edges(text: str) -> str:
    if text.isascii() and text[:1].isalnum() and text[-1:].isalnum():
        return text
    before = after = 0  # number of quotes removed
    whole = trim(text)
    value, previous = whole, None
    while value != previous:
        previous = value
        value = trim(value).rstrip(_SEPARATORS)
        pair = len(value) > 1 and _PAIRS.get(value[0]) == value[-1]
        if literal := LITERAL.fullmatch(value):
            value = literal[2]
        elif pair:
            value = value[1:-1]
        else:
            inner = value.removeprefix('="').lstrip(_QUOTES_AND_BRACKETS)
            before += len(value) - len(inner)
            value = inner.rstrip(_QUOTES_AND_BRACKETS)
            after += len(inner) - len(value)
    # A trailing quote may belong to one inside: "x'…'", "mail='…'".
    return whole if after > before and _QUOTE.search(value) else value


def _mailbox_of_url(rest: str) -> str:
    """Return the address of a ``mailto:`` URL, or the URL if its query has more addresses."""
    mailbox, _, query = rest.partition("?")
    if "@" in query or "%40" in query:
        return f"mailto:{rest}"
    mailbox = trim(mailbox).strip("/")
    if "%" not in mailbox:
        return mailbox
    try:
        decoded = unquote(mailbox, errors="strict")
    except UnicodeDecodeError:
        return mailbox
    return mailbox if _PERCENT_ENCODED.search(decoded) else decoded


_CP1252_BYTES = {
    ord(bytes([byte]).decode("cp1252")): byte
    for byte in range(0x80, 0xA0)
    if byte not in {0x81, 0x8D, 0x8F, 0x90, 0x9D}  # undefined; decoded as control characters
}


def repair_mojibake(text: str) -> str | RejectReason:
    """Repair misdecoded no-break spaces (``\u00c2\u00a0``) and byte order marks at the edges.

    Text with misdecoded letters is rejected, because its original would be a guess.
    """
    decoded = _decode_mojibake(text)
    if decoded is None:
        return text
    return decoded if unwrap_email(decoded).isascii() else RejectReason.MISREAD_ENCODING


def _decode_mojibake(text: str) -> str | None:
    """Return the original of UTF-8 that was decoded as Windows-1252 or Latin-1, else ``None``.

    Correct text does not match by chance: accented letters do not follow each other like the
    bytes of UTF-8.
    """
    try:
        return text.translate(_CP1252_BYTES).encode("latin-1").decode()
    except UnicodeError:
        return None


_MAX_ADDRESS_BYTES = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets
_MAX_LOCAL_PART_BYTES = 64  # RFC 5321, 4.5.3.1.1
_MAX_LABEL_CHARACTERS = 63  # RFC 1035, 2.3.4
_FORBIDDEN = re.compile(r'[,;:"\\()<>\[\]]')  # "specials" of RFC 5322, 3.2.3, without "@" and "."
# Escapes of SQL, quoted-printable and workbooks, or a parameter name.
_ESCAPED = re.compile(
    r"''|'$|=[0-9a-f]{2}|_x[0-9a-f]{4}_|^\??(?:e-?mail|mail|smtp|addr|address|to)="
)
_DOMAIN_CHARACTERS = re.compile(r"[a-z0-9.\-\u0080-\U0010ffff]*")
_ENCODED_LABEL = re.compile(r"(?:^|\.)xn--")
_MOJIBAKE_TOP_LEVEL = re.compile(r"[a-z]+\u00e2")  # half of a misdecoded no-break space
_UNIT_SIGNS = re.compile("[\u2126\u212a\u212b]")  # ohm, kelvin, angstrom


def find_unit_sign(value: str) -> RejectReason | None:
    """Return the reason why an address must not be lower-cased: a sign would become a letter."""
    return RejectReason.COMPATIBILITY_FORM if _UNIT_SIGNS.search(value) else None


def check_email(address: str) -> RejectReason | None:
    """Return the reason to reject a lower-cased address, if any; only its structure is checked.

    The local part may have any character of RFC 5322 and any dots, because mailboxes such as
    ``a..b.@carrier.ne.jp`` exist; beyond ASCII it may have letters, marks and digits. The domain
    must be one that can receive mail.

    Source: lengths and characters of RFC 5321, 5322, 6532 and 1035, IDNA 2008 (RFC 5891); the
    comma is Pinterest's separator.
    """
    if "@" not in address:
        return RejectReason.NO_AT_SIGN
    if address.count("@") > 1:
        return RejectReason.SEVERAL_AT_SIGNS
    local, _, domain = address.partition("@")
    reason = find_forbidden_character(address)
    if reason is None and not address.isascii():
        reason = _check_letters(local) or _find_unusual_character(domain, allowed=_IDNA_PUNCTUATION)
    if reason is None and (_FORBIDDEN.search(address) or _QUOTE.search(domain)):
        reason = RejectReason.FORBIDDEN_CHARACTER
    if reason is None and len(address.encode()) > _MAX_ADDRESS_BYTES:
        reason = RejectReason.TOO_LONG
    return reason or _check_local_part(local) or _check_domain(local, domain)


def _check_local_part(local: str) -> RejectReason | None:
    if not local:
        return RejectReason.NO_LOCAL_PART
    if len(local.encode()) > _MAX_LOCAL_PART_BYTES:
        return RejectReason.LOCAL_PART_TOO_LONG
    if _ESCAPED.search(local):
        return RejectReason.ESCAPED_CHARACTER
    return RejectReason.PERCENT_ENCODED if _PERCENT_ENCODED.search(local) else None


def _check_domain(local: str, domain: str) -> RejectReason | None:
    if "." not in domain:
        return RejectReason.DOMAIN_WITHOUT_DOT if domain else RejectReason.BAD_DOMAIN
    if not domain.isascii() and _MOJIBAKE_TOP_LEVEL.fullmatch(domain.rpartition(".")[2]):
        return RejectReason.MISREAD_ENCODING
    if not _is_domain(domain):
        return RejectReason.BAD_DOMAIN
    if local in PLACEHOLDER_LOCAL_PARTS and _is_placeholder(local, domain):
        return RejectReason.PLACEHOLDER
    return None


def _is_domain(domain: str) -> bool:
    labels = domain.split(".")
    if not _DOMAIN_CHARACTERS.fullmatch(domain) or len(labels[-1]) < 2:  # noqa: PLR2004 - top-level domains have two characters or more
        return False
    if labels[-1].isdigit():
        return False  # RFC 3696, 2: a top-level domain is not a number
    return all(
        label and len(label) <= _MAX_LABEL_CHARACTERS and label[0] != "-" and label[-1] != "-"
        for label in labels
    ) and (_is_idn(domain) if not domain.isascii() or _ENCODED_LABEL.search(domain) else True)


def _is_idn(domain: str) -> bool:
    import idna  # noqa: PLC0415 - rarely used

    try:
        if domain.isascii():
            for label in domain.split("."):
                idna.ulabel(label)
        else:
            idna.encode(normalize("NFC", domain))
    except UnicodeError:  # the base class of IDNAError
        return False
    return True


_LETTERS_MARKS_DIGITS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"})
# Thai and Lao letters in normal use, although Unicode gives them a compatibility decomposition.
_ORDINARY_LETTERS = frozenset("\u0e33\u0eb3\u0edc\u0edd")
# Modifier letters that look like apostrophes, accents and colons; not used in names.
_LIKE_PUNCTUATION = re.compile(
    "[\u02b0-\u02ff\u0374\u0559\u07f4\u07f5\ua717-\ua721\ua788-\ua78c\ua7ef\U0001df80-\U0001dfff]"
)
# Letters by category that only stretch a word or mark a tone; IDNA 2008 excludes them too.
_DECORATION = frozenset("\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b")
_NEVER_FIRST = frozenset({"Lm", "Mn", "Mc"})
_IDNA_PUNCTUATION = "\u00b7\u0375\u05f3\u05f4\u30fb"
_LOST_LETTERS = re.compile("\u951f\u65a4|\u65a4\u62f7")  # U+FFFD in UTF-8 that was read as GBK


def _check_letters(local: str) -> RejectReason | None:
    if local and _begins_with_mark(local):
        return RejectReason.SYMBOL
    return _find_unusual_character(local)


def _begins_with_mark(text: str) -> bool:
    """Return whether the first character is a mark without its letter."""
    return category(text[0]) in _NEVER_FIRST


def _find_unusual_character(text: str, *, allowed: str = "") -> RejectReason | None:
    """Return the reason to reject a non-ASCII character other than letters, marks and digits."""
    if _LOST_LETTERS.search(text):
        return RejectReason.REPLACEMENT_CHARACTER
    for character in text:
        if character.isascii() or character in allowed:
            continue
        kind = category(character)
        like_punctuation = _LIKE_PUNCTUATION.match(character) is not None
        if kind not in _LETTERS_MARKS_DIGITS or like_punctuation or character in _DECORATION:
            punctuation = like_punctuation or kind.startswith("P")
            return RejectReason.NON_ASCII_PUNCTUATION if punctuation else RejectReason.SYMBOL
        if decomposition(character).startswith("<") and character not in _ORDINARY_LETTERS:
            return RejectReason.COMPATIBILITY_FORM
    return None


# Words that people and forms write in place of an address.
_NO_ADDRESS_WORDS = frozenset(
    {
        "noemail", "no-email", "no_email", "no.email", "nomail", "no-mail", "no_mail", "no.mail",
        "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply",
    }
)  # fmt: skip
_SAME_ON_BOTH_SIDES = frozenset(
    {
        "a", "aa", "aaa", "abc", "asdf", "demo", "email", "example", "fake", "mail", "na", "nobody",
        "none", "noone", "null", "temp", "test", "unknown", "user", "x", "xx", "xxx",
    }
)  # fmt: skip
_TEST_WORDS = frozenset({"test", "test1", "test123", "asdf", "fake", "none", "null"})
_TEST_DOMAINS = frozenset({"example.com", "gmail.com", "test.com", "email.com", "mail.com"})
PLACEHOLDER_LOCAL_PARTS = _NO_ADDRESS_WORDS | _SAME_ON_BOTH_SIDES | _TEST_WORDS
"""Local parts that may be those of a placeholder address."""
_RESERVED = re.compile(
    r"@.*(?:(?<=[@.])example\.(?:com|net|org)|\.(?:test|example|invalid|localhost))"
)


def _is_placeholder(local: str, domain: str) -> bool:
    if local in _NO_ADDRESS_WORDS:
        return True
    if local in _SAME_ON_BOTH_SIDES and domain.partition(".")[0] == local:
        return True
    return local in _TEST_WORDS and domain in _TEST_DOMAINS


def placeholder_emails() -> list[str]:
    """Return placeholder addresses, to recognize their hashes."""
    words = sorted(_SAME_ON_BOTH_SIDES)
    same = [f"{word}@{word}.com" for word in words]
    return [
        *same,
        *(f"{word}@{domain}" for word in sorted(_TEST_WORDS) for domain in _TEST_DOMAINS),
    ]


def has_reserved_domain(address: str) -> bool:
    """Return whether the domain is reserved and cannot receive mail.

    Source: RFC 2606 (``example.com``, ``.test``, ``.invalid`` …). Reported as a finding, not
    rejected: such addresses usually mean that a test file was used.
    """
    return _RESERVED.fullmatch(address, address.index("@")) is not None


_COMMENT = re.compile(r"\([^()@]*\)")
_QUOTED_NAME = re.compile(r'"[^"@]*"(?=\s*<)')
_GROUP = re.compile(r'[^@<>:;,"]{1,64}:(?=\s|<)')
_ANGLED = re.compile(r"<([^<>]*)>")
_WORD_SEPARATORS = re.compile(r"[\s,;()\[\]\"\u3001\uff0c\uff1b]+")
_TIGHT_SEPARATORS = re.compile(r"[/|&+\uff0f\uff5c]")
_NULL_ELEMENT = re.compile(r",\s*(?:NULL|null|None)\s*(?=,)")
_BETWEEN_PARTS = re.compile(r"[,;|\u060c\u3001\uff0c\uff1b]\s+|\s[/|]\s|[\n\r]+")
_TIGHT_BETWEEN = re.compile(r"[,;|\t\u060c\u3001\uff0c\uff1b]")
_PUNCTUATION = re.compile(r"[-*+/|&\u2013\u2014\u2022\u00b7]+")
_AT_SIGN_AFTER_CHARACTER = re.compile(r"[^\s@]@")
_EDGES = "/|&+"
_DIGEST = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_JOINING_WORDS = frozenset(
    {"and", "or", "und", "oder", "et", "ou", "y", "e", "o", "u", "og", "och", "en", "of", "i", "a"}
)
_UNICODE_AT_SIGNS = ("\uff20", "\ufe6b")  # an address in a name may have them


def split_mailboxes(text: str) -> list[str] | None:
    """Split a cell into addresses and hashes, or return ``None`` if it has anything else.

    Supported are lists separated by commas, semicolons, white space, slashes, bars or a word such
    as "and"; ``Name <address>`` with or without quotes and commas in the name; comments in
    parentheses; and groups (``Team: a@shop.de, b@shop.de;``). Any other word gives ``None``,
    because it may name another person.
    """
    if any(sign in text for sign in _UNICODE_AT_SIGNS):
        return None
    if text.count('"') % 2 and _QUOTE.search(text):
        return None  # ambiguous: which quotes form a pair?
    text = _QUOTED_NAME.sub(" ", _COMMENT.sub(" ", text)).strip()
    text = _without_braces(text)
    group = _GROUP.match(text)
    position = group.end() if group else 0
    addresses: list[str] = []
    for angled in _ANGLED.finditer(text, position):
        before = _addresses(
            text[position : angled.start()], after=bool(addresses), before_name=True
        )
        inner = _addresses(angled[1], after=False, before_name=False)
        if before is None or not inner:
            return None
        addresses += before + inner
        position = angled.end()
    rest = _addresses(text[position:], after=bool(addresses), before_name=False)
    return None if rest is None else addresses + rest


def _addresses(text: str, *, after: bool, before_name: bool) -> list[str] | None:
    """Return the addresses of a text without angle brackets, or ``None`` if it has other words.

    `after` says whether an address precedes the text; `before_name`, whether its last words are
    the display name of an address in angle brackets.
    """
    words = [word.strip(_EDGES) for word in _WORD_SEPARATORS.split(text)]
    words = [word for word in words if word and not _PUNCTUATION.fullmatch(word)]
    while before_name and words and "@" not in words[-1]:
        words.pop()
    addresses: list[str] = []
    for index, word in enumerate(words):
        if word.count("@") > 1:
            addresses += _TIGHT_SEPARATORS.split(word)
        elif "@" in word or _DIGEST.fullmatch(word):
            addresses.append(word)
        elif (
            word.lower() not in _JOINING_WORDS
            or index + 1 == len(words)
            or not (after or addresses)
        ):
            return None
    return addresses


def looks_like_list(text: str) -> bool:
    """Return whether a text has several at signs, each with a character before it."""
    return len(_AT_SIGN_AFTER_CHARACTER.findall(text)) > 1


def split_list(text: str) -> Iterator[list[str]]:
    """Yield possible splits of a text: at spaced separators, and after the first address."""
    text = _without_braces(text)
    yield [part.strip() for part in _BETWEEN_PARTS.split(text)]
    first, *rest = _TIGHT_BETWEEN.split(text, maxsplit=1)
    if rest and "@" in first:
        yield [first.strip(), rest[0].strip()]


def _without_braces(text: str) -> str:
    """Remove the braces and null elements of PostgreSQL and JavaScript arrays."""
    if text[:1] in "{[" and text[-1:] == {"{": "}", "[": "]"}.get(text[:1]):
        return _NULL_ELEMENT.sub(",", f",{text[1:-1]},").strip(",")
    return text
