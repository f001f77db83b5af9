"""No plain value reaches a log, a repr, an exception or a report."""

from __future__ import annotations

import copy
import gzip
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pinterest_audiences import (
    Client,
    PinterestAudiencesError,
    RecordRow,
    SourceError,
    TooManyRejectsError,
    make_batches,
    open_source,
    prepare,
    prepare_rows,
)
from pinterest_audiences._records.chunks import AsciiChunk, RowChunk
from pinterest_audiences._records.identifiers import Normalized

ACCOUNT = "549755885175"
SECRET = "sentinel.4711"
SHAPES = [
    f"{SECRET}@shop.de",
    SECRET,
    f"{SECRET}@",
    f"{SECRET}@@shop.de",
    f"{SECRET}\x00@shop.de",
    f"{SECRET}\ud800@shop.de",
    f"{SECRET}@example.com",
    f"{SECRET},{SECRET}@shop.de",
    f'"{SECRET}',
    SECRET * 2_000,
    f"+49 {SECRET}",
]


def files(folder: Path) -> Iterator[Path]:
    """Make files that fail in every way, with the sentinel at the place of the failure."""
    line = f"{SECRET}@shop.de"
    contents = {
        "headerless.csv": f"{line},{SECRET}\n".encode(),
        "headerless.tsv": f"Lee\t{line}\n".encode(),
        "wrong.csv": b"email\n" + line.encode() + b"\xff\n",
        "ragged.csv": f"id,email\n{line}\n1,{line},{SECRET}\n".encode(),
        "quote.csv": f'id,email\n1,"{line}\n2,"{line}"x\n'.encode(),
        "nul.csv": f"email\n{line}\0\n".encode(),
        "long.csv": f"email\n{line * 100_000}\n".encode(),
        "bad.ndjson": f'{{"email": "{line}"\n{{"email": ["{line}"]}}\n["{line}"]\n'.encode(),
        "array.ndjson": f'["{line}"]'.encode(),
        "keys.ndjson": f'{{"{line}": 1}}\n'.encode(),
        "cut.txt.gz": gzip.compress(f"{line}\n".encode() * 1_000)[:-6],
        "text.parquet": f"PAR1{line}".encode(),
        "utf16.txt": line.encode("utf-16-le"),
        "list.txt": "\n".join(shape for shape in SHAPES if shape.isprintable()).encode(),
    }
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        yield path


