"""What the exceptions promise: a tree as drawn, texts that help, and copies that are whole."""

from __future__ import annotations

import builtins
import copy
import pickle
import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from pinterest_audiences import errors
from pinterest_audiences.errors import (
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
    TransportError,
    WrongEventLoopError,
    error_class,
)

CLASSES: dict[str, type[PinterestAudiencesError]] = {
    name: getattr(errors, name) for name in errors.__all__
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

every_class = pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)


def sample(kind: type[PinterestAudiencesError]) -> PinterestAudiencesError:
    """Make an instance with every attribute set to something of its own."""
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
    """One class of the drawing."""

    name: str
    parent: str | None
    mixin: str | None
    told: str


def drawing() -> list[Drawn]:
    """Read the tree in the module's docstring."""
    line = re.compile(
        r"^    (?P<branch>[ │├└─]*)(?P<name>\w+)(?: \((?P<mixin>\w+)\))?(?P<told>.*)$"
    )
    block = (errors.__doc__ or "").split("::\n\n")[1].split("\n\n")[0]
    found: list[Drawn] = []
    path: list[str] = []
    for text in block.splitlines():
        match = line.match(text)
        assert match is not None, text
        depth, rest = divmod(len(match["branch"]), 4)
        assert rest == 0, text
        path[depth:] = [match["name"]]
        parent = path[depth - 1] if depth else None
        found.append(Drawn(match["name"], parent, match["mixin"], match["told"].strip()))
    return found


def test_the_tree_is_as_drawn() -> None:
    """The drawing in the docstring shows every class below its parent, and no other."""
    drawn = drawing()
    assert sorted(each.name for each in drawn) == sorted(CLASSES)
    for each in drawn:
        above: list[type] = [Exception if each.parent is None else CLASSES[each.parent]]
        if each.mixin is not None:
            above.append(getattr(builtins, each.mixin))
        assert CLASSES[each.name].__bases__ == tuple(above), each.name


def test_the_statuses_are_as_drawn() -> None:
    """The statuses in the drawing are those that the classes are chosen for."""
    statuses = {each.name: each.told for each in drawing() if re.match(r"\d", each.told)}
    assert statuses.pop("ServerError") == "5xx"
    assert len(statuses) == 6
    for name, status in statuses.items():
        assert error_class(int(status)) is CLASSES[name]


@pytest.mark.parametrize("status", [300, 302, 399, 402, 405, 408, 410, 413, 418, 422, 499])
def test_an_unknown_status_below_500_is_a_plain_api_error(status: int) -> None:
    """No class is guessed for a status that has none."""
    assert error_class(status) is APIError


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520, 599, 600, 999])
def test_every_status_from_500_on_is_a_server_error(status: int) -> None:
    """Those that only a gateway knows, too."""
    assert error_class(status) is ServerError


@every_class
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_is_whole(
    kind: type[PinterestAudiencesError], copied: Callable[[BaseException], BaseException]
) -> None:
    """Copied or pickled, an exception keeps its class, its text and every attribute."""
    error = sample(kind)
    error.add_note("while mirroring the shop")
    twin = copied(error)
    assert twin is not error
    assert type(twin) is kind
    assert str(twin) == str(error) != ""
    assert twin.args == error.args
    assert vars(twin) == vars(error)
    assert repr(twin) == repr(error)


class ShopError(RateLimitError):
    """A caller's own kind, with a constructor of its own."""

    def __init__(self, *, shop: str) -> None:
        super().__init__(status=429, hint=f"shop {shop} waits")
        self.shop = shop


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_subclass_with_another_constructor_can_be_copied(
    copied: Callable[[BaseException], BaseException],
) -> None:
    """Copying never calls the constructor, so none has to fit."""
    twin = copied(ShopError(shop="7"))
    assert isinstance(twin, ShopError)
    assert (twin.shop, twin.status) == ("7", 429)
    assert str(twin) == str(ShopError(shop="7"))


def test_a_shallow_copy_does_not_share_its_attributes() -> None:
    """To change the copy leaves the original alone."""
    error = sample(BadRequestError)
    twin = copy.copy(error)
    twin.__dict__["status"] = 0
    assert vars(error)["status"] == 403


@every_class
def test_a_text_is_one_line(kind: type[PinterestAudiencesError]) -> None:
    """A text fits a log line, and so does the repr."""
    error = sample(kind)
    assert len(str(error).splitlines()) == 1
    assert len(repr(error).splitlines()) == 1


