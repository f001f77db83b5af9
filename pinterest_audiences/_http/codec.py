"""Conversion between JSON and models: the cattrs converter of the package.

cattrs coerces by default (``null`` becomes ``"None"``, ``5`` becomes ``"5"``), so every primitive
has a strict hook here. An optional field of the wrong type becomes ``None``, and its raw value goes
to ``extra``. Only required fields, ``id`` and ``bookmark`` make a response unreadable.

The objects of a listing nearly all have the same fields. So a page is read by column: the values of
a field are collected from all objects, their types are checked as a set, and only times and enums
need a conversion. A page with differing objects is read object by object.

A hook for ``X | None`` is one function instead of two as in cattrs, because nearly every field of a
response is optional and a listing has thousands of them.
"""

from __future__ import annotations

import functools
import json
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import repeat
from operator import itemgetter
from typing import (
    Any,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
from attrs import frozen
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn

from pinterest_audiences._credentials import OAuthToken
from pinterest_audiences._models import JSON, OpenEnum

__all__ = [
    "ColumnHook",
    "ColumnarReader",
    "FieldHook",
    "Hook",
    "MismatchError",
    "UnreadableError",
    "decode",
    "fast_dumps",
    "parse",
    "to_wire",
]

try:
    import orjson
except ImportError:
    _fast_loads: Callable[[bytes | bytearray], object] | None = None
    fast_dumps: Callable[[object], bytes] | None = None
else:
    _fast_loads, fast_dumps = orjson.loads, orjson.dumps

T = TypeVar("T")
Hook: TypeAlias = "Callable[[object, object], object]"
"""Converts one value, given its annotation."""
ColumnHook: TypeAlias = "Callable[[Sequence[Any], set[type]], list[Any] | None]"
"""Converts the values of a column, given the set of their types; None if it cannot."""
# Fields of models that are set by the client, never by the API.
_CLIENT_FIELDS = frozenset({"extra", "request_bookmark"})
# Optional fields that other calls depend on; required ones are strict as well.
_STRICT_FIELDS = frozenset({"id", "bookmark"})
_MAX_PROBLEMS = 30
_MORE_PROBLEMS = "more problems follow and are not listed"
_MIN_COLUMNAR_ITEMS = 4
_MAX_INTEGER_DIGITS = 640  # the lowest limit that Python can be set to
# orjson converts integers beyond 64 bits to floats, where Python keeps every digit.
_DIGITS = bytes(0x30 if 0x30 <= code <= 0x39 else 0x20 for code in range(256))  # noqa: PLR2004
_LONG_NUMBER = b"0" * 19
_OPTIONAL_OAUTH_FIELDS: Mapping[str, type] = {
    "token_type": str,
    "scope": str,
    "refresh_token": str,
    "response_type": str,
    "expires_in": int,
    "refresh_token_expires_in": int,
    "refresh_token_expires_at": int,
}


class UnreadableError(Exception):
    """A response that cannot be read, with its first problems and their JSON paths."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class MismatchError(ValueError):
    """Values of the wrong JSON type: pairs of a path and a text without the value."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__()
        self.problems = problems


def parse(body: bytes | bytearray) -> JSON:
    """Parse the body of a response.

    Raises:
        UnreadableError: It is not JSON in UTF-8, or nested too deeply.
    """
    if not body:
        raise UnreadableError(["the body is empty"])
    if _fast_loads is not None and _LONG_NUMBER not in body.translate(_DIGITS):
        try:
            return cast("JSON", _fast_loads(body))
        except ValueError:
            pass  # Python's parser accepts more, such as NaN and lone surrogates
    try:
        return cast("JSON", json.loads(body, parse_int=_number))
    except RecursionError:
        raise UnreadableError(["the JSON is nested too deeply"]) from None
    except ValueError as error:  # bad UTF-8 or bad JSON
        at = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise UnreadableError([f"the body is not JSON{at}"]) from None


def _number(digits: str) -> int | str:
    """Return an integer; one that is too long for Python stays a string."""
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else digits


def decode(data: JSON, model: type[T]) -> T:
    """Return a model of parsed JSON.

    Raises:
        UnreadableError: It does not match the model; ``problems`` say where, e.g.
            ``expected a string, got a number @ $.items[3].id``.
    """
    try:
        return _converter.structure(data, model)
    except MismatchError as error:
        problems = [f"{text} @ ${path}" for path, text in error.problems[:_MAX_PROBLEMS]]
        more = [_MORE_PROBLEMS] if len(error.problems) > _MAX_PROBLEMS else []
        raise UnreadableError(problems + more) from None
    except Exception:  # noqa: BLE001 - hooks of cattrs may raise anything; all mean an unreadable response
        raise UnreadableError(["unreadable value @ $"]) from None


def to_wire(model: attrs.AttrsInstance) -> dict[str, JSON]:
    """Return the JSON object of a request model, without fields that are not set."""
    return cast("dict[str, JSON]", _converter.unstructure(model))


@frozen
class FieldHook:
    """The conversion of one field; values of the ``accepted`` types need none.

    A field that is not ``strict`` becomes None if its value has the wrong type.
    """

    name: str
    accepted: frozenset[type]
    read: Hook
    read_all: ColumnHook | None
    annotation: object
    required: bool
    strict: bool

    def column(self, values: Sequence[object]) -> Sequence[object]:
        """Convert the values of many objects.

        Raises:
            MismatchError: A value has the wrong type.
        """
        kinds = set(map(type, values))
        if kinds <= self.accepted:
            return values
        if self.read_all is not None:
            try:
                if (converted := self.read_all(values, kinds)) is not None:
                    return converted
            except (LookupError, ValueError, OverflowError, OSError):
                pass  # an unknown enum value, or a time that is out of range
        accepted, read, annotation = self.accepted, self.read, self.annotation
        return [value if type(value) in accepted else read(value, annotation) for value in values]


@frozen
class ColumnarReader:
    """Reads many objects of one model, whose last field is ``extra``."""

    model: Callable[..., object]
    hooks: list[FieldHook]

    def read(self, items: list[Any]) -> list[object] | None:
        """Return the models; None if the objects do not all have the same fields and types.

        None does not mean invalid: the objects have to be read one by one.
        """
        if len(items) < _MIN_COLUMNAR_ITEMS or set(map(type, items)) != {dict}:
            return None
        names = list(items[0])
        if len(names) < 2 or set(map(len, items)) != {len(names)}:  # noqa: PLR2004
            return None
        try:
            rows = map(itemgetter(*names), items)
            unread = dict(zip(names, zip(*rows, strict=True), strict=True))
            columns = [self._column(field, unread, len(items)) for field in self.hooks]
        except (KeyError, MismatchError):
            return None
        return list(map(self.model, *columns, _extras(unread, len(items))))

    def _column(
        self, field: FieldHook, unread: dict[str, tuple[object, ...]], count: int
    ) -> Sequence[object]:
        """Convert the column of a field and remove it from the unread ones."""
        values = unread.pop(field.name, None)
        return field.column((None,) * count if values is None else values)


def _extras(unread: dict[str, tuple[object, ...]], count: int) -> list[dict[str, object]]:
    """Return the unknown fields of each object."""
    if not unread:
        return [{} for _ in range(count)]
    return [dict(zip(unread, row, strict=True)) for row in zip(*unread.values(), strict=True)]


def _mismatch(expected: str, value: object) -> MismatchError:
    return MismatchError([("", f"expected {expected}, got {_json_type(value)}")])


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


def _string(value: Any, _: object) -> str:
    if value.__class__ is str:
        return value
    raise _mismatch("a string", value)


def _integer(value: Any, _: object) -> int:
    if value.__class__ is int:
        return value
    # The description types the counters as "number", so 11 may come as 11.0.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _mismatch("an integer", value)


def _boolean(value: object, _: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _mismatch("a boolean", value)


def _datetime(value: Any, _: object) -> datetime:
    if value.__class__ is int or value.__class__ is float:
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            raise _mismatch("Unix seconds within the years 1 to 9999", value) from None
    raise _mismatch("Unix seconds", value)


def _object(value: Any, _: object) -> dict[str, JSON]:
    if value.__class__ is dict:
        return cast("dict[str, JSON]", value)
    raise _mismatch("an object", value)


def _open_enum(cls: type[OpenEnum]) -> Hook:
    known = {member.value: member for member in cls}

    def hook(value: Any, _: object) -> OpenEnum:
        if value.__class__ is str:
            return known.get(value) or cls(value)
        raise _mismatch("a string", value)

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
    if not nullable:  # the only other union is JSON
        return _unchanged
    read = _hook(converter, inner)
    return lambda value, _: None if value is None else read(value, inner)


def _unchanged(value: object, _: object) -> object:
    return value


def _hook(converter: Converter, annotation: object) -> Hook:
    return cast("Hook", converter.get_structure_hook(annotation))


_ACCEPTED: dict[object, frozenset[type]] = {kind: frozenset({kind}) for kind in (str, int, bool)}
_NONE: frozenset[type] = frozenset({type(None)})
_NUMBERS: frozenset[type] = frozenset({int, float})
_ANY_JSON: frozenset[type] = frozenset({dict, list, str, int, float, bool, type(None)})


def _field_hook(
    name: str, annotation: object, converter: Converter, *, required: bool, strict: bool
) -> FieldHook:
    inner, nullable = _without_none(annotation)
    accepted: frozenset[type] = _ANY_JSON if _is_union(inner) else _ACCEPTED.get(inner, frozenset())
    if nullable:
        accepted = accepted.union(_NONE)
    read, read_all = _hook(converter, inner), _column_hook(inner)
    return FieldHook(name, accepted, read, read_all, inner, required, strict)


def _column_hook(annotation: Any) -> ColumnHook | None:
    """Return a hook that converts the usual values of a column without a Python call for each."""
    if annotation is datetime:
        return lambda values, kinds: (
            list(map(datetime.fromtimestamp, values, repeat(UTC))) if kinds <= _NUMBERS else None
        )
    if isinstance(annotation, type) and issubclass(annotation, OpenEnum):
        known = {member.value: member for member in annotation}
        return lambda values, kinds: (
            list(map(known.__getitem__, values)) if kinds == {str} else None
        )
    return None


def _field_hooks(cls: type[Any], converter: Converter) -> Iterator[FieldHook]:
    model = get_origin(cls) or cls
    attributes = attrs.fields_dict(model)
    keeps_extra = "extra" in attributes
    for name, hint in get_type_hints(model).items():
        if name not in _CLIENT_FIELDS:
            generic = getattr(hint, "__parameters__", ())
            required = attributes[name].default is attrs.NOTHING
            yield _field_hook(
                name,
                hint[get_args(cls)] if generic else hint,
                converter,
                required=required,
                strict=required or name in _STRICT_FIELDS or not keeps_extra,
            )


def _getter(names: list[str]) -> Callable[[dict[str, object]], tuple[object, ...]]:
    """Return a getter of several values; `itemgetter` returns no tuple for one name."""
    if len(names) == 1:
        return lambda data: (data[names[0]],)
    return itemgetter(*names)


def _read_model(cls: type[Any], converter: Converter) -> Hook:
    """Return the hook of a model, which reads invalid data field by field.

    The objects of a listing nearly all have the same fields with values of the same types. So the
    fields that need a conversion are cached for each combination of types, and the others are
    used unchanged. One call per field would be most of the cost of a page (see ``benchmarks/``).
    """
    model: Any = get_origin(cls) or cls
    hooks = list(_field_hooks(cls, converter))
    names = [field.name for field in hooks]
    known = frozenset(names)
    every_field = _getter(names)
    keeps_extra = "extra" in attrs.fields_dict(model)

    @functools.lru_cache(maxsize=256)
    def to_convert(*kinds: type) -> list[tuple[int, Hook, object]]:
        rows = enumerate(zip(hooks, kinds, strict=True))
        return [
            (index, field.read, field.annotation)
            for index, (field, kind) in rows
            if kind not in field.accepted
        ]

    def hook(data: Any, _: object) -> object:
        values: list[Any]
        if data.__class__ is not dict:
            raise _mismatch("an object", data)
        try:
            values = list(every_field(data))
            complete = len(data) == len(names)
        except KeyError:
            values = list(map(data.get, names))
            complete = False
        invalid: set[str] = set()
        try:
            for i, read, annotation in to_convert(*map(type, values)):
                values[i] = read(values[i], annotation)
        except MismatchError:
            values, invalid = _read_leniently(hooks, data)
        result = model(*values)
        if keeps_extra and (invalid or not complete):
            result.extra = {n: data[n] for n in data if n not in known or n in invalid}
        return result

    return hook


def _read_leniently(
    hooks: list[FieldHook], data: dict[str, object]
) -> tuple[list[object], set[str]]:
    """Read each field separately; return the values, and the names of invalid fields."""
    values: list[object] = []
    invalid: set[str] = set()
    problems: list[tuple[str, str]] = []
    for field in hooks:
        value = data.get(field.name)
        if value.__class__ not in field.accepted:
            try:
                value = field.read(value, field.annotation)
            except MismatchError as error:
                value = None
                if not field.strict:
                    invalid.add(field.name)
                elif field.required and field.name not in data:
                    problems.append((f".{field.name}", "required field missing"))
                else:
                    problems += _below(f".{field.name}", error)
        values.append(value)
    if problems:
        raise MismatchError(problems)
    return values, invalid


def _below(path: str, error: MismatchError) -> list[tuple[str, str]]:
    return [(path + inner, text) for inner, text in error.problems]


def _read_list(annotation: object, converter: Converter) -> Hook:
    (item_type,) = get_args(annotation)
    read = _hook(converter, item_type)
    columns = _columnar_reader(item_type, converter)

    def hook(items: Any, _: object) -> list[object]:
        if items.__class__ is not list:
            raise _mismatch("an array", items)
        if columns is not None and (models := columns.read(items)) is not None:
            return models
        try:
            return [read(item, item_type) for item in items]
        except MismatchError:
            raise _first_problems(items, read, item_type) from None

    return hook


def _columnar_reader(item_type: Any, converter: Converter) -> ColumnarReader | None:
    """Return a reader of many models at once, if ``extra`` is their last field."""
    if not _is_model(item_type) or attrs.fields(item_type)[-1].name != "extra":
        return None
    return ColumnarReader(item_type, list(_field_hooks(item_type, converter)))


def _first_problems(items: list[JSON], read: Hook, item_type: object) -> MismatchError:
    problems: list[tuple[str, str]] = []
    for index, item in enumerate(items):
        try:
            read(item, item_type)
        except MismatchError as error:
            problems += _below(f"[{index}]", error)
            if len(problems) > _MAX_PROBLEMS:
                break
    return MismatchError(problems)


def _read_object(_annotation: object) -> Hook:
    return _object


def _write_model(
    cls: type[attrs.AttrsInstance], converter: Converter
) -> Callable[[object], Mapping[str, object]]:
    return make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True)


def _oauth_token(data: Any, _: object) -> OAuthToken:
    """Read as much as possible, because the refresh token may be the only valid one."""
    if data.__class__ is not dict:
        raise _mismatch("an object", data)
    rest = dict(data)
    try:
        read: dict[str, Any] = {"access_token": _string(rest.pop("access_token", None), str)}
    except MismatchError as error:
        raise MismatchError(_below(".access_token", error)) from None
    for name, kind in _OPTIONAL_OAUTH_FIELDS.items():
        if rest.get(name).__class__ is kind:
            read[name] = rest.pop(name)
    return OAuthToken(**read, extra={name: value for name, value in rest.items() if value})


def _make_converter() -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook(str, _string)
    converter.register_structure_hook(int, _integer)
    converter.register_structure_hook(bool, _boolean)
    converter.register_structure_hook(datetime, _datetime)
    for kind in OpenEnum.__subclasses__():  # one by one: they are str, which has a hook
        converter.register_structure_hook(kind, _open_enum(kind))
    converter.register_structure_hook_factory(_is_union)(_optional)
    converter.register_structure_hook_factory(_is_list)(_read_list)
    converter.register_structure_hook_factory(_is_object)(_read_object)
    converter.register_structure_hook_factory(_is_model)(_read_model)
    converter.register_structure_hook_func(lambda kind: kind is OAuthToken, _oauth_token)
    converter.register_unstructure_hook_factory(attrs.has)(_write_model)
    return converter


_converter = _make_converter()
