"""Faults of audiences, uploads and tokens, which are struck as customer lists are."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode, urlsplit

import pytest

from pinterest_audiences.emulator import Emulator, Request, Response
from pinterest_audiences.emulator.operations import OPERATION_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.conftest import Caller

BASIC = {"Authorization": "Basic " + b64encode(b"1:s").decode()}
TOKEN = {"Authorization": "Bearer pina_test"}


class World:
    """An emulator with one of everything, and a request for each of its operations."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        (self.list_id,) = emulator.seed_lists("549", 1, records=["a@example.com"])
        (self.audience_id,) = emulator.seed_audiences("549", 1)
        account = "/v5/ad_accounts/549"
        one = f"{account}/customer_lists/{self.list_id}"
        uploads = f"{one}/uploads"
        made = self.send("POST", uploads, {"operation": "ADD", "total_parts": 1})
        fields = cast("dict[str, dict[str, object]]", made.json())
        upload_id = str(fields["customer_list_upload"]["id"])
        parts = cast("list[dict[str, str]]", fields["s3_multipart_upload_data"]["file_parts"])
        self.part = urlsplit(parts[0]["presigned_url"])
        audience = {"name": "A", "audience_type": "PERSONA", "rule": {}}
        self.requests: dict[str, tuple[str, str, object]] = {
            "customer_list_uploads_create": (
                "POST",
                uploads,
                {"operation": "ADD", "total_parts": 1},
            ),
            "customer_list_uploads_get": ("GET", f"{uploads}/{upload_id}", None),
            "customer_list_uploads_run": ("POST", f"{uploads}/{upload_id}/run", None),
            "audiences_create": ("POST", f"{account}/audiences", audience),
            "audiences_list": ("GET", f"{account}/audiences", None),
            "audiences_get": ("GET", f"{account}/audiences/{self.audience_id}", None),
            "audiences_update": ("PATCH", f"{account}/audiences/{self.audience_id}", {"name": "B"}),
            "ad_accounts_list": ("GET", "/v5/ad_accounts", None),
            "ad_accounts_get": ("GET", account, None),
            "user_account_get": ("GET", "/v5/user_account", None),
            "oauth_token": (
                "POST",
                "/v5/oauth/token",
                {"grant_type": "client_credentials", "scope": "ads:read"},
            ),
        }

    def send(self, method: str, path: str, body: object = None, query: str = "") -> Response:
        if path.startswith("/v5/oauth/"):
            headers, content = BASIC, urlencode(cast("dict[str, str]", body)).encode()
        else:
            headers, content = TOKEN, b"" if body is None else json.dumps(body).encode()
        request = Request(method=method, path=path, query=query, headers=headers, body=content)
        return self.emulator.handle(request)

    def ask(self, operation: str, query: str = "") -> Response:
        method, path, body = self.requests[operation]
        return self.send(method, path, body, query)

    def put(self, content: bytes = b"b@example.com\nc@example.com\n") -> Response:
        """Put the only part of the upload that is there."""
        return self.emulator.handle(
            Request(method="PUT", path=self.part.path, query=self.part.query, body=content)
        )


@pytest.fixture
def world(new_emulator: Callable[..., Emulator]) -> World:
    return World(new_emulator())


def ready(world: World, operation: str) -> None:
    """Bring things to where an operation succeeds."""
    if operation == "customer_list_uploads_run":
        assert world.put().status == 200


STATUSES = {
    "audiences_create": "status",
    "audiences_get": "status",
    "audiences_list": "status",
    "audiences_update": "status",
    "customer_list_uploads_create": "state",
    "customer_list_uploads_get": "state",
    "customer_list_uploads_run": "state",
    "oauth_token": "token_type",
}


@pytest.mark.parametrize("operation", STATUSES)
def test_an_enum_of_tomorrow_is_that_of_the_operation(world: World, operation: str) -> None:
    """The status of an audience, the state of an upload, the type of a token."""
    ready(world, operation)
    world.emulator.fault("unknown_enum", operation=operation, value="FROZEN")
    answer = world.ask(operation)
    assert answer.fault == "unknown_enum"
    assert f'"{STATUSES[operation]}":"FROZEN"'.encode() in answer.body
    assert list(world.emulator.faults) == []


@pytest.mark.parametrize("operation", STATUSES)
def test_what_identifies_a_thing_can_be_missing(world: World, operation: str) -> None:
    """The id, and of a token the token."""
    ready(world, operation)
    world.emulator.fault("missing_field", operation=operation)
    answer = world.ask(operation)
    assert answer.fault == "missing_field"
    name = "access_token" if operation == "oauth_token" else "id"
    assert f'"{name}":'.encode() not in answer.body


