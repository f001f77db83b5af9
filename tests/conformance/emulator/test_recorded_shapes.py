"""Answers compared with recorded answers of the live API: names and types of fields.

The shapes were taken down from answers of July 2026: exactly these fields, no more and no fewer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode

import pytest

from pinterest_audiences.emulator import Emulator, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pinterest_audiences.emulator import Response

ACCOUNT = "/v5/ad_accounts/549755885175"
RAW = {"Authorization": "Bearer pina_test"}

Shape = type | str | tuple[object, ...] | dict[str, object] | list[object]

# A type, a constant, alternatives, an object of such, or an array of one such.
NULL = type(None)
LIST: dict[str, object] = {
    "ad_account_id": str,
    "created_time": int,
    "exceptions": {},
    "id": str,
    "name": str,
    "num_batches": int,
    "num_removed_user_records": int,
    "num_uploaded_user_records": int,
    "status": "PROCESSING",
    "type": "customerlist",
    "updated_time": int,
}
LISTED = {**LIST, "is_nca": bool}
AUDIENCE: dict[str, object] = {
    "ad_account_id": str,
    "audience_type": "VISITOR",
    "created_by_company_name": NULL,
    "created_timestamp": int,
    "description": str,
    "id": str,
    "is_nca": bool,
    "name": str,
    "rule": {"retention_days": int, "visitor_source_id": str},
    "size": int,
    "status": "INITIALIZING",
    "type": "audience",
    "updated_timestamp": int,
}
AUDIENCE_READ = {**AUDIENCE, "created_by_company_name": str}
AUDIENCE_LISTED = {**AUDIENCE_READ, "is_ctv_enabled": bool}
SEGMENT: dict[str, object] = {
    "ad_account_id": str,
    "audience_ids": [str],
    "created_time": int,
    "id": str,
    "name": str,
    "status": "ACTIVE",
    "updated_time": int,
}
AD_ACCOUNT: dict[str, object] = {
    "country": str,
    "created_time": int,
    "currency": str,
    "id": str,
    "name": str,
    "owner": {"id": str, "username": str},
    "permissions": ["OWNER"],
    "time_zone": str,  # missing in accounts that were made in Ads Manager
    "updated_time": int,
}
USER: dict[str, object] = {
    "about": str,
    "account_type": "BUSINESS",
    "board_count": int,
    "business_name": str,
    "follower_count": int,
    "following_count": int,
    "id": str,
    "monthly_views": int,
    "pin_count": int,
    "profile_image": str,
    "username": str,
    "website_url": str,
}


def page(item: object) -> dict[str, object]:
    return {"items": [item], "bookmark": NULL}


def check(value: object, shape: object, where: str = "$") -> None:
    """Fail for a value that does not have a shape."""
    if isinstance(shape, type):
        assert type(value) is shape, where
    elif isinstance(shape, dict):
        assert isinstance(value, dict), where
        fields = cast("Mapping[str, object]", shape)
        assert value.keys() == fields.keys(), where
        for name, inner in fields.items():
            check(value[name], inner, f"{where}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        assert value, where
        for number, each in enumerate(value):
            check(each, shape[0], f"{where}[{number}]")
    else:
        assert value == shape, where


class Api:
    """Sends requests with a valid token."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def __call__(self, method: str, path: str, json_body: object = None) -> object:
        answer = self.raw(method, path, json_body)
        assert answer.status == 200, answer.body
        return answer.json()

    def raw(self, method: str, path: str, json_body: object = None) -> Response:
        body = b"" if json_body is None else json.dumps(json_body).encode()
        return self.emulator.handle(Request(method=method, path=path, headers=RAW, body=body))

    def made(self, path: str, body: object) -> tuple[object, str]:
        created = self("POST", f"{ACCOUNT}/{path}", body)
        return created, str(cast("dict[str, object]", created)["id"])


@pytest.fixture
def api(new_emulator: Callable[..., Emulator]) -> Api:
    return Api(new_emulator(processing_seconds=3_600))