def text_of(error: BaseException) -> str:
    """Everything that a log of an exception shows."""
    return "".join([str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def test_errors_about_files_have_no_customer_data(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    """Errors about a file have no data of its rows."""
    for path in files(tmp_path):
        for make in (prepare, prepare_rows):
            try:
                source = open_source(path)
                ready = make(source, max_reject_share=0.1)
                shown = repr(source) + repr(ready)
                for batch in ready.batches():
                    shown += repr(batch)
            except PinterestAudiencesError as error:
                shown += text_of(error) + text_of(pickle.loads(pickle.dumps(error)))
                shown += text_of(copy.copy(error))
            report = ready.report
            shown += f"{report!r}{report}{report.to_json()}{report.estimate_matches(0.5)}"
            assert SECRET not in shown, path.name
    assert SECRET not in log.text


def test_reports_and_reprs_have_no_values(log: pytest.LogCaptureFixture) -> None:
    """Whatever is wrong with a value, and when nothing is."""
    for shape in [*SHAPES, SECRET.encode(), {SECRET}]:
        for kind in ("email", "maid", "lr_id"):
            ready = prepare([shape, shape], kind, deduplicate=True)
            chunks = [repr(ready)]
            try:
                ready.run()
            except SourceError as error:  # bytes and sets are not rows
                chunks.append(f"{error!r}{error}")
            assert SECRET not in f"{ready!r}{ready.report!r}{ready.report}{chunks}"
        rows = prepare_rows([{"email": shape, "external_id": shape}], phone_form="e164")
        for batch in rows.batches():
            assert SECRET not in repr(batch)
        assert SECRET not in f"{rows!r}{rows.report!r}{rows.report}"
    assert SECRET not in log.text


def test_repr_of_internal_objects_has_no_values() -> None:
    """A debugger's or traceback's view of a chunk shows no cell."""
    things = [
        AsciiChunk(1, SECRET.encode(), 1),
        RowChunk(1, [SECRET]),
        Normalized(SECRET, "plain"),
        RecordRow(email=SECRET),
        *make_batches([SECRET]),
    ]
    assert SECRET not in repr(things)


def test_errors_do_not_show_refused_records() -> None:
    """Batches of records that did not come from prepare."""
    for record in (f"{SECRET} ", f'{SECRET}"'):
        with pytest.raises(PinterestAudiencesError) as caught:
            list(make_batches([record]))
        assert SECRET not in text_of(caught.value)
        with pytest.raises(PinterestAudiencesError) as caught:
            list(make_batches([RecordRow(email=f"{record}\n")]))
        assert SECRET not in text_of(caught.value)


def test_errors_survive_pickling() -> None:
    """Another process sees what this one saw."""
    errors = [
        SourceError("is cut short", source="a.csv", row=3, offset=17),
        TooManyRejectsError("2 of 5 rows rejected", rows=5, rejected=2, allowed=0.1),
    ]
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), vars(again)) == (str(error), vars(error))
    assert str(errors[0]) == "a.csv, after row 3, at byte 17: is cut short"


IDENTIFIERS = [
    f"{SECRET}@shop.de",
    f"Ann <{SECRET}@shop.de>, bob@shop.de",
    f"email\n{SECRET}@shop.de\n",
    f"{SECRET}@shop.de," * 1_000,
    f"{SECRET}%40shop.de",
    f"{SECRET}\uff20shop.de",
    f"{SECRET}@shop.de\0",
    "+49 151 4711 4711",
    "004915147114711",
    "'0151/47114711",
    "4711" * 16,
    "0x" + "4711abcd" * 8,
    "4711abcd-4711-abcd-4711-4711abcd4711",
    ":".join(["47"] * 32),
    "YzQ3MjUyYjQxNmViYzQ1MTg3MGE5YWQ4ODEwMDgwZjE",
]


@pytest.mark.parametrize("value", IDENTIFIERS)
def test_identifier_given_as_another_argument_is_not_shown(value: str) -> None:
    """As a path, a column, columns, an encoding, a format, a kind, an algorithm, a region."""
    rows = [{"email": "ann@shop.de"}]
    uses: list[Callable[[], object]] = [
        lambda: prepare(value).run(),
        lambda: prepare_rows(value).run(),
        lambda: prepare(Path(value)).run(),
        lambda: open_source(value, format="csv"),
        lambda: prepare(rows, column=value).run(),
        lambda: prepare_rows(rows, columns={"email": value}).run(),
        lambda: prepare_rows(rows, columns={value: "email"}).run(),
        lambda: prepare_rows(rows, columns=[value]).run(),
        lambda: open_source("-", encoding=value),
        lambda: open_source("-", format=value),  # type: ignore[arg-type]  # on purpose
        lambda: open_source("-", delimiter=value),
        lambda: prepare(rows, value).run(),  # type: ignore[arg-type]  # on purpose
        lambda: prepare(rows, algorithm=value).run(),  # type: ignore[arg-type]  # on purpose
        lambda: prepare_rows(rows, phone_region=value).run(),
        lambda: Client("t").upload(ACCOUNT, value, name="All"),
    ]
    for use in uses:
        with pytest.raises(PinterestAudiencesError) as caught:
            use()
        text = f"{caught.value}{caught.value!r}{vars(caught.value)}"
        assert SECRET not in text
        assert value[:20] not in text


def test_missing_file_is_named_by_its_path(tmp_path: Path) -> None:
    """What is plainly a path is shown, also with dates and numbers in it."""
    for name in ("customers.csv", "2026-11-28/customers_20261128.csv", "\u00fcbersicht 2.csv"):
        with pytest.raises(SourceError, match="no such file") as caught:
            prepare(tmp_path / name)
        assert name in str(caught.value)
