"""Answers for audiences, uploads and tokens, compared with our and Pinterest's description.

Without Pinterest's the tests of that one are skipped; see `support.description`.
"""

from __future__ import annotations

import json as json_codec
from base64 import b64encode
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode, urlsplit

import jsonschema
import pytest
from support.description import Description, load_description

from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy, Request
from pinterest_audiences.emulator._openapi import describe
from pinterest_audiences.emulator._routing import ROUTES, split_path
from pinterest_audiences.emulator._tokens import SCOPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import FakeClock

ACCOUNT = "/v5/ad_accounts/549"
BASIC = "Basic " + b64encode(b"1:s").decode()
HOME = "http://localhost/"
DECLARED = [route for route in ROUTES if route.path.startswith("/v5/")]

# What came after 5.23 is compared with the emulator's description only.
SINCE_5_23 = {"/ad_accounts/{ad_account_id}/customer_segments"}


@pytest.fixture(scope="module")
def published() -> Description:
    return Description(load_description())


@pytest.fixture(params=["published", "own"])
def description(request: pytest.FixtureRequest) -> Description:
    if request.param == "own":
        return Description(describe())
    whole: Description = request.getfixturevalue("published")
    return whole


class Checked:
    """Sends requests, and checks every answer with the description."""

    def __init__(self, emulator: Emulator, description: Description) -> None:
        self.emulator = emulator
        self._description = description
        self.seen: set[tuple[str, int]] = set()

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: str = "",
        authorization: str = "Bearer pina_test",
    ) -> dict[str, object]:
        is_form = path.startswith("/v5/oauth/")
        encoded = urlencode(cast("dict[str, str]", body)) if is_form else json_codec.dumps(body)
        answer = self.emulator.handle(
            Request(
                method=method,
                path=path,
                query=query,
                headers={"Authorization": authorization},
                body=encoded.encode(),
            )
        )
        template = template_of(method, path)
        if answer.body:
            self._description.check(method, template, answer)
        self.seen.add((f"{method} {template}", answer.status))
        return cast("dict[str, object]", answer.json()) if answer.body else {}


def template_of(method: str, path: str) -> str:
    pieces = split_path(path)
    (route,) = (r for r in ROUTES if r.method == method and r.match(pieces) is not None)
    return route.path.removeprefix("/v5")


@pytest.fixture
def checked(new_emulator: Callable[..., Emulator], description: Description) -> Checked:
    return Checked(
        new_emulator(access_tokens=["pina_test"], apps={"1": "s"}, ad_accounts=["549", "550"]),
        description,
    )


def test_operations_scopes_and_categories_match_the_description(description: Description) -> None:
    """Also whether the token of an app is accepted; Pinterest's lacks what came after 5.23."""
    offenders: dict[str, object] = {}
    for route in DECLARED:
        path = route.path.removeprefix("/v5")
        within = Description(describe()) if path in SINCE_5_23 else description
        schemes: dict[str, list[str]] = {"basic": []}
        if route.auth != "basic":
            schemes = {"pinterest_oauth2": list(route.scopes)}
        if route.for_apps:
            schemes["client_credentials"] = list(route.scopes)
        found = (within.category(route.method, path), within.security(route.method, path))
        if found != (route.category, schemes):
            offenders[route.name] = found
    assert offenders == {}


def test_scopes_match_the_description(description: Description) -> None:
    """None is missing and none is invented."""
    assert description.scopes() == SCOPES


def test_audience_operations_match_the_description(checked: Checked, clock: FakeClock) -> None:
    """Of every type and in every state, owned and received."""
    (list_id,) = checked.emulator.seed_lists("549", 1, records=map(str, range(100)))
    checked.emulator.seed_audiences("550", 1, size=5, shared_with="549")
    rules: dict[str, dict[str, object]] = {
        "CUSTOMER_LIST": {"customer_list_id": list_id},
        "ACTALIKE": {"seed_id": ["1"], "country": "US", "percentage": "10"},
        "VISITOR": {"visitor_source_id": "5", "prefill": True, "event_data": {"order_id": "x"}},
        "ENGAGEMENT": {"engagement_domain": ["example.com"], "objective_type": ["AWARENESS"]},
        "PERSONA": {},
    }
    path = f"{ACCOUNT}/audiences"
    statuses = set()
    for audience_type, rule in rules.items():
        body = {"name": "Spring", "audience_type": audience_type, "rule": rule}
        made = f"{path}/{checked('POST', path, body)['id']}"
        statuses.add(checked("GET", made)["status"])
        clock.advance(10)
        statuses.add(checked("GET", made)["status"])
        checked("PATCH", made, {"name": "Summer", "description": "x"})
    for query in ("page_size=2", "ownership_type=RECEIVED", "exclude_nca=true&order=ASCENDING"):
        checked("GET", path, query=query)
    checked("PATCH", made, {"operation_type": "REMOVE"})
    checked("GET", made)
    checked("POST", path, {})
    checked("GET", path, query="order=x")
    checked("GET", path, authorization="")
    assert statuses == {"INITIALIZING", "READY"}
    one = "/ad_accounts/{ad_account_id}/audiences/{audience_id}"
    many = "/ad_accounts/{ad_account_id}/audiences"
    assert checked.seen == {
        (f"POST {many}", 200),
        (f"POST {many}", 400),
        (f"GET {many}", 200),
        (f"GET {many}", 400),
        (f"GET {many}", 401),
        (f"GET {one}", 200),
        (f"GET {one}", 404),
        (f"PATCH {one}", 200),
    }


