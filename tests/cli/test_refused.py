"""What is refused, or done, rather than passed over in silence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Done, Run


def refused(done: Done, exit_code: int, *words: str) -> None:
    """Expect an error and no result."""
    assert (done.code, done.out) == (exit_code, ""), done.err
    told = f"{done.error['message']} {done.error['hint'] or ''}"
    for word in words:
        assert word in told


@pytest.fixture
def plan_file(run: Run, people: Path) -> Path:
    """A plan that was approved, for a list named All."""
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
def test_a_plan_takes_no_options_that_it_has_decided(
    run: Run, plan_file: Path, words: tuple[str, ...]
) -> None:
    """They would be passed over, and another list than the one that was typed be changed."""
    done = run("mirror", "--plan-file", plan_file, *words, "--emulator")
    refused(done, 2, words[0], "--plan-file")
    assert run("lists", "list", "--emulator").data == []


def test_a_plan_is_for_its_own_ad_account(run: Run, plan_file: Path) -> None:
    """A flag that says another one is refused, and one that says the same is not."""
    mirror = ("mirror", "--plan-file", plan_file, "--emulator", "--ad-account")
    refused(run(*mirror, "12"), 2, "--ad-account 12")
    assert run("lists", "list", "--emulator").data == []
    assert run(*mirror, "549755885175").data["name"] == "All"


@pytest.mark.skipif(os.name != "posix", reason="pipes have paths on Unix only")
def test_a_pipe_with_a_path_is_not_counted_before_it_is_sent(run: Run, people: Path) -> None:
    """It can be read once; unasked nothing is removed, and with --yes everything is."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    command = [sys.executable, "-m", "pinterest_audiences", "remove", "/dev/stdin"]
    command += ["--name", "All", "--emulator", "-q", "--column", "email"]
    for more, code in (((), 8), (("--yes",), 0)):
        done = subprocess.run(
            [*command, *more],
            input=people.read_bytes(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == code
        assert (b"/dev/stdin" in done.stderr) is (code == 8)
    assert run("status", "--emulator").data[0]["records"] == 0


@pytest.mark.parametrize(
    "content",
    [b"id,email\n1,ada@shop.example\n", b"[]", b"{}", b"null", b"\xff\xfe{", b"", b'{"job_id": 1}'],
    ids=ascii,
)
@pytest.mark.parametrize("how", ["file", "standard input"])
def test_a_plan_file_that_is_no_plan_is_usage(content: bytes, how: str) -> None:
    """Whatever its bytes are; the error says which file, and what writes one."""
    Path("plan.csv").write_bytes(content)
    word = "plan.csv" if how == "file" else "-"
    done = subprocess.run(
        [sys.executable, "-m", "pinterest_audiences", "mirror", "--plan-file", word, "--emulator"],
        input=content,
        capture_output=True,
        check=False,
    )
    told = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
    named = word if how == "file" else how
    refused(told, 2, f"{named}: is no plan", "`plan -o json`")
    assert "shop.example" not in told.err


def test_an_audience_of_a_list_that_is_not_there_is_not_found(run: Run) -> None:
    """As its dry run says, and no bad request."""
    create = ("audience", "create", "999", "--name", "All", "--emulator")
    for words in (create, (*create, "--dry-run")):
        refused(run(*words), 4, "check the ids")
    assert run("audience", "list", "--emulator").data == []


NOBODY = {"header": "email\n", "rejects": "email\nnobody\n", "empty": ""}


@pytest.mark.parametrize("content", NOBODY.values(), ids=NOBODY)
@pytest.mark.parametrize(
    "words",
    [
        ("lists", "create", "nobody.csv", "--name", "All", "--max-reject-share", "1"),
        ("lists", "create", "nobody.csv", "--name", "All", "--max-reject-share", "1", "--dry-run"),
        ("demo", "nobody.csv"),
    ],
    ids=("create", "dry", "demo"),
)
def test_no_list_is_made_of_nobody(run: Run, words: tuple[str, ...], content: str) -> None:
    """It is the source that is wrong, and it is named."""
    Path("nobody.csv").write_text(content)
    done = run(*words) if words[0] == "demo" else run(*words, "--emulator")
    refused(done, 5, "nobody.csv")
    assert done.error["code"] == "source"
    assert run("lists", "list", "--emulator").data == []


@pytest.mark.parametrize("how", ["-", "nobody.csv", "nobody.txt"])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize("command", ["upload", "remove"])
def test_a_source_without_a_byte_is_no_source(
    run: Run, people: Path, command: str, how: str, more: tuple[str, ...]
) -> None:
    """On standard input as in a file: whatever should have written it has not."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    Path("nobody.csv").touch()
    Path("nobody.txt").touch()
    yes = ("--yes",) if command == "remove" else ()
    done = run(command, how, "--name", "All", "--emulator", *more, *yes)
    refused(done, 5, "is empty")


def test_a_header_without_rows_is_an_export_of_nobody(run: Run, people: Path) -> None:
    """On most days nobody asks to be taken off a list."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    Path("nobody.csv").write_text("email\n")
    for command in ("upload", "remove"):
        done = run(command, "nobody.csv", "--name", "All", "--emulator")
        assert (done.code, done.data["planned"]) == (0, 0)


def test_a_demonstration_takes_customers_of_ones_own_or_makes_some_up(
    run: Run, people: Path
) -> None:
    """A number for a file would be passed over."""
    refused(run("demo", people, "--customers", "5"), 2, "--customers", "FILE")
    assert run("demo", "--customers", "300", "-q").data["customers"] == 300


@pytest.mark.parametrize("share", ["7", "nan", "-0.1", "inf"])
@pytest.mark.parametrize("command", ["check", "hash", "upload", "mirror"])
def test_a_share_of_rejects_is_a_share(run: Run, people: Path, command: str, share: str) -> None:
    """Where nothing is sent it would have kept nothing back, and a percentage was meant."""
    naming = ("--name", "All", "--emulator") if command in ("upload", "mirror") else ()
    done = run(command, people, f"--max-reject-share={share}", *naming)
    refused(done, 2, "--max-reject-share", "0 to 1")


@pytest.mark.parametrize("share", ["0.5", "1"])
def test_a_share_of_rejects_may_be_all(run: Run, people: Path, share: str) -> None:
    """One is the most."""
    assert run("check", people, "--max-reject-share", share).code == 0


@pytest.mark.parametrize("name", ["who.txt", "who.csv", "table.csv", "who.ndjson"])
@pytest.mark.parametrize("how", ["--yes", "--dry-run"])
def test_a_blank_line_is_nobody_to_forget(run: Run, people: Path, name: str, how: str) -> None:
    """Editors and exports leave them; what is no identifier is still told."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    head, ada, bad = {
        "who.txt": ("", "person1@shop.example", "nobody"),
        "who.csv": ("email\n", "person1@shop.example", "nobody"),
        "table.csv": ("id,email\n", "1,person1@shop.example", "2,"),
        "who.ndjson": ("", '{"email": "person1@shop.example"}', '{"email": "nobody"}'),
    }[name]
    Path(name).write_text(f"{head}{ada}\n\n\n")
    done = run("forget", name, how, "--emulator")
    assert (done.code, done.data["people"], done.data["unusable"]) == (0, 1, 0)
    Path(name).write_text(f"{head}{ada}\n{bad}\n\n")
    done = run("forget", name, how, "--emulator")
    assert (done.code, done.data["people"], done.data["unusable"]) == (5, 2, 1)
    Path(name).write_text(f"{head}\n\n")
    refused(run("forget", name, how, "--emulator"), 5, f"{name}: names nobody")


def test_nobody_on_standard_input_is_told(run: Run) -> None:
    """Whatever should have written a name has not."""
    refused(run("forget", "-", "--yes", "--emulator"), 5, "standard input: names nobody")


@pytest.mark.parametrize(
    "wrong",
    [{"job_id": "1"}, {"job_id": [1]}, {"add": "1"}, {"ad_account_id": 12}, {"findings": [1]}],
    ids=str,
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_plan_with_other_values_than_a_plans_is_none(
    run: Run, plan_file: Path, wrong: dict[str, object], more: tuple[str, ...]
) -> None:
    """As a hand or another program has left it."""
    plan_file.write_text(json.dumps({**json.loads(plan_file.read_text()), **wrong}))
    done = run("mirror", "--plan-file", plan_file, "--emulator", *more)
    refused(done, 2, "plan.json: is no plan")
