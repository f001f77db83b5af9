"""Plans and dry runs: what they tell is what the command itself would do, in its words."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from cli.conftest import PEOPLE, Run


@pytest.fixture
def few(run: Run, people: Path) -> Path:
    """A file of one customer; the list All has all of them."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    path = Path("few.csv")
    path.write_text("email\nperson1@shop.example\n")
    return path


@pytest.mark.parametrize("form", ["table", "csv", "json", "ndjson"])
def test_what_blocks_a_plan_is_said_in_flags_in_every_form(run: Run, few: Path, form: str) -> None:
    """Whoever approves a plan types flags; and the plan is still one that can be applied."""
    for words in (("plan",), ("mirror", "--dry-run")):
        done = run(*words, few, "--name", "All", "--emulator", "-o", form)
        assert done.code == 0
        assert "say --yes if that is right" in done.out
        assert "allow_removals" not in done.out + done.err
    plan = run("plan", few, "--name", "All", "--emulator", "-o", "json").out
    mirror = ("mirror", "--plan-file", "-", "--emulator")
    assert run(*mirror, stdin=plan).code == 8
    assert run(*mirror, "--yes", stdin=plan).data["removed"] == PEOPLE - 1


def test_a_removal_that_needs_a_yes_says_so_when_it_is_dry(run: Run, people: Path) -> None:
    """In its findings, as a mirror's; and not where yes is said, or little would go."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    remove = ("remove", people, "--name", "All", "--emulator")
    assert run(*remove).code == 8
    done = run(*remove, "--dry-run")
    assert (done.code, done.data["planned"]) == (0, PEOPLE)
    assert done.data["findings"][0] == (
        "300 of 300 records (100%) would be removed, more than 20%; say --yes if that is right"
    )
    assert "warning: 300 of 300 records" in done.err
    Path("few.csv").write_text("email\nperson1@shop.example\n")
    little = ("remove", "few.csv", "--name", "All", "--emulator")
    for words in ((*remove, "--yes"), little):
        assert run(*words, "--dry-run").data["findings"] == ["dry run: nothing was sent"]
    piped = run("remove", "-", *remove[2:], "--dry-run", stdin="a@shop.example\n")
    assert "not known beforehand; say --yes" in piped.data["findings"][0]
    assert run("status", "--emulator").data[0]["records"] == PEOPLE


@pytest.mark.parametrize("which", [("--name", "Nolist"), ("--list", "643")])
def test_a_removal_from_a_list_that_is_not_there_fails_when_it_is_dry_too(
    run: Run, people: Path, which: tuple[str, str]
) -> None:
    """With the same exit code and the same word for scripts."""
    remove = ("remove", people, *which, "--emulator", "-q")
    for words in ((*remove, "--yes"), (*remove, "--dry-run")):
        done = run(*words)
        assert (done.code, done.out, done.error["code"]) == (4, "", "not_found"), words


def test_a_removal_finds_a_list_that_no_job_has_made_when_it_is_dry(
    run: Run, people: Path, tmp_path: Path
) -> None:
    """By its name, at Pinterest; nothing is known of what is on it."""
    made = run("upload", people, "--name", "All", "--emulator").data
    for path in list((tmp_path / "state").rglob("state.sqlite3*")):
        path.unlink()
    told = run("remove", people, "--name", "All", "--emulator", "--dry-run", "--yes").data
    assert told["customer_list_id"] == made["customer_list_id"]
    assert told["findings"] == ["dry run: nothing was sent"]


def test_a_name_that_is_taken_is_refused_when_it_is_dry_too(run: Run, people: Path) -> None:
    """With the same exit code and the same word for scripts; a free one is not."""
    create = ("lists", "create", people, "--emulator", "-q", "--name")
    assert run(*create, "All", "--dry-run").data["status"] == "dry_run"
    run(*create, "All")
    for words in ((*create, "All"), (*create, "All", "--dry-run")):
        done = run(*words)
        assert (done.code, done.out, done.error["code"]) == (8, "", "guard_name_taken")


def test_a_dry_upload_tells_which_list_it_is_where_that_is_known(run: Run, people: Path) -> None:
    """By its name or by its id; of another name nothing is known."""
    number = run("upload", people, "--name", "All", "--emulator").data["customer_list_id"]
    for which in (("--name", "All"), ("--list", number)):
        told = run("upload", people, *which, "--emulator", "--dry-run").data
        assert (told["customer_list_id"], told["name"]) == (number, "All")
    told = run("upload", people, "--name", "Other", "--emulator", "--dry-run").data
    assert (told["customer_list_id"], told["name"]) == (None, "Other")


@pytest.mark.parametrize("form", ["json", "table", "csv"])
def test_a_dry_mirror_tells_how_many_come_and_how_many_go(run: Run, few: Path, form: str) -> None:
    """And not only their sum."""
    few.write_text("email\nperson1@shop.example\nnew@shop.example\nnewer@shop.example\n")
    done = run("mirror", few, "--name", "All", "--emulator", "--dry-run", "-o", form)
    if form == "json":
        told = {name: str(value) for name, value in done.data.items()}
    elif form == "table":
        told = dict(line.split(maxsplit=1) for line in done.out.splitlines() if " " in line)
    else:
        (told,) = csv.DictReader(done.out.splitlines())
    assert (told["to_add"], told["to_remove"]) == ("2", str(PEOPLE - 1))
    assert told["planned"] == str(PEOPLE + 1)
    real = run("mirror", few, "--name", "All", "--emulator", "--yes", "-q").data
    assert (real["to_add"], real["to_remove"]) == (real["added"], real["removed"])


def test_a_dry_forget_names_the_lists_that_people_would_be_taken_from(
    run: Run, people: Path
) -> None:
    """Those of one account, or of all; nothing is wrong with them, and it is no receipt."""
    for account in ("12", "34"):
        words = ("--name", f"Of {account}", "--emulator", "--ad-account", account, "-q")
        run("upload", people, *words)
    Path("who.txt").write_text("person1@shop.example\n")
    forget = ("forget", "who.txt", "--emulator", "--ad-account", "12")
    for more, named in (((), ["Of 12"]), (("--all-accounts",), ["Of 12", "Of 34"])):
        done = run(*forget, *more, "--dry-run")
        assert (done.code, done.data["people"], done.data["dry_run"]) == (0, 1, True)
        assert [each["name"] for each in done.data["lists"]] == named
        assert {each["problem"] for each in done.data["lists"]} == {""}
        assert "dry run: nothing was sent" in done.err
    receipt = run(*forget, "--all-accounts", "--yes").data
    assert [each["records"] for each in receipt["lists"]] == [1, 1]
    assert receipt["dry_run"] is False
