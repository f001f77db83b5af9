"""The OpenAPI 3.1 description of what the emulator serves, made from the routes and schemas.

It follows Pinterest's published description of version 5.23 and the published changes to 5.28.
Where the emulator is stricter by an assumption, so is the description.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from pinterest_audiences.emulator._routing import ROUTES, Route
from pinterest_audiences.emulator._schemas import IDENTIFIER, SCHEMAS, Schema, reference
from pinterest_audiences.emulator._tokens import SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "5.28.0"

_BASE = "/v5"


@cache
def describe() -> Mapping[str, object]:
    """Return the description.

    Returns:
        An OpenAPI document, ready for JSON; do not change it.

    Example:
        >>> describe()["openapi"]
        '3.1.0'
    """
    paths: dict[str, dict[str, object]] = {}
    for route in ROUTES:
        if route.summary is not None:
            path = paths.setdefault(route.path.removeprefix(_BASE), {})
            path[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pinterest, as the emulator has it",
            "version": VERSION,
            "description": "Customer lists, their audiences and uploads, and the tokens for them. "
            "Written for the emulator; not Pinterest's own document.",
        },
        "servers": [{"url": _BASE}],
        "paths": paths,
        "components": {"schemas": dict(SCHEMAS), "securitySchemes": _security_schemes()},
    }


def _operation(route: Route) -> Schema:
    subject, _, verb = route.name.rpartition("_")
    parameters = [*map(_in_path, re.findall(r"{(\w+)}", route.path)), *_in_query(route.query)]
    operation: Schema = {
        "operationId": f"{subject}/{verb}",
        "summary": route.summary,
        "tags": [subject],
        "parameters": parameters,
        "responses": _responses(route),
        "security": _security(route),
        "x-ratelimit-category": route.category,
    }
    if route.body is not None:
        media_type = "application/x-www-form-urlencoded" if route.is_form else "application/json"
        content = {media_type: {"schema": reference(route.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _in_path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": IDENTIFIER}


def _in_query(parameters: Mapping[str, Schema]) -> list[Schema]:
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in parameters.items()
    ]


def _responses(route: Route) -> Schema:
    success: Schema = {"description": "Success."}
    if route.response is not None:
        success["content"] = {"application/json": {"schema": route.response}}
    refusal = {
        "description": "A refusal.",
        "content": {"application/json": {"schema": reference("Error")}},
    }
    statuses = ["200", "201"] if route.creates else ["200"]
    refused = ["400", "401", "403", "404", "429", "default"]
    return {**dict.fromkeys(statuses, success), **dict.fromkeys(refused, refusal)}


def _security(route: Route) -> list[Mapping[str, list[str]]]:
    if route.auth == "basic":
        return [{"basic": []}]
    names = ["pinterest_oauth2", *["client_credentials"] * route.for_apps]
    return [{name: list(route.scopes)} for name in names]


def _security_schemes() -> Schema:
    scopes = {scope: _scope_summary(scope) for scope in sorted(SCOPES)}
    token = f"{_BASE}/oauth/token"
    code = {"authorizationUrl": "/oauth/", "tokenUrl": token, "scopes": scopes}
    app = {"tokenUrl": token, "scopes": scopes}
    return {
        "pinterest_oauth2": {"type": "oauth2", "flows": {"authorizationCode": code}},
        "client_credentials": {"type": "oauth2", "flows": {"clientCredentials": app}},
        "basic": {"type": "http", "scheme": "basic"},
    }


def _scope_summary(scope: str) -> str:
    subject, _, right = scope.partition(":")
    verb, _, secret = right.partition("_")
    what = f"secret {subject}" if secret else subject
    return f"{'See' if verb == 'read' else 'Change'} {what}."
