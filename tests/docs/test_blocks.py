"""Every Python block of README and docs runs on its own, against the emulator."""

from __future__ import annotations

import ast
import inspect
import json
import logging
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest
from _pytest.mark import ParameterSet

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
def _emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    shutil.copy(ROOT / "examples" / "customers.csv", tmp_path)
    monkeypatch.chdir(tmp_path)  # a block may write small files
    logger = logging.getLogger("pinterest_audiences")
    monkeypatch.setattr(logger, "handlers", [*logger.handlers])  # a block may add its own
    level = logger.level
    command = [sys.executable, "-m", "pinterest_audiences.emulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        monkeypatch.setenv("PINTEREST_API_URI", server.stdout.readline().strip())
        monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "any-token")
        # As after a login, which writes it to the profile.
        monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", "549755885175")
        # Of a block about containers; this server, which has none, ignores it.
        monkeypatch.setenv("PINTEREST_EMULATOR_ADMIN_TOKEN", "an-admin-token-for-tests")
        yield
        server.terminate()
    logger.setLevel(level)


@pytest.mark.usefixtures("_emulator")
@pytest.mark.parametrize("example", list(blocks()))
def test_code_block_runs_as_copied(example: Example) -> None:
    example.document.namespace.clear()
    example.evaluate()


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
