"""The emulator itself: one state, one lock, and the one way of a request through them."""

from __future__ import annotations

import json
import time
from collections import deque
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

import attrs

from pinterest_audiences.emulator.access import LIMITS_OF, Access, admit
from pinterest_audiences.emulator.bookmarks import Bookmarks
from pinterest_audiences.emulator.clock import VirtualClock
from pinterest_audiences.emulator.controls import Controls
from pinterest_audiences.emulator.fault_effects import FaultyEngine
from pinterest_audiences.emulator.faults import Faults
from pinterest_audiences.emulator.guesses import Guesses
from pinterest_audiences.emulator.limits import Category, Limiter, RateLimits, Window
from pinterest_audiences.emulator.members import Match, seeded_key
from pinterest_audiences.emulator.messages import Answer, ApiError, Headers, Request, Response
from pinterest_audiences.emulator.routes import Call, Context, find_route
from pinterest_audiences.emulator.settings import check_settings, read_accounts, read_tokens
from pinterest_audiences.emulator.world import Contents, World

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from pinterest_audiences.emulator.transport import EmulatorTransport

MAX_BODY_BYTES = 50_000_000
"""A larger body is refused. Pinterest's own limit is unknown; this one protects the memory."""

_JOURNAL_ENTRIES = 10_000


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


@attrs.frozen(repr=False, eq=False)
class Snapshot:
    """All of an emulator at one moment; only `Emulator.restore` can do something with it."""

    contents: Contents
    windows: Mapping[tuple[str, str], Window]
    journal: tuple[JournalEntry, ...]
    handled: int


