"""What the methods of a client stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinterest_audiences._wire.portal import Portal
    from pinterest_audiences._wire.session import Session
    from pinterest_audiences.client import AsyncClient

__all__ = ["AsyncMethods", "Methods"]


class AsyncMethods:
    """Awaited methods: they make a call of the table and send it through the session."""

    _session: Session


class Methods:
    """Blocking methods: each runs its awaited twin in the client's own thread."""

    _client: AsyncClient
    _portal: Portal
