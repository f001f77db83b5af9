"""Read sources to their end: the records, the report, or the error."""

from __future__ import annotations

import io

import pytest

from pinterest_audiences import PreparationReport, SourceError, open_source, prepare


def read(source: object, **options: object) -> tuple[list[str], PreparationReport]:
    """Return the plain e-mails of a source, and its report."""
    opened = open_source(source, **options)  # type: ignore[arg-type]  # options of several types
    ready = prepare(opened, plain_emails=True)
    return [record for chunk in ready for record in chunk], ready.report


def error_of(source: object, **options: object) -> SourceError:
    """Return the error of reading a source; it contains no address."""
    with pytest.raises(SourceError) as caught:
        read(source, **options)
    assert "@" not in str(caught.value)
    return caught.value


def parquet_of(emails: list[str]) -> bytes:
    """Return a Parquet file."""
    pa = pytest.importorskip("pyarrow", reason="the extra [arrow] is not installed")
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table({"email": emails, "id": list(range(len(emails)))}), buffer)
    return buffer.getvalue()