def test_every_operation_can_be_refused_once_without_being_carried_out(world: World) -> None:
    """By its own name; nothing is made, changed or begun."""
    before = world.emulator.counts()
    others = {"customer_lists_create", "customer_lists_list", "customer_lists_get"}
    others |= {"customer_lists_update", "oauth_authorize", "token_revoke"}
    assert set(OPERATION_NAMES) - others - {"customer_list_uploads_put"} == set(world.requests)
    for operation in world.requests:
        world.emulator.fault("status", operation=operation, status=503)
        assert world.ask(operation).status == 503
        assert list(world.emulator.faults) == []
    requests = len(world.requests) + before["requests"]
    assert world.emulator.counts() == {**before, "requests": requests}


def test_an_audience_may_be_made_behind_an_error(world: World) -> None:
    """The answer is lost, the audience is there."""
    world.emulator.fault("no_answer", operation="audiences_create")
    assert world.ask("audiences_create").break_off == "close"
    assert world.emulator.counts()["audiences"] == 2


@pytest.mark.parametrize("kind", ["status", "html"])
def test_a_part_may_be_kept_behind_an_error(world: World, kind: str) -> None:
    """The storage answers without JSON; what stands in for it says what it is."""
    world.emulator.fault(kind, operation="customer_list_uploads_put", status=500, applied=True)  # type: ignore[arg-type]  # both are kinds
    answer = world.put()
    types = {"status": "application/json", "html": "text/html"}
    assert (answer.status, answer.header("content-type")) == (500, types[kind])
    assert answer.header("content-length") == str(len(answer.body))
    assert world.ask("customer_list_uploads_run").status == 200


def test_an_answer_without_json_has_nothing_to_cut_off(world: World) -> None:
    """The fault waits for one that has."""
    for kind in ("truncated_json", "missing_field", "unknown_enum", "unknown_field"):
        world.emulator.fault(kind)
        answer = world.put()
        assert (answer.status, answer.body, answer.fault) == (200, b"", None)
        assert world.ask("audiences_get").fault == kind


def test_pages_of_audiences_can_be_empty_or_go_round(world: World) -> None:
    """As those of customer lists."""
    world.emulator.seed_audiences("549", 4)

    def page(bookmark: object = None) -> tuple[list[str], object]:
        query = {"page_size": "2", **({} if bookmark is None else {"bookmark": str(bookmark)})}
        fields = world.ask("audiences_list", urlencode(query)).json()
        assert isinstance(fields, dict)
        return [each["id"] for each in fields["items"]], fields["bookmark"]

    world.emulator.fault("empty_page", operation="audiences_list")
    nothing, bookmark = page()
    assert nothing == []
    first, bookmark = page(bookmark)
    world.emulator.fault("repeated_bookmark", operation="audiences_list")
    second, again = page(bookmark)
    assert again == bookmark
    assert (page(again)[0], len({*first, *second})) == (second, 4)


def test_an_upload_whose_time_has_come_is_at_its_end_whatever_goes_wrong(world: World) -> None:
    """A refused look does not hold the upload up."""
    world.put()
    world.ask("customer_list_uploads_run")
    world.emulator.advance(minutes=1)
    world.emulator.fault("status", operation="customer_list_uploads_get", status=500)
    assert world.ask("customer_list_uploads_get").status == 500
    assert b'"state":"SUCCEEDED"' in world.ask("customer_list_uploads_get").body
    assert len(world.emulator.members(world.list_id)) == 3


def test_the_overview_shows_audiences_uploads_and_all_budgets(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Each as the API shows it, newest first."""
    world = World(new_emulator(access="trial", rate_limits="by access"))
    world.ask("user_account_get")
    (newest,) = world.emulator.seed_audiences("550", 1, size=5)
    told = world.emulator.overview()
    assert told["audiences"] == [
        world.emulator.audience(newest),
        world.emulator.audience(world.audience_id),
    ]
    assert [each["state"] for each in told["uploads"]] == ["NOT_STARTED"]
    budgets = {(each["budget"], each["quota"], each["used"]) for each in told["budgets"]}
    assert budgets == {("safety_net", 1000, 2), ("ads_write", 300, 1), ("org_read", 1000, 1)}


def test_a_reset_forgets_audiences_uploads_and_tokens(world: World) -> None:
    """And what was begun goes on nowhere."""
    world.put()
    world.ask("customer_list_uploads_run")
    world.emulator.reset()
    world.emulator.advance(minutes=10)
    assert set(world.emulator.counts().values()) == {0}
    assert world.emulator.overview() == {
        "customer_lists": [],
        "audiences": [],
        "uploads": [],
        "budgets": [],
    }
    assert world.put().status == 404


def test_a_picture_leaves_the_faults_alone(world: World) -> None:
    """They are the test's own plan."""
    before = world.emulator.snapshot()
    world.emulator.fault("html", operation="audiences_get")
    world.emulator.restore(before)
    assert world.ask("audiences_get").status == 502
