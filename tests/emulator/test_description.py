"""The emulator's own description, held against its answers, its routes, and Pinterest's."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import jsonschema
import pytest
from support.description import Json, at, load_description

from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy
from pinterest_audiences.emulator.description import describe
from pinterest_audiences.emulator.operations import OPERATION_NAMES, OPERATIONS
from pinterest_audiences.emulator.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emulator.conftest import Caller, FakeClock

    from pinterest_audiences.emulator import Response

DESCRIPTION = json.loads(json.dumps(describe()))
METHODS = ("get", "post", "patch", "put", "delete")
# Since 5.23: changes that the published changes to 5.28 tell, and what 5.23 leaves to prose.
ADDED_PARAMETERS = {"exclude_nca"}
NO_LONGER_REQUIRED = {"records", "scope"}


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in at(document, "paths").items():
        assert isinstance(item, dict)
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


OURS = {(path, method): operation for path, method, operation in operations(DESCRIPTION)}


def resolved(document: Json, node: object) -> Json:
    """Follow references, and put together what allOf takes apart."""
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
    told = [resolved(document, each) for each in many]
    return {str(each["name"]): each for each in told}


@pytest.fixture(scope="module")
def published() -> Json:
    return load_description()


def test_it_is_a_valid_description_of_openapi_3_1() -> None:
    """Every reference leads somewhere, every schema is one, every operation has its own id."""
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


def test_every_operation_that_is_served_is_described_and_named_alike() -> None:
    """Faults, clients and the description call it the same."""
    names = {str(each["operationId"]).replace("/", "_") for each in OURS.values()}
    assert set(OPERATION_NAMES) - names == {"customer_list_uploads_put", "oauth_authorize"}
    assert set(OPERATIONS) == {(route.method, route.template) for route in ROUTES}
    for route in ROUTES:
        name = OPERATIONS[route.method, route.template]
        if name in names:
            described = OURS[route.template.removeprefix("/v5"), route.method.lower()]
            assert described["x-ratelimit-category"] == route.category


def test_paths_ids_parameters_and_categories_are_those_that_are_published(
    published: Json,
) -> None:
    """But for what is known to have come since."""
    theirs = {(path, method): each for path, method, each in operations(published)}
    for key, ours in OURS.items():
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


@pytest.mark.parametrize("key", OURS, ids=lambda key: " ".join(reversed(key)))
def test_fields_are_those_that_are_published(published: Json, key: tuple[str, str]) -> None:
    """Every published field is there, and required where it is, in requests and in answers."""
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
            continue  # only a part of these is told
        assert set(at(their, "properties")) <= set(at(our, "properties"))
        required = set(their["required"]) - NO_LONGER_REQUIRED  # type: ignore[call-overload]
        assert required <= set(our["required"])  # type: ignore[call-overload]  # lists


def test_what_came_with_5_28_is_told() -> None:
    """Ids and names are always there, rows and the flag may be sent, a create may answer 201."""
    schemas = at(DESCRIPTION, "components", "schemas")
    assert at(schemas, "CustomerList")["required"] == ["id", "name"]
    assert at(schemas, "CustomerListCreate")["required"] == ["name"]
    for name in ("CustomerListCreate", "CustomerListUpdate"):
        assert "records_v2" in at(schemas, name, "properties")
    assert "is_nca" in at(schemas, "CustomerListCreate", "properties")
    created = {str(each["operationId"]) for each in OURS.values() if "201" in at(each, "responses")}
    assert created == {"customer_lists/create", "audiences/create", "oauth/token"}


class CheckedCaller:
    """A caller whose every answer is held against the description."""

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


def test_answers_of_every_kind_are_as_described(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """Each status is declared, and each body is of its schema."""
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


@pytest.mark.parametrize(("method", "body"), BODIES)
def test_bodies_of_audiences_are_described_as_they_are_judged(
    call: Caller, method: str, body: object
) -> None:
    """What the description allows is taken, what it does not allow is refused."""
    (audience_id,) = call.emulator.seed_audiences("549", 1, audience_type="PERSONA")
    name, path = ("AudienceCreate", "") if method == "POST" else ("AudienceUpdate", audience_id)
    schema = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    allowed = jsonschema.Draft202012Validator(schema).is_valid(body)
    answer = call(method, f"549/audiences/{path}".rstrip("/"), body)
    assert answer.status == (200 if allowed else 400)


def test_an_answer_that_is_not_as_described_would_be_noticed(call: Caller) -> None:
    """The check itself can fail."""
    operation = OURS["/ad_accounts/{ad_account_id}/customer_lists", "get"]
    call.create()
    call.emulator.fault("missing_field")
    with pytest.raises(jsonschema.ValidationError):
        check(operation, call("GET", "549/customer_lists"))
    call.emulator.fault("unknown_enum")
    with pytest.raises(jsonschema.ValidationError):
        check(operation, call("GET", "549/customer_lists"))