def test_customer_lists_have_the_recorded_shape(api: Api) -> None:
    """is_nca is in listings only; a list of two records is created and PROCESSING."""
    created, list_id = api.made("customer_lists", {"name": "A", "records": "a@b.co,c@d.co"})
    one = f"{ACCOUNT}/customer_lists/{list_id}"
    check(created, LIST)
    check(api("GET", one), LIST)
    check(api("PATCH", one, {"operation_type": "ADD", "records": "e@f.co"}), LIST)
    check(api("GET", f"{ACCOUNT}/customer_lists"), page(LISTED))
    assert len(list_id) == 7


def test_audiences_have_the_recorded_shape(api: Api) -> None:
    """The company is null in changes; is_ctv_enabled is in listings only; size is 0."""
    rule = {"visitor_source_id": "2612511566392", "retention_days": 180}
    body = {"name": "A", "audience_type": "VISITOR", "rule": rule, "description": "B"}
    created, audience_id = api.made("audiences", body)
    one = f"{ACCOUNT}/audiences/{audience_id}"
    check(created, AUDIENCE)
    check(api("PATCH", one, {"name": "C"}), AUDIENCE)
    check(api("GET", one), AUDIENCE_READ)
    check(api("GET", f"{ACCOUNT}/audiences"), page(AUDIENCE_LISTED))
    assert cast("dict[str, object]", created)["size"] == 0
    assert len(audience_id) == 13


def test_customer_segments_have_the_recorded_shape(api: Api) -> None:
    """The answer to an update is null."""
    (audience_id,) = api.emulator.seed_audiences("549755885175", 1)
    created, segment_id = api.made(
        "customer_segments", {"name": "A", "audience_ids": [audience_id]}
    )
    path = f"{ACCOUNT}/customer_segments"
    check(created, SEGMENT)
    check(api("GET", path), page(SEGMENT))
    body = {"id": segment_id, "operation_type": "UPDATE", "audience_ids": [audience_id]}
    assert api("PATCH", path, body) is None
    assert len(segment_id) == 13


def test_accounts_and_users_have_the_recorded_shape(new_emulator: Callable[..., Emulator]) -> None:
    """Times are integers, the owner is the user of 19 digits."""
    api = Api(new_emulator(ad_accounts=["549755885175"]))
    check(api("GET", "/v5/ad_accounts"), page(AD_ACCOUNT))
    check(api("GET", ACCOUNT), AD_ACCOUNT)
    check(api("GET", "/v5/user_account"), USER)
    user = cast("dict[str, str]", api("GET", "/v5/user_account"))
    owner = cast("dict[str, dict[str, str]]", api("GET", ACCOUNT))["owner"]
    assert owner == {"id": user["id"], "username": user["username"]}
    assert len(user["id"]) == 19


def test_headers_have_the_recorded_shape() -> None:
    """Structured rate limits, seconds to wait, and two request ids."""
    api = Api(Emulator(clock=lambda: 1_783_594_300.5))
    answer = api.raw("GET", f"{ACCOUNT}/audiences")
    assert answer.header("content-type") == "application/json"
    assert answer.header("x-ratelimit-limit") == (
        '100, 100;w=1;name="safety_net_app_id_user_id", 1000;w=60;name="ads_read_app_id_user_id"'
    )
    assert answer.header("x-ratelimit-remaining") == "99"
    assert answer.header("x-ratelimit-reset") == "1"
    assert str(answer.header("x-pinterest-rid")).isdigit()
    long_id = str(answer.header("x-pinterest-rid-128bit"))
    assert len(long_id) == 32
    assert set(long_id) <= set("0123456789abcdef")
    assert answer.header("retry-after") is None


def test_invalid_refresh_token_has_the_reported_shape() -> None:
    """401 with code 283."""
    api = Api(Emulator(apps={"1": "s"}))
    form = urlencode({"grant_type": "refresh_token", "refresh_token": "pinr.no"}).encode()
    headers = {"Authorization": "Basic MTpz"}
    request = Request(method="POST", path="/v5/oauth/token", headers=headers, body=form)
    answer = api.emulator.handle(request)
    assert answer.status == 401
    assert answer.json() == {"code": 283, "message": "The authorization grant is invalid"}


@pytest.mark.parametrize(
    "value",
    [
        {**dict.fromkeys(SEGMENT, "x"), "status": "ACTIVE"},
        {"id": "1"},
        {},
        None,
    ],
)
def test_shape_check_detects_another_shape(value: object) -> None:
    """The check itself can fail."""
    with pytest.raises(AssertionError):
        check(value, SEGMENT)
