"""Inputs that are refused with an error instead of being ignored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.cases import each_case
from unit.cli.conftest import Done, Run

pytestmark = pytest.mark.slow


def refused(done: Done, exit_code: int, *words: str) -> None:
    """Expect an error and no result."""
    assert (done.code, done.out) == (exit_code, ""), done.err
    text = f"{done.error['message']} {done.error['hint'] or ''}"
    for word in words:
        assert word in text


@pytest.fixture
def plan_file(run: Run, people: Path) -> Path:
    """An approved plan for the list All."""
    path = Path("plan.json")
    path.write_text(run("plan", people, "--name", "All", "--emulator", "-o", "json").out)
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("--name", "Other"),
        ("--list", "643"),
        ("--adopt",),
        ("--max-removal-share", "0.2"),
        ("--match-rate", "0.5"),
        ("--keep-unhashed",),
        ("--column", "email"),
        ("--max-reject-share", "0.5"),
    ],
    ids=" ".join,
)
def test_apply_of_plan_refuses_options_that_the_plan_contains(
    run: Run, plan_file: Path, words: tuple[str, ...]
) -> None:
    """Ignoring them would change another list than the one on the command line."""
    done = run("mirror", "--plan-file", plan_file, *words, "--emulator")
    refused(done, 2, words[0], "--plan-file")
    assert run("lists", "list", "--emulator").data == []


WRONG: list[object] = [None, 1, "x", [], {}, True, -1, float("inf"), 10**400, [1], {"a": {"b": {}}}]
COUNTS = ("rows", "blank", "records", "duplicates", "rejected", "values")
FITTING = {  # JSON texts
    **dict.fromkeys(("job_id", "add", "remove", "resend", "keep", "calls", "removal_share"), "1"),
    "calls_a_minute": "null 1",
    **dict.fromkeys(("ad_account_id", "blocked", "source.source", "source.kind"), '"x"'),
    **dict.fromkeys(("customer_list_id", "name"), 'null "x"'),
    **dict.fromkeys(("findings", "source.columns", "source.findings"), "[]"),
    "source": '{} {"a":{"b":{}}}',  # later versions may add names
    **dict.fromkeys((f"source.{name}" for name in COUNTS), "1"),
    "source.limit": "null 1",
    "source.complete": "true",
    **dict.fromkeys(("source.rejects", "source.forms", "source.files"), "{}"),
    **dict.fromkeys(("source.first_rows", "source.first_files"), "{}"),
}


def test_plan_with_a_value_of_another_type_is_refused(run: Run, plan_file: Path) -> None:
    """Each value, also those of its source, is replaced by each of other types."""
    plan = json.loads(plan_file.read_text())
    del plan["minutes"]  # which is calculated
    names = [*plan, *(f"source.{name}" for name in plan["source"])]
    words = ("mirror", "--plan-file", "edited.json", "--dry-run", "--emulator", "-o")
    for name in names:
        outer, _, inner = name.partition(".")
        for wrong in WRONG:
            edited = {**plan, outer: {**plan[outer], inner: wrong} if inner else wrong}
            Path("edited.json").write_text(json.dumps(edited))
            done = run(*words, "json")
            if json.dumps(wrong, separators=(",", ":")) in FITTING.get(name, "").split():
                assert (done.code, run(*words, "table").code) == (0, 0), (name, wrong)
            else:
                assert done.code == 2, (name, wrong)
                assert "edited.json: not a plan" in done.err, (name, wrong)


def test_plan_without_a_source_is_refused(run: Run, plan_file: Path) -> None:
    plan = json.loads(plan_file.read_text())
    del plan["source"]
    plan_file.write_text(json.dumps(plan))
    done = run("mirror", "--plan-file", plan_file, "--emulator")
    refused(done, 2, "plan.json: not a plan")


@each_case(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, '{"job_id": 1, "source": ' + "[" * 5000 + "]" * 5000 + "}"],
)
def test_nested_text_is_not_a_plan(run: Run, text: str) -> None:
    Path("plan.json").write_text(text)
    done = run("mirror", "--plan-file", "plan.json", "--emulator")
    refused(done, 2, "plan.json: not a plan")


def test_time_in_the_source_of_a_plan_that_is_none_is_left_out(run: Run, plan_file: Path) -> None:
    plan = json.loads(plan_file.read_text())
    plan["source"]["started"] = 1e300
    plan_file.write_text(json.dumps(plan))
    done = run("mirror", "--plan-file", plan_file, "--dry-run", "--emulator", "-o", "json")
    assert done.data["source"]["started"] is None


def test_plan_of_another_ad_account_is_refused(run: Run, plan_file: Path) -> None:
    """A flag with the same account is accepted."""
    mirror = ("mirror", "--plan-file", plan_file, "--emulator", "--ad-account")
    refused(run(*mirror, "12"), 2, "--ad-account 12")
    assert run("lists", "list", "--emulator").data == []
    assert run(*mirror, "549755885175").data["name"] == "All"


@pytest.mark.skipif(os.name != "posix", reason="requires named pipes")
def test_large_removal_from_named_pipe_requires_yes(run: Run, people: Path) -> None:
    """It can be read only once, and is counted before anything is sent."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    command = [sys.executable, "-m", "pinterest_audiences", "remove", "/dev/stdin"]
    command += ["--name", "All", "--emulator", "-q", "--column", "email"]
    few = b"email\nperson1@shop.example\n"
    for text, more, code in (
        (people.read_bytes(), (), 8),
        (few, (), 0),
        (people.read_bytes(), ("--yes",), 0),
    ):
        done = subprocess.run([*command, *more], input=text, capture_output=True, check=False)
        assert done.returncode == code
        assert (b"of 300 records (100.0%)" in done.stderr) is (code == 8)
    assert run("status", "--emulator").data[0]["records"] == 0


