"""`verify_api`: differences from the emulator that it finds, what it leaves, and its report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import anyio
import httpx
import pytest
from attrs import evolve, fields, frozen
from support.clock import FakeClock

from pinterest_audiences import (
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    Client,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    ProbeResult,
    StaticToken,
    Token,
    TokenStoreError,
    TransportError,
    VerificationReport,
)
from pinterest_audiences._config import Settings
from pinterest_audiences._live_check import probes, verification
from pinterest_audiences._live_check.observer import COUNTED, MARKER, MAX_REQUESTS
from pinterest_audiences._live_check.probes import PROBES
from pinterest_audiences.emulator import (
    Assumptions,
    Emulator,
    Fault,
    FaultKind,
    RateLimits,
    RatePolicy,
    Request,
)

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
PROCESSING_SECONDS = 3600.0
USER_ACCOUNT = Request(
    method="GET", path="/v5/user_account", headers={"Authorization": "Bearer token"}
)


def new_emulator(clock: FakeClock, **settings: object) -> Emulator:
    chosen = {"clock": clock.time, "processing_seconds": PROCESSING_SECONDS, **settings}
    return Emulator(**chosen)  # type: ignore[arg-type]  # settings are checked by Emulator


async def check(
    emulator: Emulator, clock: FakeClock, on_probe: Callable[[ProbeResult], None] | None = None
) -> VerificationReport:
    transport = emulator.transport(sleep=clock.sleep)
    async with AsyncClient("token", transport=transport, clock=clock) as client:
        report = await client.verify_api(ACCOUNT, on_probe=on_probe)
    assert report.api == "another server"
    return report


async def check_twice(emulator: Emulator, clock: FakeClock) -> dict[str, ProbeResult]:
    """Check a new list, and once more when it is processed; return the answers of both checks."""
    answers: dict[str, ProbeResult] = {}
    for _ in range(2):
        for _ in range(100):  # another program uses up the limit of this second
            emulator.handle(USER_ACCOUNT)
        spent = emulator.counts()["requests"]
        report = await check(emulator, clock)
        assert report.requests == emulator.counts()["requests"] - spent <= MAX_REQUESTS
        assert_clean(emulator)
        answers |= {each.name: each for each in report.results if each.verdict != "unanswered"}
        clock.advance(2 * PROCESSING_SECONDS)
    return answers


def lists_of_checks(emulator: Emulator) -> list[str]:
    lists = emulator.overview()["customer_lists"]
    return [str(each["id"]) for each in lists if each["name"] == MARKER]


def assert_clean(emulator: Emulator) -> None:
    """Expect one list of the check without members, and no audience of it."""
    (list_id,) = lists_of_checks(emulator)
    assert emulator.members(list_id) == frozenset()
    audiences = emulator.overview()["audiences"]
    assert [each for each in audiences if MARKER in str(each["name"])] == []


def assert_clean_or_reported(emulator: Emulator, report: VerificationReport) -> None:
    """Expect that the list has no members, or that the report says that it may have some."""
    (list_id,) = lists_of_checks(emulator)
    assert emulator.members(list_id) == frozenset() or reports_records(report)


def reports_records(report: VerificationReport) -> bool:
    assert set(report.unremoved) <= set(report.remains)
    return "made-up records" in str(report.unremoved)


def updates(
    operation_type: str, *, has: str = "", above: int = 0, longer: int = 0
) -> Callable[[Request], bool]:
    """Return a predicate for updates, by a text of their body, and number and length of records."""

    def matches(request: Request) -> bool:
        if request.method not in ("PATCH", "POST") or b"operation_type" not in request.body:
            return False
        body = json.loads(request.body)
        records = (body.get("records") or "").split(",")
        return (
            body["operation_type"] == operation_type
            and has in request.body.decode()
            and len(records) > above
            and len(records[0]) >= longer
        )

    return matches


@frozen
class Difference:
    """One planted difference: settings of the emulator, and what the check observes."""

    observed: Mapping[str, str]
    assumptions: Mapping[str, object] = {}
    settings: Mapping[str, object] = {}
    fault: Mapping[str, object] = {}


DIFFERENCES = {
    "order": Difference(
        {"default_order_of_lists": "DESCENDING", "default_order_of_audiences": "DESCENDING"},
        {"default_order": "DESCENDING"},
    ),
    "not_found_code": Difference(
        {"list_not_found": "404, code 50", "audience_not_found": "404, code 50"},
        {"not_found_code": 50},
    ),
    "records": Difference(
        {
            "batch_sizes": "1,900 records of 64 characters accepted, 1,901 refused (400, code 1); "
            "the limit is in records"
        },
        {"most_records": 1_900},
    ),
    "status": Difference(
        {"status_after_update": "unchanged"}, {"status_after_update": "unchanged"}
    ),
    "counters": Difference(
        {"uploaded_counter": "changed", "removed_counter": "changed"}, {"counters": "changed"}
    ),
    "batches": Difference({"batches_per_update": "0"}, {"batches_per_update": 0}),
    "rows": Difference({"rows_count_as": "identifiers"}, {"rows_count_as": "identifiers"}),
    # A record with a line break is neither an address nor a hash.
    "invalid_records": Difference(
        {"invalid_records": "refuse", "line_breaks": "refuse"}, {"invalid_records": "refuse"}
    ),
    "line_breaks": Difference({"line_breaks": "separator"}, {"line_breaks": "separator"}),
    "small_audiences": Difference({"small_audiences": "refuse"}, {"refuse_small_audiences": True}),
    "size": Difference({"size_while_initializing": "null"}, {"size_while_initializing": None}),
    "audience_names": Difference({"audience_names": "unique"}, {"audience_names": "unique"}),
    "foreign_bookmarks": Difference(
        {"foreign_bookmarks": "accept"}, {"foreign_bookmarks": "accept"}
    ),
    "last_bookmark": Difference({"last_bookmark": "absent"}, {"last_bookmark": "absent"}),
    "removed_audiences": Difference(
        {"removed_audiences": "readable"}, {"removed_audiences": "readable"}
    ),
    "presigned_seconds": Difference({"presigned_seconds": "900"}, {"presigned_seconds": 900}),
    "exceptions": Difference({"exceptions": "null"}, {"exceptions": "null"}),
    "create_status": Difference({"create_status": "201"}, settings={"create_status": 201}),
    "rate_limit_reset": Difference({"rate_limit_reset": "time"}, {"rate_limit_reset": "time"}),
    "retry_after": Difference({"retry_after": "yes"}, {"retry_after": True}),
    "limits": Difference(
        {
            "read_limits": "safety_net 100 in 1 s, ads_read 900 in 60 s",
            "write_limits": "safety_net 100 in 1 s, ads_write 410 in 60 s",
        },
        settings={
            "rate_limits": RateLimits(ads_read=RatePolicy(900, 60), ads_write=RatePolicy(410, 60))
        },
    ),
    "unknown_field": Difference(
        {"unknown_fields": "field_of_tomorrow"},
        fault={"operation": "customer_lists_get", "times": None},
    ),
}
# These cannot be observed together with one of the above.
ALTERNATIVES = {
    "bytes": Difference(
        {
            "batch_sizes": "10,000 records of 64 characters accepted, 20,000 refused "
            "(413, code 413); the limit is in bytes"
        },
        {"most_body_bytes": 1_000_000},
    ),
    "refused_line_breaks": Difference({"line_breaks": "refuse"}, {"line_breaks": "refuse"}),
    "list_of_exceptions": Difference({"exceptions": "list"}, {"exceptions": "list"}),
    "number": Difference({"rate_limit_header": "number"}, {"rate_limit_header": "number"}),
    "no_limits": Difference(
        {"rate_limit_header": "absent", "rate_limit_reset": "absent"},
        settings={"rate_limits": None},
    ),
    "restricted": Difference({"uploads": "restricted"}, settings={"uploads": "restricted"}),
    "forbidden": Difference({"uploads": "forbidden"}, settings={"uploads": "forbidden"}),
}


def with_differences(clock: FakeClock, *differences: Difference) -> Emulator:
    """Return an emulator with these differences, and a list and an audience of its user."""
    assumptions: dict[str, object] = {}
    settings: dict[str, object] = {}
    for difference in differences:
        assumptions |= difference.assumptions
        settings |= difference.settings
    emulator = new_emulator(
        clock,
        assumptions=Assumptions(**assumptions),  # type: ignore[arg-type]
        **settings,
    )
    for difference in differences:
        if difference.fault:
            emulator.fault("unknown_field", **difference.fault)  # type: ignore[arg-type]
    emulator.seed_lists(ACCOUNT, 1, records=["ada@example.com"])
    emulator.seed_audiences(ACCOUNT, 1, audience_type="ENGAGEMENT")
    return emulator


@pytest.mark.parametrize("access", ["standard", "trial"])
async def test_nothing_differs_from_the_default_emulator(access: str) -> None:
    """Every question is answered by the second check, and every answer agrees."""
    clock = FakeClock()
    emulator = new_emulator(clock, access=access)
    emulator.seed_lists(ACCOUNT, 1)
    answers = await check_twice(emulator, clock)
    assert [each for each in answers.values() if each.verdict != "agrees"] == []
    without = {"retry_after"} if access == "trial" else set()  # a 429 would end in a day
    assert {probe.name for probe in PROBES} - answers.keys() == without


@pytest.mark.slow
@pytest.mark.parametrize("name", [*DIFFERENCES, *ALTERNATIVES])
async def test_each_planted_difference_is_found(name: str) -> None:
    """And nothing else; the list and audience of the user are untouched."""
    clock = FakeClock()
    difference = (DIFFERENCES | ALTERNATIVES)[name]
    emulator = with_differences(clock, difference)
    answers = await check_twice(emulator, clock)
    differing = {each.name: each.observed for each in answers.values() if each.verdict == "differs"}
    assert differing == difference.observed
    (own_list,) = {str(each["id"]) for each in emulator.overview()["customer_lists"]} - set(
        lists_of_checks(emulator)
    )
    assert emulator.members(own_list) == {"ada@example.com"}
    assert emulator.customer_list(own_list)["num_batches"] == 1
    assert [each["name"] for each in emulator.overview()["audiences"]] == ["Audience 1"]


async def test_all_planted_differences_are_found_together() -> None:
    """One does not hide another."""
    clock = FakeClock()
    emulator = with_differences(clock, *DIFFERENCES.values())
    answers = await check_twice(emulator, clock)
    differing = {each.name: each.observed for each in answers.values() if each.verdict == "differs"}
    expected: dict[str, str] = {}
    for difference in DIFFERENCES.values():
        expected |= difference.observed
    assert differing == expected
    assert len(DIFFERENCES) >= 10


def test_every_question_has_a_planted_difference() -> None:
    """A question whose difference cannot be planted would not be tested."""
    planted = {name for each in (DIFFERENCES | ALTERNATIVES).values() for name in each.observed}
    assert {probe.name for probe in PROBES} == planted


def test_every_switch_of_a_question_exists() -> None:
    """In `Assumptions`, or as an argument of `Emulator`."""
    switches = {field.name for field in fields(Assumptions)}
    switches |= {"create_status", "rate_limits", "uploads", ""}
    named = {name for probe in PROBES for name in probe.switch.split(", ")}
    assert named <= switches


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer records, for tests with many checks."""
    for module in (probes, verification):
        monkeypatch.setattr(module, "BATCH_SIZES", (30, 31, 50))


