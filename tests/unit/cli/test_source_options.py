"""The options for reading a source, the same in every command that reads one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.cases import each_case
from unit.cli.conftest import Done, Run

REMOVE = ("--name", "All", "--emulator")
COMMANDS = {
    "check": (),
    "hash": (),
    "upload": ("--name", "All", "--emulator"),
    "plan": ("--name", "All", "--emulator"),
    "mirror": ("--name", "All", "--emulator"),
    "forget": ("--dry-run", "--emulator"),
}


def records_of(command: str, done: Done) -> int:
    """Return the number of records that a command has read."""
    if command == "hash":
        return len(done.data)
    count = {"check": "records", "upload": "planned", "plan": "add", "mirror": "planned"}
    return int(done.data[count.get(command, "people")])


@pytest.mark.parametrize("command", COMMANDS)
def test_table_without_header_is_read_with_column_options(run: Run, command: str) -> None:
    """In every command; the error names the options."""
    rows = "".join(f"Person {n},person{n}@shop.de\n" for n in range(120))
    Path("people.csv").write_text(f"Members\n{rows}")
    more = COMMANDS[command]
    refused = run(command, "people.csv", "--skip-rows", "1", *more)
    assert (refused.code, refused.error["code"]) == (5, "source")
    assert "--no-header and --column 2" in refused.error["message"]
    assert "Person" not in refused.err
    done = run(command, "people.csv", "--skip-rows", "1", "--no-header", "--column", "2", *more)
    assert done.code == 0
    assert records_of(command, done) == 120


def test_repeated_column_option_reads_several_columns(run: Run) -> None:
    """By name or number; columns with one name are read together."""
    Path("people.csv").write_text("Home,Work,id\na@shop.de,b@shop.de,1\n,c@shop.de,2\n")
    done = run("check", "people.csv", "--column", "Home", "--column", "2")
    assert (done.data["records"], done.data["rows"], done.data["values"]) == (3, 2, 3)
    Path("people.csv").write_text("email,email,phone\na@shop.de,b@shop.de,1\n,,2\n,,\n")
    done = run("check", "people.csv")
    assert (done.data["records"], done.data["rejects"], done.data["blank"]) == (2, {"empty": 1}, 1)


def test_columns_of_partitions_are_options_and_in_the_report(run: Run) -> None:
    for shop in ("17", "A%2FB"):
        Path(f"sales/shop={shop}").mkdir(parents=True)
        Path(f"sales/shop={shop}/a.csv").write_text("email\nann@shop.de\n")
    columns = ("--columns", "email,external_id=shop")
    assert run("check", "sales", *columns).data["columns"] == ["email", "shop"]
    hashed = run("hash", "sales", *columns).data
    assert [row["external_id"] for row in hashed] == ["17", "A/B"]
    Path("sales/shop=17").rename("owner=bob%40shop.de")
    done = run("check", "owner=bob%40shop.de", "--column", "email", "--column", "Owner")
    assert (done.data["columns"], done.data["records"]) == (["email", "owner"], 2)


def test_reject_limit_error_names_its_option(run: Run) -> None:
    Path("people.csv").write_text("email,id\na@shop.de,1\nwrong,2\n,3\n,4\n")
    done = run("check", "people.csv")
    assert (done.code, done.error["code"]) == (5, "too_many_rejects")
    assert "1 of 2 values" in done.error["message"]
    assert "--max-reject-share" in done.error["message"]
    assert run("check", "people.csv", "--max-reject-share", "0.5").code == 0


@pytest.mark.parametrize("value", ["-1", "x"])
def test_invalid_skip_rows_is_a_usage_error(run: Run, value: str) -> None:
    Path("people.csv").write_text("email\na@shop.de\n")
    assert run("check", "people.csv", f"--skip-rows={value}").code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_several_files_are_one_source_in_every_command(run: Run, command: str) -> None:
    """Options may be before, between and after the files."""
    Path("a.csv").write_text("email\n" + "".join(f"a{n}@shop.de\n" for n in range(60)))
    Path("b.csv").write_text("id;E-Mail\n" + "".join(f"{n};b{n}@shop.de\n" for n in range(60)))
    done = run(command, "a.csv", *COMMANDS[command], "b.csv", "--kind", "email")
    assert done.code == 0
    assert records_of(command, done) == 120


@pytest.mark.parametrize("command", COMMANDS)
def test_command_without_file_is_a_usage_error(run: Run, command: str) -> None:
    done = run(command, *COMMANDS[command])
    assert done.code == 2
    assert "FILE" in done.error["message"]


def test_standard_input_can_be_one_of_several_files(run: Run) -> None:
    Path("a.csv").write_text("email\na@shop.de\n")
    done = run("check", "a.csv", "-", stdin=b"email\nb@shop.de\n")
    assert done.data["files"] == {"a.csv": 1, "standard input": 1}
    done = run("check", "-", "-", stdin=b"email\nb@shop.de\n")
    assert (done.code, done.error["message"]) == (
        *(2,),
        "standard input: is given twice; leave one of them out",
    )


def test_unknown_option_between_files_is_not_read_as_a_file(run: Run) -> None:
    Path("a.csv").write_text("email\na@shop.de\n")
    for words in (
        ("a.csv", "--colum", "a.csv"),
        ("--colum=1", "a.csv"),
        ("a.csv", "--", "--colum"),
    ):
        done = run("check", *words)
        assert (done.code, "unknown option --colum (did you mean" in done.err) == (2, True)


def test_mirror_of_several_files_changes_nothing_if_one_is_damaged(run: Run) -> None:
    """The customers of the other files would look as if they were all."""
    Path("a.csv").write_text("email\n" + "".join(f"a{n}@shop.de\n" for n in range(60)))
    Path("b.csv").write_text("email\n" + "".join(f"b{n}@shop.de\n" for n in range(60)))
    words = ("--name", "All", "--emulator")
    assert run("mirror", "a.csv", "b.csv", *words).data["added"] == 120
    with Path("b.csv").open("ab") as file:
        file.write(b"\xff\n")
    for command in ("mirror", "plan"):
        done = run(command, "a.csv", "b.csv", *words)
        assert (done.code, done.error["message"].startswith("b.csv")) == (5, True)
    assert run("status", *words[2:]).data[0]["records"] == 120


READERS = {**COMMANDS, "lists create": ("--name", "New", "--emulator"), "remove": REMOVE}
NO_LAST_RUN = ("check", "hash", "lists create", "forget")


@pytest.mark.slow
@each_case("command", READERS)
@each_case(
    ("expected", "dry_run", "code"),
    [("3", False, 0), ("4", False, 8), ("4", True, 8), ("90%", False, None)],
)
def test_expect_rows_in_every_command_that_reads(
    run: Run, command: str, expected: str, dry_run: bool, code: int | None
) -> None:
    """Nothing is sent if a file has fewer rows; a share needs the last run of a list."""
    Path("three.csv").write_text("email\na@shop.de\nb@shop.de\n\nc@shop.de\n")
    shutil.rmtree("state", ignore_errors=True)
    state = ("--state", "state/jobs.sqlite")
    if command == "remove":
        run("upload", "three.csv", "--name", "All", "--emulator", *state)
    words = [word for word in READERS[command] if word != "--dry-run"]
    if dry_run and command not in ("check", "hash", "plan"):
        words.append("--dry-run")
    elif command in ("forget", "remove"):
        words.append("--yes")
    done = run(*command.split(), "three.csv", *words, *state, "--expect-rows", expected)
    if code is None:
        code = 2 if command in NO_LAST_RUN else 0
    assert done.code == code, done.err
    if code == 8:
        assert done.error["code"] == "guard_expected_rows"
        assert "has 3 rows, but at least 4" in done.error["message"]
    elif code == 2:
        assert "--expect-rows must be a number of rows" in done.error["message"]
    if code and command != "remove":
        assert run("lists", "list", "--emulator", *state).data == []


@each_case("command", NO_LAST_RUN)
@each_case("expected", ["0", "-1", "many", "1.5"])
def test_invalid_expect_rows_is_a_usage_error(run: Run, command: str, expected: str) -> None:
    Path("one.csv").write_text("email\na@shop.de\n")
    words = (*READERS[command], "--expect-rows", expected)
    done = run(*command.split(), "one.csv", *words)
    assert (done.code, done.out) == (2, "")
    assert "--expect-rows must be" in done.error["message"]


@each_case("command", READERS)
def test_limit_reads_the_first_rows(run: Run, command: str) -> None:
    """Not in a mirror, which would remove the others, nor in an erasure."""
    rows = "".join(f"person{number}@shop.de\n" for number in range(120))
    Path("people.csv").write_text(f"email\n{rows}")
    more = READERS[command]
    if command == "remove":
        run("upload", "people.csv", "--name", "All", "--emulator")
        more = (*more, "--yes")
    done = run(*command.split(), "people.csv", "--limit", "50", *more)
    if command in ("plan", "mirror", "forget"):
        assert (done.code, done.out) == (2, "")
        if command != "forget":
            assert "would remove all other customers" in done.error["message"]
            assert "`check --limit`" in done.error["hint"]
        return
    assert done.code == 0
    assert "only the first 50 rows were read" in done.err
    if command == "hash":
        assert len(done.data) == 50
    elif command == "check":
        assert (done.data["rows"], done.data["limit"]) == (50, 50)
    else:
        assert (done.data["planned"], done.data["source"]["limit"]) == (50, 50)


@each_case("limit", ["0", "-1", "x"])
def test_invalid_limit_is_a_usage_error(run: Run, people: Path, limit: str) -> None:
    done = run("check", people, "--limit", limit)
    assert (done.code, done.out) == (2, "")
    assert "--limit" in done.error["message"]


def test_limit_and_expect_rows_together_refuse_the_limited_rows(run: Run, people: Path) -> None:
    done = run("check", people, "--limit", "5", "--expect-rows", "300")
    assert (done.code, done.error["code"]) == (8, "guard_expected_rows")
