"""The emulator: one state, one lock, and the path of a request through them."""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, Unpack

import attrs

from pinterest_audiences.emulator._access import LIMITS_BY_ACCESS, Access, authorize
from pinterest_audiences.emulator._assumptions import Assumptions
from pinterest_audiences.emulator._backend import (
    Backend,
    BackendState,
    UploadsAccess,
    seeded_key,
)
from pinterest_audiences.emulator._calls import Call, is_identifier
from pinterest_audiences.emulator._clock import VirtualClock
from pinterest_audiences.emulator._customer_lists import Match, Member, unpack
from pinterest_audiences.emulator._faults import (
    Fault,
    FaultInjector,
    FaultKind,
    Faults,
    FaultSettings,
)
from pinterest_audiences.emulator._handlers import is_redirect_uri
from pinterest_audiences.emulator._http import (
    Answer,
    ApiError,
    Headers,
    Request,
    Response,
    body_too_large,
)
from pinterest_audiences.emulator._http import compress as compress_response
from pinterest_audiences.emulator._rate_limits import Category, Limiter, RateLimits, Window
from pinterest_audiences.emulator._routing import find_route
from pinterest_audiences.emulator._tokens import SCOPES

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping

    from pinterest_audiences.emulator._audiences import AudienceType
    from pinterest_audiences.emulator._customer_lists import CustomerListState
    from pinterest_audiences.emulator._transport import EmulatorTransport

MAX_BODY_BYTES = 50_000_000
"""A larger body is refused. Pinterest's own limit is unknown; this one protects the memory."""

_MAX_JOURNAL_ENTRIES = 10_000


@attrs.frozen
class JournalEntry:
    """One answered request, without its headers, query and body.

    Attributes:
        method: Its method.
        path: Its path, as it was sent.
        status: The status of the answer.
        category: The rate category, or None when no operation was found.
        fault: The kind of the fault that was injected, or None. After `reset_before` nothing was
            answered, and the status is 0.
    """

    method: str
    path: str
    status: int
    category: Category | None
    fault: str | None = None


@attrs.frozen(repr=False, eq=False)
class Snapshot:
    """The whole state of an emulator at one moment, for `Emulator.restore`."""

    state: BackendState
    windows: Mapping[tuple[str, str], Window]
    journal: tuple[JournalEntry, ...]
    handled: int


