"""A real PostgreSQL server, where its programs are."""

from __future__ import annotations

from support.postgres import postgres

__all__ = ["postgres"]
