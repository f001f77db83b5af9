"""The client's requests, held against Pinterest's published description (5.23)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl

import attrs
import httpx
import jsonschema
import pytest
from support.description import Json, at, load_description

from pinterest_audiences import (
    AdAccount,
    Audience,
    AudienceType,
    Client,
    CreatedUpload,
    CustomerList,
    CustomerListUpload,
    OperationType,
    Order,
    OwnershipType,
    UserListType,
)
from pinterest_audiences._http import codec, operations
from pinterest_audiences.emulator import Emulator

ACCOUNT = "549755885175"
OPERATIONS = [each for each in vars(operations).values() if isinstance(each, operations.Operation)]
# Customer segments are of 5.28.
DESCRIBED = [each for each in OPERATIONS if not each.path.endswith("/customer_segments")]
PATHS = {each.path: re.sub(r"\{\w+\}", r"\\d+", each.path) for each in DESCRIBED}


@pytest.fixture(scope="module")
def description() -> Json:
    return load_description()


class Recorder(httpx.AsyncBaseTransport):
    """Keeps requests and passes them on, to the emulator where nothing else is said."""

    def __init__(self, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._inner = inner or Emulator().transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize("operation", DESCRIBED, ids=lambda each: each.name)
def test_operations_table_matches_the_description(
    description: Json, operation: operations.Operation[object]
) -> None:
    """Operation id, method, path, rate category and scope."""
    declared = at(description, "paths", operation.path, operation.method.lower())
    assert str(declared["operationId"]).replace("/", "_") == operation.name
    assert declared["x-ratelimit-category"] == operation.category
    needed = {"pinterest_oauth2": [operation.scope]} if operation.scope else {"basic": []}
    assert needed in declared["security"]  # type: ignore[operator]  # a list, see the file


def resolved(description: Json, node: Json) -> Json:
    reference = node.get("$ref")
    return node if reference is None else at(description, *str(reference).split("/")[1:])


def check(description: Json, request: httpx.Request) -> None:
    """Raise ValidationError unless a request is one that the description declares."""
    sent = request.url.path.removeprefix("/v5")
    (path,) = (path for path, pattern in PATHS.items() if re.fullmatch(pattern, sent))
    declared = at(description, "paths", path, request.method.lower())
    components = at(description, "components")
    parameters = [resolved(description, each) for each in declared["parameters"]]  # type: ignore[attr-defined]  # a list
    queries = {str(p["name"]): at(p, "schema") for p in parameters if p["in"] == "query"}
    for name, text in parse_qsl(request.url.query.decode(), strict_parsing=bool(request.url.query)):
        schema = queries[name]
        value = json.loads(text) if schema["type"] in ("integer", "boolean") else text
        jsonschema.Draft4Validator(schema).validate(value)
    if "requestBody" not in declared:
        assert request.content == b""
        return
    schema = at(declared, "requestBody", "content", "application/json", "schema")
    assert request.headers["content-type"] == "application/json"
    validator = jsonschema.Draft4Validator({**schema, "components": components})
    validator.validate(json.loads(request.content))


def test_every_request_matches_the_description(description: Json) -> None:
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
        client.ad_accounts_get(ACCOUNT)
        client.ad_accounts_list(include_shared_accounts=False, page_size=1).collect()
    assert len(recorder.requests) == 6 + 1 + 2 + 2 * 3 + 1 + 1
    for request in recorder.requests:
        check(description, request)


def answer_like(request: httpx.Request) -> httpx.Response:
    """Answer a request of audiences or uploads with something that can be read."""
    shown = {"id": "1"}
    if request.method == "POST" and request.url.path.endswith("/uploads"):
        made = {"customer_list_upload": shown, "s3_multipart_upload_data": {"file_parts": []}}
        return httpx.Response(200, json=made)
    if request.method == "GET" and request.url.path.endswith("/audiences"):
        return httpx.Response(200, json={"items": [shown], "bookmark": None})
    return httpx.Response(200, json=shown)


def test_every_request_of_audiences_and_uploads_matches_the_description(
    description: Json,
) -> None:
    """Each operation with all arguments that 5.23 knows."""
    recorder = Recorder(httpx.MockTransport(answer_like))
    with Client("token", transport=recorder) as client:
        for kind in AudienceType:
            client.audiences_create(
                ACCOUNT, name="x", audience_type=kind, rule={"seed_id": ["1"], "percentage": 10}
            )
        client.create_customer_list_audience(ACCOUNT, "643", "Buyers", description="Of May")
        client.audiences_get(ACCOUNT, "1")
        client.audiences_update(
            ACCOUNT, "1", name="y", description="", rule={"customer_list_id": "643"}
        )
        client.audiences_update(ACCOUNT, "1", operation_type="REMOVE")
        for order in Order:
            for owner in OwnershipType:
                client.audiences_list(
                    ACCOUNT, page_size=250, order=order, ownership_type=owner, bookmark="a&b"
                ).collect()
        for operation in OperationType:
            for parts in (1, 10):
                client.customer_list_uploads_create(
                    ACCOUNT, "643", operation=operation, total_parts=parts
                )
        client.customer_list_uploads_run(ACCOUNT, "643", "1")
        client.customer_list_uploads_get(ACCOUNT, "643", "1")
    # 2: an audience of a list is looked for before it is created
    assert len(recorder.requests) == 5 + 2 + 1 + 2 + 4 + 4 + 2
    for request in recorder.requests:
        check(description, request)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("AdAccount", AdAccount),
        ("Audience", Audience),
        ("CustomerList", CustomerList),
        ("CustomerListUpload", CustomerListUpload),
        ("CustomerListUploadResponse", CustomerListUpload),
        ("CustomerListUploadCreateResponse", CreatedUpload),
    ],
)
def test_every_described_response_field_is_in_its_model(
    description: Json, name: str, kind: type[attrs.AttrsInstance]
) -> None:
    """Made of the description's own examples, an answer is read without a field left over."""
    made = example(description, at(description, "components", "schemas", name))
    read = codec.decode(made, kind)  # type: ignore[arg-type]  # it is JSON
    left_over = list(extras(read))
    assert left_over
    assert not any(left_over)


