"""The checks that are made from the schemas, compared with `jsonschema`."""

from __future__ import annotations

import jsonschema
import pytest

from pinterest_audiences.emulator._schemas import IDENTIFIER, SCHEMAS, expectation, matches

BODIES = [
    *("CustomerListCreate", "CustomerListUpdate", "CustomerListUploadCreate"),
    *("AudienceCreate", "AudienceUpdate", "AudienceRule"),
    *("CustomerSegmentCreate", "CustomerSegmentUpdate", "TokenRevocationRequest"),
]
# Read without these checks, with the reasons beside the code.
WITH_REFERENCES = {"records_v2", "rule"}
FIELDS = {
    f"{body}.{name}": schema
    for body in BODIES
    for name, schema in SCHEMAS[body]["properties"].items()
    if name not in WITH_REFERENCES
}
VALUES: list[object] = [
    *(None, True, False, 0, 1, 10, 11, 540, 541, -1, 8.0, 8.5, 1e308, 10**30),
    *("", "x", ",", "a,b", "1", "10", "11", "9" * 18, "9" * 19, "ADD", "UPDATE", "EMAIL"),
    *("PERSONA", "access_token", [], ["1"], ["x"], [1], [""], ["AWARENESS"], ["FAME"], [[]]),
    *({}, {"a": 1}),
]


def test_field_checks_agree_with_jsonschema() -> None:
    """For every field of a request body that is checked by its schema."""
    offenders = [
        (name, value)
        for name, schema in {**FIELDS, "id in a path": IDENTIFIER}.items()
        for value in VALUES
        if matches(value, schema) != jsonschema.Draft202012Validator(schema).is_valid(value)
    ]
    assert offenders == []


@pytest.mark.parametrize("text", ["1\n", "\u0663", "\u00b2"])
def test_digits_are_ascii_without_line_break(text: str) -> None:
    """As in ECMA-262, whose patterns JSON Schema has; Python's differ."""
    assert not matches(text, IDENTIFIER)


def test_schemas_use_only_keywords_that_are_checked() -> None:
    """A new keyword must be added to the checks first."""
    checked = {"type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum"}
    checked |= {"items", "minItems", "anyOf", "default", "description"}
    offenders = {name for name, schema in FIELDS.items() if not schema.keys() <= checked}
    assert offenders == set()


def test_expectations_describe_the_schemas() -> None:
    """In the words of the refusals."""
    rule = SCHEMAS["AudienceRule"]["properties"]
    described = {
        name: expectation(rule[name]) for name in ("seed_id", "percentage", "engager_type")
    }
    assert described == {
        "seed_id": "an array of strings of digits",
        "percentage": "from 1 to 10",
        "engager_type": "an integer",
    }
