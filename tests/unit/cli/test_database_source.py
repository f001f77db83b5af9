"""`--database` and `--query`: a database in place of FILE, in every command that reads one."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest
from support.cases import each_case
from support.postgres import postgres
from unit.cli.conftest import Run

from pinterest_audiences.pytest_plugin import PinterestServer

__all__ = ["postgres"]

PASSWORD = "hunter2-Geheim"
URL = "sqlite:///shop.db"
QUERY = "select email from customers"
COUNT = 300
COMMANDS: dict[str, tuple[str, ...]] = {
    "check": (),
    "hash": (),
    "upload": ("--name", "All", "--emulator"),
    "lists create": ("--name", "All", "--emulator"),
    "plan": ("--name", "All", "--emulator"),
    "mirror": ("--name", "All", "--emulator"),
    "remove": ("--name", "Old", "--yes", "--emulator"),
    "forget": ("--dry-run", "--emulator"),
}


@pytest.fixture(autouse=True)
def shop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in the working directory, and no setting from outside."""
    monkeypatch.delenv("PINTEREST_AUDIENCES_DATABASE", raising=False)
    with sqlite3.connect("shop.db") as connection:
        connection.execute("create table customers (id integer, email text)")
        rows = [(number, f"person{number}@shop.de") for number in range(COUNT)]
        connection.executemany("insert into customers values (?, ?)", rows)
    connection.close()


@pytest.mark.parametrize("command", COMMANDS)
def test_query_is_the_source_of_every_command(run: Run, command: str) -> None:
    """By option; the result is that of a file with the same rows."""
    Path("old.csv").write_text("email\n" + "".join(f"person{n}@shop.de\n" for n in range(COUNT)))
    assert run("upload", "old.csv", "--name", "Old", "--emulator").code == 0
    options = ("--database", URL, "--query", QUERY)
    done = run(*command.split(), *options, *COMMANDS[command])
    assert done.code == 0, done.err
    count = {"check": "records", "plan": "add", "forget": "people"}
    if command == "hash":
        assert done.out == run("hash", "old.csv").out
    else:
        assert done.data[count.get(command, "planned")] == COUNT


