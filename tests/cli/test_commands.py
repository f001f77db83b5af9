"""Every command on the embedded emulator, by the examples of its own help."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import PEOPLE, Run

from pinterest_audiences.cli.app import COMMANDS

NAMES = [command.name for command in COMMANDS]
CUSTOMERS = Path(__file__).parents[2] / "examples" / "customers.csv"
LISTED = {
    *("auth login", "auth status", "auth refresh", "auth logout", "whoami", "doctor"),
    *("lists list", "lists get", "lists create", "check", "hash", "upload", "remove", "plan"),
    *("mirror", "resume", "status", "wait", "forget", "emulator serve", "demo"),
    *(f"audience {verb}" for verb in ("create", "list", "get", "remove")),
}


def write_customers(path: Path) -> None:
    """Write what the examples read; beside an installed wheel there is no examples folder."""
    if CUSTOMERS.exists():
        shutil.copy(CUSTOMERS, path)
        return
    lines = (f"person{number}@shop.example" for number in range(2000))
    path.write_text("\n".join(["Email", *lines]) + "\n")


def test_the_commands_are_those_that_were_promised() -> None:
    """None is missing, and none is there twice."""
    assert set(NAMES) == LISTED
    assert len(NAMES) == len(LISTED)


def test_the_example_of_every_command_works_as_it_stands(run: Run) -> None:
    """One after the other, on one emulator; each writes JSON to standard output."""
    write_customers(Path("customers.csv"))
    Path("people.txt").write_text("person1@shop.example\n")
    told: dict[str, object] = {}
    for command in COMMANDS:
        if command.name == "emulator serve":
            continue  # it does not end by itself; see below
        done = run(*shlex.split(command.example))
        assert done.code == 0, (command.name, done.err)
        told[command.name] = done.out if command.name == "hash" else done.data
    assert told["demo"]["customer_list_status"] == "READY"  # type: ignore[index]  # an object
    assert told["demo"]["audience_status"] == "READY"  # type: ignore[index]
    assert str(told["hash"]).splitlines()[0] == "email"
    assert told["demo"]["audience_size"] >= 100  # type: ignore[index]


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_every_help_shows_its_options_and_an_example(run: Run, command: object) -> None:
    """The example is the one that the test above has run."""
    name, example = command.name, command.example  # type: ignore[attr-defined]  # a Command
    done = run(*name.split(), "--help")
    assert (done.code, done.err) == (0, "")
    joined = " ".join(done.out.split())
    assert f"Example: pinterest-audiences {example}" in joined
    assert "--emulator" in joined
    assert "--output" in joined


def test_emulator_serve_says_its_address_and_ends_at_ctrl_c() -> None:
    """On standard output, alone; the note is on standard error."""
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


def test_an_upload_becomes_a_ready_list_and_its_audience(run: Run, people: Path) -> None:
    """Command by command, each going on with what the one before it wrote."""
    report = run("upload", people, "--name", "All", "--emulator").data
    assert (report["created"], report["added"], report["left"]) == (True, PEOPLE, 0)
    number = report["customer_list_id"]
    assert run("wait", number, "--emulator").data["status"] == "READY"
    audience = run("audience", "create", number, "--name", "All", "--emulator").data
    assert audience["rule"] == {"customer_list_id": number}
    (listed,) = run("audience", "list", "--emulator").data
    assert listed["id"] == audience["id"]


def test_flags_of_every_command_may_stand_before_it(run: Run, people: Path) -> None:
    """Where people write them."""
    done = run("-o", "ndjson", "--emulator", "--ad-account=7", "upload", people, "--name", "All")
    assert done.data["ad_account_id"] == "7"
    (line,) = run(
        "--emulator", "--ad-account", "7", "lists", "list", "-o", "ndjson"
    ).out.splitlines()
    assert json.loads(line)["name"] == "All"


def test_standard_input_is_a_source(run: Run) -> None:
    """As a dash."""
    lines = "".join(f"person{number}@shop.example\n" for number in range(5))
    done = run("upload", "-", "--name", "Piped", "--emulator", stdin=lines)
    assert (done.code, done.data["added"]) == (0, 5)


def test_help_loads_nothing_heavy() -> None:
    """No HTTP, no event loop and no progress bar for it, nor any command's module."""
    code = (
        "import sys\nbefore = set(sys.modules)\n"  # of whatever measures the coverage
        "from pinterest_audiences.cli import main\nmain(['--help'])\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {"httpx", "cattrs", "anyio", "rich.progress", "ssl", "sqlite3"}
    assert not loaded & heavy
    assert not {name for name in loaded if name.startswith("pinterest_audiences.cli.commands")}


def test_checking_a_file_loads_no_http() -> None:
    """What is sent nowhere needs no client."""
    code = (
        "import sys\nfrom pinterest_audiences.cli import main\nopen('x.txt', 'w').write('a@b.co')\n"
        "main(['check', 'x.txt', '-q'])\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.splitlines()[-1].split()) & {"httpx", "cattrs", "rich.progress"}


def test_without_the_extra_the_error_names_it() -> None:
    """And not the module that is missing."""
    code = (
        "import sys\nsys.modules['cyclopts'] = None\n"
        "from pinterest_audiences.cli import main\nsys.exit(main(['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'pinterest-audiences[cli]'" in done.stderr
