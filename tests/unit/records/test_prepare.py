"""Preparing: every row becomes a record, a duplicate or a reject, and is counted."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

from pinterest_audiences import (
    ConfigurationError,
    DataWarningType,
    IdentifierType,
    PreparationReport,
    RejectReason,
    SourceError,
    TooManyRejectsError,
    estimate_matches,
    open_source,
    prepare,
    prepare_rows,
)

EMAILS = ["ann@shop.de", "absent", "Ann@shop.de", None, "bob@shop.de"]
cells = st.one_of(
    st.none(), st.text(max_size=8), st.sampled_from(["a@b.de", "A@b.de", "c@d.org", "f" * 64])
)


async def awaited(items: Iterable[object]) -> AsyncIterator[object]:
    for item in items:
        yield item


@given(st.lists(cells), st.booleans(), st.sampled_from(list(IdentifierType)))
def test_rows_are_records_duplicates_and_rejects(
    rows: list[object], deduplicate: bool, kind: IdentifierType
) -> None:
    """The three add up to the rows, whatever the rows are."""
    ready = prepare(iter(rows), kind, deduplicate=deduplicate)
    records = [record for chunk in ready for record in chunk]
    report = ready.report
    assert report.rows == len(rows)
    assert report.records == len(records)
    assert report.rows == report.records + report.duplicates + report.rejected
    if deduplicate:
        assert len(set(records)) == len(records)
        assert report.records + report.duplicates == sum(map(len, prepare(iter(rows), kind)))
    else:
        assert report.duplicates == 0


@given(st.lists(st.fixed_dictionaries({"email": cells, "maid": cells, "external_id": cells})))
def test_counts_of_rows_of_several_columns_add_up(rows: list[object]) -> None:
    """Whole rows or not, with duplicates or not."""
    for whole_rows, deduplicate in ((False, False), (True, False), (False, True)):
        ready = prepare_rows(iter(rows), whole_rows=whole_rows, deduplicate=deduplicate)
        made = [row for chunk in ready for row in chunk]
        report = ready.report
        assert report.rows == len(rows)
        assert report.rows == len(made) + report.duplicates + report.rejected


def test_duplicates_are_removed_only_on_request() -> None:
    """The first of equal records stays, whether plain or hashed before."""
    assert prepare(EMAILS).run().records == 3
    ready = prepare(EMAILS, deduplicate=True, plain_emails=True)
    assert list(ready) == [["ann@shop.de", "bob@shop.de"]]
    assert ready.report.duplicates == 1
    [[hashed]] = list(prepare(["ann@shop.de"]))
    assert prepare(["Ann@shop.de ", hashed], deduplicate=True).run().duplicates == 1


def test_ids_that_differ_in_case_are_not_duplicates() -> None:
    """An opaque id is its letters, also when they look like digits."""
    assert prepare(["ab", "AB", "ab"], "lr_id", deduplicate=True).run().duplicates == 1


def test_report_as_text_and_json() -> None:
    """As text for people and JSON for machines."""
    ready = prepare([*EMAILS, "A" * 64, "b" * 32, "a@example.com"], deduplicate=True)
    report = ready.run()
    assert str(report) == (
        "list: email\n"
        "           8 rows\n"
        "           5 records (4 came plain, 1 came sha256, 1 came md5)\n"
        "           1 duplicate\n"
        "           2 rejects\n"
        "               1 empty (row 4)\n"
        "               1 no_at_sign (row 2)\n"
        "  finding: 2 hashed values among plain ones: is this one column?\n"
        "  finding: 1 hashed by another algorithm than most: is this one column? (md5, sha256)\n"
        "  finding: 1 hash in upper case, converted to lower case to match\n"
        "  finding: 1 address at reserved domains (example.com): test data?"
    )
    report_dict = json.loads(report.to_json())
    assert report_dict["rejects"] == {"no_at_sign": 1, "empty": 1}
    assert report_dict["first_rows"] == {"no_at_sign": [2], "empty": [4]}
    assert report_dict["rejected"] == 2
    assert report_dict["complete"] is True
    assert report_dict["findings"][0] == {
        "kind": "mixed_plain_and_hashed", "count": 2, "column": "", "detail": "",
    }  # fmt: skip


def test_report_keeps_the_first_five_rows_of_a_reason() -> None:
    """More are only counted."""
    report = prepare(["absent"] * 9).run()
    assert report.first_rows == {RejectReason.NO_AT_SIGN: (1, 2, 3, 4, 5)}
    assert "(row 1, 2, 3, 4, 5, …)" in str(report)


@pytest.mark.parametrize(
    ("rows", "kind", "found"),
    [
        (["a@shop.de", "b@shop.de"], "email", []),
        (["f" * 64, "e" * 64], "email", []),
        (["a@shop.de", "f" * 64], "email", [(DataWarningType.MIXED_PLAIN_AND_HASHED, 1)]),
        (["f" * 64, "e" * 64, "f" * 40], "email", [(DataWarningType.MIXED_ALGORITHMS, 1)]),
        (["F" * 64], "email", [(DataWarningType.UPPER_CASE_HASHES, 1)]),
        (["a@x.test", "a@sub.example.org"], "email", [(DataWarningType.RESERVED_DOMAINS, 2)]),
        (["f" * 32] * 3, "maid", [(DataWarningType.MAYBE_UNDASHED_IDS, 3)]),
        (["f" * 32] * 3, "email", []),
    ],
)
def test_findings_show_problems_of_a_column(
    rows: list[str], kind: str, found: list[tuple[DataWarningType, int]]
) -> None:
    """And nothing where nothing is."""
    report = prepare(rows, IdentifierType(kind)).run()
    assert [(finding.kind, finding.count) for finding in report.findings] == found


def test_findings_of_rows_name_their_columns() -> None:
    """Cells that were left out are findings, by column and reason."""
    rows = [
        {"email": "ann@shop.de", "maid": "nothing"},
        {"email": "f" * 64, "maid": "nothing"},
        {"email": "absent", "maid": None},
    ]
    report = prepare_rows(rows).run()
    assert (report.records, report.rejects) == (2, {RejectReason.NO_AT_SIGN: 1})
    assert [str(finding) for finding in report.findings] == [
        "email: 1 hashed value among plain ones: is this one column?",
        "maid: 2 cells left out of rows with other identifiers (not_a_mobile_id)",
    ]
    whole = prepare_rows(rows, whole_rows=True).run()
    assert whole.rejects == {RejectReason.NOT_A_MOBILE_ID: 2, RejectReason.NO_AT_SIGN: 1}


def test_rejects_are_written_without_their_values(tmp_path: Path) -> None:
    """Row number and reason, for each reject of all chunks."""
    path = tmp_path / "rejects.csv"
    rows = ["ann@shop.de", "absent"] * 5_000
    report = prepare(rows, rejects_to=path).run()
    with path.open(newline="") as file:
        written = list(csv.reader(file))
    assert written[0] == ["row", "reason"]
    assert written[1:] == [[str(row), "no_at_sign"] for row in range(2, 10_001, 2)]
    assert report.rejected == 5_000


def test_rejects_are_written_with_their_values_on_request(tmp_path: Path) -> None:
    """As they were read, for their owner's eyes only."""
    path = tmp_path / "rejects.csv"
    path.write_text("old")
    path.chmod(0o644)
    prepare(["a,b", None, 3, "\ud800", " x\n"], rejects_to=path, reject_values=True).run()
    with path.open(newline="") as file:
        written = [row[2] for row in csv.reader(file)]
    assert written == ["value", "a,b", "", "3", "\\ud800", " x\n"]
    assert path.stat().st_mode & 0o077 == 0


