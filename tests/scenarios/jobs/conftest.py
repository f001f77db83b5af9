"""The fixtures of the unit tests of jobs."""

from __future__ import annotations

from unit.jobs.conftest import rig, small_batches, state

__all__ = ["rig", "small_batches", "state"]