def test_query_is_read_from_a_file_and_the_url_from_the_settings(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option before the variable before the profile."""
    Path("q.sql").write_text("\ufeff-- customers of today\nselect id, email\nfrom customers;\n")
    config = Path("config.toml").absolute()
    config.write_text(f'[profiles.default]\ndatabase = "{URL}"\n')
    monkeypatch.setenv("PINTEREST_AUDIENCES_CONFIG", str(config))
    assert run("check", "--query", "@q.sql").data["records"] == COUNT
    monkeypatch.setenv("PINTEREST_AUDIENCES_DATABASE", "sqlite:///other.db")
    assert "other.db" in run("check", "--query", "@q.sql").error["message"]
    assert run("check", "--query", "@q.sql", "--database", URL).data["records"] == COUNT
    Path("one.csv").write_text("email\nann@shop.de\n")
    assert run("check", "one.csv").data["records"] == 1


MISTAKES = {
    ("a.csv", "--database", URL, "--query", QUERY): "use either FILE, or --database and --query",
    ("a.csv", "--query", QUERY): "use either FILE, or --database and --query",
    ("--query", QUERY): "--query requires --database",
    ("--query", QUERY, "--database", ""): "--query requires --database",
    ("--database", URL): "--database requires --query",
    ("--database", URL, "--query", ""): "--query must be a non-empty string",
    ("--database", URL, "--query", "@none.sql"): "--query: none.sql: No such file",
    ("--database", "shop.db", "--query", QUERY): "--database must be a URL such as",
    ("--database", URL, "--query", QUERY, "--delimiter", ";"): "--delimiter is for files",
    ("--database", URL, "--query", QUERY, "--no-header"): "--no-header is for files",
    ("--database", URL, "--query", QUERY, "--sheet", "2"): "--sheet is for files",
    ("--database", URL, "--query", QUERY, "--columns", "email=email", "--column", "x"): "column",
    (): "FILE is missing; or use --database and --query",
}


@each_case("words", MISTAKES)
def test_mistake_in_the_options_is_a_usage_error(run: Run, words: tuple[str, ...]) -> None:
    Path("a.csv").write_text("email\nann@shop.de\n")
    done = run("check", *words)
    assert (done.code, done.out) == (2, "")
    assert MISTAKES[words] in f"{done.error['message']} {done.error['hint']}"


def test_mirror_takes_a_query_or_a_plan(run: Run) -> None:
    """And not both, or neither."""
    for words in ((), ("--query", QUERY, "--plan-file", "p.json"), ("a", "--plan-file", "p.json")):
        done = run("mirror", *words, "--emulator")
        assert (done.code, done.error["code"]) == (2, "usage")
        assert "exactly one of FILE, --query and --plan-file" in done.error["message"]


def failing_query(reader: str) -> str:
    """Return a query that fails after 5,000 of its rows, all of which are other people."""
    numbers = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 9000) "
    fails = "json('ann@shop.de')" if reader == "sqlite" else "('ann@shop.de' || i)::int::text"
    return (
        f"{numbers}select case when i = 5000 then {fails} else i || '@shop.fr' end as email from n"
    )


def postgres_url(dsn: str, scheme: str) -> str:
    """Return the URL of the server of the tests, with a password."""
    host = dsn.split(maxsplit=1)[0].removeprefix("host=")
    return f"{scheme}://test:{PASSWORD}@/postgres?host={quote(host)}"


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["sqlite", "postgresql", "postgresql+psycopg"])
def test_mirror_of_a_query_that_fails_after_rows_removes_no_record(
    run: Run, server: PinterestServer, reader: str, request: pytest.FixtureRequest
) -> None:
    """In a pipe the rows before the failure would be the whole source."""
    url = URL
    if reader != "sqlite":
        module = "adbc_driver_postgresql" if reader == "postgresql" else "psycopg"
        pytest.importorskip(module, reason=f"{module} is not installed")
        pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
        url = postgres_url(request.getfixturevalue("postgres"), reader)
    command = ("mirror", "--name", "All", "--yes", "-vv")
    uploaded = run(*command, "--database", URL, "--query", QUERY)
    assert uploaded.code == 0
    [number] = [str(each["id"]) for each in run("lists", "list").data]
    before = server.emulator.members(number)
    assert len(before) == COUNT
    done = run(*command, "--database", url, "--query", failing_query(reader))
    assert (done.code, done.out) == (5, "")
    assert "the query failed" in done.err
    assert server.emulator.members(number) == before
    check_private(done.err, run("jobs", "list").out, run("status").out)
    assert run(*command, "--database", URL, "--query", QUERY).data["planned"] == 0


def check_private(*texts: str) -> None:
    """Check that neither the password nor a record is in the output or any file of the state."""
    state = Path("../state")
    files = [path.read_bytes() for path in state.rglob("*") if path.is_file()]
    for secret in (PASSWORD, "ann@", "@shop"):
        assert not any(secret in text for text in texts)
        assert not any(secret.encode() in content for content in files)
    assert files


@pytest.mark.slow
def test_password_is_in_no_output_log_report_or_state(
    run: Run, server: PinterestServer, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a job that succeeds, with all log messages, and of a connection that is refused."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    query = "select n || '@shop.de' as email from generate_series(1, 200) n"
    url = postgres_url(postgres, "postgresql+psycopg")
    monkeypatch.setenv("PINTEREST_AUDIENCES_LOG", "debug")
    options = ("--database", url, "--query", query)
    done = run("mirror", *options, "--name", "All", "-vv")
    assert (done.code, done.data["planned"]) == (0, 200)
    assert "--database contains a password" in done.err
    report = run("check", *options, "-vv")
    assert report.data["source"] == "postgresql:///postgres"
    refused = f"postgresql+psycopg://test:{PASSWORD}@127.0.0.1:9/shop"
    monkeypatch.setenv("PINTEREST_AUDIENCES_DATABASE", refused)
    failed = run("check", "--query", query, "-vv")
    assert failed.code == 5
    assert "onnection refused" in failed.err
    assert "contains a password" not in failed.err
    unknown = run("check", "--query", query, "--database", refused.replace("psycopg", "none"))
    assert unknown.code == 2
    check_private(
        *(each.out + each.err for each in (done, report, failed, unknown)),
        run("jobs", "list").out,
        run("status").out,
        run("doctor").out,
    )


def test_profile_with_a_password_that_others_can_read_is_a_warning(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    config = Path("config.toml").absolute()
    url = f"postgresql+psycopg://u:{PASSWORD}@127.0.0.1:9/db"
    config.write_text(f'[profiles.default]\ndatabase = "{url}"\n')
    monkeypatch.setenv("PINTEREST_AUDIENCES_CONFIG", str(config))
    for mode, warned in ((0o644, True), (0o600, False)):
        config.chmod(mode)
        done = run("check", "--query", QUERY)
        assert done.code == 5
        assert ("readable by others" in done.err) is warned
        assert PASSWORD not in done.err