def example(description: Json, schema: Json) -> object:
    """Return what a schema gives as its example, or one put together from its properties'."""
    if "allOf" in schema:
        (schema,) = schema["allOf"]  # type: ignore[misc]  # a list of one reference
    schema = resolved(description, schema)
    if "example" in schema and schema.get("type") != "object":
        return schema["example"]
    match schema.get("type"):
        case "object":
            properties = at(schema, "properties") if "properties" in schema else {}
            return {name: example(description, at(properties, name)) for name in properties}
        case "array":
            return [example(description, at(schema, "items"))]
        case [kind, "null"]:
            return example(description, {**schema, "type": kind})
        case "integer" | "number":
            return 1
        case _:
            return "1"


def extras(model: object) -> Iterator[object]:
    """Yield what was left over, at every depth."""
    kind = type(model)
    if isinstance(model, list):
        for each in model:
            yield from extras(each)
    elif attrs.has(kind):
        for name in (field.name for field in attrs.fields(kind)):
            value = getattr(model, name)
            yield from [value] if name == "extra" else extras(value)


LISTS, UPLOADS, AUDIENCES = "/customer_lists", "/customer_lists/643/uploads", "/audiences"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (LISTS, b'{"records": "a@b.co"}'),
        (LISTS, b'{"name": 5, "records": "a@b.co"}'),
        (LISTS, b'{"name": "x", "records": ["a@b.co"]}'),
        (LISTS, b'{"name": "x", "records": "a@b.co", "list_type": "PHONE"}'),
        (UPLOADS, b'{"operation_type": "ADD", "total_parts": 1}'),
        (UPLOADS, b'{"operation": "ADD", "total_parts": 11}'),
        (UPLOADS, b'{"operation": "SET", "total_parts": 1}'),
        (AUDIENCES, b'{"name": "x", "audience_type": "CUSTOMER_LIST"}'),
        (AUDIENCES, b'{"name": "x", "audience_type": "customer_list", "rule": {}}'),
        (AUDIENCES, b'{"name": "x", "audience_type": "PERSONA", "rule": {"percentage": "a"}}'),
    ],
)
def test_request_outside_the_description_is_detected(
    description: Json, path: str, body: bytes
) -> None:
    """The check itself can fail."""
    url = f"https://api.pinterest.com/v5/ad_accounts/{ACCOUNT}{path}"
    headers = {"content-type": "application/json"}
    with pytest.raises(jsonschema.ValidationError):
        check(description, httpx.Request("POST", url, content=body, headers=headers))
