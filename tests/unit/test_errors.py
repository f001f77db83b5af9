"""The exceptions: their hierarchy, texts, and copies."""

from __future__ import annotations

import builtins
import copy
import importlib
import json
import pickle
import pkgutil
import re
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import pytest
from support.cases import each_case
from support.sources import for_each

import pinterest_audiences
from pinterest_audiences import _errors
from pinterest_audiences._errors import (
    APIError,
    BadRequestError,
    CallError,
    ConfigurationError,
    DecodeError,
    PinterestAudiencesError,
    RateLimitError,
    RecordError,
    RequestTimeoutError,
    ServerError,
    SourceError,
    Suggestion,
    TransportError,
    WrongEventLoopError,
    error_class,
    suggest,
)
from pinterest_audiences._jobs.job_errors import StateError

CLASSES: dict[str, type[PinterestAudiencesError]] = {
    name: getattr(_errors, name) for name in _errors.__all__
}
CALL = {
    "operation": "customer_lists_get",
    "method": "GET",
    "path": "/ad_accounts/549/customer_lists/643",
    "attempts": 3,
    "maybe_applied": True,
}
ANSWER = {
    "status": 403,
    "code": 29,
    "message": "You are not permitted to access that resource.",
    "request_id": "1234567890",
    "retry_after": 12.5,
    "hint": "ask for a role",
}
COPIES: dict[str, Callable[[BaseException], BaseException]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda error, protocol=protocol: pickle.loads(  # type: ignore[misc]
            pickle.dumps(error, protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}

every_class = each_case("kind", CLASSES.values())


def sample(kind: type[PinterestAudiencesError]) -> PinterestAudiencesError:
    """Create an exception with a distinct value for every attribute."""
    if issubclass(kind, RecordError):
        return kind("holds a comma", index=7)
    if issubclass(kind, SourceError):
        return kind("cut off", source="customers.csv", row=7, offset=512)
    if issubclass(kind, APIError):
        error: PinterestAudiencesError = kind(**ANSWER, **CALL)  # type: ignore[arg-type]
    elif issubclass(kind, DecodeError):
        error = kind(
            ["required field missing @ $.id"],
            status=200,
            request_id="1234567890",
            **CALL,  # type: ignore[arg-type]
        )
    elif issubclass(kind, CallError):
        error = kind("customer_lists_get: failed", **CALL)  # type: ignore[arg-type]
    else:
        error = kind("what happened; what to do")
    if isinstance(error, RateLimitError):
        error.category = "ads_read"
        error.limit = "100, 100;w=1"
    return error


class Drawn(NamedTuple):
    """One class of the tree in the docstring."""

    name: str
    parent: str | None
    mixin: str | None
    status: str


def drawing() -> list[Drawn]:
    """Parse the tree in the module's docstring."""
    line = re.compile(
        r"^    (?P<branch>[ │├└─]*)(?P<name>\w+)(?: \((?P<mixin>\w+)\))?(?P<status>.*)$"
    )
    block = (_errors.__doc__ or "").split("::\n\n")[1].split("\n\n")[0]
    found: list[Drawn] = []
    path: list[str] = []
    for text in block.splitlines():
        match = line.match(text)
        assert match is not None, text
        depth, rest = divmod(len(match["branch"]), 4)
        assert rest == 0, text
        path[depth:] = [match["name"]]
        parent = path[depth - 1] if depth else None
        found.append(Drawn(match["name"], parent, match["mixin"], match["status"].strip()))
    return found


def test_hierarchy_matches_the_tree_in_the_docstring() -> None:
    """Every class below its parent, and no other."""
    drawn = drawing()
    assert sorted(each.name for each in drawn) == sorted(CLASSES)
    for each in drawn:
        above: list[type] = [Exception if each.parent is None else CLASSES[each.parent]]
        if each.mixin is not None:
            above.append(getattr(builtins, each.mixin))
        assert CLASSES[each.name].__bases__ == tuple(above), each.name


def test_statuses_match_the_tree_in_the_docstring() -> None:
    statuses = {each.name: each.status for each in drawing() if re.match(r"\d", each.status)}
    assert statuses.pop("ServerError") == "5xx"
    assert len(statuses) == 6
    for name, status in statuses.items():
        assert error_class(int(status)) is CLASSES[name]


@pytest.mark.parametrize("status", [300, 302, 399, 402, 405, 408, 410, 413, 418, 422, 499])
def test_unknown_status_below_500_is_a_plain_api_error(status: int) -> None:
    assert error_class(status) is APIError


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520, 599, 600, 999])
def test_every_status_from_500_is_a_server_error(status: int) -> None:
    """Also those that only gateways use."""
    assert error_class(status) is ServerError


@for_each(product(CLASSES, COPIES))
def test_copied_or_pickled_error_keeps_class_text_and_attributes(names: tuple[str, str]) -> None:
    kind, copied = CLASSES[names[0]], COPIES[names[1]]
    error = sample(kind)
    error.add_note("while mirroring the shop")
    twin = copied(error)
    assert twin is not error
    assert type(twin) is kind
    assert str(twin) == str(error) != ""
    assert twin.args == error.args
    assert vars(twin) == vars(error)
    assert repr(twin) == repr(error)