def test_upload_operations_match_the_description(checked: Checked, clock: FakeClock) -> None:
    """In every state that an upload reaches, with and without errors."""
    (list_id,) = checked.emulator.seed_lists("549", 1)
    path = f"{ACCOUNT}/customer_lists/{list_id}/uploads"
    states = []
    for content in (b"a@example.com\nabsent", b"absent"):
        made = checked("POST", path, {"operation": "ADD", "total_parts": 1})
        upload = cast("dict[str, object]", made["customer_list_upload"])
        data = cast("dict[str, list[dict[str, str]]]", made["s3_multipart_upload_data"])
        url = urlsplit(data["file_parts"][0]["presigned_url"])
        put = Request(method="PUT", path=url.path, query=url.query, body=content)
        assert checked.emulator.handle(put).status == 200
        one = f"{path}/{upload['id']}"
        states += [checked("GET", one)["state"], checked("POST", f"{one}/run")["state"]]
        clock.advance(10)
        states.append(checked("GET", one)["state"])
    checked("POST", path, {})
    checked("GET", f"{path}/1")
    assert states == ["NOT_STARTED", "RUNNING", "SUCCEEDED", "NOT_STARTED", "RUNNING", "FAILED"]
    assert {status for _, status in checked.seen} == {200, 400, 404}


def test_refused_upload_access_matches_the_description(
    checked: Checked, new_emulator: Callable[..., Emulator]
) -> None:
    """401 and 403."""
    for uploads in ("restricted", "forbidden"):
        checked.emulator = new_emulator(uploads=uploads)
        checked("GET", f"{ACCOUNT}/customer_lists/1/uploads/1")
    assert {status for _, status in checked.seen} == {401, 403}


@pytest.mark.parametrize("create_status", [200, 201])
def test_token_answers_match_the_description(
    checked: Checked,
    published: Description,
    new_emulator: Callable[..., Emulator],
    create_status: int,
) -> None:
    """Each with the fields of its grant."""
    emulator = checked.emulator = new_emulator(apps={"1": "s"}, create_status=create_status)
    code = emulator.authorize(redirect_uri=HOME)
    forms = [
        {"grant_type": "authorization_code", "code": code, "redirect_uri": HOME},
        {"grant_type": "client_credentials", "scope": "ads:read"},
    ]
    answers = [checked("POST", "/v5/oauth/token", f, authorization=BASIC) for f in forms]
    refresh_token = str(answers[0]["refresh_token"])
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    answers.append(checked("POST", "/v5/oauth/token", form, authorization=BASIC))
    kinds = ("Code", "ClientCredentials", "Refresh")
    for answer, kind in zip(answers, kinds, strict=True):
        published.check_schema(f"OauthAccessTokenResponse{kind}", answer)
    checked("POST", "/v5/oauth/token", {}, authorization=BASIC)
    checked("POST", "/v5/oauth/token", {}, authorization="")
    revoke = "/v5/oauth/token/revoke"
    checked("POST", revoke, {"token": "unknown"}, authorization=BASIC)
    checked("POST", revoke, {"token": str(answers[2]["access_token"])}, authorization=BASIC)
    checked("POST", revoke, {"token": "unknown"}, authorization="")
    assert checked.seen == {
        ("POST /oauth/token", create_status),
        ("POST /oauth/token", 400),
        ("POST /oauth/token", 401),
        ("POST /oauth/token/revoke", 200),
        ("POST /oauth/token/revoke", 403),
        ("POST /oauth/token/revoke", 401),
    }


def test_account_operations_match_the_description(
    checked: Checked, new_emulator: Callable[..., Emulator]
) -> None:
    """With the refusals."""
    checked("GET", "/v5/user_account")
    checked("GET", "/v5/user_account", query="ad_account_id=5")
    checked("GET", "/v5/ad_accounts", query="page_size=1")
    checked("GET", "/v5/ad_accounts", query="page_size=0")
    checked("GET", ACCOUNT)
    checked("GET", "/v5/ad_accounts/5")
    checked.emulator = new_emulator(rate_limits=RateLimits(org_read=RatePolicy(1, 60)))
    checked("GET", "/v5/user_account")
    checked("GET", "/v5/user_account")
    assert {status for _, status in checked.seen} == {200, 400, 403, 404, 429}


def test_contract_check_detects_a_wrong_answer(
    description: Description, published: Description
) -> None:
    """The check itself can fail."""
    with pytest.raises(jsonschema.ValidationError):
        published.check_schema("OauthAccessTokenResponseRefresh", {"access_token": "x"})
    with pytest.raises(jsonschema.ValidationError):
        description.check_schema("CustomerListUpload", {"state": "LOST"})
