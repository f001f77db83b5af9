"""A token endpoint with single-use refresh tokens, in memory and on a loopback socket."""

from __future__ import annotations

import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import httpx
from attrs import define, field
from support.wire import PAGE, Reply, refusal

from pinterest_audiences import AppCredentials, TokenSet

APP = AppCredentials("1234567", "SENTINELsecret")
BASIC = f"Basic {b64encode(b'1234567:SENTINELsecret').decode()}"
FIRST = "pinr.SENTINELrefresh0"
"""The refresh token that is valid at first; the next ones count on."""


def kept(**more: object) -> TokenSet:
    """Return tokens with an expired access token and the first refresh token."""
    fields: dict[str, object] = {
        "access_token": "pina_SENTINELaccess0",
        "expires_at": 1000.0,
        "lifetime": 2592000.0,
        "refresh_token": FIRST,
        "app_id": APP.app_id,
    }
    return TokenSet(**{**fields, **more})  # type: ignore[arg-type]  # each is of its field's type


@define
class TokenWorld:
    """A token server with the state of one login.

    Attributes:
        rotates: Whether each refresh returns a new refresh token and invalidates the old one.
        lifetime: The lifetime of access tokens.
        forms: The received forms, in order.
        instead: Responses to return without any processing.
        before: Called at each request, before it has any effect.
        after: Called when it has had its effect, before the response.
    """

    rotates: bool = True
    lifetime: object = 2592000
    forms: list[dict[str, str]] = field(factory=list[dict[str, str]])
    instead: list[Reply | Exception] = field(factory=list["Reply | Exception"])
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    refresh_token: str = FIRST
    code: str = "c0de+/="
    access_token: str = "pina_SENTINELaccess0"
    refreshes: int = 0
    _lock: threading.Lock = field(factory=threading.Lock)

    def token(self, authorization: str, body: bytes) -> Reply:
        """Respond to ``POST /oauth/token``."""
        form = dict(parse_qsl(body.decode(), strict_parsing=True))
        self.before()
        with self._lock:
            self.forms.append(form)
            reply = self._judge(authorization, form)
        self.after()
        return reply

    def _judge(self, authorization: str, form: dict[str, str]) -> Reply:
        if self.instead:
            step = self.instead.pop(0)
            if isinstance(step, Exception):
                raise step
            return step
        if authorization != BASIC:
            return refusal(401, 2, "Authentication failed.")
        shown, valid = {
            "refresh_token": (form.get("refresh_token"), self.refresh_token),
            "authorization_code": (form.get("code"), self.code),
        }[form["grant_type"]]
        if shown != valid:
            return Reply(400, {"error": "invalid_grant", "error_description": f"not {shown}"})
        self.refreshes += 1
        self.access_token = f"pina_SENTINELaccess{self.refreshes}"
        answer: dict[str, object] = {
            "access_token": self.access_token,
            "token_type": "bearer",
            "expires_in": self.lifetime,
            "scope": "ads:read,ads:write",
        }
        if self.rotates:
            self.refresh_token = f"pinr.SENTINELrefresh{self.refreshes}"
            answer |= {"refresh_token": self.refresh_token, "refresh_token_expires_in": 5184000}
        return Reply(data=answer)

    def listing(self, authorization: str) -> Reply:
        """Respond to a listing of customer lists."""
        if authorization != f"Bearer {self.access_token}":
            return refusal(401, 2, "Authentication failed.")
        return Reply(data=PAGE)

    def transport(self) -> httpx.AsyncBaseTransport:
        """Create a transport to this server, for one refresh."""
        return _Transport(self)

    @contextmanager
    def served(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """Listen on a loopback socket; yield the base URL."""
        with _Server(("127.0.0.1", 0), _handler(self)) as server:
            if tls is not None:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                where = "http://127.0.0.1" if tls is None else "https://localhost"
                yield f"{where}:{server.server_address[1]}/v5"
            finally:
                server.shutdown()
                thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect: some are meant to."""


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, world: TokenWorld) -> None:
        self._world = world

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        authorization = request.headers["authorization"]
        if request.method == "GET":
            return self._world.listing(authorization).response()
        assert request.url.path == "/v5/oauth/token"
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        return self._world.token(authorization, body).response()


def _handler(world: TokenWorld) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self._send(world.token(self.headers["authorization"], body))

        def do_GET(self) -> None:
            self._send(world.listing(self.headers["authorization"]))

        def _send(self, reply: Reply) -> None:
            body = json.dumps(reply.data).encode()
            self.send_response(reply.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class says so
            pass

    return Handler