def every_class_of_the_package() -> list[type[PinterestAudiencesError]]:
    """Return all exception classes, including those of jobs and uploads."""
    for module in pkgutil.walk_packages(pinterest_audiences.__path__, "pinterest_audiences."):
        if not module.name.endswith(("__main__", "pytest_plugin")):
            importlib.import_module(module.name)
    found: list[type[PinterestAudiencesError]] = [PinterestAudiencesError]
    for kind in found:
        found += [k for k in kind.__subclasses__() if k.__module__.startswith("pinterest_")]
    return list(dict.fromkeys(found))


ALL_CLASSES = every_class_of_the_package()


def any_sample(kind: type[PinterestAudiencesError]) -> PinterestAudiencesError:
    """Create an exception of any class of the package."""
    if kind is StateError:
        return StateError("is damaged", path="jobs.sqlite3")
    return sample(kind)


@each_case("kind", ALL_CLASSES)
def test_error_is_recreated_from_args_after_json(
    kind: type[PinterestAudiencesError],
) -> None:
    """Celery's JSON backend does this: same class and text, and no string instead of a bool."""
    error = any_sample(kind)
    again = kind(*json.loads(json.dumps(error.args)))
    assert type(again) is kind
    assert str(again) == str(error) != ""
    assert again.args == error.args
    assert isinstance(again, PinterestAudiencesError)
    if isinstance(error, CallError):
        assert isinstance(again, CallError)
        assert again.maybe_applied is None
    twin = pickle.loads(pickle.dumps(again))
    assert (type(twin), str(twin), vars(twin)) == (kind, str(error), vars(again))


@pytest.mark.slow
@for_each(product(ALL_CLASSES, COPIES, [True, False, None]))
def test_copied_error_keeps_maybe_applied(
    case: tuple[type[PinterestAudiencesError], str, bool | None],
) -> None:
    """With its text and every attribute, for every class of the package."""
    kind, how, maybe_applied = case
    copied = COPIES[how]
    error = any_sample(kind)
    if isinstance(error, CallError):
        error.maybe_applied = maybe_applied
    twin = copied(error)
    assert type(twin) is kind
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


def test_suggestion_names_python_arguments_or_command_line_flags() -> None:
    """Both from one template, at the end of the text."""
    suggestion = suggest("use {header} and {column}", header=False, column=...)
    error = SourceError("has no header", source="a.csv", param="header", suggestion=suggestion)
    assert str(error) == "a.csv: has no header; use header=False and column="
    assert error.summary == "a.csv: has no header"
    twin = pickle.loads(pickle.dumps(error))
    assert isinstance(twin.suggestion, Suggestion)
    assert twin.suggestion.render(lambda name, _: f"--{name}") == "use --header and --column"
    assert str(SourceError(*error.args)) == str(error)


def test_error_without_a_suggestion_is_its_summary() -> None:
    """For every class."""
    for kind in ALL_CLASSES:
        error = any_sample(kind)
        assert error.suggestion is None
        assert error.summary == str(error)


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (RecordError("is empty", index=2), {"reason": "is empty", "index": 2}),
        (RecordError("must not be empty"), {"reason": "must not be empty", "index": None}),
        (
            SourceError("cut off: here", source="a: b.csv", row=0, offset=5),
            {
                "reason": "cut off: here",
                "source": "a: b.csv",
                "row": 0,
                "offset": 5,
                "param": None,
                "suggestion": None,
            },
        ),
        (StateError("is damaged", path="a.sqlite3"), {"reason": "is damaged", "path": "a.sqlite3"}),
    ],
)
def test_location_of_an_error_survives_json(
    error: PinterestAudiencesError, attributes: dict[str, object]
) -> None:
    """The args contain everything that the text shows."""
    again = type(error)(*json.loads(json.dumps(error.args)))
    assert vars(again) == attributes
    assert str(again) == str(error)


@pytest.mark.parametrize(
    "kind",
    [k for k in ALL_CLASSES if issubclass(k, CallError)],
    ids=lambda kind: kind.__name__,
)
def test_maybe_applied_is_none_unless_given(kind: type[CallError]) -> None:
    """An error created outside this package does not claim that nothing was applied."""
    assert kind("text").maybe_applied is None
    assert kind("text", maybe_applied=False).maybe_applied is False


class ShopError(RateLimitError):
    """A user-defined subclass with another constructor."""

    def __init__(self, *, shop: str) -> None:
        super().__init__(status=429, hint=f"shop {shop} waits")
        self.shop = shop


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_subclass_with_another_constructor_can_be_copied(
    copied: Callable[[BaseException], BaseException],
) -> None:
    """Copying does not call the constructor."""
    twin = copied(ShopError(shop="7"))
    assert isinstance(twin, ShopError)
    assert (twin.shop, twin.status) == ("7", 429)
    assert str(twin) == str(ShopError(shop="7"))


