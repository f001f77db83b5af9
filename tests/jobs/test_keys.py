"""Records become keys and come back; what is sent is what a preparation would send."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.jobs import digest, people

from pinterest_audiences import ConfigurationError, RecordRow, prepare, prepare_rows
from pinterest_audiences.jobs import keys, row_keys
from pinterest_audiences.jobs.keys import BUCKETS, FORMS, Form, keys_of
from pinterest_audiences.jobs.spool import Spool
from pinterest_audiences.records.batches import MAX_BYTES, RESERVE, Batch

WIDTHS = {"sha256": 32, "sha1": 20, "md5": 16}
ALGORITHMS = st.sampled_from(sorted(WIDTHS))
CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40
)


@st.composite
def hashed(draw: st.DrawFn) -> str:
    return draw(st.binary(min_size=(size := WIDTHS[draw(ALGORITHMS)]), max_size=size)).hex()


@st.composite
def rows(draw: st.DrawFn) -> RecordRow:
    cells: dict[str, str] = draw(
        st.dictionaries(
            st.sampled_from(["email", "maid", "hashed_phone_number", "hashed_pinner_id"]), hashed()
        )
    )
    cells |= draw(
        st.dictionaries(
            st.sampled_from(["external_id", "ip_address", "user_agent"]), CELLS, min_size=not cells
        )
    )
    return RecordRow(**cells)


def sent(batch: Batch) -> list[object]:
    """Read a batch as Pinterest does."""
    told = json.loads(b"{" + batch.fragment + b"}")
    if "records" in told:
        return list(told["records"].split(","))
    return [tuple(sorted(row.items())) for row in told["records_v2"]]


def all_batches(records: Sequence[str | RecordRow]) -> Iterator[Batch]:
    """Go the way of a job: keys, parts, joined, batch."""
    for form, found in keys_of(records, keep_unhashed=True):
        for part in form.parts(found):
            yield form.batch(form.join(part))


@given(st.lists(hashed(), min_size=1, max_size=60))
def test_digests_of_any_algorithms_come_back_as_they_were_sent(records: list[str]) -> None:
    """Each under the form of its length, none lost and none made up."""
    back: list[str] = []
    for form, found in keys_of(records, keep_unhashed=False):
        assert list(form.split(form.join(found))) == list(found)
        assert {len(key) for key in found} == {WIDTHS[form.name]}
        back += [key.hex() for key in found]
    assert sorted(back) == sorted(records)


@given(st.integers(0, 2_500), st.sampled_from(sorted(WIDTHS)))
def test_joined_digests_are_split_in_strides_and_a_rest(count: int, name: str) -> None:
    """More than one stride, an exact stride, a rest, and nothing at all."""
    given_keys = [number.to_bytes(WIDTHS[name], "big") for number in range(count)]
    assert list(FORMS[name].split(FORMS[name].join(given_keys))) == given_keys


@given(st.lists(rows(), min_size=1, max_size=20))
def test_rows_come_back_as_they_were_sent(records: list[RecordRow]) -> None:
    """All columns, hashed by any algorithm or not hashed at all."""
    form = FORMS["row"]
    found = [row_keys.encode(row, keep_unhashed=True) for row in records]
    assert [row_keys.decode(key) for key in form.split(form.join(found))] == records


@given(rows())
def test_a_row_is_never_longer_on_the_wire_than_reckoned(row: RecordRow) -> None:
    """By this its batch is cut."""
    batch = FORMS["row"].batch(FORMS["row"].join([row_keys.encode(row, keep_unhashed=True)]))
    (one,) = json.loads(b"{" + batch.fragment + b"}")["records_v2"]
    size = row_keys.wire_size(row_keys.encode(row, keep_unhashed=True))
    assert len(json.dumps(one, separators=(",", ":"), ensure_ascii=False).encode()) <= size


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=80),
    st.sampled_from(["sha256", "sha1", "md5"]),
    st.integers(1, 25),
)
def test_batches_hold_what_a_preparation_would_send(
    numbers: list[int], algorithm: str, most: int
) -> None:
    """The same records; and no batch holds more than it may."""
    addresses = [f"p{number}@shop.example" for number in numbers]
    theirs = [
        record
        for batch in prepare(addresses, algorithm=algorithm).batches()
        for record in sent(batch)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "MAX_RECORDS", most)
        (records,) = list(prepare(addresses, algorithm=algorithm))
        mine = list(all_batches(records))
    assert sorted(str(record) for batch in mine for record in sent(batch)) == sorted(
        str(record) for record in theirs
    )
    assert all(batch.count == len(sent(batch)) <= most for batch in mine)


@given(st.lists(rows(), min_size=1, max_size=30), st.integers(1, 12))
def test_batches_of_rows_hold_what_a_preparation_would_send(
    records: list[RecordRow], most: int
) -> None:
    """Rows keep their columns."""
    theirs = [record for batch in prepare_rows(records).batches() for record in sent(batch)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "MAX_RECORDS", most)
        cleaned = [row for chunk in prepare_rows(records) for row in chunk]
        mine = list(all_batches(cleaned)) if cleaned else []
    assert sorted(map(str, (record for batch in mine for record in sent(batch)))) == sorted(
        map(str, theirs)
    )
    assert all(batch.count <= most for batch in mine)


def test_a_full_batch_of_digests_is_the_bytes_of_a_preparation() -> None:
    """Byte for byte: hexadecimal in lower case, commas between, nothing behind the last."""
    addresses = people(0, 500)
    (theirs,) = prepare(addresses).batches()
    (records,) = list(prepare(addresses))
    ((form, found),) = keys_of(records, keep_unhashed=False)
    assert form.batch(form.join(found)).fragment == theirs.fragment


def test_parts_fit_into_the_bytes_of_a_request() -> None:
    """Rows of long columns are cut by bytes before they are cut by number."""
    long = [RecordRow(external_id=f"{number:04}" + '"' * 3_900) for number in range(300)]
    batches = list(all_batches(long))
    assert len(batches) > 1
    assert max(len(batch.fragment) for batch in batches) <= MAX_BYTES - RESERVE + 20
    assert [record for batch in batches for record in sent(batch)] == [
        (("external_id", row.external_id),) for row in long
    ]


def test_parts_of_digests_fit_into_a_request() -> None:
    """Ten thousand at most, of the longest digest."""
    found = [number.to_bytes(32, "big") for number in range(10_001)]
    assert [len(part) for part in FORMS["sha256"].parts(found)] == [10_000, 1]
    (first, _) = all_batches([key.hex() for key in found])
    assert len(first.fragment) <= MAX_BYTES - RESERVE


@pytest.mark.parametrize(
    "records",
    [
        ["ann@shop.example"],
        [digest("a@b.example"), "ann@shop.example"],
        # as long together as two SHA-256, which is how digests are recognised
        ["a" * 70 + "@shop.example", "f" * (128 - 83)],
        ["x" * 64],
        ["ab" * 25],
    ],
)
def test_what_is_no_digest_becomes_no_key(records: list[str]) -> None:
    """However long it is, and whatever stands beside it; the error does not tell it."""
    with pytest.raises(ConfigurationError, match="prepare it without plain_emails") as refused:
        list(keys_of(records, keep_unhashed=True))
    assert all(record not in str(refused.value) for record in records)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (RecordRow(email="ann@shop.example"), "email"),
        (RecordRow(email=digest("a@b.example").upper()), "email"),
        (RecordRow(maid="38400000-8cf0-11bd-b23e-10b96e40000d"), "maid"),
        (RecordRow(external_id="x" * 4_097), "external_id"),
    ],
)
def test_a_row_that_cannot_be_kept_is_refused_by_its_column(row: RecordRow, named: str) -> None:
    """The column is told, its value is not."""
    with pytest.raises(ConfigurationError, match=f"^{named}: ") as refused:
        row_keys.encode(row, keep_unhashed=True)
    assert getattr(row, named) not in str(refused.value)


@pytest.mark.parametrize("column", ["external_id", "ip_address", "user_agent"])
def test_an_unhashed_column_needs_consent(column: str) -> None:
    """Without it the state file would hold what is no hash."""
    row = RecordRow(**{"email": digest("a@b.example"), column: "192.0.2.1"})
    with pytest.raises(ConfigurationError, match=f"^{column}: .*keep_unhashed=True"):
        row_keys.encode(row, keep_unhashed=False)
    assert row_keys.decode(row_keys.encode(row, keep_unhashed=True)) == row


@pytest.mark.parametrize("in_memory", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", ["sha256", "md5", "row"])
@given(numbers=st.lists(st.integers(0, 300), max_size=150), step=st.integers(1, 40))
def test_a_spool_gives_each_key_once_and_in_its_bucket(
    tmp_path_factory: pytest.TempPathFactory,
    in_memory: int,
    name: str,
    numbers: list[int],
    step: int,
) -> None:
    """In memory or through its file, however the keys were handed in."""
    given_keys = [_key(name, number) for number in numbers]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pinterest_audiences.jobs.spool._IN_MEMORY", in_memory)
        spool = Spool(FORMS[name], str(tmp_path_factory.getbasetemp()))
        for start in range(0, len(given_keys), step):
            spool.add(given_keys[start : start + step])
    found = [key for bucket in range(BUCKETS) for key in spool.keys(bucket)]
    assert sorted(found) == sorted(set(given_keys))
    assert spool.count == len(given_keys)
    form: Form = FORMS[name]
    assert all(form.bucket(key) == number for number in range(256) for key in spool.keys(number))
    spool.close()


@pytest.mark.parametrize("name", ["sha256", "row"])
def test_a_spool_is_read_where_files_are_read_at_one_place_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Windows has no ``pread``; what was read in between is added to at the end all the same."""
    monkeypatch.delattr("os.pread")
    monkeypatch.setattr("pinterest_audiences.jobs.spool._IN_MEMORY", 30)
    given_keys = [_key(name, number) for number in range(700)]
    spool = Spool(FORMS[name], str(tmp_path))
    for start in range(0, 700, 100):
        spool.add(given_keys[start : start + 100])
        with ThreadPoolExecutor(4) as threads:
            found = [key for keys in threads.map(spool.keys, range(BUCKETS)) for key in keys]
        assert sorted(found) == sorted(given_keys[: start + 100])
    spool.close()


def test_a_spool_leaves_no_file_behind(tmp_path: Path) -> None:
    """Its file has no name, so that a killed process leaves none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pinterest_audiences.jobs.spool._IN_MEMORY", 1)
        spool = Spool(FORMS["sha256"], str(tmp_path))
        spool.add([_key("sha256", 1)])
    assert list(tmp_path.iterdir()) == []
    assert spool.keys(_key("sha256", 1)[0]) == {_key("sha256", 1)}
    spool.close()


def _key(name: str, number: int) -> bytes:
    text = f"p{number}@shop.example"
    if name == "row":
        row = RecordRow(email=digest(text), external_id=str(number))
        return row_keys.encode(row, keep_unhashed=True)
    return bytes.fromhex(digest(text, name))