def test_rejects_file_is_written_when_the_source_fails(tmp_path: Path) -> None:
    """The file holds all rejects of the rows that were read."""
    path = tmp_path / "rejects.csv"
    source = tmp_path / "a.txt"
    source.write_bytes(b"absent\n" + b"ann@shop.de\n" * 50_000 + b"\xff")
    with pytest.raises(SourceError):
        prepare(source, rejects_to=str(path)).run()
    assert path.read_text() == "row,reason\n1,no_at_sign\n"


def test_rejects_that_cannot_be_written_are_an_error(tmp_path: Path) -> None:
    """They are not lost in silence."""
    with pytest.raises(SourceError, match="rejects cannot be written"):
        prepare(EMAILS, rejects_to=tmp_path / "no" / "rejects.csv").run()
    with pytest.raises(SourceError, match="rejects cannot be written: No space left"):
        prepare(["absent"] * 100_000, rejects_to="/dev/full").run()


def test_too_many_rejects_raise() -> None:
    """At the end of a short source."""
    ready = prepare(EMAILS, max_reject_share=0.2)
    with pytest.raises(
        TooManyRejectsError, match=r"1 of 4 values rejected.*max_reject_share"
    ) as caught:
        ready.run()
    assert (caught.value.rows, caught.value.rejected, caught.value.allowed) == (5, 1, 0.2)
    assert prepare(EMAILS, max_reject_share=0.25).run().rejected == 2
    assert prepare([], max_reject_share=0).run().rows == 0