class Emulator(Controls):
    """Pinterest's audience API, offline: customer lists, audiences, uploads and tokens.

    Every instance is a Pinterest of its own, in memory. The same seed and the same requests lead
    to the same ids, the same matches, the same tokens and the same answers.

    Args:
        clock: Returns Unix seconds; a test gives its own and moves it, or calls `advance`.
        seed: Chooses whom Pinterest knows, the request ids, the bookmarks and the tokens.
        match_rate: The share of records that are Pinterest accounts, from 0.0 to 1.0.
        match: The same, or a function that says it of each record; it goes before `match_rate`.
        processing_seconds: How long a list stays PROCESSING after a create or an update, an
            audience INITIALIZING after its list, and an upload RUNNING. Then a list is READY with
            at least 100 matched members and TOO_SMALL with fewer.
        access_tokens: The bearer tokens to accept, for ever and for everything. None accepts any
            that is not empty, unless `apps` are named: then those that their logins gave.
        apps: The secret of each app by its id; None for any id with any secret.
        refresh_tokens: Refresh tokens that apps have from before.
        ad_accounts: The ids of the ad accounts there are; None for any numeric id.
        access: What Pinterest has granted the apps: the budgets of "standard" or "trial".
        rate_limits: Other budgets than those of `access`; None for no budgets and no rate headers.
        create_status: What a successful create answers: 200, or 201 as version 5.28 of the API
            allows.
        uploads: Whether multipart uploads are "open", or refused as a beta that the account is
            not in: "restricted" with 401 and code 3, "forbidden" with 403 and code 29.
        guesses: What Pinterest has not published, as switches.
        state: A file to begin with, which `save` writes; nothing is read when it is not there.

    Raises:
        ValueError: When an argument is out of its range, or the file is no state.
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
        access: Access = "standard",
        rate_limits: RateLimits | Literal["by access"] | None = "by access",
        create_status: Literal[200, 201] = 200,
        uploads: Literal["open", "restricted", "forbidden"] = "open",
        guesses: Guesses | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> None:
        knows: Match = match_rate if match is None else match
        check_settings(knows, processing_seconds, access, create_status, uploads)
        guesses = guesses or Guesses()
        clock = VirtualClock(clock)
        world = World(
            clock=clock,
            seed=seed,
            match=knows,
            processing_seconds=processing_seconds,
            ad_accounts=read_accounts(ad_accounts),
            guesses=guesses,
            apps=None if apps is None else dict(apps),
            access_tokens=read_tokens("access_tokens", access_tokens),
            refresh_tokens=read_tokens("refresh_tokens", refresh_tokens) or (),
        )
        # One lock for everything: a blocking client, an awaiting one and a test's own thread may
        # share an emulator, and no request takes long.
        super().__init__(world, Faults(seed), Lock())
        self._context = Context(
            world=world, bookmarks=Bookmarks(seed), create_status=create_status, uploads=uploads
        )
        limits = LIMITS_OF[access] if rate_limits == "by access" else rate_limits
        counted = guesses.refused_requests_count
        self._limiter = None if limits is None else Limiter(limits, clock, refused_count=counted)
        self._rid_key = seeded_key(seed, "request id")
        self._journal: deque[JournalEntry] = deque(maxlen=_JOURNAL_ENTRIES)
        self._handled = 0
        self._faulty = FaultyEngine(self.faults, self._answer, self._stand_in, clock)
        self._seed = seed
        self._match_rate = None if callable(knows) else knows
        self._file = None if state is None else Path(state)
        if self._file is not None and self._file.exists():
            self._load(self._file)

    def __repr__(self) -> str:
        counted = self.counts()
        told = ", ".join(f"{number} {what}" for what, number in counted.items())
        return f"<Emulator: {told}>"

    def counts(self) -> dict[str, int]:
        """Return how much there is of everything.

        Returns:
            Counts by the name of what is counted; `requests` are those answered.
        """
        with self._settled() as world:
            return {**world.counts(), "requests": self._handled}

    def handle(self, request: Request) -> Response:
        """Answer one request. May be called from any thread.

        Args:
            request: The request, however broken.

        Returns:
            The answer, in bytes.
        """
        with self._settled():
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

    @property
    def handled(self) -> int:
        """How many requests were answered, in this process and those that its file came from."""
        with self._lock:
            return self._handled

    def snapshot(self) -> Snapshot:
        """Take a picture of everything.

        Returns:
            A picture of lists, audiences, uploads, tokens, budgets, journal, and how far the clock
            was moved ahead; faults wait on as they are. `restore` can go back to it, as often as
            you like; it is cheap, even of long lists.

        Example:
            >>> emulator = Emulator()
            >>> before = emulator.snapshot()
            >>> (spring,) = emulator.seed_lists("549", 1)
            >>> emulator.restore(before)
            >>> emulator.counts()["customer_lists"]
            0
        """
        with self._settled() as world:
            windows = {} if self._limiter is None else self._limiter.export()
            return Snapshot(world.export(), windows, tuple(self._journal), self._handled)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a picture.

        Args:
            snapshot: What `snapshot` of this emulator, or of one with the same seed, returned.
        """
        with self._lock:
            self._world.take(snapshot.contents)
            if self._limiter is not None:
                self._limiter.take(snapshot.windows)
            self._journal.clear()
            self._journal.extend(snapshot.journal)
            self._handled = snapshot.handled

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write everything but budgets and journal to a file, for `Emulator(state=...)`.

        Args:
            path: Where; None for the file that the emulator was made with. It is replaced as a
                whole, and only its owner may read it.

        Raises:
            ValueError: When there is no path.
            OSError: When it cannot be written.
        """
        # SQLite is not needed by whoever saves nothing.
        from pinterest_audiences.emulator import storage  # noqa: PLC0415

        target = self._file if path is None else Path(path)
        if target is None:
            raise ValueError("this emulator was made without a file: name one")
        with self._settled() as world:
            saved = storage.Saved(
                contents=world.export(),
                handled=self._handled,
                seed=self._seed,
                match_rate=self._match_rate,
            )
        storage.write(target, saved)

    def _answer(self, request: Request) -> Response:
        category: Category | None = None
        rate_headers: Headers = ()
        try:
            if len(request.body) > MAX_BODY_BYTES:
                raise body_too_large()
            route, parameters = find_route(request.method, request.path)
            category = route.category
            admission = admit(request, route, self._world.tokens, self._limiter)
            rate_headers = admission.headers
            if admission.refusal is not None:
                raise admission.refusal
            answer = route.answer(Call(self._context, request, parameters, admission.principal))
        except ApiError as error:
            answer = error.answer
        return self._finish(request.method, request.path, category, answer, rate_headers)

    def _stand_in(self, request: Request, answer: Answer) -> Response:
        route, _ = find_route(request.method, request.path)
        return self._finish(request.method, request.path, route.category, answer, ())

    def _forget(self) -> None:
        self._faulty.clear()
        if self._limiter is not None:
            self._limiter.clear()
        self._journal.clear()
        self._handled = 0

    def _show_budgets(self) -> list[dict[str, object]]:
        return [] if self._limiter is None else self._limiter.show()

    def _load(self, path: Path) -> None:
        from pinterest_audiences.emulator import storage  # noqa: PLC0415

        saved = storage.read(path)
        same = self._match_rate is not None and (saved.seed, saved.match_rate) == (
            self._seed,
            self._match_rate,
        )
        self._world.take(saved.contents, recount=not same)
        self._handled = saved.handled

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
        if answer.content is None:
            body = json.dumps(answer.payload, separators=(",", ":")).encode()
            content_type: Headers = (("content-type", "application/json"),)
        else:
            body, content_type = answer.content, ()
        headers = (
            *content_type,
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
