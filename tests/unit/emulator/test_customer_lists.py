"""Customer lists: members, counters, status and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinterest_audiences.emulator import Assumptions
from pinterest_audiences.emulator._backend import seeded_key
from pinterest_audiences.emulator._customer_lists import (
    MINIMUM_MATCHED,
    CustomerLists,
    CustomerListState,
    Matcher,
    unpack,
)
from pinterest_audiences.emulator._paging import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import FakeClock

PEOPLE = [f"person{number}@example.com" for number in range(1000)]


def new_state(clock: Callable[[], float], match_rate: float = 1.0, seed: int = 0) -> CustomerLists:
    return CustomerLists(
        clock=clock,
        key=seeded_key(seed, "match"),
        match=match_rate,
        processing_seconds=5.0,
        ad_accounts=None,
        assumptions=Assumptions(),
    )


def new_list(
    state: CustomerLists, *members: str, account: str = "1", is_nca: bool = False
) -> CustomerListState:
    return state.create(account, name="Spring", members=members, is_nca=is_nca)


def shown(state: CustomerLists, customer_list: CustomerListState) -> dict[str, object]:
    return state.show(customer_list)


def test_list_is_processing_for_the_set_time(clock: FakeClock) -> None:
    """Exactly as long as `processing_seconds`."""
    state = new_state(clock)
    created = new_list(state, *PEOPLE)
    assert shown(state, created)["status"] == "PROCESSING"
    clock.advance(4.999)
    assert shown(state, created)["status"] == "PROCESSING"
    clock.advance(0.001)
    assert shown(state, created)["status"] == "READY"


@pytest.mark.parametrize(
    ("members", "status"), [(MINIMUM_MATCHED, "READY"), (MINIMUM_MATCHED - 1, "TOO_SMALL")]
)
def test_list_is_ready_with_100_matched_members(
    clock: FakeClock, members: int, status: str
) -> None:
    """99 are too few, 100 are enough."""
    state = new_state(clock)
    created = new_list(state, *PEOPLE[:members])
    clock.advance(5)
    assert shown(state, created)["status"] == status


def test_list_without_matches_is_too_small(clock: FakeClock) -> None:
    """Matched members count, not what was sent."""
    state = new_state(clock, match_rate=0.0)
    created = new_list(state, *PEOPLE)
    clock.advance(5)
    assert shown(state, created)["status"] == "TOO_SMALL"
    assert created.num_uploaded == len(PEOPLE)


def test_repeated_members_count_once(clock: FakeClock) -> None:
    """A hundred times the same person is one person."""
    state = new_state(clock)
    created = new_list(state, *["same@example.com"] * MINIMUM_MATCHED)
    clock.advance(5)
    assert shown(state, created)["status"] == "TOO_SMALL"
    assert created.members == {"same@example.com"}


def test_update_starts_processing_again(clock: FakeClock) -> None:
    """A list that was READY is PROCESSING again, and its time of update changes."""
    state = new_state(clock)
    created = new_list(state, *PEOPLE)
    clock.advance(100)
    state.update(created, "ADD", ["new@example.com"])
    assert shown(state, created)["status"] == "PROCESSING"
    assert shown(state, created)["created_time"] == 1_700_000_000
    assert shown(state, created)["updated_time"] == 1_700_000_100


def test_status_follows_removed_and_added_members(
    clock: FakeClock,
) -> None:
    """READY and TOO_SMALL both follow from the current members."""
    state = new_state(clock)
    created = new_list(state, *PEOPLE[:100])
    state.update(created, "REMOVE", PEOPLE[:1])
    clock.advance(5)
    assert shown(state, created)["status"] == "TOO_SMALL"
    state.update(created, "ADD", PEOPLE[:1])
    clock.advance(5)
    assert shown(state, created)["status"] == "READY"


def test_counters_count_sent_records_including_repeats(clock: FakeClock) -> None:
    """Uploaded increases for existing members, removed for those that were not members."""
    state = new_state(clock)
    created = new_list(state, "a", "a", "b")
    assert (created.num_batches, created.num_uploaded, created.num_removed) == (1, 3, 0)
    state.update(created, "ADD", ["a", "c", "c"])
    assert (created.num_batches, created.num_uploaded, created.num_removed) == (2, 6, 0)
    state.update(created, "REMOVE", ["a", "a", "never there"])
    assert (created.num_batches, created.num_uploaded, created.num_removed) == (3, 6, 3)
    assert created.members == {"b", "c"}


def test_matched_count_equals_a_full_recount(clock: FakeClock) -> None:
    """After every incremental change."""
    state = new_state(clock, match_rate=0.5, seed=3)
    matcher = Matcher(seeded_key(3, "match"), 0.5)
    created = new_list(state, *PEOPLE[:300])
    state.update(created, "ADD", PEOPLE[200:600])
    state.update(created, "REMOVE", [*PEOPLE[100:250], "never there"])
    assert created.members == {*PEOPLE[:100], *PEOPLE[250:600]}
    assert created.matched == matcher.count(map(unpack, created.members))
    assert 0 < created.matched < len(created.members)


def test_matches_follow_from_rate_and_seed() -> None:
    """About the requested share matches; the same for the same seed, others for another."""
    known = [Matcher(seeded_key(1, "match"), 0.6).count([person]) for person in PEOPLE]
    assert 550 < sum(known) < 650
    assert known == [Matcher(seeded_key(1, "match"), 0.6).count([person]) for person in PEOPLE]
    assert known != [Matcher(seeded_key(2, "match"), 0.6).count([person]) for person in PEOPLE]


def test_higher_rate_only_adds_matches() -> None:
    """A member that matches at a low rate matches at a higher one."""
    low = [Matcher(seeded_key(1, "match"), 0.3).count([person]) for person in PEOPLE]
    high = [Matcher(seeded_key(1, "match"), 0.7).count([person]) for person in PEOPLE]
    assert all(a <= b for a, b in zip(low, high, strict=True))


def test_lone_surrogate_is_a_valid_member(clock: FakeClock) -> None:
    """JSON may contain one, and hashing it must not fail."""
    state = new_state(clock)
    created = new_list(state, "\ud800")
    assert created.matched == 1


def test_newer_list_has_a_higher_id(clock: FakeClock) -> None:
    """Ids are strings of at most 18 digits."""
    state = new_state(clock)
    ids = [str(shown(state, new_list(state))["id"]) for _ in range(20)]
    assert all(each.isdigit() and len(each) <= 18 for each in ids)
    assert sorted(set(ids), key=int) == ids


def test_list_has_exactly_the_fields_of_the_api(clock: FakeClock) -> None:
    """No field is missing, none is invented, and the list type is not shown."""
    state = new_state(clock)
    created = state.create("77", name="Spring", members=["a"], list_type="MAID", is_nca=True)
    clock.now += 0.9
    assert shown(state, created) == {
        "ad_account_id": "77",
        "created_time": 1_700_000_000,
        "exceptions": {},
        "id": str(created.id),
        "name": "Spring",
        "num_batches": 1,
        "num_removed_user_records": 0,
        "num_uploaded_user_records": 1,
        "status": "PROCESSING",
        "type": "customerlist",
        "updated_time": 1_700_000_000,
    }
    assert state.show(created, in_listing=True) == {**shown(state, created), "is_nca": True}


def test_updated_time_changes_when_processing_ends(clock: FakeClock) -> None:
    """As recorded: it does not mean that the list was changed."""
    state = new_state(clock)
    created = new_list(state, *PEOPLE)
    clock.advance(4.9)
    assert shown(state, created)["updated_time"] == 1_700_000_000
    clock.advance(100)
    assert shown(state, created)["updated_time"] == 1_700_000_005
    state.update(created, "ADD", ["new@example.com"])
    assert shown(state, created)["updated_time"] == 1_700_000_104
    assert shown(state, created)["created_time"] == 1_700_000_000


def test_appending_restarts_processing(clock: FakeClock) -> None:
    """The list stays PROCESSING."""
    state = new_state(clock)
    created = new_list(state, *PEOPLE)
    clock.advance(4)
    state.update(created, "ADD", ["new@example.com"])
    assert shown(state, created)["status"] == "PROCESSING"
    clock.advance(4)
    assert shown(state, created)["status"] == "PROCESSING"
    clock.advance(1)
    assert shown(state, created)["status"] == "READY"


@pytest.mark.parametrize("order", ["ASCENDING", "DESCENDING"])
def test_pages_continue_in_either_order(clock: FakeClock, order: Order) -> None:
    """Each page starts after the last list of the one before; the last one says so."""
    state = new_state(clock)
    expected = [new_list(state) for _ in range(5)]
    if order == "DESCENDING":
        expected.reverse()
    first = state.page("1", order=order, after=None, size=2)
    second = state.page("1", order=order, after=first.lists[-1].id, size=2)
    third = state.page("1", order=order, after=second.lists[-1].id, size=2)
    assert [*first.lists, *second.lists, *third.lists] == expected
    assert (first.more, second.more, third.more) == (True, True, False)


@pytest.mark.parametrize("order", ["ASCENDING", "DESCENDING"])
def test_page_with_exactly_the_rest_is_the_last(clock: FakeClock, order: Order) -> None:
    """No empty page follows."""
    state = new_state(clock)
    for _ in range(4):
        new_list(state)
    assert state.page("1", order=order, after=None, size=4).more is False
    assert state.page("1", order=order, after=None, size=3).more is True


def test_page_has_only_lists_of_its_account(clock: FakeClock) -> None:
    """Other accounts are not visible."""
    state = new_state(clock)
    mine, other = new_list(state, account="1"), new_list(state, account="2")
    assert state.page("1", order="ASCENDING", after=None, size=9).lists == (mine,)
    assert state.page("2", order="ASCENDING", after=None, size=9).lists == (other,)
    assert state.page("3", order="ASCENDING", after=None, size=9).lists == ()


def test_exclude_nca_leaves_out_nca_lists(clock: FakeClock) -> None:
    """The others are on as many pages as they need alone."""
    state = new_state(clock)
    lists = [new_list(state, is_nca=number % 2 == 0) for number in range(6)]
    page = state.page("1", order="ASCENDING", after=None, size=3, exclude_nca=True)
    assert page.lists == (lists[1], lists[3], lists[5])
    assert page.more is False


def test_list_repr_has_no_personal_data(clock: FakeClock) -> None:
    """Neither members nor its name."""
    state = new_state(clock)
    created = state.create("1", name="for jane@example.com", members=["joe@example.com"])
    assert "example.com" not in repr(created)


def test_list_after_13_digit_ids_has_a_higher_id(clock: FakeClock) -> None:
    """Earlier files have ids of 13 digits; listings stay in order."""
    state = new_state(clock)
    old = new_list(state)
    old.id = 2_542_620_000_000
    state.load([old])
    new = new_list(state)
    assert new.id > old.id
    page = state.page("1", order="ASCENDING", after=None, size=5)
    assert [each.id for each in page.lists] == [old.id, new.id]
