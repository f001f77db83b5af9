"""Pinterest's published API description, where it is at hand.

It is not part of this project. It is taken from the file that `PINTEREST_OPENAPI` names, or from a
folder beside the repository; without either the tests that need it are skipped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast

import pytest

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
    """Walk down into a description."""
    for key in keys:
        assert isinstance(node, dict)
        node = node[key]
    assert isinstance(node, dict)
    return cast("Json", node)
