"""One rule for each kind of identifier: normalise, check, hash.

This is the plain, readable path: one value in, a record or a reason out. The block-wise path of
`blocks` gives the same results, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import ip_address
from typing import Literal, TypeAlias

from attrs import frozen

from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.models import OpenEnum
from pinterest_audiences.records import emails
from pinterest_audiences.records.hashing import (
    HashAlgorithm,
    algorithm_of,
    hash_function,
    known_algorithm,
    worthless_digests,
)
from pinterest_audiences.records.reasons import Note, RejectReason
from pinterest_audiences.records.text import as_text, fault_inside, trim

__all__ = [
    "COLUMN_RULES",
    "KIND_RULES",
    "Form",
    "Identified",
    "IdentifierKind",
    "Outcome",
    "PhoneForm",
    "Rules",
    "identify",
    "known_kind",
    "make_rules",
    "worthless",
]

PhoneForm: TypeAlias = Literal["e164", "digits"]
IdfaCase: TypeAlias = Literal["lower", "upper"]

_MOBILE_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ALL_ZERO = re.compile(r"[0-]+")
_PHONE_PUNCTUATION = re.compile(r"[ \u00a0\u202f.\-/()\u2010-\u2013]")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164: at most 15 digits; no country code is 0
_NOT_IN_OPAQUE_IDS = re.compile(r'[,"\\]')
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]+={0,2}")  # both alphabets of RFC 4648
_UNDASHED_ID_LENGTH = 32
_LONGEST_OPAQUE_ID = 512  # a cap of this package; Pinterest names none


class IdentifierKind(OpenEnum):
    """What the records of a list are made from."""

    EMAIL = "email"
    MAID = "maid"
    IDFA = "idfa"
    HASHED_PINNER_ID = "hashed_pinner_id"
    LR_ID = "lr_id"
    DLX_ID = "dlx_id"


Form: TypeAlias = HashAlgorithm | Literal["plain"]
"""How a value came: hashed by an algorithm, or plain."""


@frozen(repr=False)
class Identified:
    """A value that became a record.

    Attributes:
        record: What is sent.
        form: How the value came.
        note: What is worth knowing about it.
    """

    record: str
    form: Form
    note: Note | None = None

    def __repr__(self) -> str:
        return f"Identified(form={str(self.form)!r}, note={self.note!r})"


@frozen
class Rules:
    """The choices that the rules leave open; see :func:`make_rules`."""

    algorithm: HashAlgorithm = HashAlgorithm.SHA256
    plain_emails: bool = False
    idfa_case: IdfaCase = "lower"
    phone_form: PhoneForm | None = None

    def hash(self, text: str) -> str:
        """Hash a normalised value."""
        return hash_function(self.algorithm)(text.encode()).hexdigest()


Outcome: TypeAlias = Identified | RejectReason
Rule: TypeAlias = Callable[[str, Rules], Outcome]


def make_rules(
    *,
    algorithm: HashAlgorithm | str = HashAlgorithm.SHA256,
    plain_emails: bool = False,
    idfa_case: str = "lower",
    phone_form: str | None = None,
) -> Rules:
    """Check the choices and keep them together.

    Args:
        algorithm: By which plain values are hashed.
        plain_emails: Send plain e-mails plain, normalised but not hashed.
        idfa_case: How an IDFA is written before hashing, ``lower`` or ``upper``. Pinterest does
            not say; Apple writes upper case, connectors hash lower case.
        phone_form: How a phone number is written before hashing: ``e164`` (with the ``+``) or
            ``digits`` (without it). Pinterest does not say, so there is no default: without a
            choice, only hashed numbers are taken.

    Raises:
        ConfigurationError: A choice is none of those.
    """
    if plain_emails is not True and plain_emails is not False:
        raise ConfigurationError("plain_emails: True or False is needed")
    if idfa_case not in {"lower", "upper"}:
        raise ConfigurationError("idfa_case: 'lower' or 'upper' is needed")
    if phone_form not in {None, "e164", "digits"}:
        raise ConfigurationError("phone_form: 'e164', 'digits' or None is needed")
    return Rules(
        algorithm=known_algorithm(algorithm),
        plain_emails=plain_emails,
        idfa_case="upper" if idfa_case == "upper" else "lower",
        phone_form=None if phone_form is None else "e164" if phone_form == "e164" else "digits",
    )


def known_kind(kind: object) -> IdentifierKind:
    """Return the kind for an argument.

    Raises:
        ConfigurationError: There is no such kind of list.
    """
    member = IdentifierKind(kind.lower()) if isinstance(kind, str) else None
    if member is not None and member.is_known:
        return member
    phone = member is not None and member in {"phone", "hashed_phone_number"}
    hint = "; phone numbers go only into rows: use prepare_rows" if phone else ""
    raise ConfigurationError(f"kind: one of {', '.join(IdentifierKind)} is needed{hint}")


def identify(value: object, rule: Rule, rules: Rules) -> Outcome:
    """Make a record of one value, or tell why there is none."""
    text = as_text(value)
    return text if isinstance(text, RejectReason) else rule(text, rules)


@cache
def worthless() -> Mapping[str, RejectReason]:
    """Return the digests of nothing, of placeholders and of all-zero ids."""
    rubbish = dict.fromkeys(emails.placeholder_emails(), RejectReason.HASH_OF_PLACEHOLDER)
    rubbish["00000000-0000-0000-0000-000000000000"] = RejectReason.HASH_OF_PLACEHOLDER
    zeros = {"0" * length: RejectReason.HASH_OF_PLACEHOLDER for length in (32, 40, 64)}
    nothing = ("", " ", "null", "NULL", "none", "None", "nan", "NaN", "n/a", "undefined")
    rubbish.update(dict.fromkeys(nothing, RejectReason.HASH_OF_NOTHING))
    return worthless_digests(rubbish) | zeros


def email(text: str, rules: Rules) -> Outcome:
    """E-mail: normalised, checked and hashed as `emails` says; a hash is kept.

    Source: "Emails must be lowercase and can be plain text or hashed" (Pinterest's description).
    """
    address = emails.normalise_email(text)
    if not address:
        return RejectReason.EMPTY
    done = _already_hashed(trim(text))
    if done is not None:
        return done
    fault = fault_inside(address) if address.count("@") == 1 else _fault_of_no_address(address)
    fault = fault or emails.check_email(address)
    if fault is not None:
        return fault
    note = Note.RESERVED_DOMAIN if emails.has_reserved_domain(address) else None
    return Identified(address if rules.plain_emails else rules.hash(address), "plain", note)


def maid(text: str, rules: Rules) -> Outcome:
    """Mobile advertising id (Android): 8-4-4-4-12 hexadecimal digits, lower-cased, hashed.

    Source: "MAIDs and IDFAs must be hashed" (Pinterest's description, ``records``); the rows of
    5.28 would take it plain, and hashing is right in both. Lower case: Tealium's Pinterest guide.
    32 digits without dashes cannot be told from an MD5: they are kept as one, and noted.
    """
    return _mobile_id(text, rules, str.lower)


def idfa(text: str, rules: Rules) -> Outcome:
    """Apple's id for advertisers: as a MAID, in the case that ``idfa_case`` says.

    Source: "MAIDs and IDFAs must be hashed" (Pinterest's description). The case before hashing is
    not documented: ``lower`` is what connectors do, ``upper`` is how Apple writes it.
    """
    return _mobile_id(text, rules, str.upper if rules.idfa_case == "upper" else str.lower)


def phone(text: str, rules: Rules) -> Outcome:
    """Phone number: international form, without punctuation, hashed.

    A leading ``00`` is read as ``+``; ``(0)`` is dropped. A national number is rejected, because
    its country would be a guess. Whether the ``+`` is hashed is the choice of ``phone_form``.

    Source: "hashed_phone_number" takes hashes only (Pinterest's description, 5.28); the form
    before hashing is not documented; E.164 is what other platforms ask for.
    """
    number = trim(text)
    if number[:4].lower() == "tel:":
        number = trim(number[4:])
    if not number:
        return RejectReason.EMPTY
    done = _already_hashed(number)
    if done is not None:
        return done
    if rules.phone_form is None:
        return RejectReason.PHONE_FORM_NOT_CHOSEN
    number = _PHONE_PUNCTUATION.sub("", number.replace("(0)", ""))
    if number.startswith("00") and number.strip("0"):
        number = "+" + number[2:]
    if number.isascii() and number.isdigit() and number.strip("0"):
        return RejectReason.PHONE_WITHOUT_COUNTRY_CODE
    if not _PHONE.fullmatch(number):
        return RejectReason.NOT_A_PHONE_NUMBER
    return Identified(rules.hash(number if rules.phone_form == "e164" else number[1:]), "plain")


def hashed_only(text: str, _rules: Rules) -> Outcome:
    """Hashed Pinner id: a hash made by Pinterest; there is no plain form.

    Source: "hashed_pinner_id … hashed" (Pinterest's description, 5.28).
    """
    digest = trim(text)
    if not digest:
        return RejectReason.EMPTY
    return _already_hashed(digest) or RejectReason.NOT_A_HASH


def opaque_id(text: str, _rules: Rules) -> Outcome:
    """LiveRamp id and Data Axle id: trimmed, case kept, sent as it is.

    Source: list types LR_ID and DLX_ID (Pinterest's description), which says nothing of their
    form; so only what cannot be sent in a comma-separated string is rejected.
    """
    value = trim(text)
    if not value:
        return RejectReason.EMPTY
    if len(value) > _LONGEST_OPAQUE_ID:
        return RejectReason.TOO_LONG
    fault = fault_inside(value)
    if fault is None and _NOT_IN_OPAQUE_IDS.search(value):
        fault = RejectReason.FORBIDDEN_CHARACTER
    return fault or Identified(value, "plain")


def free_text(text: str, _rules: Rules) -> Outcome:
    """External id and user agent: trimmed, sent as it is; may hold spaces and punctuation.

    Source: "external_id", "user_agent": not hashed (Pinterest's description, 5.28).
    """
    value = trim(text)
    if not value:
        return RejectReason.EMPTY
    return fault_inside(value, spaces=True) or Identified(value, "plain")


def ip(text: str, _rules: Rules) -> Outcome:
    """IP address, version 4 or 6, in its canonical form; unspecified and loopback are rubbish.

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
        return RejectReason.NOT_AN_IP_ADDRESS  # a zone is a machine's own business
    if address.is_unspecified or address.is_loopback:
        return RejectReason.PLACEHOLDER
    return Identified(str(address), "plain")


def envelope(text: str, _rules: Rules) -> Outcome:
    """LiveRamp envelope: Base64, sent as it is.

    Source: "liveramp_envelope … Base64, not hashed" (Pinterest's description, 5.28).
    """
    value = trim(text)
    if not value:
        return RejectReason.EMPTY
    if not _BASE64.fullmatch(value):
        return RejectReason.NOT_BASE64
    return Identified(value, "plain")


def _already_hashed(text: str) -> Outcome | None:
    algorithm = algorithm_of(text)
    if algorithm is None or isinstance(algorithm, RejectReason):
        return algorithm
    digest = text.lower()
    reason = worthless().get(digest)
    if reason is not None:
        return reason
    return Identified(digest, algorithm, None if digest == text else Note.UPPER_CASE_HASH)


def _fault_of_no_address(text: str) -> RejectReason | None:
    # "No @" says more than "a space inside"; but what cannot be encoded must be named first.
    fault = fault_inside(text)
    return None if fault is RejectReason.SPACE_INSIDE else fault


def _mobile_id(text: str, rules: Rules, case: Callable[[str], str]) -> Outcome:
    value = trim(text)
    if not value:
        return RejectReason.EMPTY
    if _MOBILE_ID.fullmatch(value):
        if _ALL_ZERO.fullmatch(value):
            return RejectReason.ALL_ZERO_ID
        return Identified(rules.hash(case(value)), "plain")
    if len(value) == _UNDASHED_ID_LENGTH and not value.strip("0"):
        return RejectReason.ALL_ZERO_ID
    done = _already_hashed(value)
    if isinstance(done, Identified) and done.form == HashAlgorithm.MD5 and done.note is None:
        return Identified(done.record, done.form, Note.MAYBE_UNDASHED_ID)
    return done or fault_inside(value) or RejectReason.NOT_A_MOBILE_ID


KIND_RULES: Mapping[IdentifierKind, Rule] = {
    IdentifierKind.EMAIL: email,
    IdentifierKind.MAID: maid,
    IdentifierKind.IDFA: idfa,
    IdentifierKind.HASHED_PINNER_ID: hashed_only,
    IdentifierKind.LR_ID: opaque_id,
    IdentifierKind.DLX_ID: opaque_id,
}
"""By which rule a value of each kind becomes a record."""

COLUMN_RULES: Mapping[str, Rule] = {
    "email": email,
    "maid": maid,
    "hashed_phone_number": phone,
    "hashed_pinner_id": hashed_only,
    "external_id": free_text,
    "ip_address": ip,
    "user_agent": free_text,
    "liveramp_envelope": envelope,
}
"""By which rule a cell of each column of a row (``records_v2``) is made."""
