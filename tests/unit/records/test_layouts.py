"""Layouts of tables: what stands above the header, quoting, and random people in random layouts."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinterest_audiences import PreparationReport, SourceError, open_source, prepare


def read(path: Path, text: str, **options: object) -> tuple[list[str], PreparationReport]:
    path.write_text(text, encoding="utf-8", newline="")
    source = open_source(path, **options)  # type: ignore[arg-type]  # options of several types
    ready = prepare(source, plain_emails=True)
    return [record for chunk in ready for record in chunk], ready.report


ROWS = "Email,Name\nann@shop.de,Ann\n#bob@shop.de,Bob\n"
PEOPLE = ["ann@shop.de", "#bob@shop.de"]


@pytest.mark.parametrize(
    "above",
    [
        "",
        "\n\n",
        "# Fill in one customer a row.\n# Keep the header.\n",
        "# Email, Name: both as they are\n\n",
        '"# one, two",\n#\n',
        "Spring members\n\n",
        "Spring members,\n,\n",
        "Report;Members\nFrom;1 May\n\n",
        'Shop "Anna"\nExported by the shop\n\n',
        "\ufeff# comment\n",
        "sep=,\n# comment\n",
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_lines_above_the_header_are_skipped(tmp_path: Path, name: str, above: str) -> None:
    """Comments, titles and blank lines; a row may begin with "#"."""
    records, report = read(tmp_path / name, above + ROWS)
    assert records == PEOPLE
    assert (report.columns, report.rows) == (("Email",), 2)


@pytest.mark.parametrize("header", ["#,Email", "#Email,Name", '"#","Email"', "# id,e-mail"])
def test_header_may_begin_with_a_number_sign(tmp_path: Path, header: str) -> None:
    """It is a name, or part of one."""
    row = "ann@shop.de,1" if header.startswith("#Email") else "1,ann@shop.de"
    assert read(tmp_path / "a.csv", f"{header}\n{row}\n")[0] == ["ann@shop.de"]


@pytest.mark.parametrize(
    "above",
    [
        "Exported by admin@shop.de\n\n",  # it could be a customer
        "ann@shop.de,Ann\n",
        "a,b,c\nd,e,f\n",  # a separate table
    ],
)
def test_lines_that_could_be_data_are_not_skipped(tmp_path: Path, above: str) -> None:
    """The error names the option; with it the file is read."""
    with pytest.raises(SourceError, match=r"skip_rows=|no column is clearly"):
        read(tmp_path / "a.csv", above + ROWS)
    skip = above.count("\n")
    assert read(tmp_path / "a.csv", above + ROWS, skip_rows=skip)[0] == PEOPLE


def test_cell_like_a_header_is_not_a_header(tmp_path: Path) -> None:
    """Preferred channels are values; what stands below them are not addresses."""
    text = "customer;channel\nann@shop.de;email\nbob@shop.de;phone\n"
    with pytest.raises(SourceError, match="columns: 'customer', 'channel'"):
        read(tmp_path / "a.csv", text)
    assert read(tmp_path / "a.csv", text, column="customer")[1].records == 2


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.ndjson"])
def test_lines_are_skipped_in_every_text_format(tmp_path: Path, name: str) -> None:
    """Whatever they hold."""
    body = {"a.csv": "email\nann@shop.de\n", "a.txt": "ann@shop.de\n",
            "a.ndjson": '{"email": "ann@shop.de"}\n'}[name]  # fmt: skip
    assert read(tmp_path / name, "{ one\n[ two,\n" + body, skip_rows=2)[0] == ["ann@shop.de"]
    assert read(tmp_path / name, body, skip_rows=99)[1].rows == 0 if name != "a.csv" else True


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_spaces_around_quotes_are_ignored(tmp_path: Path, delimiter: str) -> None:
    """Before the opening quote and after the closing one."""
    rows = [["Name", " Email", "x"], ['"Voss, R; S|T\t"', ' "rosa@shop.de"', "1"],
            ['"Lang" ', ' "tom@shop.de"  ', ' "a ""b"" c" ']]  # fmt: skip
    text = "\n".join(delimiter.join(row) for row in rows) + "\n"
    assert read(tmp_path / "a.csv", text, delimiter=delimiter)[0] == ["rosa@shop.de", "tom@shop.de"]


@pytest.mark.parametrize(
    "text",
    [
        'Email,Name\nrosa@x.de,"Rosa\ntom@x.de,Tom\nuli@x.de,Uli"\n',
        'Name,Email\n"Rosa,rosa@x.de\nTom,tom@x.de\nUli",uli@x.de\n',
        'Email,Name\nrosa@x.de,"Rosa\ntom@x.de,Tom"\nuli@x.de,Uli\n',
        'Email,Name,x\nrosa@x.de,"R,1\ntom@x.de,T,2\nuli@x.de,U",3\n',
        'id;Email;x\n1;rosa@x.de;"R\n2;tom@x.de;T;\n3;uli@x.de;U"\n',
    ],
)
def test_rows_inside_a_quote_that_closes_later_are_counted(tmp_path: Path, text: str) -> None:
    """Three people are three values."""
    records, report = read(tmp_path / "a.csv", text)
    assert report.values == 3
    assert len(records) >= 2
    assert set(records) <= {"rosa@x.de", "tom@x.de", "uli@x.de"}


def test_rows_without_an_address_inside_a_quote_are_counted(tmp_path: Path) -> None:
    """They are rows as the others."""
    text = 'Email,Name\nrosa@x.de,"Rosa\n,Anonymous\ntom@x.de,Tom"\n'
    records, report = read(tmp_path / "a.csv", text)
    assert (records, report.values) == (["tom@x.de"], 3)


def test_note_of_several_lines_is_one_cell(tmp_path: Path) -> None:
    """Also where it mentions an address."""
    text = 'Email,Note\nann@shop.de,"wrote to\nboss@shop.de, twice\n"\n"bob@shop.de",x\n'
    assert read(tmp_path / "a.csv", text)[0] == ["ann@shop.de", "bob@shop.de"]


@pytest.mark.parametrize(
    "text",
    ['Email,"Name\nann@shop.de,Ann\nbob@shop.de,Bob\n', '"Email,Name\nann@shop.de,Ann\n',
     'Email,"Name\nann@shop.de,"Ann"\n'],
)  # fmt: skip
def test_open_quote_in_the_header_does_not_hide_rows(tmp_path: Path, text: str) -> None:
    """The rows are read, or it is an error."""
    try:
        report = read(tmp_path / "a.csv", text)[1]
    except SourceError:
        return
    assert report.values == text.count("@")


def test_delimiter_inside_a_name_does_not_split_the_table(tmp_path: Path) -> None:
    """The names show which one is meant."""
    text = "Name;E-Mail;Street, town, zip, state\nAnn;ann@shop.de;a, b, c, d\n"
    assert read(tmp_path / "a.csv", text)[0] == ["ann@shop.de"]


NOTE = ["hello{0}world", "a{0}{0}b", "wrote to boss@corp.example,{0}twice", 'said ""x""{0}', "{0}"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("note", NOTE)
def test_columns_are_detected_with_line_breaks_in_cells(
    tmp_path: Path, note: str, end: str
) -> None:
    """With a header, and by number or by values without one."""
    note = note.format(end)
    rows = [f'1,"{note}",ann@shop.example', f'2,"{note}",bob@shop.example']
    people = ["ann@shop.example", "bob@shop.example"]
    for name in ("Email", "Billing Email"):
        text = end.join([f"id,note,{name}", *rows, ""])
        assert read(tmp_path / "a.csv", text)[0] == people
    text = end.join([*rows, ""])
    assert read(tmp_path / "a.csv", text, header=False, column=3)[0] == people
    if "@" not in note:
        assert read(tmp_path / "a.csv", text, header=False)[0] == people


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("note", ["plain", *NOTE])
def test_choice_between_two_columns_is_refused_with_line_breaks_in_cells(
    tmp_path: Path, note: str, end: str
) -> None:
    """Both hold addresses; neither is taken silently."""
    note = note.format(end)
    row = f'1,"{note}",seller@corp.example,ann@shop.example'
    with pytest.raises(SourceError, match="2 columns may be of kind"):
        read(tmp_path / "a.csv", end.join(["id,note,To Email,From Email", row, ""]))


@pytest.mark.parametrize("rows", [1, 3, 200, 400])
def test_sample_that_ends_inside_a_cell_chooses_no_column_by_it(tmp_path: Path, rows: int) -> None:
    """The lines of a long note are not rows."""
    row = '1,"a\nb,boss@corp.example\nc",ann@shop.example\n'
    long = f'2,"{"x,boss@corp.example" + chr(10) * 600}",bob@shop.example\n'
    report = read(tmp_path / "a.csv", "id,Seller,Email\n" + row * rows + long)[1]
    assert (report.columns, report.records) == (("Email",), rows + 1)
    assert read(tmp_path / "a.csv", "id,Seller,Email\n" + long)[0] == ["bob@shop.example"]


addresses = st.builds(
    "{}{}@{}".format,
    st.text("abkzäéñüø", min_size=1, max_size=6),
    st.integers(0, 999),
    st.sampled_from(["shop.de", "mail.shop.co.uk", "kai.fr"]),
)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


hashed = st.builds(sha256, addresses)
people = st.one_of(
    addresses, addresses, hashed, st.sampled_from(["", "", "no address", "none", "a@b"])
)


def record_of(person: str) -> str | None:
    """Return the record of a person, by hashlib alone."""
    if len(person) == 64:
        return person
    bad = "@" not in person or person == "a@b"
    return None if bad else sha256(person)


@pytest.mark.slow
@settings(max_examples=100)
@given(st.data())
def test_all_customers_in_random_layouts_are_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Records, duplicates and rejects add up to the people, and each hash is right."""
    draw = data.draw
    delimiter = draw(st.sampled_from(",;\t|"))
    end = draw(st.sampled_from(["\n", "\r\n", "\r", "\r\r\n"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le"]))
    columns = draw(st.integers(1, 3))  # of addresses
    name = draw(st.sampled_from(["Email", "E-Mail-Adresse", "customer email", "Courriel"]))
    others = draw(st.lists(st.sampled_from(["id", "Name", "Note"]), max_size=3, unique=True))
    order = draw(st.permutations([*[name] * columns, *others]))
    notes = st.sampled_from(["", "x", "Voss, R", "a;b|c\td", 'say "hi"', f"two{end}lines", " y "])
    table = [
        [draw(people) if column == name else draw(notes) for column in order]
        for _ in range(draw(st.integers(1, 8)))
    ]
    table.append([_cell(column, name) for column in order])  # shows that the column is right
    quoting: Literal[0, 1] = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    space = draw(st.sampled_from(["", " "])) if quoting == csv.QUOTE_ALL else ""
    wrap = draw(st.sampled_from(["{}", " {}", "{} ", "mailto:{}", "Ann Lee <{}>", "<{}>"]))
    tail = draw(st.sampled_from(["", delimiter, delimiter * 2]))
    lines = [_line([_wrapped(cell, column == name, wrap) for cell, column in
                    zip(row, order, strict=True)], delimiter, quoting, space) + tail
             for row in table]  # fmt: skip
    blank = draw(st.sampled_from(["", " ", delimiter * len(order)]))
    at = draw(st.integers(0, len(lines)))
    lines[at:at] = [blank] * draw(st.integers(0, 3))
    above = draw(st.sampled_from([[], ["# one a row", "#"], ["Members of spring", ""], [""]]))
    text = end.join([*above, _line(order, delimiter, quoting, space), *lines])
    path = tmp_path_factory.mktemp("layouts") / "people.csv"
    path.write_bytes((text + draw(st.sampled_from(["", end]))).encode(encoding))

    named = encoding if encoding in ("cp1252", "utf-16-le") else None
    ready = prepare(open_source(path, encoding=named, delimiter=delimiter), deduplicate=True)
    records = [record for chunk in ready for record in chunk]
    report = ready.report

    expected: list[str] = []
    values = empty = 0
    for row in table:
        if not any(cell.strip() for cell in row):
            continue
        cells = [cell for cell, column in zip(row, order, strict=True) if column == name and cell]
        values += len(cells) or 1
        empty += not cells
        expected += [record for cell in cells if (record := record_of(cell)) is not None]
    assert records == list(dict.fromkeys(expected))
    assert report.duplicates == len(expected) - len(records)
    assert report.values == values
    assert report.rejects.get("empty", 0) == empty  # type: ignore[call-overload]  # a reason is a string


MAIL_NAMES = ["Email", "To Email", "From Email", "Contact", "email opt-in", "Billing Email"]


@pytest.mark.slow
@settings(max_examples=100)
@given(st.data())
def test_line_breaks_in_other_cells_change_neither_choice_nor_records(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Without column=: the same columns, records and errors as with spaces in their place."""
    draw = data.draw
    delimiter = draw(st.sampled_from(",;\t|"))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    header = draw(st.booleans())
    names = draw(st.lists(st.sampled_from(MAIL_NAMES), min_size=1, max_size=3, unique=True))
    order = ["id", "note", *names, "memo"]
    notes = st.sampled_from(["x", "a{0}b", "hello{0}{0}world,{0}", "boss@corp.example{0}; twice"])
    mails = st.sampled_from(["", "ann@shop.de", "bob@shop.de", "yes", sha256("eve@shop.de")])
    table = [
        [str(number), draw(notes), *(draw(mails) for _ in names), draw(notes)]
        for number in range(draw(st.integers(1, 6)))
    ]
    path = tmp_path_factory.mktemp("breaks") / "people.csv"
    outcomes: list[object] = []
    for gap in (end, " "):
        cells = [[cell.format(gap) for cell in row] for row in table]
        rows = [_line(row, delimiter, csv.QUOTE_ALL, "") for row in [order] * header + cells]
        path.write_text(end.join([*rows, ""]), newline="")
        try:
            ready = prepare(open_source(path, delimiter=delimiter, header=header))
            records = [record for chunk in ready for record in chunk]
            outcomes.append((records, ready.report.columns, ready.report.rejects))
        except SourceError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def _cell(column: str, name: str) -> str:
    return "last@shop.de" if column == name else "x"


def _wrapped(cell: str, is_person: bool, wrap: str) -> str:
    return wrap.format(cell) if is_person and "@" in cell and cell != "a@b" else cell


def _line(cells: list[str], delimiter: str, quoting: Literal[0, 1], space: str) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=quoting).writerow(cells)
    text = file.getvalue().removesuffix("\r\n")
    return text.replace(f'"{delimiter}"', f'"{delimiter}{space}"') if space else text
