"""Door 1: an httpx transport that leads to an emulator in the same process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.lowlevel
import httpx

from pinterest_audiences.emulator.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable


class EmulatorTransport(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """Answers every request from an emulator, whatever its host.

    Args:
        handle: Answers a request; an emulator's own ``handle``.

    Example:
        >>> from pinterest_audiences.emulator import Emulator
        >>> with httpx.Client(transport=Emulator().transport()) as client:
        ...     client.get("https://api.pinterest.com/v5/ad_accounts/1/customer_lists").status_code
        401
    """

    def __init__(self, handle: Callable[[Request], Response]) -> None:
        self._handle = handle

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of `httpx.Client`.

        Args:
            request: The request.

        Returns:
            The emulator's answer.
        """
        return self._answer(request, request.read())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of `httpx.AsyncClient`.

        Args:
            request: The request.

        Returns:
            The emulator's answer.
        """
        body = await request.aread()
        # A network would let others run, and be the place to be cancelled; so does this. It
        # stands before the answer: what was cancelled here has not happened.
        await anyio.lowlevel.checkpoint()
        return self._answer(request, body)

    def _answer(self, request: httpx.Request, body: bytes) -> httpx.Response:
        answer = self._handle(
            Request.from_wire(
                request.method.encode(),
                request.url.raw_path,
                request.headers.raw,
                body,
                request.url.scheme,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)
