"""JSON to models and back: the one cattrs converter of the package.

cattrs coerces by default (``null`` becomes ``"None"``, ``5`` becomes ``"5"``), so every primitive
has a strict hook here. Hooks for ``X | None`` are one function each instead of cattrs' two, because
nearly every field of an answer is optional and a listing has thousands of them.
"""

from __future__ import annotations

import functools
import json
import types
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from operator import itemgetter
from typing import (
    Any,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
from cattrs import Converter, IterableValidationError, IterableValidationNote, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from pinterest_audiences.auth.credentials import OAuthToken
from pinterest_audiences.models import JSON, OpenEnum

__all__ = ["UnreadableError", "decode", "parse", "to_wire"]

T = TypeVar("T")
Hook = Callable[[object, object], object]

# Fields of models that never come from the wire: ours to fill.
_OURS = frozenset({"extra", "request_bookmark"})


class UnreadableError(Exception):
    """An answer that cannot be read, with every problem and its JSON path."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _MismatchError(ValueError):
    """A value of the wrong JSON type; its text names types, never the value."""

    def __init__(self, wanted: str, got: object) -> None:
        super().__init__(f"expected {wanted}, got {_json_type(got)}")


def parse(body: bytes) -> JSON:
    """Parse an answer's body.

    Raises:
        UnreadableError: It is not JSON in UTF-8, or nested too deeply.
    """
    if not body:
        raise UnreadableError(["the body is empty"])
    try:
        return cast("JSON", json.loads(body))
    except RecursionError:
        raise UnreadableError(["the JSON is nested too deeply"]) from None
    except ValueError as error:  # covers bad UTF-8, bad JSON and numbers of absurd length
        at = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise UnreadableError([f"the body is not JSON{at}"]) from None


def decode(data: JSON, answer: type[T]) -> T:
    """Turn parsed JSON into a model.

    Raises:
        UnreadableError: Its ``problems`` say what is wrong and where, e.g.
            ``expected a string, got a number @ $.items[3].id``.
    """
    try:
        return _converter.structure(data, answer)
    except Exception as error:  # noqa: BLE001 - cattrs raises what it likes; all of it is unreadable
        raise UnreadableError(transform_error(error, "$", _describe)) from None


def to_wire(model: attrs.AttrsInstance) -> dict[str, JSON]:
    """Turn a model of a request into its JSON object, leaving out what is not set."""
    return cast("dict[str, JSON]", _converter.unstructure(model))


def _json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"


def _describe(error: BaseException, _type: object) -> str:
    if isinstance(error, KeyError):
        return "required field missing"
    return str(error) if isinstance(error, _MismatchError) else "unreadable value"


def _string(value: Any, _: object) -> str:
    if value.__class__ is str:
        return value
    raise _MismatchError("a string", value)


def _integer(value: Any, _: object) -> int:
    if value.__class__ is int:
        return value
    # The description types the counters as "number", so 11 may come as 11.0.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _MismatchError("a whole number", value)


def _boolean(value: object, _: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _MismatchError("a boolean", value)


def _moment(value: Any, _: object) -> datetime:
    if value.__class__ is int or value.__class__ is float:
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            raise _MismatchError("Unix seconds within the years 1 to 9999", value) from None
    raise _MismatchError("Unix seconds", value)


def _object(value: Any, _: object) -> dict[str, JSON]:
    if value.__class__ is dict:
        return cast("dict[str, JSON]", value)
    raise _MismatchError("an object", value)


def _open_enum(cls: type[OpenEnum]) -> Hook:
    known = {member.value: member for member in cls}

    def hook(value: Any, _: object) -> OpenEnum:
        if value.__class__ is str:
            return known.get(value) or cls(value)
        raise _MismatchError("a string", value)

    return hook


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list


def _is_object(annotation: Any) -> bool:
    return get_origin(annotation) is Mapping


def _is_model(annotation: Any) -> bool:
    return attrs.has(get_origin(annotation) or annotation)


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _without_none(annotation: object) -> tuple[object, bool]:
    """Split ``X | None`` into X and whether None is allowed."""
    args = [arg for arg in get_args(annotation) if arg is not type(None)]
    if _is_union(annotation) and len(args) == 1:
        return args[0], True
    return annotation, False


def _optional(annotation: object, converter: Converter) -> Hook:
    inner, nullable = _without_none(annotation)
    if not nullable:  # the one union of more than "X or None" is JSON itself
        return _as_it_comes
    read = _hook(converter, inner)
    return lambda value, _: None if value is None else read(value, inner)


def _as_it_comes(value: object, _: object) -> object:
    return value


def _hook(converter: Converter, annotation: object) -> Hook:
    return cast("Hook", converter.get_structure_hook(annotation))


@attrs.frozen
class _FieldReader:
    """How one field is read: a value of one of the ``right`` types is taken as it is."""

    name: str
    right: frozenset[type]
    read: Hook
    annotation: object


_RIGHT: dict[object, frozenset[type]] = {kind: frozenset({kind}) for kind in (str, int, bool)}
_NONE: frozenset[type] = frozenset({type(None)})
_ANY_JSON: frozenset[type] = frozenset({dict, list, str, int, float, bool, type(None)})


def _field_reader(name: str, annotation: object, converter: Converter) -> _FieldReader:
    inner, nullable = _without_none(annotation)
    right: frozenset[type] = _ANY_JSON if _is_union(inner) else _RIGHT.get(inner, frozenset())
    if nullable:
        right = right.union(_NONE)
    return _FieldReader(name, right, _hook(converter, inner), inner)


def _field_readers(cls: type[Any], converter: Converter) -> Iterator[_FieldReader]:
    for name, hint in get_type_hints(get_origin(cls) or cls).items():
        if name not in _OURS:
            generic = getattr(hint, "__parameters__", ())
            yield _field_reader(name, hint[get_args(cls)] if generic else hint, converter)


def _getter(names: list[str]) -> Callable[[dict[str, object]], tuple[object, ...]]:
    """Return what gets several values at once; of one name an `itemgetter` gives no tuple."""
    if len(names) == 1:
        return lambda data: (data[names[0]],)
    return itemgetter(*names)


def _read_model(cls: type[Any], converter: Converter) -> Hook:
    """Make the hook of a model: quick when all is well, cattrs' own to say what is wrong.

    The lists of a listing nearly all have the same fields with values of the same types. So which
    fields need a call is worked out once for each combination of types, and the others are taken
    as they are; one call a field would be most of the cost of a page (see ``benchmarks/``).
    """
    model: Any = get_origin(cls) or cls
    ours: dict[str, Any] = {name: override(omit=True) for name in _OURS}
    explain = cast("Hook", make_dict_structure_fn(cls, converter, **ours))
    readers = list(_field_readers(cls, converter))
    names = [reader.name for reader in readers]
    known = frozenset(names)
    every_field = _getter(names)
    keeps_extra = hasattr(model, "extra")

    @functools.lru_cache(maxsize=256)
    def to_convert(*kinds: type) -> list[tuple[int, Hook, object]]:
        rows = enumerate(zip(readers, kinds, strict=True))
        return [(i, r.read, r.annotation) for i, (r, kind) in rows if kind not in r.right]

    def hook(data: Any, _: object) -> object:
        values: list[Any]
        if data.__class__ is not dict:
            raise _MismatchError("an object", data)
        try:
            values = list(every_field(data))
            complete = len(data) == len(names)
        except KeyError:
            values = list(map(data.get, names))
            complete = False
        try:
            for i, read, annotation in to_convert(*map(type, values)):
                values[i] = read(values[i], annotation)
        except Exception:  # whatever a hook raises: read again, to tell every problem and its place
            explain(data, cls)
            raise
        result = model(*values)
        if keeps_extra and not complete:
            result.extra = {name: data[name] for name in data if name not in known}
        return result

    return hook


def _read_list(annotation: object, converter: Converter) -> Hook:
    (item_type,) = get_args(annotation)
    read = _hook(converter, item_type)

    def hook(items: Any, _: object) -> list[object]:
        if items.__class__ is not list:
            raise _MismatchError("an array", items)
        try:
            return [read(item, item_type) for item in items]
        except Exception:  # noqa: BLE001 - read again, item by item, to tell what is wrong
            raise _explained(items, read, item_type) from None

    return hook


def _read_object(_annotation: object) -> Hook:
    return _object


def _explained(items: list[JSON], read: Hook, item_type: object) -> Exception:
    problems: list[Exception] = []
    for index, item in enumerate(items):
        try:
            read(item, item_type)
        except Exception as error:  # noqa: BLE001 - every item's problem is told
            error.add_note(IterableValidationNote("in an array", index, item_type))
            problems.append(error)
    group: Any = IterableValidationError  # its __new__ takes one more than an ExceptionGroup's
    return cast("Exception", group("unreadable items", problems, list))


def _write_model(
    cls: type[attrs.AttrsInstance], converter: Converter
) -> Callable[[object], Mapping[str, object]]:
    return make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True)


_OPTIONAL_TEXTS = ("token_type", "scope", "refresh_token", "response_type")
_OPTIONAL_NUMBERS = ("expires_in", "refresh_token_expires_in", "refresh_token_expires_at")


def _oauth_token(data: Any, _: object) -> OAuthToken:
    """Read what can be read: the refresh token in it may be the only one that is valid now."""
    if data.__class__ is not dict:
        raise _MismatchError("an object", data)
    rest = dict(data)
    read: dict[str, Any] = {"access_token": _string(rest.pop("access_token"), str)}
    for name, kind in (*_each(_OPTIONAL_TEXTS, str), *_each(_OPTIONAL_NUMBERS, int)):
        if rest.get(name).__class__ is kind:
            read[name] = rest.pop(name)
    return OAuthToken(**read, extra={name: value for name, value in rest.items() if value})


def _each(names: tuple[str, ...], kind: type) -> Iterator[tuple[str, type]]:
    return ((name, kind) for name in names)


def _make_converter() -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook(str, _string)
    converter.register_structure_hook(int, _integer)
    converter.register_structure_hook(bool, _boolean)
    converter.register_structure_hook(datetime, _moment)
    for kind in OpenEnum.__subclasses__():  # each by name: they are strings, and str has a hook
        converter.register_structure_hook(kind, _open_enum(kind))
    converter.register_structure_hook_factory(_is_union)(_optional)
    converter.register_structure_hook_factory(_is_list)(_read_list)
    converter.register_structure_hook_factory(_is_object)(_read_object)
    converter.register_structure_hook_factory(_is_model)(_read_model)
    converter.register_structure_hook_func(lambda kind: kind is OAuthToken, _oauth_token)
    converter.register_unstructure_hook_factory(attrs.has)(_write_model)
    return converter


_converter = _make_converter()
