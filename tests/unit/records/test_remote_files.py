"""Files at URLs, read from a web server on the loopback interface."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest
from support.cases import each_case
from support.reading import parquet_of
from support.web_files import Server, running_server

from pinterest_audiences import (
    ConfigurationError,
    ReadProgress,
    SourceError,
    file_source,
    open_source,
    prepare,
    prepare_rows,
)
from pinterest_audiences._records.file_sets import is_pattern
from pinterest_audiences._records.remote_files import is_url, url_name

pytest.importorskip("fsspec", reason="the extra [remote] is not installed")
pytest.importorskip("aiohttp", reason="the extra [remote] is not installed")

PEOPLE = b"email\n" + b"".join(b"person%d@shop.de\n" % number for number in range(50_000))


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


def emails(url: str) -> list[str]:
    """Return the plain e-mails at a URL."""
    return [email for chunk in prepare(url, plain_emails=True) for email in chunk]


def test_files_of_a_web_server_are_read_in_one_request(server: Server) -> None:
    server.files = {"a.csv": PEOPLE, "b.csv.gz": gzip.compress(PEOPLE), "c": PEOPLE}
    for name in ("a.csv", "b.csv.gz"):
        report = prepare(f"{server.url}/files/{name}").run()
        assert (report.records, report.source) == (50_000, f"{server.url}/files/{name}")
    assert server.requests == ["GET /files/a.csv", "GET /files/b.csv.gz"]
    assert prepare(f"{server.url}/redirect/c").run().records == 50_000
    report = prepare(file_source([f"{server.url}/files/a.csv", f"{server.url}/files/c"])).run()
    assert report.files == {f"{server.url}/files/{name}": 50_000 for name in ("a.csv", "c")}


def test_parquet_file_of_a_web_server_is_read(server: Server) -> None:
    server.files["a.parquet"] = server.files["b"] = parquet_of(["a@shop.de", "b@shop.de"])
    for name in ("files/a.parquet", "files/b", "redirect/a.parquet"):
        assert emails(f"{server.url}/{name}") == ["a@shop.de", "b@shop.de"]
    with pytest.raises(SourceError, match="does not send parts of files"):
        emails(f"{server.url}/noranges/a.parquet")


def test_file_of_a_web_server_reports_bytes_of_the_size_that_it_sends(server: Server) -> None:
    """Without another request; several files are read by rows, because their sizes are unknown."""
    server.files = {
        "a.csv": PEOPLE,
        "b.csv.gz": gzip.compress(PEOPLE),
        "c.parquet": parquet_of([f"person{number}@shop.de" for number in range(50_000)]),
    }
    for name, content in server.files.items():
        events: list[ReadProgress] = []
        prepare(f"{server.url}/files/{name}", on_progress=events.append).run()
        positions = [event.bytes_read or 0 for event in events]
        assert {event.bytes_total for event in events} == {len(content)}
        assert positions == sorted(positions)
        assert 0 < positions[0] < positions[-1] == len(content)
    assert server.requests[:2] == ["GET /files/a.csv", "GET /files/b.csv.gz"]
    events = []
    several = file_source([f"{server.url}/files/{name}" for name in server.files])
    prepare(several, on_progress=events.append).run()
    assert {(event.bytes_read, event.bytes_total) for event in events} == {(None, None)}


@pytest.mark.parametrize("how", ["nolength", "encoded"])
def test_file_of_a_web_server_of_unknown_size_reports_rows(server: Server, how: str) -> None:
    """Without its length, or with that of a compression on the way."""
    server.files["a.csv"] = PEOPLE
    events: list[ReadProgress] = []
    prepare(f"{server.url}/{how}/a.csv", on_progress=events.append).run()
    assert {(event.bytes_read, event.bytes_total) for event in events} == {(None, None)}
    assert events[-1].rows == 50_000


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("404", "no such file"),
        ("403", "access is denied"),
        ("401", "access is denied"),
        ("500", "the server answered with HTTP 500"),
        ("truncated", "the connection or the server failed"),
        ("reset", "the connection or the server failed"),
    ],
)
@pytest.mark.parametrize("name", ["people.csv", "people", "people.parquet"])
def test_failure_of_a_web_server_is_a_source_error_without_its_query(
    server: Server, how: str, problem: str, name: str
) -> None:
    server.files[name] = PEOPLE if name != "people.parquet" else parquet_of(["a@shop.de"] * 9)
    with pytest.raises(SourceError) as caught:
        prepare(f"{server.url}/{how}/{name}?X-Amz-Signature=s3cr3t").run()
    if name != "people.parquet" or how.isdigit():
        assert problem in str(caught.value)
    assert caught.value.source == f"{server.url}/{how}/{name}"
    assert "s3cr3t" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_server_that_does_not_answer_is_a_source_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/people.csv"
        with pytest.raises(SourceError, match="the connection or the server failed"):
            prepare(url).run()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://ann:pass@host.de:8443/a/b.csv?sig=x#part", "https://host.de:8443/a/b.csv"),
        ("https://host.de/a.csv?X-Amz-Credential=x", "https://host.de/a.csv"),
        ("s3://key:secret@bucket/a.csv", "s3://bucket/a.csv"),
        ("abfs://container@account.dfs.core.windows.net/a.csv?sv=1", "abfs://container@account.dfs.core.windows.net/a.csv"),
        ("abfs://name:secret@account/a.csv", "abfs://account/a.csv"),
        ("https://host/a@b.csv", "https://host/a@b.csv"),
        ("https://host:8443/a@b.csv", "https://(not shown)"),
        ("https://user:12/s3cr3t@host/a.csv", "https://(not shown)"),
        ("https://user:12?s3cr3t@host/a.csv", "https://(not shown)"),
        ("https://user:12#s3cr3t@host/a.csv", "https://(not shown)"),
        ("https://user:12/s3cr3t@pa@host:8443/a.csv", "https://(not shown)"),
        ("https://user:@host/a.csv", "https://host/a.csv"),
        ("https://user:12@host:8443/a.csv", "https://host:8443/a.csv"),
        ("s3://KEY:12/s3cr3t@bucket/a.csv", "s3://(not shown)"),
        ("s3://bucket/12:30@noon.csv", "s3://bucket/12:30@noon.csv"),
        ("s3://arn:aws:s3:eu-west-1:1:accesspoint/a/b.csv", "s3://arn:aws:s3:eu-west-1:1:accesspoint/a/b.csv"),
    ],
)  # fmt: skip
def test_name_of_a_url_has_no_credentials(url: str, name: str) -> None:
    assert url_name(url) == name


@pytest.fixture
def _empty_object_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the object stores, so that no test connects to one; errors have the whole path."""
    registry: Any = import_module("fsspec.registry")
    store = import_module("fsspec.implementations.memory").MemoryFileSystem
    for scheme in ("s3", "az", "abfs"):
        monkeypatch.setitem(registry._registry, scheme, store)


