"""OAuth calls: their requests, and the secrets that no output contains."""

from __future__ import annotations

import logging
from base64 import b64decode
from typing import Any, Literal
from urllib.parse import parse_qsl

import httpx
import jsonschema
import pytest
from support.cases import each_case
from support.description import at, load_description
from support.wire import Reply, Rig, Sent, refusal, rig

from pinterest_audiences import (
    AppCredentials,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    CallError,
    Client,
    ConfigurationError,
    DecodeError,
    GrantType,
    NoAuth,
    OAuthToken,
    PermissionDeniedError,
    ServerError,
    TokenRefreshError,
    TokenTypeHint,
    TransportError,
)
from pinterest_audiences._http import operations

pytestmark = pytest.mark.anyio

APP = AppCredentials("1234567", "SENTINEL+secret/=")
ANSWER: dict[str, object] = {
    "access_token": "pina_SENTINELaccess",
    "token_type": "bearer",
    "expires_in": 2592000,
    "scope": "ads:read,ads:write",
    "refresh_token": "pinr.SENTINELrefresh",
    "refresh_token_expires_in": 5184000,
    "refresh_token_expires_at": 1790000000,
    "response_type": "authorization_code",
}
CODE: dict[str, Any] = {
    "grant_type": "authorization_code",
    "code": "SENTINEL&co=de+/%20",
    "redirect_uri": "http://localhost:8085/",
}
REFRESH: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": "pinr.SENTINEL=&+é"[:-1]}
APP_ITSELF: dict[str, Any] = {
    "grant_type": "client_credentials",
    "scope": ["ads:read", "ads:write"],
}
GRANTS = [CODE, REFRESH, {**REFRESH, "scope": "ads:read"}, APP_ITSELF]


def scene(*script: Any) -> Rig:
    return rig(*script, access_token=NoAuth())


def form(sent: Sent) -> dict[str, str]:
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(sent.body.decode("ascii"), strict_parsing=True))


async def fails(client: AsyncClient, grant: dict[str, Any]) -> CallError:
    with pytest.raises(CallError) as failed:
        await client.oauth_token(APP, **grant)
    assert "SENTINEL" not in f"{failed.value} {failed.value!r} {vars(failed.value)}"
    return failed.value


@pytest.mark.parametrize("grant", GRANTS)
async def test_grant_is_sent_as_encoded_form_with_basic_auth(
    grant: dict[str, Any],
) -> None:
    """Any code or token arrives unchanged; no access token is sent."""
    stage = scene(Reply(data=ANSWER))
    async with stage.client as client:
        got = await client.oauth_token(APP, **grant)
    (sent,) = stage.sent
    assert (sent.method, sent.url) == ("POST", "https://api.pinterest.com/v5/oauth/token")
    kind, _, pair = sent.headers["authorization"].partition(" ")
    assert (kind, b64decode(pair).decode()) == ("Basic", "1234567:SENTINEL+secret/=")
    wanted = {**grant}
    if isinstance(wanted.get("scope"), list):
        wanted["scope"] = "ads:read,ads:write"
    if grant is CODE:
        wanted["continuous_refresh"] = "true"
    assert form(sent) == wanted
    assert got == OAuthToken(**ANSWER)  # type: ignore[arg-type]  # each is of its field's type


async def test_token_response_with_wrong_types_keeps_the_tokens() -> None:
    """A refresh token that is valid once must not be lost because of another field."""
    odd = {**ANSWER, "expires_in": "soon", "scope": ["ads:read"], "new": 1, "token_type": None}
    async with scene(Reply(data=odd)).client as client:
        got = await client.oauth_token(APP, **CODE)
    assert (got.access_token, got.refresh_token) == ("pina_SENTINELaccess", "pinr.SENTINELrefresh")
    assert (got.expires_in, got.scope, got.token_type) == (None, None, None)
    assert got.extra == {"expires_in": "soon", "scope": ["ads:read"], "new": 1}
    assert "SENTINEL" not in repr(got)


@pytest.mark.parametrize("bad", [{}, {"access_token": 5}, [ANSWER], "SENTINEL", None])
async def test_token_response_without_access_token_is_an_error(bad: object) -> None:
    """It is not quoted."""
    async with scene(Reply(data=bad)).client as client:
        assert isinstance(await fails(client, CODE), DecodeError)


