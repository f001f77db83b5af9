"""The result of a hashing query as a source: the same list as from the table itself."""

from __future__ import annotations

import csv
import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.jobs import ACCOUNT, NAME, make_rig
from support.nasty_values import random_emails, random_mobile_ids
from support.warehouses import Warehouse

from pinterest_audiences import DataWarning, HashedKind, PreparationReport, hashing_sql, prepare

pytestmark = [pytest.mark.slow, pytest.mark.once]

EMAILS = (
    *("ann@shop.de", " Bob@Shop.DE", "M\u00fcller@b\u00fccher.de", "Eve <eve@shop.de>", ""),
    *("kim@shop.de, lee@shop.de", "no address", "ann@shop.de", "9f86d081" * 8, "test@test.com"),
)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def export(
    warehouse: Warehouse, folder: Path, kind: HashedKind, values: Sequence[str]
) -> tuple[Path, Path]:
    """Return files with the table itself, and with the result of the query."""
    table = f"export_{secrets.token_hex(4)}"
    warehouse.load(table, values)
    sql = hashing_sql(warehouse.dialect, table=table, column="email", kind=kind)
    rows = warehouse.query(sql)
    return (
        write_csv(folder / "table.csv", ["id", kind], list(enumerate(values))),
        write_csv(
            folder / "hashed.csv",
            ["id", f"{kind}_sha256", f"{kind}_to_clean"],
            [(number, *row) for number, row in enumerate(rows)],
        ),
    )


@pytest.mark.parametrize("kind", ["email", "maid", "idfa"])
def test_export_is_prepared_like_the_table(
    warehouse: Warehouse, kind: HashedKind, tmp_path: Path
) -> None:
    """The same records, duplicates, rejects and findings; only the input forms differ."""
    make = random_emails if kind == "email" else random_mobile_ids
    values = [*make(7, 5_000), *EMAILS]
    table, hashed = export(warehouse, tmp_path, kind, values)
    expected, actual = prepare(table, kind=kind), prepare(hashed, kind=kind)
    assert {r for chunk in actual for r in chunk} == {r for chunk in expected for r in chunk}
    for name in ("rows", "blank", "values", "records", "duplicates", "rejects"):
        assert getattr(actual.report, name) == getattr(expected.report, name), name
    assert findings(actual.report) == findings(expected.report)
    assert actual.report.columns == (f"{kind}_sha256", f"{kind}_to_clean")


def findings(report: PreparationReport) -> set[DataWarning]:
    """Return the findings, except that hashes are among plain values or other hashes."""
    return {finding for finding in report.findings if not finding.kind.startswith("mixed_")}


@pytest.mark.anyio
async def test_export_is_uploaded_and_mirrored_like_the_table(
    warehouse: Warehouse, tmp_path: Path, anyio_backend: str
) -> None:
    """A mirror with the export changes nothing in a list that the table created."""
    table, hashed = export(warehouse, tmp_path, "email", EMAILS)
    rig = make_rig(tmp_path / "jobs.sqlite3")
    async with rig.client:
        first = await rig.client.upload(ACCOUNT, table, name=NAME, state=rig.state)
        members = await rig.members()
        second = await rig.client.mirror(ACCOUNT, hashed, name=NAME, state=rig.state)
        assert (first.added, second.added, second.removed) == (7, 0, 0)
        assert await rig.members() == members
    other = make_rig(tmp_path / "other.sqlite3")
    async with other.client:
        await other.client.upload(ACCOUNT, hashed, name=NAME, state=other.state)
        assert await other.members() == members
