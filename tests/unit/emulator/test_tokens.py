"""Logins and tokens: codes, refreshes, scopes and expiry."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from pinterest_audiences.emulator import Assumptions, Emulator, RateLimits, RatePolicy, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import Caller, FakeClock

    from pinterest_audiences.emulator import Response

APPS = {"1234": "s3cret", "99": "other"}
HOME = "http://localhost:8085/callback"
LISTS = "549/customer_lists"
MONTH = 30 * 24 * 3600


class App:
    """An app that logs in and requests tokens."""

    def __init__(self, emulator: Emulator, app_id: str = "1234", secret: str = "s3cret") -> None:
        self.emulator = emulator
        self.basic = "Basic " + b64encode(f"{app_id}:{secret}".encode()).decode()
        self.app_id = app_id

    def post(self, path: str = "/v5/oauth/token", **form: str) -> Response:
        return self.emulator.handle(
            Request(
                method="POST",
                path=path,
                headers={
                    "Authorization": self.basic,
                    "Content-Type": "application/x-www-form-urlencoded",
                },
                body=urlencode(form).encode(),
            )
        )

    def exchange(self, code: str, redirect_uri: str = HOME, **more: str) -> Response:
        return self.post(
            grant_type="authorization_code", code=code, redirect_uri=redirect_uri, **more
        )

    def refresh(self, refresh_token: str, **more: str) -> Response:
        return self.post(grant_type="refresh_token", refresh_token=refresh_token, **more)

    def revoke(self, token: str, **more: str) -> Response:
        return self.post("/v5/oauth/token/revoke", token=token, **more)

    def log_in(self, *scopes: str, is_system_user: bool = False) -> dict[str, str]:
        code = self.emulator.authorize(
            app_id=self.app_id,
            redirect_uri=HOME,
            scopes=scopes or ("ads:read", "ads:write"),
            is_system_user=is_system_user,
        )
        return tokens(self.exchange(code))


def tokens(answer: Response) -> dict[str, str]:
    assert answer.status == 200
    decoded = answer.json()
    assert isinstance(decoded, dict)
    return decoded


def code_of(answer: Response) -> object:
    decoded = answer.json()
    assert isinstance(decoded, dict)
    return decoded["code"]


@pytest.fixture
def app(new_emulator: Callable[..., Emulator], call: Caller) -> App:
    """An app of an emulator with two apps."""
    call.emulator = new_emulator(apps=APPS)
    return App(call.emulator)


def test_code_is_exchanged_for_valid_tokens(app: App, call: Caller) -> None:
    """With every field of the API, and the published lifetimes."""
    issued = app.log_in("ads:write", "ads:read")
    assert issued == {
        "access_token": issued["access_token"],
        "expires_in": 2_592_000,
        "refresh_token": issued["refresh_token"],
        "refresh_token_expires_at": 1_705_184_000,
        "refresh_token_expires_in": 5_184_000,
        "response_type": "authorization_code",
        "scope": "ads:read,ads:write",
        "token_type": "bearer",
    }
    assert issued["access_token"].startswith("pina_")
    assert issued["refresh_token"].startswith("pinr.")
    assert call("GET", LISTS, token=issued["access_token"]).status == 200
    assert call("GET", LISTS, token="pina_other").status == 401


def test_code_can_be_exchanged_once(app: App) -> None:
    """A second exchange is refused, and does not revoke the first tokens."""
    code = app.emulator.authorize(app_id="1234", redirect_uri=HOME)
    assert app.exchange(code).status == 200
    assert app.exchange(code).status == 401


def test_code_is_bound_to_app_redirect_uri_and_expiry(app: App, clock: FakeClock) -> None:
    """A refused exchange does not use it up."""
    code = app.emulator.authorize(app_id="1234", redirect_uri=HOME)
    assert app.exchange(code, "http://localhost:8085/other").status == 401
    assert App(app.emulator, "99", "other").exchange(code).status == 401
    assert app.exchange("x").status == 401
    assert app.exchange(code).status == 200
    late = app.emulator.authorize(app_id="1234", redirect_uri=HOME)
    clock.advance(600)
    assert app.exchange(late).status == 401


def test_access_token_expires_after_30_days(app: App, call: Caller, clock: FakeClock) -> None:
    """Then it is 401 with code 2, until it is refreshed."""
    issued = app.log_in()
    clock.advance(MONTH - 1)
    assert call("GET", LISTS, token=issued["access_token"]).status == 200
    clock.advance(1)
    refused = call("GET", LISTS, token=issued["access_token"])
    assert (refused.status, code_of(refused)) == (401, 2)
    fresh = tokens(app.refresh(issued["refresh_token"]))
    assert call("GET", LISTS, token=fresh["access_token"]).status == 200
    assert fresh["response_type"] == "refresh_token"


def test_expired_token_is_refused_where_any_token_is_accepted(
    call: Caller, clock: FakeClock
) -> None:
    """The emulator knows the tokens it issued."""
    issued = App(call.emulator, "any", "thing").log_in()
    assert call("GET", LISTS, token=issued["access_token"]).status == 200
    clock.advance(MONTH)
    assert call("GET", LISTS, token=issued["access_token"]).status == 401
    assert call("GET", LISTS, token="pina_any").status == 200


def test_refresh_tokens_rotate_and_work_once(app: App) -> None:
    """The new one is valid, the old one is revoked."""
    first = app.log_in()
    second = tokens(app.refresh(first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    assert app.refresh(first["refresh_token"]).status == 401
    third = tokens(app.refresh(second["refresh_token"]))
    assert len({each["access_token"] for each in (first, second, third)}) == 3


def test_refresh_tokens_without_rotation_stay_valid(
    new_emulator: Callable[..., Emulator], clock: FakeClock
) -> None:
    """Each refresh extends the lifetime."""
    app = App(new_emulator(apps=APPS, assumptions=Assumptions(refresh_tokens_rotate=False)))
    first = app.log_in()
    for _ in range(3):
        clock.advance(59 * 24 * 3600)
        again = tokens(app.refresh(first["refresh_token"]))
        assert again["refresh_token"] == first["refresh_token"]


def test_refresh_token_expires_after_60_days(app: App, clock: FakeClock) -> None:
    """Unless it is used before."""
    issued = app.log_in()
    clock.advance(2 * MONTH - 1)
    issued = tokens(app.refresh(issued["refresh_token"]))
    clock.advance(2 * MONTH)
    assert app.refresh(issued["refresh_token"]).status == 401


def test_refresh_token_is_bound_to_its_app(app: App) -> None:
    """Another app can neither use it nor use it up."""
    issued = app.log_in()
    assert App(app.emulator, "99", "other").refresh(issued["refresh_token"]).status == 401
    assert app.refresh(issued["refresh_token"]).status == 200


def test_refresh_may_request_fewer_scopes_but_not_more(app: App, call: Caller) -> None:
    """For this token only; the next refresh may request all again."""
    issued = app.log_in("ads:read", "ads:write")
    assert app.refresh(issued["refresh_token"], scope="ads:read,boards:read").status == 401
    less = tokens(app.refresh(issued["refresh_token"], scope="ads:read"))
    assert less["scope"] == "ads:read"
    body = {"name": "Spring", "records": "a"}
    assert call("POST", LISTS, body, token=less["access_token"]).status == 401
    assert tokens(app.refresh(less["refresh_token"]))["scope"] == "ads:read,ads:write"


def test_initial_refresh_tokens_work_once(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """They have all scopes, for any app."""
    call.emulator = new_emulator(apps=APPS, refresh_tokens=["pinr.old"])
    app = App(call.emulator)
    issued = tokens(app.refresh("pinr.old"))
    assert "ads:read" in issued["scope"].split(",")
    assert call("GET", LISTS, token=issued["access_token"]).status == 200
    assert app.refresh("pinr.old").status == 401


@pytest.mark.parametrize(
    ("scope", "read", "write"),
    [("ads:read", 200, 401), ("ads:write", 401, 200), ("boards:read", 401, 401)],
)
def test_every_operation_requires_its_scope(
    app: App, call: Caller, scope: str, read: int, write: int
) -> None:
    """Without it: 401 with code 3 and Pinterest's message, and nothing is done."""
    token = app.log_in(scope)["access_token"]
    (list_id,) = app.emulator.seed_lists("549", 1)
    (audience_id,) = app.emulator.seed_audiences("549", 1)
    one, audience = f"{LISTS}/{list_id}", f"549/audiences/{audience_id}"
    reads = [LISTS, one, "549/audiences", audience]
    writes: list[tuple[str, str, object]] = [
        ("POST", LISTS, {"name": "Spring", "records": "a"}),
        ("PATCH", one, {"operation_type": "ADD", "records": "b"}),
        ("POST", f"{one}/uploads", {"operation": "ADD", "total_parts": 1}),
        ("PATCH", audience, {"name": "x"}),
    ]
    answers = [call("GET", path, token=token) for path in reads]
    assert {answer.status for answer in answers} == {read}
    changed = [call(method, path, body, token=token) for method, path, body in writes]
    assert {answer.status for answer in changed} == {write}
    refused = [answer for answer in [*answers, *changed] if answer.status == 401]
    assert {code_of(answer) for answer in refused} == {3}
    assert all(b"sufficient permissions" in answer.body for answer in refused)
    assert app.emulator.members(list_id) == (set() if write == 401 else {"b"})


