"""Switches for what Pinterest has not published: most_records, remove_matches, and their JSON."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs
import pytest
from unit.emulator.conftest import Caller

from pinterest_audiences.emulator import (
    Assumptions,
    Emulator,
    RateLimits,
    RatePolicy,
    read_assumptions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinterest_audiences.emulator import Response

LISTS = "549/customer_lists"
PHONE, OTHER_PHONE, MAID = "1" * 64, "2" * 64, "3" * 32
ADA = {"email": "ada@example.com", "hashed_phone_number": PHONE}
BEN = {"email": "ben@example.com", "hashed_phone_number": OTHER_PHONE}


def rows(*fields: dict[str, str]) -> set[object]:
    return {tuple(sorted(each.items())) for each in fields}


def many(count: int) -> str:
    return ",".join(f"person{number}@example.com" for number in range(count))


def test_any_number_of_records_is_accepted_by_default(call: Caller) -> None:
    """No limit is published."""
    created = call.create(records=many(2_000))
    assert created["num_uploaded_user_records"] == 2_000


@pytest.mark.parametrize("kind", ["records", "records_v2"])
def test_most_records_refuses_larger_requests_with_400(
    new_emulator: Callable[..., Emulator], call: Caller, kind: str
) -> None:
    """Exactly the limit is accepted; one more is refused, and nothing of it is applied."""
    call.emulator = new_emulator(assumptions=Assumptions(most_records=3))

    def body(count: int) -> dict[str, object]:
        people = [{"email": f"person{number}@example.com"} for number in range(count)]
        return {kind: many(count) if kind == "records" else people}

    created = call("POST", LISTS, {"name": "A", **body(3)})
    assert created.status == 200
    path = f"{LISTS}/{call.fields(created)['id']}"
    for method, where, extra in (
        ("POST", LISTS, {"name": "A"}),
        ("PATCH", path, {"operation_type": "ADD"}),
        ("PATCH", path, {"operation_type": "REMOVE"}),
    ):
        refused = call(method, where, {**extra, **body(4)})
        assert (refused.status, call.fields(refused)["code"]) == (400, 1)
        assert "person" not in str(refused.json())
    assert call("GET", path).json() == created.json()
    assert call.emulator.counts()["customer_lists"] == 1
    assert call("PATCH", path, {"operation_type": "REMOVE", **body(3)}).status == 200
    assert call.emulator.members(str(call.fields(created)["id"])) == set()


def test_empty_record_does_not_count_towards_most_records(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Only records count, not commas."""
    call.emulator = new_emulator(assumptions=Assumptions(most_records=2))
    assert call.create(records=",a@example.com,,b@example.com,")["num_batches"] == 1


REMOVALS = [
    # removed, left with "row", left with "any_identifier"
    ([ADA], [BEN], [BEN]),
    ([{"email": "ada@example.com"}], [ADA, BEN], [BEN]),
    ([{"hashed_phone_number": PHONE}], [ADA, BEN], [BEN]),
    ([{**ADA, "hashed_phone_number": "9" * 64}], [ADA, BEN], [BEN]),
    ([{"email": "ada@example.com", "hashed_phone_number": OTHER_PHONE}], [ADA, BEN], []),
    ([{"email": "eve@example.com", "maid": MAID}], [ADA, BEN], [ADA, BEN]),
]


@pytest.mark.parametrize(("removed", "by_row", "by_identifier"), REMOVALS)
def test_remove_matches_decides_what_a_row_removes(
    new_emulator: Callable[..., Emulator],
    removed: list[dict[str, str]],
    by_row: list[dict[str, str]],
    by_identifier: list[dict[str, str]],
) -> None:
    """The remaining members, and the counters, which count what was sent."""
    for assumptions, left in (
        (Assumptions(), by_row),
        (Assumptions(remove_matches="any_identifier"), by_identifier),
    ):
        call = Caller(new_emulator(assumptions=assumptions))
        created = call.fields(call("POST", LISTS, {"name": "A", "records_v2": [ADA, BEN]}))
        sent = {"operation_type": "REMOVE", "records_v2": removed}
        changed = call.fields(call("PATCH", f"{LISTS}/{created['id']}", sent))
        assert changed["num_removed_user_records"] == len(removed)
        assert call.emulator.members(str(created["id"])) == rows(*left)