@pytest.mark.parametrize(
    "wrong",
    [
        {"grant_type": "password"},
        {"grant_type": "authorization_code", "code": "c"},
        {"grant_type": "authorization_code", "redirect_uri": "http://localhost/"},
        {**CODE, "refresh_token": "r"},
        {**CODE, "scope": "ads:read"},
        {"grant_type": "refresh_token"},
        {**REFRESH, "code": "c"},
        {"grant_type": "client_credentials"},
        {"grant_type": "client_credentials", "scope": []},
        {**REFRESH, "refresh_token": ""},
        {**REFRESH, "refresh_token": "SENTINEL two"},
        {**CODE, "code": 5},
    ],
)
async def test_invalid_grant_arguments_are_refused_before_sending(wrong: dict[str, Any]) -> None:
    """The error names missing and extra arguments without their values."""
    stage = scene()
    async with stage.client as client:
        with pytest.raises(ConfigurationError) as refused:
            await client.oauth_token(APP, **wrong)
    assert "SENTINEL" not in str(refused.value)


@pytest.mark.parametrize("pair", [("", "s"), ("1", ""), ("1:2", "s"), ("1", "a b"), (5, "s")])
async def test_invalid_app_credentials_are_refused(pair: tuple[Any, Any]) -> None:
    """HTTP Basic ends the id at a colon; a tuple is not accepted."""
    with pytest.raises(ConfigurationError, match=r"^app_(id|secret) must "):
        AppCredentials(*pair)
    async with scene().client as client:
        with pytest.raises(ConfigurationError, match="AppCredentials"):
            await client.oauth_token(("1", "s"), **CODE)  # type: ignore[arg-type]  # refused


@each_case(
    ("answer", "kind", "hint"),
    [
        (Reply(400, {"error": "invalid_grant"}), BadRequestError, "log in again"),
        (
            Reply(401, {"error": "invalid_client", "error_description": "no"}),
            AuthenticationError,
            "the app id or the app secret is wrong",
        ),
        (refusal(401, 2, "Authentication failed."), AuthenticationError, "check the app id"),
        (refusal(400, 1, "bad"), BadRequestError, "log in again"),
    ],
)
@each_case("grant", GRANTS)
async def test_refused_grant_suggests_what_to_check(
    grant: dict[str, Any], answer: Reply, kind: type[CallError], hint: str
) -> None:
    """In Pinterest's error format or the standard one; it is not retried."""
    stage = scene(answer)
    async with stage.client as client:
        error = await fails(client, grant)
    assert type(error) is kind
    assert hint in str(error)
    assert error.operation == "oauth_token"


@pytest.mark.parametrize("grant", GRANTS)
async def test_secrets_quoted_in_a_refusal_are_redacted(grant: dict[str, Any]) -> None:
    """Codes, tokens, secrets and the header, in any encoding."""
    quoted = [value for value in (*grant.values(), APP.app_secret) if isinstance(value, str)]
    said = " and ".join(value for value in quoted if "SENTINEL" in value)
    answer = Reply(400, {"error": "invalid_grant", "error_description": f"{said} Basic SENTINEL"})
    async with scene(answer).client as client:
        error = await fails(client, grant)
    assert "invalid_grant" in str(error)


@pytest.mark.parametrize(("grant", "again"), [(CODE, False), (REFRESH, True), (APP_ITSELF, True)])
async def test_authorization_code_is_not_retried_after_a_lost_response(
    grant: dict[str, Any], again: bool
) -> None:
    """A second exchange may revoke the first; a refresh is retried."""
    lost = [httpx.ReadError("reset"), Reply(503, {"message": "busy"}), Reply(data=ANSWER)]
    stage = scene(*lost)
    async with stage.client as client:
        if again:
            await client.oauth_token(APP, **grant)
        else:
            error = await fails(client, grant)
            assert isinstance(error, TransportError)
            assert error.maybe_applied
    assert stage.transport.left == (0 if again else 2)


