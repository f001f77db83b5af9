"""The fixtures of the unit tests of the emulator."""

from __future__ import annotations

from unit.emulator.conftest import call, clock, new_emulator

__all__ = ["call", "clock", "new_emulator"]
