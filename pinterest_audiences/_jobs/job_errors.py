"""Errors of jobs; part of the tree in :mod:`pinterest_audiences._errors`."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, cast

from pinterest_audiences._errors import PinterestAudiencesError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinterest_audiences._jobs.reports import JobReport
    from pinterest_audiences._models import CustomerList

__all__ = [
    "AudienceError",
    "EmulatorBusyError",
    "EmulatorStateError",
    "GuardError",
    "JobInterruptedError",
    "JobNotFoundError",
    "JobsFailedError",
    "JobsInterruptedError",
    "ListBusyError",
    "PlanError",
    "StateError",
    "WaitTimeoutError",
    "combined_error",
    "disk_error",
    "summary_of",
]


class StateError(PinterestAudiencesError):
    """The state file cannot be read or written; nothing is sent without it.

    Attributes:
        path: The file.
        reason: What is wrong with it, and how to fix it.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason, path)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"state file {self.path}: {self.reason}" if self.path else self.reason


class EmulatorStateError(StateError):
    """The state file of the local emulator cannot be used."""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class EmulatorBusyError(StateError):
    """Another process has not released the local emulator in time."""


def disk_error(error: OSError, path: os.PathLike[str]) -> StateError:
    """Return a `StateError` that says how to resolve an error of the file system."""
    description = error.strerror or type(error).__name__
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            reason = "the disk is full; free some space and resume"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            reason = (
                f"cannot be written; check its owner, its mode and its directory's ({description})"
            )
        case errno.ELOOP:
            reason = "is a symbolic link, which is not followed; remove it, or use another file"
        case _:
            reason = f"{description}; use another file"
    return StateError(reason, path=os.fspath(path))


def summary_of(error: Exception) -> str:
    """Return the text of any error, without its suggestion where it has one."""
    return error.summary if isinstance(error, PinterestAudiencesError) else str(error)


class ListBusyError(PinterestAudiencesError):
    """Another process, or another task of this process, is working on the same list.

    Attributes:
        pid: The id of that process, if known.
    """

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class GuardError(PinterestAudiencesError):
    """A guard refused a job that is probably a mistake; nothing was sent.

    Attributes:
        guard: The code of the guard: ``empty_source``, ``expected_rows``, ``unreadable_rows``,
            ``removals``, ``unknown_content``, ``ambiguous_name``, ``no_list``, ``no_audience``,
            ``no_segment``, ``name_taken``, ``list_type`` or ``being_created``.
    """

    def __init__(
        self,
        message: str,
        *,
        guard: str = "",
        param: str | None = None,
        suggestion: str | None = None,
    ) -> None:
        super().__init__(f"{message}; {suggestion}" if suggestion else message)
        self.guard = guard
        self.param = param
        self.suggestion = suggestion


class PlanError(PinterestAudiencesError):
    """A plan cannot be applied any more; create a new one."""


class JobInterruptedError(PinterestAudiencesError):
    """A job stopped before it was done. Nothing is lost: ``resume`` finishes it.

    Attributes:
        report: The counts so far. The cause is in ``__cause__``.
    """

    def __init__(
        self, message: str, *, report: JobReport | None = None, suggestion: str | None = None
    ) -> None:
        super().__init__(f"{message}; {suggestion}" if suggestion else message)
        self.suggestion = suggestion
        # Missing only if the error was created from its message alone.
        self.report: JobReport = cast("JobReport", report)


class AudienceError(PinterestAudiencesError):
    """A job is done, but the audience of its list could not be created or was not ready in time.

    Attributes:
        report: The report of the job. The cause is in ``__cause__``.
    """

    def __init__(
        self, message: str, *, report: JobReport | None = None, suggestion: str | None = None
    ) -> None:
        super().__init__(f"{message}; {suggestion}" if suggestion else message)
        self.suggestion = suggestion
        self.report: JobReport = cast("JobReport", report)


class JobNotFoundError(PinterestAudiencesError):
    """The state file has no such job or list."""


class JobsInterruptedError(JobInterruptedError):
    """The jobs of some lists could not be finished; those of the other lists were.

    Attributes:
        report: The report of the first job that was interrupted, or has no audience.
        reports: The reports of the jobs that were finished.
        errors: One error for each list that failed.
    """

    def __init__(
        self,
        message: str,
        *,
        report: JobReport | None = None,
        reports: tuple[JobReport, ...] = (),
        errors: tuple[Exception, ...] = (),
        suggestion: str | None = None,
    ) -> None:
        super().__init__(message, report=report, suggestion=suggestion)
        self.reports = reports
        self.errors = errors


class JobsFailedError(PinterestAudiencesError):
    """The jobs of some lists failed; those of the other lists are done.

    Attributes:
        reports: The report of each job that is done, by the key of its list.
        errors: The error of each list that failed, by its key.
    """

    def __init__(
        self,
        message: str,
        *,
        reports: Mapping[str, JobReport] | None = None,
        errors: Mapping[str, Exception] | None = None,
        suggestion: str | None = None,
    ) -> None:
        super().__init__(f"{message}; {suggestion}" if suggestion else message)
        self.suggestion = suggestion
        self.reports: Mapping[str, JobReport] = reports or {}
        self.errors: Mapping[str, Exception] = errors or {}


class WaitTimeoutError(PinterestAudiencesError, TimeoutError):
    """A list was not ready in time.

    Attributes:
        customer_list: The list at the last poll; ``None`` if its audience was not ready.
    """

    def __init__(self, message: str, *, customer_list: CustomerList | None = None) -> None:
        super().__init__(message)
        self.customer_list: CustomerList = cast("CustomerList", customer_list)


def combined_error(errors: list[Exception], finished: list[JobReport]) -> Exception:
    """Return one error for all lists that failed; a single error is returned unchanged."""
    interrupted = [
        error for error in errors if isinstance(error, JobInterruptedError | AudienceError)
    ]
    reports = [*(error.report for error in interrupted), *finished]
    if not reports or (len(errors) == 1 and not finished):
        return errors[0]
    count = len(errors)
    lists = "list" if count == 1 else "lists"
    combined = JobsInterruptedError(
        f"{count} {lists} could not be finished, {len(finished)} jobs of others were: "
        + "; ".join(map(summary_of, errors)),
        report=reports[0],
        reports=tuple(finished),
        errors=tuple(errors),
        suggestion=interrupted[0].suggestion if interrupted else None,
    )
    combined.__cause__ = errors[0].__cause__ or errors[0]
    return combined