def test_any_identifier_ignores_ip_address_and_user_agent(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Two people with one IP address are not one person."""
    call.emulator = new_emulator(assumptions=Assumptions(remove_matches="any_identifier"))
    shared = {"ip_address": "192.0.2.1", "user_agent": "Browser"}
    people = [{**ADA, **shared}, {**BEN, **shared}]
    created = call.fields(call("POST", LISTS, {"name": "A", "records_v2": people}))
    sent = {"operation_type": "REMOVE", "records_v2": [people[0]]}
    call("PATCH", f"{LISTS}/{created['id']}", sent)
    assert call.emulator.members(str(created["id"])) == rows(people[1])


def test_any_identifier_matches_between_records_and_rows(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """A record is one identifier, however the member was added."""
    call.emulator = new_emulator(assumptions=Assumptions(remove_matches="any_identifier"))
    created = call.create(records=f"ben@example.com,{PHONE},eve@example.com")
    path = f"{LISTS}/{created['id']}"
    call("PATCH", path, {"operation_type": "ADD", "records_v2": [ADA]})
    call("PATCH", path, {"operation_type": "REMOVE", "records": "ada@example.com"})
    assert call.emulator.members(str(created["id"])) == {
        "ben@example.com",
        PHONE,
        "eve@example.com",
    }
    call("PATCH", path, {"operation_type": "REMOVE", "records_v2": [ADA, BEN]})
    assert call.emulator.members(str(created["id"])) == {"eve@example.com"}


def test_matched_count_is_correct_after_removal_by_identifier(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """100 rows of two identifiers, 51 removed by e-mail alone: too few are left."""
    call.emulator = new_emulator(
        assumptions=Assumptions(remove_matches="any_identifier"), processing_seconds=0.0
    )
    people = [
        {"email": f"p{number}@example.com", "external_id": f"{number}"} for number in range(150)
    ]
    created = call.fields(call("POST", LISTS, {"name": "A", "records_v2": people}))
    assert created["status"] == "READY"
    sent = {"operation_type": "REMOVE", "records": ",".join(each["email"] for each in people[:51])}
    changed = call.fields(call("PATCH", f"{LISTS}/{created['id']}", sent))
    assert changed["status"] == "TOO_SMALL"
    assert len(call.emulator.members(str(created["id"]))) == 99


def test_json_has_every_switch_except_the_function() -> None:
    """The defaults of `Assumptions` can be written and read back."""
    defaults = attrs.asdict(Assumptions())
    assert defaults.pop("is_valid_record") is None
    assert read_assumptions(defaults) == Assumptions()
    assert read_assumptions({}) == Assumptions()
    chosen = {"most_records": 1_900, "remove_matches": "any_identifier"}
    assert read_assumptions(chosen) == Assumptions(
        most_records=1_900, remove_matches="any_identifier"
    )


PAGE = Path(__file__).parents[3] / "docs" / "emulator-fidelity.md"
with_page = pytest.mark.skipif(not PAGE.exists(), reason="docs/emulator-fidelity.md is not here")


@with_page
def test_documentation_lists_every_switch_and_default() -> None:
    """docs/emulator-fidelity.md ends with the table of switches."""
    rows = PAGE.read_text(encoding="utf-8").partition("## All switches of `Assumptions`")[2]
    assert re.findall(r"^\| `(\w+)` \| `(.+)` \|$", rows, re.MULTILINE) == [
        (field.name, repr(field.default)) for field in attrs.fields(Assumptions)
    ]


@with_page
def test_documentation_has_evidence_in_every_row() -> None:
    """Recorded, described, reported, assumed, or ours."""
    rows = re.findall(r"^\| .+ \| (.+) \| .*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 60
    tags = {"recorded", "described", "reported", "assumed", "ours", "own behavior", "evidence"}
    assert [row for row in rows if not any(tag in row for tag in tags)] == []


@pytest.mark.parametrize(
    ("decoded", "message"),
    [
        (["most_records"], "must be a JSON object"),
        (None, "must be a JSON object"),
        ({"most_record": 5}, "most_record is not one of: .*most_records"),
        ({"is_valid_record": None}, "is_valid_record is not one of"),
        ({"most_records": "5"}, "most_records must be a whole number of at least 1"),
        ({"most_records": 5.0}, "most_records must be a whole number"),
        ({"remove_matches": ["row"]}, "remove_matches must be one of: row, any_identifier"),
        ({"users_consent": 1}, "users_consent must be true or false"),
    ],
)
def test_invalid_switches_are_refused(decoded: object, message: str) -> None:
    """The error names the switch and its allowed values."""
    with pytest.raises(ValueError, match=message):
        read_assumptions(decoded)


def test_most_body_bytes_refuses_larger_bodies_with_413(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Exactly the limit is accepted; one byte more is refused."""
    body = b'{"name":"A","records":"a@example.com"}'
    call.emulator = new_emulator(assumptions=Assumptions(most_body_bytes=len(body)))
    created = call("POST", LISTS, body=body)
    assert created.status == 200
    refused = call("POST", LISTS, body=body + b" ")
    assert (refused.status, call.fields(refused)["code"]) == (413, 413)
    path = f"{LISTS}/{call.fields(created)['id']}"
    sent = {"operation_type": "REMOVE", "records": "person@example.com"}
    assert call("PATCH", path, sent).status == 413


@pytest.mark.parametrize(
    ("line_breaks", "members"),
    [
        ("record", {"a@example.com\nb@example.com"}),
        ("separator", {"a@example.com", "b@example.com"}),
        ("refuse", None),
    ],
)
def test_line_breaks_decides_how_a_line_break_in_records_is_read(
    new_emulator: Callable[..., Emulator], call: Caller, line_breaks: str, members: set[str] | None
) -> None:
    """As a part of a record, as a comma, or not at all."""
    call.emulator = new_emulator(
        assumptions=Assumptions(line_breaks=line_breaks)  # type: ignore[arg-type]
    )
    response = call("POST", LISTS, {"name": "A", "records": "a@example.com\nb@example.com"})
    if members is None:
        assert (response.status, call.fields(response)["code"]) == (400, 1)
        return
    created = call.fields(response)
    assert created["num_uploaded_user_records"] == len(members)
    assert call.emulator.members(str(created["id"])) == members


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"records": "a@example.com,junk"}, 400),
        ({"records": f"a@example.com,{PHONE}"}, 200),
        ({"records": "junk", "list_type": "LR_ID"}, 200),
    ],
)
def test_invalid_records_refuses_requests_with_junk(
    new_emulator: Callable[..., Emulator], call: Caller, fields: dict[str, str], status: int
) -> None:
    """By default they are accepted."""
    assert call("POST", LISTS, {"name": "A", **fields}).status == 200
    call.emulator = new_emulator(assumptions=Assumptions(invalid_records="refuse"))
    assert call("POST", LISTS, {"name": "A", **fields}).status == status