@each_case("percent", range(1, 100))
def test_exactly_the_allowed_share_of_rejects_is_accepted(percent: int) -> None:
    """Whatever floats make of it: 0.29 times 100 is less than 29."""
    rows = ["no address"] * percent + [f"ann{number}@shop.de" for number in range(100 - percent)]
    assert prepare(rows, max_reject_share=percent / 100).run().rejected == percent
    with pytest.raises(TooManyRejectsError):
        prepare(["no address", *rows], max_reject_share=percent / 100).run()


def test_too_many_rejects_raise_before_a_long_source_is_read() -> None:
    """A wrong column is found in its first rows, and none of its records is handed out."""

    def rows() -> Iterable[str]:
        yield from ["absent"] * 20_000
        raise AssertionError("read too far")

    ready = prepare(rows(), max_reject_share=0.5)
    with pytest.raises(TooManyRejectsError, match="first in row 1"):
        ready.run()
    assert ready.report.rows < 20_000
    assert not ready.report.complete


def test_preparation_is_iterated_once() -> None:
    """A second time would count every row twice."""
    ready = prepare(EMAILS)
    ready.run()
    with pytest.raises(ConfigurationError, match="once"):
        iter(ready)


def test_report_is_not_complete_before_the_end() -> None:
    """Stopping early never looks complete."""
    ready = prepare(["ann@shop.de"] * 10_000)
    next(iter(ready))
    assert not ready.report.complete
    assert "so far; not read to the end" in str(ready.report)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"algorithm": "sha512"}, "algorithm"),
        ({"algorithm": None}, "algorithm"),
        ({"plain_emails": "yes"}, "plain_emails"),
        ({"idfa_case": "Upper"}, "idfa_case"),
        ({"kind": "phone"}, "prepare_rows"),
        ({"kind": "name"}, "kind"),
        ({"kind": None}, "kind"),
        ({"deduplicate": 1}, "deduplicate"),
        ({"reject_values": 1}, "reject_values"),
        ({"max_reject_share": 1.1}, "max_reject_share"),
        ({"max_reject_share": True}, "max_reject_share"),
        ({"max_reject_share": float("nan")}, "max_reject_share"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, object], match: str) -> None:
    """By name, before anything is read."""
    with pytest.raises(ConfigurationError, match=match):
        prepare(EMAILS, **options)  # type: ignore[arg-type]  # on purpose


def test_invalid_options_of_rows_are_refused() -> None:
    """By name, before anything is read."""
    with pytest.raises(ConfigurationError, match="phone_form"):
        prepare_rows([], phone_form="national")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigurationError, match="whole_rows"):
        prepare_rows([], whole_rows=None)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("kind", ["EMAIL", "Maid", IdentifierType.IDFA])
def test_kind_is_accepted_in_any_case(kind: str) -> None:
    """The names of the API's list types will do."""
    assert prepare([], cast("IdentifierType", kind)).run().kind == kind.lower()


@pytest.mark.anyio
@pytest.mark.parametrize("awaiting", [False, True])
async def test_sync_and_async_source_give_the_same_result_in_async_for(awaiting: bool) -> None:
    """Async for takes any source, on either event loop."""
    rows = [*EMAILS, *(f"p{n}@shop.de" for n in range(9_000))]
    ready = prepare(awaited(rows) if awaiting else rows, deduplicate=True)
    records = [record async for chunk in ready for record in chunk]
    plain = prepare(rows, deduplicate=True)
    assert records == [record for chunk in plain for record in chunk]
    ours, theirs = json.loads(ready.report.to_json()), json.loads(plain.report.to_json())
    assert ours | {"source": ""} == theirs | {"source": ""}
    assert ready.report.complete