PASSWORDS = [
    "{}",
    "{}/",
    "/{}",
    "pa/{}",
    "pa?{}",
    "pa#{}",
    "p[a{}",
    "p]{}",
    "{}\u2100",
    "{}@/",
    "{}:1/x",
    "12/{}",
    "12?{}",
    "12#{}",
    "12/{}@12/x",
    "pa:1?{}:",
]


@pytest.mark.usefixtures("_empty_object_stores")
@pytest.mark.parametrize("scheme", ["https", "HTTP", "s3", "az", "abfs", "memory", "nothing"])
@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("rest", ["x.csv", "*.csv", "x.csv?sig=s3cr3t", "x.csv#s3cr3t"])
def test_password_in_a_url_is_not_shown(scheme: str, password: str, rest: str) -> None:
    url = f"{scheme}://user:{password.format('s3cr3t')}@127.0.0.1:1/{rest}"
    assert_secret_is_not_shown(url)


@pytest.mark.usefixtures("_empty_object_stores")
@pytest.mark.parametrize(
    "url",
    [
        Path("https://host/f.csv?sig=s3cr3t"),
        Path("https://user:s3cr3t@host/f.csv"),
        Path("s3://KEY:s3cr3t@bucket/f.csv"),
        Path("s3://KEY:s3cr3t@bucket/*.csv"),
        " https://host/f.csv?sig=s3cr3t",
        "\nhttps://host/f.csv?sig=s3cr3t",
        "'https://host/f.csv?sig=s3cr3t'",
        "simplecache::https://host/f.csv?sig=s3cr3t",
        " filecache::s3://KEY:s3cr3t@bucket/*.csv",
        "https:/host/f.csv?sig=s3cr3t",
        "https:\\\\host\\f.csv?sig=s3cr3t",
        "https://user:x\ns3cr3t@host/f.csv",
        "https://us\ner:s3cr3t/@host/f.csv",
    ],
)
def test_secret_of_a_path_that_may_be_a_url_is_not_shown(url: str | Path) -> None:
    assert_secret_is_not_shown(url)
    if isinstance(url, Path) or "\n" not in url[1:]:
        with pytest.raises(SourceError, match="pass a URL as a string that begins with its scheme"):
            file_source(url)


