"""Customers in Spark: cleaned, hashed and compared by the cluster, sent by the driver.

Requires the extra ``[spark]``; Spark is imported when a function is called. The package must also
be installed for the Python workers of the cluster, which clean what Spark's SQL cannot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import uuid4

from attrs import frozen

from pinterest_audiences._config import state_file
from pinterest_audiences._errors import (
    BadRequestError,
    CallError,
    ConfigurationError,
    TooManyRejectsError,
)
from pinterest_audiences._http.operations import validate_id
from pinterest_audiences._jobs.delivery import cause_of
from pinterest_audiences._jobs.job_errors import GuardError, JobInterruptedError
from pinterest_audiences._jobs.lookup import ListSelector
from pinterest_audiences._jobs.plan import (
    GUARD_SUGGESTIONS,
    MAX_REMOVAL_SHARE,
    ExpectedRows,
    MirrorOptions,
    PlanCounts,
    SourceFigures,
    check_guards,
)
from pinterest_audiences._jobs.runner import JobOptions, allowed_guards
from pinterest_audiences._jobs.state import State
from pinterest_audiences._records.prepare import check_ratio
from pinterest_audiences._spark_frames import (
    FrameReport,
    PreparedFrame,
    SparkKind,
    prepare,
    spark_functions,
    text_column,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pinterest_audiences._jobs.reports import JobReport, OnEvent
    from pinterest_audiences._sync_client import Client

__all__ = ["FrameMirrorReport", "FrameReport", "PreparedFrame", "SparkKind", "mirror", "prepare"]

_MAX_PART_RECORDS = 1_000_000  # a driver sends a part from memory
_MAX_REFUSED_PART_RECORDS = 100  # a part of more records that is refused as a whole is an error
_LISTS_PER_PAGE = 250


@frozen(kw_only=True)
class FrameMirrorReport:
    """What a mirror of a DataFrame changed.

    Attributes:
        customer_list_id: The list; ``None`` if there was nothing to send and no list yet.
        added: Records whose addition was acknowledged.
        removed: Records whose removal was acknowledged.
        kept: Records that stayed on the list.
        source: The result of every row.
        finished: Whether an interrupted delivery was finished first.
        refused: Records that Pinterest refused individually. The next run sends them again, unless
            the DataFrame has changed so that it is not needed.
        findings: Warnings and notes of the jobs, in plain text, also of an interrupted delivery.
    """

    customer_list_id: str | None
    added: int
    removed: int
    kept: int
    source: FrameReport
    finished: bool = False
    refused: int = 0
    findings: tuple[str, ...] = ()


def mirror(
    df: DataFrame,
    snapshot: str,
    *,
    client: Client,
    ad_account_id: str | int,
    name: str | None = None,
    customer_list_id: str | int | None = None,
    column: str | None = None,
    kind: SparkKind = "email",
    adopt: bool = False,
    max_removal_share: float = MAX_REMOVAL_SHARE,
    allow_removals: bool = False,
    allow_unreadable: bool = False,
    max_reject_share: float | None = None,
    expect_rows: float | str | None = None,
    state_folder: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    retry_timeout: float = 7200.0,
    batch_size: int | None = None,
) -> FrameMirrorReport:
    """Make a customer list equal to a column of a DataFrame; survives crashes.

    The cluster prepares the DataFrame and compares it with the snapshot, which has the digests that
    the list had after the last run. Additions and removals are stored in the snapshot's folder
    first, and then delivered by the driver, at most a million at a time, through
    :meth:`Client.upload`. The new snapshot is committed when all of them are delivered.

    After an interruption, call `mirror` again: it finishes the stored delivery before it compares
    anything. A part that was being delivered may be sent twice, which does not change the list.
    A stored delivery of which nothing was sent is discarded if the call names another list.
    Records that Pinterest refuses are stored, and the next run sends them again. Only one run may
    use a snapshot at a time.

    Args:
        df: The customers that the list should have.
        snapshot: A folder for this list, which the first run creates, on any file system of Hadoop
            (``file:``, ``hdfs:``, ``s3a:``) that the driver and the executors can reach.
        client: The client that sends the changes.
        ad_account_id: 1 to 18 digits.
        name: The name of the list, also one of digits, which the first run creates.
        customer_list_id: The id of an existing list, in place of `name`.
        column: As for :func:`prepare`.
        kind: As for :func:`prepare`.
        adopt: Treat a list that exists before the first run as empty.
        max_removal_share: Refuse to remove more than this share of the snapshot, from 0 to 1.
        allow_removals: Remove records whatever their share is.
        allow_unreadable: Remove records although more values were rejected than in the last run.
        max_reject_share: Refuse a larger share of rejects among the values, from 0 to 1.
        expect_rows: The fewest rows that the DataFrame may have: a count (300), or a share of the
            last run's (0.9, ``"90%"``).
        state_folder: A local folder of the driver for the state files of deliveries, which are
            deleted when they are done; by default next to the state file of jobs.
        on_event: As for :meth:`Client.upload`.
        retry_timeout: As for :meth:`Client.upload`.
        batch_size: As for :meth:`Client.upload`.

    Returns:
        What was added, removed and kept.

    Raises:
        ConfigurationError: An argument is invalid, or the snapshot belongs to another list.
        GuardError: The DataFrame has no records or fewer rows than expected, too many records
            would be removed, several lists have the name, or the list exists and has no snapshot;
            no change of this run was sent.
        TooManyRejectsError: More values were rejected than allowed; no change of this run was sent.
        JobInterruptedError: The delivery stopped before its end; the next run finishes it.
        NotFoundError: No list has that id; nothing was computed.
        CallError: The list could not be looked up; nothing was computed.
        OSError: A file of the snapshot could not be renamed.

    Example:
        A DataFrame ``customers``, every night::

            with Client() as client:
                report = mirror(
                    customers, "s3a://bucket/buyers", client=client,
                    ad_account_id="549755885175", name="Buyers", column="email",
                )
    """
    selector = ListSelector(ad_account_id, customer_list_id, name)
    selector.check()
    account = validate_id("ad_account_id", ad_account_id)
    if customer_list_id is not None:
        customer_list_id = validate_id("customer_list_id", customer_list_id)
    MirrorOptions(adopt, max_removal_share).check()
    max_reject_share = check_ratio(max_reject_share)
    inner = cast("Any", client)._client  # noqa: SLF001 - the client of this package
    job_options = JobOptions.checked(
        inner._job_context(),  # noqa: SLF001
        state_path=None,
        on_event=on_event,
        retry_timeout=retry_timeout,
        batch_size=batch_size,
        expect_rows=expect_rows,
    )
    text_column(df, column)
    service = inner._session.base_url  # noqa: SLF001
    owner = {"service": service, "ad_account_id": account, "kind": kind}
    store = _Snapshot(df, snapshot, owner)
    deliver = _Delivery(
        client,
        store,
        name,
        Path(state_folder) if state_folder is not None else state_file(None).parent / "spark",
        {"on_event": on_event, "retry_timeout": retry_timeout, "batch_size": batch_size},
        adopt=adopt,
    )
    list_id = _find_list(client, account, name, customer_list_id, store)
    interrupted = _pending_delivery(store, name, list_id, adopt=adopt)
    finished = None if interrupted is None else deliver.run(interrupted)
    last = store.committed()
    prepared = store.prepare(column, kind)
    report = prepared.report()
    where = f"list {name or customer_list_id}"
    if finished is not None:
        where = f"{where}, after the interrupted delivery was sent"
    _check_source(where, report, last, job_options.expect_rows, max_reject_share)
    plan = store.compare(prepared, report, last)
    plan |= {
        "name": name,
        "customer_list_id": last["customer_list_id"] if last else list_id,
        "uncertain": last["refused"]["uncertain"] if last else [],
    }
    allowed = allowed_guards(allow_removals=allow_removals, allow_unreadable=allow_unreadable)
    _check_changes(where, plan, last, max_removal_share, allowed)
    store.save_plan(plan)
    done = deliver.run(plan)
    results = [done] if finished is None else [finished, done]
    return FrameMirrorReport(
        customer_list_id=done["customer_list_id"],
        added=done["added"],
        removed=done["removed"],
        kept=report.records - plan["add"],
        source=report,
        finished=finished is not None,
        refused=sum(map(len, done["refused"].values())),
        findings=tuple(dict.fromkeys(text for item in results for text in item["findings"])),
    )


_Manifest: TypeAlias = dict[str, Any]


def _find_list(
    client: Client, account: str, name: str | None, customer_list_id: str | None, store: _Snapshot
) -> str | None:
    """Return the id of the list at Pinterest, or None if no list has the name.

    Raises:
        GuardError: Several lists have that name.
        CallError: The list could not be looked up; or an id, also that of the snapshot, does not
            exist.
    """
    if customer_list_id is None:
        stored = store.pending() or store.committed()
        if stored is not None and stored["name"] == name:
            customer_list_id = store.list_id(stored)
    if customer_list_id is not None:
        return client.customer_lists_get(account, customer_list_id).id
    pager = client.customer_lists_list(account, page_size=_LISTS_PER_PAGE)
    ids = [item.id for item in pager if item.name == name]
    if len(ids) > 1:
        raise GuardError(
            f"{len(ids)} lists are called {name!r} ({', '.join(ids)})",
            guard="ambiguous_name",
            suggestion="choose one by its id with customer_list_id",
        )
    return ids[0] if ids else None


def _pending_delivery(
    store: _Snapshot, name: str | None, list_id: str | None, *, adopt: bool
) -> _Manifest | None:
    """Return the interrupted delivery to this list; discard one that sent nothing to another.

    Raises:
        ConfigurationError: The snapshot belongs to another list.
        GuardError: The list exists and has no snapshot, so that its content is unknown.
    """
    pending, last = store.pending(), store.committed()
    if pending is not None and not _is_of_list(store, pending, name, list_id):
        if store.is_started(pending):
            raise _other_list()
        store.discard(pending)
        pending = None
    if last is not None:
        if not _is_of_list(store, last, name, list_id):
            raise _other_list()
        return pending
    is_decided = pending is not None and (
        store.list_id(pending) is not None or store.is_started(pending)
    )
    if list_id is not None and not adopt and not is_decided:
        raise GuardError(
            f"list {list_id} exists and has no snapshot, so its content is unknown and would stay",
            guard="unknown_content",
            suggestion="pass adopt=True to treat it as empty, or mirror into a new list by its "
            "name",
        )
    return pending


def _is_of_list(
    store: _Snapshot, manifest: _Manifest, name: str | None, list_id: str | None
) -> bool:
    """Return whether a plan belongs to a list."""
    stored = store.list_id(manifest)
    return (
        stored == list_id if stored is not None else name is not None and manifest["name"] == name
    )


def _other_list() -> ConfigurationError:
    return ConfigurationError(
        "snapshot belongs to another list; use one folder for each list", param="snapshot"
    )


def _check_source(
    where: str,
    report: FrameReport,
    last: _Manifest | None,
    expected: ExpectedRows | None,
    max_reject_share: float | None,
) -> None:
    """Check the rows of a source.

    Raises:
        GuardError: It has no records, or fewer rows than expected.
        TooManyRejectsError: Too many values were rejected.
    """
    if expected is not None:
        expected.check(where, report.rows, SourceFigures.of(last["source"]) if last else None)
    if max_reject_share is not None and report.reject_share > max_reject_share:
        raise TooManyRejectsError(
            f"{where}: {report.reject_share:.1%} of the values were rejected, above the allowed "
            f"share of {max_reject_share:g}; no change of this run was sent",
            rows=report.rows,
            rejected=report.rejected,
            allowed=max_reject_share,
            suggestion="fix the source, or accept more with max_reject_share",
        )
    if not report.records:
        raise GuardError(
            f"{where}: the DataFrame has no records, and a mirror of it would empty the list",
            guard="empty_source",
        )


def _check_changes(
    where: str,
    plan: _Manifest,
    last: _Manifest | None,
    max_removal_share: float,
    allowed: frozenset[str],
) -> None:
    """Check the changes by the guards of a mirror job.

    Raises:
        GuardError: A guard blocks them.
    """
    counts = PlanCounts(
        add=plan["add"],
        remove=plan["remove"],
        possible=last["records"] if last else 0,
        removed_members=plan["remove"],
    )
    now = SourceFigures.of(plan["source"])
    earlier = SourceFigures.of(last["source"]) if last else None
    for guard, text in check_guards(counts, max_removal_share, now, earlier).items():
        if guard not in allowed:
            raise GuardError(f"{where}: {text}", guard=guard, suggestion=GUARD_SUGGESTIONS[guard])


class _Snapshot:
    """The folder of a snapshot: a numbered folder for each run.

    A numbered folder has `outcomes`, the digests of the source, and `changes`, the difference to
    the folder before. Its file ``plan.json`` is written when both are complete, and ``done.json``
    when the changes are delivered; what has no plan is computed again. Files are written under
    another name and renamed, so that each is complete or absent.

    Args:
        df: The customers.
        root: The folder.
        owner: What all manifests of the folder have in common.
    """

    def __init__(self, df: DataFrame, root: str, owner: _Manifest) -> None:
        session: Any = df.sparkSession
        jvm = getattr(session, "_jvm", None)
        if jvm is None:
            raise ConfigurationError(
                "df must belong to a classic Spark session: Spark Connect gives no access to the "
                "file systems of Hadoop",
                param="df",
            )
        self._df = df
        self._root = root.rstrip("/")
        self._owner = owner
        self._path = jvm.org.apache.hadoop.fs.Path
        self._io = jvm.org.apache.commons.io.IOUtils
        configuration = session.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - py4j
        self._files = self._path(self._root).getFileSystem(configuration)

    def folder(self, number: int) -> str:
        """Return the folder of a run."""
        return f"{self._root}/{number:08d}"

    def pending(self) -> _Manifest | None:
        """Return the plan that is not delivered, if there is one."""
        return self._newest("plan.json", after=self._committed_number())

    def committed(self) -> _Manifest | None:
        """Return the newest delivered plan, if there is one."""
        return self._newest("done.json")

    def prepare(self, column: str | None, kind: SparkKind) -> PreparedFrame:
        """Compute and store the outcomes of the next run; delete what an earlier try left."""
        number = self._committed_number()
        for other in self._numbers():
            if other != number:
                self._delete(self.folder(other))
        return prepare(self._df, column=column, kind=kind).write(
            f"{self.folder(number + 1)}/outcomes"
        )

    def compare(
        self, prepared: PreparedFrame, report: FrameReport, last: _Manifest | None
    ) -> _Manifest:
        """Store the changes since the last run, and return their plan."""
        f = spark_functions()
        number = self._committed_number() + 1
        changes = prepared.digests.withColumn("operation", f.lit("ADD"))
        if last is not None:
            both = prepared.digests.withColumn("is_new", f.lit(1)).join(
                self._earlier(number - 1, last["refused"]), "digest", "full_outer"
            )
            # Records that may or may not be on the list are sent in any case.
            changes = both.where("is_new IS NULL OR is_certain IS NULL OR NOT is_certain").select(
                "digest",
                f.when(f.col("is_new").isNull(), "REMOVE").otherwise("ADD").alias("operation"),
            )
        (
            changes.write.partitionBy("operation")
            .option("maxRecordsPerFile", _MAX_PART_RECORDS)
            .option("compression", "zstd")
            .parquet(f"{self.folder(number)}/changes")
        )
        parts = [*self._parts(number, "ADD"), *self._parts(number, "REMOVE")]
        added = sum(part["count"] for part in parts if part["operation"] == "ADD")
        return {
            **self._owner,
            "snapshot_id": last["snapshot_id"] if last else uuid4().hex,
            "number": number,
            "source": report.to_dict(),
            "records": report.records,
            "add": added,
            "remove": sum(part["count"] for part in parts) - added,
            "parts": parts,
        }

    def _earlier(self, number: int, refused: Mapping[str, list[str]]) -> DataFrame:
        """Return the digests that the list may have, and whether that is certain."""
        f = spark_functions()
        frame = PreparedFrame.read(self._df, f"{self.folder(number)}/outcomes").digests
        earlier = frame.withColumn("is_certain", f.lit(True))  # noqa: FBT003 - a column's value
        if not any(refused.values()):
            return earlier
        session: Any = self._df.sparkSession
        exceptions = [(digest,) for digests in refused.values() for digest in digests]
        others = [
            *((digest, True) for digest in refused["present"]),
            *((digest, False) for digest in refused["uncertain"]),
        ]
        left_out = f.broadcast(session.createDataFrame(exceptions, "digest string"))
        return earlier.join(left_out, "digest", "left_anti").unionByName(
            session.createDataFrame(others, "digest string, is_certain boolean")
        )

    def save_plan(self, plan: _Manifest) -> None:
        """Store a plan: from now on it is delivered before anything else."""
        self._write(f"{self.folder(plan['number'])}/plan.json", plan)

    def part(self, plan: _Manifest, part: _Manifest) -> Any:  # noqa: ANN401 - an Arrow table
        """Return the digests of a part of the changes."""
        folder = f"{self.folder(plan['number'])}/changes/operation={part['operation']}"
        files = [f"{folder}/{name}" for name in part["files"]]
        digests: Any = self._df.sparkSession.read.schema("digest string").parquet(*files)
        return digests.toArrow()

    def discard(self, plan: _Manifest) -> None:
        """Delete a plan of which nothing was sent; the next run deletes its folder."""
        self._delete(f"{self.folder(plan['number'])}/plan.json")

    def is_started(self, plan: _Manifest) -> bool:
        """Return whether a part of a plan may have been sent."""
        return self._read(f"{self.folder(plan['number'])}/started.json") is not None

    def mark_started(self, plan: _Manifest) -> None:
        """Store that parts of a plan may have been sent."""
        self._write(f"{self.folder(plan['number'])}/started.json", {})

    def unmark_started(self, plan: _Manifest) -> None:
        """Store that nothing of a plan was sent."""
        self._delete(f"{self.folder(plan['number'])}/started.json")

    def list_id(self, plan: _Manifest) -> str | None:
        """Return the id of the list of a plan, if it is known."""
        first = None if plan["customer_list_id"] is not None else self.delivered(plan, 0)
        return cast("str | None", (first or plan)["customer_list_id"])

    def delivered(self, plan: _Manifest, index: int) -> _Manifest | None:
        """Return the result of a part, or None if the part was not delivered."""
        return self._read(f"{self.folder(plan['number'])}/delivered-{index:06d}.json")

    def mark_delivered(self, plan: _Manifest, index: int, result: _Manifest) -> None:
        """Store that a part was delivered, and its result."""
        self._write(f"{self.folder(plan['number'])}/delivered-{index:06d}.json", result)

    def commit(self, plan: _Manifest, result: _Manifest) -> None:
        """Make a delivered plan the snapshot, and delete the snapshots before it."""
        done = {key: value for key, value in plan.items() if key not in _PLAN_ONLY} | result
        folder = self.folder(plan["number"])
        self._write(f"{folder}/done.json", done)
        for number in self._numbers():
            if number < plan["number"]:
                self._delete(self.folder(number))
        self._delete(f"{folder}/changes")

    def _parts(self, number: int, operation: str) -> Iterator[_Manifest]:
        """Yield the parts of the changes: files in their order, up to a million records."""
        path = f"{self.folder(number)}/changes/operation={operation}"
        if not self._files.exists(self._path(path)):
            return
        f = spark_functions()
        counts = (
            self._df.sparkSession.read.schema("digest string")
            .parquet(path)
            .groupBy(f.col("_metadata.file_name").alias("file"))
            .agg(f.count("*").alias("count"))
            .collect()
        )
        files: list[str] = []
        total = 0
        for row in sorted(counts):
            if files and total + row["count"] > _MAX_PART_RECORDS:
                yield {"operation": operation, "files": files, "count": total}
                files, total = [], 0
            files.append(row["file"])
            total += row["count"]
        if files:
            yield {"operation": operation, "files": files, "count": total}

    def _newest(self, file: str, after: int = 0) -> _Manifest | None:
        for number in sorted(self._numbers(), reverse=True):
            manifest = self._read(f"{self.folder(number)}/{file}") if number > after else None
            if manifest is not None:
                if any(manifest.get(key) != value for key, value in self._owner.items()):
                    raise ConfigurationError(
                        "snapshot belongs to another API, ad account or kind; use one folder for "
                        "each list",
                        param="snapshot",
                    )
                return manifest
        return None

    def _committed_number(self) -> int:
        manifest = self.committed()
        return 0 if manifest is None else int(manifest["number"])

    def _numbers(self) -> list[int]:
        if not self._files.exists(self._path(self._root)):
            return []
        names = [
            item.getPath().getName() for item in self._files.listStatus(self._path(self._root))
        ]
        return [int(name) for name in names if name.isdigit()]

    def _read(self, path: str) -> _Manifest | None:
        if not self._files.exists(self._path(path)):
            return None
        stream = self._files.open(self._path(path))
        try:
            return cast("_Manifest", json.loads(self._io.toString(stream, "UTF-8")))
        finally:
            stream.close()

    def _write(self, path: str, manifest: _Manifest) -> None:
        unfinished = self._path(f"{path}.unfinished")
        stream = self._files.create(unfinished, True)  # noqa: FBT003 - overwrite
        try:
            stream.write(bytearray(json.dumps(manifest).encode()))
        finally:
            stream.close()
        if not self._files.rename(unfinished, self._path(path)):
            raise OSError(f"the file system did not rename a file of the snapshot to {path}")

    def _delete(self, path: str) -> None:
        self._files.delete(self._path(path), True)  # noqa: FBT003 - with its content


@frozen
class _Delivery:
    """Delivers the parts of a plan in their order, each as one job with its own state file.

    A state file lives as long as its part, so that a driver never stores all digests, and never
    continues a job of an earlier snapshot.

    Attributes:
        client: The client.
        store: The snapshot.
        name: The name of the list, if it is not known by its id.
        folder: The folder of the state files.
        options: More arguments of `Client.upload`.
        adopt: Whether a list that exists before anything was sent is treated as empty.
    """

    client: Client
    store: _Snapshot
    name: str | None
    folder: Path
    options: Mapping[str, Any]
    adopt: bool = False

    def run(self, plan: _Manifest) -> _Manifest:
        """Deliver what is left of a plan, and commit it; return what the commit adds to it."""
        list_id = cast("str | None", plan["customer_list_id"])
        results: list[_Manifest] = []
        for index, part in enumerate(plan["parts"]):
            result = self.store.delivered(plan, index)
            if result is None:
                result = self._send(plan, index, part, list_id)
                self.store.mark_delivered(plan, index, result)
            list_id = result["customer_list_id"]
            results.append(result)
            self._delete_states(f"{plan['snapshot_id']}-{plan['number']}-{index}.*")
        done: _Manifest = {
            "customer_list_id": list_id,
            "added": sum(result["added"] for result in results),
            "removed": sum(result["removed"] for result in results),
            "refused": {
                group: [digest for result in results for digest in result["refused"][group]]
                for group in _REFUSED_GROUPS
            },
            "findings": [text for result in results for text in result["findings"]],
        }
        self.store.commit(plan, done)
        self._delete_states(f"{plan['snapshot_id']}-*")
        return done

    def _send(self, plan: _Manifest, index: int, part: _Manifest, list_id: str | None) -> _Manifest:
        """Send a part, and return its result.

        Raises:
            GuardError: The list exists, and was looked for and not found before.
            JobInterruptedError: The part could not be sent.
            CallError: The list could not be looked up.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = self.folder / f"{plan['snapshot_id']}-{plan['number']}-{index}.sqlite3"
        is_first = not self.store.is_started(plan)
        target: dict[str, Any] = {"customer_list_id": list_id}
        if list_id is None:
            target = {"name": self.name, "must_be_new": is_first and not self.adopt}
        if is_first:
            self.store.mark_started(plan)
        upload = cast("Callable[..., JobReport]", self.client.upload)
        refusal: str | None = None
        try:
            report = upload(
                plan["ad_account_id"],
                self.store.part(plan, part),
                operation=part["operation"],
                kind=plan["kind"],
                column="digest",
                state=state,
                max_removal_share=1.0,
                allow_removals=True,
                **target,
                **self.options,
            )
        except (GuardError, CallError):  # the list was looked up, and nothing was sent
            if is_first:
                self.store.unmark_started(plan)
            raise
        except JobInterruptedError as error:
            if not _is_refused(error, part):
                raise
            report = error.report
            refusal = f"Pinterest refused the last {report.left:,} records of a part (400)"
        return {
            "customer_list_id": report.customer_list_id,
            "added": report.added,
            "removed": report.removed,
            "refused": _refused_digests(state, plan, part, report),
            "findings": [*report.findings, *([refusal] if refusal else [])],
        }

    def _delete_states(self, pattern: str) -> None:
        for path in self.folder.glob(pattern):
            path.unlink(missing_ok=True)


