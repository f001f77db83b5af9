"""Addresses, profiles, files and words that cannot work: each is told in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from attrs import evolve
from cli.conftest import ACCOUNT, Run, refused

from pinterest_audiences import Client
from pinterest_audiences.emulator import Fault
from pinterest_audiences.pytest_plugin import PinterestServer


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://user:SENTINEL@127.0.0.1:9/v5", "no user"),
        ("http://pinterest.example/v5", "https is needed"),
        ("SENTINEL", "PINTEREST_API_URI"),
    ],
)
def test_an_address_that_cannot_work_is_told_and_not_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch, address: str, told: str
) -> None:
    """It may hold a password; `doctor` finds it without the network."""
    monkeypatch.setenv("PINTEREST_API_URI", address)
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_SENTINEL")
    refused(run("lists", "list", "--ad-account", ACCOUNT), 2, "configuration", told)
    done = run("doctor", "--offline", "--ad-account", ACCOUNT)
    (wrong,) = (each for each in done.data if each["verdict"] == "error")
    assert (done.code, wrong["check"]) == (2, "configuration")
    assert "SENTINEL" not in done.out + done.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"[profiles.default\n", "is no TOML"),
        (b"[profiles.default]\nad_acount = '1'\n", "did you mean ad_account?"),
        (b"[profiles.default]\nrefresh_token = 'pinr.SENTINEL'\n", "secrets do not belong here"),
        (b"[profiles.default]\nmax_reject_share = true\n", "a number from 0 to 1 is needed"),
        (b"[profiles.default]\nmax_reject_share = nan\n", "a number from 0 to 1 is needed"),
        (b"[profiles.default]\nad_account = true\n", "a string is needed"),
        (b"\xff\xfe[", "it is not UTF-8"),
    ],
)  # fmt: skip
def test_a_profile_that_cannot_be_read_is_told_by_its_file(
    run: Run, text: bytes, told: str
) -> None:
    """And no command goes on without it, as if it were not there."""
    path = Path(os.environ["XDG_CONFIG_HOME"], "pinterest-audiences", "config.toml")
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    refused(run("lists", "list", "--emulator"), 2, "config", str(path), told)


@pytest.mark.parametrize("flag", ["--ad-account", "--profile"])
def test_an_empty_flag_is_no_other_account(run: Run, flag: str) -> None:
    """A script whose variable is unset must not write to the account of the profile."""
    refused(run("lists", "list", "--emulator", flag, ""), 2, "usage", flag)


FILES: dict[str, tuple[bytes, int, str, str]] = {
    "empty": (b"", 5, "source", "is empty"),
    "rejects only": (b"email\nSENTINEL\nSENTINEL at x\n", 5, "too_many_rejects", "2 of 2 rows"),
    "no text": (bytes(range(256)), 5, "source", "--encoding cp1252"),
    "two columns alike": (b"email,e-mail\na@b.co,c@d.co\n", 5, "source", "--column"),
    "no column": (b"city,age\nSENTINEL,3\n", 5, "source", "--column"),
}


@pytest.mark.parametrize("command", ["upload", "mirror", "plan", "lists create"])
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_cannot_be_used_is_told_and_nothing_is_sent(
    run: Run, server: PinterestServer, command: str, kind: str
) -> None:
    """With what is wrong, and with no line of it."""
    content, exit_code, code, told = FILES[kind]
    Path("people.csv").write_bytes(content)
    done = run(*command.split(), "people.csv", "--name", "All", "-q")
    refused(done, exit_code, code, told, "people.csv")
    assert "encoding=" not in done.err
    assert run("lists", "list").data == []


def test_a_file_of_rejects_passes_where_all_may_be_rejected(
    run: Run, server: PinterestServer
) -> None:
    """Somebody said so; there is still nothing to send."""
    Path("people.csv").write_bytes(FILES["rejects only"][0])
    done = run("upload", "people.csv", "--name", "All", "--max-reject-share", "1")
    assert (done.code, done.data["planned"]) == (0, 0)
    assert "the source has no records" in done.err
    assert run("lists", "list").data == []


def test_a_missing_file_is_usage_for_every_command_that_reads_one(run: Run) -> None:
    """And a directory is no file."""
    for command in ("check", "hash", "upload", "mirror", "plan", "remove", "forget"):
        naming = () if command in ("check", "hash", "forget") else ("--name", "All")
        words = (*naming, "--yes") if command in ("remove", "forget") else naming
        refused(run(command, "nowhere.csv", *words, "--emulator"), 2, "usage", "no such file")
        refused(run(command, ".", *words, "--emulator", "-q"), 5, "source", "is a directory")


def test_an_unknown_list_is_not_found(run: Run, server: PinterestServer, people: Path) -> None:
    """By every command that takes one, with the id for Pinterest's support."""
    for words in (
        ("lists", "get", "643"),
        ("wait", "643", "-q"),
        ("upload", people, "--list", "643", "-q"),
        ("remove", people, "--list", "643", "--yes", "-q"),
        ("mirror", people, "--list", "643", "-q"),
    ):
        done = run(*words)
        refused(done, 4, "not_found", "check the ids")
        assert done.error["request_id"].isdigit()


