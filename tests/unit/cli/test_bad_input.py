"""Invalid addresses, profiles, files and arguments: one error line each."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from attrs import evolve
from unit.cli.conftest import ACCOUNT, Run, refused

from pinterest_audiences import Client
from pinterest_audiences.emulator import Fault
from pinterest_audiences.pytest_plugin import PinterestServer


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://user:SENTINEL@127.0.0.1:9/v5", "without user"),
        ("http://pinterest.example/v5", "must use https"),
        ("SENTINEL", "PINTEREST_API_URI"),
    ],
)
def test_invalid_api_address_is_reported_without_its_value(
    run: Run, monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    """It may contain a password. `doctor` reports it without a request."""
    monkeypatch.setenv("PINTEREST_API_URI", address)
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_SENTINEL")
    refused(run("lists", "list", "--ad-account", ACCOUNT), 2, "configuration", message)
    done = run("doctor", "--offline", "--ad-account", ACCOUNT)
    (wrong,) = (each for each in done.data if each["verdict"] == "error")
    assert (done.code, wrong["check"]) == (2, "configuration")
    assert "SENTINEL" not in done.out + done.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[profiles.default\n", "not valid TOML"),
        (b"[profiles.default]\nad_acount = '1'\n", "did you mean ad_account?"),
        (b"[profiles.default]\nrefresh_token = 'pinr.SENTINEL'\n", "secrets do not belong here"),
        (b"[profiles.default]\nmax_reject_share = true\n", "must be a number from 0 to 1"),
        (b"[profiles.default]\nmax_reject_share = nan\n", "must be a number from 0 to 1"),
        (b"[profiles.default]\nad_account = true\n", "must be a string"),
        (b"\xff\xfe[", "not UTF-8"),
    ],
)  # fmt: skip
def test_unreadable_profile_is_reported_with_its_file_name(
    run: Run, text: bytes, message: str
) -> None:
    """No command continues as if the profile did not exist."""
    path = Path(os.environ["XDG_CONFIG_HOME"], "pinterest-audiences", "config.toml")
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    refused(run("lists", "list", "--emulator"), 2, "config", str(path), message)


@pytest.mark.parametrize("flag", ["--ad-account", "--profile"])
def test_empty_account_flag_is_a_usage_error(run: Run, flag: str) -> None:
    """A script with an unset variable must not write to the profile's account."""
    refused(run("lists", "list", "--emulator", flag, ""), 2, "usage", flag)


FILES: dict[str, tuple[bytes, int, str, str]] = {
    "empty": (b"", 5, "source", "is empty"),
    "rejects only": (b"email\nSENTINEL\nSENTINEL at x\n", 5, "too_many_rejects", "2 of 2 values"),
    "no text": (bytes(range(256)), 5, "source", "--encoding cp1252"),
    "two columns alike": (b"shop mail,my mail\na@b.co,c@d.co\n", 5, "source", "--column"),
    "no column": (b"city,age\nSENTINEL,3\n", 5, "source", "--column"),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["upload", "mirror", "plan", "lists create"])
@pytest.mark.parametrize("kind", FILES)
def test_unusable_file_is_reported_and_nothing_is_sent(
    run: Run, server: PinterestServer, command: str, kind: str
) -> None:
    """The message says what is wrong and quotes no line of the file."""
    content, exit_code, code, message = FILES[kind]
    Path("people.csv").write_bytes(content)
    done = run(*command.split(), "people.csv", "--name", "All", "-q")
    refused(done, exit_code, code, message, "people.csv")
    assert "encoding=" not in done.err
    assert run("lists", "list").data == []


def test_upload_with_only_rejects_exits_with_5(run: Run, server: PinterestServer) -> None:
    """Also with the highest reject limit, because there is nothing to send."""
    Path("people.csv").write_bytes(FILES["rejects only"][0])
    done = run("upload", "people.csv", "--name", "All", "--max-reject-share", "1")
    assert (done.code, done.error["code"]) == (5, "too_many_rejects")
    assert run("lists", "list").data == []


def test_missing_file_is_a_usage_error_in_every_command(run: Run) -> None:
    """So is a directory without files in place of a file, as an unusable source."""
    Path("empty").mkdir()
    for command in ("check", "hash", "upload", "mirror", "plan", "remove", "forget"):
        naming = () if command in ("check", "hash", "forget") else ("--name", "All")
        words = (*naming, "--yes") if command in ("remove", "forget") else naming
        refused(run(command, "nowhere.csv", *words, "--emulator"), 2, "usage", "no such file")
        refused(run(command, "empty", *words, "--emulator", "-q"), 5, "source", "no files to read")


def test_unknown_list_id_exits_with_4_and_shows_request_id(
    run: Run, server: PinterestServer, people: Path
) -> None:
    """In every command that takes a list."""
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


def test_ambiguous_list_name_is_refused_with_ids_to_choose_from(
    run: Run, server: PinterestServer, people: Path
) -> None:
    """Pinterest allows two lists with one name; their ids differ."""
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


