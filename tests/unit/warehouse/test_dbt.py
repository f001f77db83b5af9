"""The dbt package, run by dbt on DuckDB and PostgreSQL."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from support.nasty_values import random_emails
from support.warehouses import DuckDB, Warehouse, open_postgres

from pinterest_audiences import hashing_sql

pytest.importorskip("dbt.cli", reason="dbt is not installed: see the session `warehouse`")

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.timeout(600)]

PACKAGE = Path(__file__).parents[3] / "dbt"
if not PACKAGE.exists():
    pytest.skip("the dbt package is not beside an installed wheel", allow_module_level=True)
HASHED = """
select {{ pinterest_audiences.email_sha256('email') }} as email_sha256,
  {{ pinterest_audiences.email_to_clean('email') }} as email_to_clean
from {{ source('shop', 'customers') }}
"""
DEVICES = """
select {{ pinterest_audiences.maid_sha256('id') }} as maid_sha256,
  {{ pinterest_audiences.maid_to_clean('id') }} as maid_to_clean,
  {{ pinterest_audiences.idfa_sha256('id') }} as idfa_sha256,
  {{ pinterest_audiences.idfa_to_clean('id') }} as idfa_to_clean
from (select 'ABCDEFAB-8CF0-11bd-b23e-10b96e40000d' as id union all select 'x') as ids
order by 1
"""
DEVICE = hashlib.sha256(b"abcdefab-8cf0-11bd-b23e-10b96e40000d").hexdigest()
PROJECT_FILES = {
    "models/hashed.sql": HASHED,
    "models/devices.sql": DEVICES,
    "models/sources.yml": "sources:\n  - name: shop\n    schema: {schema}\n    tables:\n"
    "      - name: customers\n",
    "packages.yml": "packages:\n  - local: {package}\n",
    "dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n  +materialized: table\n"
    "flags:\n  send_anonymous_usage_stats: false\n",
    "profiles.yml": "shop:\n  target: test\n  outputs:\n    test: {output}\n",
}


def write_project(folder: Path, package: Path, schema: str, output: Mapping[str, object]) -> None:
    """Write a project that uses the package, and its profile."""
    (folder / "models").mkdir()
    places = {"package": str(package), "schema": schema, "output": json.dumps(output)}
    for name, text in PROJECT_FILES.items():
        for key, value in places.items():
            text = text.replace(f"{{{key}}}", value)  # noqa: PLW2901
        (folder / name).write_text(text)


def run_dbt(folder: Path, *words: str) -> tuple[int, str]:
    """Run dbt in a project, and return its exit code and output."""
    code = "from dbt.cli.main import cli; cli()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *words],
        cwd=folder,
        env={**os.environ, "DBT_PROFILES_DIR": str(folder), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout


class Duck:
    """A project on a file of DuckDB."""

    def __init__(self, folder: Path, package: Path) -> None:
        self._path = folder / "shop.duckdb"
        output = {"type": "duckdb", "path": str(self._path), "threads": 1}
        write_project(folder, package, "main", output)

    def open(self) -> AbstractContextManager[Warehouse]:
        return closing(DuckDB(self._path))


class PostgreSQL:
    """A project on a server."""

    def __init__(self, folder: Path, package: Path, address: str) -> None:
        self._address = address
        words = dict(word.split("=") for word in address.split())
        output = {
            "type": "postgres",
            "host": words["host"],
            "port": 5432,
            "user": words["user"],
            "pass": "",
            "dbname": words["dbname"],
            "schema": "public",
            "threads": 1,
        }
        write_project(folder, package, "public", output)

    def open(self) -> AbstractContextManager[Warehouse]:
        return open_postgres(self._address)


@pytest.fixture(params=["duckdb", "postgres"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Duck | PostgreSQL:
    """A project on each database."""
    if request.param == "duckdb":
        return Duck(tmp_path, PACKAGE)
    return PostgreSQL(tmp_path, PACKAGE, request.getfixturevalue("postgres"))


def test_models_have_the_hashes_of_the_query(project: Duck | PostgreSQL, tmp_path: Path) -> None:
    """Of hashing_sql, and both tests of the package pass."""
    with project.open() as warehouse:
        warehouse.load("customers", [*random_emails(11, 3_000), "ann@shop.de"])
    assert run_dbt(tmp_path, "deps")[0] == 0
    code, output = run_dbt(tmp_path, "build")
    assert code == 0, output
    assert "PASS=4 WARN=0 ERROR=0" in output
    with project.open() as warehouse:
        built = warehouse.query("select email_sha256, email_to_clean from hashed")
        query = hashing_sql(warehouse.dialect, table="customers", column="email")
        assert Counter(built) == Counter(warehouse.query(query))
        devices = warehouse.query("select * from devices")
    assert set(devices) == {(DEVICE, None, DEVICE, None), (None, "x", None, "x")}


def test_other_hashes_and_other_adapters_are_errors(tmp_path: Path) -> None:
    """The tests of the package fail as if lower case did nothing; then its SQL is missing."""
    package = tmp_path / "package"
    shutil.copytree(PACKAGE, package)
    macros = package / "macros" / "duckdb.sql"
    macros.write_text(macros.read_text().replace("LOWER(trimmed)", "trimmed"))
    Duck(tmp_path, package)
    assert run_dbt(tmp_path, "deps")[0] == 0
    code, output = run_dbt(tmp_path, "test")
    assert (code, "PASS=0 WARN=0 ERROR=2" in output) == (1, True), output
    macros.unlink()
    code, output = run_dbt(tmp_path, "compile")
    assert code != 0
    assert "pinterest_audiences has no SQL for duckdb" in output
