"""Every Python block of README and docs runs on its own, on the emulator."""

from __future__ import annotations

import ast
import inspect
import json
import logging
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest
from _pytest.mark import ParameterSet
from support.programs import HANGS_AFTER_SECONDS

import pinterest_audiences
from pinterest_audiences.emulator import FaultKind
from pinterest_audiences.emulator._admin import _ENDPOINTS

pytest.importorskip("sybil", reason="the code blocks are run by the docs session, which has sybil")

from sybil.document import Document
from sybil.example import Example
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


# A block after the name of its file, and a block of tests.
NAMED = re.compile(r"`(\w+\.py)`:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TEST = re.compile(r"^(?:async )?def test_", re.MULTILINE)
EMULATED = "549755885175"  # the ad account of the emulator
OPTIONAL = (
    "airflow",
    "celery",
    "django",
    "duckdb",
    "fastapi",
    "keyring",
    "numpy",
    "openpyxl",
    "pandas",
    "phonenumbers",
    "polars",
    "pyarrow",
    "pyspark",
    "sqlalchemy",
)


# Pages with blocks that require a login or a server, and tell how to get one.
WITH_SERVER = {"docs/first-list.md", "docs/how-to/airflow.md", "docs/testing.md"}

BY_PLUGIN = {
    "pytest.mark.asyncio": "pytest_asyncio",
    '"trio"': "trio",
    "OpenTelemetryHook": "opentelemetry",
}


def missing(code: str) -> list[pytest.MarkDecorator]:
    """Skip a block that needs an optional package that is not installed."""
    imported = set(re.findall(r"^ *(?:import|from) (\w+)", code, flags=re.MULTILINE))
    needed = [name for name in OPTIONAL if name in imported]
    needed += [module for text, module in BY_PLUGIN.items() if text in code]
    return [
        pytest.mark.skip(reason=f"the block needs {name}, which is not installed")
        for name in needed
        if find_spec(name) is None
    ]


def blocks() -> Iterator[ParameterSet]:
    for page in PAGES:
        for example in Document.parse(str(page), PythonCodeBlockParser()).examples():
            code = str(example.parsed)
            name = page.relative_to(ROOT / "docs" if page.parent != ROOT else ROOT).as_posix()
            yield pytest.param(example, id=f"{name}:{example.line}", marks=missing(code))


@pytest.fixture
def _as_copied(example: Example, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty folder, in which a block may write small files, and no variable of the package."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PINTEREST_")]:
        monkeypatch.delenv(name)
    logger = logging.getLogger("pinterest_audiences")
    monkeypatch.setattr(logger, "handlers", [*logger.handlers])  # a block may add its own
    level = logger.level
    with ExitStack() as running:
        page = Path(example.path).relative_to(ROOT).as_posix()
        if page == "docs/first-list.md":
            Path("customers.csv").write_text("Email\nada@shop.example\n")  # the reader's export
        if page in WITH_SERVER:
            for name, value in running.enter_context(server()).items():
                monkeypatch.setenv(name, value)
        yield
    logger.setLevel(level)


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Serve the emulator, and yield the variables that a page with a server names."""
    command = [sys.executable, "-m", "pinterest_audiences.emulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield {
            "PINTEREST_API_URI": process.stdout.readline().strip(),
            "PINTEREST_ACCESS_TOKEN": "any",
            # As after a login, which writes it to the profile.
            "PINTEREST_AD_ACCOUNT_ID": EMULATED,
            # Of a block about containers; this server, which has none, ignores it.
            "PINTEREST_EMULATOR_ADMIN_TOKEN": "only-for-tests-in-this-network",
        }
        process.terminate()


@pytest.mark.usefixtures("_as_copied")
@pytest.mark.parametrize("example", list(blocks()))
def test_code_block_runs_as_copied(example: Example) -> None:
    """Without an account, a variable, or a file that it does not write.

    A block of tests is run by pytest, as a file next to the other files of its page.
    """
    code = str(example.parsed)
    if not TEST.search(code):
        example.document.namespace.clear()
        example.evaluate()
        return
    files = {text: name for name, text in NAMED.findall(example.document.text)}
    for text, name in files.items():
        Path(name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", files[code]],
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_each_page_that_uses_the_ad_account_of_the_emulator_says_what_it_is() -> None:
    """Readers arrive from a search, and know no other page."""
    pages = {page: page.read_text(encoding="utf-8") for page in PAGES}
    unexplained = [
        page.name
        for page, text in pages.items()
        if any(EMULATED in code for language, code in FENCED.findall(text) if language == "python")
        and f"`{EMULATED}`" not in FENCED.sub("", text)
    ]
    assert unexplained == []


@pytest.mark.parametrize("name", ["tutorial.md", "index.md"])
def test_pages_install_a_checkout_with_the_same_two_lines(name: str) -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = f"git clone {metadata['urls']['Source']}\npip install './pinterest-audiences[cli]'\n"
    assert lines in [
        code for _, code in FENCED.findall((ROOT / "docs" / name).read_text(encoding="utf-8"))
    ]


SENDS = re.compile(r"pinterest-audiences (?:upload|remove|plan|mirror|forget) .*")


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "how-to").glob("*.md")), ids=lambda page: page.stem
)
def test_commands_of_a_guide_run_on_the_emulator(page: Path) -> None:
    """As the index of the guides says."""
    blocks = FENCED.findall(page.read_text(encoding="utf-8"))
    commands = [each for _, code in blocks for each in SENDS.findall(code)]
    assert [command for command in commands if "--emulator" not in command] == []


def test_blocks_in_other_languages_are_valid() -> None:
    """Also those of Python that cannot run here, such as a DAG of Airflow."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    parsers: dict[str, Callable[[str], object]] = {
        "json": json.loads,
        "python": ast.parse,
        "toml": tomllib.loads,
        "yaml": yaml.safe_load,
    }
    for page in PAGES:
        for language, code in FENCED.findall(page.read_text(encoding="utf-8")):
            parse = parsers.get(language)
            if parse is not None:
                parse(code)


def test_reference_lists_every_error_and_method() -> None:
    """The tables are complete."""
    listed = set(re.findall(r"\w+", REFERENCE))
    errors = {name for name in pinterest_audiences.__all__ if name.endswith("Error")}
    methods = {n for n in dir(pinterest_audiences.AsyncClient) if not n.startswith("_")}
    assert errors | methods <= listed


def test_testing_page_lists_every_fault_and_admin_endpoint() -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    assert [kind for kind in get_args(FaultKind) if f"`{kind}`" not in page] == []
    assert [endpoint for endpoint in _ENDPOINTS if f"/_emulator/{endpoint}" not in page] == []


@pytest.mark.parametrize("client", [pinterest_audiences.AsyncClient, pinterest_audiences.Client])
def test_reference_lists_every_argument_of_the_clients(client: type) -> None:
    """In the table of the configuration."""
    table = REFERENCE.partition("## Configuration\n")[2]
    listed = set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE))
    assert set(inspect.signature(client).parameters) <= listed


def test_reference_lists_every_environment_variable() -> None:
    """Those that the package names in its code, except the `_FILE` variants."""
    package = Path(pinterest_audiences.__file__).parent
    names = {
        name.removesuffix("_FILE")
        for source in package.rglob("*.py")
        for name in re.findall(r'"(PINTEREST_[A-Z_]+)"', source.read_text(encoding="utf-8"))
    }
    table = REFERENCE.partition("### Environment variables\n")[2]
    assert names <= set(re.findall(r"`(\w+)`", table))
