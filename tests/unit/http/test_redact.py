"""Messages of the API are redacted before they are stored."""

from __future__ import annotations

import json
from urllib.parse import quote

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

from pinterest_audiences._http.requests import customer_list_create, customer_list_update
from pinterest_audiences._models import RecordRow
from pinterest_audiences._redaction import redact

pytestmark = pytest.mark.slow

SHA256 = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
SHA1 = "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8"
MD5 = "5f4dcc3b5aa765d61d8327deb882cf99"
MAID = "38400000-8cf0-11bd-b23e-10b96e40000d"


def body(*records: str) -> tuple[bytes, ...]:
    return customer_list_update(operation_type="ADD", records=records, records_v2=None)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Invalid: someone@example.com.", "Invalid: [e-mail]"),
        ("'Some.One+tag@Example.co.uk' is bad", "'[e-mail]' is bad"),
        ("<a@b.co>, (c@d.co)", "<[e-mail]>, ([e-mail])"),
        (f"bad hash {SHA256}!", "bad hash [hash]!"),
        (f"bad hash {SHA256.upper()}", "bad hash [hash]"),
        (f"bad hashes {SHA1}, {MD5}", "bad hashes [hash], [hash]"),
        (f"bad id {MAID}", "bad id [id]"),
        (f"bad id {MAID.upper()}", "bad id [id]"),
        ("Bearer abc.def is expired", "[token] is expired"),
        ("authorization: basic YWJjOmRlZg==", "authorization: [token]"),
        ("token pina_AbC-123=", "token [token]"),
        ("token pinr.eyJhbGciOi", "token [token]"),
        ("got eyJhbGciOi.eyJzdWIi.c2ln", "got [token]"),
        ("Invalid parameters.", "Invalid parameters."),
        ("GET https://user:secret@host/x failed", "GET https://[not shown] failed"),
        ("'https://user:12/secret@host/x'", "'https://[not shown]'"),
        ("https://user:12?secret@host", "https://[not shown]"),
        ("https://user:12#secret@host", "https://[not shown]"),
        ("https://user:pa:se,cr(et@host", "https://[not shown]"),
        ("https://user:pa@secret@host:8443/x", "https://[not shown]"),
        ("https://user:12/secret@host/mail@x", "https://[not shown]"),
        ("oracle://scott:1234/secret@host/db", "oracle://[not shown]"),
        ("s3://KEY:SECRET/+secret@bucket/x", "s3://[not shown]"),
        ("https://token@host", "https://[not shown]"),
        ("https://host:8443/path?x=1", "https://host:8443/path?x=1"),
        ("https://host/x wrong for ann@shop.de", "https://host/x wrong for [e-mail]"),
        (
            "'643' value must match the pattern: ^\\d+$",
            "'643' value must match the pattern: ^\\d+$",
        ),
        ("", ""),
    ],
)
def test_values_with_the_format_of_records_or_tokens_are_redacted(text: str, kept: str) -> None:
    """Also without knowledge of the request."""
    assert redact(text) == kept


LONG = "AEATRUIXABHSGAAAGAQ7OBVTZWLKPBACGSP3K4DM2YQXN6E5JRHCFUW2I"
TOKENS = (
    f"pina_{LONG}",
    f"pinr_{LONG}",
    f"pinc_{LONG}",
    f"pinz_{LONG}",
    "pinr.eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIx-Z_In0.c2ln-bmF0_XVyZQ==",
    "pinr.0f3c5b7a9d1e2f4a6b8c0d2e4f6a8b0c1d3e5f7a9b1c3d5e",
)
PARTS_OF_TOKENS = (f"pina_{LONG[:7]}", "pinr.eyJhbGc", "pina_SENTINELTOKEN", "pina_AbC-123=")
CONTEXTS = (
    "{}",
    "{}.csv",
    "{}…",
    "Invalid token {}.",
    "Invalid token '{}', log in",
    '{{"access_token": "{}", "expires_in": 1}}',
    "Authorization: Bearer {}",
    "x-token: {}",
    "access_token={}&scope=ads%3Aread",
    "https://host/?next=%2Fx%3Ftoken%3D{}%26a%3D1",
    "/v5/{}/x",
    "token_{} is not valid",
    "pins.{}",
    "pin_{}",
)