def test_removal_from_unknown_list_name_fails_and_creates_no_list(run: Run, people: Path) -> None:
    done = run("remove", people, "--name", "Al", "--yes", "--emulator", "-q")
    refused(done, 4, "not_found", "lists list")
    assert run("lists", "list", "--emulator").data == []


def test_removal_counts_distinct_customers_not_rows(run: Run, people: Path) -> None:
    """An export of orders repeats a customer once for each order."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    Path("orders.csv").write_text("email\n" + "person1@shop.example\n" * 100)
    done = run("remove", "orders.csv", "--name", "All", "--emulator", "-q")
    assert (done.code, done.data["removed"]) == (0, 1)


def test_rate_limited_read_exits_with_6_and_rate_limited_job_is_resumable(
    run: Run, server: PinterestServer, people: Path
) -> None:
    limit = Fault("status", status=429, code=8, headers={"retry-after": "9999"}, times=None)
    server.emulator.faults.add(limit)
    refused(run("lists", "list"), 6, "rate_limit")
    server.emulator.faults.clear()
    server.emulator.faults.add(evolve(limit, operation="customer_lists_create"))
    done = run("upload", people, "--name", "All", "-q", "--retry-timeout", "1")
    refused(done, 7, "job_interrupted", "429", "pinterest-audiences resume")
    server.emulator.faults.clear()
    assert run("resume").data[0]["left"] == 0


def test_timeout_of_a_wait_exits_with_6(run: Run, server: PinterestServer) -> None:
    number = server.emulator.seed_lists(ACCOUNT, 1)[0]
    refused(run("wait", number, "--timeout", "0.01", "-q"), 6, "wait_timeout", number)


@pytest.mark.skipif(os.name != "posix", reason="Windows has another text")
def test_port_that_is_taken_is_named_once(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("emulator", "serve", "--port", port, "-q")
    assert (done.code, done.error["code"]) == (1, "port_taken")
    assert done.error["message"] == f"cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize(
    "words",
    [
        ("upload", "people.csv", "--name", "x", "--max-reject-share", "2"),
        ("upload", "people.csv", "--name", "x", "--max-reject-share", "nan"),
        ("upload", "people.csv", "--name", "x", "--retry-timeout", "-1"),
        ("upload", "people.csv", "--name", ""),
        ("upload", "people.csv", "--name", "x", "--kind", "phone"),
        ("lists", "get", "1234567890123456789"),
        ("wait", "643", "--timeout", "nan", "-q"),
        ("emulator", "serve", "--port", "99999", "-q"),
        ("emulator", "serve", "--host", "0.0.0.0", "-q"),
        ("emulator", "serve", "--host", "0.0.0.0", "--allow-network", "-q"),
        ("emulator", "serve", "--admin-token", "short", "-q"),
        ("emulator", "serve", "--match-rate", "2", "-q"),
        ("emulator", "serve", "--processing-seconds", "nan", "-q"),
        ("emulator", "serve", "--guesses", "nowhere.json", "-q"),
        ("emulator", "serve", "--guesses", "people.csv", "-q"),
        ("mirror", "--plan-file", "nowhere.json"),
        ("mirror", "people.csv", "--plan-file", "nowhere.json"),
        ("nonsense",),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("people")
def test_invalid_arguments_are_one_line_usage_errors(run: Run, words: tuple[str, ...]) -> None:
    """The command that was meant reports them."""
    done = run(*words) if words == ("nonsense",) else run(*words, "--emulator")
    refused(done, 2, done.error["code"])
    assert done.error["code"] in ("usage", "configuration")


@pytest.mark.parametrize("command", ["check", "hash", "upload", "remove", "forget"])
@pytest.mark.parametrize("value", ["sentinel@shop.de", "+49 151 4711", "sentinel@shop.de," * 1_000])
def test_identifier_given_as_file_name_is_not_shown(run: Run, command: str, value: str) -> None:
    """A value too long for a path does not cause a traceback either."""
    named = ("--name", "All") if command in {"upload", "remove"} else ()
    yes = ("--yes",) if command == "forget" else ()
    done = run(command, value, *named, *yes, "--emulator")
    assert done.code == 2
    assert "no such file" in done.err
    assert value[:12] not in done.out + done.err


def test_phone_region_reads_national_numbers(run: Run, tmp_path: Path) -> None:
    """Without it they are rejected; an unknown region is an error."""
    path = tmp_path / "customers.csv"
    path.write_text("phone\n044 123 45 67\n+41 44 123 45 67\n")
    words = ("check", path, "--columns", "hashed_phone_number=phone", "--max-reject-share", "1")
    assert run(*words, "-o", "json").data["records"] == 1
    assert run(*words, "--phone-region", "CH", "-o", "json").data["records"] == 2
    refused(run(*words, "--phone-region", "Switzerland"), 2, "configuration", "--phone-region")
