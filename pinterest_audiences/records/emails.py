"""What an e-mail address is, for a customer list.

Pinterest's description says: "Emails must be lowercase and can be plain text or hashed using SHA1,
SHA256, or MD5". All else is a choice of this package, made so that nobody's address is changed
into another one: dots and plus tags of Gmail are **not** folded, because Pinterest does not say
that it folds them; letters outside ASCII are lower-cased and kept.
"""

from __future__ import annotations

import re

from pinterest_audiences.records.reasons import RejectReason
from pinterest_audiences.records.text import trim

__all__ = [
    "RUBBISH_WORDS",
    "check_email",
    "has_reserved_domain",
    "normalise_email",
    "placeholder_emails",
]

_LONGEST_ADDRESS = 254  # octets: RFC 5321, 4.5.3.1.3, less the angle brackets
_LONGEST_LOCAL_PART = 64  # octets: RFC 5321, 4.5.3.1.1
_LONGEST_LABEL = 63  # RFC 1035, 2.3.4
_FORBIDDEN = re.compile(r'[,;:"\\()<>\[\]]')  # "specials" of RFC 5322, 3.2.3, less "@" and "."
_DOMAIN_CHARACTERS = re.compile(r"[a-z0-9.\-\u0080-\U0010ffff]*")

# Words that people and forms write where an address is asked for.
_NO_ADDRESS = frozenset(
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
RUBBISH_WORDS = _NO_ADDRESS | _SAME_ON_BOTH_SIDES | _TEST_WORDS
"""Local parts that may make an address a placeholder."""

_RESERVED = re.compile(
    r"@.*(?:(?<=[@.])example\.(?:com|net|org)|\.(?:test|example|invalid|localhost))"
)


def normalise_email(text: str) -> str:
    """Trim an address and lower it.

    Taken off: white space and invisible characters, ``mailto:`` with what follows a ``?``, and
    the name and angle brackets of an address book (``Ann <ann@shop.de>``).

    Source: lower case is Pinterest's rule; trimming is what every connector does.

    Example:
        >>> normalise_email(" Ann <mailto:Ann@Shop.de> ")
        'ann@shop.de'
    """
    text = trim(text)
    if text.endswith(">") and "<" in text:
        text = trim(text[text.rindex("<") + 1 : -1])
    if text[:7].lower() == "mailto:":
        text = trim(text[7:].partition("?")[0])
    return text.lower()


def check_email(address: str) -> RejectReason | None:  # noqa: PLR0911 - one line a rule
    """Tell what is wrong with a normalised address, by its structure only.

    The local part may hold any letter and any dots: mailboxes such as ``a..b.@carrier.ne.jp``
    exist. The domain has to be one that mail can be sent to.

    Source: lengths and letters of RFC 5321, 5322 and 1035; the comma is Pinterest's separator.
    """
    if "@" not in address:
        return RejectReason.NO_AT_SIGN
    if address.count("@") > 1:
        return RejectReason.SEVERAL_AT_SIGNS
    if _FORBIDDEN.search(address):
        return RejectReason.FORBIDDEN_CHARACTER
    if len(address.encode()) > _LONGEST_ADDRESS:
        return RejectReason.TOO_LONG
    local, _, domain = address.partition("@")
    if not local:
        return RejectReason.NO_LOCAL_PART
    if len(local.encode()) > _LONGEST_LOCAL_PART:
        return RejectReason.LOCAL_PART_TOO_LONG
    if "." not in domain:
        return RejectReason.DOMAIN_WITHOUT_DOT if domain else RejectReason.BAD_DOMAIN
    if not _is_domain(domain):
        return RejectReason.BAD_DOMAIN
    if local in RUBBISH_WORDS and _is_placeholder(local, domain):
        return RejectReason.PLACEHOLDER
    return None


def has_reserved_domain(address: str) -> bool:
    """Tell whether mail to this address can never arrive.

    Source: RFC 2606 (``example.com``, ``.test``, ``.invalid`` …). Reported as a finding, not
    rejected: such addresses mostly mean that a test file was taken.
    """
    return _RESERVED.fullmatch(address, address.index("@")) is not None


def placeholder_emails() -> list[str]:
    """Return addresses that stand for no customer, to know their hashes by."""
    words = sorted(_SAME_ON_BOTH_SIDES)
    same = [f"{word}@{word}.com" for word in words]
    return [
        *same,
        *(f"{word}@{domain}" for word in sorted(_TEST_WORDS) for domain in _TEST_DOMAINS),
    ]


def _is_domain(domain: str) -> bool:
    labels = domain.split(".")
    if not _DOMAIN_CHARACTERS.fullmatch(domain) or len(labels[-1]) < 2:  # noqa: PLR2004 - no such top level
        return False
    if labels[-1].isdigit():
        return False  # the last label of a host name is not a number: RFC 3696, 2
    return all(
        label and len(label) <= _LONGEST_LABEL and label[0] != "-" and label[-1] != "-"
        for label in labels
    )


def _is_placeholder(local: str, domain: str) -> bool:
    if local in _NO_ADDRESS:
        return True
    if local in _SAME_ON_BOTH_SIDES and domain.partition(".")[0] == local:
        return True
    return local in _TEST_WORDS and domain in _TEST_DOMAINS
