"""What the emulator serves, as OpenAPI 3.1: its own words for Pinterest's API at version 5.28.

It says what is known: the published description of 5.23 and what the changes since then tell. Where
the emulator is stricter by a guess of its own, so is this.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import attrs

from pinterest_audiences.emulator.oauth import SCOPES
from pinterest_audiences.emulator.operations import OPERATIONS
from pinterest_audiences.emulator.schemas import IDENTIFIER, SCHEMAS, Schema, page_of, reference

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "5.28.0"

_BASE = "/v5"
_ORDER: Schema = {"type": "string", "enum": ["ASCENDING", "DESCENDING"]}
_SIZE: Schema = {"type": "integer", "minimum": 1, "maximum": 250, "default": 25}
_BOOKMARK: Schema = {"type": "string"}
_NCA: Schema = {"type": "boolean", "default": False}
_OWNERSHIP: Schema = {"type": "string", "enum": ["OWNED", "RECEIVED"], "default": "OWNED"}
_PAGING: Mapping[str, Schema] = {"bookmark": _BOOKMARK, "page_size": _SIZE}
_WALK: Mapping[str, Schema] = {**_PAGING, "order": _ORDER, "exclude_nca": _NCA}

_USER_READ: tuple[Mapping[str, list[str]], ...] = ({"pinterest_oauth2": ["ads:read"]},)
_READ = (*_USER_READ, {"client_credentials": ["ads:read"]})
_WRITE: tuple[Mapping[str, list[str]], ...] = ({"pinterest_oauth2": ["ads:write"]},)
_BASIC: tuple[Mapping[str, list[str]], ...] = ({"basic": []},)
_USER: tuple[Mapping[str, list[str]], ...] = (
    {"pinterest_oauth2": ["user_accounts:read"]},
    {"client_credentials": ["user_accounts:read"]},
)


@attrs.frozen
class _Told:
    """What there is to tell of an operation beside its method and path."""

    summary: str
    answer: Schema | None
    category: str
    security: tuple[Mapping[str, list[str]], ...]
    body: str | None = None
    query: Mapping[str, Schema] = attrs.field(factory=dict[str, Schema])
    created: bool = False
    form: bool = False


_TOLD: Mapping[str, _Told] = {
    "customer_lists_create": _Told(
        "Create a customer list",
        reference("CustomerList"),
        "ads_write",
        _WRITE,
        body="CustomerListCreate",
        created=True,
    ),
    "customer_lists_list": _Told(
        "List customer lists", page_of("CustomerList"), "ads_read", _USER_READ, query=_WALK
    ),
    "customer_lists_get": _Told("Get a list", reference("CustomerList"), "ads_read", _READ),
    "customer_lists_update": _Told(
        "Add or remove records",
        reference("CustomerList"),
        "ads_write",
        _WRITE,
        body="CustomerListUpdate",
    ),
    "customer_list_uploads_create": _Told(
        "Create an upload",
        reference("CustomerListUploadCreated"),
        "ads_write",
        _WRITE,
        body="CustomerListUploadCreate",
    ),
    "customer_list_uploads_get": _Told(
        "Get an upload", reference("CustomerListUpload"), "ads_read", _USER_READ
    ),
    "customer_list_uploads_run": _Told(
        "Run an upload", reference("CustomerListUpload"), "ads_write", _WRITE
    ),
    "audiences_create": _Told(
        "Create an audience",
        reference("Audience"),
        "ads_write",
        _WRITE,
        body="AudienceCreate",
        created=True,
    ),
    "audiences_list": _Told(
        "List audiences",
        page_of("Audience"),
        "ads_read",
        _READ,
        query={**_WALK, "ownership_type": _OWNERSHIP},
    ),
    "audiences_get": _Told("Get an audience", reference("Audience"), "ads_read", _READ),
    "audiences_update": _Told(
        "Change or remove an audience",
        reference("Audience"),
        "ads_write",
        _WRITE,
        body="AudienceUpdate",
    ),
    "ad_accounts_list": _Told(
        "List ad accounts",
        page_of("AdAccount"),
        "ads_read",
        _READ,
        query={**_PAGING, "include_shared_accounts": {"type": "boolean", "default": True}},
    ),
    "ad_accounts_get": _Told("Get an ad account", reference("AdAccount"), "ads_read", _READ),
    "user_account_get": _Told(
        "Get the token's user",
        reference("Account"),
        "org_read",
        _USER,
        query={"ad_account_id": IDENTIFIER},
    ),
    "oauth_token": _Told(
        "Exchange a code, a refresh token or an app's secret for an access token",
        reference("OauthAccessTokenResponse"),
        "org_read",
        _BASIC,
        body="OauthAccessTokenRequest",
        created=True,
        form=True,
    ),
    "token_revoke": _Told(
        "Revoke a token", None, "org_write", _BASIC, body="TokenRevocationRequest", form=True
    ),
}

_NOT_OF_THE_API = frozenset({"customer_list_uploads_put", "oauth_authorize"})


@cache
def describe() -> Mapping[str, object]:
    """Return the description.

    Returns:
        An OpenAPI document, ready for JSON; not to be changed.

    Example:
        >>> describe()["openapi"]
        '3.1.0'
    """
    paths: dict[str, dict[str, object]] = {}
    for (method, template), name in OPERATIONS.items():
        if name not in _NOT_OF_THE_API:
            path = paths.setdefault(template.removeprefix(_BASE), {})
            path[method.lower()] = _operation(name, template)
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


def _operation(name: str, template: str) -> Schema:
    told = _TOLD[name]
    # Pinterest writes a slash before the verb.
    subject, _, verb = name.rpartition("_")
    operation: Schema = {
        "operationId": f"{subject}/{verb}",
        "summary": told.summary,
        "tags": [subject],
        "parameters": [*map(_in_path, re.findall(r"{(\w+)}", template)), *_in_query(told.query)],
        "responses": _responses(told),
        "security": list(told.security),
        "x-ratelimit-category": told.category,
    }
    if told.body is not None:
        kind = "application/x-www-form-urlencoded" if told.form else "application/json"
        content = {kind: {"schema": reference(told.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _in_path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": IDENTIFIER}


def _in_query(parameters: Mapping[str, Schema]) -> list[Schema]:
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in parameters.items()
    ]


def _responses(told: _Told) -> Schema:
    success: Schema = {"description": "Success."}
    if told.answer is not None:
        success["content"] = {"application/json": {"schema": told.answer}}
    refusal = {
        "description": "A refusal.",
        "content": {"application/json": {"schema": reference("Error")}},
    }
    statuses = ["200", "201"] if told.created else ["200"]
    refused = ["400", "401", "403", "404", "429", "default"]
    return {**dict.fromkeys(statuses, success), **dict.fromkeys(refused, refusal)}


def _security_schemes() -> Schema:
    scopes = {scope: _scope(scope) for scope in sorted(SCOPES)}
    token = f"{_BASE}/oauth/token"
    code = {"authorizationUrl": "/oauth/", "tokenUrl": token, "scopes": scopes}
    app = {"tokenUrl": token, "scopes": scopes}
    return {
        "pinterest_oauth2": {"type": "oauth2", "flows": {"authorizationCode": code}},
        "client_credentials": {"type": "oauth2", "flows": {"clientCredentials": app}},
        "basic": {"type": "http", "scheme": "basic"},
    }


def _scope(scope: str) -> str:
    subject, _, right = scope.partition(":")
    does, _, secret = right.partition("_")
    what = f"secret {subject}" if secret else subject
    return f"{'See' if does == 'read' else 'Change'} {what}."