LIMITS: Mapping[str, tuple[Assumptions, set[str]]] = {
    "unlimited": (Assumptions(), set()),
    "limited": (Assumptions(most_body_bytes=2_500), {"batch_sizes"}),
}
"""Assumptions about the size of a request, and the questions whose answer differs for them."""


async def emulator_after(checks: int, clock: FakeClock, assumptions: Assumptions) -> Emulator:
    """Return an emulator with the list that complete checks have left, processed."""
    emulator = new_emulator(clock, assumptions=assumptions)
    for _ in range(checks):
        await check(emulator, clock)
        clock.advance(2 * PROCESSING_SECONDS)
    return emulator


@pytest.mark.once
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("checks", [0, 1])
@pytest.mark.parametrize("times", [1, None])
@pytest.mark.usefixtures("small_batches")
async def test_check_after_lost_responses_cleans_up(
    times: int | None, checks: int, limit: str
) -> None:
    """One response is lost, or all from then on; in the end there is one empty list."""
    clock = FakeClock()
    assumptions, differing = LIMITS[limit]
    total = (await check(await emulator_after(checks, clock, assumptions), clock)).requests
    for answered in range(total):
        emulator = await emulator_after(checks, clock, assumptions)
        emulator.fault("no_answer", after=answered, times=times)
        try:
            report = await check(emulator, clock)
        except TransportError:  # before the list of the check was known
            assert answered <= 3
        else:
            assert {each.name for each in report.differences} <= differing
            assert_clean_or_reported(emulator, report)
        emulator.faults.clear()
        assert len((await check(emulator, clock)).results) == len(PROBES)
        assert_clean(emulator)