class Emulator:
    """Pinterest's audience API, offline: customer lists, audiences, uploads and tokens.

    Instances are independent and keep their state in memory. The same seed and the same requests
    lead to the same ids, the same matches, the same tokens and the same answers.

    Args:
        clock: Returns Unix seconds; a test passes a clock that it controls, or calls `advance`.
        seed: Chooses which records match, the request ids, the bookmarks and the tokens.
        match_rate: The share of records that are Pinterest accounts, from 0.0 to 1.0.
        match: The same, or a function that decides for each record; it overrides `match_rate`.
        processing_seconds: How long a list stays PROCESSING after a create or an update, an
            audience INITIALIZING after its list, and an upload RUNNING. Then a list is READY with
            at least 100 matched members and TOO_SMALL with fewer.
        access_tokens: The bearer tokens to accept; they never expire and have all scopes. None
            accepts any that is not empty, or with `apps` those that their logins returned.
        apps: The secret of each app by its id; None for any id with any secret.
        refresh_tokens: Refresh tokens that apps have from before.
        ad_accounts: The ids of the ad accounts that exist; None for any numeric id.
        roles: The roles of the token's user on every ad account. Without OWNER, ADMIN or
            AUDIENCE_MANAGER, customer lists and changes of audiences are refused with 403.
        access: What Pinterest has granted the apps: the rate limits of "standard" or "trial".
        rate_limits: Other limits than those of `access`; None for no limits and no rate headers.
        create_status: The status of a successful create: 200, or 201 as version 5.28 of the API
            allows.
        uploads: Whether multipart uploads are "open", or refused as a beta that the account is
            not in: "restricted" with 401 and code 3, "forbidden" with 403 and code 29.
        compress: Whether answers are sent in chunks, and compressed with gzip for clients that
            accept it, as Pinterest does.
        assumptions: Switches for what Pinterest has not published.
        state: A file to start from, which `save` writes; nothing is read when it does not exist.

    Attributes:
        admin_changes: The number of requests to admin endpoints of its server that changed it.

    Raises:
        ValueError: When an argument is out of its range, or the file does not hold a state.
        OSError: When the file cannot be read.

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
        <Emulator: 1 ad_accounts, 1 customer_lists, 2 members, 0 audiences, 0 uploads, 1 requests>
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        seed: int = 0,
        match_rate: float = 0.6,
        match: Match | None = None,
        processing_seconds: float = 2.0,
        access_tokens: Iterable[str] | None = None,
        apps: Mapping[str, str] | None = None,
        refresh_tokens: Iterable[str] = (),
        ad_accounts: Iterable[str] | None = None,
        roles: Iterable[str] = ("OWNER",),
        access: Access = "standard",
        rate_limits: RateLimits | Literal["by access"] | None = "by access",
        create_status: Literal[200, 201] = 200,
        uploads: UploadsAccess = "open",
        compress: bool = False,
        assumptions: Assumptions | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> None:
        match = match_rate if match is None else match
        _check_settings(match, processing_seconds, access, create_status, uploads)
        assumptions = assumptions or Assumptions()
        self._clock = VirtualClock(clock, seed=seed)
        self._backend = Backend(
            clock=self._clock,
            seed=seed,
            match=match,
            processing_seconds=processing_seconds,
            ad_accounts=_account_ids(ad_accounts),
            roles=tuple(sorted(_strings("roles", roles) or ())),
            assumptions=assumptions,
            apps=None if apps is None else dict(apps),
            access_tokens=_tokens("access_tokens", access_tokens),
            refresh_tokens=_tokens("refresh_tokens", refresh_tokens) or (),
            create_status=create_status,
            uploads_access=uploads,
        )
        # One lock guards everything: sync and async clients and a test's own thread may share an
        # emulator, and no request takes long.
        self._lock = Lock()
        limits = LIMITS_BY_ACCESS[access] if rate_limits == "by access" else rate_limits
        self._limiter = None if limits is None else Limiter(limits, self._clock, assumptions)
        self._rid_key = seeded_key(seed, "request id")
        self._journal: deque[JournalEntry] = deque(maxlen=_MAX_JOURNAL_ENTRIES)
        self._handled = 0
        self.admin_changes = 0  # by admin endpoints, which are not requests to the API
        self._faults = Faults(seed)
        self._injector = FaultInjector(
            self._faults, self._respond, self._fake_response, self._clock
        )
        self._compress = compress
        self._seed = seed
        self._match_rate = None if callable(match) else match
        self._file = None if state is None else Path(state)
        if self._file is not None and self._file.exists():
            self._load(self._file)

    def __repr__(self) -> str:
        counts = ", ".join(f"{number} {what}" for what, number in self.counts().items())
        return f"<Emulator: {counts}>"

    def handle(self, request: Request) -> Response:
        """Answer one request. May be called from any thread.

        Args:
            request: The request, however malformed.

        Returns:
            The answer, in bytes.
        """
        with self._locked():
            response = self._injector.handle(request)
            if response.fault is not None:
                self._journal[-1] = attrs.evolve(
                    self._journal[-1], status=response.status, fault=response.fault
                )
            return compress_response(request, response) if self._compress else response

    def refuse(self, error: ApiError, *, method: str = "", path: str = "") -> Response:
        """Answer bytes that could not be read as a request.

        Args:
            error: The refusal.
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
        """Return an httpx transport to this emulator, for `AsyncClient` and `Client` alike.

        Args:
            sleep: Waits for the seconds of a slow answer: a coroutine function for an async
                client, a plain one for a sync client; None for real time.

        Returns:
            A transport that needs no network and answers for any host.
        """
        # httpx is slow to import, and handle() does not need it.
        from pinterest_audiences.emulator._transport import EmulatorTransport  # noqa: PLC0415

        return EmulatorTransport(self.handle, sleep=sleep)

    @property
    def requests(self) -> tuple[JournalEntry, ...]:
        """The last 10,000 requests, oldest first."""
        with self._lock:
            return tuple(self._journal)

    @property
    def handled(self) -> int:
        """The number of answered requests, including those before its file was saved."""
        with self._lock:
            return self._handled

    @handled.setter
    def handled(self, number: int) -> None:
        """Set the number before requests are repeated, so that they get the same request ids."""
        with self._lock:
            self._handled = number

    @property
    def faults(self) -> Faults:
        """The faults that are waiting; one that is used up is removed."""
        return self._faults

    def fault(self, kind: FaultKind, /, **settings: Unpack[FaultSettings]) -> Fault:
        """Inject a fault from now on.

        Args:
            kind: What happens; `Fault` lists the kinds.
            **settings: Which requests are affected, how often and how; the attributes of `Fault`.

        Returns:
            The fault, which is among `faults` until it is used up.

        Raises:
            ValueError: When a setting is out of its range.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> emulator.fault("no_answer", operation="customer_lists_create", times=2)
            <Fault: no_answer, customer_lists_create, 2 times>
        """
        fault = Fault(kind, **settings)
        self._faults.add(fault)
        return fault

    def advance(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move the emulator's clock ahead, with any clock that it was created with.

        Args:
            hours: Hours to add.
            minutes: Minutes to add.
            seconds: Seconds to add.

        Raises:
            ValueError: When the sum is negative or not finite.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=7200)
            >>> (spring,) = emulator.seed_lists("549", 1)
            >>> emulator.advance(hours=2)
            >>> emulator.customer_list(spring)["status"]
            'TOO_SMALL'
        """
        with self._lock:
            self._clock.advance(hours * 3600 + minutes * 60 + seconds)

    @property
    def clock(self) -> VirtualClock:
        """The emulator's clock, also for the ``clock`` of a client that shares its time."""
        return self._clock

    def now(self) -> float:
        """Return the emulator's time.

        Returns:
            Unix seconds.
        """
        return self._clock()

    def customer_list(self, customer_list_id: str) -> dict[str, object]:
        """Return a list as the API would show it now, without a request.

        Args:
            customer_list_id: Its id.

        Returns:
            The fields of a CustomerList.

        Raises:
            KeyError: When the list does not exist.
        """
        with self._locked() as backend:
            return backend.customer_lists.show(self._find_list(customer_list_id))

    def members(self, customer_list_id: str) -> frozenset[Member]:
        """Return the members of a list, which the API itself never shows.

        Args:
            customer_list_id: Its id.

        Returns:
            Records as they were sent, and rows as their sorted (field, value) pairs.

        Raises:
            KeyError: When the list does not exist.
        """
        with self._locked():
            return frozenset(map(unpack, self._find_list(customer_list_id).members))

    def audience(self, audience_id: str) -> dict[str, object]:
        """Return an audience as the API would show it now, without a request.

        Args:
            audience_id: Its id.

        Returns:
            The fields of an Audience.

        Raises:
            KeyError: When the audience does not exist or was removed.
        """
        with self._locked() as backend:
            audience = backend.audiences.find(audience_id)
            if audience is None:
                raise KeyError(audience_id)
            return backend.audiences.show(audience)

    def upload(self, customer_list_upload_id: str) -> dict[str, object]:
        """Return an upload as the API would show it now, without a request.

        Args:
            customer_list_upload_id: Its id.

        Returns:
            The fields of a CustomerListUpload.

        Raises:
            KeyError: When the upload does not exist.
        """
        with self._locked() as backend:
            upload = backend.uploads.find(customer_list_upload_id)
            if upload is None:
                raise KeyError(customer_list_upload_id)
            return backend.uploads.show(upload)

    def counts(self) -> dict[str, int]:
        """Return how many ad accounts, lists, members, audiences, uploads and requests there are.

        Returns:
            Counts by the name of what is counted; `requests` are those answered.
        """
        with self._locked() as backend:
            return {**backend.counts(), "requests": self._handled}

    def overview(self, count: int = 50) -> dict[str, list[dict[str, object]]]:
        """Return the newest lists, audiences and uploads, and the rate limits.

        Args:
            count: How many of each kind at most.

        Returns:
            `customer_lists`, `audiences` and `uploads` as the API would show them now, newest
            first, and `budgets`: what each token has spent.
        """
        with self._locked() as backend:
            customer_lists, audiences = backend.customer_lists, backend.audiences
            budgets = [] if self._limiter is None else self._limiter.show()
            return {
                "customer_lists": [
                    customer_lists.show(item, in_listing=True)
                    for item in customer_lists.newest(count)
                ],
                "audiences": [audiences.show(item, "list") for item in audiences.newest(count)],
                "uploads": list(map(backend.uploads.show, backend.uploads.newest(count))),
                "budgets": budgets[:count],
            }

    def seed_lists(
        self,
        ad_account_id: str,
        count: int,
        *,
        name: str = "List {}",
        records: Iterable[str] = (),
        is_nca: bool = False,
    ) -> tuple[str, ...]:
        """Create many lists at once, without requests, rate limits and journal entries.

        Args:
            ad_account_id: The account they will belong to.
            count: How many.
            name: Their name; `{}` in it becomes 1, 2, 3 and so on.
            records: The records in each of them.
            is_nca: Whether they are for new customer acquisition.

        Returns:
            Their ids, oldest first.

        Raises:
            ValueError: When the ad account does not exist.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> first, second = emulator.seed_lists("549", 2)
            >>> emulator.customer_list(second)["name"]
            'List 2'
        """
        with self._locked() as backend:
            self._check_account("ad_account_id", ad_account_id)
            created = backend.customer_lists.create_many(
                ad_account_id,
                [name.replace("{}", str(number)) for number in range(1, count + 1)],
                members=records,
                is_nca=is_nca,
            )
            return tuple(str(customer_list.id) for customer_list in created)

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
        """Create many audiences at once, without requests, rate limits and journal entries.

        Args:
            ad_account_id: The account they will belong to.
            count: How many.
            name: Their name; `{}` in it becomes 1, 2, 3 and so on.
            audience_type: Their type.
            rule: Their rule; None for an empty one.
            size: How many accounts are in each; None for the size of its list, or an assumption.
            shared_with: The account that receives them; None for none.

        Returns:
            Their ids, oldest first.

        Raises:
            ValueError: When an ad account does not exist.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=0)
            >>> (received,) = emulator.seed_audiences("549", 1, size=99, shared_with="550")
            >>> emulator.audience(received)["status"]
            'TOO_SMALL'
        """
        with self._locked() as backend:
            self._check_account("ad_account_id", ad_account_id)
            if shared_with is not None:
                self._check_account("shared_with", shared_with)
            ids: list[str] = []
            for number in range(1, count + 1):
                audience = backend.audiences.create(
                    ad_account_id,
                    name=name.replace("{}", str(number)),
                    audience_type=audience_type,
                    rule=dict(rule or {}),
                    size=size,
                )
                if shared_with is not None:
                    backend.audiences.share(audience, shared_with)
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
        """Authorize an app, as a user does on Pinterest's login page.

        Args:
            app_id: The app; None for the only one there is, or for any.
            redirect_uri: Where the user would be redirected; the exchange must name the same.
            scopes: The scopes that the user grants.
            is_system_user: Whether it is a system user, whose tokens can be revoked.

        Returns:
            The authorization code, which can be exchanged once.

        Raises:
            ValueError: When the app, address or scope does not exist.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> code = Emulator(apps={"1234": "secret"}).authorize()
        """
        granted = frozenset((scopes,) if isinstance(scopes, str) else scopes)
        with self._locked() as backend:
            if app_id is not None and not backend.tokens.has_app(app_id):
                raise ValueError("app_id is not an app of this emulator")
            if not is_redirect_uri(redirect_uri):
                raise ValueError("redirect_uri must be an absolute URL in ASCII, without fragment")
            if not granted or not granted <= SCOPES:
                raise ValueError(f"scopes must be some of: {', '.join(sorted(SCOPES))}")
            app = backend.tokens.only_app() if app_id is None else app_id
            return backend.tokens.authorize(
                app, redirect_uri, granted, is_system_user=is_system_user
            )

    def snapshot(self) -> Snapshot:
        """Return a copy of the whole state.

        Returns:
            Lists, audiences, uploads, tokens, rate limits, journal, and how far the clock was moved
            ahead, but not the faults. `restore` can go back to it any number of times; it is cheap,
            even of long lists.

        Example:
            >>> emulator = Emulator()
            >>> before = emulator.snapshot()
            >>> (spring,) = emulator.seed_lists("549", 1)
            >>> emulator.restore(before)
            >>> emulator.counts()["customer_lists"]
            0
        """
        with self._locked() as backend:
            windows = {} if self._limiter is None else self._limiter.dump()
            return Snapshot(backend.dump(), windows, tuple(self._journal), self._handled)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot.

        Args:
            snapshot: What `snapshot` of this emulator, or of one with the same seed, returned.
        """
        with self._lock:
            self._backend.load(snapshot.state)
            if self._limiter is not None:
                self._limiter.load(snapshot.windows)
            self._journal.clear()
            self._journal.extend(snapshot.journal)
            self._handled = snapshot.handled

    def reset(self) -> None:
        """Discard everything: lists, tokens, rate limits, the journal, faults, a moved clock.

        What was read from a file is discarded as well; the file is not overwritten.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> (spring,) = emulator.seed_lists("549", 1)
            >>> emulator.reset()
            >>> emulator.counts()["customer_lists"]
            0
        """
        with self._lock:
            self._backend.clear()
            self._injector.clear()
            if self._limiter is not None:
                self._limiter.clear()
            self._journal.clear()
            self._handled = 0

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write everything but rate limits and journal to a file, for `Emulator(state=...)`.

        Args:
            path: Where; None for the file that the emulator was created with. The file is replaced
                as a whole, and only its owner may read it.

        Raises:
            ValueError: Without any path.
            OSError: When it cannot be written.
        """
        # SQLite is only needed to save.
        from pinterest_audiences.emulator import _persistence  # noqa: PLC0415

        target = self._file if path is None else Path(path)
        if target is None:
            raise ValueError("path is required: this emulator was created without a state file")
        with self._locked() as backend:
            saved = _persistence.SavedState(
                state=backend.dump(),
                handled=self._handled,
                seed=self._seed,
                match_rate=self._match_rate,
            )
        _persistence.write(target, saved)

    @contextmanager
    def _locked(self) -> Generator[Backend]:
        """Hold the lock, after all uploads whose time has come were processed."""
        with self._lock:
            self._backend.uploads.process_due()
            yield self._backend

    def _respond(self, request: Request) -> Response:
        """Route a request, authorize it, call its handler, and count it; faults are not here."""
        category: Category | None = None
        rate_headers: Headers = ()
        try:
            if len(request.body) > MAX_BODY_BYTES:
                raise body_too_large(MAX_BODY_BYTES)
            route, parameters = find_route(request.method, request.path)
            category = route.category
            backend = self._backend
            auth = authorize(request, route, backend.tokens, self._limiter, backend.roles)
            rate_headers = auth.headers
            if auth.refusal is not None:
                raise auth.refusal
            answer = route.handler(Call(backend, request, parameters, auth.principal))
        except ApiError as error:
            answer = error.answer
        return self._finish(request.method, request.path, category, answer, rate_headers)

    def _fake_response(self, request: Request, answer: Answer) -> Response:
        """Return the response for a fault that replaces the answer of the handler."""
        route, _ = find_route(request.method, request.path)
        return self._finish(request.method, request.path, route.category, answer, ())

    def _finish(
        self,
        method: str,
        path: str,
        category: Category | None,
        answer: Answer,
        rate_headers: Headers,
    ) -> Response:
        """Turn an answer into a response, and add it to the journal."""
        self._handled += 1
        self._journal.append(JournalEntry(method, path, answer.status, category))
        rid = blake2b(str(self._handled).encode(), key=self._rid_key, digest_size=16).digest()
        if answer.content is None:
            body = json.dumps(answer.payload, separators=(",", ":")).encode()
            content_type: Headers = (("content-type", "application/json"),)
        else:
            body, content_type = answer.content, ()
        headers = (
            *content_type,
            ("content-length", str(len(body))),
            ("x-pinterest-rid", str(int.from_bytes(rid[:7], "big"))),
            ("x-pinterest-rid-128bit", rid.hex()),
            *rate_headers,
            *answer.headers,
        )
        # HEAD has the length of the body that is not sent (RFC 9110, section 9.3.2).
        sent = b"" if method == "HEAD" else body
        return Response(status=answer.status, headers=headers, body=sent)

    def _load(self, path: Path) -> None:
        """Load a saved state; members are matched again unless seed and match rate are the same."""
        from pinterest_audiences.emulator import _persistence  # noqa: PLC0415

        saved = _persistence.read(path)
        same_matches = self._match_rate is not None and (saved.seed, saved.match_rate) == (
            self._seed,
            self._match_rate,
        )
        self._backend.load(saved.state, recount=not same_matches)
        self._handled = saved.handled

    def _find_list(self, customer_list_id: str) -> CustomerListState:
        customer_list = self._backend.customer_lists.find(customer_list_id)
        if customer_list is None:
            raise KeyError(customer_list_id)
        return customer_list

    def _check_account(self, argument: str, ad_account_id: str) -> None:
        exists = self._backend.customer_lists.has_account(ad_account_id)
        if not (is_identifier(ad_account_id) and exists):
            raise ValueError(f"{argument} is not an account of this emulator")


