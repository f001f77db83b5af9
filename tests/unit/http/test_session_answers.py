"""Responses: which are successes, and how errors are reported."""

from __future__ import annotations

import gzip
import json

import pytest
from support.calls import Operate, create, fails, get, update, walk
from support.cases import each_case
from support.wire import LIST, PAGE, Reply, refusal, rig

from pinterest_audiences import APIError, CustomerList, DecodeError, Page

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("status", [200, 201])
async def test_200_and_201_are_both_success(status: int) -> None:
    """A create may return either since 5.28."""
    for operate in (create, get, update):
        scene = rig(Reply(status, LIST))
        async with scene.client as client:
            found = await operate(client)
        assert isinstance(found, CustomerList)
        assert found.name == "Spring"


async def test_error_object_with_status_200_is_an_error() -> None:
    scene = rig(refusal(200, 29, "You are not permitted.", x_pinterest_rid="99"))
    async with scene.client as client:
        error = await fails(create, client)
    assert type(error) is APIError
    assert (error.status, error.code, error.message) == (200, 29, "You are not permitted.")
    assert error.request_id == "99"
    assert '200 OK, code 29: "You are not permitted."' in str(error)


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        ({"code": 1, "message": "No."}, 1, "No."),
        ({"message": "No."}, None, "No."),
        ({"code": 1}, 1, "no message"),
        ({"code": 1, "message": ""}, 1, "no message"),
        ({"code": 1, "message": ["No."]}, 1, "no message"),
        ({"code": "1", "message": "No."}, None, "No."),
        ({"code": True, "message": "No."}, None, "No."),
        ({"code": 1.5, "message": None}, None, ""),
        ({}, None, ""),
        ([], None, ""),
        (None, None, ""),
        ("No.", None, ""),
    ],
)
async def test_error_with_wrong_field_types_is_decoded_by_status(
    data: object, code: int | None, message: str
) -> None:
    scene = rig(Reply(400, data))
    async with scene.client as client:
        error = await fails(get, client)
    assert isinstance(error, APIError)
    assert (error.status, error.code, error.message) == (400, code, message)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"<html>", "text/html; charset=utf-8", "not JSON at character 0 (text/html, 6 bytes)"),
        (b"", "", "the body is empty (no content type, 0 bytes)"),
        (b"\xff\xfe\xfa", "a@b.co", "the body is not JSON ([e-mail], 3 bytes)"),
    ],
)
async def test_error_that_is_not_json_is_reported_by_type_and_size(
    body: bytes, kind: str, words: str
) -> None:
    """Its content is not shown, because a proxy may quote anything."""
    scene = rig(Reply(404, body=body, headers={"content-type": kind}))
    async with scene.client as client:
        error = await fails(get, client)
    assert isinstance(error, APIError)
    assert (error.status, error.code) == (404, None)
    assert words in str(error)


BAD_BODIES = [
    (b"<html><body>Bad Gateway</body></html>", "the body is not JSON at character 0"),
    (b'{"id": "643", "name": "Spr', "the body is not JSON at character"),
    (b'{"id": "643"} trailing', "the body is not JSON at character"),
    (b"", "the body is empty"),
    (b"   ", "the body is not JSON"),
    (b"\xff\xfe\x00", "the body is not JSON"),
    (b'{"id": "\xe9"}', "the body is not JSON"),
    (b"[" * 200_000, "the JSON is nested too deeply"),
    (b'{"id": ' * 200_000, "the JSON is nested too deeply"),
    (b"null", "expected an object, got null @ $"),
    (b"true", "expected an object, got a boolean @ $"),
    (b"5", "expected an object, got a number @ $"),
    (b'"643"', "expected an object, got a string @ $"),
    (b'[{"id": "643"}]', "expected an object, got an array @ $"),
]
NO_LISTS = [
    (b"{}", "required field missing @ $.id"),
    (b'{"id": 643}', "expected a string, got a number @ $.id"),
    (b'{"id": null}', "expected a string, got null @ $.id"),
]
NO_PAGES = [
    (b"{}", "required field missing @ $.items"),
    (b'{"bookmark": null}', "required field missing @ $.items"),
    (b'{"items": null}', "expected an array, got null @ $.items"),
    (b'{"items": {}}', "expected an array, got an object @ $.items"),
    (b'{"items": [null]}', "expected an object, got null @ $.items[0]"),
    (b'{"items": [{"id": "1"}, {"id": 2}]}', "expected a string, got a number @ $.items[1].id"),
    (b'{"items": [], "bookmark": 5}', "expected a string, got a number @ $.bookmark"),
]


