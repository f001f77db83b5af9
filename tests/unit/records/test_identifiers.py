"""Values of other types than text, and the choices for phone numbers."""

from __future__ import annotations

import sys
from decimal import Decimal
from hashlib import md5, sha1, sha256, sha512

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

from pinterest_audiences import ConfigurationError, IdentifierType, RecordRow, prepare, prepare_rows
from pinterest_audiences._records.chunks import RejectReason
from pinterest_audiences._records.phones import to_e164

ANN = b"ann@shop.de"
NUMBER = "41441234567"


def row_of(**cells: object) -> tuple[RecordRow | None, list[str]]:
    """Return the row of some cells, and why the cells that are missing were left out."""
    prepared = prepare_rows([cells], columns=list(cells))
    rows = [row for chunk in prepared for row in chunk]
    report = prepared.report
    details = [finding.detail for finding in report.findings]
    return (rows[0] if rows else None), details + [str(reason) for reason in report.rejects]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5550002, "5550002"),
        (Decimal(5550002), "5550002"),
        (Decimal("5550002.00"), "5550002"),
        (2**63, str(2**63)),
        ("'5550001", "5550001"),
        ('="0001"', "0001"),
    ],
)
def test_external_id_that_is_a_number_is_sent_as_its_digits(value: object, expected: str) -> None:
    """As databases and spreadsheets hand them out."""
    row, _ = row_of(email="ann@shop.de", external_id=value)
    assert row is not None
    assert row.external_id == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (5550002.0, "decimal_number"),
        (5.5, "decimal_number"),
        (Decimal("5.5"), "decimal_number"),
        ("5550001.0", "decimal_number"),
        ("5.55E+09", "decimal_number"),
        (True, "not_text"),
        (10**80, "too_long"),
        (b"\xff" * 16, "not_text"),
    ],
)
def test_external_id_that_a_number_column_changed_is_left_out_and_counted(
    value: object, reason: str
) -> None:
    """Never a wrong id: the row keeps its e-mail."""
    row, reasons = row_of(email="ann@shop.de", external_id=value)
    assert row is not None
    assert (row.external_id, reasons) == (None, [reason])


@pytest.mark.parametrize("value", [None, float("nan"), Decimal("NaN")])
def test_missing_number_is_an_empty_cell(value: object) -> None:
    """It is neither a fault nor an id."""
    row, reasons = row_of(email="ann@shop.de", external_id=value)
    assert row is not None
    assert (row.external_id, reasons) == (None, [])


@pytest.mark.parametrize("value", [int(NUMBER), Decimal(NUMBER), float(NUMBER), f"{NUMBER}.0"])
def test_phone_that_is_a_number_is_never_hashed_without_its_country(value: object) -> None:
    """A number column has lost the plus: whose digits come first is not known."""
    row, reasons = row_of(email="ann@shop.de", hashed_phone_number=value)
    assert row is not None
    assert row.hashed_phone_number is None
    assert len(reasons) == 1


@each_case("kind", ["email", "maid", "idfa", "hashed_pinner_id"])
@each_case("make", [bytes, bytearray, memoryview])
@each_case("function", [sha256, sha1, md5])
def test_digest_as_bytes_is_unchanged(kind: str, make: type, function: type) -> None:
    """As BINARY and BYTEA columns hand them out, and as hexadecimal digits in bytes."""
    digest = function(ANN)
    values = [make(digest.digest()), make(digest.hexdigest().encode())]
    assert list(prepare(values, IdentifierType(kind))) == [[digest.hexdigest()] * 2]


@pytest.mark.parametrize("value", [ANN, b"ann.lee1@shop.de", "m\u00fcller1@shop.de".encode()])
@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_email_as_bytes_is_read_as_utf8(make: type, value: bytes) -> None:
    """As BLOB columns hold it; an address of 16 bytes is not a digest."""
    assert list(prepare([{"email": make(value)}], plain_emails=True)) == [[value.decode()]]


@pytest.mark.parametrize(("value", "reason"), [(b"\xff" * 19, "not_text"), (b"", "empty")])
def test_other_bytes_are_rejects(value: bytes, reason: str) -> None:
    """They are neither a digest nor UTF-8."""
    assert prepare([{"email": value}]).run().rejects == {reason: 1}


def test_digest_of_another_algorithm_as_bytes_is_named() -> None:
    """It is not taken for one that Pinterest knows."""
    report = prepare([{"email": sha512(ANN).digest()}]).run()
    assert report.rejects == {"unsupported_hash": 1}


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.booleans())
def test_international_form_of_every_country_is_read(region: str, spaces: bool) -> None:
    """An example of each country's fixed and mobile numbers, as phonenumbers writes them."""
    form = phonenumbers.PhoneNumberFormat
    for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
        number = phonenumbers.example_number_for_type(region, kind)
        if number is None:
            continue
        right = phonenumbers.format_number(number, form.E164)
        written = phonenumbers.format_number(number, form.INTERNATIONAL) if spaces else right
        assert to_e164(written, None) == right
        assert to_e164(written.replace("+", "00", 1), None) == right


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_trunk_prefix_after_the_country_code_is_rejected(region: str) -> None:
    """Wherever a 0, or another digit, stands before national numbers only."""
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    prefix = metadata and metadata.national_prefix
    if number is None or not prefix:
        return
    right = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    code = f"+{number.country_code}"
    outcome = to_e164(f"{code} {prefix} {right[len(code) :]}", None)
    assert outcome in {RejectReason.PHONE_TRUNK_PREFIX, RejectReason.NOT_A_PHONE_NUMBER}


