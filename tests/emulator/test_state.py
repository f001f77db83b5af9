"""The life of a customer list: members, counters, status, pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinterest_audiences.emulator.members import Matcher, unpack
from pinterest_audiences.emulator.shelves import Order
from pinterest_audiences.emulator.state import MINIMUM_MATCHED, CustomerListState, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.conftest import FakeClock

PEOPLE = [f"person{number}@example.com" for number in range(1000)]


def new_state(clock: Callable[[], float], match_rate: float = 1.0, seed: int = 0) -> State:
    return State(
        clock=clock, seed=seed, match_rate=match_rate, processing_seconds=5.0, ad_accounts=None
    )


def new_list(
    state: State, *members: str, account: str = "1", is_nca: bool = False
) -> CustomerListState:
    return state.create(account, name="Spring", members=members, is_nca=is_nca)


def shown(state: State, customer_list: CustomerListState) -> dict[str, object]:
    return state.show(customer_list)


def test_a_list_is_processing_until_its_time_has_passed(clock: FakeClock) -> None:
    """PROCESSING lasts exactly as long as it was set to last."""
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
def test_a_list_needs_a_hundred_matched_members(
    clock: FakeClock, members: int, status: str
) -> None:
    """99 are too few, 100 are enough."""
    state = new_state(clock)
    created = new_list(state, *PEOPLE[:members])
    clock.advance(5)
    assert shown(state, created)["status"] == status


def test_a_list_whose_members_are_unknown_is_too_small(clock: FakeClock) -> None:
    """What counts is whom Pinterest knows, not what was sent."""
    state = new_state(clock, match_rate=0.0)
    created = new_list(state, *PEOPLE)
    clock.advance(5)
    assert shown(state, created)["status"] == "TOO_SMALL"
    assert created.num_uploaded == len(PEOPLE)


def test_repeats_do_not_make_a_list_larger(clock: FakeClock) -> None:
    """A hundred times the same person is one person."""
    state = new_state(clock)
    created = new_list(state, *["same@example.com"] * MINIMUM_MATCHED)
    clock.advance(5)
    assert shown(state, created)["status"] == "TOO_SMALL"
    assert created.members == {"same@example.com"}


def test_an_update_puts_a_list_back_into_processing(clock: FakeClock) -> None:
    """A list that was READY is PROCESSING again, and its time of update moves."""
    state = new_state(clock)
    created = new_list(state, *PEOPLE)
    clock.advance(100)
    state.update(created, "ADD", ["new@example.com"])
    assert shown(state, created)["status"] == "PROCESSING"
    assert shown(state, created)["created_time"] == 1_700_000_000
    assert shown(state, created)["updated_time"] == 1_700_000_100


def test_removing_members_can_make_a_list_too_small_and_adding_brings_it_back(
    clock: FakeClock,
) -> None:
    """READY and TOO_SMALL both follow from who is in the list now."""
    state = new_state(clock)
    created = new_list(state, *PEOPLE[:100])
    state.update(created, "REMOVE", PEOPLE[:1])
    clock.advance(5)
    assert shown(state, created)["status"] == "TOO_SMALL"
    state.update(created, "ADD", PEOPLE[:1])
    clock.advance(5)
    assert shown(state, created)["status"] == "READY"


def test_counters_count_what_was_sent_including_repeats(clock: FakeClock) -> None:
    """Uploaded rises for those already there, removed for those who never were."""
    state = new_state(clock)
    created = new_list(state, "a", "a", "b")
    assert (created.num_batches, created.num_uploaded, created.num_removed) == (1, 3, 0)
    state.update(created, "ADD", ["a", "c", "c"])
    assert (created.num_batches, created.num_uploaded, created.num_removed) == (2, 6, 0)
    state.update(created, "REMOVE", ["a", "a", "never there"])
    assert (created.num_batches, created.num_uploaded, created.num_removed) == (3, 6, 3)
    assert created.members == {"b", "c"}


def test_the_matched_count_stays_right_through_every_change(clock: FakeClock) -> None:
    """Kept up to date piece by piece, it is what a full recount gives."""
    state = new_state(clock, match_rate=0.5, seed=3)
    matcher = Matcher(3, 0.5)
    created = new_list(state, *PEOPLE[:300])
    state.update(created, "ADD", PEOPLE[200:600])
    state.update(created, "REMOVE", [*PEOPLE[100:250], "never there"])
    assert created.members == {*PEOPLE[:100], *PEOPLE[250:600]}
    assert created.matched == matcher.count(map(unpack, created.members))
    assert 0 < created.matched < len(created.members)


def test_the_matched_share_follows_the_rate_and_the_seed() -> None:
    """About the asked share is known; the same for the same seed, others for another."""
    known = [Matcher(1, 0.6).count([person]) for person in PEOPLE]
    assert 550 < sum(known) < 650
    assert known == [Matcher(1, 0.6).count([person]) for person in PEOPLE]
    assert known != [Matcher(2, 0.6).count([person]) for person in PEOPLE]


def test_a_higher_rate_only_adds_matches() -> None:
    """Whoever is known at a low rate is known at a higher one."""
    low = [Matcher(1, 0.3).count([person]) for person in PEOPLE]
    high = [Matcher(1, 0.7).count([person]) for person in PEOPLE]
    assert all(a <= b for a, b in zip(low, high, strict=True))


def test_half_a_surrogate_pair_is_a_member_like_any_other(clock: FakeClock) -> None:
    """JSON may carry one, and hashing it must not fail."""
    state = new_state(clock)
    created = new_list(state, "\ud800")
    assert created.matched == 1


def test_a_newer_list_has_a_higher_id_of_digits(clock: FakeClock) -> None:
    """Ids are strings of at most 18 digits that grow."""
    state = new_state(clock)
    ids = [str(shown(state, new_list(state))["id"]) for _ in range(20)]
    assert all(each.isdigit() and len(each) <= 18 for each in ids)
    assert sorted(set(ids), key=int) == ids


def test_a_list_is_shown_with_exactly_the_fields_of_the_api(clock: FakeClock) -> None:
    """No field is missing, none is invented, and the list type is not told."""
    state = new_state(clock)
    created = state.create("77", name="Spring", members=["a"], list_type="MAID", is_nca=True)
    clock.now += 0.9
    assert shown(state, created) == {
        "ad_account_id": "77",
        "created_time": 1_700_000_000,
        "exceptions": {},
        "id": str(created.id),
        "is_nca": True,
        "name": "Spring",
        "num_batches": 1,
        "num_removed_user_records": 0,
        "num_uploaded_user_records": 1,
        "status": "PROCESSING",
        "type": "customerlist",
        "updated_time": 1_700_000_000,
    }


@pytest.mark.parametrize("order", ["ASCENDING", "DESCENDING"])
def test_pages_follow_one_another_in_either_order(clock: FakeClock, order: Order) -> None:
    """Each page begins behind the last list of the one before; the last says that it is."""
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
def test_a_page_that_takes_the_rest_exactly_is_the_last(clock: FakeClock, order: Order) -> None:
    """There is no empty page at the end."""
    state = new_state(clock)
    for _ in range(4):
        new_list(state)
    assert state.page("1", order=order, after=None, size=4).more is False
    assert state.page("1", order=order, after=None, size=3).more is True


def test_accounts_do_not_see_each_other(clock: FakeClock) -> None:
    """A page holds the lists of its account alone."""
    state = new_state(clock)
    mine, other = new_list(state, account="1"), new_list(state, account="2")
    assert state.page("1", order="ASCENDING", after=None, size=9).lists == (mine,)
    assert state.page("2", order="ASCENDING", after=None, size=9).lists == (other,)
    assert state.page("3", order="ASCENDING", after=None, size=9).lists == ()


def test_lists_for_new_customers_can_be_left_out(clock: FakeClock) -> None:
    """The others come on as many pages as they need alone."""
    state = new_state(clock)
    lists = [new_list(state, is_nca=number % 2 == 0) for number in range(6)]
    page = state.page("1", order="ASCENDING", after=None, size=3, exclude_nca=True)
    assert page.lists == (lists[1], lists[3], lists[5])
    assert page.more is False


def test_the_representation_of_a_list_holds_no_person(clock: FakeClock) -> None:
    """Neither members nor a name that may be one are in it."""
    state = new_state(clock)
    created = state.create("1", name="for jane@example.com", members=["joe@example.com"])
    assert "example.com" not in repr(created)
