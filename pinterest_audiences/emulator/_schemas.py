"""The shapes of requests and answers as JSON Schema, fields as of version 5.28, and their checks.

The OpenAPI description publishes these schemas, and request bodies are checked against the same
ones, so that the two cannot disagree.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Schema = dict[str, Any]

MAX_PAGE_SIZE = 250
DEFAULT_PAGE_SIZE = 25
MAX_UPLOAD_PARTS = 10

ROW_FIELDS = (
    "email",
    "external_id",
    "hashed_phone_number",
    "hashed_pinner_id",
    "ip_address",
    "liveramp_envelope",
    "maid",
    "user_agent",
)
REQUIRED_RULE_FIELDS: Mapping[str, str] = {
    "CUSTOMER_LIST": "customer_list_id",
    "ACTALIKE": "seed_id",
}
"""The field that the rule of an audience must have, by its type.

ENGAGEMENT has none: the description asks for `engagement_domain`, but Pinterest's own tests create
such audiences without it.
"""
_MAX_PERCENTAGE = 10
_PERCENTAGES = tuple(map(str, range(1, _MAX_PERCENTAGE + 1)))
_MAX_RETENTION_DAYS = 540

_DIGITS_PATTERN = r"^\d+$"

_STRING: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_BOOLEAN: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "number"}
_OBJECT: Schema = {"type": "object"}
_NAME: Schema = {"type": "string", "minLength": 1}
IDENTIFIER: Schema = {"type": "string", "pattern": _DIGITS_PATTERN, "minLength": 1, "maxLength": 18}
"""An id in a path; one in a body may be longer, so that it is only `_DIGITS`."""
_DIGITS: Schema = {"type": "string", "pattern": _DIGITS_PATTERN}


def reference(name: str) -> Schema:
    """Return a reference to one of these schemas.

    Args:
        name: Its name.

    Returns:
        The schema that refers to it.
    """
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(name: str) -> Schema:
    """Return the schema of a page.

    Args:
        name: The name of the schema of its items.

    Returns:
        The items, and the bookmark of the next page or null.
    """
    items: Schema = {"type": "array", "items": reference(name)}
    return _object({"items": items, "bookmark": _nullable("string")}, ["items"])


def matches(value: object, schema: Schema) -> bool:
    """Return whether a value is allowed by a schema of a field of a request.

    Only the keywords that such schemas use are checked; a test compares this with `jsonschema`.

    Args:
        value: A decoded JSON value.
        schema: The schema, without references.

    Returns:
        True when it is allowed.
    """
    if "anyOf" in schema:
        return any(matches(value, option) for option in schema["anyOf"])
    match schema["type"]:
        case "string":
            return isinstance(value, str) and _is_allowed_string(value, schema)
        case "integer":
            number = cast("float", value)
            low, high = schema.get("minimum", number), schema.get("maximum", number)
            return _is_integer(value) and bool(low <= number <= high)
        case "array":
            if not isinstance(value, list):
                return False
            items = cast("list[object]", value)
            fits = len(items) >= schema.get("minItems", 0)
            return fits and all(matches(item, schema["items"]) for item in items)
        case kind:
            return isinstance(value, {"boolean": bool, "object": dict}[kind])


def expectation(schema: Schema) -> str:
    """Return in words what a schema allows, for the message of a refusal.

    Args:
        schema: The schema of a field or parameter.

    Returns:
        What follows "must be".
    """
    match schema:
        case {"anyOf": [first, *_]}:
            text = expectation(first)
        case {"enum": values}:
            text = f"one of: {', '.join(values)}"
        case {"type": "string", "pattern": _}:
            text = "a string of digits"
        case {"type": "string", "minLength": _}:
            text = "a non-empty string"
        case {"type": "integer", "minimum": low, "maximum": high}:
            text = f"from {low} to {high}"
        case {"type": "array", "items": {"enum": values}}:
            text = f"an array of: {', '.join(values)}"
        case {"type": "array", "items": {"pattern": _}}:
            text = "an array of strings of digits"
        case {"type": "array"}:
            text = "an array of strings"
        case {"type": "integer" | "object" as kind}:
            text = f"an {kind}"
        case _:
            text = f"a {schema['type']}"
    return text


def _is_allowed_string(value: str, schema: Schema) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return False
    # "$" in ECMA-262 matches at the very end only, and "\d" is ASCII.
    pattern = schema.get("pattern", "").removesuffix("$")
    end = r"\Z" if pattern != schema.get("pattern", "") else ""
    return re.search(pattern + end, value, re.ASCII) is not None


def _is_integer(value: object) -> bool:
    if isinstance(value, float):
        return value.is_integer()  # JSON Schema counts 8.0 as an integer
    return isinstance(value, int) and not isinstance(value, bool)


def _object(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties)}
    names = list(required)
    return {**schema, "required": names} if names else schema


def _nullable(kind: str) -> Schema:
    return {"type": [kind, "null"]}


def _enum(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


ORDER: Schema = _enum("ASCENDING", "DESCENDING")
PAGE_SIZE: Schema = {
    "type": "integer",
    "minimum": 1,
    "maximum": MAX_PAGE_SIZE,
    "default": DEFAULT_PAGE_SIZE,
}
OWNERSHIP_TYPE: Schema = {**_enum("OWNED", "RECEIVED"), "default": "OWNED"}
PAGE_QUERY: Mapping[str, Schema] = {"bookmark": _STRING, "page_size": PAGE_SIZE}
LISTING_QUERY: Mapping[str, Schema] = {
    **PAGE_QUERY,
    "order": ORDER,
    "exclude_nca": {"type": "boolean", "default": False},
}

# Pinterest says only in prose that exactly one of both must be given. That an empty name, an empty
# set of records and an empty row are refused is assumed.
_RECORDS: dict[str, Schema] = {
    "records": {
        "type": "string",
        "description": "Records, separated by commas. Either these or records_v2.",
        "pattern": "[^,]",
    },
    "records_v2": {
        "type": "array",
        "minItems": 1,
        "description": "Rows of several identifiers each. Either these or records.",
        "items": reference("CustomerListRecordRow"),
    },
}
# Not oneOf: code generators would make two kinds of bodies of it, or none.
_EITHER: Schema = {
    "if": {"required": ["records"]},
    "then": {"not": {"required": ["records_v2"]}},
    "else": {"required": ["records_v2"]},
}
_ALL_EMPTY: Schema = {"properties": {field: {"maxLength": 0} for field in ROW_FIELDS}}

_IDS: Schema = {"type": "array", "items": _DIGITS}
_TEXTS: Schema = {"type": "array", "items": _STRING}
_RULE: dict[str, Schema] = {
    "ad_account_id": _DIGITS,
    "ad_id": _IDS,
    "campaign_id": _IDS,
    "country": _STRING,
    "customer_list_id": _DIGITS,
    "engagement_domain": _TEXTS,
    "engagement_type": _STRING,
    "engager_type": _INTEGER,
    "event": _STRING,
    "event_data": _OBJECT,
    "event_source": _OBJECT,
    "ingestion_source": _OBJECT,
    "objective_type": {
        "type": "array",
        "items": _enum(
            "AWARENESS", "CATALOG_SALES", "CONSIDERATION", "VIDEO_COMPLETION", "WEB_CONVERSION"
        ),
    },
    "percentage": {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": _MAX_PERCENTAGE},
            _enum(*_PERCENTAGES),
        ]
    },
    "pin_id": _IDS,
    "prefill": _BOOLEAN,
    "retention_days": {"type": "integer", "minimum": 1, "maximum": _MAX_RETENTION_DAYS},
    "seed_id": _IDS,
    "url": _TEXTS,
    "visitor_source_id": _DIGITS,
}


def _rule_by_type() -> Schema:
    """Return what the rule of an audience must have, as a chain of conditions on its type."""
    chain: Schema = {}
    for audience_type, name in REQUIRED_RULE_FIELDS.items():
        rule: Schema = {"required": [name], "properties": {name: {"minItems": 1}}}
        condition: Schema = {
            "if": {"properties": {"audience_type": {"const": audience_type}}},
            "then": {"properties": {"rule": rule}},
        }
        chain = {**condition, "else": chain} if chain else condition
    return chain


_TOKEN_REQUEST: dict[str, Schema] = {
    "grant_type": _enum("authorization_code", "refresh_token", "client_credentials"),
    "code": _STRING,
    "redirect_uri": _STRING,
    "continuous_refresh": _STRING,
    "refresh_token": _STRING,
    "scope": _STRING,
}

SCHEMAS: Mapping[str, Schema] = {
    "Error": _object({"code": _INTEGER, "message": _STRING}, ["code", "message"]),
    "CustomerList": _object(
        {
            "ad_account_id": _STRING,
            "created_time": _NUMBER,
            "exceptions": _OBJECT,
            "id": _DIGITS,
            "is_nca": _BOOLEAN,
            "name": _STRING,
            "num_batches": _NUMBER,
            "num_removed_user_records": _NUMBER,
            "num_uploaded_user_records": _NUMBER,
            "status": _enum("PROCESSING", "READY", "TOO_SMALL", "UPLOADING"),
            "type": _STRING,
            "updated_time": _NUMBER,
        },
        ["id", "name"],
    ),
    "CustomerListRecordRow": {
        **_object(dict.fromkeys(ROW_FIELDS, _STRING)),
        "additionalProperties": False,
        "not": _ALL_EMPTY,
    },
    "CustomerListCreate": {
        **_object(
            {
                "name": _NAME,
                "list_type": {
                    **_enum("DLX_ID", "EMAIL", "HASHED_PINNER_ID", "IDFA", "LR_ID", "MAID"),
                    "default": "EMAIL",
                },
                "is_nca": _BOOLEAN,
                **_RECORDS,
            },
            ["name"],
        ),
        **_EITHER,
    },
    "CustomerListUpdate": {
        **_object({"operation_type": _enum("ADD", "REMOVE"), **_RECORDS}, ["operation_type"]),
        **_EITHER,
    },
    "CustomerListUpload": _object(
        {
            "ad_account_id": _DIGITS,
            "creation_time": _INTEGER,
            "customer_list_id": _DIGITS,
            "error_counts": {
                "type": ["array", "null"],
                "items": _object(
                    {"error_code": _INTEGER, "message": _STRING, "count": _INTEGER},
                    ["error_code", "message", "count"],
                ),
            },
            "id": _DIGITS,
            "operation": _enum("ADD", "REMOVE"),
            "record_counts": {
                **_object({"processed": _INTEGER, "valid": _INTEGER, "invalid": _INTEGER}),
                "type": ["object", "null"],
            },
            "state": _enum("NOT_STARTED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED"),
            "updated_time": _INTEGER,
        },
        [
            "id",
            "customer_list_id",
            "ad_account_id",
            "operation",
            "state",
            "creation_time",
            "updated_time",
        ],
    ),
    "CustomerListUploadCreate": _object(
        {
            "operation": _enum("ADD", "REMOVE"),
            "total_parts": {"type": "integer", "minimum": 1, "maximum": MAX_UPLOAD_PARTS},
        },
        ["operation", "total_parts"],
    ),
    "CustomerListUploadCreated": _object(
        {
            "customer_list_upload": reference("CustomerListUpload"),
            "s3_multipart_upload_data": _object(
                {
                    "file_parts": {
                        "type": "array",
                        "items": _object(
                            {"part_number": _INTEGER, "presigned_url": _STRING},
                            ["part_number", "presigned_url"],
                        ),
                    }
                },
                ["file_parts"],
            ),
        },
        ["customer_list_upload", "s3_multipart_upload_data"],
    ),
    "Audience": _object(
        {
            "ad_account_id": _DIGITS,
            "audience_type": _STRING,
            "created_by_company_name": _nullable("string"),
            "created_timestamp": _nullable("integer"),
            "description": _nullable("string"),
            "id": _DIGITS,
            "is_ctv_enabled": _BOOLEAN,
            "is_nca": _nullable("boolean"),
            "name": _STRING,
            "rule": reference("AudienceRule"),
            "size": _nullable("integer"),
            "status": _STRING,
            "type": _STRING,
            "updated_timestamp": _nullable("integer"),
        }
    ),
    "AudienceRule": _object(_RULE),
    "AudienceCreate": {
        **_object(
            {
                "ad_account_id": _DIGITS,
                "audience_type": _enum(
                    "CUSTOMER_LIST", "VISITOR", "ENGAGEMENT", "ACTALIKE", "PERSONA"
                ),
                "description": _STRING,
                "name": _NAME,
                "rule": reference("AudienceRule"),
            },
            ["audience_type", "name", "rule"],
        ),
        **_rule_by_type(),
    },
    "AudienceUpdate": _object(
        {
            "ad_account_id": _DIGITS,
            "description": _STRING,
            "name": _NAME,
            "operation_type": {**_enum("UPDATE", "REMOVE"), "default": "UPDATE"},
            "rule": reference("AudienceRule"),
        }
    ),
    "CustomerSegment": _object(
        {
            "ad_account_id": _DIGITS,
            "audience_ids": _IDS,
            "created_time": _INTEGER,
            "id": _DIGITS,
            "name": _STRING,
            "status": _STRING,
            "updated_time": _INTEGER,
        },
        ["id", "name", "audience_ids"],
    ),
    "CustomerSegmentCreate": _object(
        {"name": _NAME, "audience_ids": {**_IDS, "minItems": 1}}, ["name", "audience_ids"]
    ),
    "CustomerSegmentUpdate": _object(
        {
            "id": _DIGITS,
            "operation_type": _enum("UPDATE", "REMOVE"),
            "audience_ids": {**_IDS, "minItems": 1},
        },
        ["id", "operation_type"],
    ),
    "AdAccount": _object(
        {
            "id": _STRING,
            "name": _STRING,
            "country": _STRING,
            "created_time": _INTEGER,
            "currency": _STRING,
            "owner": _object({"id": _STRING, "username": _STRING}),
            "permissions": _TEXTS,
            "time_zone": _STRING,
            "updated_time": _INTEGER,
        }
    ),
    "Account": _object({"id": _STRING, "username": _STRING, "account_type": _STRING}),
    "OauthAccessTokenRequest": _object(_TOKEN_REQUEST, ["grant_type"]),
    "OauthAccessTokenResponse": _object(
        {
            "access_token": _STRING,
            "expires_in": _INTEGER,
            "refresh_token": _STRING,
            "refresh_token_expires_at": _INTEGER,
            "refresh_token_expires_in": _INTEGER,
            "response_type": _STRING,
            "scope": _STRING,
            "token_type": _STRING,
        },
        ["access_token", "token_type", "expires_in"],
    ),
    "TokenRevocationRequest": _object(
        {"token": _STRING, "token_type_hint": _enum("access_token", "refresh_token")}, ["token"]
    ),
}
"""Each schema by its name in the description."""
