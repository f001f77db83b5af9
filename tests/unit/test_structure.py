"""Structure of the package: levels, allowed imports, and the form of files.

The tables below are the rules; the tests list every file that breaks one.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.cases import each_case
from support.sources import MODULES, PACKAGE, SOURCES, for_each, imports, parsed

import pinterest_audiences
from pinterest_audiences import emulator

# From the bottom to the top: a module or package imports from rows below its own only, not from
# its neighbours, and not for types either. The emulator stands outside: it imports nothing of the
# rest, so that the two can disagree.
LEVELS = (
    ("_version", "_models", "_httpx", "_text"),
    ("_errors", "_redaction"),
    ("_threads", "_config", "_file_lock"),
    ("_credentials", "_records", "_pagination", "_portal"),
    ("_http", "_sync_runner", "_hashing_sql", "_spark_frames"),
    ("_auth",),
    ("_jobs", "_live_check"),
    ("_local_emulator",),
    ("_account_client",),
    ("_client",),
    ("_sync_client",),
    ("cli", "pytest_plugin", "spark"),
    ("__main__",),
)
# Besides those, these bring the clients and the emulator together.
USE_THE_EMULATOR = (
    *("_live_check", "_local_emulator", "_client", "_sync_client"),
    *("cli", "pytest_plugin"),
)
# Imports from a level that is not below: what remains to be opened. Must end empty.
KNOWN_UPWARD: set[tuple[str, str]] = set()
# Modules that import each other, at run time or for types: what remains to be opened. Must end
# empty.
KNOWN_CYCLES: tuple[set[str], ...] = ()

# Dependencies that every module may import, and the files that may import another one.
ANYWHERE = {"attrs", "cattrs", "anyio"}
ONLY_IN: dict[str, tuple[str, ...]] = {
    "httpx": ("_httpx.py",),  # a move to another HTTP library is this file
    # Everything else runs on trio too.
    "asyncio": (),
    "trio": (),
    "sniffio": (),
    "orjson": ("_http/codec.py",),  # used where it is installed
    "truststore": ("_http/network.py",),
    "certifi": ("_http/network.py",),  # comes with httpx
    "filelock": ("_file_lock.py",),
    "platformdirs": ("_config.py",),
    "h11": ("emulator/_server.py",),  # a dependency for the emulator alone
    "pytest": ("pytest_plugin.py",),  # which pytest loads
    "idna": ("_records/emails.py",),
    "opentelemetry": ("_http/telemetry.py",),  # the extra [otel]
    "phonenumbers": ("_records/phones.py",),  # the extra [phone]
    "cyclopts": ("cli/*",),  # the extra [cli]
    "rich": ("cli/*",),
    "pyspark": ("*spark*.py",),  # the extra [spark]
}

MAX_LINES_OF_A_FILE = 900
LONG_FILES = {"_client.py", "_sync_client.py", "_account_client.py"}  # the methods of the clients
MAX_LINES_OF_A_FUNCTION = 60

every_source = for_each(SOURCES)


def package_of(module: str) -> str:
    """Return the first part of a module's name inside the package."""
    return module.removeprefix("pinterest_audiences").removeprefix(".").split(".")[0]


def level_of() -> dict[str, int]:
    """Return the level of every package in the table."""
    return {name: level for level, names in enumerate(LEVELS) for name in names}


def own_imports(*, with_typing: bool) -> dict[str, set[str]]:
    """Return, for every module, the modules of this package that it imports."""
    return {
        module: {name for name in imports(source, with_typing=with_typing) if name in MODULES}
        - {module, "pinterest_audiences"}
        for module, source in MODULES.items()
    }


def test_every_package_has_a_level() -> None:
    """A new module is added to the table, a removed one is deleted from it."""
    assert {package_of(module) for module in MODULES} - {"", "emulator"} == set(level_of())


def test_imports_point_down() -> None:
    """No module imports from its level or a higher one, for types either."""
    levels = level_of()
    upward = {
        (package_of(module), package_of(imported)): f"{module} imports {imported}"
        for module, names in own_imports(with_typing=True).items()
        for imported in names
        if package_of(module) not in ("", "emulator", package_of(imported))
        and package_of(imported) != "emulator"
        and levels[package_of(imported)] >= levels[package_of(module)]
    }
    new = {pair: example for pair, example in upward.items() if pair not in KNOWN_UPWARD}
    assert not new, "\n".join(new.values())
    assert not KNOWN_UPWARD - set(upward), "remove fixed imports from KNOWN_UPWARD"


def test_emulator_imports_nothing_from_the_client() -> None:
    """Two implementations that share code have the same errors, which no test finds."""
    offenders = [
        f"{module} imports {imported}"
        for module, names in own_imports(with_typing=True).items()
        for imported in names
        if (package_of(module) == "emulator") != (package_of(imported) == "emulator")
        and (package_of(module) == "emulator" or package_of(module) not in USE_THE_EMULATOR)
        and "emulator" in (package_of(module), package_of(imported))
        and package_of(imported) != "_httpx"  # the library, and no code of the client
    ]
    assert not offenders, "\n".join(offenders)


def cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of modules that import each other (Tarjan's algorithm)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    result: list[set[str]] = []

    def visit(module: str) -> None:
        numbers[module] = lowest[module] = len(numbers)
        stack.append(module)
        for imported in sorted(graph[module]):
            if imported not in numbers:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], numbers[imported])
        if lowest[module] == numbers[module]:
            group = set(stack[stack.index(module) :])
            del stack[stack.index(module) :]
            if len(group) > 1:
                result.append(group)

    for module in graph:
        if module not in numbers:
            visit(module)
    return result


def test_import_cycles_are_detected() -> None:
    """Two cycles that share a module are one, and a tail is not part of it."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set(), "f": {"a", "f"}}
    assert cycles(graph) == [{"a", "b", "c"}]
    assert cycles({"a": {"b"}, "b": {"a", "c"}, "c": {"b"}}) == [{"a", "b", "c"}]


def test_modules_have_no_import_cycle() -> None:
    """Also through TYPE_CHECKING blocks and imports inside functions."""
    found = [
        {module.removeprefix("pinterest_audiences.") for module in group}
        for group in cycles(own_imports(with_typing=True))
    ]
    new = [" <-> ".join(sorted(group)) for group in found if group not in KNOWN_CYCLES]
    assert not new, "\n".join(new)
    gone = [" <-> ".join(sorted(group)) for group in KNOWN_CYCLES if group not in found]
    assert not gone, "\n".join(["remove fixed cycles from KNOWN_CYCLES:", *gone])


IMPORT_EACH = """
import importlib, sys
for name in {names!r}:
    for loaded in [m for m in sys.modules if m.startswith("pinterest_audiences")]:
        del sys.modules[loaded]
    importlib.import_module(name)