def assert_secret_is_not_shown(url: str | Path) -> None:
    """Check errors, names and representations of the source of a URL that cannot be read."""
    for given in (url, [url, url], [url, "-"]):
        with pytest.raises((SourceError, ConfigurationError)) as caught:
            prepare(file_source(given)).run()
        error = caught.value
        shown = f"{error}{error!r}{vars(error)}{error.__cause__}"
        assert "s3cr3t" not in shown
        assert error.__suppress_context__ or error.__context__ is None
    if is_url(url):
        assert "s3cr3t" not in url_name(str(url))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("s3://data[0-9]/x.csv", "in the name of the bucket"),
        ("s3://data*/x.csv", "in the name of the bucket"),
        ("https://user:p[a@h/x", "https://h/x: is not a valid URL"),
        ("https://u:pass\u2100@h/x", "https://h/x: is not a valid URL"),
        ("https://host:port/x", "is not a valid URL"),
        ("https://[::1/x", "is not a valid URL"),
    ],
)
def test_invalid_url_is_a_source_error_on_all_versions_of_python(url: str, problem: str) -> None:
    with pytest.raises(SourceError, match=problem):
        file_source(url)


@pytest.mark.parametrize(
    ("url", "is_a_pattern"),
    [
        ("s3://b/year=202?/month=01/*.csv", True),
        ("s3://b/year=202?/x=1.csv", True),
        ("gs://b/part?.csv", True),
        ("s3://b/a.csv?versionId=x", False),
        ("az://c/a.csv?sv=1&sig=a*b", False),
        ("az://c/year=202?/*.csv", True),
        ("https://h/*.csv?x=[1]", False),
        ("s3://b/a.csv", False),
    ],
)
def test_url_with_characters_of_a_pattern_is_one_except_for_queries(
    url: str, is_a_pattern: bool
) -> None:
    assert is_pattern(url) is is_a_pattern


def test_credentials_in_a_url_are_in_no_report_and_no_file_of_rejects(
    server: Server, tmp_path: Path
) -> None:
    server.files = {"a.csv": b"email\na@shop.de\nwrong\n", "b.csv": b"email\nwrong\n"}
    base = server.url.replace("http://", "http://ann:s3cr3t@")
    urls = [f"{base}/files/{name}?sig=s3cr3t" for name in server.files]
    for given in (urls, urls[:1]):
        source = file_source(given)
        prepared = prepare(source, rejects_to=tmp_path / "rejects.csv")
        report = prepared.run()
        shown = f"{report.to_json()}{report}{source!r}{prepared!r}"
        assert "s3cr3t" not in shown + (tmp_path / "rejects.csv").read_text()
    assert all("sig=s3cr3t" in request for request in server.requests)


