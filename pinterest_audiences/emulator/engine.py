"""The emulator itself: one state, one lock, and the one way of a request through them."""

from __future__ import annotations

import json
import time
from collections import deque
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, Literal

import attrs

from pinterest_audiences.emulator.bookmarks import Bookmarks
from pinterest_audiences.emulator.controls import Controls
from pinterest_audiences.emulator.fault_effects import FaultyEngine
from pinterest_audiences.emulator.faults import Faults
from pinterest_audiences.emulator.limits import (
    STANDARD_LIMITS,
    Category,
    Limiter,
    RateLimits,
)
from pinterest_audiences.emulator.messages import Answer, ApiError, Headers, Request, Response
from pinterest_audiences.emulator.routes import IDENTIFIER, Call, Context, Route, find_route
from pinterest_audiences.emulator.state import CustomerListState, Member, State, seeded_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from pinterest_audiences.emulator.transport import EmulatorTransport

MAX_BODY_BYTES = 50_000_000
"""A larger body is refused. Pinterest's own limit is unknown; this one protects the memory."""

_JOURNAL_ENTRIES = 10_000

# Pinterest's words; published with a line break in the middle, told here on one line.
_RATE_LIMITED = (
    "This request exceeded a rate limit. This can happen if the client exceeds one of the "
    "published rate limits within a short time window."
)


@attrs.frozen
class JournalEntry:
    """One request that was answered: no headers, no query and no body are kept.

    Attributes:
        method: Its method.
        path: Its path, as it was sent.
        status: The status of the answer.
        category: The rate category, or None when no operation was found.
        fault: The kind of the fault that struck it, or None. After `reset_before` nothing was
            answered, and the status is 0.
    """

    method: str
    path: str
    status: int
    category: Category | None
    fault: str | None = None