def test_app_token_reads_what_needs_no_user(app: App, call: Caller) -> None:
    """client_credentials: one list and audiences, but neither the listing nor a change."""
    issued = tokens(app.post(grant_type="client_credentials", scope="ads:read,ads:write"))
    assert "refresh_token" not in issued
    assert issued["response_type"] == "client_credentials"
    (list_id,) = app.emulator.seed_lists("549", 1)
    token = issued["access_token"]
    assert call("GET", f"{LISTS}/{list_id}", token=token).status == 200
    assert call("GET", "549/audiences", token=token).status == 200
    refused = [
        call("GET", LISTS, token=token),
        call("POST", LISTS, {"name": "Spring", "records": "a"}, token=token),
    ]
    assert [(answer.status, code_of(answer)) for answer in refused] == [(401, 3)] * 2


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"grant_type": "password"},
        {"grant_type": "authorization_code", "code": "x"},
        {"grant_type": "authorization_code", "redirect_uri": HOME},
        {
            "grant_type": "authorization_code",
            "code": "x",
            "redirect_uri": HOME,
            "continuous_refresh": "yes",
        },
        {"grant_type": "refresh_token"},
        {"grant_type": "client_credentials"},
        {"grant_type": "client_credentials", "scope": "ads:everything"},
    ],
)
def test_invalid_token_form_is_400(app: App, form: dict[str, str]) -> None:
    """Code 1, and the message repeats nothing that was sent."""
    answer = app.post(**form)
    assert (answer.status, code_of(answer)) == (400, 1)
    assert b"everything" not in answer.body


