"""No plain value reaches a log, a repr, an exception or a report."""

from __future__ import annotations

import copy
import gzip
import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinterest_audiences import (
    PinterestAudiencesError,
    RecordRow,
    SourceError,
    TooManyRejectsError,
    make_batches,
    open_source,
    prepare,
    prepare_rows,
)
from pinterest_audiences.records.chunks import Block, Values
from pinterest_audiences.records.identifiers import Identified

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


def told(error: BaseException) -> str:
    """Everything that a log of an exception shows."""
    return "".join([str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def test_files_that_fail_keep_their_customers(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    """Whatever is wrong with a file, what is told of it holds no row."""
    for path in files(tmp_path):
        for make in (prepare, prepare_rows):
            try:
                source = open_source(path)
                ready = make(source, max_reject_share=0.1)
                shown = repr(source) + repr(ready)
                for batch in ready.batches():
                    shown += repr(batch)
            except PinterestAudiencesError as error:
                shown += told(error) + told(pickle.loads(pickle.dumps(error)))
                shown += told(copy.copy(error))
            report = ready.report
            shown += f"{report!r}{report}{report.to_json()}{report.forecast(0.5)}"
            assert SECRET not in shown, path.name
    assert SECRET not in log.text


def test_values_keep_to_themselves(log: pytest.LogCaptureFixture) -> None:
    """Whatever is wrong with a value, and when nothing is."""
    for shape in [*SHAPES, SECRET.encode(), [SECRET]]:
        for kind in ("email", "maid", "lr_id"):
            ready = prepare([shape, shape], kind, deduplicate=True)
            chunks = [repr(ready)]
            ready.run()
            assert SECRET not in f"{ready!r}{ready.report!r}{ready.report}{chunks}"
        rows = prepare_rows([{"email": shape, "external_id": shape}], phone_form="e164")
        for batch in rows.batches():
            assert SECRET not in repr(batch)
        assert SECRET not in f"{rows!r}{rows.report!r}{rows.report}"
    assert SECRET not in log.text


def test_what_travels_inside_has_no_telling_repr() -> None:
    """A debugger's or traceback's view of a chunk shows no cell."""
    things = [
        Block(1, SECRET.encode(), 1),
        Values(1, [SECRET]),
        Identified(SECRET, "plain"),
        RecordRow(email=SECRET),
        *make_batches([SECRET]),
    ]
    assert SECRET not in repr(things)


def test_records_that_are_refused_are_not_told() -> None:
    """Batches of records that did not come from prepare."""
    for record in (f"{SECRET} ", f'{SECRET}"'):
        with pytest.raises(PinterestAudiencesError) as caught:
            list(make_batches([record]))
        assert SECRET not in told(caught.value)
        with pytest.raises(PinterestAudiencesError) as caught:
            list(make_batches([RecordRow(email=f"{record}\n")]))
        assert SECRET not in told(caught.value)


def test_the_new_errors_survive_pickling() -> None:
    """Another process sees what this one saw."""
    errors = [
        SourceError("is cut short", source="a.csv", row=3, offset=17),
        TooManyRejectsError("2 of 5 rows rejected", rows=5, rejected=2, allowed=0.1),
    ]
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), vars(again)) == (str(error), vars(error))
    assert str(errors[0]) == "a.csv, after row 3, at byte 17: is cut short"