def test_an_ambiguous_name_is_refused_with_the_flag_that_says_which(
    run: Run, server: PinterestServer, people: Path
) -> None:
    """Two lists of one name are Pinterest's own doing; the ids tell them apart."""
    with Client("pina_SENTINEL", base_url=server.base_url) as client:
        made = [
            client.customer_lists_create(ACCOUNT, name="All", records="ada@shop.example")
            for _ in range(2)
        ]
    for words in (("upload", people), ("mirror", people), ("remove", people, "--yes")):
        done = run(*words, "--name", "All", "-q")
        refused(done, 8, "guard_ambiguous_name", "--list")
        assert "customer_list_id" not in done.err
    assert run("upload", people, "--list", made[0].id, "-q").data["added"] == 300


def test_nothing_is_removed_from_a_name_that_is_not_there(run: Run, people: Path) -> None:
    """And no list is created for it."""
    done = run("remove", people, "--name", "Al", "--yes", "--emulator", "-q")
    refused(done, 4, "not_found", "lists list")
    assert run("lists", "list", "--emulator").data == []


def test_a_removal_counts_people_and_not_lines(run: Run, people: Path) -> None:
    """An export of orders names a customer as often as he has bought."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    Path("orders.csv").write_text("email\n" + "person1@shop.example\n" * 100)
    done = run("remove", "orders.csv", "--name", "All", "--emulator", "-q")
    assert (done.code, done.data["removed"]) == (0, 1)


def test_a_rate_limit_is_later_and_costs_a_job_nothing(
    run: Run, server: PinterestServer, people: Path
) -> None:
    """A read ends with 6; a job is kept, and `resume` finishes it."""
    limit = Fault("status", status=429, code=8, headers={"retry-after": "9999"}, times=None)
    server.emulator.faults.add(limit)
    refused(run("lists", "list"), 6, "rate_limit")
    server.emulator.faults.clear()
    server.emulator.faults.add(evolve(limit, operation="customer_lists_create"))
    done = run("upload", people, "--name", "All", "-q", "--patience", "1")
    refused(done, 7, "job_interrupted", "429", "pinterest-audiences resume")
    server.emulator.faults.clear()
    assert run("resume").data[0]["left"] == 0


def test_a_time_out_is_later(run: Run, server: PinterestServer) -> None:
    """Of waiting for a list."""
    number = server.emulator.seed_lists(ACCOUNT, 1)[0]
    refused(run("wait", number, "--timeout", "0.01", "-q"), 6, "wait_timeout", number)


@pytest.mark.parametrize(
    "words",
    [
        ("upload", "people.csv", "--name", "x", "--max-reject-share", "2"),
        ("upload", "people.csv", "--name", "x", "--max-reject-share", "nan"),
        ("upload", "people.csv", "--name", "x", "--patience", "-1"),
        ("upload", "people.csv", "--name", ""),
        ("upload", "people.csv", "--name", "x", "--kind", "phone"),
        ("lists", "get", "²"),
        ("wait", "643", "--timeout", "nan", "-q"),
        ("emulator", "serve", "--port", "99999", "-q"),
        ("emulator", "serve", "--match-rate", "2", "-q"),
        ("emulator", "serve", "--processing-seconds", "nan", "-q"),
        ("mirror", "--plan-file", "nowhere.json"),
        ("mirror", "people.csv", "--plan-file", "nowhere.json"),
        ("nonsense",),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("people")
def test_words_that_cannot_work_are_usage(run: Run, words: tuple[str, ...]) -> None:
    """In one line, by the command that was meant."""
    done = run(*words) if words == ("nonsense",) else run(*words, "--emulator")
    refused(done, 2, done.error["code"])
    assert done.error["code"] in ("usage", "configuration")