@pytest.mark.parametrize(("status", "code"), [(401, 283), (400, 1)])
def test_invalid_grant_is_401_with_code_283_or_400(
    new_emulator: Callable[..., Emulator], status: int, code: int
) -> None:
    """Clients observed 401 for refresh tokens; the switch selects 400."""
    assumptions = Assumptions(invalid_grant_status=status)  # type: ignore[arg-type]  # one of both
    default = App(new_emulator(apps=APPS))
    app = App(new_emulator(apps=APPS, assumptions=assumptions))
    for answer in (app.refresh("pinr.unknown"), app.exchange("unknown")):
        assert (answer.status, code_of(answer)) == (status, code)
        assert "The authorization grant is invalid" in str(answer.json())
        assert b"unknown" not in answer.body
    assert (default.refresh("pinr.unknown").status, default.exchange("x").status) == (401, 401)


@pytest.mark.parametrize("path", ["/v5/oauth/token", "/v5/oauth/token/revoke"])
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + b64encode(b"\xff").decode(),
        "Basic " + b64encode(b"1234").decode(),
        "Basic " + b64encode(b"1234:other").decode(),
        "Basic " + b64encode(b"5:s3cret").decode(),
        "Bearer s3cret",
    ],
)
def test_wrong_app_secret_is_401(app: App, path: str, authorization: str | None) -> None:
    """With code 2."""
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = app.emulator.handle(
        Request(method="POST", path=path, headers=headers, body=b"token=x")
    )
    assert (answer.status, code_of(answer)) == (401, 2)


