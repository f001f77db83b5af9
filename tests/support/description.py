"""Pinterest's published API description, if available.

It is not part of this project. It is read from the file that `PINTEREST_OPENAPI` names, or from a
folder next to the repository; without either the tests that require it are skipped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import jsonschema
import pytest

if TYPE_CHECKING:
    from pinterest_audiences.emulator import Response

Json = dict[str, object]

REPOSITORY = Path(__file__).parents[2]
BESIDE = REPOSITORY.parent / "shared" / "api" / "pinterest-openapi-5.23.0-customer-lists.json"


def load_description() -> Json:
    """Return the description with its schemas as JSON Schema, or skip the test."""
    path = Path(os.environ.get("PINTEREST_OPENAPI") or BESIDE)
    if not path.is_file():
        pytest.skip("Pinterest's description is not here; PINTEREST_OPENAPI may name its file")
    return cast("Json", as_json_schema(json.loads(path.read_text(encoding="utf-8"))))


def as_json_schema(node: object) -> object:
    """Turn OpenAPI 3.0's `nullable` into JSON Schema's list of types."""
    if isinstance(node, list):
        return [as_json_schema(each) for each in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    turned = {key: as_json_schema(value) for key, value in cast("Json", node).items()}
    if turned.pop("nullable", False) is True and isinstance(turned.get("type"), str):
        turned["type"] = [turned["type"], "null"]
    return turned


def at(node: object, *keys: str) -> Json:
    """Return the value at a path of a description."""
    for key in keys:
        assert isinstance(node, dict)
        node = node[key]
    assert isinstance(node, dict)
    return cast("Json", node)


class Description:
    """An OpenAPI description that responses are compared with."""

    def __init__(self, document: object) -> None:
        self._paths = at(document, "paths")
        self._components = at(document, "components")

    def category(self, method: str, path: str) -> object:
        return at(self._paths, path, method.lower()).get("x-ratelimit-category")

    def security(self, method: str, path: str) -> dict[str, list[str]]:
        """The scopes that an operation requires, by the scheme of its token."""
        declared = cast(
            "list[dict[str, list[str]]]", at(self._paths, path, method.lower())["security"]
        )
        return {scheme: scopes for each in declared for scheme, scopes in each.items()}

    def scopes(self) -> set[str]:
        """All scopes."""
        schemes = at(self._components, "securitySchemes", "pinterest_oauth2", "flows")
        return set(at(schemes, "authorizationCode", "scopes"))

    def check_schema(self, name: str, value: object) -> None:
        """Raise ValidationError unless a value matches a schema."""
        schema = {"$ref": f"#/components/schemas/{name}", "components": self._components}
        jsonschema.Draft4Validator(schema).validate(value)

    def check(self, method: str, path: str, answer: Response) -> None:
        """Raise ValidationError unless the description declares a response."""
        declared = at(self._paths, path, method.lower(), "responses")
        # 5.28 lets create answer 201, with the body that 5.23 has for 200.
        status = "200" if answer.status == 201 else str(answer.status)
        response = at(declared, status if status in declared else "default")
        schema = at(response, "content", str(answer.header("content-type")), "schema")
        # Draft 4 reads $ref and exclusiveMinimum as OpenAPI 3.0 does.
        validator = jsonschema.Draft4Validator({**schema, "components": self._components})
        validator.validate(answer.json())
