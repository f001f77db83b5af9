"""Content of every error of a call, and what it never contains."""

from __future__ import annotations

import copy
import pickle

import httpx
import pytest
from support.calls import LIST_PATH, LISTS_PATH, RECORD, Operate, create, fails, get, update, walk
from support.cases import each_case
from support.wire import Reply, Step, refusal, rig

from pinterest_audiences import (
    CallError,
    RecordRow,
    RequestTimeoutError,
    TransportError,
)

pytestmark = pytest.mark.anyio


@each_case(
    ("operate", "name", "method", "path"),
    [
        (create, "customer_lists_create", "POST", LISTS_PATH),
        (get, "customer_lists_get", "GET", LIST_PATH),
        (update, "customer_lists_update", "PATCH", LIST_PATH),
        (walk, "customer_lists_list", "GET", LISTS_PATH),
    ],
)
@each_case(
    "step",
    [
        refusal(404, 404, "Ad account not found.", x_pinterest_rid="1234567"),
        refusal(500, 500, x_pinterest_rid="1234567"),
        refusal(200, 7, x_pinterest_rid="1234567"),
        Reply(200, [], {"x-pinterest-rid": "1234567"}),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("late"),
        httpx.ConnectError("refused"),
    ],
)
async def test_every_error_names_its_call_in_one_line_and_can_be_pickled(
    operate: Operate, name: str, method: str, path: str, step: Step
) -> None:
    """Operation, method, path, attempts and request id."""
    scene = rig(step, max_retries=0)
    async with scene.client as client:
        error = await fails(operate, client)
    assert (error.operation, error.method, error.path) == (name, method, path)
    assert error.attempts == 1
    assert str(error).startswith(f"{name}: ")
    assert "\n" not in str(error)
    if isinstance(step, Reply):
        assert getattr(error, "request_id", None) == "1234567"
        assert "request id 1234567" in str(error)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error)
        assert (str(twin), vars(twin)) == (str(error), vars(error))


@pytest.mark.parametrize(
    ("step", "kind", "words"),
    [
        (httpx.ConnectTimeout("x"), RequestTimeoutError, "no connection in time"),
        (httpx.PoolTimeout("x"), RequestTimeoutError, "no free connection in time"),
        (httpx.ReadTimeout("x"), RequestTimeoutError, "timeout: "),
        (httpx.WriteTimeout("x"), RequestTimeoutError, "timeout: "),
        (httpx.ProxyError("x"), TransportError, "the proxy refused"),
        (httpx.ConnectError("x"), TransportError, "no connection; check the base URL, the network"),
        (httpx.DecodingError("x"), TransportError, "the compression of the response is damaged"),
        (httpx.ReadError("x"), TransportError, "the connection broke (ReadError)"),
    ],
    ids=repr,
)
async def test_connection_error_has_its_own_message_and_the_httpx_cause(
    step: httpx.RequestError, kind: type[TransportError], words: str
) -> None:
    scene = rig(step, max_retries=0)
    async with scene.client as client:
        error = await fails(get, client)
    assert type(error) is kind
    assert isinstance(error, TimeoutError) == (kind is RequestTimeoutError)
    assert words in str(error)
    assert error.__cause__ is step


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (refusal(401, 29), "needs the role OWNER, ADMIN or AUDIENCE_MANAGER on the ad account"),
        (refusal(403, 29), "needs the role OWNER, ADMIN or AUDIENCE_MANAGER on the ad account"),
        (refusal(404, 404), "check the ids"),
        (refusal(413, 413), "send fewer records at once"),
        (refusal(401, 2), "get a new access token"),
        (refusal(429, 8, retry_after="500"), "try again in 500 s"),
        (Reply(301, body=b"", headers={"location": "https://other.example/"}), "check base_url"),
    ],
    ids=repr,
)
async def test_error_suggests_the_next_step_if_known(reply: Reply, hint: str) -> None:
    scene = rig(reply)
    async with scene.client as client:
        error = await fails(get, client)
    assert hint in str(error)


@each_case(
    "message",
    [
        "Token s3cretValue is revoked.",
        "Authorization: Bearer s3cretValue",
        "'s3cretValue'",
        "first line\r\ns3cretValue\x1b[2J",
    ],
)
@each_case("status", [200, 400, 401, 403, 429, 500])
async def test_token_in_the_server_message_is_redacted(message: str, status: int) -> None:
    """In the text, the repr and every attribute."""
    scene = rig(refusal(status, 4711, message), access_token="s3cretValue", max_retries=0)
    async with scene.client as client:
        error = await fails(update, client)
    assert "s3cretValue" not in f"{error} {error!r} {vars(error)}"
    assert str(error).isprintable()


@each_case(
    "record",
    [
        RECORD,
        "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
        "5F4DCC3B5AA765D61D8327DEB882CF99",
        "38400000-8cf0-11bd-b23e-10b96e40000d",
        "Xi4711abcdEFGH",
        "Xi:4711/abcd;EFGH",
    ],
)
@each_case(
    "message",
    ["Invalid record {}.", "Record '{}' is invalid", "records=[{}]", "{},{}", "Bad input: `{}`"],
)
async def test_record_in_the_server_message_is_redacted(record: str, message: str) -> None:
    """Of any format, in any quotation."""
    scene = rig(refusal(400, 1, message.format(record, record)))
    async with scene.client as client:
        with pytest.raises(CallError) as failed:
            await client.customer_lists_update("1", "2", operation_type="ADD", records=[record])
    error = failed.value
    assert record not in f"{error} {error!r} {vars(error)}"


async def test_row_value_in_the_server_message_is_redacted() -> None:
    """Also if JSON escapes it."""
    row = RecordRow(external_id="Kundin Nr. Ä4711-B", ip_address="203.0.113.77")
    scene = rig(refusal(400, 1, "Invalid row: Kundin Nr. Ä4711-B at 203.0.113.77"))
    async with scene.client as client:
        with pytest.raises(CallError) as failed:
            await client.customer_lists_create("1", name="Spring", records_v2=[row])
    shown = f"{failed.value} {failed.value!r} {vars(failed.value)}"
    assert "4711" not in shown
    assert "203.0" not in shown


async def test_request_id_and_rate_limit_are_redacted() -> None:
    scene = rig(
        refusal(
            429,
            8,
            retry_after="500",
            x_pinterest_rid="someone@example.com " + "9" * 100,
            x_ratelimit_limit="someone@example.com",
        )
    )
    async with scene.client as client:
        error = await fails(get, client)
    assert "someone" not in f"{error} {vars(error)}"
    assert len(getattr(error, "request_id", "")) <= 64


async def test_redirects_are_not_followed() -> None:
    """Not even to the same host, because of the token; the error has the location."""
    for status in (301, 302, 303, 307, 308):
        moved = Reply(status, body=b"", headers={"location": "https://evil.example/v5/collect"})
        scene = rig(moved)
        async with scene.client as client:
            error = await fails(create, client)
        assert [sent.url.split("/")[2] for sent in scene.sent] == ["api.pinterest.com"]
        assert "redirects are not followed" in str(error)
        assert "evil" not in str(error)


async def test_redirect_with_invalid_location_is_not_retried() -> None:
    """It is not reported as a broken connection."""
    scene = rig(Reply(302, body=b"", headers={"location": "https://999.1.1.1/"}))
    async with scene.client as client:
        error = await fails(create, client)
    assert "redirects are not followed" in str(error)
    assert error.maybe_applied is False
