"""Files in an object store, read from a real S3 server (moto)."""

from __future__ import annotations

import gzip
import urllib.request
from collections.abc import Iterator
from importlib import import_module

import pytest
from support.reading import parquet_of

from pinterest_audiences import (
    ReadProgress,
    SourceError,
    file_source,
    open_source,
    prepare,
    prepare_rows,
)

pytest.importorskip("s3fs", reason="s3fs is not installed")
pytest.importorskip("flask", reason="moto[server] is not installed")
moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed")

pytestmark = [pytest.mark.once, pytest.mark.slow]
PEOPLE = b"email\n" + b"".join(b"person%d@shop.de\n" % number for number in range(50_000))


def emails(url: str) -> list[str]:
    """Return the plain e-mails at a URL."""
    return [email for chunk in prepare(url, plain_emails=True) for email in chunk]


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """A real S3 server in this process."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Bucket:
    """A bucket of the S3 server."""

    def __init__(self) -> None:
        self._client = import_module("boto3").client("s3")
        self._client.create_bucket(Bucket="exports")

    def write(self, key: str, data: bytes) -> None:
        """Write one file."""
        self._client.put_object(Bucket="exports", Key=key, Body=data)


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    reset = urllib.request.Request(f"{s3_server}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()
    return Bucket()


def test_file_of_an_object_store_is_read_in_every_format(bucket: Bucket) -> None:
    bucket.write("a.csv", PEOPLE)
    bucket.write("b.csv.gz", gzip.compress(PEOPLE))
    bucket.write("unload_000", PEOPLE)
    for key in ("a.csv", "b.csv.gz", "unload_000"):
        report = prepare(f"s3://exports/{key}").run()
        assert (report.source, report.records) == (f"s3://exports/{key}", 50_000)
    for key in ("c.parquet", "d"):
        bucket.write(key, parquet_of(["a@shop.de", "b@shop.de"]))
        assert emails(f"s3://exports/{key}") == ["a@shop.de", "b@shop.de"]


def test_folder_and_pattern_of_an_object_store_are_read_in_sorted_order(bucket: Bucket) -> None:
    for key in ("out/b.txt", "out/a.txt", "out/sub/c.txt", "other/d.txt"):
        bucket.write(key, b"person@shop.de\n")
    for key in ("out/_SUCCESS", "out/.a.crc", "out/_temporary/0/x"):
        bucket.write(key, b"not data\n")
    everything = [f"s3://exports/out/{name}" for name in ("a.txt", "b.txt", "sub/c.txt")]
    for url, names in {
        "s3://exports/out": everything,
        "s3://exports/out/": everything,
        "s3://exports/out/*.txt": everything[:2],
        "s3://exports/out/*": everything,
        "s3://exports/out/**/*.txt": everything,
        "s3://exports/out/[b-z].txt": everything[1:2],
    }.items():
        report = prepare(file_source(url)).run()
        assert (list(report.files) or [report.source]) == names
    assert file_source("s3://exports/out").name == "3 files in s3://exports/out"


def test_files_of_an_object_store_report_bytes(bucket: Bucket) -> None:
    """Their sizes are in the listing."""
    people = [f"person{number}@shop.de" for number in range(50_000)]
    files = {"x=1/a.csv": PEOPLE, "x=2/b.csv.gz": gzip.compress(PEOPLE), "c": parquet_of(people)}
    for key, content in files.items():
        bucket.write(f"out/{key}", content)
    for url, total in {
        "s3://exports/out": sum(map(len, files.values())),
        "s3://exports/out/x=*/*": sum(map(len, files.values())) - len(files["c"]),
        "s3://exports/out/x=1/a.csv": len(PEOPLE),
        "s3://exports/out/c": len(files["c"]),
    }.items():
        events: list[ReadProgress] = []
        prepare(url, on_progress=events.append).run()
        positions = [event.bytes_read or 0 for event in events]
        assert {event.bytes_total for event in events} == {total}
        assert positions == sorted(positions)
        assert 0 < positions[0] < positions[-1] == total


def test_columns_of_folders_in_an_object_store_are_read(bucket: Bucket) -> None:
    bucket.write("out/shop=A%2FB/a.csv", b"email\nann@shop.de\n")
    bucket.write("out/shop=__HIVE_DEFAULT_PARTITION__/a.parquet", parquet_of(["bob@shop.de"]))
    source = open_source("s3://exports/out", columns={"email": "email", "external_id": "shop"})
    [first, second] = [row for chunk in prepare_rows(source, plain_emails=True) for row in chunk]
    assert (first.email, first.external_id) == ("ann@shop.de", "A/B")
    assert (second.email, second.external_id) == ("bob@shop.de", None)


def test_keys_that_stand_for_folders_are_not_read(bucket: Bucket) -> None:
    """As the console of S3 writes them."""
    for key in ("ex/", "ex/sub/", "ex/sub/deep/"):
        bucket.write(key, b"")
    for key in ("ex/a.txt", "ex/sub/b.txt", "ex/sub/deep/c.txt"):
        bucket.write(key, b"person@shop.de\n")
    everything = [f"s3://exports/ex/{name}" for name in ("a.txt", "sub/b.txt", "sub/deep/c.txt")]
    for url in ("ex", "ex/", "ex/*", "ex/**", "e*", "**/*.txt"):
        report = prepare(file_source(f"s3://exports/{url}")).run()
        assert list(report.files) == everything
    assert list(prepare(file_source("s3://exports/**/su*")).run().files) == everything[1:]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("s3://exports/missing.csv", "s3://exports/missing.csv: no such file"),
        ("s3://missing/a.csv", "s3://missing/a.csv: no such file"),
        ("s3://exports/*.csv", "s3://exports/*.csv: no file matches this pattern"),
        ("s3://exports/empty/", "s3://exports/empty/: has no files to read"),
        ("s3://exports/lake", "s3://exports/lake: is a Delta table"),
        ("s3://exports/lake/*.parquet", "exports/lake: is a Delta table"),
    ],
)
def test_missing_files_of_an_object_store_are_errors(
    bucket: Bucket, url: str, problem: str
) -> None:
    bucket.write("empty/_SUCCESS", b"")
    bucket.write("lake/_delta_log/00000000000000000000.json", b"{}")
    bucket.write("lake/part-0.parquet", b"PAR1")
    with pytest.raises(SourceError) as caught:
        file_source(url)
    assert str(caught.value).startswith(problem)


def test_object_that_changes_or_disappears_while_it_is_read_is_an_error(bucket: Bucket) -> None:
    people = PEOPLE * 10  # several requests
    for change in ("replaced", "deleted"):
        bucket.write("a.csv", people)
        chunks = iter(prepare("s3://exports/a.csv"))
        next(chunks)
        if change == "replaced":
            bucket.write("a.csv", people.upper())
        else:
            bucket._client.delete_object(Bucket="exports", Key="a.csv")
        with pytest.raises(SourceError) as caught:
            list(chunks)
        assert caught.value.source == "s3://exports/a.csv"
        assert caught.value.row is not None
