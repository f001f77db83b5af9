"""Ad accounts on the command line: which there are, and which roles the user has on them."""

from __future__ import annotations

import pytest
from unit.cli.conftest import ACCOUNT, Run

from pinterest_audiences.pytest_plugin import PinterestServer

NAMED = "OWNER, ADMIN or AUDIENCE_MANAGER"

# The user is only an analyst.
pytestmark = pytest.mark.pinterest_emulator(ad_accounts=["549", "7", ACCOUNT], roles=["ANALYST"])


def test_accounts_list_shows_every_account_with_the_roles(
    run: Run, server: PinterestServer
) -> None:
    """The account to use is selected by its id, so that no account is required here."""
    assert server.emulator
    done = run("accounts", "list")
    assert [row["id"] for row in done.data] == ["7", "549", ACCOUNT]
    assert done.data[1] == {
        "id": "549",
        "name": "Ad account 549",
        "owner": "emulator",
        "country": "US",
        "currency": "USD",
        "permissions": ["ANALYST"],
        "created_time": "2020-01-01T00:00:00Z",
        "updated_time": "2020-01-01T00:00:00Z",
        "time_zone": "America/Los_Angeles",
        "allows_customer_lists": False,
    }
    assert [row["id"] for row in run("accounts", "list", "--limit", 1).data] == ["7"]
    assert run("accounts", "list", "--limit", -1).code == 2


def test_accounts_list_needs_no_ad_account(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the way to find one."""
    assert server.emulator
    monkeypatch.delenv("PINTEREST_AD_ACCOUNT_ID")
    assert len(run("accounts", "list").data) == 3
    assert run("accounts", "get", "7").data["id"] == "7"
    done = run("accounts", "get")
    assert done.code == 2
    assert "`accounts list`" in done.error["hint"]


def test_accounts_list_owned_leaves_out_shared_accounts(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the parameter of the API."""
    sent: list[str] = []
    handle = server.emulator.handle

    def record(request: object) -> object:
        sent.append(request.query)  # type: ignore[attr-defined]
        return handle(request)  # type: ignore[arg-type]

    monkeypatch.setattr(server.emulator, "handle", record)
    assert run("accounts", "list", "--owned").code == 0
    assert "include_shared_accounts=false" in sent[0]


def test_accounts_get_shows_the_selected_account(run: Run, server: PinterestServer) -> None:
    """By default that of the other commands."""
    assert server.emulator
    assert run("accounts", "get").data["id"] == ACCOUNT
    done = run("accounts", "get", "8")
    assert (done.code, done.error["code"]) == (4, "not_found")


def test_missing_role_is_named_with_the_command_that_shows_it(
    run: Run, server: PinterestServer
) -> None:
    """By the error of a command, and by doctor before it."""
    assert server.emulator
    done = run("lists", "list")
    assert (done.code, done.error["code"]) == (3, "permission_denied")
    assert NAMED in done.error["message"]
    assert "`accounts list`" in done.error["hint"]
    results = {row["check"]: row for row in run("doctor").data}
    assert results["role"]["verdict"] == "warning"
    assert "ANALYST" in results["role"]["finding"]
    assert "OWNER, ADMIN, AUDIENCE_MANAGER" in results["role"]["finding"]
    assert results["pinterest"]["verdict"] == "error"


def test_doctor_shows_the_role_that_is_enough(run: Run) -> None:
    """And continues where the ad account itself cannot be read."""
    results = {row["check"]: row for row in run("doctor", "--emulator").data}
    assert (results["role"]["verdict"], results["role"]["finding"]) == (
        "ok",
        f"OWNER on ad account {ACCOUNT}",
    )


def test_doctor_warns_if_the_ad_account_cannot_be_read(run: Run, server: PinterestServer) -> None:
    """Whether that is a problem is decided by reading the lists."""
    server.emulator.fault("status", operation="ad_accounts_get", status=404)
    results = {row["check"]: row for row in run("doctor").data}
    assert results["role"]["verdict"] == "warning"
    assert "`accounts list`" in results["role"]["remedy"]
