"""The fixtures of the unit tests of the command line."""

from __future__ import annotations

from unit.cli.conftest import _isolated_configuration, people, run, server

__all__ = ["_isolated_configuration", "people", "run", "server"]