@pytest.mark.parametrize(
    "content",
    [b"id,email\n1,ada@shop.example\n", b"[]", b"{}", b"null", b"\xff\xfe{", b"", b'{"job_id": 1}'],
    ids=ascii,
)
@pytest.mark.parametrize("how", ["file", "standard input"])
def test_invalid_plan_file_is_a_usage_error(run: Run, content: bytes, how: str) -> None:
    """With any bytes; the error names the file and the command that writes plans."""
    Path("plan.csv").write_bytes(content)
    word = "plan.csv" if how == "file" else "-"
    done = run("mirror", "--plan-file", word, "--emulator", stdin=content)
    named = word if how == "file" else how
    refused(done, 2, f"{named}: not a plan", "`plan -o json`")
    assert "shop.example" not in done.err


def test_audience_of_missing_list_exits_with_4(run: Run) -> None:
    """The dry run reports the same error."""
    create = ("audience", "create", "999", "--name", "All", "--emulator")
    for words in (create, (*create, "--dry-run")):
        refused(run(*words), 4, "check the ids")
    assert run("audience", "list", "--emulator").data == []


WITHOUT_CUSTOMERS = {
    "header": ("email\n", "source", "has no customer that can be sent"),
    "rejects": (
        "email\ninvalid\n",
        "too_many_rejects",
        "1 of 1 values were rejected: 1 no_at_sign; not one became a record, and nothing was sent",
    ),
    "empty": ("", "source", "is empty; it must have a header"),
}


@pytest.mark.parametrize(
    ("content", "code", "message"), WITHOUT_CUSTOMERS.values(), ids=WITHOUT_CUSTOMERS
)
@pytest.mark.parametrize(
    "words",
    [
        ("lists", "create", "empty.csv", "--name", "All", "--max-reject-share", "1"),
        ("lists", "create", "empty.csv", "--name", "All", "--max-reject-share", "1", "--dry-run"),
        ("demo", "empty.csv"),
    ],
    ids=("create", "dry", "demo"),
)
def test_source_without_customers_creates_no_list(
    run: Run, words: tuple[str, ...], content: str, code: str, message: str
) -> None:
    """The error names the source."""
    Path("empty.csv").write_text(content)
    done = run(*words) if words[0] == "demo" else run(*words, "--emulator")
    refused(done, 5)
    no_list = content == "email\n" and words[0] != "demo"
    expected = f"empty.csv: {message}" + ("; no list was created" if no_list else "")
    assert (done.error["code"], done.error["message"]) == (code, expected)
    assert run("lists", "list", "--emulator").data == []


