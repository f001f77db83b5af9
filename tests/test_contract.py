"""The client's requests, held against Pinterest's published description (5.23)."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

import httpx
import jsonschema
import pytest
from support.description import Json, at, load_description

from pinterest_audiences import Client, Order, UserListType
from pinterest_audiences._wire import operations
from pinterest_audiences.emulator import Emulator

ACCOUNT = "549755885175"
OPERATIONS = [
    operations.CUSTOMER_LISTS_CREATE,
    operations.CUSTOMER_LISTS_GET,
    operations.CUSTOMER_LISTS_LIST,
    operations.CUSTOMER_LISTS_UPDATE,
]


@pytest.fixture(scope="module")
def description() -> Json:
    return load_description()


class Recorder(httpx.AsyncBaseTransport):
    """Passes requests on to the emulator and keeps them."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self._inner = Emulator().transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_the_table_says_what_the_description_says(
    description: Json, operation: operations.Operation[object]
) -> None:
    """Operation id, method, path, rate category and scope."""
    declared = at(description, "paths", operation.path, operation.method.lower())
    assert str(declared["operationId"]).replace("/", "_") == operation.name
    assert declared["x-ratelimit-category"] == operation.category
    assert {"pinterest_oauth2": [operation.scope]} in declared["security"]  # type: ignore[operator]  # a list, see the file


def resolved(description: Json, node: Json) -> Json:
    reference = node.get("$ref")
    return node if reference is None else at(description, *str(reference).split("/")[1:])


def check(description: Json, request: httpx.Request) -> None:
    """Raise ValidationError unless a request is one that the description declares."""
    path = request.url.path.removeprefix("/v5").replace(ACCOUNT, "{ad_account_id}")
    if not path.endswith("/customer_lists"):
        path = path.rpartition("/")[0] + "/{customer_list_id}"
    declared = at(description, "paths", path, request.method.lower())
    components = at(description, "components")
    parameters = [resolved(description, each) for each in declared["parameters"]]  # type: ignore[attr-defined]  # a list
    queries = {str(p["name"]): at(p, "schema") for p in parameters if p["in"] == "query"}
    for name, text in parse_qsl(request.url.query.decode(), strict_parsing=bool(request.url.query)):
        schema = queries[name]
        value = int(text) if schema["type"] == "integer" else text
        jsonschema.Draft4Validator(schema).validate(value)
    if "requestBody" not in declared:
        assert request.content == b""
        return
    schema = at(declared, "requestBody", "content", "application/json", "schema")
    assert request.headers["content-type"] == "application/json"
    validator = jsonschema.Draft4Validator({**schema, "components": components})
    validator.validate(json.loads(request.content))


def test_every_request_is_within_the_description(description: Json) -> None:
    """Each operation with all arguments that 5.23 knows."""
    recorder = Recorder()
    with Client("token", transport=recorder) as client:
        for kind in UserListType:
            made = client.customer_lists_create(
                ACCOUNT, name="Spring", records="a@b.co,c@d.co", list_type=kind
            )
        client.customer_lists_get(ACCOUNT, made.id)
        for operation_type in ("ADD", "REMOVE"):
            client.customer_lists_update(
                ACCOUNT, made.id, operation_type=operation_type, records=["a@b.co"]
            )
        for order in Order:
            assert len(client.customer_lists_list(ACCOUNT, page_size=2, order=order).collect()) == 6
    assert len(recorder.requests) == 6 + 1 + 2 + 2 * 3
    for request in recorder.requests:
        check(description, request)


@pytest.mark.parametrize(
    "body",
    [
        b'{"records": "a@b.co"}',
        b'{"name": 5, "records": "a@b.co"}',
        b'{"name": "x", "records": ["a@b.co"]}',
        b'{"name": "x", "records": "a@b.co", "list_type": "PHONE"}',
    ],
)
def test_a_request_outside_of_the_description_would_be_noticed(
    description: Json, body: bytes
) -> None:
    """The check itself can fail."""
    url = f"https://api.pinterest.com/v5/ad_accounts/{ACCOUNT}/customer_lists"
    headers = {"content-type": "application/json"}
    with pytest.raises(jsonschema.ValidationError):
        check(description, httpx.Request("POST", url, content=body, headers=headers))