def test_shallow_copy_has_separate_attributes() -> None:
    """A change of the copy leaves the original unchanged."""
    error = sample(BadRequestError)
    twin = copy.copy(error)
    twin.__dict__["status"] = 0
    assert vars(error)["status"] == 403


@every_class
def test_text_and_repr_are_one_line(kind: type[PinterestAudiencesError]) -> None:
    error = sample(kind)
    assert len(str(error).splitlines()) == 1
    assert len(repr(error).splitlines()) == 1


@every_class
def test_every_error_class_has_a_docstring(kind: type[PinterestAudiencesError]) -> None:
    """Not an inherited one."""
    assert kind.__dict__.get("__doc__")


@every_class
def test_base_class_catches_every_error(kind: type[PinterestAudiencesError]) -> None:
    with pytest.raises(PinterestAudiencesError):
        raise sample(kind)
    assert kind.__module__ == "pinterest_audiences._errors"


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ConfigurationError, ValueError),
        (RecordError, ValueError),
        (WrongEventLoopError, RuntimeError),
        (RequestTimeoutError, TimeoutError),
        (RequestTimeoutError, OSError),
    ],
)
def test_builtin_exception_classes_catch_matching_errors(
    kind: type[PinterestAudiencesError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin):
        raise sample(kind)


@pytest.mark.parametrize("kind", [k for k in CLASSES.values() if issubclass(k, CallError)])
def test_call_error_has_operation_method_path_and_attempts(kind: type[CallError]) -> None:
    """And `maybe_applied`."""
    error = sample(kind)
    assert {name: getattr(error, name) for name in CALL} == CALL


@pytest.mark.parametrize("kind", [k for k in CLASSES.values() if issubclass(k, APIError)])
def test_api_error_has_all_fields_of_the_response(kind: type[APIError]) -> None:
    """The text shows them with the next step."""
    error = sample(kind)
    assert {name: getattr(error, name) for name in ANSWER} == ANSWER
    assert str(error) == (
        "customer_lists_get: 403 Forbidden, code 29:"
        ' "You are not permitted to access that resource."'
        " (request id 1234567890, 3 attempts); try again in 12 s; ask for a role"
    )


def test_text_omits_unknown_values() -> None:
    """No "None" and no empty brackets."""
    assert str(APIError(status=499)) == "call: 499"
    assert str(APIError(status=404, attempts=1)) == "call: 404 Not Found"
    error = BadRequestError(status=400)
    assert (error.code, error.message, error.request_id) == (None, "", None)
    assert (error.retry_after, error.hint, error.operation) == (None, "", "")
    assert (error.method, error.path, error.attempts, error.maybe_applied) == ("", "", 0, None)


def test_rate_limit_error_has_category_and_limit() -> None:
    """Also if they were not given."""
    error = RateLimitError(status=429)
    assert (error.category, error.limit) == ("", None)
    assert RateLimitError.category == ""


def test_record_error_has_the_index_and_not_the_record() -> None:
    """Counted from 0, and None if the error does not concern a single record."""
    error = RecordError("is empty", index=2)
    assert str(error) == "record 2 (counted from 0): is empty"
    assert (error.reason, error.index) == ("is empty", 2)
    assert str(RecordError("is empty", index=0)) == "record 0 (counted from 0): is empty"
    assert str(RecordError("there are none")) == "records: there are none"


def test_source_error_has_source_row_and_byte() -> None:
    """If they are known; row 0 counts as known."""
    error = SourceError("cut off", source="customers.csv", row=0, offset=512)
    assert str(error) == "customers.csv, after row 0, at byte 512: cut off"
    assert (error.source, error.row, error.offset) == ("customers.csv", 0, 512)
    assert str(SourceError("cut off")) == "source: cut off"


def test_decode_error_shows_three_problems_and_stores_all() -> None:
    problems = [f"required field missing @ $.items[{index}].id" for index in range(5)]
    error = DecodeError(problems, status=200, request_id="77", operation="customer_lists_list")
    assert error.problems == tuple(problems)
    assert (error.status, error.request_id) == (200, "77")
    assert str(error) == (
        "customer_lists_list: cannot be read: required field missing @ $.items[0].id;"
        " required field missing @ $.items[1].id; required field missing @ $.items[2].id;"
        " and 2 more (status 200, request id 77)"
    )
    assert str(DecodeError(problems[:3])).endswith("$.items[2].id")


def test_decode_error_of_a_change_says_that_it_may_be_applied() -> None:
    """Pinterest responded, so the change may be applied."""
    error = DecodeError(["the body is empty"], maybe_applied=True)
    assert (
        str(error)
        == "response: cannot be read: the body is empty; the change may have been applied"
    )
    assert error.maybe_applied
    assert not DecodeError(["the body is empty"]).maybe_applied


def test_transport_error_text_is_its_message() -> None:
    """Also for a timeout."""
    for kind in (TransportError, RequestTimeoutError):
        error = kind("customer_lists_get: no answer in time", operation="customer_lists_get")
        assert str(error) == "customer_lists_get: no answer in time"
        assert error.args == ("customer_lists_get: no answer in time",)
