"""Public names and their signatures, compared with a golden file (see `support.golden`).

Signatures are shown without module paths, so that moving a module changes nothing here.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from support.golden import assert_golden

import pinterest_audiences
from pinterest_audiences import emulator

GOLDEN = Path(__file__).parent / "golden"
PROTOCOL_METHODS = {
    *("__enter__", "__exit__", "__aenter__", "__aexit__", "__await__", "__call__"),
    *("__iter__", "__next__", "__aiter__", "__anext__", "__len__", "__getitem__", "__contains__"),
    *("__bool__", "__reduce__", "__str__", "__add__"),
}


def without_modules(text: str) -> str:
    """Shorten dotted names to their last part, and drop the quotes of annotations."""
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", text)


def signature(value: Any) -> str:
    """Return a signature whose annotations are plain text."""
    found = inspect.signature(value)

    def plain(annotation: object) -> object:
        if annotation is inspect.Parameter.empty:
            return annotation
        return _Verbatim(annotation if isinstance(annotation, str) else _name(annotation))

    return without_modules(
        str(
            found.replace(
                parameters=[
                    parameter.replace(
                        annotation=plain(parameter.annotation), default=_default(parameter.default)
                    )
                    for parameter in found.parameters.values()
                ],
                return_annotation=plain(found.return_annotation),
            )
        )
    )


class _Verbatim:
    """Text that is shown without quotes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _name(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _default(value: object) -> object:
    if value is inspect.Parameter.empty:
        return value
    if isinstance(value, enum.Enum):
        return _Verbatim(f"{type(value).__name__}:{value.name}")
    if callable(value):
        return _Verbatim(getattr(value, "__name__", type(value).__name__))
    return value


def constructor(kind: type) -> str:
    """Return the signature of a constructor, where the package defines one."""
    for base in kind.__mro__:
        if "__init__" in vars(base) and base.__module__.startswith("pinterest_audiences"):
            return signature(kind)
    return "(inherited)"


def instance_attributes(kind: type) -> Iterator[str]:
    """Yield the public attributes that the constructors of a class set."""
    for base in kind.__mro__:
        if base.__module__.startswith("pinterest_audiences") and "__init__" in vars(base):
            try:
                tree = ast.parse(textwrap.dedent(inspect.getsource(vars(base)["__init__"])))
            except (OSError, SyntaxError):
                continue  # attrs has generated it: its fields are attributes of the class
            for node in ast.walk(tree):
                match node:
                    case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                        yield name


def members(kind: type) -> dict[str, str]:
    """Describe every public attribute and method of a class."""
    described = {
        name: "attribute" for name in instance_attributes(kind) if not name.startswith("_")
    }
    for attribute in inspect.classify_class_attrs(kind):
        name, value = attribute.name, attribute.object
        if not attribute.defining_class.__module__.startswith("pinterest_audiences"):
            continue
        if name.startswith("_") and (name not in PROTOCOL_METHODS or issubclass(kind, enum.Enum)):
            continue
        if attribute.kind in ("method", "class method", "static method"):
            function = getattr(value, "__func__", value)
            awaited = "async " if inspect.iscoroutinefunction(function) else ""
            described[name] = f"{awaited}{attribute.kind} {signature(function)}"
        elif attribute.kind == "property":
            described[name] = "property"
        elif isinstance(value, enum.Enum):
            described[name] = f"member {value.value!r}"
        else:
            described[name] = "attribute"
    return described


def describe(value: Any, public: set[str]) -> dict[str, object]:
    """Describe a public name: what it is, and how it is called or used."""
    if inspect.isclass(value):
        bases = [base.__name__ for base in value.__mro__[1:]]
        builtin = {"Exception", "str", "ValueError", "RuntimeError", "TimeoutError", "StrEnum"}
        return {
            "kind": "class",
            "bases": [name for name in bases if name in public | builtin],
            "constructor": "(enum)" if issubclass(value, enum.Enum) else constructor(value),
            "members": members(value),
        }
    if inspect.isfunction(value):
        awaited = "async " if inspect.iscoroutinefunction(value) else ""
        return {"kind": f"{awaited}function", "signature": signature(value)}
    if get_args(value):
        return {"kind": "type alias", "choices": [repr(choice) for choice in get_args(value)]}
    return {"kind": type(value).__name__}


@pytest.mark.parametrize(
    ("module", "golden"),
    [(pinterest_audiences, "api.json"), (emulator, "emulator_api.json")],
    ids=["package", "emulator"],
)
def test_frozen_public_names_and_signatures(module: ModuleType, golden: str) -> None:
    """A changed name, argument, default or member of a public class is a change of the API."""
    names: list[str] = vars(module)["__all__"]
    described = {name: describe(getattr(module, name), set(names)) for name in names}
    assert_golden(GOLDEN / golden, described)