_PLAN_ONLY = ("parts", "uncertain")
# Refused records that are not on the list, that are, and that may be.
_REFUSED_GROUPS = ("absent", "present", "uncertain")


def _is_refused(error: JobInterruptedError, part: _Manifest) -> bool:
    """Return whether a small part ended because Pinterest refuses its last records.

    A job then stops, since the job itself may be wrong. Parts of few records often consist of
    nothing but records that were refused before, and must not block the snapshot.
    """
    cause = error.__cause__
    return (
        part["count"] <= _MAX_REFUSED_PART_RECORDS
        and isinstance(cause, BadRequestError)
        and cause_of(cause, 0) == "content"
        and error.report.customer_list_id is not None
    )


def _refused_digests(
    path: Path, plan: _Manifest, part: _Manifest, report: JobReport
) -> dict[str, list[str]]:
    """Return the digests of a part that were not acknowledged, by `_REFUSED_GROUPS`."""
    groups: dict[str, list[str]] = {group: [] for group in _REFUSED_GROUPS}
    if not report.refused + report.left:
        return groups
    untouched = "absent" if part["operation"] == "ADD" else "present"
    uncertain = set(plan["uncertain"])
    with closing(State(path, plan["service"])) as state:
        for batch in state.unacknowledged(report.job_id):
            # An earlier job of the part, or a request without a response, may have applied it.
            is_known = report.job_id == 1 and not batch.sends
            for key in batch.codec.split(state.keys(batch)):
                digest = key.hex()
                is_certain = is_known and digest not in uncertain
                groups[untouched if is_certain else "uncertain"].append(digest)
    return groups
