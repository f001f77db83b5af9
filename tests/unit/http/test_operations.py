"""The table of operations, and the paths of calls."""

from __future__ import annotations

import pytest

from pinterest_audiences import ConfigurationError
from pinterest_audiences._http import operations
from pinterest_audiences._http.operations import CUSTOMER_LISTS_GET, CUSTOMER_LISTS_UPDATE


@pytest.mark.parametrize(
    ("given", "taken"), [("1", "1"), ("0" * 18, "0" * 18), (0, "0"), (10**18 - 1, "9" * 18)]
)
def test_id_is_1_to_18_digits(given: str | int, taken: str) -> None:
    """As a string, or as an int that is converted."""
    call = CUSTOMER_LISTS_GET.call({"ad_account_id": given, "customer_list_id": "643"})
    assert call.path == f"/ad_accounts/{taken}/customer_lists/643"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        " 1",
        "1\n",
        "-1",
        "1.0",
        "../1",
        "1/2",
        "1?a=b",
        "%31",
        "\u0661",
        "9" * 19,
        -1,
        10**18,
        10**5000,
        1.0,
        True,
        None,
        b"1",
        ["1"],
    ],
    ids=lambda bad: repr(bad)[:20] if not isinstance(bad, int) or bad < 10**18 else "too large",
)
def test_invalid_id_is_refused_without_its_value(bad: object) -> None:
    """The error names the argument."""
    ids = {"ad_account_id": "549", "customer_list_id": bad}
    with pytest.raises(
        ConfigurationError, match=r"^customer_list_id must be a string of 1 to 18 digits"
    ):
        CUSTOMER_LISTS_UPDATE.call(ids)  # type: ignore[arg-type]  # what is refused here


EVERY = [each for each in vars(operations).values() if isinstance(each, operations.Operation)]


def test_operations_that_create_are_not_repeatable_and_only_reads_are_read_only() -> None:
    """The table decides which calls are retried."""
    creates = {each.name for each in EVERY if each.name.endswith("_create")}
    assert {each.name for each in EVERY if not each.idempotent} == {
        *creates,
        "customer_list_uploads_run",
        "oauth_token",
    }
    about_people = ("/oauth", "/user_account")
    about_lists = [each for each in EVERY if not each.path.startswith(about_people)]
    for each in about_lists:
        reads = each.name.endswith(("_get", "_list"))
        assert each.changes is not reads
        assert each.category == ("ads_read" if reads else "ads_write")
        assert each.scope == ("ads:read" if reads else "ads:write")
    assert len(EVERY) == len({each.name for each in EVERY}) == len(about_lists) + 3


def test_repr_of_a_call_hides_query_and_records() -> None:
    call = CUSTOMER_LISTS_UPDATE.call(
        {"ad_account_id": "549", "customer_list_id": "643"}, body=(b"a@b.co",)
    ).with_query(bookmark="LT1lbmQt")
    assert "a@b.co" not in repr(call)
    assert "LT1lbmQt" not in repr(call)
    assert call.query == {"bookmark": "LT1lbmQt"}
