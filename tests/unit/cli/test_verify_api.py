"""`verify-api` and `doctor --live`: the question before, the report, and what is left after."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path

import pytest
from unit.cli.conftest import ACCOUNT, Run, refused

from pinterest_audiences import Client, ProbeResult, TokenStoreError
from pinterest_audiences._live_check import probes, verification
from pinterest_audiences._live_check.observer import MARKER
from pinterest_audiences._live_check.probes import PROBES
from pinterest_audiences._live_check.verification import OnProbe
from pinterest_audiences.cli import run_command
from pinterest_audiences.cli.output import Console
from pinterest_audiences.pytest_plugin import PinterestServer

REPORT = Path("pinterest-api-check.md")
NAMES = [probe.name for probe in PROBES]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer records: a server on a busy machine takes long for megabytes."""
    for module in (probes, verification):
        monkeypatch.setattr(module, "BATCH_SIZES", (30, 31, 50))


class Terminal(io.StringIO):
    """Standard input of a user who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("words", [("verify-api",), ("doctor", "--live")])
def test_without_terminal_and_yes_nothing_is_sent(
    run: Run, server: PinterestServer, words: tuple[str, ...]
) -> None:
    """The message shows what would be done."""
    done = run(*words)
    assert (done.code, done.out, done.error["code"]) == (8, "", "guard_live")
    assert done.error["hint"] == "confirm with --yes"
    for expected in ("up to 90 requests", MARKER, ACCOUNT, str(REPORT)):
        assert expected in done.err
    assert server.emulator.requests == ()
    assert not REPORT.exists()


@pytest.mark.parametrize(
    ("typed", "code"), [("y\n", 0), ("YES\n", 0), ("n\n", 8), ("\n", 8), ("", 8)]
)
def test_answer_on_a_terminal_decides(
    server: PinterestServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    code: int,
) -> None:
    """Only a yes starts the check."""
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert run_command(["verify-api"]) == code
    assert "Continue? [y/N]" in capsys.readouterr().err
    assert bool(server.emulator.requests) == REPORT.exists() == (code == 0)


def test_report_is_written_and_printed_as_json(run: Run, server: PinterestServer) -> None:
    """Without ids and token; a second check uses the list of the first."""
    done = run("verify-api", "--yes", "--report", "check.md")
    assert (done.code, done.data["differences"], done.data["report"]) == (0, 0, "check.md")
    assert [each["name"] for each in done.data["results"]] == NAMES
    assert "agrees: Can two audiences have one name?" in done.err
    text = Path("check.md").read_text(encoding="utf-8")
    assert text.startswith("# Check of Pinterest's API\n")
    for private in (ACCOUNT, "SENTINEL", "25426", server.base_url):
        assert private not in text
        assert private not in done.out
    assert run("verify-api", "--yes").code == 0
    counts = server.emulator.counts()
    assert (counts["customer_lists"], counts["members"], counts["audiences"]) == (1, 0, 0)


def test_table_shows_the_assumption_where_it_differs(run: Run, server: PinterestServer) -> None:
    """CSV shows every one; `doctor` warns of a difference."""
    server.emulator.fault(
        "status",
        operation="customer_lists_get",
        when=lambda request: request.path.endswith("999"),
        status=404,
        code=50,
        times=None,
    )
    table = run("verify-api", "--yes", "-o", "table", "--quiet")
    csv = run("verify-api", "--yes", "-o", "csv", "--quiet")
    doctor = run("doctor", "--live", "--yes", "--quiet")
    rows = {line.split()[0]: " ".join(line.split()) for line in table.out.splitlines()}
    assert rows["list_not_found"] == "list_not_found differs 404, code 50 404, code 404"
    assert rows["line_breaks"] == "line_breaks agrees record"
    assert "line_breaks,agrees,record,record," in csv.out.splitlines()
    assert (table.err, csv.err, doctor.code) == ("", "", 0)
    live = {each["check"]: each for each in doctor.data if each["check"].startswith("live ")}
    assert list(live) == [f"live {name}" for name in NAMES]
    assert live["live line_breaks"]["verdict"] == "ok"
    assert live["live list_not_found"] == {
        "check": "live list_not_found",
        "verdict": "warning",
        "finding": "404, code 50",
        "remedy": f"the emulator assumes 404, code 404; report {REPORT}",
    }


def test_account_without_permission_is_not_changed(run: Run, server: PinterestServer) -> None:
    """The error of the refused call, a note, and no report."""
    server.emulator.fault(
        "status", operation="customer_lists_create", status=403, code=29, times=None
    )
    done = run("verify-api", "--yes")
    assert (done.code, done.out) == (3, "")
    assert done.error["code"] == "permission_denied"
    assert "the check changed nothing" in done.err
    assert not REPORT.exists()
    assert server.emulator.counts()["customer_lists"] == 0
    doctor = run("doctor", "--live", "--yes")
    assert (doctor.code, doctor.data[-1]["check"], doctor.data[-1]["verdict"]) == (
        3,
        "live",
        "error",
    )


def test_doctor_skips_the_live_check_after_errors(run: Run, server: PinterestServer) -> None:
    """As the reading of lists; and it cannot be combined with --offline."""
    server.emulator.fault("status", operation="customer_lists_list", status=403, times=None)
    done = run("doctor", "--live", "--yes")
    assert done.data[-1]["finding"] == "skipped: fix the errors above first"
    assert done.code == 3
    assert run("doctor", "--live", "--offline", "--yes").code == 2
    assert server.emulator.counts()["customer_lists"] == 0


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--yes",), "--yes"),
        (("--report", "mine.md"), "--report"),
        (("--offline", "--yes"), "--yes"),
    ],
)
def test_option_of_the_live_check_without_it_is_a_usage_error(
    run: Run, server: PinterestServer, words: tuple[str, ...], option: str
) -> None:
    """Instead of a diagnosis without the live check that was meant."""
    refused(run("doctor", *words), 2, "usage", f"{option} requires --live")
    assert server.emulator.requests == ()


@pytest.mark.parametrize("report", ["missing/check.md", "."])
def test_report_that_cannot_be_written_is_refused_before_sending(
    run: Run, server: PinterestServer, report: str
) -> None:
    """Instead of losing the result."""
    done = run("verify-api", "--yes", "--report", report)
    assert (done.code, done.error["code"]) == (2, "usage")
    assert "--report" in done.error["message"]
    assert server.emulator.requests == ()


def test_records_that_cannot_be_removed_are_a_warning(run: Run, server: PinterestServer) -> None:
    """Of both commands, also with --quiet; what every check leaves is not."""
    server.emulator.fault(
        "status",
        operation="customer_lists_update",
        when=lambda request: b'"REMOVE"' in request.body,
        status=400,
        times=None,
    )
    done = run("verify-api", "--yes", "--quiet")
    item = "made-up records on that list: the next check removes them"
    assert (done.code, done.err) == (0, f"warning: not removed: {item}\n")
    assert done.data["unremoved"] == [item]
    doctor = run("doctor", "--live", "--yes", "--quiet")
    assert (doctor.code, doctor.err) == (0, "")
    assert doctor.data[-1] == {
        "check": "live cleanup",
        "verdict": "warning",
        "finding": f"not removed: {item}",
        "remedy": "check again later",
    }
    server.emulator.faults.clear()
    done = run("verify-api", "--yes", "--quiet")
    assert (done.err, done.data["unremoved"]) == ("", [])
    assert run("doctor", "--live", "--yes").data[-1]["check"] == f"live {NAMES[-1]}"


@pytest.mark.parametrize("words", [("verify-api",), ("doctor", "--live")])
def test_report_that_cannot_be_written_after_the_check_is_printed(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """As on a full disk: the check does not have to be repeated."""

    def fail(path: Path, *_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", fail)
        done = run(*words, "--yes", "--quiet")
    assert done.code != 0
    assert "# Check of Pinterest's API\n" in done.err
    assert "## What remains at Pinterest\n" in done.err
    message = done.error["message"] if words == ("verify-api",) else done.data[-1]["finding"]
    assert message == f"{REPORT}: No space left on device"


@pytest.mark.parametrize("asked", [0, 3])
@pytest.mark.usefixtures("server")
def test_note_after_an_error_says_what_the_next_check_removes(
    run: Run, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    """An error before the first question has no such note."""

    def fail(client: Client, _account: str, *, on_probe: OnProbe) -> None:
        for name in NAMES[:asked]:
            result = ProbeResult(name, "A question?", "", "assumed", "observed", "agrees")
            on_probe(result)
        raise TokenStoreError("the file cannot be read")

    monkeypatch.setattr(Client, "verify_api", fail)
    done = run("verify-api", "--yes")
    assert done.code != 0
    note = "the next check removes what this one has left"
    assert (note in done.err) == (asked > 0)
    assert "changed nothing" not in done.err


def test_lost_response_to_the_first_change_is_not_noted_as_no_change(
    run: Run, server: PinterestServer
) -> None:
    """The list may have been created; the next check uses it."""
    server.emulator.fault("no_answer", operation="customer_lists_create", times=None)
    done = run("verify-api", "--yes")
    assert done.code != 0
    assert "the next check removes what this one has left" in done.err
    assert "changed nothing" not in done.err
    server.emulator.faults.clear()
    assert run("verify-api", "--yes").code == 0
    assert server.emulator.counts()["customer_lists"] == 1


def test_interrupted_check_is_cleaned_up_by_the_next(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends with 130, and the next check removes records and audiences."""

    def interrupt(_console: Console, text: str) -> None:
        if "two audiences" in text:
            raise KeyboardInterrupt
        written.append(text)

    written: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(Console, "note", interrupt)
        assert run("verify-api", "--yes").code == 130
    assert written[-1] == "the next check removes what this one has left"
    left = server.emulator.counts()
    assert (left["customer_lists"], left["audiences"]) == (1, 2)
    assert left["members"] > 0
    assert run("verify-api", "--yes").code == 0
    counts = server.emulator.counts()
    assert (counts["customer_lists"], counts["members"], counts["audiences"]) == (1, 0, 0)


def test_report_of_the_local_emulator_needs_no_account(run: Run) -> None:
    """`--emulator` works as with every command; nothing is to be filed."""
    done = run("verify-api", "--yes", "--emulator")
    assert done.code == 0
    assert json.loads(done.out)["api"] == "another server"
    assert "issue" not in done.err