@pytest.mark.anyio
async def test_batches_of_async_source() -> None:
    """With the same bytes as in a plain loop."""
    rows = [f"p{n}@shop.de" for n in range(25_000)]
    batches = [batch async for batch in prepare(awaited(rows)).batches()]
    assert [batch.count for batch in batches] == [1_900] * 13 + [300]
    assert batches == list(prepare(rows).batches())


@pytest.mark.anyio
async def test_async_mappings_and_rows_are_read() -> None:
    """As their plain kin."""
    rows = [{"x": 1, "email": "ann@shop.de", "external_id": "17"}]
    assert [c async for c in prepare(awaited(rows), plain_emails=True)] == [["ann@shop.de"]]
    [[row]] = [c async for c in prepare_rows(awaited(rows))]
    assert row.external_id == "17"
    again = [c async for c in prepare(awaited([row]))]
    assert again == [[row.email]]


@pytest.mark.anyio
async def test_async_source_that_raises_is_an_error() -> None:
    """What came before is handed out, then the error."""

    async def rows() -> AsyncIterator[str]:
        for number in range(3_000):
            yield f"p{number}@shop.de"
        raise KeyError

    ready = prepare(rows())
    seen = 0
    with pytest.raises(SourceError, match="async_generator, after row 3000: the iterator raised"):  # noqa: PT012
        async for chunk in ready:
            seen += len(chunk)
    assert seen == 3_000
    assert not ready.report.complete


@pytest.mark.anyio
async def test_async_source_can_be_cancelled() -> None:
    """Cancellation while waiting for a row is not an error of the source."""

    async def rows() -> AsyncIterator[str]:
        yield "ann@shop.de"
        await anyio.sleep_forever()

    ready = prepare(rows())
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)
            scope.cancel()
            async for _ in ready:
                raise AssertionError("a chunk is not full yet")
    assert not ready.report.complete


def test_async_source_is_refused_in_a_sync_loop() -> None:
    """The error says what to write."""
    with pytest.raises(ConfigurationError, match="use async for"):
        prepare(awaited(EMAILS)).run()


def test_records_of_a_kind_are_read_from_mappings_and_rows() -> None:
    """The column is taken as in a table, and reported."""
    ready = prepare([{"E-Mail": "ann@shop.de"}, {"E-Mail": None}, "bob@shop.de"])
    assert sum(map(len, ready)) == 2
    assert ready.report.columns == ("E-Mail",)
    named = open_source(
        [{"a": 1, "Device": "38400000-8cf0-11bd-b23e-10b96e40000d"}], column="Device"
    )
    assert prepare(named, "maid").run().records == 1


def test_estimate_shows_whether_a_list_reaches_the_minimum() -> None:
    """100 matched accounts are needed."""
    report = prepare([f"p{n}@shop.de" for n in range(180)]).run()
    low, high = report.estimate_matches(0.5), report.estimate_matches(0.6)
    assert (low.reaches_minimum, low.expected_matches, low.records_needed) == (False, 90, 200)
    assert (high.reaches_minimum, high.expected_matches, high.records_needed) == (True, 108, 167)
    assert str(low) == (
        "180 records at a match rate of 50%: about 90 of the 100 matched accounts needed; "
        "200 records needed"
    )
    assert str(high).endswith("; enough")
    assert not estimate_matches(99, 1).reaches_minimum
    assert estimate_matches(100, 1).reaches_minimum


@pytest.mark.parametrize("rate", [0, -1, 1.01, True, "0.5", float("nan"), None])
def test_match_rate_out_of_range_is_refused(rate: float) -> None:
    """A rate must be above 0 and at most 1."""
    with pytest.raises(ConfigurationError, match="match_rate"):
        estimate_matches(100, rate)
    with pytest.raises(ConfigurationError, match="records"):
        estimate_matches(-1, 0.5)


def test_report_has_counts_only() -> None:
    """Its fields are what the documentation names; a new one has to be looked at for privacy."""
    assert set(PreparationReport.__annotations__) == {
        "source", "kind", "columns", "complete", "rows", "blank", "records", "duplicates",
        "rejects", "first_rows", "forms", "findings", "files", "first_files", "limit",
    }  # fmt: skip