FIRST_COUNTED = cast("Sequence[str]", COUNTED.records(range(1)))[0]
# A text in the body of each update with one set of records, or the length of its records.
RECORD_SETS: Mapping[str, Callable[[str], Callable[[Request], bool]]] = {
    "SHA-256": lambda kind: updates(kind, above=COUNTED.count, longer=64),
    "counted": lambda kind: updates(kind, has=FIRST_COUNTED),
    "MD5": lambda kind: (
        lambda request: (
            updates(kind, above=5)(request) and not updates(kind, above=5, longer=64)(request)
        )
    ),
    "rows": lambda kind: updates(kind, has="records_v2"),
    "lines": lambda kind: updates(kind, has="\\n"),
    "invalid": lambda kind: updates(kind, has="neither"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORD_SETS)
@pytest.mark.usefixtures("small_batches")
async def test_records_whose_removal_fails_are_reported_and_others_removed(name: str) -> None:
    """Refused or unanswered; the next check removes them."""
    is_set = RECORD_SETS[name]
    for status in (400, 500):
        clock = FakeClock()
        emulator = new_emulator(clock, assumptions=Assumptions(most_body_bytes=2_500))
        emulator.fault("status", when=is_set("REMOVE"), status=status, times=None)
        report = await check(emulator, clock)
        (list_id,) = lists_of_checks(emulator)
        assert len(emulator.members(list_id)) == SET_SIZES[name]
        assert reports_records(report)
        emulator.faults.clear()
        assert not reports_records(await check(emulator, clock))
        assert_clean(emulator)


SET_SIZES = {"SHA-256": 31, "counted": 10, "MD5": 50, "rows": 3, "lines": 1, "invalid": 1}


@pytest.mark.parametrize("name", RECORD_SETS)
@pytest.mark.usefixtures("small_batches")
async def test_records_whose_addition_got_no_response_are_removed(name: str) -> None:
    """They may have been added, so that they are removed as well."""
    clock = FakeClock()
    emulator = new_emulator(clock, assumptions=Assumptions(most_body_bytes=2_500))
    emulator.fault("no_answer", when=RECORD_SETS[name]("ADD"), times=None)
    report = await check(emulator, clock)
    assert_clean(emulator)
    assert not reports_records(report)


@pytest.mark.parametrize("status", [413, 500])
@pytest.mark.usefixtures("small_batches")
async def test_large_removal_that_fails_is_repeated_in_smaller_requests(status: int) -> None:
    """A size that is accepted is repeated until everything is removed."""
    clock = FakeClock()
    emulator = new_emulator(clock)
    emulator.fault("status", when=updates("REMOVE", above=30), status=status, times=None)
    report = await check(emulator, clock)
    assert_clean(emulator)
    assert not reports_records(report)


@pytest.mark.usefixtures("small_batches")
async def test_removal_of_a_part_is_not_reported_as_complete() -> None:
    """The first request is refused for its size, the second accepted, the others refused."""
    clock = FakeClock()
    emulator = new_emulator(clock)
    is_large, is_removal = updates("REMOVE", above=31), updates("REMOVE", above=10)
    emulator.fault("status", when=is_large, status=413, times=None)
    emulator.fault("status", when=is_removal, status=400, after=1, times=None)
    report = await check(emulator, clock)
    (list_id,) = lists_of_checks(emulator)
    assert len(emulator.members(list_id)) == 50 - 31
    assert reports_records(report)


# Settings of a fault after the list is created, and the reason why a question has no answer.
UNUSABLE_RESPONSES: Mapping[str, tuple[str, dict[str, object]]] = {
    "revoked token": (
        "the access token was refused",
        {"kind": "status", "status": 401, "code": 2, "after": 12},
    ),
    "page of a proxy": (
        "the answer was not JSON",
        {"kind": "html", "status": 200, "after": 3},
    ),
    "page after a change": (
        "the answer was not JSON",
        {"kind": "html", "status": 200, "applied": True, "operation": "customer_lists_update"},
    ),
    "permission for large updates": (
        "the answer was 403, code 29",
        {"kind": "status", "status": 403, "code": 29, "when": updates("ADD", above=30)},
    ),
}


@pytest.mark.parametrize("name", UNUSABLE_RESPONSES)
@pytest.mark.usefixtures("small_batches")
async def test_response_that_answers_no_question_is_not_a_difference(name: str) -> None:
    """Neither in the first check nor in the second; what remains is reported."""
    reason, fault = UNUSABLE_RESPONSES[name]
    clock = FakeClock()
    for checks in range(2):
        emulator = new_emulator(clock)
        for _ in range(checks):
            await check(emulator, clock)
            clock.advance(2 * PROCESSING_SECONDS)
        emulator.faults.add(Fault(**{"times": None, **fault}))  # type: ignore[arg-type]
        try:
            report = await check(emulator, clock)
        except DecodeError:  # of the first update
            assert (name, checks) == ("page after a change", 1)
            continue
        assert report.differences == ()
        assert reason in {each.reason for each in report.results}
        assert_clean_or_reported(emulator, report)


@pytest.mark.usefixtures("small_batches")
async def test_page_of_html_for_a_large_request_is_a_limit() -> None:
    """A proxy in front of the API limits the size of requests, as the API itself."""
    clock = FakeClock()
    emulator = new_emulator(clock)
    emulator.fault("html", status=413, when=updates("ADD", above=30), times=None)
    report = await check(emulator, clock)
    (difference,) = report.differences
    assert difference.observed is not None
    assert difference.observed.startswith("30 records of 64 characters accepted, 31 refused (413)")


@pytest.mark.usefixtures("small_batches")
async def test_status_is_read_again_where_the_response_of_the_update_was_lost() -> None:
    """The repeated update of a processed list finds it in another status."""
    clock = FakeClock()
    emulator = await emulator_after(1, clock, Assumptions())
    emulator.fault("no_answer", operation="customer_lists_update")
    report = await check(emulator, clock)
    results = {each.name: each for each in report.results}
    assert results["status_after_update"].verdict == "agrees"
    assert report.differences == ()


# How many audiences can be created, and the questions that are unanswered if no other one can.
REFUSED_AUDIENCES: Mapping[int, set[str]] = {
    0: {"small_audiences", "size_while_initializing", "audience_names", "removed_audiences"},
    1: {"audience_names"},
}


@pytest.mark.parametrize("status", [400, 403, 409])
@pytest.mark.parametrize("created", REFUSED_AUDIENCES)
@pytest.mark.usefixtures("small_batches")
async def test_refusal_of_every_audience_is_not_a_difference(created: int, status: int) -> None:
    """Neither the small list nor the repeated name is the reason."""
    clock = FakeClock()
    emulator = new_emulator(clock)
    emulator.seed_lists(ACCOUNT, 1)
    emulator.seed_audiences(ACCOUNT, 2)
    emulator.fault("status", operation="audiences_create", status=status, after=created, times=None)
    report = await check(emulator, clock)
    assert report.differences == ()
    unanswered = {each.name for each in report.results if each.verdict == "unanswered"}
    assert unanswered - {"status_after_update", "retry_after"} == REFUSED_AUDIENCES[created]


class LateCounters(httpx.AsyncBaseTransport):
    """Passes requests on; counters of lists are those of an earlier response."""

    def __init__(self, emulator: Emulator, counters: frozenset[str], responses: int) -> None:
        self._transport = emulator.transport()
        self._counters, self._responses = counters, responses
        self._shown: list[dict[str, object]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        data = json.loads(await response.aread())
        if "num_batches" in data:
            self._shown.append({name: data[name] for name in self._counters})
            data |= self._shown[max(0, len(self._shown) - 1 - self._responses)]
        headers = {
            name: value for name, value in response.headers.items() if name != "content-length"
        }
        return httpx.Response(response.status_code, headers=headers, json=data)


COUNTER_QUESTIONS = {
    *("uploaded_counter", "removed_counter", "batches_per_update", "rows_count_as", "line_breaks"),
}


@pytest.mark.slow
@pytest.mark.parametrize("responses", [2, 3, 1000])
@pytest.mark.parametrize("counter", ["", "num_uploaded_user_records", "num_removed_user_records"])
@pytest.mark.usefixtures("small_batches")
async def test_counters_that_change_later_are_not_a_difference(
    counter: str, responses: int
) -> None:
    """Neither in the first check nor in the second; one counter is late, or all."""
    clock = FakeClock()
    emulator = new_emulator(clock)
    names = {"num_batches", "num_uploaded_user_records", "num_removed_user_records"}
    late = frozenset({counter} if counter else names)
    for _ in range(2):
        transport = LateCounters(emulator, late, responses)
        async with AsyncClient("token", transport=transport, clock=clock) as client:
            report = await client.verify_api(ACCOUNT)
        assert report.differences == ()
        reasons = {each.name: each.reason for each in report.results}
        for name in COUNTER_QUESTIONS:
            assert reasons[name] == "the counters of the list change later"
        assert_clean(emulator)
        clock.advance(2 * PROCESSING_SECONDS)


@pytest.mark.usefixtures("small_batches")
async def test_records_of_an_interrupted_question_do_not_change_what_counters_show() -> None:
    """Records that are members already would not be counted."""
    clock = FakeClock()
    emulator = new_emulator(clock, assumptions=Assumptions(counters="changed"))
    emulator.fault("no_answer", when=RECORD_SETS["counted"]("ADD"))
    report = await check(emulator, clock)
    results = {each.name: each for each in report.results}
    assert results["uploaded_counter"].reason == "there was no response"
    assert results["removed_counter"].observed == "changed"
    assert results["rows_count_as"].verdict == "agrees"


@pytest.mark.parametrize(
    ("fault", "remains"),
    [
        ({"kind": "no_answer"}, True),
        ({"kind": "html", "status": 200, "applied": True}, True),
        ({"kind": "status", "status": 403, "code": 29}, False),
    ],
)
@pytest.mark.usefixtures("small_batches")
async def test_upload_that_may_have_been_created_is_reported(
    fault: dict[str, object], remains: bool
) -> None:
    """Its response was lost or cannot be read; one that was refused is not."""
    clock = FakeClock()
    emulator = new_emulator(clock)
    settings = {"operation": "customer_list_uploads_create", "times": None, **fault}
    emulator.faults.add(Fault(**settings))  # type: ignore[arg-type]
    report = await check(emulator, clock)
    assert ("an upload" in str(report.remains)) == remains


@pytest.mark.slow
@pytest.mark.parametrize("max_retries", [0, 4, 100])
@pytest.mark.usefixtures("small_batches")
async def test_number_of_requests_is_limited_whatever_the_client_retries(max_retries: int) -> None:
    """After each number of successful requests, and if every second one fails."""
    clock = FakeClock()
    for answered in (3, 10, 20, 30):
        for probability in (0.5, 1.0):
            emulator = new_emulator(clock)
            emulator.fault(
                "status", status=503, after=answered, times=None, probability=probability
            )
            transport = emulator.transport(sleep=clock.sleep)
            async with AsyncClient(
                "token", transport=transport, clock=clock, max_retries=max_retries
            ) as client:
                report = await client.verify_api(ACCOUNT)
            assert report.requests == emulator.counts()["requests"] <= MAX_REQUESTS


async def test_client_retries_as_before_after_a_check() -> None:
    """The limit of a check is not that of the client."""
    clock = FakeClock()
    emulator = new_emulator(clock)
    transport = emulator.transport(sleep=clock.sleep)
    async with AsyncClient("token", transport=transport, clock=clock, max_retries=10) as client:
        await client.verify_api(ACCOUNT)
        emulator.fault("status", status=503, times=10)
        assert (await client.user_account_get()).username


FAULTS = (
    *("html", "truncated_json", "wrong_content_type", "unknown_enum", "missing_field"),
    *("repeated_bookmark", "empty_page", "clock_skew", "status", "reset_during"),
)


TRUE_DIFFERENCES = {"empty_page": {"foreign_bookmarks"}, "clock_skew": {"rate_limit_reset"}}
"""Questions whose answer is another one with a fault."""


@pytest.mark.once
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("checks", [0, 1])
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.usefixtures("small_batches")
async def test_faulty_api_does_not_end_the_check(kind: FaultKind, checks: int, limit: str) -> None:
    """A question has an answer or a reason, whatever the API sends after the list is created."""
    clock = FakeClock()
    assumptions, differing = LIMITS[limit]
    emulator = await emulator_after(checks, clock, assumptions)
    emulator.fault(kind, after=3, times=None)
    report = await check(emulator, clock)
    expected = differing | TRUE_DIFFERENCES.get(kind, set())
    assert {each.name for each in report.differences} <= expected
    assert_clean_or_reported(emulator, report)
    assert [each.name for each in report.results] == [probe.name for probe in PROBES]
    assert all(bool(each.reason) == (each.observed is None) for each in report.results)
    assert report.requests <= MAX_REQUESTS
    emulator.faults.clear()
    await check(emulator, clock)
    assert_clean(emulator)


@pytest.mark.slow
@pytest.mark.usefixtures("small_batches")
async def test_check_after_a_cancelled_one_cleans_up() -> None:
    """At each question; the list of the first check is used again."""
    clock = FakeClock()
    for probe in PROBES:
        emulator = new_emulator(clock)
        with anyio.CancelScope() as scope:

            def cancel(result: ProbeResult, name: str = probe.name) -> None:
                if result.name == name:
                    scope.cancel()

            await check(emulator, clock, cancel)
        assert scope.cancelled_caught
        await check(emulator, clock)
        assert_clean(emulator)


@pytest.mark.slow
@pytest.mark.usefixtures("small_batches")
async def test_check_that_ends_with_an_error_cleans_up() -> None:
    """At each question, of `on_probe` or of the token source; the error is raised."""
    clock = FakeClock()
    for probe in PROBES:
        emulator = new_emulator(clock)

        def fail(result: ProbeResult, name: str = probe.name) -> None:
            if result.name == name:
                raise RuntimeError(name)

        with pytest.raises(RuntimeError, match=probe.name):
            await check(emulator, clock, fail)
        assert_clean(emulator)


class BrokenSource(StaticToken):
    """A token source that fails at its 15th call, and at those after it."""

    def __init__(self, failures: int) -> None:
        super().__init__("token")
        self._calls, self._failures = 0, failures

    async def get(self) -> Token:
        self._calls += 1
        if 15 <= self._calls < 15 + self._failures:
            raise TokenStoreError("the file cannot be read")
        return await super().get()


@pytest.mark.usefixtures("small_batches")
async def test_check_cleans_up_after_a_failure_of_the_token_source() -> None:
    """Tokens that cannot be read at one question, and once more at the end."""
    clock = FakeClock()
    for failures in (1, 100):
        emulator = new_emulator(clock)
        transport = emulator.transport(sleep=clock.sleep)
        source = BrokenSource(failures)
        async with AsyncClient(source, transport=transport, clock=clock) as client:
            with pytest.raises(TokenStoreError):
                await client.verify_api(ACCOUNT)
        if failures == 1:
            assert_clean(emulator)


async def test_audiences_of_an_interrupted_check_do_not_change_the_answers() -> None:
    """They are removed first: otherwise the name of the first audience would be taken."""
    clock = FakeClock()
    emulator = new_emulator(clock, assumptions=Assumptions(audience_names="unique"))
    emulator.seed_audiences(ACCOUNT, 1, name=MARKER)
    report = await check(emulator, clock)
    assert [each.name for each in report.differences] == ["audience_names"]
    assert_clean(emulator)


def read_only(emulator: Emulator) -> str:
    """Return a token that may read, but not write."""
    code = emulator.authorize(app_id="1", scopes=["ads:read"])
    answer = emulator.handle(
        Request(
            method="POST",
            path="/v5/oauth/token",
            headers={
                "Authorization": "Basic MTpzZWNyZXQ=",  # 1:secret
                "Content-Type": "application/x-www-form-urlencoded",
            },
            body=f"grant_type=authorization_code&code={code}&redirect_uri=http://localhost/".encode(),
        )
    )
    fields = answer.json()
    assert isinstance(fields, dict)
    return str(fields["access_token"])


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"roles": ["ANALYST"]}, PermissionDeniedError),
        ({"access_tokens": ["another"]}, AuthenticationError),
        ({"ad_accounts": ["550"]}, NotFoundError),
        ({"apps": {"1": "secret"}}, AuthenticationError),
        ({"assumptions": Assumptions(most_records=1)}, BadRequestError),
    ],
)
async def test_account_without_permission_is_not_changed(
    settings: dict[str, object], error: type[Exception]
) -> None:
    """The error of the first call that is refused; no list and no audience is created."""
    clock = FakeClock()
    emulator = new_emulator(clock, **settings)
    token = read_only(emulator) if "apps" in settings else "token"
    async with AsyncClient(token, transport=emulator.transport(), clock=clock) as client:
        with pytest.raises(error):
            await client.verify_api(ACCOUNT)
    counts = emulator.counts()
    assert (counts["customer_lists"], counts["audiences"], counts["members"]) == (0, 0, 0)


