"""Columns: recognised by name, checked by their values, or chosen by name or number."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from support.cases import each_case

from pinterest_audiences import PreparationReport, SourceError, open_source, prepare, prepare_rows
from pinterest_audiences._models import IdentifierType
from pinterest_audiences._records.columns import NameMatch, match_name

DIGEST = hashlib.sha256(b"ann@shop.de").hexdigest()
EMAIL_HEADERS = [
    "email", "E-Mail", "EMAIL ADDRESS", "Email Address*", "Email (required)", "Email ID", "emailId",
    "user.email", "contact[email]", "billing_email", "invoice_email", "customer-e-mail",
    "E-Mail-Adresse", "E-Mail Adresse (privat)", "Mailadresse", "Adresse e-mail", "Courriel",
    "Adresse électronique", "Correo electrónico", "CORREO", "Correio eletrônico", "E-posta",
    "E-post", "E-postadress", "Sähköposti", "sähköpostiosoite", "Posta elettronica",
    "Indirizzo e-mail", "Poczta elektroniczna", "メールアドレス", "メール", "ﾒｰﾙｱﾄﾞﾚｽ", "电子邮件",
    "邮箱", "電子郵件", "이메일", "이메일 주소", "Почта", "Электронная почта", "Эл. почта",
    "Електронна пошта", "Имейл", "ηλεκτρονικό ταχυδρομείο", "البريد الإلكتروني", "אימייל",
    "อีเมล", "ईमेल", "Thư điện tử", "E-mail 1 - Value", "Member e-mail", "Your email address?",
]  # fmt: skip


def read(path: Path, text: str, **options: object) -> tuple[list[str], PreparationReport]:
    path.write_text(text, encoding="utf-8")
    source = open_source(path, **options)  # type: ignore[arg-type]  # options of several types
    ready = prepare(source, plain_emails=True)
    return [record for chunk in ready for record in chunk], ready.report


def error_of(path: Path, text: str, **options: object) -> str:
    with pytest.raises(SourceError) as caught:
        read(path, text, **options)
    return str(caught.value).removeprefix(f"{path}: ")


@each_case("header", EMAIL_HEADERS)
def test_email_headers_are_recognized_in_many_languages(tmp_path: Path, header: str) -> None:
    """By their names where there are no rows, and next to other columns."""
    assert match_name(IdentifierType.EMAIL, header) >= NameMatch.LIKELY
    text = f'id;"{header}";city\n1;ann@shop.de;Kiel\n2;bob@shop.de;Ulm\n'
    records, report = read(tmp_path / "a.csv", text)
    assert records == ["ann@shop.de", "bob@shop.de"]
    assert report.columns == (header,)


@pytest.mark.parametrize(
    "header",
    ["id", "Name", "Straße", "Mobile", "ann@mailshop.de", "Telefon", "Postleitzahl", "名前", ""],
)
def test_other_headers_are_not_email_headers(header: str) -> None:
    """An address is not a name, whatever words are in it."""
    assert match_name(IdentifierType.EMAIL, header) == NameMatch.NONE


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("email_opt_in", ["yes", "no"]),
        ("Email status", ["active", "bounced"]),
        ("mailing_street", ["Dock 4", "Kai 2"]),
        ("email_count", ["3", "4"]),
        ("newsletter_mail", ["true", "false"]),
    ],
)
def test_column_about_email_is_not_the_email_column(
    tmp_path: Path, name: str, values: list[str]
) -> None:
    """It is passed over next to the right one, and an error alone."""
    rows = [f"{value},ann{n}@shop.de" for n, value in enumerate(values)]
    text = "\n".join([f"{name},customer_mail", *rows])
    assert read(tmp_path / "a.csv", text)[1].columns == ("customer_mail",)
    text = "\n".join([f"{name},id", *(f"{value},1" for value in values)])
    assert "no column is clearly" in error_of(tmp_path / "a.csv", text)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("id,Reply to\n1,ann@shop.de\n", "columns: 'Reply to', 'id'"),
        ("id,shop_mail,bill_mail\n1,a@b.co,c@d.co\n", "columns: 'shop_mail', 'bill_mail', 'id'"),
        ("id,email,Contact\n1,x,ann@shop.de\n", "columns: 'Contact', 'email', 'id'"),
        ("id,email,Contact\n1,,ann@shop.de\n", "columns: 'Contact', 'email', 'id'"),
    ],
)
def test_error_lists_the_likely_columns_first(tmp_path: Path, text: str, first: str) -> None:
    """Those that hold addresses, or whose names are right."""
    error = error_of(tmp_path / "a.csv", text)
    assert first in error
    assert "@" not in error


def test_email_column_without_addresses_next_to_one_with_is_an_error(tmp_path: Path) -> None:
    """The error names both; naming a column decides it."""
    text = "email,contact\nyes,ann@shop.de\nno,bob@shop.de\n"
    error = error_of(tmp_path / "a.csv", text)
    assert "'email' has no value of kind email in the first 2 rows, but 'contact' does" in error
    assert read(tmp_path / "a.csv", text, column="contact")[1].records == 2
    assert read(tmp_path / "a.csv", text, column="email")[1].rejected == 2


def test_column_with_the_clearest_name_is_read(tmp_path: Path) -> None:
    """Also where others hold addresses or hashes."""
    text = f"billing_email,email,email_sha256\nb@x.de,ann@shop.de,{DIGEST}\n"
    assert read(tmp_path / "a.csv", text)[0] == ["ann@shop.de"]


@pytest.mark.parametrize("value", [DIGEST, DIGEST.upper(), f"sha256:{DIGEST}", "x" * 43 + "="])
def test_column_of_hashes_is_not_skipped(tmp_path: Path, value: str) -> None:
    """Whatever form the digests have, and although another column holds addresses."""
    text = f"email,contact\n{value},ann@shop.de\n"
    assert read(tmp_path / "a.csv", text)[1].columns == ("email",)


@pytest.mark.parametrize(
    "header",
    ["email,email,email,phone", "Email,E-mail,EMAIL,x", "Email 1,Email 2,Email 3,x",
     "E-mail 1 - Value,E-mail 2 - Value,E-mail 3 - Value,x"],
)  # fmt: skip
def test_all_columns_of_one_name_are_read(tmp_path: Path, header: str) -> None:
    """Each cell that is not empty is a value of its row; a row without any is one reject."""
    rows = ["a@x.de,,,1", "b@x.de,bb@x.de,,2", ",,c@x.de,3", ",,,4", "d@x.de", ",,,", "e@x.de,no,,"]
    records, report = read(tmp_path / "a.csv", "\n".join([header, *rows]))
    assert records == [f"{name}@x.de" for name in ("a", "b", "bb", "c", "d", "e")]
    assert (report.rows, report.blank, report.values) == (6, 1, 8)
    assert report.first_rows == {"empty": (4,), "no_at_sign": (7,)}


def test_columns_are_chosen_by_name_number_and_several(tmp_path: Path) -> None:
    """In the order asked for; a column twice is read once."""
    path = tmp_path / "a.csv"
    text = "x,Home,Work,2\n1,a@x.de,b@x.de,c@x.de\n"
    for column, expected in (
        ("Home", ["a@x.de"]), ("home", ["a@x.de"]), (3, ["b@x.de"]), ("3", ["b@x.de"]),
        ("2", ["c@x.de"]), (["Work", 2], ["b@x.de", "a@x.de"]), (("Home", "home", 2), ["a@x.de"]),
    ):  # fmt: skip
        assert read(path, text, column=column)[0] == expected
    assert "column 5 does not exist: the table has 4" in error_of(path, text, column=5)
    text = text.replace("2", "Post", 1)
    assert "no column is named 'Play'; columns: 'x', 'Home'" in error_of(path, text, column="Play")


def test_several_columns_are_read_from_mappings_and_cursors(tmp_path: Path) -> None:
    """Every source gives one value for each cell that is not empty."""
    import sqlite3

    rows = [("a@x.de", "b@x.de"), (None, "c@x.de"), (None, "")]
    items = [{"e1": one, "e2": other} for one, other in rows]
    with sqlite3.connect(":memory:") as database:
        database.execute("create table t (e1, e2)")
        database.executemany("insert into t values (?, ?)", rows)
        for source in (items, iter(items), database.execute("select * from t")):
            ready = prepare(source, plain_emails=True, column=["e1", "e2"])
            records = [record for chunk in ready for record in chunk]
            assert records == ["a@x.de", "b@x.de", "c@x.de"]
            assert (ready.report.rows, ready.report.rejects) == (3, {"empty": 1})
            assert ready.report.first_rows == {"empty": (3,)}
    database.close()


def test_columns_of_rows_are_chosen_by_number(tmp_path: Path) -> None:
    """Where a name is there twice, which one is meant has to be said."""
    path = tmp_path / "a.csv"
    path.write_text("email,email,external_id\n,ann@shop.de,7\n")
    with pytest.raises(
        SourceError, match=r"2 columns are named 'email'; .*; select one by number in columns="
    ):
        prepare_rows(path).run()
    ready = prepare_rows(path, columns={"email": 2, "external_id": "external_id"})
    [[row]] = list(ready)
    assert (row.email, row.external_id) == (DIGEST, "7")


@pytest.mark.parametrize(
    "name",
    ["x" * 200, "Which shops do you visit, and on which days of the week do you do that, mostly?",
     "Größe (cm), 2024/25", "100% sure?"],
)  # fmt: skip
def test_long_and_unusual_headers_are_shown(tmp_path: Path, name: str) -> None:
    """They are names, not data."""
    error = error_of(tmp_path / "a.csv", f'"{name}",Contact\n1,x\n')
    assert name[:50] in error
    assert "'Contact'" in error


@pytest.mark.parametrize(
    "first",
    ["ann@shop.de,Ann Lee", f"{DIGEST},Ann Lee", "+49 151 1234567,Ann Lee", "0151/123456,Ann Lee",
     "38400000-8cf0-11bd-b23e-10b96e40000d,Ann Lee", "17,Ann Lee", "1980-01-02,Ann Lee"],
)  # fmt: skip
def test_data_in_the_first_row_is_not_shown(tmp_path: Path, first: str) -> None:
    """The error names the options for a table without a header."""
    error = error_of(tmp_path / "a.csv", f"{first}\nbob@shop.de,Bob Ray\n")
    assert "header=False" in error
    assert "Lee" not in error
    assert first.partition(",")[0] not in error


@pytest.mark.parametrize("text", ["ann@shop.de,Ann\nbob@shop.de,B\n", ",\nann@shop.de,Ann\n"])
def test_customer_in_the_first_row_is_not_a_header(tmp_path: Path, text: str) -> None:
    """Nor is she lost or shown where the column is chosen by its number."""
    error = error_of(tmp_path / "a.csv", text, column=1)
    assert "header=False" in error
    assert "@" not in error


def test_table_without_a_header_is_read_by_number(tmp_path: Path) -> None:
    """The first row counts; without a number the only column with addresses is taken."""
    path = tmp_path / "a.csv"
    text = "Ann,ann@shop.de,x\nBob,bob@shop.de\n,,\n"
    for column in (2, "2", None):
        records, report = read(path, text, header=False, column=column)
        assert records == ["ann@shop.de", "bob@shop.de"]
        assert (report.rows, report.blank, report.columns) == (2, 1, ("column 2",))
    assert "has only column numbers" in error_of(path, text, header=False, column="email")
    several = "a@x.de;b@x.de\nc@x.de;d@x.de\n"
    error = error_of(path, several, header=False)
    assert "2 columns have values of kind email" in error
    assert "likely: 1, 2" in error
    assert read(path, several, header=False, column=[1, 2])[1].records == 4
    assert read(path, "ann@shop.de\nbob@shop.de\n", header=False)[1].records == 2


def _two_columns(empty: int, *, swapped: bool) -> str:
    """Return rows whose second address column has values after some rows only."""
    names = ["Home Email", "Work Email"]
    cells = [[f"ann{n}@shop.de", "" if n < empty else f"bob{n}@shop.de"] for n in range(empty + 9)]
    order = (1, 0) if swapped else (0, 1)
    rows = [names, *cells]
    return "".join(",".join([*(row[place] for place in order), "x"]) + "\n" for row in rows)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("empty", [0, 1, 499, 500, 700, 3_000])
def test_one_of_two_address_columns_empty_in_the_first_rows_is_an_error(
    tmp_path: Path, empty: int, swapped: bool
) -> None:
    """Its later values are not left out silently; both can be asked for."""
    text = _two_columns(empty, swapped=swapped)
    assert "2 columns may be of kind" in error_of(tmp_path / "a.csv", text)
    report = read(tmp_path / "a.csv", text, column=["Home Email", "Work Email"])[1]
    assert report.records == empty + 9 + 9


def test_one_of_two_address_columns_empty_in_the_whole_file_is_skipped(tmp_path: Path) -> None:
    """Nothing is lost by it."""
    text = "Home Email,Work Email\n,ann@shop.de\n,bob@shop.de\n"
    assert read(tmp_path / "a.csv", text)[0] == ["ann@shop.de", "bob@shop.de"]


def test_empty_address_column_next_to_addresses_elsewhere_is_an_error(tmp_path: Path) -> None:
    """Otherwise every row would count as empty."""
    text = "Work Email,Contact\n,ann@shop.de\n,bob@shop.de\n"
    assert "'Contact'" in error_of(tmp_path / "a.csv", text)
