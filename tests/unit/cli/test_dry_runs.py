"""Plans and dry runs: their output matches what the command itself would do."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import pytest
from unit.cli.conftest import PEOPLE, Run

pytestmark = pytest.mark.slow


@pytest.fixture
def few(run: Run, people: Path) -> Path:
    """A file of one customer; the list All has all of them."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    path = Path("few.csv")
    path.write_text("email\nperson1@shop.example\n")
    return path


@pytest.mark.parametrize("form", ["table", "csv", "json", "ndjson"])
def test_blocked_plan_names_flags_in_every_output_format(run: Run, few: Path, form: str) -> None:
    """The user who approves a plan types flags, and the plan can still be applied."""
    for words in (("plan",), ("mirror", "--dry-run")):
        done = run(*words, few, "--name", "All", "--emulator", "-o", form)
        assert done.code == 0
        assert "confirm with --yes" in done.out
        assert "allow_removals" not in done.out + done.err
    plan = run("plan", few, "--name", "All", "--emulator", "-o", "json").out
    mirror = ("mirror", "--plan-file", "-", "--emulator")
    assert run(*mirror, stdin=plan).code == 8
    assert run(*mirror, "--yes", stdin=plan).data["removed"] == PEOPLE - 1


def test_dry_removal_lists_finding_that_yes_is_required(run: Run, people: Path) -> None:
    """As for a mirror; not with --yes or for a small removal."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    remove = ("remove", people, "--name", "All", "--emulator")
    assert run(*remove).code == 8
    done = run(*remove, "--dry-run")
    assert (done.code, done.data["planned"]) == (0, PEOPLE)
    assert done.data["findings"][0] == (
        "300 of 300 records (100.0%) would be removed, more than 20%; confirm with --yes"
    )
    assert "warning: 300 of 300 records" in done.err
    Path("few.csv").write_text("email\nperson1@shop.example\n")
    little = ("remove", "few.csv", "--name", "All", "--emulator")
    for words in ((*remove, "--yes"), little):
        assert run(*words, "--dry-run").data["findings"][-1:] == ["dry run: nothing was sent"]
    for text, blocked in (("email\na@shop.example\n", False), (people.read_text(), True)):
        piped = run("remove", "-", *remove[2:], "--dry-run", stdin=text)
        assert ("confirm with --yes" in piped.data["findings"][0]) is blocked
    assert run("status", "--emulator").data[0]["records"] == PEOPLE


@pytest.mark.parametrize("which", [("--name", "Nolist"), ("--list", "643")])
def test_dry_removal_from_missing_list_fails_like_the_removal(
    run: Run, people: Path, which: tuple[str, str]
) -> None:
    """With the same exit code and error code."""
    remove = ("remove", people, *which, "--emulator", "-q")
    for words in ((*remove, "--yes"), (*remove, "--dry-run")):
        done = run(*words)
        assert (done.code, done.out, done.error["code"]) == (4, "", "not_found"), words


def test_dry_removal_finds_list_created_outside_this_tool(
    run: Run, people: Path, tmp_path: Path
) -> None:
    """By its name at Pinterest; its members are unknown."""
    made = run("upload", people, "--name", "All", "--emulator").data
    for path in list((tmp_path / "state").rglob("state.sqlite3*")):
        path.unlink()
    result = run("remove", people, "--name", "All", "--emulator", "--dry-run", "--yes").data
    assert result["customer_list_id"] == made["customer_list_id"]
    assert result["findings"][-1:] == ["dry run: nothing was sent"]


def test_dry_create_with_existing_name_fails_like_the_creation(run: Run, people: Path) -> None:
    """With the same exit code and error code; an unused name is accepted."""
    create = ("lists", "create", people, "--emulator", "-q", "--name")
    dry = run(*create, "All", "--dry-run").data
    assert (dry["status"], dry["started"], dry["finished"]) == ("dry_run", None, None)
    run(*create, "All")
    for words in ((*create, "All"), (*create, "All", "--dry-run")):
        done = run(*words)
        assert (done.code, done.out, done.error["code"]) == (8, "", "guard_name_taken")


def test_dry_upload_shows_the_list_id_if_known(run: Run, people: Path) -> None:
    """Selected by name or by id; an unknown name has no id."""
    number = run("upload", people, "--name", "All", "--emulator").data["customer_list_id"]
    for selector in (("--name", "All"), ("--list", number)):
        report = run("upload", people, *selector, "--emulator", "--dry-run").data
        assert (report["customer_list_id"], report["name"]) == (number, "All")
    report = run("upload", people, "--name", "Other", "--emulator", "--dry-run").data
    assert (report["customer_list_id"], report["name"]) == (None, "Other")


@pytest.mark.parametrize("form", ["json", "csv"])
def test_dry_mirror_shows_additions_and_removals_separately(run: Run, few: Path, form: str) -> None:
    few.write_text("email\nperson1@shop.example\nnew@shop.example\nnewer@shop.example\n")
    done = run("mirror", few, "--name", "All", "--emulator", "--dry-run", "-o", form)
    if form == "json":
        report = {name: str(value) for name, value in done.data.items()}
    else:
        (report,) = csv.DictReader(done.out.splitlines())
    assert (report["to_add"], report["to_remove"]) == ("2", str(PEOPLE - 1))
    assert report["planned"] == str(PEOPLE + 1)
    real = run("mirror", few, "--name", "All", "--emulator", "--yes", "-q").data
    assert (real["to_add"], real["to_remove"]) == (real["added"], real["removed"])


def test_dry_forget_names_lists_with_removals(run: Run, people: Path) -> None:
    """Lists of one account or of all; there are no findings, and it is not a receipt."""
    for account in ("12", "34"):
        words = ("--name", f"Of {account}", "--emulator", "--ad-account", account, "-q")
        run("upload", people, *words)
    Path("who.txt").write_text("person1@shop.example\n")
    forget = ("forget", "who.txt", "--emulator", "--ad-account", "12")
    for more, named in (((), ["Of 12"]), (("--all-accounts",), ["Of 12", "Of 34"])):
        done = run(*forget, *more, "--dry-run")
        assert (done.code, done.data["people"], done.data["dry_run"]) == (0, 1, True)
        assert done.data["complete"] is False  # nothing was erased
        assert [each["name"] for each in done.data["lists"]] == named
        assert {each["problem"] for each in done.data["lists"]} == {""}
        assert {each["records"] for each in done.data["lists"]} == {1}
        assert "dry run: nothing was sent" in done.err
    receipt = run(*forget, "--all-accounts", "--yes").data
    assert [each["records"] for each in receipt["lists"]] == [1, 1]
    assert (receipt["dry_run"], receipt["complete"]) == (False, True)
    assert datetime.fromisoformat(receipt["begun"]).tzinfo is not None


def test_receipt_of_an_invalid_identifier_is_not_complete(run: Run, people: Path) -> None:
    run("upload", people, "--name", "All", "--emulator", "-q")
    Path("who.txt").write_text("person1@shop.example\nno address\n")
    done = run("forget", "who.txt", "--emulator", "--yes")
    assert (done.code, done.data["unusable"], done.data["complete"]) == (5, 1, False)


@pytest.mark.parametrize(
    ("line", "records"),
    [("person1@shop.example", 1), ("unknown@shop.example", 0), ("no address", 0)],
)
def test_dry_forget_counts_the_records_that_forget_removes(
    run: Run, people: Path, line: str, records: int
) -> None:
    run("upload", people, "--name", "All", "--emulator", "-q")
    Path("who.txt").write_text(f"{line}\n")
    dry, real = (run("forget", "who.txt", "--emulator", how).data for how in ("--dry-run", "--yes"))
    assert [each["records"] for each in dry["lists"]] == [records]
    assert [each["records"] for each in real["lists"]] == [records]