@each_case("token", (*TOKENS, *PARTS_OF_TOKENS))
@each_case("context", CONTEXTS)
def test_token_is_redacted_in_every_context(token: str, context: str) -> None:
    """Also a part of one, and encoded for a URL."""
    secret = token[5:10]
    for sent in (token, quote(token, safe=""), token.replace("_", "%5F").replace(".", "%2E")):
        assert secret not in redact(context.format(sent))


@each_case("token", TOKENS)
def test_long_token_is_redacted_after_an_escape_sequence(token: str) -> None:
    assert token[5:10] not in redact(rf"Invalid:\n{token}")
    assert token[5:10] not in redact(rf"a\u003d{token}")


@each_case(
    "name",
    [
        "pins.csv",
        "pin.csv",
        "pin_2024.csv",
        "pin.2024-01.csv",
        "pins_2024-01-31.csv.gz",
        "pint_sales.csv",
        "pink_customers_of_november_2024.parquet",
        "ping_CustomersNovember2024Germany.xlsx",
        "pint_20240131T120000Z.jsonl",
        "pinterest.audiences.csv",
        "pinterest_audiences.csv",
        "pina_colada.csv",
        "pina_Colada_2024.csv",
        "pina_2024-01.csv.gz",
        "pina_ColadaSales.tsv",
        "pinr_DE.csv",
        "pina.xlsx",
        "/data/pina_colada/customers.csv",
        "/data/pins_2024/pin_*.csv",
        "pina_2024*.csv",
        "s3://bucket/pins.v2/country=DE/pinr_eu.parquet",
        "pins_customers",
        "pin_code",
    ],
)
def test_name_of_a_file_or_a_list_is_no_token(name: str) -> None:
    assert redact(name) == name
    for text in (
        f"cannot read {name}: it is empty",
        f"cannot read '{name}'",
        f"cannot read {name}.",
    ):
        assert redact(text) == text


def test_redacted_message_is_one_printable_line() -> None:
    """A message cannot forge a log line or control a terminal."""
    assert redact("one\r\ntwo\x1b[31m\tthree\x00\u2028four") == "one two [31m three four"


def test_redacted_message_is_at_most_200_characters() -> None:
    """A truncated message ends with an ellipsis."""
    assert redact("x " * 100) == ("x " * 100).strip()
    long = redact("word " * 1000)
    assert len(long) == 200
    assert long.endswith("…")


def test_token_in_use_is_redacted_in_any_format() -> None:
    """Tokens of test servers have no known format."""
    assert redact("got (open sesame-seed)", token="sesame-seed") == "got (open [token])"


@pytest.mark.parametrize(
    "record",
    ["XY123456789", "Xi1234abcdEFGH", "abcd", "0123456789abcdef", "Ünïcödé99", "AB-12_c=d"],
)
@pytest.mark.parametrize(
    "message",
    [
        "Invalid record {}",
        "Invalid record '{}'.",
        'Invalid record "{}"!',
        "Record {}: invalid",
        "Records [{}, {}] are invalid",
        "({})",
        "{}",
    ],
)
def test_sent_record_of_any_format_is_redacted(record: str, message: str) -> None:
    """Another company's identifier may have any format."""
    assert record not in redact(message.format(record, record), body=body(record, "other@x.co"))


@pytest.mark.parametrize(
    "record", ["XY:1234:abcd", "XY;1234567", "(XY1234567)", "XY'1234567", "<XY12345>"]
)
@pytest.mark.parametrize("message", ["Invalid record {}", "Invalid records: {}, {}."])
def test_sent_record_with_punctuation_is_redacted(record: str, message: str) -> None:
    """Records may contain everything but commas, quotes and whitespace."""
    assert record.strip("()<>") not in redact(message.format(record, record), body=body(record))


@pytest.mark.parametrize(
    "message", ["record={}", "`{}`", "id/{}/x", "record:{}", "{}…", "*{}*", "{}|{}"]
)
def test_sent_record_is_redacted_next_to_any_character(message: str) -> None:
    assert "XYZ123abc" not in redact(
        message.format("XYZ123abc", "XYZ123abc"), body=body("XYZ123abc")
    )