"""


@pytest.mark.slow
def test_each_module_can_be_imported_first() -> None:
    """The order of imports does not matter."""
    names = [
        module
        for module, source in MODULES.items()
        if source.stem not in ("__init__", "__main__")
        and (package_of(module) != "cli" or find_spec("cyclopts") is not None)  # the extra [cli]
    ]
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", IMPORT_EACH.format(names=names)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def outside_imports(source: Path, *, with_typing: bool) -> set[str]:
    """Return the top-level packages that a file imports."""
    return {name.split(".")[0] for name in imports(source, with_typing=with_typing)}


@every_source
def test_only_declared_dependencies_are_imported(source: Path) -> None:
    """The standard library, and the entries of the tables at the top for the file."""
    path = source.relative_to(PACKAGE).as_posix()
    allowed = {
        name for name, files in ONLY_IN.items() if any(fnmatch(path, file) for file in files)
    }
    free = (set(sys.stdlib_module_names) - set(ONLY_IN)) | ANYWHERE | {"pinterest_audiences"}
    assert outside_imports(source, with_typing=False) <= allowed | free
    assert outside_imports(source, with_typing=True) <= allowed | free


def test_dependency_tables_list_only_files_that_use_them() -> None:
    idle = [
        f"{file} does not import {name}"
        for name, files in ONLY_IN.items()
        for file in files
        if not any(
            fnmatch(source.relative_to(PACKAGE).as_posix(), file)
            and name in outside_imports(source, with_typing=False)
            for source in SOURCES
        )
    ]
    assert not idle, "\n".join(idle)


@every_source
def test_files_and_functions_are_within_their_limits(source: Path) -> None:
    """A file has one concept, and a function fits on a screen."""
    if source.relative_to(PACKAGE).as_posix() not in LONG_FILES:
        lines = source.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= MAX_LINES_OF_A_FILE
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            begin = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
            assert node.end_lineno is not None
            assert begin is not None
            assert node.end_lineno - begin <= MAX_LINES_OF_A_FUNCTION, node.name


@every_source
def test_every_file_has_a_docstring_and_lazy_annotations(source: Path) -> None:
    tree = parsed(source)
    assert ast.get_docstring(tree)
    if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(tree)):
        assert "from __future__ import annotations" in source.read_text(encoding="utf-8")


Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions() -> Iterator[tuple[str, Function, str]]:
    """Yield every function and method of public modules and of exported classes.

    Each with its location and the docstring of its class or module.
    """
    exported = {*pinterest_audiences.__all__, *emulator.__all__}
    for source in SOURCES:
        path = source.relative_to(PACKAGE)
        internal = any(part.startswith("_") for part in path.parts)
        tree = parsed(source)
        scopes: list[tuple[str, ast.Module | ast.ClassDef]] = [("", tree)]
        scopes += [
            (f".{node.name}", node)
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            and (node.name in exported if internal else not node.name.startswith("_"))
        ]
        for scope_name, scope in scopes:
            for node in scope.body:
                if not isinstance(node, Function):
                    continue
                if not internal or scope_name or node.name in exported:
                    yield f"{path}{scope_name}.{node.name}", node, ast.get_docstring(scope) or ""


@cache
def functions_by_name() -> dict[str, tuple[Function, str]]:
    """Return the public functions by their location; the last of several overloads counts."""
    return {where: (node, above) for where, node, above in public_functions()}


@for_each(functions_by_name)
def test_every_public_function_documents_itself_and_its_errors(where: str) -> None:
    """A summary line, and the name of every exception that it raises itself."""
    node, above = functions_by_name()[where]
    docstring = ast.get_docstring(node) or ""
    if not node.name.startswith("_"):
        assert docstring, "no docstring"
        assert docstring.splitlines()[0].endswith((".", ":", "?"))
    raised = {
        name
        for statement in _own_statements(node)
        if isinstance(statement, ast.Raise) and statement.exc is not None
        for name in _names(statement.exc)
    }
    documented = docstring if not node.name.startswith("_") else f"{docstring}{above}"
    protocol = {"StopIteration", "StopAsyncIteration", "AttributeError"}
    for name in raised - protocol:
        if name.endswith("Error") and not _is_private_helper(node):
            assert "Raises:" in documented, f"{where} raises {name}"
            assert re.search(rf"\b{name}\b", documented.split("Raises:")[1]), f"raises {name}"


def _own_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a function without its nested functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _own_statements(child)


def _names(raised: ast.expr) -> Iterator[str]:
    called = raised.func if isinstance(raised, ast.Call) else raised
    if isinstance(called, ast.Name):
        yield called.id


def _is_private_helper(node: Function) -> bool:
    return node.name.startswith("_") and not node.name.startswith("__")


@every_source
def test_sql_has_no_numbered_placeholders(source: Path) -> None:
    """Python 3.12 warns of ``?1`` with a sequence of values: name such placeholders."""
    strings = [node.value for node in ast.walk(parsed(source)) if isinstance(node, ast.Constant)]
    numbered = [s for s in strings if isinstance(s, str) and re.search(r"[=(,] ?\?\d", s)]
    assert not numbered


def test_no_file_name_stands_for_two_modules() -> None:
    """A name in a traceback or a search leads to one file."""
    paths: dict[str, list[str]] = {}
    for source in SOURCES:
        if source.stem not in ("__init__", "__main__"):
            paths.setdefault(source.name, []).append(source.relative_to(PACKAGE).as_posix())
    repeated = [", ".join(files) for files in paths.values() if len(files) > 1]
    assert not repeated, "\n".join(repeated)


def test_every_offender_is_listed() -> None:
    """The helper of these tests does not stop at the first one."""

    @for_each(["a", "b", "c"])
    def check(item: str) -> None:
        assert item == "b", "is not b"

    with pytest.raises(AssertionError) as caught:
        check()
    assert str(caught.value).splitlines()[0].startswith("a: is not b")
    assert "c: is not b" in str(caught.value)


@pytest.mark.anyio
async def test_every_failed_case_of_a_table_is_listed() -> None:
    """Of sync and async tests, with combined tables and with fixtures."""

    @each_case("first", [1, 2])
    @each_case(("second", "total"), [(1, 2), (2, 4), pytest.param(3, 5)])
    def check(first: int, second: int, total: int, fixture: int) -> None:
        assert first + second + fixture == total

    assert list(inspect.signature(check).parameters) == ["fixture"]
    with pytest.raises(AssertionError) as caught:
        check(fixture=0)
    assert str(caught.value).count("AssertionError: assert") == 3
    assert "[second=2, total=4] AssertionError" in str(caught.value)

    @each_case("value", ["a", "b"])
    async def acheck(value: str) -> None:
        with pytest.raises(KeyError):
            {"a": 1}[value]

    with pytest.raises(AssertionError, match=r"1 of 2 cases:\n\[value='a'\] Failed: DID NOT RAISE"):
        await acheck()


def test_architecture_lists_every_module() -> None:
    """The tree in docs/architecture.md matches the package."""
    page = PACKAGE.parent / "docs" / "architecture.md"
    if not page.exists():
        pytest.skip("the documentation is not next to an installed wheel")
    tree = page.read_text(encoding="utf-8").split("```")[1].splitlines()[2:]
    listed: set[str] = set()
    folders: list[str] = []
    for line in tree:
        depth, name = (len(line) - len(line.lstrip())) // 2 - 1, line.split()[0]
        del folders[depth:]
        if name.endswith("/"):
            folders.append(name)
        else:
            listed.add("".join([*folders, name]))
    present = {
        path
        for source in (*SOURCES, *PACKAGE.rglob("*.pyi"))
        if (path := source.relative_to(PACKAGE).as_posix()) == "__init__.py"
        or source.name != "__init__.py"
    }
    assert not present - listed, "not in the tree"
    assert not listed - present, "in the tree, but gone"
