"""Check a workbook before it is sent: what is wrong in which row. Requires the extra `[excel]`.

    python excel_check.py customers.xlsx

It sends nothing, to the emulator or to Pinterest. Without a file it checks one that it writes,
which requires openpyxl.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pinterest_audiences import prepare


def check(path: str) -> None:
    """Print the reasons for rejects, with masked values."""
    records = prepare(path, samples=3)
    report = records.run()
    columns = ", ".join(report.columns)
    print(f"{report.rows} rows, {report.records} records, columns: {columns}")
    for sample in records.samples:
        print(f"row {sample.row}: {sample.reason} {sample.masked}")
    print(report.estimate_matches(match_rate=0.5))


def main() -> None:
    """Check the file of the command line, or a small one."""
    if sys.argv[1:]:
        check(sys.argv[1])
        return
    from openpyxl import Workbook  # noqa: PLC0415 - for the example only

    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in (["Id", "E-Mail"], [1, "ann@shop.example"], [2, "ben at shop.example"], [3, None]):
        sheet.append(row)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "customers.xlsx"
        workbook.save(path)
        check(str(path))


if __name__ == "__main__":
    main()
