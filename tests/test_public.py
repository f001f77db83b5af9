"""What the package as a whole promises: its names, its twin clients, and how its house is built."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import pinterest_audiences
from pinterest_audiences import AsyncClient, Client, emulator

PACKAGE = Path(pinterest_audiences.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ["httpx", "attrs", "attr", "cattrs", "anyio", "asyncio", "ssl", "email", "http"]

# The floors of the house: a room imports from floors below its own, and from its neighbours. The
# emulator stands beside it and imports nothing of it, so that the two can disagree.
FLOORS = {
    "_version": 0,
    "models": 0,
    "errors": 0,
    "upload_errors": 0,
    "records": 1,
    "auth": 2,
    "pagination": 2,
    "_wire": 2,
    "jobs": 2,
    "_methods": 3,
    "client": 3,
    "blocking": 4,
    "pytest_plugin": 5,
    "cli": 5,
    "__main__": 5,
}
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60

every_name = pytest.mark.parametrize("name", pinterest_audiences.__all__)
every_source = pytest.mark.parametrize(
    "source", SOURCES, ids=[str(path.relative_to(PACKAGE)) for path in SOURCES]
)


def python(code: str) -> str:
    """Run code in a new interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize("module", [pinterest_audiences, emulator], ids=lambda m: m.__name__)
def test_the_public_names_are_sorted_and_unique(module: object) -> None:
    """As a linter sorts them: constants, classes, the rest."""
    names: list[str] = getattr(module, "__all__")  # noqa: B009 - of two modules
    assert len(set(names)) == len(names)
    constants = [name for name in names if name.isupper()]
    classes = [name for name in names if name[0].isupper() and name not in constants]
    others = [name for name in names if name not in constants + classes]
    assert names == sorted(constants) + sorted(classes) + sorted(others)


@every_name
def test_every_public_name_can_be_imported_and_is_documented(name: str) -> None:
    """It is there, it is kept, and its docstring is its own."""
    value = getattr(pinterest_audiences, name)
    assert getattr(pinterest_audiences, name) is value
    if inspect.isclass(value):
        assert value.__dict__.get("__doc__")
        assert value.__module__.startswith("pinterest_audiences.")


@every_name
def test_every_public_name_is_known_to_type_checkers(name: str) -> None:
    """What is loaded lazily at run time is imported plainly under TYPE_CHECKING."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert name in imported


@every_name
def test_every_public_name_is_its_modules_too(name: str) -> None:
    """A name is public where it lives, and the same object there."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (home,) = (
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}
    )
    module = importlib.import_module(str(home))
    assert getattr(module, name) is getattr(pinterest_audiences, name)
    assert name.startswith("_") or name in module.__all__


def test_importing_the_package_imports_nothing_heavy() -> None:
    """A script that never calls Pinterest does not pay for what calls it."""
    before = set(python("import sys; print(*sys.modules)").split())
    after = set(python("import sys, pinterest_audiences; print(*sys.modules)").split())
    new = {name.split(".")[0] for name in after - before}
    assert not new & set(HEAVY)
    assert {name for name in after - before if name.startswith("pinterest_audiences")} == {
        "pinterest_audiences",
        "pinterest_audiences._version",
    }


def test_errors_are_imported_without_anything_heavy() -> None:
    """To catch an error is cheap."""
    found = python("import sys; from pinterest_audiences import APIError; print(*sys.modules)")
    assert not {"httpx", "attrs", "cattrs", "anyio"} & set(found.split())


ANEW = """
import importlib, sys
for name in {names!r}:
    for loaded in [m for m in sys.modules if m.startswith("pinterest_audiences")]:
        del sys.modules[loaded]
    {touch}
"""


def test_every_public_name_is_loaded_when_first_touched() -> None:
    """Each by itself, in a package of which nothing else was loaded before."""
    touch = "getattr(importlib.import_module('pinterest_audiences'), name)"
    assert python(ANEW.format(names=pinterest_audiences.__all__, touch=touch)) == ""


