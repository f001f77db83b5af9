"""Lists and audiences by name on the command line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from unit.cli.conftest import ACCOUNT, Run, refused

from pinterest_audiences.pytest_plugin import PinterestServer

# Each takes a list by its id, its name or its alias.
ONLINE = (
    ("lists", "get", "{}"),
    ("wait", "{}"),
    ("audience", "create", "{}", "--name", "Buyers"),
    ("upload", "people.csv", "--list", "{}"),
    ("remove", "people.csv", "--list", "{}", "--yes"),
    ("remove", "people.csv", "--list", "{}", "--dry-run"),
    ("plan", "people.csv", "--list", "{}", "--adopt"),
    ("mirror", "people.csv", "--list", "{}", "--adopt", "--yes"),
)
OFFLINE = (
    ("status", "--list", "{}"),
    ("resume", "--list", "{}"),
    ("resume", "--list", "{}", "--dry-run"),
    ("lists", "forget", "--list", "{}", "--yes"),
)


def with_list(words: tuple[str, ...], value: str) -> list[str]:
    """Return a command line with a list in its place."""
    return [word.replace("{}", value) for word in words]


@pytest.mark.parametrize("words", ONLINE, ids=" ".join)
@pytest.mark.parametrize("reference", ["Spring sale", "alias"])
def test_command_takes_a_list_by_name_or_alias(
    run: Run, server: PinterestServer, people: Path, words: tuple[str, ...], reference: str
) -> None:
    """All other options are as with an id."""
    assert people
    server.emulator.seed_lists(ACCOUNT, 2)
    (expected,) = server.emulator.seed_lists(ACCOUNT, 1, name="Spring sale")
    config = Path("../config/pinterest-audiences/config.toml")
    config.parent.mkdir(parents=True)
    config.write_text(f'[profiles.default.lists]\nalias = "{expected}"\n')
    server.emulator.advance(hours=1)
    done = run(*with_list(words, reference), "-q")
    assert done.code == 0, done.err
    row = done.data
    ids = (row.get("rule"), row.get("customer_list_id"), row.get("id"))
    assert expected in ids or {"customer_list_id": expected} in ids


@pytest.mark.parametrize("words", ONLINE, ids=" ".join)
def test_unknown_list_name_is_not_found_and_not_repeated(
    run: Run, server: PinterestServer, people: Path, words: tuple[str, ...]
) -> None:
    """The hint names the command that shows the names."""
    assert people
    refused(run(*with_list(words, "SENTINEL"), "-q"), 4, "not_found", "`lists list`")
    assert server.emulator.counts()["customer_lists"] == 0


@pytest.mark.parametrize("words", ONLINE, ids=" ".join)
def test_ambiguous_list_name_is_refused_with_the_ids(
    run: Run, server: PinterestServer, people: Path, words: tuple[str, ...]
) -> None:
    """The hint names the argument of this command."""
    assert people
    ids = server.emulator.seed_lists(ACCOUNT, 2, name="Spring")
    argument = "--list" if "--list" in words else "LIST"
    done = run(*with_list(words, "Spring"), "-q")
    refused(done, 8, "guard_ambiguous_name", *ids, f"choose one by its id with {argument}")


@pytest.mark.parametrize("words", OFFLINE, ids=" ".join)
def test_offline_command_takes_a_list_by_the_name_in_the_state_file(
    run: Run, server: PinterestServer, people: Path, words: tuple[str, ...]
) -> None:
    """Without a request."""
    assert run("upload", people, "--name", "Spring", "-q").code == 0
    handled = server.emulator.handled
    done = run(*with_list(words, "Spring"), "-q")
    assert done.code == 0, done.err
    assert len(done.data) == (words[0] != "resume")
    refused(run(*with_list(words, "Other"), "-q"), 4, "job_not_found", "no list with that name")
    assert server.emulator.handled == handled


def test_upload_dry_run_shows_a_list_by_the_name_in_the_state_file(
    run: Run, server: PinterestServer, people: Path
) -> None:
    """It makes no request, so that an unknown name is shown as it is."""
    done = run("upload", people, "--name", "Spring", "-q")
    handled = server.emulator.handled
    for name, list_id in (("Spring", done.data["customer_list_id"]), ("Other", None)):
        dry = run("upload", people, "--list", name, "--dry-run", "-q").data
        assert (dry["name"], dry["customer_list_id"]) == (name, list_id)
    assert server.emulator.handled == handled


def test_audience_commands_take_a_name(run: Run, server: PinterestServer) -> None:
    """And refuse one that is unknown or that several audiences have."""
    (audience_id,) = server.emulator.seed_audiences(ACCOUNT, 1, name="Buyers")
    twins = server.emulator.seed_audiences(ACCOUNT, 2, name="Twins")
    assert run("audience", "get", "Buyers").data["id"] == audience_id
    for words in (("get",), ("remove", "--yes")):
        done = run("audience", words[0], "SENTINEL", *words[1:])
        refused(done, 4, "not_found", "`audience list`")
        done = run("audience", words[0], "Twins", *words[1:])
        refused(done, 8, "guard_ambiguous_name", *twins, "choose one by its id with AUDIENCE")
    assert run("audience", "remove", "Buyers", "--dry-run", "-q").data["id"] == audience_id
    assert run("audience", "remove", "Buyers", "--yes").data["id"] == audience_id
    assert run("audience", "get", "Buyers").code == 4


def test_wait_looks_a_name_up_before_it_says_what_it_waits_for(
    run: Run, server: PinterestServer
) -> None:
    done = run("wait", "Unknown")
    assert (done.code, "waiting" in done.err) == (4, False)
    (number,) = server.emulator.seed_lists(ACCOUNT, 1, name="Spring sale")
    server.emulator.advance(hours=1)
    waiting = 'waiting until list "Spring sale" ({}) is ready'
    assert waiting.format(number) in run("wait", "Spring sale").err
    assert f"waiting until list {number} is ready" in run("wait", number).err


@pytest.mark.parametrize("typed", ["buyrs", "Buyer", "BUYERS", "buyers "])
def test_close_name_is_suggested_and_the_typed_one_is_not_repeated(
    run: Run, server: PinterestServer, people: Path, typed: str
) -> None:
    """Of a list, an audience or a segment that exists."""
    assert people
    server.emulator.seed_lists(ACCOUNT, 1, name="Buyers")
    (audience,) = server.emulator.seed_audiences(ACCOUNT, 1, name="Buyers")
    assert run("segments", "create", "--name", "Buyers", "--audience", audience).code == 0
    server.emulator.seed_lists(ACCOUNT, 1, name="Other")
    for words, what in [
        *((with_list(words, typed), "customer list") for words in ONLINE),
        (["audience", "get", typed], "audience"),
        (["audience", "remove", typed, "--yes"], "audience"),
        (["segments", "get", typed], "customer segment"),
        (["segments", "remove", typed, "--yes"], "customer segment"),
    ]:
        done = run(*words, "-q")
        assert (done.code, done.error["code"]) == (4, "not_found"), words
        assert done.error["message"] == (
            f'ad account {ACCOUNT} has no {what} with that name (did you mean "Buyers"?)'
        )


def test_name_that_may_be_personal_data_is_not_suggested(run: Run, server: PinterestServer) -> None:
    server.emulator.seed_lists(ACCOUNT, 1, name="ann@shop.example")
    done = run("lists", "get", "ann@shop.exampl", "-q")
    assert done.code == 4
    assert "did you mean" not in done.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("lists", "get", "Unknown"), "lists list"),
        (("audience", "get", "Unknown"), "audience list"),
        (("segments", "get", "Unknown"), "segments list"),
        (("jobs", "abandon", "9", "--yes"), "jobs list --all-accounts"),
    ],
    ids=["list", "audience", "segment", "job"],
)
@pytest.mark.parametrize("options", [(), ("--ad-account", "123", "--state", "my state")])
def test_command_in_a_hint_works_as_it_is(
    run: Run, words: tuple[str, ...], hint: str, options: tuple[str, ...]
) -> None:
    """With the options that select the emulator, the account and the state."""
    done = run(*words, "--emulator", *options)
    assert done.code == 4
    command = re.findall("`(.*?)`", done.error["hint"])[0]
    assert shlex.split(command) == [*hint.split(), "--emulator", *options]
    assert run(*shlex.split(command)).data == []


def test_command_in_a_hint_has_no_option_that_looks_like_a_token(
    run: Run, server: PinterestServer
) -> None:
    assert server.emulator
    done = run("lists", "get", "Unknown", "--state", "pina_" + "SENTINEL" * 8)
    assert done.error["hint"] == "`lists list` shows the lists"


@pytest.mark.slow
def test_wait_for_a_name_outlasts_an_outage_at_its_start(run: Run, server: PinterestServer) -> None:
    """As for an id; one call alone would have ended after five attempts."""
    (number,) = server.emulator.seed_lists(ACCOUNT, 1, name="Spring sale")
    server.emulator.advance(hours=1)
    server.emulator.fault("status", operation="customer_lists_list", status=503, times=5)
    done = run("wait", "Spring sale", "--timeout", "120")
    assert (done.code, done.data["id"]) == (0, number), done.err