def test_only_tokens_of_system_users_can_be_revoked(app: App, call: Caller) -> None:
    """As published: others are 403 with code 29; an unknown token is ignored."""
    plain, system = app.log_in(), app.log_in(is_system_user=True)
    refused = app.revoke(plain["access_token"])
    assert (refused.status, code_of(refused)) == (403, 29)
    assert call("GET", LISTS, token=plain["access_token"]).status == 200
    other = App(app.emulator, "99", "other")
    assert other.revoke(system["access_token"]).status == 403
    done = app.revoke(system["access_token"], token_type_hint="access_token")
    assert (done.status, done.body) == (200, b"")
    gone = call("GET", LISTS, token=system["access_token"])
    assert (gone.status, code_of(gone)) == (401, 2)
    assert app.revoke(system["refresh_token"]).status == 200
    assert app.refresh(system["refresh_token"]).status == 401
    assert app.revoke("unknown").status == 200
    assert app.revoke("x", token_type_hint="id_token").status == 400
    assert app.revoke("").status == 400


def test_revocable_any_excludes_permanent_tokens(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Tokens passed as `access_tokens` always work."""
    assumptions = Assumptions(revocable="any")
    call.emulator = new_emulator(apps=APPS, access_tokens=["for_ever"], assumptions=assumptions)
    app = App(call.emulator)
    issued = app.log_in()
    assert app.revoke(issued["access_token"]).status == 200
    assert call("GET", LISTS, token=issued["access_token"]).status == 401
    assert app.revoke("for_ever").status == 403
    call.emulator.advance(hours=24 * 365 * 10)
    assert call("GET", LISTS, token="for_ever").status == 200


def authorize(emulator: Emulator, accept: str = "*/*", **query: str) -> Response:
    asked = {
        "client_id": "1234",
        "redirect_uri": HOME,
        "response_type": "code",
        "scope": "ads:read,ads:write",
        **query,
    }
    headers = {"accept": accept}
    return emulator.handle(
        Request(method="GET", path="/oauth/", query=urlencode(asked), headers=headers)
    )


def test_authorize_redirects_with_code_and_state(app: App) -> None:
    """The code works; the query of the address is preserved."""
    answer = authorize(app.emulator, redirect_uri=f"{HOME}?a=1", state="x y&\r\n\xe9")
    assert (answer.status, answer.body) == (302, b"")
    location = str(answer.header("location"))
    assert location.isascii()
    assert "\n" not in location
    query = parse_qs(urlsplit(location).query)
    assert location.startswith(f"{HOME}?a=1&code=")
    assert query["state"] == ["x y&\r\n\xe9"]
    assert tokens(app.exchange(query["code"][0], f"{HOME}?a=1"))["scope"] == "ads:read,ads:write"


BROWSER = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


def test_browser_is_asked_for_consent_and_then_redirected(app: App) -> None:
    """The page repeats the query in its form, escaped."""
    attack = 'x"><script>alert(1)</script>'
    page = authorize(app.emulator, BROWSER, state=attack)
    text = page.body.decode()
    assert (page.status, page.header("content-type")) == (200, "text/html; charset=utf-8")
    assert page.header("location") is None
    assert "<script" not in text
    assert 'name="state" value="x&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in text
    allowed = authorize(app.emulator, BROWSER, state=attack, consent="allow")
    query = parse_qs(urlsplit(str(allowed.header("location"))).query)
    assert (allowed.status, query["state"]) == (302, [attack])
    assert tokens(app.exchange(query["code"][0], HOME))["scope"] == "ads:read,ads:write"


def test_browser_user_who_cancels_is_redirected_with_access_denied(app: App) -> None:
    answer = authorize(app.emulator, BROWSER, consent="deny")
    assert (answer.status, answer.header("location")) == (302, f"{HOME}?error=access_denied")


@pytest.mark.parametrize(
    "wrong", [{"client_id": "9"}, {"scope": "no:scope"}, {"redirect_uri": "x"}]
)
def test_browser_is_not_asked_for_consent_to_an_invalid_request(
    app: App, wrong: dict[str, str]
) -> None:
    assert authorize(app.emulator, BROWSER, **wrong).status == 400


def test_authorize_redirects_with_access_denied(new_emulator: Callable[..., Emulator]) -> None:
    """The error replaces the code (RFC 6749, section 4.1.2.1)."""
    emulator = new_emulator(apps=APPS, assumptions=Assumptions(users_consent=False))
    location = authorize(emulator, state="7").header("location")
    assert location == f"{HOME}?error=access_denied&state=7"


@pytest.mark.parametrize(
    "query",
    [
        {"client_id": ""},
        {"client_id": "5"},
        {"redirect_uri": ""},
        {"redirect_uri": "/callback"},
        {"redirect_uri": "localhost"},
        {"redirect_uri": "http://localhost/\r\nSet-Cookie: a=b"},
        {"redirect_uri": "http://localhost/#fragment"},
        {"redirect_uri": "http://[::1/"},
        {"redirect_uri": "http://localhost/\xe9"},
        {"response_type": "token"},
        {"scope": ""},
        {"scope": "ads:everything"},
    ],
)
def test_invalid_authorize_request_is_not_redirected(app: App, query: dict[str, str]) -> None:
    """It is answered with 400."""
    answer = authorize(app.emulator, **query)
    assert (answer.status, code_of(answer)) == (400, 1)
    assert answer.header("location") is None


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("app_id", "5"),
        ("redirect_uri", "callback"),
        ("scopes", ()),
        ("scopes", ("ads:everything",)),
    ],
)
def test_authorizing_an_unknown_app_or_scope_is_a_value_error(
    app: App, argument: str, value: object
) -> None:
    """To find mistakes in tests."""
    with pytest.raises(ValueError, match=argument):
        app.emulator.authorize(**{argument: value})  # type: ignore[arg-type]


def test_code_for_the_only_app_needs_no_app_id(new_emulator: Callable[..., Emulator]) -> None:
    """With several apps, or with any, it is valid for every app."""
    one = App(new_emulator(apps={"1234": "s3cret"}))
    assert one.exchange(one.emulator.authorize(), "http://localhost/").status == 200
    anybody = App(new_emulator())
    code = anybody.emulator.authorize(scopes="ads:read")
    assert tokens(anybody.exchange(code, "http://localhost/"))["scope"] == "ads:read"


def test_tokens_follow_from_the_seed(new_emulator: Callable[..., Emulator]) -> None:
    """The same for the same seed, others for another, and all different."""
    issued = [App(new_emulator(apps=APPS, seed=seed)).log_in() for seed in (1, 1, 2)]
    assert issued[0] == issued[1]
    assert issued[0]["access_token"] != issued[2]["access_token"]
    app = App(new_emulator(apps=APPS))
    assert len({app.log_in()["access_token"] for _ in range(50)}) == 50


def test_rate_limits_belong_to_the_user_not_the_token(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """A refresh does not reset them; another app has separate ones."""
    limits = RateLimits(ads_read=RatePolicy(2, 60))
    call.emulator = new_emulator(apps=APPS, rate_limits=limits)
    app = App(call.emulator)
    issued = app.log_in()
    assert call("GET", LISTS, token=issued["access_token"]).status == 200
    fresh = tokens(app.refresh(issued["refresh_token"]))
    assert call("GET", LISTS, token=fresh["access_token"]).status == 200
    assert call("GET", LISTS, token=fresh["access_token"]).status == 429
    other = App(call.emulator, "99", "other").log_in()
    assert call("GET", LISTS, token=other["access_token"]).status == 200


def test_token_endpoints_have_their_rate_limits(
    new_emulator: Callable[..., Emulator],
) -> None:
    """org_read for tokens, org_write for revocations, with rate headers."""
    limits = RateLimits(org_read=RatePolicy(1, 60), org_write=RatePolicy(1, 60))
    app = App(new_emulator(apps=APPS, rate_limits=limits))
    answers = [app.refresh("x"), app.refresh("x"), app.revoke("x"), app.revoke("x")]
    assert [answer.status for answer in answers] == [401, 429, 200, 429]
    assert 'name="org_read_app_id_user_id"' in str(answers[0].header("x-ratelimit-limit"))
    assert 'name="org_write_app_id_user_id"' in str(answers[2].header("x-ratelimit-limit"))


def test_token_endpoint_answers_configured_201(new_emulator: Callable[..., Emulator]) -> None:
    """Version 5.28 allows it."""
    app = App(new_emulator(apps=APPS, create_status=201))
    assert app.exchange(app.emulator.authorize(app_id="1234", redirect_uri=HOME)).status == 201


def test_repr_has_no_secrets(app: App) -> None:
    """Neither tokens nor codes nor secrets nor redirect URIs."""
    code = app.emulator.authorize(app_id="1234", redirect_uri=f"{HOME}/sentinel")
    issued = app.log_in()
    shown = repr((app.emulator, app.emulator.requests, app.emulator.snapshot(), app.emulator.now()))
    backend = app.emulator._backend
    shown += repr((backend.tokens.dump()[3:], *backend.tokens.dump()[0].values()))
    for secret in (code, issued["access_token"], issued["refresh_token"], "s3cret", "sentinel"):
        assert secret not in shown


def test_user_and_ad_accounts_need_a_token_and_scope(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """The existing ad accounts are listed page by page."""
    call.emulator = new_emulator(apps=APPS, ad_accounts=["9", "10", "549"])
    app = App(call.emulator)
    token = app.log_in("user_accounts:read", "ads:read")["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(
        transport=call.emulator.transport(), headers=headers, base_url="https://a.example/v5"
    ) as client:
        me = client.get("/user_account").json()
        assert me["username"] == "emulator"
        assert client.get("/user_account?ad_account_id=549").json() == me
        assert client.get("/user_account?ad_account_id=5").status_code == 403
        assert client.get("/user_account?ad_account_id=x").status_code == 400
        first = client.get("/ad_accounts", params={"page_size": 2}).json()
        assert [item["id"] for item in first["items"]] == ["9", "10"]
        rest = client.get("/ad_accounts", params={"bookmark": first["bookmark"]}).json()
        assert [item["id"] for item in rest["items"]] == ["549"]
        assert rest["bookmark"] is None
        assert client.get("/ad_accounts?include_shared_accounts=maybe").status_code == 400
        assert client.get("/ad_accounts/549").json() == rest["items"][0]
        assert client.get("/ad_accounts/5").status_code == 404
    poor = app.log_in("boards:read")["access_token"]
    for path in ("/v5/user_account", "/v5/ad_accounts", "/v5/ad_accounts/549"):
        for authorization, code in (("", 2), (f"Bearer {poor}", 3)):
            answer = call.emulator.handle(
                Request(method="GET", path=path, headers={"Authorization": authorization})
            )
            assert (answer.status, code_of(answer)) == (401, code)


def test_any_account_lists_those_with_lists(call: Caller) -> None:
    """No others are known."""
    call.create("77")
    call.create("8")
    answer = call.emulator.handle(
        Request(method="GET", path="/v5/ad_accounts", headers={"Authorization": "Bearer x"})
    )
    assert [item["id"] for item in answer.json()["items"]] == ["8", "77"]  # type: ignore[index]