async def test_authorization_code_is_retried_if_it_was_not_sent() -> None:
    stage = scene(httpx.ConnectError("no"), Reply(data=ANSWER))
    async with stage.client as client:
        await client.oauth_token(APP, **CODE)
    stage = scene(Reply(503, {"message": "busy"}))
    async with stage.client as client:
        assert isinstance(await fails(client, CODE), ServerError)


async def test_client_without_token_allows_only_oauth_calls() -> None:
    """The error says that the client was created without a token."""
    async with scene().client as client:
        with pytest.raises(TokenRefreshError, match="was created without one"):
            await client.customer_lists_get("1", "2")


async def test_oauth_calls_do_not_send_the_access_token() -> None:
    """They do not call the token source, nor refresh it when the app is refused."""

    def never() -> str:
        raise AssertionError("must not be called")

    stage = rig(refusal(401, 2), access_token=never)
    async with stage.client as client:
        assert type(await fails(client, CODE)) is AuthenticationError
    assert len(stage.sent) == 1


@pytest.mark.parametrize("hint", [None, TokenTypeHint.REFRESH_TOKEN, "access_token"])
@pytest.mark.parametrize("body", [b"", b"{}", b"<html>"])
async def test_revoke_returns_nothing(
    hint: TokenTypeHint | Literal["access_token"] | None, body: bytes
) -> None:
    """The response body is ignored."""
    stage = scene(Reply(200, body=body))
    async with stage.client as client:
        await client.token_revoke(APP, token="pinr.SENTINEL=", token_type_hint=hint)
    (sent,) = stage.sent
    assert (sent.method, sent.url) == ("POST", "https://api.pinterest.com/v5/oauth/token/revoke")
    more = {} if hint is None else {"token_type_hint": str(hint)}
    assert form(sent) == {"token": "pinr.SENTINEL=", **more}
    assert sent.headers["authorization"].startswith("Basic ")


async def test_revoke_of_unsupported_token_explains_the_refusal() -> None:
    """Pinterest revokes tokens of system users only."""
    stage = scene(refusal(403, 29, "You are not permitted, pinr.SENTINEL="))
    async with stage.client as client:
        with pytest.raises(PermissionDeniedError) as refused:
            await client.token_revoke(APP, token="pinr.SENTINEL=")
        with pytest.raises(ConfigurationError, match="token_type_hint"):
            await client.token_revoke(APP, token="t", token_type_hint=TokenTypeHint("both"))
    assert "SENTINEL" not in str(refused.value)


def test_sync_client_has_the_same_oauth_calls() -> None:
    stage = rig(Reply(data=ANSWER), Reply(200, body=b""))
    with Client(NoAuth(), transport=stage.transport) as client:
        got = client.oauth_token(APP, **REFRESH)
        assert got.refresh_token == "pinr.SENTINELrefresh"
        client.token_revoke(APP, token="t")
    assert [sent.url.rpartition("/v5")[2] for sent in stage.sent] == [
        "/oauth/token",
        "/oauth/token/revoke",
    ]


async def test_oauth_logs_contain_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """At every level."""
    caplog.set_level(logging.DEBUG)
    async with scene(Reply(data=ANSWER)).client as client:
        await client.oauth_token(APP, **CODE)
    assert "oauth_token: attempt 1: 200" in caplog.text
    assert "SENTINEL" not in caplog.text


def test_oauth_operations_match_the_description() -> None:
    """Operation id, path, category, Basic auth, and forms within the schemas."""
    description = load_description()
    for operation in (operations.OAUTH_TOKEN, operations.TOKEN_REVOKE):
        declared = at(description, "paths", operation.path, "post")
        assert str(declared["operationId"]).replace("/", "_") == operation.name
        assert declared["x-ratelimit-category"] == operation.category
        assert declared["security"] == [{"basic": []}]
    schemas = at(description, "components", "schemas")
    for grant, name in zip(
        (CODE, REFRESH, {**APP_ITSELF, "scope": "ads:read"}),
        ("Code", "Refresh", "ClientCredentials"),
        strict=True,
    ):
        jsonschema.validate(grant, at(schemas, f"OauthAccessTokenRequest{name}"))
        jsonschema.validate(ANSWER, at(schemas, f"OauthAccessTokenResponse{name}"))
    assert {str(grant) for grant in GrantType} == {
        "authorization_code",
        "refresh_token",
        "client_credentials",
    }