def test_each_module_can_be_the_first_to_be_imported() -> None:
    """The rooms import each other in no circle."""
    names = [
        ".".join(("pinterest_audiences", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in SOURCES
        if path.stem not in ("__init__", "__main__")
        and (room(path) != "cli" or find_spec("cyclopts") is not None)  # the extra [cli]
    ]
    assert python(ANEW.format(names=names, touch="importlib.import_module(name)")) == ""


def test_a_star_import_gives_every_public_name() -> None:
    """`__all__` holds for it."""
    names = python(
        "from pinterest_audiences import *; import pinterest_audiences\n"
        "print(all(name in globals() for name in pinterest_audiences.__all__))"
    )
    assert names == "True"


def test_dir_shows_every_public_name() -> None:
    """Completion in a shell knows what was not loaded yet."""
    shown = python("import pinterest_audiences; print(*dir(pinterest_audiences))").split()
    assert set(pinterest_audiences.__all__) <= set(shown)
    assert shown == sorted(shown)
    assert dir(pinterest_audiences) == sorted(dir(pinterest_audiences))


@pytest.mark.parametrize("name", ["AsyncCleint", "Session", "_nothing", "__path_of_nothing__"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    """As of any module, and so for an import."""
    with pytest.raises(AttributeError, match=f"'pinterest_audiences' has no attribute '{name}'"):
        getattr(pinterest_audiences, name)
    assert not hasattr(pinterest_audiences, name)


def test_the_version_is_one() -> None:
    """The version of the package is that of its distribution's file."""
    from pinterest_audiences import _version

    assert pinterest_audiences.__version__ == _version.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", pinterest_audiences.__version__)


def test_the_package_is_typed() -> None:
    """Type checkers look for the marker."""
    assert (PACKAGE / "py.typed").is_file()


def public_functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Every public function and method of public modules, with the docstring of its class."""
    for source in SOURCES:
        if any(part.startswith("_") for part in source.relative_to(PACKAGE).parts):
            continue
        tree = ast.parse(source.read_text())
        rooms: list[ast.Module | ast.ClassDef] = [
            tree,
            *(node for node in tree.body if isinstance(node, ast.ClassDef)),
        ]
        for room in rooms:
            room_name = f".{room.name}" if isinstance(room, ast.ClassDef) else ""
            if room_name.startswith("._"):
                continue
            for node in room.body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    where = f"{source.relative_to(PACKAGE)}{room_name}.{node.name}"
                    yield where, node, ast.get_docstring(room) or ""


FUNCTIONS = {where: (node, above) for where, node, above in public_functions()}


@pytest.mark.parametrize("where", FUNCTIONS)
def test_every_public_function_is_documented(where: str) -> None:
    """What may be called says what it does; what raises by itself says what."""
    node, above = FUNCTIONS[where]
    docstring = ast.get_docstring(node) or ""
    if not node.name.startswith("_"):
        assert docstring.splitlines()[0].endswith((".", ":", "?"))
    raised = {
        name
        for statement in _own_statements(node)
        if isinstance(statement, ast.Raise) and statement.exc is not None
        for name in _names(statement.exc)
    }
    told = docstring if not node.name.startswith("_") else f"{docstring}{above}"
    protocol = {"StopIteration", "StopAsyncIteration", "AttributeError"}
    for name in raised - protocol:
        if name.endswith("Error") and not _is_private_helper(node):
            assert "Raises:" in told, f"{where} raises {name}"
            assert re.search(rf"\b{name}\b", told.split("Raises:")[1]), f"{where} raises {name}"


def _own_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a function, but not the functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _own_statements(child)


def _names(raised: ast.expr) -> Iterator[str]:
    called = raised.func if isinstance(raised, ast.Call) else raised
    if isinstance(called, ast.Name):
        yield called.id


def _is_private_helper(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return node.name.startswith("_") and not node.name.startswith("__")


@pytest.mark.parametrize(
    "name",
    [n for n in pinterest_audiences.__all__ if inspect.isclass(getattr(pinterest_audiences, n))],
)
def test_every_public_method_has_a_docstring(name: str) -> None:
    """Seen from outside, inherited ones included."""
    for method, value in inspect.getmembers(getattr(pinterest_audiences, name)):
        owner = getattr(value, "__module__", "") or ""
        if not method.startswith("_") and owner.startswith("pinterest_audiences"):
            assert inspect.getdoc(value), f"{name}.{method}"


TWINS = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


def methods(kind: type) -> dict[str, object]:
    """The methods that a client defines for its users, by itself or by its bases."""
    return {
        name: value
        for each in reversed(kind.__mro__[:-1])
        for name, value in vars(each).items()
        if inspect.isfunction(value) and (not name.startswith("_") or name.startswith("__"))
    }


def test_the_clients_have_the_same_methods() -> None:
    """None is missing on either side."""
    awaiting = {TWINS.get(name, name) for name in methods(AsyncClient)}
    assert awaiting == set(methods(Client))
    assert {name for name in awaiting if not name.startswith("_")} == {
        *(f"customer_lists_{verb}" for verb in ("create", "get", "update", "list")),
        *(f"customer_list_uploads_{verb}" for verb in ("create", "run", "get")),
        *(f"audiences_{verb}" for verb in ("create", "get", "update", "list")),
        *("upload", "plan_mirror", "apply", "mirror", "resume", "status", "forget"),
        *("wait_until_ready", "oauth_token", "token_revoke", "user_account_get"),
        *("create_customer_list_audience", "put_file_parts", "upload_file_in_parts", "close"),
    }


@pytest.mark.parametrize("name", methods(AsyncClient))
def test_the_clients_have_the_same_signatures(name: str) -> None:
    """Parameters, their order, kinds, defaults and annotations; results but for the pager."""
    awaiting = inspect.signature(getattr(AsyncClient, name))
    blocking = inspect.signature(getattr(Client, TWINS.get(name, name)))
    assert list(awaiting.parameters) == list(blocking.parameters)
    for one, other in zip(awaiting.parameters.values(), blocking.parameters.values(), strict=True):
        assert one == other  # name, kind, default and annotation
    assert str(awaiting.return_annotation).replace("AsyncPager", "Pager") == (
        blocking.return_annotation
    )


@pytest.mark.parametrize("name", methods(AsyncClient))
def test_the_clients_are_documented_alike(name: str) -> None:
    """The first line is the same; only the awaiting client tells the details."""
    awaiting = getattr(AsyncClient, name).__doc__
    blocking = getattr(Client, TWINS.get(name, name)).__doc__
    assert (awaiting or "").split("\n")[0] == (blocking or "").split("\n")[0]
    assert (blocking or ":meth:`AsyncClient").count("AsyncClient") or name == "aclose"


def test_only_methods_that_do_no_io_are_not_awaited() -> None:
    """Each method of the awaiting client is a coroutine function, but for the listings."""
    plain = {n for n, m in methods(AsyncClient).items() if not inspect.iscoroutinefunction(m)}
    assert plain == {"__init__", "customer_lists_list", "audiences_list"}
    assert not any(inspect.iscoroutinefunction(m) for m in methods(Client).values())


def test_the_clients_document_the_same_arguments() -> None:
    """The constructor's arguments are told in both classes' docstrings, in order."""
    arguments = list(inspect.signature(AsyncClient).parameters)
    for kind in (AsyncClient, Client):
        told = re.findall(r"^    (\w+): ", inspect.getdoc(kind) or "", re.MULTILINE)
        assert told[: len(arguments)] == arguments


def imports(source: Path, *, with_typing: bool) -> Iterator[str]:
    """The modules that a file imports, at run time or for type checkers too."""

    def walk(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.If(test=ast.Name(id="TYPE_CHECKING")) if not with_typing:
                    for other in child.orelse:
                        yield from walk(other)
                case ast.Import(names=names):
                    yield from (alias.name for alias in names)
                case ast.ImportFrom(module=module, names=names, level=0):
                    yield from (f"{module}.{alias.name}" for alias in names)
                case _:
                    yield from walk(child)

    return walk(ast.parse(source.read_text()))


def room(path: Path) -> str:
    """The room that a file belongs to: a module, or a subpackage."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@every_source
def test_no_room_imports_from_above(source: Path) -> None:
    """Not for types either: whoever reads a floor needs no floor above it."""
    mine = room(source)
    if mine == "__init__":
        return
    ours = [
        name.split(".")[1]
        for name in imports(source, with_typing=mine != "_wire")
        if name.startswith("pinterest_audiences.")
    ]
    if mine == "emulator":
        assert set(ours) <= {"emulator"}
        return
    if mine in ("pytest_plugin", "cli"):
        ours = [other for other in ours if other != "emulator"]  # what brings both together
    for other in ours:
        assert FLOORS[other] <= FLOORS[mine], f"{mine} imports {other}"


def test_every_room_has_its_floor() -> None:
    """A new module says where it belongs before it is let in."""
    assert {room(path) for path in SOURCES} == {*FLOORS, "emulator", "__init__"}


@every_source
def test_only_two_modules_know_httpx(source: Path) -> None:
    """A move to another HTTP library is two files; the emulator has a door of its own.

    The second one is for the storage behind Pinterest, which must get nothing of a token.
    """
    doors = ("_wire/session.py", "_wire/storage.py", "emulator/transport.py")
    names = {name.split(".")[0] for name in imports(source, with_typing=False)}
    if str(source.relative_to(PACKAGE)) not in doors:
        assert "httpx" not in names


@every_source
def test_only_the_portal_knows_asyncio(source: Path) -> None:
    """Everything else runs on trio too."""
    names = {name.split(".")[0] for name in imports(source, with_typing=True)}
    if str(source.relative_to(PACKAGE)) != "_wire/portal.py":
        assert "asyncio" not in names
    assert not names & {"trio", "sniffio"}


@every_source
def test_only_the_four_dependencies_are_imported(source: Path) -> None:
    """And Python's own library."""
    names = {name.split(".")[0] for name in imports(source, with_typing=True)}
    allowed = {"httpx", "attrs", "cattrs", "anyio", "pinterest_audiences"}
    if source.name == "server.py":
        allowed.add("h11")  # comes with httpx, and reads requests as httpx reads answers
    if source.name == "pytest_plugin.py":
        allowed.add("pytest")  # which is there, because it loads this
    if room(source) == "cli":
        allowed |= {"cyclopts", "rich"}  # the extra [cli]
    assert names - set(sys.stdlib_module_names) <= allowed


@every_source
def test_files_and_functions_are_short(source: Path) -> None:
    """One that grows past this is asking to be two."""
    text = source.read_text()
    assert len(text.splitlines()) <= MOST_LINES_OF_A_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            begin = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
            assert node.end_lineno is not None
            assert begin is not None
            assert node.end_lineno - begin <= MOST_LINES_OF_A_FUNCTION, node.name


@every_source
def test_every_file_says_what_it_is(source: Path) -> None:
    """A docstring, and annotations that cost nothing at run time."""
    tree = ast.parse(source.read_text())
    assert ast.get_docstring(tree)
    if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(tree)):
        assert "from __future__ import annotations" in source.read_text()