@pytest.mark.parametrize("how", ["-", "empty.csv", "empty.txt"])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize("command", ["upload", "remove"])
def test_empty_source_exits_with_5(
    run: Run, people: Path, command: str, how: str, more: tuple[str, ...]
) -> None:
    """On standard input as in a file: the program that should write it has failed."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    Path("empty.csv").touch()
    Path("empty.txt").touch()
    yes = ("--yes",) if command == "remove" else ()
    done = run(command, how, "--name", "All", "--emulator", *more, *yes)
    refused(done, 5, "is empty")


NO_ROWS = ("source", "none.csv: has no rows below its header")
_NO_COLUMN = "no value in the column that was read, in 2 rows; choose another with"
NO_VALUES = ("source", f"none.csv: {_NO_COLUMN} --column")
ALL_REJECTED = (
    "too_many_rejects",
    "none.csv: 2 of 2 values were rejected: 2 empty; not one became a record, and nothing was sent",
)
CONTENTS = ("email\n", "email,id\n,\n,\n", "email,id\n,1\n,2\n")


@pytest.mark.parametrize(
    ("content", "expected"), [*zip(CONTENTS, (NO_ROWS, NO_ROWS, NO_VALUES), strict=True)]
)
@pytest.mark.parametrize("command", ["check", "hash"])
def test_source_without_values_exits_with_5(
    run: Run, command: str, content: str, expected: tuple[str, str]
) -> None:
    """Also for commands that send nothing."""
    Path("none.csv").write_text(content)
    done = run(command, "none.csv")
    assert (done.code, done.error["code"], done.error["message"]) == (5, *expected)


@pytest.mark.parametrize(
    ("content", "expected"), [*zip(CONTENTS, (NO_ROWS, NO_ROWS, ALL_REJECTED), strict=True)]
)
@pytest.mark.parametrize(
    "words",
    [("upload",), ("upload", "--dry-run"), ("remove", "--yes"), ("remove", "--dry-run")],
    ids=" ".join,
)
def test_update_from_source_without_values_exits_with_5(
    run: Run, people: Path, words: tuple[str, ...], content: str, expected: tuple[str, str]
) -> None:
    """The list is unchanged."""
    where = ("--name", "All", "--emulator")
    run("upload", people, *where, "-q")
    before = run("status", "--emulator").data[0]["records"]
    Path("none.csv").write_text(content)
    done = run(words[0], "none.csv", *where, *words[1:])
    refused(done, 5)
    assert (done.error["code"], done.error["message"]) == expected
    assert run("status", "--emulator").data[0]["records"] == before


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("command", ["plan", "mirror"])
def test_mirror_of_source_without_values_exits_with_8(
    run: Run, people: Path, command: str, content: str
) -> None:
    """A guard refuses it, because it would empty the list."""
    where = ("--name", "All", "--emulator")
    run("upload", people, *where, "-q")
    before = run("status", "--emulator").data[0]["records"]
    Path("none.csv").write_text(content)
    done = run(command, "none.csv", *where)
    refused(done, 8, "the source has no records, and a mirror of it would empty the list")
    assert done.error["code"] == "guard_empty_source"
    assert run("status", "--emulator").data[0]["records"] == before


def test_demo_refuses_a_file_together_with_a_number(run: Run, people: Path) -> None:
    """The number would be ignored."""
    refused(run("demo", people, "--customers", "5"), 2, "--customers", "FILE")
    assert run("demo", "--customers", "300", "-q").data["customers"] == 300


@pytest.mark.parametrize("share", ["7", "nan", "-0.1", "inf"])
@pytest.mark.parametrize("command", ["check", "hash", "upload", "mirror"])
def test_reject_limit_above_1_is_a_usage_error(
    run: Run, people: Path, command: str, share: str
) -> None:
    """A percentage was meant, and the limit would never apply."""
    naming = ("--name", "All", "--emulator") if command in ("upload", "mirror") else ()
    done = run(command, people, f"--max-reject-share={share}", *naming)
    refused(done, 2, "--max-reject-share", "0 to 1")


@pytest.mark.parametrize("share", ["0.5", "1"])
def test_reject_limit_of_1_is_accepted(run: Run, people: Path, share: str) -> None:
    assert run("check", people, "--max-reject-share", share).code == 0


@pytest.mark.parametrize("name", ["who.txt", "who.csv", "table.csv", "who.ndjson"])
@pytest.mark.parametrize("how", ["--yes", "--dry-run"])
def test_forget_ignores_blank_lines_and_reports_invalid_identifiers(
    run: Run, people: Path, name: str, how: str
) -> None:
    """Editors and exports add blank lines."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    head, ada, bad = {
        "who.txt": ("", "person1@shop.example", "invalid"),
        "who.csv": ("email\n", "person1@shop.example", "invalid"),
        "table.csv": ("id,email\n", "1,person1@shop.example", "2,"),
        "who.ndjson": ("", '{"email": "person1@shop.example"}', '{"email": "invalid"}'),
    }[name]
    Path(name).write_text(f"{head}{ada}\n\n\n")
    done = run("forget", name, how, "--emulator")
    assert (done.code, done.data["people"], done.data["unusable"]) == (0, 1, 0)
    Path(name).write_text(f"{head}{ada}\n{bad}\n\n")
    done = run("forget", name, how, "--emulator")
    assert (done.code, done.data["people"], done.data["unusable"]) == (5, 2, 1)
    Path(name).write_text(f"{head}\n\n")
    refused(run("forget", name, how, "--emulator"), 5, f"{name}: has no identifiers")


