"""Keys: records round-trip, and batches have what the preparation would send."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.jobs import digest, people

from pinterest_audiences import ConfigurationError, HashAlgorithm, RecordRow, prepare, prepare_rows
from pinterest_audiences._jobs import keys
from pinterest_audiences._jobs.keys import BUCKETS, CODECS, BucketedKeys, KeyCodec, encode_records
from pinterest_audiences._records.batches import MAX_BYTES, RESERVED_BYTES, Batch

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
    body = json.loads(b"{" + batch.fragment + b"}")
    if "records" in body:
        return list(body["records"].split(","))
    return [tuple(sorted(row.items())) for row in body["records_v2"]]


def all_batches(records: Sequence[str | RecordRow]) -> Iterator[Batch]:
    """Go the way of a job: keys, parts, joined, batch."""
    for codec, found in encode_records(records, keep_unhashed=True):
        for part in codec.parts(found):
            yield codec.batch(codec.join(part))


@given(st.lists(hashed(), min_size=1, max_size=60))
def test_digests_of_all_algorithms_round_trip(records: list[str]) -> None:
    """Each with the codec of its length."""
    back: list[str] = []
    for codec, found in encode_records(records, keep_unhashed=False):
        assert list(codec.split(codec.join(found))) == list(found)
        assert {len(key) for key in found} == {WIDTHS[codec.name]}
        back += [key.hex() for key in found]
    assert sorted(back) == sorted(records)


@given(st.integers(0, 2_500), st.sampled_from(sorted(WIDTHS)))
def test_joined_digests_are_split_in_strides_and_a_remainder(count: int, name: str) -> None:
    """More than one stride, an exact stride, a remainder, and an empty blob."""
    given_keys = [number.to_bytes(WIDTHS[name], "big") for number in range(count)]
    assert list(CODECS[name].split(CODECS[name].join(given_keys))) == given_keys


@pytest.mark.slow
@given(st.lists(rows(), min_size=1, max_size=20))
def test_rows_round_trip(records: list[RecordRow]) -> None:
    """All columns, hashed by any algorithm or not hashed."""
    codec = CODECS["row"]
    found = [keys.encode_row(row, keep_unhashed=True) for row in records]
    assert [keys.decode_row(key) for key in codec.split(codec.join(found))] == records


@given(rows())
def test_row_is_never_longer_as_json_than_estimated(row: RecordRow) -> None:
    """Batches are limited by this estimate."""
    batch = CODECS["row"].batch(CODECS["row"].join([keys.encode_row(row, keep_unhashed=True)]))
    (one,) = json.loads(b"{" + batch.fragment + b"}")["records_v2"]
    size = keys.json_size(keys.encode_row(row, keep_unhashed=True))
    assert len(json.dumps(one, separators=(",", ":"), ensure_ascii=False).encode()) <= size


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=80),
    st.sampled_from(["sha256", "sha1", "md5"]),
    st.integers(1, 25),
)
def test_batches_have_the_records_of_the_preparation(
    numbers: list[int], algorithm: str, most: int
) -> None:
    """No batch exceeds the limits."""
    addresses = [f"p{number}@shop.example" for number in numbers]
    theirs = [
        record
        for batch in prepare(addresses, algorithm=HashAlgorithm(algorithm)).batches()
        for record in sent(batch)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "MAX_RECORDS", most)
        (records,) = list(prepare(addresses, algorithm=HashAlgorithm(algorithm)))
        mine = list(all_batches(records))
    assert sorted(str(record) for batch in mine for record in sent(batch)) == sorted(
        str(record) for record in theirs
    )
    assert all(batch.count == len(sent(batch)) <= most for batch in mine)


@pytest.mark.slow
@given(st.lists(rows(), min_size=1, max_size=30), st.integers(1, 12))
def test_batches_of_rows_have_the_rows_of_the_preparation(
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


def test_full_batch_of_digests_has_the_bytes_of_the_preparation() -> None:
    """Hexadecimal in lower case, separated by commas, without a trailing one."""
    addresses = people(0, 500)
    (theirs,) = prepare(addresses).batches()
    (records,) = list(prepare(addresses))
    ((codec, found),) = encode_records(records, keep_unhashed=False)
    assert codec.batch(codec.join(found)).fragment == theirs.fragment


def test_parts_of_rows_fit_into_the_bytes_of_a_request() -> None:
    """Rows with long columns are limited by bytes before they are limited by number."""
    long = [RecordRow(external_id=f"{number:04}" + '"' * 3_900) for number in range(300)]
    batches = list(all_batches(long))
    assert len(batches) > 1
    assert max(len(batch.fragment) for batch in batches) <= MAX_BYTES - RESERVED_BYTES + 20
    assert [record for batch in batches for record in sent(batch)] == [
        (("external_id", row.external_id),) for row in long
    ]


def test_parts_of_digests_fit_into_a_request() -> None:
    """1,900 at most unless set otherwise, and never more bytes than a body may have."""
    found = [number.to_bytes(32, "big") for number in range(20_000)]
    assert [len(part) for part in CODECS["sha256"].parts(found[:1_901])] == [1_900, 1]
    assert [len(part) for part in CODECS["sha256"].parts(found[:5], 2)] == [2, 2, 1]
    largest, rest = CODECS["sha256"].parts(found, 100_000)
    assert (len(largest), len(rest)) == (15_380, 4_620)
    fragment = CODECS["sha256"].batch(b"".join(largest)).fragment
    assert len(fragment) <= MAX_BYTES - RESERVED_BYTES + len(b'"records":""')


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
def test_unhashed_record_is_refused_without_quoting_it(records: list[str]) -> None:
    """Whatever its length, and whatever other records there are."""
    with pytest.raises(
        ConfigurationError, match="prepare the records without plain_emails"
    ) as refused:
        list(encode_records(records, keep_unhashed=True))
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
def test_unhashed_row_is_refused_with_its_column_and_without_its_value(
    row: RecordRow, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{named} is (longer|not hashed)") as refused:
        keys.encode_row(row, keep_unhashed=True)
    assert getattr(row, named) not in str(refused.value)


@pytest.mark.parametrize("column", ["external_id", "ip_address", "user_agent"])
def test_unhashed_column_requires_keep_unhashed(column: str) -> None:
    """Otherwise the state file would contain unhashed values."""
    row = RecordRow(**{"email": digest("a@b.example"), column: "192.0.2.1"})
    with pytest.raises(ConfigurationError, match=f"^{column} is not hashed.*keep_unhashed=True"):
        keys.encode_row(row, keep_unhashed=False)
    assert keys.decode_row(keys.encode_row(row, keep_unhashed=True)) == row


@pytest.mark.slow
@pytest.mark.parametrize("in_memory", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", ["sha256", "md5", "row"])
@given(numbers=st.lists(st.integers(0, 300), max_size=150), step=st.integers(1, 40))
def test_bucketed_keys_returns_each_key_once_in_its_bucket(
    tmp_path_factory: pytest.TempPathFactory,
    in_memory: int,
    name: str,
    numbers: list[int],
    step: int,
) -> None:
    """In memory or from its file, in whatever order the keys were added."""
    given_keys = [_key(name, number) for number in numbers]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pinterest_audiences._jobs.keys._IN_MEMORY", in_memory)
        spool = BucketedKeys(CODECS[name], str(tmp_path_factory.getbasetemp()))
        for start in range(0, len(given_keys), step):
            spool.add(given_keys[start : start + step])
    found = [key for bucket in range(BUCKETS) for key in spool.keys(bucket)]
    assert sorted(found) == sorted(set(given_keys))
    assert spool.count == len(given_keys)
    codec: KeyCodec = CODECS[name]
    assert all(codec.bucket(key) == number for number in range(256) for key in spool.keys(number))
    spool.close()


@pytest.mark.parametrize("name", ["sha256", "row"])
def test_bucketed_keys_works_without_pread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As on Windows; keys are appended correctly after a read."""
    monkeypatch.delattr("os.pread")
    monkeypatch.setattr("pinterest_audiences._jobs.keys._IN_MEMORY", 30)
    given_keys = [_key(name, number) for number in range(700)]
    spool = BucketedKeys(CODECS[name], str(tmp_path))
    for start in range(0, 700, 100):
        spool.add(given_keys[start : start + 100])
        with ThreadPoolExecutor(4) as threads:
            found = [key for keys in threads.map(spool.keys, range(BUCKETS)) for key in keys]
        assert sorted(found) == sorted(given_keys[: start + 100])
    spool.close()


def test_bucketed_keys_leaves_no_file(tmp_path: Path) -> None:
    """Its file has no name, so that a killed process leaves none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pinterest_audiences._jobs.keys._IN_MEMORY", 1)
        spool = BucketedKeys(CODECS["sha256"], str(tmp_path))
        spool.add([_key("sha256", 1)])
    assert list(tmp_path.iterdir()) == []
    assert spool.keys(_key("sha256", 1)[0]) == {_key("sha256", 1)}
    spool.close()


def _key(name: str, number: int) -> bytes:
    text = f"p{number}@shop.example"
    if name == "row":
        row = RecordRow(email=digest(text), external_id=str(number))
        return keys.encode_row(row, keep_unhashed=True)
    return bytes.fromhex(digest(text, name))