@pytest.mark.parametrize(
    ("assumptions", "created", "added", "removed"),
    [
        (Assumptions(), (2, 0, 1), (4, 0, 2), (4, 3, 3)),
        (Assumptions(counters="changed"), (1, 0, 1), (2, 0, 2), (2, 1, 3)),
        (Assumptions(batches_per_update=0), (2, 0, 1), (4, 0, 1), (4, 3, 1)),
    ],
)
def test_counters_and_batches_per_update_decide_what_is_counted(
    new_emulator: Callable[..., Emulator],
    assumptions: Assumptions,
    created: tuple[int, ...],
    added: tuple[int, ...],
    removed: tuple[int, ...],
) -> None:
    """A repeated record is created; a member and a new one are added; one of three is removed."""
    call = Caller(new_emulator(assumptions=assumptions))
    response = call("POST", LISTS, {"name": "A", "records": "a@example.com,a@example.com"})
    path = f"{LISTS}/{call.fields(response)['id']}"
    assert counters(call, response) == created
    add = {"operation_type": "ADD", "records": "a@example.com,b@example.com"}
    assert counters(call, call("PATCH", path, add)) == added
    remove = {"operation_type": "REMOVE", "records": "b@example.com,c@example.com,d@example.com"}
    assert counters(call, call("PATCH", path, remove)) == removed


def counters(call: Caller, response: Response) -> tuple[object, ...]:
    fields = call.fields(response)
    names = ("num_uploaded_user_records", "num_removed_user_records", "num_batches")
    return tuple(fields[name] for name in names)


@pytest.mark.parametrize(
    ("rows_count_as", "counters_of", "uploaded"),
    [("one", "sent", 3), ("identifiers", "sent", 5), ("identifiers", "changed", 3)],
)
def test_rows_count_as_one_or_as_their_identifiers(
    new_emulator: Callable[..., Emulator],
    call: Caller,
    rows_count_as: str,
    counters_of: str,
    uploaded: int,
) -> None:
    """A row of two identifiers, sent twice, and one of an e-mail and an IP address."""
    call.emulator = new_emulator(
        assumptions=Assumptions(rows_count_as=rows_count_as, counters=counters_of)  # type: ignore[arg-type]
    )
    people = [ADA, ADA, {"email": "eve@example.com", "ip_address": "192.0.2.1"}]
    created = call.fields(call("POST", LISTS, {"name": "A", "records_v2": people}))
    assert created["num_uploaded_user_records"] == uploaded


@pytest.mark.parametrize(
    ("after", "status"), [("PROCESSING", "PROCESSING"), ("unchanged", "TOO_SMALL")]
)
def test_status_after_update_of_a_processed_list(
    new_emulator: Callable[..., Emulator], call: Caller, after: str, status: str
) -> None:
    """A list that is PROCESSING stays so in both cases."""
    call.emulator = new_emulator(
        assumptions=Assumptions(status_after_update=after),  # type: ignore[arg-type]
        processing_seconds=60,
    )
    path = f"{LISTS}/{call.create()['id']}"
    add = {"operation_type": "ADD", "records": "b@example.com"}
    assert call.fields(call("PATCH", path, add))["status"] == "PROCESSING"
    call.emulator.advance(seconds=60)
    assert call.fields(call("PATCH", path, add))["status"] == status
    assert call.fields(call("GET", path))["status"] == status