def test_forget_with_empty_stdin_is_an_error(run: Run) -> None:
    """The program that should write an identifier has failed."""
    refused(run("forget", "-", "--yes", "--emulator"), 5, "standard input: has no identifiers")


@pytest.mark.parametrize(
    "wrong",
    [{"job_id": "1"}, {"job_id": [1]}, {"add": "1"}, {"ad_account_id": 12}, {"findings": [1]}],
    ids=str,
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_plan_file_with_invalid_values_is_refused(
    run: Run, plan_file: Path, wrong: dict[str, object], more: tuple[str, ...]
) -> None:
    """After an edit by hand or by another program."""
    plan_file.write_text(json.dumps({**json.loads(plan_file.read_text()), **wrong}))
    done = run("mirror", "--plan-file", plan_file, "--emulator", *more)
    refused(done, 2, "plan.json: not a plan")


def test_mirror_is_refused_when_unreadable_rows_may_explain_removals(
    run: Run, people: Path
) -> None:
    """The flag of another guard does not allow it."""
    mirror = ("mirror", people, "--name", "All", "--emulator")
    run(*mirror)
    people.write_text(people.read_text().replace("person1@shop", "person1 at shop"))
    refused(run(*mirror), 8, "1 more than", "--allow-unreadable")
    assert run(*mirror, "--yes").code == 8
    assert "could not be read" in run("plan", *mirror[1:]).data["blocked"]
    assert run(*mirror, "--allow-unreadable").data["removed"] == 1


@pytest.mark.parametrize("command", ["mirror", "plan", "upload"])
def test_source_with_too_few_rows_is_refused(run: Run, people: Path, command: str) -> None:
    """Also from a pipe: the shell does not report that the producer failed."""
    where = ("--name", "All", "--emulator")
    run("upload" if command == "upload" else "mirror", people, *where)
    text = "".join(people.read_text().splitlines(keepends=True)[:280])
    half = text[: len(text) // 2]
    for expected, given in (("300", text), ("90%", half), ("0.9", half)):
        done = run(command, "-", *where, "--expect-rows", expected, stdin=given)
        refused(done, 8, "rows", "--expect-rows")
    refused(run(command, people, *where, "--expect-rows", "many"), 2, "--expect-rows")
    dry = run("upload", people, *where, "--dry-run", "--expect-rows", "5000")
    refused(dry, 8, "--expect-rows")
    if command == "upload":
        for expected in ("90%", "0.9"):
            dry = run("upload", "-", *where, "--dry-run", "--expect-rows", expected, stdin=half)
            refused(dry, 8, "--expect-rows")


def test_dry_removal_compares_rows_with_the_last_removal(run: Run, people: Path) -> None:
    """Like the removal itself. Without an earlier removal there is a finding."""
    where = ("--name", "All", "--emulator")
    run("upload", people, *where)
    text = "".join(people.read_text().splitlines(keepends=True)[:20])
    half = "".join(text.splitlines(keepends=True)[:10])
    expect = ("--expect-rows", "90%")
    first = run("remove", "-", *where, *expect, "--yes", "--dry-run", stdin=text)
    assert "no_last_run" in first.data["findings"][0]
    run("remove", "-", *where, "--yes", stdin=text)
    refused(run("remove", "-", *where, *expect, "--yes", "--dry-run", stdin=half), 8, "rows")
    assert run("remove", "-", *where, *expect, "--yes", "--dry-run", stdin=text).code == 0
