"""The section of docs/first-list.md for readers without an account, after the tutorial."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.programs import HANGS_AFTER_SECONDS

pytest.importorskip("cyclopts", reason="the extra [cli] is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="the commands are for a shell"),
]

PAGE = Path(__file__).parents[2] / "docs" / "first-list.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROGRAM = f'"{sys.executable}" -m pinterest_audiences'
VISIT = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_list_of_the_tutorial_can_be_made_and_mirrored_again_on_the_served_emulator(
    tmp_path: Path,
) -> None:
    """Its own lists and state file; the commands with ``--emulator`` go on as before."""
    account, without = PAGE.read_text(encoding="utf-8").split("## Without an account")
    (commands,) = BLOCK.findall(account)
    serve, login, clean = BLOCK.findall(without)
    port, back = free_port(), free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PINTEREST_")
    }
    environment |= {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "BROWSER": f"\"{sys.executable}\" -c '{VISIT}' %s",
        "PINTEREST_APP_ID": "1234567",
        "PINTEREST_APP_SECRET": "any",
    }

    def shell(script: str) -> str:
        script = script.replace("8765", str(port)).replace("pinterest-audiences ", f"{PROGRAM} ")
        script = script.replace("auth login", f"auth login --redirect-uri http://localhost:{back}/")
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    customers = "".join(f"customer{number}@shop.example\n" for number in range(300))
    (tmp_path / "customers.csv").write_text(f"Email\n{customers}", encoding="utf-8")
    tutorial = "pinterest-audiences mirror customers.csv --name Buyers --emulator\n"
    shell(tutorial)
    (_, upload) = commands.splitlines()
    served = [*serve.split()[1:], "--port", str(port)]
    with ExitStack() as running:
        server = running.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "pinterest_audiences", *served],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        running.callback(server.terminate)
        assert server.stdout is not None
        assert str(port) in server.stdout.readline()
        shown = shell(f"{login}{upload}\n{upload.replace('upload', 'mirror')}\n")
        assert '"created": true' in shown
        assert '"kind": "mirror", "status": "done"' in shown
        assert '"findings": []' in shell(tutorial)
        variables = "".join(line + "\n" for line in login.splitlines() if "export" in line)
        shell(variables + clean)
    assert list(tmp_path.glob("trial*")) == []
    assert list(tmp_path.glob("config/*/tokens*.json")) == []
