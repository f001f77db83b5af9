"""Switches for the behavior that Pinterest has not published.

Each has a default, because the emulator must do something. A client that works only with the
defaults has been tested against assumptions, not against Pinterest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinterest_audiences.emulator._paging import Order

    _Validator = Callable[[object, attrs.Attribute[Any], object], None]

RemoveMatches = Literal["row", "any_identifier"]
"""Which members a REMOVE of a row with several identifiers removes from a list."""

LineBreaks = Literal["record", "separator", "refuse"]
"""How line breaks in `records` are read."""


def _one_of(*choices: object) -> _Validator:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or value not in choices:
            words = ", ".join(map(str, choices))
            raise ValueError(f"{attribute.name} must be one of: {words}")

    return check


def _whole_number(minimum: int | None = None, *, optional: bool = False) -> _Validator:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and optional:
            return
        is_int = isinstance(value, int) and not isinstance(value, bool)
        if not is_int or (minimum is not None and cast("int", value) < minimum):
            least = "" if minimum is None else f" of at least {minimum}"
            raise ValueError(f"{attribute.name} must be a whole number{least}")

    return check


def _flag(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{attribute.name} must be true or false")  # noqa: TRY004 - as others


@attrs.frozen(kw_only=True)
class Assumptions:
    """How the emulator behaves where Pinterest's description is silent.

    Attributes:
        default_order: The order of lists, audiences and segments when none is requested.
            ASCENDING was recorded.
        not_found_code: Pinterest's code in the 404 of an account, list, audience or upload.
        most_records: How many records or rows a create or an update may have; more are refused
            with 400. None for no limit. 1,900 is the only number that third parties report.
        most_body_bytes: How many bytes the body of a create or an update may have; more are
            refused with 413. None for no limit but that of the emulator itself.
        line_breaks: Line breaks in `records`: a part of the "record", a "separator" as commas are,
            or "refuse" for 400.
        invalid_records: Records that are neither a digest nor have an "@": "accept", or "refuse"
            the whole request with 400. Lists of type LR_ID and DLX_ID accept any.
        counters: What the counters of a list count: the records that were "sent", or those that
            "changed" its members.
        rows_count_as: What a row counts as: one, or as many as it has "identifiers".
        batches_per_update: By how much an update raises `num_batches`.
        status_after_update: The status of a READY or TOO_SMALL list after an update: PROCESSING,
            or "unchanged".
        exceptions: The `exceptions` of a list without any: an empty "object", an empty "list", or
            "null".
        foreign_bookmarks: A bookmark of another order: "refuse" with 400, or "accept" it as the
            position to continue from.
        last_bookmark: The bookmark of the last page: "null", or "absent".
        remove_matches: Which members a REMOVE of a row removes: "row" only those that were
            added as the same row, "any_identifier" every member that shares an identifier with
            it. A record counts as one identifier; an IP address and a user agent do not count.
        refused_requests_count: Whether a request answered with 429 counts against its limits.
        rate_limit_header: The form of `x-ratelimit-limit`: with all "policies", or the "number" of
            the binding one alone.
        rate_limit_reset: The form of `x-ratelimit-reset`: "seconds" to wait, or the Unix "time".
        retry_after: Whether a 429 has the header `Retry-After` as well.
        refuse_small_audiences: Whether audiences/create refuses a list with fewer than 100
            matched members, instead of creating an audience that is TOO_SMALL.
        size_while_initializing: The size of an audience that is INITIALIZING: 0, which was
            recorded, or None.
        other_audience_size: The size of an audience that is not made of a customer list.
        audience_names: Whether an account may "repeat" the name of an audience, or names must be
            "unique" and another one is refused with 400.
        removed_audiences: What audiences/get answers for a removed audience: a 404 ("not_found"),
            or the audience ("readable").
        presigned_seconds: How long the URL for a part of an upload is valid.
        smallest_part_bytes: The minimum size of every part of an upload but the last. 5 MB is
            published; a test may use less.
        second_run: What customer_list_uploads/run answers the second time: the unchanged upload,
            or a 400.
        bad_upload: The result of a run whose parts are missing, empty or too small: it is refused
            with 400, or the upload ends as FAILED.
        is_valid_record: Returns whether a record of an upload is valid; None accepts digests of 32,
            40 or 64 digits and addresses with an "@", and for LR_ID and DLX_ID lists anything.
        access_token_seconds: The lifetime of an access token. Clients observed 30 days.
        refresh_token_seconds: The lifetime of a refresh token. 60 days are published.
        code_seconds: The lifetime of an authorization code.
        refresh_tokens_rotate: Whether a refresh returns a new refresh token and revokes the old
            one; otherwise the old one stays valid.
        invalid_grant_status: The status for a code or refresh token that is not, or no longer,
            valid: 401 with code 283, as clients observed for refresh tokens, or 400 with code 1.
        revocable: Which tokens may be revoked: only those of system users, as published, or any.
        users_consent: Whether a user on the login page authorizes the app.
    """

    default_order: Order = attrs.field(
        default="ASCENDING", validator=_one_of("ASCENDING", "DESCENDING")
    )
    not_found_code: int = attrs.field(default=404, validator=_whole_number())
    most_records: int | None = attrs.field(
        default=None, validator=_whole_number(minimum=1, optional=True)
    )
    most_body_bytes: int | None = attrs.field(
        default=None, validator=_whole_number(minimum=1, optional=True)
    )
    line_breaks: LineBreaks = attrs.field(
        default="record", validator=_one_of("record", "separator", "refuse")
    )
    invalid_records: Literal["accept", "refuse"] = attrs.field(
        default="accept", validator=_one_of("accept", "refuse")
    )
    counters: Literal["sent", "changed"] = attrs.field(
        default="sent", validator=_one_of("sent", "changed")
    )
    rows_count_as: Literal["one", "identifiers"] = attrs.field(
        default="one", validator=_one_of("one", "identifiers")
    )
    batches_per_update: int = attrs.field(default=1, validator=_whole_number(minimum=0))
    status_after_update: Literal["PROCESSING", "unchanged"] = attrs.field(
        default="PROCESSING", validator=_one_of("PROCESSING", "unchanged")
    )
    exceptions: Literal["object", "list", "null"] = attrs.field(
        default="object", validator=_one_of("object", "list", "null")
    )
    foreign_bookmarks: Literal["refuse", "accept"] = attrs.field(
        default="refuse", validator=_one_of("refuse", "accept")
    )
    last_bookmark: Literal["null", "absent"] = attrs.field(
        default="null", validator=_one_of("null", "absent")
    )
    remove_matches: RemoveMatches = attrs.field(
        default="row", validator=_one_of("row", "any_identifier")
    )
    refused_requests_count: bool = attrs.field(default=False, validator=_flag)
    rate_limit_header: Literal["policies", "number"] = attrs.field(
        default="policies", validator=_one_of("policies", "number")
    )
    rate_limit_reset: Literal["seconds", "time"] = attrs.field(
        default="seconds", validator=_one_of("seconds", "time")
    )
    retry_after: bool = attrs.field(default=False, validator=_flag)
    refuse_small_audiences: bool = attrs.field(default=False, validator=_flag)
    size_while_initializing: int | None = attrs.field(
        default=0, validator=_whole_number(minimum=0, optional=True)
    )
    other_audience_size: int = attrs.field(default=10_000, validator=_whole_number(minimum=0))
    audience_names: Literal["repeat", "unique"] = attrs.field(
        default="repeat", validator=_one_of("repeat", "unique")
    )
    removed_audiences: Literal["not_found", "readable"] = attrs.field(
        default="not_found", validator=_one_of("not_found", "readable")
    )
    presigned_seconds: int = attrs.field(default=3_600, validator=_whole_number(minimum=1))
    smallest_part_bytes: int = attrs.field(
        default=5 * 1024 * 1024, validator=_whole_number(minimum=1)
    )
    second_run: Literal["answer", "refuse"] = attrs.field(
        default="answer", validator=_one_of("answer", "refuse")
    )
    bad_upload: Literal["refuse", "fail"] = attrs.field(
        default="refuse", validator=_one_of("refuse", "fail")
    )
    is_valid_record: Callable[[str], bool] | None = None
    access_token_seconds: int = attrs.field(default=2_592_000, validator=_whole_number(minimum=1))
    refresh_token_seconds: int = attrs.field(default=5_184_000, validator=_whole_number(minimum=1))
    code_seconds: int = attrs.field(default=600, validator=_whole_number(minimum=1))
    refresh_tokens_rotate: bool = attrs.field(default=True, validator=_flag)
    invalid_grant_status: Literal[400, 401] = attrs.field(default=401, validator=_one_of(400, 401))
    revocable: Literal["system_users", "any"] = attrs.field(
        default="system_users", validator=_one_of("system_users", "any")
    )
    users_consent: bool = attrs.field(default=True, validator=_flag)


def read_assumptions(decoded: object) -> Assumptions:
    """Read switches from JSON.

    Args:
        decoded: An object whose names are attributes of `Assumptions`; `is_valid_record` is a
            function, which JSON cannot hold.

    Returns:
        The switches; those that are not given have their defaults.

    Raises:
        ValueError: When it is not an object, or a name or value is not allowed.

    Example:
        >>> read_assumptions({"most_records": 1900}).most_records
        1900
    """
    if not isinstance(decoded, dict):
        raise ValueError("must be a JSON object of switches")  # noqa: TRY004 - as other JSON
    switches = cast("dict[str, object]", decoded)
    names = {field.name for field in attrs.fields(Assumptions)} - {"is_valid_record"}
    unknown = sorted(switches.keys() - names)
    if unknown:
        raise ValueError(f"{unknown[0]} is not one of: {', '.join(sorted(names))}")
    return Assumptions(**cast("dict[str, Any]", switches))