def _check_settings(
    match: Match, processing_seconds: float, access: str, create_status: int, uploads: str
) -> None:
    if not callable(match) and not 0.0 <= match <= 1.0:
        raise ValueError("match_rate must be between 0.0 and 1.0")
    if not processing_seconds >= 0.0:
        raise ValueError("processing_seconds must not be negative")
    if access not in LIMITS_BY_ACCESS:
        raise ValueError(f"access must be one of: {', '.join(LIMITS_BY_ACCESS)}")
    if create_status not in (200, 201):
        raise ValueError("create_status must be 200 or 201")
    if uploads not in ("open", "restricted", "forbidden"):
        raise ValueError("uploads must be one of: open, restricted, forbidden")


def _account_ids(ids: Iterable[str] | None) -> frozenset[str] | None:
    accounts = _strings("ad_accounts", ids)
    if accounts is not None and not all(map(is_identifier, accounts)):
        raise ValueError("ad_accounts must be ids of 1 to 18 digits")
    return accounts


def _tokens(argument: str, values: Iterable[str] | None) -> frozenset[str] | None:
    tokens = _strings(argument, values)
    if tokens is not None and not all(token.split() == [token] for token in tokens):
        raise ValueError(f"{argument} must not be empty or contain white space")
    return tokens


def _strings(argument: str, values: Iterable[str] | None) -> frozenset[str] | None:
    if isinstance(values, str):
        raise ValueError(f"{argument} must be several strings, not one")  # noqa: TRY004
    return None if values is None else frozenset(values)