async def test_invalid_account_is_refused_before_sending() -> None:
    """As by every method."""
    emulator = Emulator()
    async with AsyncClient("token", transport=emulator.transport()) as client:
        with pytest.raises(ConfigurationError, match="ad_account_id"):
            await client.verify_api("shop")
    assert emulator.counts()["requests"] == 0


async def test_report_and_log_hold_no_id_token_or_text_of_the_api(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also when the API puts them where names, statuses and policies are expected."""
    clock = FakeClock()
    secret = "4711SECRET"
    emulator = new_emulator(clock)
    for operation in ("customer_lists_get", "audiences_create"):
        emulator.fault("unknown_field", operation=operation, field=f"by_{secret}", value=secret)
    emulator.fault("unknown_enum", operation="audiences_create", value=secret)
    emulator.fault(
        "status", operation="audiences_get", times=1, status=404, code=7, message=f"no {secret}"
    )
    with caplog.at_level("DEBUG", "pinterest_audiences"):
        transport = emulator.transport()
        async with AsyncClient(f"pina_{secret}", transport=transport, clock=clock) as client:
            report = await client.verify_api(ACCOUNT)
    found = {each.name: each.observed for each in report.results}
    assert found["unknown_fields"] == "…"
    assert found["audience_not_found"] == "404, code 7"
    (list_id,) = lists_of_checks(emulator)
    texts = (json.dumps(report.to_dict()), report.to_markdown(), repr(report), caplog.text)
    for private in (secret, ACCOUNT, list_id, "25426", "X-Amz", "Signature", "example.com"):
        assert [text for text in texts[:3] if private in text] == []
    assert secret not in texts[3]


class OddTransport(httpx.AsyncBaseTransport):
    """Passes requests on, and changes the rate headers and `exceptions` of the responses."""

    def __init__(self, emulator: Emulator) -> None:
        self._transport = emulator.transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        body = (await response.aread()).replace(
            b'"exceptions":{}', b'"exceptions":{"ada":"ada@example.com","code":2}'
        )
        headers = {
            "content-type": "application/json",
            "x-ratelimit-limit": '90, 90;w=60;name="user_4711"',
            "x-ratelimit-remaining": "89",
            "x-ratelimit-reset": "soon, 4711",
        }
        return httpx.Response(response.status_code, headers=headers, content=body)


async def test_headers_and_exceptions_of_unexpected_form_are_not_quoted() -> None:
    """Names without digits, numbers, and the kind of a value are all that is reported."""
    clock = FakeClock()
    transport = OddTransport(new_emulator(clock))
    async with AsyncClient("token", transport=transport, clock=clock) as client:
        report = await client.verify_api(ACCOUNT)
    observed = {each.name: each.observed for each in report.results}
    assert "4711" not in report.to_markdown()
    assert "ada" not in report.to_markdown()
    assert observed["read_limits"] == "… 90 in 60 s"
    assert observed["rate_limit_reset"] == "another"
    assert observed["exceptions"] == "object with code, …"


async def test_reports_have_every_result_and_what_remains() -> None:
    """As JSON values, and as Markdown with a table for each verdict."""
    clock = FakeClock()
    emulator = new_emulator(clock, assumptions=Assumptions(not_found_code=50))
    results: list[ProbeResult] = []
    report = await check(emulator, clock, results.append)
    assert tuple(results) == report.results
    assert [each.name for each in report.differences] == ["list_not_found", "audience_not_found"]
    values = json.loads(json.dumps(report.to_dict()))
    assert values["differences"] == 2
    assert [each["name"] for each in values["results"]] == [probe.name for probe in PROBES]
    assert values["results"][1] == {
        "name": "list_not_found",
        "question": "What is the answer for an unknown customer list?",
        "switch": "not_found_code",
        "assumed": "404, code 404",
        "observed": "404, code 50",
        "verdict": "differs",
        "reason": "",
    }
    assert [MARKER in each for each in values["remains"]] == [True, False]
    lines = report.to_markdown().splitlines()
    titles = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert titles == [
        "Differences",
        "Agreements",
        "No answer",
        "Not asked",
        "What remains at Pinterest",
    ]
    row = "| What is the answer for an unknown customer list? | `not_found_code` |"
    assert f"{row} 404, code 404 | 404, code 50 |" in lines
    assert values["unremoved"] == []
    empty = evolve(report, results=())
    assert "## Differences" not in empty.to_markdown()


def test_blocking_client_returns_the_same_report() -> None:
    """Generated from the asynchronous one; `on_probe` is called with each result."""
    emulator = Emulator(assumptions=Assumptions(last_bookmark="absent"))
    results: list[ProbeResult] = []
    with Client("token", transport=emulator.transport()) as client:
        report = client.verify_api(ACCOUNT, on_probe=results.append)
    assert report.api == "another server"
    assert tuple(results) == report.results
    assert [each.name for each in report.differences] == ["last_bookmark"]


@pytest.mark.slow
async def test_only_pinterest_is_reported_as_pinterest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default base URL without a transport; neither an emulator nor another URL."""
    emulator = Emulator()
    with Client.emulated(emulator) as client:
        assert client.verify_api(ACCOUNT).api == "another server"
    async with AsyncClient.emulated(emulator) as emulated:
        assert (await emulated.verify_api(ACCOUNT)).api == "another server"
    without = property(lambda _: False, lambda *_: None)
    monkeypatch.setattr(Settings, "has_transport", without, raising=False)
    for base_url, api in ((None, "Pinterest"), ("https://example.com/v5", "another server")):
        with Client("token", base_url=base_url, transport=emulator.transport()) as client:
            assert client.verify_api(ACCOUNT).api == api
        transport = emulator.transport()
        async with AsyncClient("token", base_url=base_url, transport=transport) as other:
            assert (await other.verify_api(ACCOUNT)).api == api