def test_national_number_is_read_with_its_region_only() -> None:
    """By the library phonenumbers; in both forms."""
    national = [{"hashed_phone_number": "044 123 45 67"}]
    for form, text in (("digits", NUMBER), ("e164", f"+{NUMBER}")):
        [[row]] = prepare_rows(national, phone_region="ch", phone_form=form)  # type: ignore[arg-type]  # one of both
        assert row.hashed_phone_number == sha256(text.encode()).hexdigest()
    report = prepare_rows(national).run()
    assert report.rejects == {"phone_without_country_code": 1}


@pytest.mark.parametrize("region", ["XX", "", "Germany", "049", 49, "DEU"])
def test_unknown_region_is_a_configuration_error(region: object) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigurationError, match="phone_region must be"):
        prepare_rows([], phone_region=region)  # type: ignore[arg-type]  # on purpose


def test_region_without_the_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other number needs it."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(ConfigurationError, match=r"\[phone\]"):
        prepare_rows([], phone_region="DE")
    [[row]] = prepare_rows([{"hashed_phone_number": f"+{NUMBER}"}])
    assert row.hashed_phone_number == sha256(NUMBER.encode()).hexdigest()


PHONE_TYPES = [phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE]


def written_numbers(region: str, ending: str) -> list[tuple[str, str]]:
    """Return numbers of a region as their calling code and what follows it."""
    found: list[tuple[str, str]] = []
    for kind in PHONE_TYPES:
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None:
            continue
        code = str(example.country_code)
        digits = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        national = digits[1 + len(code) :]
        national = national[: -len(ending)] + ending if ending else national
        if phonenumbers.is_valid_number(phonenumbers.parse(f"+{code}{national}")):
            found.append((code, national))
    return found


@given(
    st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)),
    st.text("0123456789", max_size=6),
    st.sampled_from(["{}{}", "{} {}", "({}) {}", "'{}{}"]),
)
def test_country_code_without_plus_is_not_added_twice(region: str, ending: str, form: str) -> None:
    """The number of the right person, or a reject: in every region, as text and as integer."""
    for code, national in written_numbers(region, ending):
        right = f"+{code}{national}"
        outcome = to_e164(form.format(code, national).lstrip("'"), region)
        assert outcome in {right, RejectReason.AMBIGUOUS_COUNTRY_CODE}
        assert to_e164(right, region) == right
        row = next(
            iter(
                prepare_rows(
                    [{"p": int(code + national), "external_id": "x1"}],
                    columns={"hashed_phone_number": "p", "external_id": "external_id"},
                    phone_region=region,
                )
            )
        )[0]
        assert row.hashed_phone_number in {None, sha256(right[1:].encode()).hexdigest()}


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.text("0123456789", max_size=6))
def test_national_number_of_any_region_is_read_or_rejected(region: str, ending: str) -> None:
    """In the national notation it is read; without the national prefix it may be rejected."""
    for code, national in written_numbers(region, ending):
        number = phonenumbers.parse(f"+{code}{national}")
        if phonenumbers.region_code_for_number(number) != region:
            continue
        assert to_e164(national, region) in {
            f"+{code}{national}",
            RejectReason.AMBIGUOUS_COUNTRY_CODE,
        }


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("4915112345678", "DE", "+4915112345678"),
        ("4917612345678", "DE", "+4917612345678"),
        ("49 30 1234567", "DE", "+49301234567"),
        ("6281234567890", "ID", "+6281234567890"),
        ("15112345678", "DE", "+4915112345678"),
        ("015112345678", "DE", "+4915112345678"),
        ("4155552671", "US", "+14155552671"),
        ("3232345678", "US", "+13232345678"),  # as the United States write numbers; Belgium's too
        ("393471234567", "IT", "+393471234567"),
        ("15123456789", "DE", "ambiguous_country_code"),  # of Texas, or of Germany without its 0
        ("436641234567", "DE", "ambiguous_country_code"),
        ("+2101234567", "DE", "not_a_phone_number"),  # not a country code
        ("+0151 12345678", "DE", "not_a_phone_number"),
    ],
)
def test_first_digits_that_may_be_a_country_code(number: str, region: str, expected: str) -> None:
    """Read where only one reading is likely, else rejected with a reason."""
    assert to_e164(number, region) == expected
