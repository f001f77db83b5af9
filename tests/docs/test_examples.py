"""Every program of `examples` runs as it is, on the emulator."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.postgres import postgres
from support.programs import HANGS_AFTER_SECONDS

__all__ = ["postgres"]

pytest.importorskip("sybil", reason="the examples are run by the docs session, which has sybil")

EXAMPLES = Path(__file__).parents[2] / "examples"
MAX_LINES = 60
MAX_SECONDS = 5 * HANGS_AFTER_SECONDS  # Spark on a busy machine
LONGER = {"quickstart.py"}  # it shows both clients
# What each program prints, in part.
PRINTED = {
    "excel_check.py": "3 rows, 1 records, columns: E-Mail",
    "list_all.py": "audience  ",
    "many_lists.py": "Customers in DE: ",
    "nightly_mirror.py": "1888 added, 0 removed; audience 2542621000000",
    "oauth_login.py": "logged in: Ad account 549755885175",
    "postgres_mirror.py": "200 added, 0 removed",
    "quickstart.py": "All customers          READY",
    "spark_mirror.py": "0 added, 50 removed",
    "upload_csv.py": "1888 records were added to list 2542620",
}
TESTED_BY_PYTEST = {"fastapi_app.py", "test_fastapi_app.py", "test_with_emulator.py"}
PROGRAMS = {path.name for path in EXAMPLES.glob("*.py")}


def test_every_example_is_run() -> None:
    assert set(PRINTED) == PROGRAMS - TESTED_BY_PYTEST


@pytest.mark.parametrize("name", sorted(PROGRAMS - LONGER))
def test_example_is_short_and_says_how_to_use_a_real_account(name: str) -> None:
    code = (EXAMPLES / name).read_text(encoding="utf-8")
    assert len(code.splitlines()) < MAX_LINES
    says = ("For your ad account", "For your app", "sends nothing")
    assert any(text in code for text in says) or name == "test_fastapi_app.py"


def needs(name: str) -> list[pytest.MarkDecorator]:
    """Skip a program that imports a package that is not installed."""
    code = (EXAMPLES / name).read_text(encoding="utf-8").replace("sql_source", "sqlalchemy")
    return [
        pytest.mark.skip(reason=f"the example needs {package}, which is not installed")
        for package in ("openpyxl", "pyspark", "sqlalchemy")
        if package in code and find_spec(package) is None
    ]


@pytest.mark.timeout(MAX_SECONDS + HANGS_AFTER_SECONDS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(name)) for name in sorted(PRINTED)]
)
def test_example_runs_as_it_is(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """In a folder of the user's, without any variable of the package."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("PINTEREST_")
    }
    if name == "postgres_mirror.py":
        environment["POSTGRES_URL"] = shop_url(request.getfixturevalue("postgres"))
    done = subprocess.run(
        [sys.executable, EXAMPLES / name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert PRINTED[name] in done.stdout
    assert list(tmp_path.iterdir()) == []


def shop_url(server: str) -> str:
    """Create a table of customers, and return the URL of its database."""
    psycopg = pytest.importorskip("psycopg", reason="the example needs psycopg")
    with psycopg.connect(server) as connection:
        connection.execute("create table customers (email text, consent boolean)")
        connection.execute(
            "insert into customers select 'customer' || n || '@shop.example', n % 2 = 0"
            " from generate_series(1, 400) n"
        )
    host = server.split(maxsplit=1)[0].removeprefix("host=")
    return f"postgresql+psycopg://test@/postgres?host={host}"
