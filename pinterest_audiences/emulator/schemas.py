"""The shapes of what the emulator takes and gives, as JSON Schema, fields as of version 5.28."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinterest_audiences.emulator.audience_bodies import (
    AUDIENCE_TYPES,
    LARGEST_PERCENTAGE,
    MOST_RETENTION_DAYS,
    NEEDED_FIELDS,
    OBJECTIVES,
    PERCENTAGES,
)
from pinterest_audiences.emulator.bodies import LIST_TYPES, ROW_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Schema = dict[str, object]

_STRING: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_BOOLEAN: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "number"}
_OBJECT: Schema = {"type": "object"}
_NAME: Schema = {"type": "string", "minLength": 1}
IDENTIFIER: Schema = {"type": "string", "pattern": r"^\d+$", "minLength": 1, "maxLength": 18}
"""An id in a path; one in a body may be longer, so that it is only `_DIGITS`."""
_DIGITS: Schema = {"type": "string", "pattern": r"^\d+$"}


def reference(name: str) -> Schema:
    """Return a reference to one of these schemas.

    Args:
        name: Its name.

    Returns:
        What stands for it.
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


def _object(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties)}
    wanted = list(required)
    return {**schema, "required": wanted} if wanted else schema


def _nullable(kind: str) -> Schema:
    return {"type": [kind, "null"]}


def _enum(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


# Pinterest tells in prose only that exactly one of both must be there; and what an empty name, an
# empty set and an empty row do is our guess.
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
# Not oneOf: generators of clients would make two kinds of bodies of it, or none.
_EITHER: Schema = {
    "if": {"required": ["records"]},
    "then": {"not": {"required": ["records_v2"]}},
    "else": {"required": ["records_v2"]},
}
_ALL_EMPTY: Schema = {"properties": {field: {"maxLength": 0} for field in sorted(ROW_FIELDS)}}

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
    "objective_type": {"type": "array", "items": _enum(*sorted(OBJECTIVES))},
    "percentage": {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": LARGEST_PERCENTAGE},
            _enum(*PERCENTAGES),
        ]
    },
    "pin_id": _IDS,
    "prefill": _BOOLEAN,
    "retention_days": {"type": "integer", "minimum": 1, "maximum": MOST_RETENTION_DAYS},
    "seed_id": _IDS,
    "url": _TEXTS,
    "visitor_source_id": _DIGITS,
}


def _rule_by_type() -> Schema:
    """Return what the type of an audience asks of its rule, one type behind the other."""
    chain: Schema = {}
    for audience_type, name in NEEDED_FIELDS.items():
        needed: Schema = {"required": [name], "properties": {name: {"minItems": 1}}}
        condition: Schema = {
            "if": {"properties": {"audience_type": {"const": audience_type}}},
            "then": {"properties": {"rule": needed}},
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
        **_object(dict.fromkeys(sorted(ROW_FIELDS), _STRING)),
        "additionalProperties": False,
        "not": _ALL_EMPTY,
    },
    "CustomerListCreate": {
        **_object(
            {
                "name": _NAME,
                "list_type": {**_enum(*sorted(LIST_TYPES)), "default": "EMAIL"},
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
            "total_parts": {"type": "integer", "minimum": 1, "maximum": 10},
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
                "audience_type": _enum(*AUDIENCE_TYPES),
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
    "AdAccount": _object({"id": _STRING, "name": _STRING, "country": _STRING}),
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
"""Each schema by the name that the description refers to it by."""
