"""What a test may see and do past the API: who is in a list, what time it is, who logs in."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pinterest_audiences.emulator.members import Member, unpack
from pinterest_audiences.emulator.oauth import SCOPES
from pinterest_audiences.emulator.oauth_routes import is_redirect_uri
from pinterest_audiences.emulator.routing import IDENTIFIER

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from threading import Lock

    from pinterest_audiences.emulator.audiences import AudienceType
    from pinterest_audiences.emulator.state import CustomerListState
    from pinterest_audiences.emulator.world import World


class Inside:
    """The part of an emulator that costs no request, no budget and no journal.

    Args:
        world: All there is.
        lock: Held by whoever reads or changes it.
    """

    def __init__(self, world: World, lock: Lock) -> None:
        self._world = world
        self._lock = lock

    @contextmanager
    def _settled(self) -> Generator[World]:
        """Hold the lock, with everything ended whose time has come."""
        with self._lock:
            self._world.uploads.settle()
            yield self._world

    def advance(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move the emulator's clock ahead, whichever clock it was made with.

        Args:
            hours: By so many hours.
            minutes: And so many minutes.
            seconds: And so many seconds.

        Raises:
            ValueError: When that is negative or not finite.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=7200)
            >>> (spring,) = emulator.seed_lists("549", 1)
            >>> emulator.advance(hours=2)
            >>> emulator.customer_list(spring)["status"]
            'TOO_SMALL'
        """
        with self._lock:
            self._world.clock.advance(hours * 3600 + minutes * 60 + seconds)

    def now(self) -> float:
        """Return the emulator's time.

        Returns:
            Unix seconds.
        """
        return self._world.clock()

    def customer_list(self, customer_list_id: str) -> dict[str, object]:
        """Return a list as the API would show it now, at no cost to any budget.

        Args:
            customer_list_id: Its id.

        Returns:
            The fields of a CustomerList.

        Raises:
            KeyError: When there is no such list.
        """
        with self._settled() as world:
            return world.state.show(self._find(customer_list_id))

    def members(self, customer_list_id: str) -> frozenset[Member]:
        """Return who is in a list, which the API itself never tells.

        Args:
            customer_list_id: Its id.

        Returns:
            Records as they were sent, and rows as their sorted (field, value) pairs.

        Raises:
            KeyError: When there is no such list.
        """
        with self._settled():
            return frozenset(map(unpack, self._find(customer_list_id).members))

    def audience(self, audience_id: str) -> dict[str, object]:
        """Return an audience as the API would show it now.

        Args:
            audience_id: Its id.

        Returns:
            The fields of an Audience.

        Raises:
            KeyError: When there is no such audience, or no more.
        """
        with self._settled() as world:
            found = world.audiences.find(audience_id)
            if found is None:
                raise KeyError(audience_id)
            return world.audiences.show(found)

    def upload(self, customer_list_upload_id: str) -> dict[str, object]:
        """Return an upload as the API would show it now.

        Args:
            customer_list_upload_id: Its id.

        Returns:
            The fields of a CustomerListUpload.

        Raises:
            KeyError: When there is no such upload.
        """
        with self._settled() as world:
            found = world.uploads.find(customer_list_upload_id)
            if found is None:
                raise KeyError(customer_list_upload_id)
            return world.uploads.show(found)

    def seed_lists(
        self,
        ad_account_id: str,
        count: int,
        *,
        name: str = "List {}",
        records: Iterable[str] = (),
        is_nca: bool = False,
    ) -> tuple[str, ...]:
        """Create many lists at once, past the API: no request, no budget, no journal.

        Args:
            ad_account_id: The account they will belong to.
            count: How many.
            name: Their name; `{}` in it becomes 1, 2, 3 and so on.
            records: The records in each of them.
            is_nca: Whether they are for new customer acquisition.

        Returns:
            Their ids, oldest first.

        Raises:
            ValueError: When there can be no such ad account.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> first, second = emulator.seed_lists("549", 2)
            >>> emulator.customer_list(second)["name"]
            'List 2'
        """
        with self._settled() as world:
            self._check_account("ad_account_id", ad_account_id)
            created = world.state.create_many(
                ad_account_id,
                [name.replace("{}", str(number)) for number in range(1, count + 1)],
                members=records,
                is_nca=is_nca,
            )
            return tuple(str(each.id) for each in created)

    def seed_audiences(
        self,
        ad_account_id: str,
        count: int,
        *,
        name: str = "Audience {}",
        audience_type: AudienceType = "CUSTOMER_LIST",
        rule: Mapping[str, object] | None = None,
        size: int | None = None,
        shared_with: str | None = None,
    ) -> tuple[str, ...]:
        """Create many audiences at once, past the API.

        Args:
            ad_account_id: The account they will belong to.
            count: How many.
            name: Their name; `{}` in it becomes 1, 2, 3 and so on.
            audience_type: What they are made of.
            rule: The rule they are made by; None for an empty one.
            size: How many accounts are in each; None for what its list or a guess says.
            shared_with: The account that receives them; None for nobody.

        Returns:
            Their ids, oldest first.

        Raises:
            ValueError: When there can be no such ad account.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=0)
            >>> (received,) = emulator.seed_audiences("549", 1, size=99, shared_with="550")
            >>> emulator.audience(received)["status"]
            'TOO_SMALL'
        """
        with self._settled() as world:
            self._check_account("ad_account_id", ad_account_id)
            if shared_with is not None:
                self._check_account("shared_with", shared_with)
            ids: list[str] = []
            for number in range(1, count + 1):
                audience = world.audiences.create(
                    ad_account_id,
                    name=name.replace("{}", str(number)),
                    audience_type=audience_type,
                    rule=dict(rule or {}),
                    size=size,
                )
                if shared_with is not None:
                    world.audiences.share(audience, shared_with)
                ids.append(str(audience.id))
            return tuple(ids)

    def authorize(
        self,
        *,
        app_id: str | None = None,
        redirect_uri: str = "http://localhost/",
        scopes: Iterable[str] = ("ads:read", "ads:write", "user_accounts:read"),
        is_system_user: bool = False,
    ) -> str:
        """Let an app in, as a user does on Pinterest's login page.

        Args:
            app_id: The app; None for the only one there is, or for any.
            redirect_uri: Where the user would be sent; the exchange must name the same.
            scopes: What the app is allowed.
            is_system_user: Whether it is a system user, whose tokens can be revoked.

        Returns:
            The authorization code, which can be exchanged once.

        Raises:
            ValueError: When there is no such app, address or scope.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> code = Emulator(apps={"1234": "secret"}).authorize()
        """
        asked = frozenset((scopes,) if isinstance(scopes, str) else scopes)
        with self._settled() as world:
            if app_id is not None and not world.tokens.has_app(app_id):
                raise ValueError("app_id is not an app of this emulator")
            if not is_redirect_uri(redirect_uri):
                raise ValueError("redirect_uri must be an absolute URL in ASCII, without fragment")
            if not asked or not asked <= SCOPES:
                raise ValueError(f"scopes must be some of: {', '.join(sorted(SCOPES))}")
            app = world.tokens.only_app() if app_id is None else app_id
            return world.tokens.authorize(app, redirect_uri, asked, is_system_user=is_system_user)

    def _find(self, customer_list_id: str) -> CustomerListState:
        found = self._world.state.find(customer_list_id)
        if found is None:
            raise KeyError(customer_list_id)
        return found

    def _check_account(self, argument: str, ad_account_id: str) -> None:
        known = self._world.state.has_account(ad_account_id)
        if not (IDENTIFIER.fullmatch(ad_account_id) and known):
            raise ValueError(f"{argument} is not an account of this emulator")