@every_class
def test_every_class_is_told_in_a_docstring(kind: type[PinterestAudiencesError]) -> None:
    """Its own docstring says when it comes, not the one of the class above."""
    assert kind.__dict__.get("__doc__")


@every_class
def test_whatever_fails_is_caught_by_the_base(kind: type[PinterestAudiencesError]) -> None:
    """One except clause is enough; the package's errors are nobody else's."""
    with pytest.raises(PinterestAudiencesError):
        raise sample(kind)
    assert kind.__module__ == "pinterest_audiences.errors"


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
def test_the_builtin_kinds_catch_them_too(
    kind: type[PinterestAudiencesError], builtin: type[Exception]
) -> None:
    """A caller who knows Python's own exceptions is right."""
    with pytest.raises(builtin):
        raise sample(kind)


@pytest.mark.parametrize("kind", [k for k in CLASSES.values() if issubclass(k, CallError)])
def test_a_failed_call_says_which(kind: type[CallError]) -> None:
    """Operation, method, path, attempts and maybe_applied are on every failed call."""
    error = sample(kind)
    assert {name: getattr(error, name) for name in CALL} == CALL


@pytest.mark.parametrize("kind", [k for k in CLASSES.values() if issubclass(k, APIError)])
def test_an_answer_of_pinterests_is_all_there(kind: type[APIError]) -> None:
    """The attributes hold what came, and the text tells it with what to do next."""
    error = sample(kind)
    assert {name: getattr(error, name) for name in ANSWER} == ANSWER
    assert str(error) == (
        "customer_lists_get: 403 Forbidden, code 29:"
        ' "You are not permitted to access that resource."'
        " (request id 1234567890, 3 attempts); try again in 12 s; ask for a role"
    )


def test_a_text_leaves_out_what_is_not_known() -> None:
    """No "None" and no empty brackets stand in a text."""
    assert str(APIError(status=499)) == "call: 499"
    assert str(APIError(status=404, attempts=1)) == "call: 404 Not Found"
    error = BadRequestError(status=400)
    assert (error.code, error.message, error.request_id) == (None, "", None)
    assert (error.retry_after, error.hint, error.operation) == (None, "", "")
    assert (error.method, error.path, error.attempts, error.maybe_applied) == ("", "", 0, False)


def test_a_rate_limit_error_knows_its_category() -> None:
    """The two that only a 429 has are there even when nobody set them."""
    error = RateLimitError(status=429)
    assert (error.category, error.limit) == ("", None)
    assert RateLimitError.category == ""


def test_a_record_error_tells_where_and_not_what() -> None:
    """The place is counted from 0, and absent when the fault is not one record's."""
    error = RecordError("is empty", index=2)
    assert str(error) == "record 2 (counted from 0): is empty"
    assert (error.reason, error.index) == ("is empty", 2)
    assert str(RecordError("is empty", index=0)) == "record 0 (counted from 0): is empty"
    assert str(RecordError("there are none")) == "records: there are none"


def test_a_source_error_tells_how_far_it_came() -> None:
    """Source, row and byte where they are known; row 0 is known too."""
    error = SourceError("cut off", source="customers.csv", row=0, offset=512)
    assert str(error) == "customers.csv, after row 0, at byte 512: cut off"
    assert (error.source, error.row, error.offset) == ("customers.csv", 0, 512)
    assert str(SourceError("cut off")) == "source: cut off"


def test_a_decode_error_tells_the_first_problems() -> None:
    """Three are shown, all are kept."""
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


def test_a_decode_error_of_a_change_says_that_it_may_have_been_made() -> None:
    """The change was answered, if unreadably: the caller must not think it undone."""
    error = DecodeError(["the body is empty"], maybe_applied=True)
    assert (
        str(error)
        == "answer: cannot be read: the body is empty; the change itself may have been made"
    )
    assert error.maybe_applied
    assert not DecodeError(["the body is empty"]).maybe_applied


def test_a_transport_error_is_its_own_text() -> None:
    """What the session says is what is shown, for a time-out too."""
    for kind in (TransportError, RequestTimeoutError):
        error = kind("customer_lists_get: no answer in time", operation="customer_lists_get")
        assert str(error) == "customer_lists_get: no answer in time"
        assert error.args == ("customer_lists_get: no answer in time",)