@each_case(
    ("path", "country"),
    [
        ("country=DE/a.csv", "DE"),
        ("a@b/country=DE/x.csv", "DE"),
        ("country=DE/a@b/x.csv", "DE"),
        ("country=DE/a@b.csv", "DE"),
        ("country=D%20E/x.csv", "D E"),
        ("country=a%40b/x.csv", "a@b"),
        ("country=a@b/x.csv", "a@b"),
        ("a@b/country%3DDE/x.csv", "DE"),
        ("country=DE/x.csv?sig=s3cr3t&by=a@b", "DE"),
        ("country=DE/x.csv?sig=s3cr3t/country=FR/y", "DE"),
        ("a@b/country=DE/x.csv?sig=s3cr3t#country=FR/z", "DE"),
    ],
)
@each_case("user", ["", "ann@", "ann:s3cr3t@", "ann:s3cr3t%2F=x@", "a=s3cr3t:s3cr3t@"])
def test_columns_of_folders_of_a_web_server_are_read(
    server: Server, path: str, country: str, user: str
) -> None:
    """Also if the URL is not shown, because it has an @ that may end a password."""
    name = path.partition("?")[0].partition("#")[0]
    server.files[name] = server.files[unquote(name)] = b"email\na@shop.de\n"
    url = f"{server.url}/files/{path}".replace("://", f"://{user}")
    source = open_source(url, columns={"email": "email", "external_id": "country"})
    ready = prepare_rows(source, plain_emails=True)
    assert [row.external_id for chunk in ready for row in chunk] == [country]
    report = ready.report
    assert "s3cr3t" not in f"{report.to_json()}{report}{source!r}{ready!r}"
    with pytest.raises(SourceError) as missing:
        prepare_rows(open_source(url, columns={"email": "unknown"})).run()
    assert "s3cr3t" not in f"{missing.value}{missing.value!r}"


@each_case(
    "url",
    ["https://user:12/pw=s3cr3t/x@host/a.csv", "http://user:12?pw=s3cr3t/x@host/country=DE/a"],
)
def test_password_that_is_not_encoded_is_in_no_error_as_a_column(url: str) -> None:
    url = url.replace("user:12", "127.0.0.1:1")
    with pytest.raises(SourceError) as caught:
        prepare_rows(open_source(url, columns={"email": "unknown"})).run()
    assert "s3cr3t" not in f"{caught.value}{caught.value!r}"


def test_object_that_google_decompresses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a stand-in for Google's store: gcsfs reads the first part of it without an error."""
    registry: Any = import_module("fsspec.registry")
    memory: Any = import_module("fsspec.implementations.memory")

    class Store(memory.MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
        protocol = ("gs", "gcs")
        store: ClassVar[dict[str, Any]] = {}
        pseudo_dirs: ClassVar[list[str]] = [""]

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return str(super()._strip_protocol(path.partition("://")[2] or path))

        def info(self, path: str, **options: object) -> dict[str, object]:
            details: dict[str, object] = super().info(path, **options)
            return {**details, "contentEncoding": "gzip"} if "encoded" in path else details

    system = Store(skip_instance_cache=True)
    for name in ("plain.csv", "encoded.csv", "sub/encoded"):
        system.pipe_file(f"/bucket/{name}", b"email\na@shop.de\n")
    for scheme in ("gs", "gcs"):
        monkeypatch.setitem(registry._registry, scheme, Store)
        assert emails(f"{scheme}://bucket/plain.csv") == ["a@shop.de"]
        for name in ("encoded.csv", "sub", "*/enc*"):
            with pytest.raises(SourceError, match="stored with Content-Encoding: gzip") as caught:
                emails(f"{scheme}://bucket/{name}")
            assert "encoded" in caught.value.source


def test_urls_that_differ_in_their_query_are_counted_apart(server: Server) -> None:
    server.files["a.csv"] = PEOPLE
    url = f"{server.url}/files/a.csv"
    report = prepare(file_source([f"{url}?part={part}" for part in (1, 2, 3)])).run()
    assert report.files == dict.fromkeys([url, f"{url} (2)", f"{url} (3)"], 50_000)


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.setitem(sys.modules, "adlfs", None)
    for url, package in {"gs://b/a.csv": "gcsfs", "abfs://c@a/b.csv": "adlfs"}.items():
        with pytest.raises(ConfigurationError, match=f"requires {package}: pip install {package}"):
            open_source(url)
    with pytest.raises(ConfigurationError, match="nothing:// is not supported"):
        open_source("nothing://host/a.csv")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigurationError, match=r"pinterest-audiences\[remote\]"):
        open_source("s3://b/a.csv")
