"""Every command on the embedded emulator, with the examples of its help."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from unit.cli.conftest import PEOPLE, Run

from pinterest_audiences.cli.app import COMMANDS

pytestmark = pytest.mark.slow

NAMES = [command.name for command in COMMANDS]
CUSTOMERS = Path(__file__).parents[3] / "examples" / "customers.csv"


def write_customers(path: Path) -> None:
    """Write the file that the examples read; an installed wheel has no examples folder."""
    if CUSTOMERS.exists():
        shutil.copy(CUSTOMERS, path)
        return
    lines = (f"person{number}@shop.example" for number in range(2000))
    path.write_text("\n".join(["Email", *lines]) + "\n")


def test_command_names_are_unique() -> None:
    """Which ones there are is frozen with their flags."""
    assert len(set(NAMES)) == len(NAMES)


def test_example_of_every_command_runs_as_written(run: Run) -> None:
    """One after the other on one emulator; each writes JSON, SQL or hashes."""
    write_customers(Path("customers.csv"))
    Path("people.txt").write_text("person1@shop.example\n")
    outputs: dict[str, object] = {}
    texts = ("hash", "sql", "completion")
    for command in COMMANDS:
        if command.name == "emulator serve":
            continue  # it does not end by itself; see below
        done = run(*shlex.split(command.example))
        assert done.code == 0, (command.name, done.err)
        outputs[command.name] = done.out if command.name in texts else done.data
    assert outputs["demo"]["customer_list_status"] == "READY"  # type: ignore[index]  # an object
    assert outputs["demo"]["audience_status"] == "READY"  # type: ignore[index]
    assert str(outputs["hash"]).splitlines()[0] == "email"
    assert outputs["demo"]["audience_size"] >= 100  # type: ignore[index]


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_help_of_every_command_shows_options_and_example(run: Run, command: object) -> None:
    """The example is the one that the test above runs."""
    name, example = command.name, command.example  # type: ignore[attr-defined]  # a Command
    done = run(*name.split(), "--help")
    assert (done.code, done.err) == (0, "")
    joined = " ".join(done.out.split())
    assert f"Example pinterest-audiences {example}" in joined
    assert "--emulator" in joined
    assert "--output" in joined


def test_emulator_serve_prints_its_address_and_stops_on_ctrl_c() -> None:
    """Standard output has the address only; the note goes to standard error."""
    command = [sys.executable, "-m", "pinterest_audiences", "emulator", "serve", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        environment = {
            **os.environ,
            "PINTEREST_API_URI": address,
            "PINTEREST_ACCESS_TOKEN": "any",
            "PINTEREST_AD_ACCOUNT_ID": "549",
        }
        listed = subprocess.run(
            [sys.executable, "-m", "pinterest_audiences", "lists", "list"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        server.send_signal(2)
        out, err = server.communicate(timeout=30)
    assert address.startswith("http://127.0.0.1:")
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "[]\n", "")
    assert (server.returncode, out) == (0, "")
    assert "PINTEREST_API_URI" in err


def test_emulator_serve_accepts_assumptions_and_compresses(tmp_path: Path) -> None:
    """Like ``python -m pinterest_audiences.emulator``."""
    guesses = tmp_path / "guesses.json"
    guesses.write_text('{"most_records": 1}', encoding="utf-8")
    options = ["--port", "0", "--fresh", "--compress", "--guesses", str(guesses)]
    command = [sys.executable, "-m", "pinterest_audiences", "emulator", "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lists = f"{server.stdout.readline().strip()}/ad_accounts/549/customer_lists"
        headers = {"Authorization": "Bearer token"}
        statuses = [
            httpx.post(lists, headers=headers, json={"name": "x", "records": records}).status_code
            for records in ("a@b.co", "a@b.co,c@d.co")
        ]
        coding = httpx.get(lists, headers=headers).headers["content-encoding"]
        server.send_signal(2)
        server.communicate(timeout=30)
    assert (statuses, coding) == ([200, 400], "gzip")


def test_emulator_serve_opens_to_a_network_with_an_admin_token() -> None:
    """The token of the environment is not in the list of processes."""
    options = ["--port", "0", "--fresh", "--host", "0.0.0.0", "--allow-network"]
    command = [sys.executable, "-m", "pinterest_audiences", "emulator", "serve", *options]
    environment = {**os.environ, "PINTEREST_EMULATOR_ADMIN_TOKEN": "an-admin-token-for-tests"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        base_url = server.stdout.readline().strip()
        journal = f"{base_url.removesuffix('/v5')}/_emulator/journal"
        right = {"Authorization": "Bearer an-admin-token-for-tests"}
        statuses = [httpx.get(journal, headers=headers).status_code for headers in ({}, right)]
        server.send_signal(2)
        server.communicate(timeout=30)
    assert statuses == [401, 200]


def test_upload_wait_and_audience_create_run_in_sequence(run: Run, people: Path) -> None:
    """Each command continues with the output of the one before it."""
    report = run("upload", people, "--name", "All", "--emulator").data
    assert (report["created"], report["added"], report["left"]) == (True, PEOPLE, 0)
    number = report["customer_list_id"]
    assert run("wait", number, "--emulator").data["status"] == "READY"
    audience = run("audience", "create", number, "--name", "All", "--emulator").data
    assert audience["rule"] == {"customer_list_id": number}
    (listed,) = run("audience", "list", "--emulator").data
    assert listed["id"] == audience["id"]


def test_common_flags_are_accepted_before_the_command(run: Run, people: Path) -> None:
    done = run("-o", "ndjson", "--emulator", "--ad-account=7", "upload", people, "--name", "All")
    assert done.data["ad_account_id"] == "7"
    (line,) = run(
        "--emulator", "--ad-account", "7", "lists", "list", "-o", "ndjson"
    ).out.splitlines()
    assert json.loads(line)["name"] == "All"


def test_dash_reads_the_source_from_stdin(run: Run) -> None:
    lines = "".join(f"person{number}@shop.example\n" for number in range(5))
    done = run("upload", "-", "--name", "Piped", "--emulator", stdin=lines)
    assert (done.code, done.data["added"]) == (0, 5)


def test_help_imports_no_http_event_loop_or_progress_bar() -> None:
    """It imports no module of a command either."""
    code = (
        "import sys\nbefore = set(sys.modules)\n"  # of whatever measures the coverage
        "from pinterest_audiences.cli import run_command\nrun_command(['--help'])\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {"httpx", "cattrs", "anyio", "rich.progress", "ssl", "sqlite3"}
    assert not loaded & heavy
    assert not {name for name in loaded if name.startswith("pinterest_audiences.cli.commands")}


def test_check_imports_no_http_client() -> None:
    code = (
        "import sys\nfrom pinterest_audiences.cli import run_command\n"
        "open('x.txt', 'w').write('a@b.co')\n"
        "run_command(['check', 'x.txt', '-q'])\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.splitlines()[-1].split()) & {"httpx", "cattrs", "rich.progress"}


def test_missing_cli_extra_is_named_in_the_error() -> None:
    """Not the module that is missing."""
    code = (
        "import sys\nsys.modules['cyclopts'] = None\n"
        "from pinterest_audiences.cli import run_command\nsys.exit(run_command(['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'pinterest-audiences[cli]'" in done.stderr
