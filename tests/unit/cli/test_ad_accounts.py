"""Ad accounts on the command line: which there are, and which roles the user has on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cases import each_case
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


# Commands that work on an ad account; those of the state file make no request.
OFFLINE = ["status", "runs", "jobs list", "resume --dry-run", "forget people.csv --dry-run"]
ONLINE = [
    "resume",
    "accounts get",
    "upload people.csv --name All",
    "plan people.csv --name All",
    "mirror people.csv --name All",
    "remove people.csv --name All --yes",
    "forget people.csv --yes",
    "lists list",
    "lists get 1",
    "lists create people.csv --name All",
    "wait 1",
    "audience create 1 --name A",
    "audience list",
    "audience get 1",
    "audience remove 1 --yes",
    "segments create --name A --audience 1",
    "segments list",
    "segments get A",
    "segments update A --audience 1",
    "segments remove A --yes",
    "verify-api --yes",
]


@each_case("command", ONLINE)
def test_command_without_credentials_and_ad_account_asks_for_a_login_first(
    run: Run, people: Path, command: str
) -> None:
    """An ad account is found with one: `auth login` and `accounts list`."""
    done = run(*command.split())
    assert (done.code, done.out) == (3, ""), done.err
    assert done.error["code"] == "no_credentials"
    assert "auth login" in done.error["message"]
    assert "--emulator" in done.error["hint"]


@each_case(
    "command",
    [*OFFLINE, "lists forget --list 1 --yes", "upload people.csv --name All --dry-run"],
)
def test_command_of_the_state_file_asks_for_an_ad_account_and_not_for_credentials(
    run: Run, people: Path, command: str
) -> None:
    """`accounts list` would need a login."""
    done = run(*command.split())
    assert (done.code, done.out) == (2, ""), done.err
    assert done.error["message"].startswith("no ad account: use --ad-account")
    assert "`auth login`" in done.error["hint"]
    assert "--emulator" in done.error["hint"]


@each_case("command", [*OFFLINE, *ONLINE])
def test_command_with_credentials_and_without_an_ad_account_asks_for_one(
    run: Run, people: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    with monkeypatch.context() as token:
        token.setenv("PINTEREST_ACCESS_TOKEN", "pina_SENTINEL")
        done = run(*command.split())
    assert (done.code, done.out) == (2, ""), done.err
    assert done.error["message"].startswith("no ad account: use --ad-account")
    assert "accounts list" in done.error["hint"]


@each_case("command", ["status", "runs", "jobs list", "runs --all-accounts", "resume --dry-run"])
def test_command_of_the_state_file_needs_no_credentials_with_an_ad_account(
    run: Run, command: str
) -> None:
    done = run(*command.split(), "--ad-account", ACCOUNT)
    assert (done.code, done.data) == (0, []), done.err