@pytest.mark.parametrize(
    ("row", "secret"),
    [
        (RecordRow(external_id="customer no. 4711-A"), "4711-A"),
        (RecordRow(external_id="Müllerstraße"), "Müllerstraße"),
        (RecordRow(external_id="customer  no.  4711-B"), "4711-B"),
        (RecordRow(external_id="customer\u00a04711-C"), "4711-C"),
        (RecordRow(ip_address="203.0.113.77"), "203.0.113.77"),
        (RecordRow(ip_address="2001:db8::7:1"), "2001:db8::7:1"),
        (RecordRow(user_agent="OddBrowser/7.31"), "OddBrowser/7.31"),
        (RecordRow(liveramp_envelope="QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "QWxhZGRpbjpvcGVuIHNlc2FtZQ"),
    ],
)
def test_sent_row_values_are_redacted(row: RecordRow, secret: str) -> None:
    """Also with JSON escapes."""
    sent = customer_list_create(
        name="Spring", list_type="EMAIL", is_nca=None, records=None, records_v2=[row]
    )
    (value,) = (text for text in attrs.astuple(row) if text)
    assert secret not in redact(f"Invalid row: {value}", body=sent)


def test_record_that_starts_with_another_is_redacted_completely() -> None:
    sent = body("abcd", "abcdefgh", "ghabcdxy")
    assert redact("Invalid: abcdefgh ghabcdxy", body=sent) == "Invalid: [sent] [sent]"


def test_short_records_are_not_redacted_inside_words() -> None:
    """Three letters occur in many words."""
    sent = customer_list_create(
        name="Ads", list_type="EMAIL", is_nca=True, records=["par", "amet"], records_v2=None
    )
    assert redact("Invalid parameters: True", body=sent) == "Invalid par[sent]ers: True"


def test_words_of_the_api_are_not_redacted() -> None:
    """Only the caller's values are."""
    message = "'records' with operation_type REMOVE and list_type: true is not a name"
    assert redact(message, body=body("XYZ123abc")) == message


@given(st.integers(1, 3000))
def test_record_truncated_with_the_message_is_redacted(filler: int) -> None:
    envelope = "QWxhZGRpbjpvcGVuIHNlc2FtZQ" * 80
    sent = customer_list_create(
        name="Spring",
        list_type="EMAIL",
        is_nca=None,
        records=None,
        records_v2=[RecordRow(liveramp_envelope=envelope)],
    )
    text = "-" * filler + f" {envelope}" * 6
    assert "QWxh" not in redact(text, body=sent)
    assert "QWxh" not in redact(text, token=envelope)


def test_message_about_a_full_batch_stays_readable() -> None:
    """Its body is longer than any message; the records are redacted anyway."""
    records = [f"record-{number:057}" for number in range(10_000)]
    message = f"Customer list not found: {records[17]}"
    assert redact(message, body=body(*records)) == "Customer list not found: [sent]"


@pytest.mark.parametrize("value", ["\0\0\0\0", "x" * 10_001, "a\n\n\nb"])
def test_value_without_printable_characters_changes_nothing(value: str) -> None:
    """An empty string is in every text."""
    sent = (json.dumps({"name": value}).encode(),)
    assert redact("Customer list not found: a b", body=sent) == "Customer list not found: a b"


def test_list_of_records_is_redacted_completely() -> None:
    """The usual message lists every invalid record."""
    many = [f"{number:064x}" for number in range(10**76, 10**76 + 40)]
    kept = redact("Invalid: " + ", ".join(many), body=body(*many))
    assert kept.replace("[sent]", "").strip(" ,…") == "Invalid:"


bodies = st.lists(st.binary(max_size=99), max_size=3).map(tuple)


@given(st.text(max_size=2000), st.text(max_size=20), bodies)
def test_any_text_is_redacted_to_one_short_line(
    text: str, token: str, sent: tuple[bytes, ...]
) -> None:
    kept = redact(text, token=token, body=sent)
    assert len(kept) <= 200
    assert kept.isprintable()
