"""The emulator's OpenAPI description, compared with its answers, its routes, and Pinterest's."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import jsonschema
import pytest
from support.description import Json, at, load_description

from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy
from pinterest_audiences.emulator._openapi import describe
from pinterest_audiences.emulator._routing import OPERATION_NAMES, ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unit.emulator.conftest import Caller, FakeClock

    from pinterest_audiences.emulator import Response

DESCRIPTION = json.loads(json.dumps(describe()))
METHODS = ("get", "post", "patch", "put", "delete")
# Published changes from 5.23 to 5.28, and what 5.23 says only in prose.
ADDED_PARAMETERS = {"exclude_nca"}
ADDED_PATHS = {"/ad_accounts/{ad_account_id}/customer_segments"}
NO_LONGER_REQUIRED = {"records", "scope"}


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in at(document, "paths").items():
        assert isinstance(item, dict)
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


OURS = {(path, method): operation for path, method, operation in operations(DESCRIPTION)}
IN_5_23 = {key: operation for key, operation in OURS.items() if key[0] not in ADDED_PATHS}


def resolved(document: Json, node: object) -> Json:
    """Resolve references, and merge the parts of allOf."""
    assert isinstance(node, dict)
    if "$ref" in node:
        node = at(document, *str(node["$ref"]).removeprefix("#/").split("/"))
    whole: Json = {"properties": {}, "required": [], **node}
    parts = node.get("allOf", [])
    assert isinstance(parts, list)
    for part in parts:
        other = resolved(document, part)
        whole["properties"] = {**at(whole, "properties"), **at(other, "properties")}
        whole["required"] = [*whole["required"], *other["required"]]  # type: ignore[misc]  # lists
    return whole


def schema_of(document: Json, carrier: Json) -> Json:
    (media,) = at(carrier, "content").values()
    assert isinstance(media, dict)
    return resolved(document, media["schema"])


def parameters(document: Json, operation: Json) -> dict[str, Json]:
    many = operation.get("parameters", [])
    assert isinstance(many, list)
    resolved_all = [resolved(document, each) for each in many]
    return {str(each["name"]): each for each in resolved_all}


@pytest.fixture(scope="module")
def published() -> Json:
    return load_description()


def test_openapi_description_is_valid() -> None:
    """Every reference resolves, every schema is valid, every operation has a unique id."""
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DESCRIPTION)):
        assert at(DESCRIPTION, *reference.split("/"))
    for schema in at(DESCRIPTION, "components", "schemas").values():
        assert isinstance(schema, dict)
        jsonschema.Draft202012Validator.check_schema(schema)
    ids = [operation["operationId"] for operation in OURS.values()]
    assert len(set(ids)) == len(ids)
    for (path, _), operation in OURS.items():
        in_path = {n for n, p in parameters(DESCRIPTION, operation).items() if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))


def test_every_route_is_described_under_its_name() -> None:
    """Faults, clients and the description use the same names."""
    names = {str(each["operationId"]).replace("/", "_") for each in OURS.values()}
    assert set(OPERATION_NAMES) - names == {"customer_list_uploads_put", "oauth_authorize"}
    assert len({(route.method, route.path) for route in ROUTES}) == len(set(OPERATION_NAMES))
    for route in ROUTES:
        if route.name in names:
            described = OURS[route.path.removeprefix("/v5"), route.method.lower()]
            assert described["x-ratelimit-category"] == route.category


def test_paths_parameters_and_categories_match_the_published_ones(
    published: Json,
) -> None:
    """Except for known changes since then."""
    theirs = {(path, method): each for path, method, each in operations(published)}
    for key, ours in IN_5_23.items():
        their = theirs[key]
        assert ours["operationId"] == their["operationId"]
        assert ours["x-ratelimit-category"] == their["x-ratelimit-category"]
        assert ours["security"] == their["security"]
        our_names, their_names = (
            parameters(DESCRIPTION, ours),
            parameters(published, their),
        )
        assert set(our_names) - ADDED_PARAMETERS == set(their_names)
        for name, their_parameter in their_names.items():
            assert our_names[name]["in"] == their_parameter["in"]
            assert bool(our_names[name].get("required")) == bool(their_parameter.get("required"))


@pytest.mark.parametrize("key", IN_5_23, ids=lambda key: " ".join(reversed(key)))
def test_fields_match_the_published_ones(published: Json, key: tuple[str, str]) -> None:
    """Every published field exists, and is required if it is there, in requests and answers."""
    ours, theirs = OURS[key], at(published, "paths", key[0], key[1])
    for part in ("requestBody", "responses"):
        if part not in theirs:
            assert part not in ours
            continue
        carriers = [at(theirs, part), at(ours, part)]
        if part == "responses":
            carriers = [at(carrier, "200") for carrier in carriers]
            if "content" not in carriers[0]:
                assert "content" not in carriers[1]
                continue
        their, our = schema_of(published, carriers[0]), schema_of(DESCRIPTION, carriers[1])
        if key[0] in ("/user_account", "/ad_accounts/{ad_account_id}"):
            continue  # only a part of these is described
        assert set(at(their, "properties")) <= set(at(our, "properties"))
        required = set(their["required"]) - NO_LONGER_REQUIRED  # type: ignore[call-overload]
        assert required <= set(our["required"])  # type: ignore[call-overload]  # lists


def test_changes_of_5_28_are_described() -> None:
    """Ids and names are required, rows and the flag are allowed, a create may answer 201."""
    schemas = at(DESCRIPTION, "components", "schemas")
    assert at(schemas, "CustomerList")["required"] == ["id", "name"]
    assert at(schemas, "CustomerListCreate")["required"] == ["name"]
    for name in ("CustomerListCreate", "CustomerListUpdate"):
        assert "records_v2" in at(schemas, name, "properties")
    assert "is_nca" in at(schemas, "CustomerListCreate", "properties")
    created = {str(each["operationId"]) for each in OURS.values() if "201" in at(each, "responses")}
    assert created == {"customer_lists/create", "audiences/create", "oauth/token"}


class CheckedCaller:
    """A caller that checks every answer with the description."""

    def __init__(self, call: Caller) -> None:
        self.call = call
        self.seen: set[tuple[str, int]] = set()

    def __call__(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        query: str = "",
        token: str = "pina_test",
    ) -> Response:
        answer = self.call(method, path, json, query=query, token=token)
        template = "/ad_accounts/{ad_account_id}/customer_lists"
        if path.count("/") == 2:
            template += "/{customer_list_id}"
        operation = OURS[template, method.lower()]
        check(operation, answer)
        self.seen.add((str(operation["operationId"]), answer.status))
        return answer


def check(operation: Json, answer: Response) -> None:
    declared = at(operation, "responses", str(answer.status))
    (media,) = at(declared, "content").values()
    assert isinstance(media, dict)
    whole = {**media["schema"], "components": DESCRIPTION["components"]}
    jsonschema.Draft202012Validator(whole).validate(answer.json())


def test_answers_match_their_described_schemas(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """Each status is declared."""
    call.emulator = new_emulator(
        access_tokens=["pina_test"], ad_accounts=["549"], create_status=201
    )
    checked = CheckedCaller(call)
    new = {"name": "Spring", "records": ",".join(map(str, range(100)))}
    path = f"549/customer_lists/{call.fields(checked('POST', '549/customer_lists', new))['id']}"
    for seconds in (0, 10):
        clock.advance(seconds)
        checked("GET", path)
    checked("PATCH", path, {"operation_type": "ADD", "records_v2": [{"email": "x"}]})
    checked("POST", "549/customer_lists", new)
    checked("GET", "549/customer_lists", query="page_size=1")
    checked("GET", "549/customer_lists", query="page_size=0")
    checked("GET", "549/customer_lists", token="bad")
    checked("GET", "1/customer_lists/1")
    call.emulator = new_emulator(rate_limits=RateLimits(ads_read=RatePolicy(1, 60)))
    for _ in range(2):
        checked("GET", "549/customer_lists")
    assert {status for _, status in checked.seen} == {200, 201, 400, 401, 404, 429}
    assert len({name for name, _ in checked.seen}) == 4


AUDIENCE = {"name": "A", "audience_type": "PERSONA", "rule": {}}
RULES: dict[str, list[dict[str, object]]] = {
    "CUSTOMER_LIST": [{}, {"customer_list_id": 5}, {"customer_list_id": "x"}],
    "ACTALIKE": [{}, {"seed_id": []}, {"seed_id": ["1"], "percentage": 11}, {"seed_id": "1"}],
    "ENGAGEMENT": [{"engagement_domain": []}, {"engagement_domain": ["a"], "engager_type": "1"}],
    "VISITOR": [
        {"retention_days": 541},
        {"retention_days": 1.5},
        {"url": [5]},
        {"objective_type": ["FAME"]},
    ],
    "PERSONA": [{"prefill": 1}, {"ad_id": ["x"]}, {"event_data": []}],
}
GOOD_RULES: dict[str, list[dict[str, object]]] = {
    "ACTALIKE": [{"seed_id": ["1"], "percentage": each} for each in (1, 10.0, "10")],
    "ENGAGEMENT": [{"engagement_domain": ["a"], "objective_type": ["AWARENESS"]}],
    "VISITOR": [{}, {"retention_days": 540, "prefill": True, "field_of_tomorrow": [1]}],
    "PERSONA": [{"seed_id": [], "event_data": {"order_id": "x"}}],
}
WRONG: list[dict[str, object]] = [{"name": ""}, {"rule": []}, {"description": 5}]
NEW_RULES: list[object] = [{}, [], {"percentage": 0}]
BODIES: list[tuple[str, object]] = [
    ("POST", AUDIENCE),
    ("POST", []),
    *[("POST", {k: v for k, v in AUDIENCE.items() if k != name}) for name in AUDIENCE],
    *[("POST", {**AUDIENCE, **more}) for more in WRONG],
    ("POST", {**AUDIENCE, "audience_type": "CROWD"}),
    *[
        ("POST", {"name": "A", "audience_type": kind, "rule": rule})
        for rules in (RULES, GOOD_RULES)
        for kind, many in rules.items()
        for rule in many
    ],
    *[("POST", {**AUDIENCE, "ad_account_id": each}) for each in ("549", "x", "")],
    *[("PATCH", {"ad_account_id": each}) for each in ("549", 549)],
    ("PATCH", {}),
    *[("PATCH", {"name": name}) for name in ("", "B", 5)],
    *[("PATCH", {"operation_type": each}) for each in ("UPDATE", "DELETE")],
    *[("PATCH", {"rule": each}) for each in NEW_RULES],
]


def test_audience_bodies_are_accepted_as_described(call: Caller) -> None:
    """Bodies are accepted if and only if the schema allows them."""
    offenders: list[tuple[str, object]] = []
    for method, body in BODIES:
        (audience_id,) = call.emulator.seed_audiences("549", 1, audience_type="PERSONA")
        name, path = ("AudienceCreate", "") if method == "POST" else ("AudienceUpdate", audience_id)
        schema = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
        allowed = jsonschema.Draft202012Validator(schema).is_valid(body)
        answer = call(method, f"549/audiences/{path}".rstrip("/"), body)
        if answer.status != (200 if allowed else 400):
            offenders.append((method, body))
    assert offenders == []


def test_schema_check_detects_a_wrong_answer(call: Caller) -> None:
    """The check itself can fail."""
    operation = OURS["/ad_accounts/{ad_account_id}/customer_lists", "get"]
    call.create()
    call.emulator.fault("missing_field")
    with pytest.raises(jsonschema.ValidationError):
        check(operation, call("GET", "549/customer_lists"))
    call.emulator.fault("unknown_enum")
    with pytest.raises(jsonschema.ValidationError):
        check(operation, call("GET", "549/customer_lists"))
