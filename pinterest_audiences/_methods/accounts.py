"""Who a token belongs to."""

from __future__ import annotations

from functools import partial

from pinterest_audiences._methods.base import AsyncMethods, Methods
from pinterest_audiences._wire import operations
from pinterest_audiences.models import UserAccount

__all__ = ["Accounts", "AsyncAccounts"]


class AsyncAccounts(AsyncMethods):
    """The account call of :class:`AsyncClient`."""

    async def user_account_get(self, *, ad_account_id: str | int | None = None) -> UserAccount:
        """Fetch the account that the access token acts for.

        Source: user_account/get of Pinterest's API description. It needs the scope
        ``user_accounts:read``.

        Args:
            ad_account_id: With business access: the owner of this ad account instead.

        Returns:
            The account.

        Raises:
            ConfigurationError: The id is wrong; nothing was sent.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        query: dict[str, str] = {}
        if ad_account_id is not None:
            query["ad_account_id"] = operations.checked_id("ad_account_id", ad_account_id)
        return await self._session.send(operations.USER_ACCOUNT_GET.call({}, query=query))


class Accounts(Methods):
    """The account call of :class:`Client`."""

    def user_account_get(self, *, ad_account_id: str | int | None = None) -> UserAccount:
        """Fetch the account that the access token acts for.

        Arguments, result and errors: :meth:`AsyncClient.user_account_get`.
        """
        return self._portal.call(
            partial(self._client.user_account_get, ad_account_id=ad_account_id)
        )