@pytest.mark.parametrize(("form", "value"), [("object", {}), ("list", []), ("null", None)])
def test_exceptions_of_a_list_without_any(
    new_emulator: Callable[..., Emulator], call: Caller, form: str, value: object
) -> None:
    """In every answer with a list."""
    call.emulator = new_emulator(
        assumptions=Assumptions(exceptions=form)  # type: ignore[arg-type]
    )
    assert call.create()["exceptions"] == value


@pytest.mark.parametrize("form", ["object", "list"])
def test_changed_exceptions_of_a_list_are_not_shared(
    new_emulator: Callable[..., Emulator], form: str
) -> None:
    """Neither with another emulator nor with another call."""
    for _ in range(2):
        emulator = new_emulator(
            assumptions=Assumptions(exceptions=form)  # type: ignore[arg-type]
        )
        (list_id,) = emulator.seed_lists("549755885175", 1)
        for _ in range(2):
            shown = emulator.customer_list(list_id)["exceptions"]
            assert shown in ({}, [])
            if isinstance(shown, dict):
                shown["code"] = 1
            else:
                assert isinstance(shown, list)
                shown.append(1)


def test_foreign_bookmarks_are_accepted_as_a_position(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """A bookmark of the other order continues from the same list; junk is refused as always."""
    for assumptions, status in (
        (Assumptions(), 400),
        (Assumptions(foreign_bookmarks="accept"), 200),
    ):
        call.emulator = new_emulator(assumptions=assumptions)
        first, *_ = call.emulator.seed_lists("549", 3)
        page = call.fields(call("GET", LISTS, query="page_size=2&order=ASCENDING"))
        bookmark = quote(str(page["bookmark"]), safe="")
        other = call("GET", LISTS, query=f"order=DESCENDING&bookmark={bookmark}")
        assert other.status == status
        if status == 200:
            assert [item["id"] for item in other.json()["items"]] == [first]  # type: ignore[index]
        assert call("GET", LISTS, query="bookmark=junk").status == 400


def test_last_bookmark_is_null_or_absent(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """A page with a next one has a bookmark in both cases."""
    call.emulator.seed_lists("549", 2)
    assert call.fields(call("GET", LISTS))["bookmark"] is None
    call.emulator = new_emulator(assumptions=Assumptions(last_bookmark="absent"))
    call.emulator.seed_lists("549", 2)
    assert "bookmark" not in call.fields(call("GET", LISTS))
    assert call.fields(call("GET", LISTS, query="page_size=1"))["bookmark"]


def test_unique_audience_names_refuse_a_second_one(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """With 400; another account may use the name, and a removed audience frees it."""
    call.emulator = new_emulator(assumptions=Assumptions(audience_names="unique"))
    body = {"name": "A", "audience_type": "ENGAGEMENT", "rule": {"engager_type": 1}}
    created = call.fields(call("POST", "549/audiences", body))
    refused = call("POST", "549/audiences", body)
    assert (refused.status, call.fields(refused)["code"]) == (400, 400)
    assert call("POST", "550/audiences", body).status == 200
    call("PATCH", f"549/audiences/{created['id']}", {"operation_type": "REMOVE"})
    assert call("POST", "549/audiences", body).status == 200


def test_removed_audiences_can_stay_readable(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """It is in no listing, can be removed again, and is gone after a restore."""
    call.emulator = new_emulator(assumptions=Assumptions(removed_audiences="readable"))
    (removed,) = call.emulator.seed_audiences("549", 1)
    path = f"549/audiences/{removed}"
    for _ in range(2):
        assert call("PATCH", path, {"operation_type": "REMOVE"}).status == 200
        assert call.fields(call("GET", path))["id"] == removed
        assert call.fields(call("GET", "549/audiences"))["items"] == []
    call.emulator.restore(call.emulator.snapshot())
    assert call("GET", path).status == 404


def test_rate_headers_in_other_forms_and_retry_after(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """A number, a Unix time, and `Retry-After` in a 429 only."""
    assumptions = Assumptions(rate_limit_header="number", rate_limit_reset="time", retry_after=True)
    limits = RateLimits(ads_read=RatePolicy(1, 60))
    call.emulator = new_emulator(assumptions=assumptions, rate_limits=limits)
    allowed, refused = call("GET", LISTS), call("GET", LISTS)
    assert (allowed.status, refused.status) == (200, 429)
    assert refused.header("x-ratelimit-limit") == "1"
    minute_ends = 1_700_000_040  # the clock of these tests begins at second 20 of a minute
    assert refused.header("x-ratelimit-reset") == str(minute_ends)
    assert (allowed.header("retry-after"), refused.header("retry-after")) == (None, "40")