class Emulator(Controls):
    """Pinterest's Customer Lists API, offline: keeps its lists in memory, and nothing else.

    Every instance is a Pinterest of its own. The same seed and the same requests lead to the
    same ids, the same matches and the same answers.

    Args:
        clock: Returns Unix seconds; a test gives its own and moves it.
        seed: Chooses whom Pinterest knows, the request ids and the bookmarks.
        match_rate: The share of records that are Pinterest accounts, from 0.0 to 1.0.
        processing_seconds: How long a list stays PROCESSING after a create or an update. Then
            it is READY with at least 100 matched members and TOO_SMALL with fewer.
        access_tokens: The bearer tokens to accept; None accepts any that is not empty.
        ad_accounts: The ids of the ad accounts there are; None for any numeric id.
        rate_limits: The budgets of each token; None for no budgets and no rate headers.
        create_status: What a successful create answers: 200, or 201 as version 5.28 of the API
            allows.

    Raises:
        ValueError: When an argument is out of its range.

    Example:
        >>> emulator = Emulator(seed=7)
        >>> request = Request(
        ...     method="POST",
        ...     path="/v5/ad_accounts/549/customer_lists",
        ...     headers={"Authorization": "Bearer anything"},
        ...     body=b'{"name": "Spring", "records": "a@example.com,b@example.com"}',
        ... )
        >>> emulator.handle(request).status
        200
        >>> emulator
        <Emulator: 1 ad_accounts, 1 customer_lists, 2 members, 1 requests>
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        seed: int = 0,
        match_rate: float = 0.6,
        processing_seconds: float = 2.0,
        access_tokens: Iterable[str] | None = None,
        ad_accounts: Iterable[str] | None = None,
        rate_limits: RateLimits | None = STANDARD_LIMITS,
        create_status: Literal[200, 201] = 200,
    ) -> None:
        if not 0.0 <= match_rate <= 1.0:
            raise ValueError("match_rate must be between 0.0 and 1.0")
        if not processing_seconds >= 0.0:
            raise ValueError("processing_seconds must not be negative")
        if create_status not in (200, 201):
            raise ValueError("create_status must be 200 or 201")
        accounts = _words("ad_accounts", ad_accounts)
        if accounts is not None and not all(map(IDENTIFIER.fullmatch, accounts)):
            raise ValueError("ad_accounts must be ids of 1 to 18 digits")
        self._tokens = _words("access_tokens", access_tokens)
        if self._tokens is not None and not all(each.split() == [each] for each in self._tokens):
            raise ValueError("access_tokens must not be empty or hold white space")
        # One lock for everything: a blocking client, an awaiting one and a test's own thread may
        # share an emulator, and no request takes long.
        super().__init__(Faults(seed), Lock(), clock)
        self._state = State(
            clock=self.now,
            seed=seed,
            match_rate=match_rate,
            processing_seconds=processing_seconds,
            ad_accounts=accounts,
        )
        self._context = Context(
            state=self._state, bookmarks=Bookmarks(seed), create_status=create_status
        )
        self._limiter = None if rate_limits is None else Limiter(rate_limits, self.now)
        self._rid_key = seeded_key(seed, "request id")
        self._journal: deque[JournalEntry] = deque(maxlen=_JOURNAL_ENTRIES)
        self._handled = 0
        self._faulty = FaultyEngine(self.faults, self._answer, self._stand_in, self.now)

    def __repr__(self) -> str:
        counted = self.counts()
        told = ", ".join(f"{number} {what}" for what, number in counted.items())
        return f"<Emulator: {told}>"

    def counts(self) -> dict[str, int]:
        """Return how much there is of everything.

        Returns:
            Counts by the name of what is counted; `requests` are those answered.
        """
        with self._lock:
            return {**self._state.counts(), "requests": self._handled}

    def handle(self, request: Request) -> Response:
        """Answer one request. May be called from any thread.

        Args:
            request: The request, however broken.

        Returns:
            The answer, in bytes.
        """
        with self._lock:
            response = self._faulty.handle(request)
            if response.fault is not None:
                self._journal[-1] = attrs.evolve(
                    self._journal[-1], status=response.status, fault=response.fault
                )
            return response

    def refuse(self, error: ApiError, *, method: str = "", path: str = "") -> Response:
        """Answer something that never became a request; for a door that cannot read it.

        Args:
            error: What to answer.
            method: The method, as far as known.
            path: The path, as far as known.

        Returns:
            The answer, in bytes.
        """
        with self._lock:
            return self._finish(method, path, None, error.answer, ())

    def transport(
        self, *, sleep: Callable[[float], Awaitable[None] | None] | None = None
    ) -> EmulatorTransport:
        """Return an httpx transport that leads here, for `AsyncClient` and `Client` alike.

        Args:
            sleep: Lets the seconds of a slow answer pass: a coroutine function for an awaiting
                client, a plain one for a blocking client; None for the real time.

        Returns:
            A transport that needs no network and answers for any host.
        """
        # httpx is heavy, and whoever only calls handle() does not need it.
        from pinterest_audiences.emulator.transport import EmulatorTransport  # noqa: PLC0415

        return EmulatorTransport(self.handle, sleep=sleep)

    @property
    def requests(self) -> tuple[JournalEntry, ...]:
        """The last 10,000 requests, oldest first."""
        with self._lock:
            return tuple(self._journal)

    def customer_list(self, customer_list_id: str) -> dict[str, object]:
        """Return a list as the API would show it now, at no cost to any budget.

        Args:
            customer_list_id: Its id.

        Returns:
            The fields of a CustomerList.

        Raises:
            KeyError: When there is no such list.
        """
        with self._lock:
            return self._state.show(self._find(customer_list_id))

    def members(self, customer_list_id: str) -> frozenset[Member]:
        """Return who is in a list, which the API itself never tells.

        Args:
            customer_list_id: Its id.

        Returns:
            Records as they were sent, and rows as their sorted (field, value) pairs.

        Raises:
            KeyError: When there is no such list.
        """
        with self._lock:
            return frozenset(self._find(customer_list_id).members)

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
            >>> emulator = Emulator()
            >>> first, second = emulator.seed_lists("549", 2)
            >>> emulator.customer_list(second)["name"]
            'List 2'
        """
        with self._lock:
            if not IDENTIFIER.fullmatch(ad_account_id) or not self._state.has_account(
                ad_account_id
            ):
                raise ValueError("ad_account_id is not an account of this emulator")
            created = self._state.create_many(
                ad_account_id,
                [name.replace("{}", str(number)) for number in range(1, count + 1)],
                members=tuple(records),
                is_nca=is_nca,
            )
            return tuple(str(each.id) for each in created)

    def _answer(self, request: Request) -> Response:
        category: Category | None = None
        rate_headers: Headers = ()
        try:
            if len(request.body) > MAX_BODY_BYTES:
                raise body_too_large()
            route, parameters = find_route(request.method, request.path)
            category = route.category
            rate_headers = self._admit(request, route)
            answer = route.answer(Call(self._context, request, parameters))
        except ApiError as error:
            answer = error.answer
        return self._finish(request.method, request.path, category, answer, rate_headers)

    def _stand_in(self, request: Request, answer: Answer) -> Response:
        route, _ = find_route(request.method, request.path)
        return self._finish(request.method, request.path, route.category, answer, ())

    def _forget(self) -> None:
        self._faulty.clear()
        self._state.clear()
        if self._limiter is not None:
            self._limiter.clear()
        self._journal.clear()
        self._handled, self._offset = 0, 0.0

    def _show_all(self, count: int) -> dict[str, list[dict[str, object]]]:
        return {
            "customer_lists": list(map(self._state.show, self._state.newest(count))),
            "audiences": [],
            "uploads": [],
            "budgets": [] if self._limiter is None else self._limiter.show()[:count],
        }

    def _find(self, customer_list_id: str) -> CustomerListState:
        found = self._state.find(customer_list_id)
        if found is None:
            raise KeyError(customer_list_id)
        return found

    def _admit(self, request: Request, route: Route) -> Headers:
        token = _bearer_token(request)
        if token is None or (self._tokens is not None and token not in self._tokens):
            if route.needs_token:
                raise ApiError(401, 2, "Authentication failed.")
            return ()
        if self._limiter is None:
            return ()
        standing = self._limiter.spend(token, route.category)
        if not standing.allowed:
            raise ApiError(429, 8, _RATE_LIMITED, standing.headers)
        return standing.headers

    def _finish(
        self,
        method: str,
        path: str,
        category: Category | None,
        answer: Answer,
        rate_headers: Headers,
    ) -> Response:
        self._handled += 1
        self._journal.append(JournalEntry(method, path, answer.status, category))
        rid = blake2b(str(self._handled).encode(), key=self._rid_key, digest_size=7).digest()
        body = json.dumps(answer.payload, separators=(",", ":")).encode()
        headers = (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("x-pinterest-rid", str(int.from_bytes(rid, "big"))),
            *rate_headers,
            *answer.headers,
        )
        # The length of what is not sent is right for HEAD (RFC 9110, section 9.3.2).
        sent = b"" if method == "HEAD" else body
        return Response(status=answer.status, headers=headers, body=sent)


def body_too_large() -> ApiError:
    """Return the refusal of a body that is too large.

    Returns:
        The refusal, to be raised or handed to `Emulator.refuse`.
    """
    return ApiError(413, 413, f"The request body is larger than {MAX_BODY_BYTES:,} bytes.")


def _words(argument: str, words: Iterable[str] | None) -> frozenset[str] | None:
    if isinstance(words, str):
        raise ValueError(f"{argument} must be several strings, not one")  # noqa: TRY004
    return None if words is None else frozenset(words)


def _bearer_token(request: Request) -> str | None:
    words = request.headers.get("authorization", "").split()
    if len(words) != 2 or words[0].lower() != "bearer":  # noqa: PLR2004 - a scheme and a token
        return None
    return words[1]
