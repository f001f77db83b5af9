"""What Pinterest says is cleaned before it is kept."""

from __future__ import annotations

import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinterest_audiences._wire.bodies import create_body, update_body
from pinterest_audiences._wire.redact import redact
from pinterest_audiences.models import RecordRow

SHA256 = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
SHA1 = "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8"
MD5 = "5f4dcc3b5aa765d61d8327deb882cf99"
MAID = "38400000-8cf0-11bd-b23e-10b96e40000d"


def body(*records: str) -> tuple[bytes, ...]:
    return update_body(operation_type="ADD", records=records, records_v2=None)


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
        (
            "'643' value must match the pattern: ^\\d+$",
            "'643' value must match the pattern: ^\\d+$",
        ),
        ("", ""),
    ],
)
def test_records_and_tokens_are_known_by_their_shapes(text: str, kept: str) -> None:
    """Also where it is not known what was sent."""
    assert redact(text) == kept


def test_what_is_left_is_one_line() -> None:
    """A message cannot forge another line of a log, or steer a terminal."""
    assert redact("one\r\ntwo\x1b[31m\tthree\x00\u2028four") == "one two [31m three four"


def test_what_is_left_is_short() -> None:
    """At most 200 characters, the last of which then says that there was more."""
    assert redact("x " * 100) == ("x " * 100).strip()
    long = redact("word " * 1000)
    assert len(long) == 200
    assert long.endswith("…")


def test_the_token_in_use_is_taken_out_whatever_it_looks_like() -> None:
    """The tokens of a test server have no shape."""
    assert redact("got (open sesame)", token="sesame") == "got (open [token])"


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
def test_a_record_of_any_shape_is_known_by_having_been_sent(record: str, message: str) -> None:
    """An identity of another company may look like anything."""
    assert record not in redact(message.format(record, record), body=body(record, "other@x.co"))


@pytest.mark.parametrize(
    "record", ["XY:1234:abcd", "XY;1234567", "(XY1234567)", "XY'1234567", "<XY12345>"]
)
@pytest.mark.parametrize("message", ["Invalid record {}", "Invalid records: {}, {}."])
def test_a_record_with_punctuation_is_known_too(record: str, message: str) -> None:
    """Everything but commas, quotes and white space may be in a record."""
    assert record.strip("()<>") not in redact(message.format(record, record), body=body(record))


@pytest.mark.parametrize(
    "message", ["record={}", "`{}`", "id/{}/x", "record:{}", "{}…", "*{}*", "{}|{}"]
)
def test_a_record_is_known_whatever_stands_beside_it(message: str) -> None:
    """A server may quote it in any way."""
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
def test_the_columns_of_a_row_are_known_too(row: RecordRow, secret: str) -> None:
    """Whatever JSON made of them on the wire."""
    sent = create_body(
        name="Spring", list_type="EMAIL", is_nca=None, records=None, records_v2=[row]
    )
    (value,) = (text for text in attrs.astuple(row) if text)
    assert secret not in redact(f"Invalid row: {value}", body=sent)


def test_a_record_that_begins_with_another_is_taken_out_whole() -> None:
    """Taking out the shorter one first would leave the rest of the longer."""
    sent = body("abcd", "abcdefgh", "ghabcdxy")
    assert redact("Invalid: abcdefgh ghabcdxy", body=sent) == "Invalid: [sent] [sent]"


def test_what_is_too_short_to_be_known_spoils_no_word() -> None:
    """A record of three letters is in many words that are nobody's."""
    sent = create_body(
        name="Ads", list_type="EMAIL", is_nca=True, records=["par", "amet"], records_v2=None
    )
    assert redact("Invalid parameters: True", body=sent) == "Invalid par[sent]ers: True"


def test_the_words_of_the_api_stay_readable() -> None:
    """Only what the caller brought is taken out."""
    told = "'records' with operation_type REMOVE and list_type: true is not a name"
    assert redact(told, body=body("XYZ123abc")) == told


@given(st.integers(1, 3000))
def test_a_record_that_is_cut_in_the_middle_leaves_no_half(filler: int) -> None:
    """A very long message is cut; what is left of its last record must not be told either."""
    envelope = "QWxhZGRpbjpvcGVuIHNlc2FtZQ" * 80
    sent = create_body(
        name="Spring",
        list_type="EMAIL",
        is_nca=None,
        records=None,
        records_v2=[RecordRow(liveramp_envelope=envelope)],
    )
    text = "-" * filler + f" {envelope}" * 6
    assert "QWxh" not in redact(text, body=sent)
    assert "QWxh" not in redact(text, token=envelope)


def test_the_message_about_a_full_batch_stays_readable() -> None:
    """Its body is longer than any message; the records are taken out all the same."""
    records = [f"record-{number:057}" for number in range(10_000)]
    told = f"Customer list not found: {records[17]}"
    assert redact(told, body=body(*records)) == "Customer list not found: [sent]"


@pytest.mark.parametrize("value", ["\0\0\0\0", "x" * 10_001, "a\n\n\nb"])
def test_a_value_of_which_no_line_is_left_spoils_no_word(value: str) -> None:
    """Nothing is in every text."""
    sent = (json.dumps({"name": value}).encode(),)
    assert redact("Customer list not found: a b", body=sent) == "Customer list not found: a b"


def test_a_list_of_records_leaves_nothing_of_any() -> None:
    """The usual message of this kind: every record that was found wrong."""
    many = [f"{number:064x}" for number in range(10**76, 10**76 + 40)]
    kept = redact("Invalid: " + ", ".join(many), body=body(*many))
    assert kept.replace("[sent]", "").strip(" ,…") == "Invalid:"


bodies = st.lists(st.binary(max_size=99), max_size=3).map(tuple)


@given(st.text(max_size=2000), st.text(max_size=20), bodies)
def test_no_text_breaks_the_cleaning(text: str, token: str, sent: tuple[bytes, ...]) -> None:
    """Whatever comes, what is left is short and on one line."""
    kept = redact(text, token=token, body=sent)
    assert len(kept) <= 200
    assert kept.isprintable()
