"""From nothing to the first list: the commands of the README, in an empty home directory."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from support.programs import HANGS_AFTER_SECONDS
from support.terminal import Terminal

from pinterest_audiences.emulator import Emulator
from pinterest_audiences.pytest_plugin import PinterestServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="requires pseudo-terminals"),
    pytest.mark.pinterest_emulator(apps={"1234567": "SENTINELsecret"}),
]

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(
    r"^```(?:sh)?\n(pinterest-audiences auth login\n.*?)^```$", re.DOTALL | re.MULTILINE
)
EXAMPLE = re.compile(r"## The same from Python\n.*?```python\n(.*?)```", re.DOTALL)


def commands() -> list[list[str]]:
    """Return the words of the commands that the README and the page show."""
    blocks = [
        BLOCK.findall(path.read_text(encoding="utf-8"))
        for path in (ROOT / "README.md", ROOT / "docs" / "first-list.md")
    ]
    ((block,), (same,)) = blocks
    assert block == same
    return [shlex.split(line)[1:] for line in block.splitlines()]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A home directory without anything in it, and a folder with an export."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name)
    shutil.copy(ROOT / "examples" / "customers.csv", "customers.csv")
    yield home
    assert {path.name for path in home.iterdir()} == {".config", ".local"}


@pytest.fixture
def back() -> str:
    """Return a redirect URI on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://localhost:{free.getsockname()[1]}/"


def log_in(words: list[str], *, asks: bool) -> None:
    """Log in as a person who consents in a browser."""
    with Terminal(*words) as terminal:
        if asks:
            terminal.expect("App id: ")
            terminal.type("1234567\n")
            terminal.expect("(hidden): ")
            terminal.type("SENTINELsecret\n")
        url = terminal.expect_match(r".*\n(http://\S+/oauth/\?\S+)\r\n")[1]
        with build_opener(ProxyHandler({})).open(url, timeout=HANGS_AFTER_SECONDS) as response:
            assert b"You may close this window" in response.read()
        if asks:
            terminal.expect("[Y/n] ")
            terminal.type("\n")
        assert terminal.end() == 0, terminal.screen
        assert "SENTINEL" not in terminal.screen


def test_commands_of_the_readme_lead_to_one_list_with_one_audience_also_when_repeated(
    home: Path, back: str, pinterest_server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of the emulator is set for the first login only: it is in the profile then."""
    emulator = pinterest_server.emulator
    login, *others = commands()
    assert login == ["auth", "login"]
    seen = []
    for first in (True, False):
        if first:
            monkeypatch.setenv("PINTEREST_API_URI", pinterest_server.base_url)
        log_in([*login, "--redirect-uri", back, "--no-browser"], asks=first)
        monkeypatch.delenv("PINTEREST_API_URI", raising=False)
        for words in others:
            with Terminal(*words) as terminal:
                assert terminal.end() == 0, terminal.screen
        folder = home / ".config" / "pinterest-audiences"
        config = (folder / "config.toml").read_bytes()
        seen.append((config, *everything(emulator)))
    from_python()
    seen.append((config, *everything(emulator)))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][1:3] == ("Buyers", "Buyers")
    assert len(seen[0][-1]) == 1888
    (profile,) = tomllib.loads(config.decode())["profiles"].values()
    assert set(profile) == {"ad_account", "app_id", "api_uri", "app_secret_file"}


def everything(emulator: Emulator) -> tuple[object, object, object, frozenset[object]]:
    """Return the names of the only list and audience, the audience's id, and the members."""
    overview = emulator.overview()
    (customer_list,), (audience,) = overview["customer_lists"], overview["audiences"]
    members = emulator.members(str(customer_list["id"]))
    assert audience["rule"] == {"customer_list_id": customer_list["id"]}
    return customer_list["name"], audience["name"], audience["id"], frozenset(members)


def from_python() -> None:
    """Run the example of the page in a file, without any variable of this package."""
    page = (ROOT / "docs" / "first-list.md").read_text(encoding="utf-8")
    (code,) = EXAMPLE.findall(page)
    Path("example.py").write_text(code)
    assert not [name for name in os.environ if name.startswith("PINTEREST_A")]
    subprocess.run([sys.executable, "example.py"], timeout=HANGS_AFTER_SECONDS, check=True)
