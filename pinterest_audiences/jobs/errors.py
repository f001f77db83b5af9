"""What can go wrong with a job; part of the tree in :mod:`pinterest_audiences.errors`."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from pinterest_audiences.errors import PinterestAudiencesError

if TYPE_CHECKING:
    from pinterest_audiences.jobs.report import JobReport
    from pinterest_audiences.models import CustomerList

__all__ = [
    "GuardError",
    "JobInterruptedError",
    "ListBusyError",
    "PlanError",
    "StateError",
    "WaitTimeoutError",
    "disk_error",
]


class StateError(PinterestAudiencesError):
    """The state file cannot be read or written; nothing is sent without it.

    Attributes:
        path: The file.
        reason: What is wrong with it, and what to do.
    """

    def __init__(self, reason: str, *, path: str = "") -> None:
        super().__init__(f"state file {path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


def disk_error(error: OSError, path: os.PathLike[str]) -> StateError:
    """Say of an error of the disk what to do about it."""
    what = error.strerror or type(error).__name__
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            reason = "the disk is full; make room and resume"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            reason = f"cannot be written; check its owner, its mode and its directory's ({what})"
        case _:
            reason = f"{what}; name another file"
    return StateError(reason, path=os.fspath(path))


class ListBusyError(PinterestAudiencesError):
    """Another process, or another task of this one, works on the same list.

    Attributes:
        pid: Its process, where it is known.
    """

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class GuardError(PinterestAudiencesError):
    """A job was refused because it would probably do harm; nothing was sent.

    Attributes:
        guard: Which guard: ``empty_source``, ``removals``, ``unknown_content`` or
            ``ambiguous_name``.
    """

    def __init__(self, message: str, *, guard: str = "") -> None:
        super().__init__(message)
        self.guard = guard


class PlanError(PinterestAudiencesError):
    """A plan that can no longer be applied; make a new one."""


class JobInterruptedError(PinterestAudiencesError):
    """A job stopped before its end. Nothing is lost: ``resume`` finishes it.

    Attributes:
        report: How far it came. The cause is in ``__cause__``.
    """

    def __init__(self, message: str, *, report: JobReport) -> None:
        super().__init__(message)
        self.report = report


class WaitTimeoutError(PinterestAudiencesError, TimeoutError):
    """A list was not ready in time.

    Attributes:
        customer_list: The list as it was last seen.
    """

    def __init__(self, message: str, *, customer_list: CustomerList) -> None:
        super().__init__(message)
        self.customer_list = customer_list