@each_case(
    ("operate", "body", "problem"),
    [
        *((operate, *bad) for operate in (create, get, update, walk) for bad in BAD_BODIES),
        *((operate, *bad) for operate in (create, get, update) for bad in NO_LISTS),
        *((walk, *bad) for bad in NO_PAGES),
    ],
)
async def test_unexpected_response_is_reported_with_its_json_path(
    operate: Operate, body: bytes, problem: str
) -> None:
    """Never a KeyError or "None"; a change may have been applied."""
    scene = rig(Reply(200, body=body, headers={"x-pinterest-rid": "99"}))
    async with scene.client as client:
        error = await fails(operate, client)
    assert isinstance(error, DecodeError)
    assert problem in error.problems[0]
    assert problem in str(error)
    assert (error.status, error.request_id, error.attempts) == (200, "99", 1)
    assert error.maybe_applied == (operate in (create, update))
    assert len(scene.sent) == 1


async def test_invalid_items_are_reported_up_to_three() -> None:
    """With the number of the others."""
    items = [{"id": number} for number in range(5)]
    scene = rig(Reply(data={"items": items}))
    async with scene.client as client:
        error = await fails(walk, client)
    assert isinstance(error, DecodeError)
    assert [problem[-13:] for problem in error.problems] == [f"$.items[{n}].id" for n in range(5)]
    assert "and 2 more" in str(error)


async def test_unreadable_response_is_not_quoted() -> None:
    scene = rig(Reply(data={"id": 4711, "name": ["someone@example.com"], "status": {"x": "y"}}))
    async with scene.client as client:
        error = await fails(get, client)
    shown = f"{error} {error!r} {vars(error)}"
    assert "4711" not in shown
    assert "someone" not in shown


async def test_unknown_fields_and_states_are_stored() -> None:
    """And counters such as 11.0."""
    data = {**LIST, "status": "ARCHIVED", "num_batches": 11.0, "colour": {"red": [1]}}
    scene = rig(Reply(data=data))
    async with scene.client as client:
        found = await client.customer_lists_get("1", "643")
    assert (found.status, found.num_batches) == ("ARCHIVED", 11)
    assert found.extra == {"colour": {"red": [1]}}


@pytest.mark.parametrize("key", ["id", "items"])
async def test_list_with_a_message_field_is_not_an_error(key: str) -> None:
    """An object with an id or items is a result."""
    operate, data = (get, LIST) if key == "id" else (walk, PAGE)
    scene = rig(Reply(data={**data, "message": "Hello", "code": 5}))
    async with scene.client as client:
        assert await operate(client)


async def test_pagination_sends_one_request_per_page_with_bookmarks() -> None:
    scene = rig(
        Reply(data={"items": [LIST], "bookmark": "two"}), Reply(data={"items": [], "bookmark": ""})
    )
    async with scene.client as client:
        pages = [page async for page in client.customer_lists_list("1").by_page()]
    assert [(page.request_bookmark, page.bookmark) for page in pages] == [
        (None, "two"),
        ("two", None),
    ]
    assert pages[1] == Page([], None, "two")


async def test_compressed_response_is_decompressed() -> None:
    """As the request allows."""
    body = gzip.compress(json.dumps(LIST).encode())
    scene = rig(Reply(200, body=body, headers={"content-encoding": "gzip"}))
    async with scene.client as client:
        assert (await client.customer_lists_get("1", "643")).id == "643"
