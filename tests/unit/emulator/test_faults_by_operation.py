"""Faults of audiences, uploads and tokens."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode, urlsplit

import pytest

from pinterest_audiences.emulator import Emulator, Request, Response
from pinterest_audiences.emulator._routing import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import Caller

BASIC = {"Authorization": "Basic " + b64encode(b"1:s").decode()}
TOKEN = {"Authorization": "Bearer pina_test"}
# Operations whose faults are tested in other modules, or that are not part of the API.
ELSEWHERE = {
    *("customer_lists_create", "customer_lists_list", "customer_lists_get"),
    *("customer_lists_update", "oauth_authorize", "token_revoke", "customer_list_uploads_put"),
}


class Populated:
    """An emulator with one of each resource, and a request for each operation."""

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
        segment = {"name": "S", "audience_ids": [self.audience_id]}
        made = self.send("POST", f"{account}/customer_segments", segment)
        segment_id = cast("dict[str, str]", made.json())["id"]
        ids = {
            "ad_account_id": "549",
            "customer_list_id": self.list_id,
            "customer_list_upload_id": upload_id,
            "audience_id": self.audience_id,
        }
        self.requests: dict[str, tuple[str, str, object]] = {
            route.name: ("GET", route.path.format_map(ids), None)
            for route in ROUTES
            if route.method == "GET" and route.name not in ELSEWHERE
        }
        self.requests |= {
            "customer_list_uploads_create": (
                "POST",
                uploads,
                {"operation": "ADD", "total_parts": 1},
            ),
            "customer_list_uploads_run": ("POST", f"{uploads}/{upload_id}/run", None),
            "audiences_create": ("POST", f"{account}/audiences", audience),
            "audiences_update": ("PATCH", f"{account}/audiences/{self.audience_id}", {"name": "B"}),
            "customer_segments_create": (
                "POST",
                f"{account}/customer_segments",
                {"name": "S", "audience_ids": [self.audience_id]},
            ),
            "customer_segments_update": (
                "PATCH",
                f"{account}/customer_segments",
                {"id": segment_id, "operation_type": "REMOVE"},
            ),
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
        """Send the only part of the existing upload."""
        return self.emulator.handle(
            Request(method="PUT", path=self.part.path, query=self.part.query, body=content)
        )


@pytest.fixture
def populated(new_emulator: Callable[..., Emulator]) -> Populated:
    return Populated(new_emulator())


def ready(populated: Populated, operation: str) -> None:
    """Prepare the state in which an operation succeeds."""
    if operation == "customer_list_uploads_run":
        assert populated.put().status == 200


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
def test_unknown_enum_changes_the_enum_of_the_operation(
    populated: Populated, operation: str
) -> None:
    """The status of an audience, the state of an upload, the type of a token."""
    ready(populated, operation)
    populated.emulator.fault("unknown_enum", operation=operation, value="FROZEN")
    answer = populated.ask(operation)
    assert answer.fault == "unknown_enum"
    assert f'"{STATUSES[operation]}":"FROZEN"'.encode() in answer.body
    assert list(populated.emulator.faults) == []


@pytest.mark.parametrize("operation", STATUSES)
def test_missing_field_removes_the_identifier(populated: Populated, operation: str) -> None:
    """The id, or the access token."""
    ready(populated, operation)
    populated.emulator.fault("missing_field", operation=operation)
    answer = populated.ask(operation)
    assert answer.fault == "missing_field"
    name = "access_token" if operation == "oauth_token" else "id"
    assert f'"{name}":'.encode() not in answer.body


def test_every_operation_can_fail_without_effect(populated: Populated) -> None:
    """By its name; nothing is created, changed or started."""
    before = populated.emulator.counts()
    assert {route.name for route in ROUTES} - ELSEWHERE == set(populated.requests)
    for operation in populated.requests:
        populated.emulator.fault("status", operation=operation, status=503)
        assert populated.ask(operation).status == 503
        assert list(populated.emulator.faults) == []
    requests = len(populated.requests) + before["requests"]
    assert populated.emulator.counts() == {**before, "requests": requests}


def test_audience_is_created_despite_an_applied_fault(populated: Populated) -> None:
    """The answer is lost, but the audience exists."""
    populated.emulator.fault("no_answer", operation="audiences_create")
    assert populated.ask("audiences_create").disconnect == "close"
    assert populated.emulator.counts()["audiences"] == 2


@pytest.mark.parametrize("kind", ["status", "html"])
def test_part_is_stored_despite_an_applied_fault(populated: Populated, kind: str) -> None:
    """The storage answers without JSON; the fault has its content type."""
    populated.emulator.fault(kind, operation="customer_list_uploads_put", status=500, applied=True)  # type: ignore[arg-type]  # both are kinds
    answer = populated.put()
    types = {"status": "application/json", "html": "text/html"}
    assert (answer.status, answer.header("content-type")) == (500, types[kind])
    assert answer.header("content-length") == str(len(answer.body))
    assert populated.ask("customer_list_uploads_run").status == 200


def test_truncated_json_waits_for_a_json_answer(populated: Populated) -> None:
    """The storage does not answer with JSON."""
    for kind in ("truncated_json", "missing_field", "unknown_enum", "unknown_field"):
        populated.emulator.fault(kind)
        answer = populated.put()
        assert (answer.status, answer.body, answer.fault) == (200, b"", None)
        assert populated.ask("audiences_get").fault == kind


def test_page_faults_apply_to_audiences(populated: Populated) -> None:
    """As to customer lists."""
    populated.emulator.seed_audiences("549", 4)

    def page(bookmark: object = None) -> tuple[list[str], object]:
        query = {"page_size": "2", **({} if bookmark is None else {"bookmark": str(bookmark)})}
        fields = populated.ask("audiences_list", urlencode(query)).json()
        assert isinstance(fields, dict)
        return [each["id"] for each in fields["items"]], fields["bookmark"]

    populated.emulator.fault("empty_page", operation="audiences_list")
    nothing, bookmark = page()
    assert nothing == []
    first, bookmark = page(bookmark)
    populated.emulator.fault("repeated_bookmark", operation="audiences_list")
    second, again = page(bookmark)
    assert again == bookmark
    assert (page(again)[0], len({*first, *second})) == (second, 4)


def test_upload_ends_on_time_despite_faults(populated: Populated) -> None:
    """A refused request does not delay it."""
    populated.put()
    populated.ask("customer_list_uploads_run")
    populated.emulator.advance(minutes=1)
    populated.emulator.fault("status", operation="customer_list_uploads_get", status=500)
    assert populated.ask("customer_list_uploads_get").status == 500
    assert b'"state":"SUCCEEDED"' in populated.ask("customer_list_uploads_get").body
    assert len(populated.emulator.members(populated.list_id)) == 3


def test_overview_shows_audiences_uploads_and_limits(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Each as the API shows it, newest first."""
    populated = Populated(new_emulator(access="trial", rate_limits="by access"))
    populated.ask("user_account_get")
    (newest,) = populated.emulator.seed_audiences("550", 1, size=5)
    overview = populated.emulator.overview()
    assert overview["audiences"] == [
        populated.emulator.audience(each) | {"is_ctv_enabled": False}
        for each in (newest, populated.audience_id)
    ]
    assert [each["state"] for each in overview["uploads"]] == ["NOT_STARTED"]
    budgets = {(each["budget"], each["quota"], each["used"]) for each in overview["budgets"]}
    assert budgets == {("safety_net", 1000, 3), ("ads_write", 300, 2), ("org_read", 1000, 1)}


def test_reset_discards_audiences_uploads_and_tokens(populated: Populated) -> None:
    """Running uploads do not continue."""
    populated.put()
    populated.ask("customer_list_uploads_run")
    populated.emulator.reset()
    populated.emulator.advance(minutes=10)
    assert set(populated.emulator.counts().values()) == {0}
    assert populated.emulator.overview() == {
        "customer_lists": [],
        "audiences": [],
        "uploads": [],
        "budgets": [],
    }
    assert populated.put().status == 404


def test_snapshot_does_not_include_faults(populated: Populated) -> None:
    """They stay active."""
    before = populated.emulator.snapshot()
    populated.emulator.fault("html", operation="audiences_get")
    populated.emulator.restore(before)
    assert populated.ask("audiences_get").status == 502
