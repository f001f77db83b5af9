"""Public names, lazy imports, and the equal interfaces of both clients."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from typing import get_args, get_origin, get_overloads

import pytest
from support.sources import PACKAGE, for_each

import pinterest_audiences
from pinterest_audiences import AsyncClient, Client, Page, emulator
from pinterest_audiences._http import operations

HEAVY = ["httpx", "attrs", "attr", "cattrs", "anyio", "asyncio", "ssl", "email", "http"]

OPERATIONS = [each for each in vars(operations).values() if isinstance(each, operations.Operation)]

every_name = for_each(pinterest_audiences.__all__)


def python(code: str) -> str:
    """Run code in a new interpreter and return its output."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize("module", [pinterest_audiences, emulator], ids=lambda m: m.__name__)
def test_public_names_are_sorted_and_unique(module: object) -> None:
    """In the order of linters: constants, classes, the rest."""
    names: list[str] = getattr(module, "__all__")  # noqa: B009 - of two modules
    assert len(set(names)) == len(names)
    constants = [name for name in names if name.isupper()]
    classes = [name for name in names if name[0].isupper() and name not in constants]
    others = [name for name in names if name not in constants + classes]
    assert names == sorted(constants) + sorted(classes) + sorted(others)


@every_name
def test_every_public_name_can_be_imported_and_is_documented(name: str) -> None:
    """With a docstring that is not inherited."""
    value = getattr(pinterest_audiences, name)
    assert getattr(pinterest_audiences, name) is value
    if inspect.isclass(value):
        assert value.__dict__.get("__doc__")
        assert value.__module__.startswith("pinterest_audiences.")


@every_name
def test_every_public_name_is_imported_in_the_stub(name: str) -> None:
    """Type checkers do not see the lazy imports."""
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert name in imported


@every_name
def test_every_public_name_is_public_in_its_module(name: str) -> None:
    """The same object."""
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    (home,) = (
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}
    )
    module = importlib.import_module(str(home))
    assert getattr(module, name) is getattr(pinterest_audiences, name)
    assert name.startswith("_") or name in module.__all__


def test_importing_the_package_imports_no_heavy_dependency() -> None:
    before = set(python("import sys; print(*sys.modules)").split())
    after = set(python("import sys, pinterest_audiences; print(*sys.modules)").split())
    new = {name.split(".")[0] for name in after - before}
    assert not new & set(HEAVY)
    assert {name for name in after - before if name.startswith("pinterest_audiences")} == {
        "pinterest_audiences",
        "pinterest_audiences._version",
    }


def test_importing_errors_imports_no_heavy_dependency() -> None:
    found = python("import sys; from pinterest_audiences import APIError; print(*sys.modules)")
    assert not {"httpx", "attrs", "cattrs", "anyio"} & set(found.split())


def test_importing_a_client_imports_neither_readers_nor_jobs() -> None:
    """They are imported at the first use: most programs that make a call read no file."""
    show = "print(*sorted(set(sys.modules) - before))"  # what coverage imported is there before
    load = "from pinterest_audiences import AsyncClient, Client"
    found = python(f"import sys; before = set(sys.modules); {load}; {show}").split()
    readers = {"pinterest_audiences._records.sources", "sqlite3", "csv", "cyclopts"}
    assert not readers & set(found)
    assert not [name for name in found if name.startswith("pinterest_audiences._jobs")]
    assert "pinterest_audiences._client" in found


TOUCH_EACH = """
import importlib, sys
for name in {names!r}:
    for loaded in [m for m in sys.modules if m.startswith("pinterest_audiences")]:
        del sys.modules[loaded]
    getattr(importlib.import_module("pinterest_audiences"), name)
"""


@pytest.mark.slow
def test_every_public_name_is_loaded_at_first_access() -> None:
    """Each in a package with nothing else loaded."""
    assert python(TOUCH_EACH.format(names=pinterest_audiences.__all__)) == ""


@pytest.mark.slow
def test_star_import_has_every_public_name() -> None:
    names = python(
        "from pinterest_audiences import *; import pinterest_audiences\n"
        "print(all(name in globals() for name in pinterest_audiences.__all__))"
    )
    assert names == "True"


def test_dir_lists_every_public_name() -> None:
    """Also those not loaded yet, for completion."""
    shown = python("import pinterest_audiences; print(*dir(pinterest_audiences))").split()
    assert set(pinterest_audiences.__all__) <= set(shown)
    assert shown == sorted(shown)
    assert dir(pinterest_audiences) == sorted(dir(pinterest_audiences))


@pytest.mark.parametrize("name", ["AsyncCleint", "Session", "_nothing", "__path_of_nothing__"])
def test_unknown_name_is_an_attribute_or_import_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'pinterest_audiences' has no attribute '{name}'"):
        getattr(pinterest_audiences, name)
    assert not hasattr(pinterest_audiences, name)


def test_version_matches_the_version_file() -> None:
    from pinterest_audiences import _version

    assert pinterest_audiences.__version__ == _version.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", pinterest_audiences.__version__)


def test_package_has_the_py_typed_marker() -> None:
    assert (PACKAGE / "py.typed").is_file()


@every_name
def test_every_public_method_has_a_docstring(name: str) -> None:
    """Including inherited methods."""
    kind = getattr(pinterest_audiences, name)
    for method, value in inspect.getmembers(kind) if inspect.isclass(kind) else ():
        owner = getattr(value, "__module__", "") or ""
        if not method.startswith("_") and owner.startswith("pinterest_audiences"):
            assert inspect.getdoc(value), f"{name}.{method}"


TWINS = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


def methods(kind: type) -> dict[str, Callable[..., object]]:
    """Return the public methods of a client and of its bases."""
    return {
        name: value
        for each in reversed(kind.__mro__[:-1])
        for name, value in vars(each).items()
        if inspect.isfunction(value) and (not name.startswith("_") or name.startswith("__"))
    }


def test_clients_have_the_same_methods() -> None:
    awaiting = {TWINS.get(name, name) for name in methods(AsyncClient)}
    assert awaiting == set(methods(Client))
    assert {name for name in awaiting if not name.startswith("_")} == {
        *(operation.name for operation in OPERATIONS),
        *("upload", "plan_upload", "plan_mirror", "apply", "mirror", "resume", "status", "forget"),
        *("mirror_many", "jobs", "runs", "abandon", "forget_list"),
        *("wait_until_ready", "verify_api", "with_options", "account", "request"),
        *("find_customer_list", "find_audience", "find_customer_segment"),
        *("create_customer_list_audience", "put_file_parts", "upload_file_in_parts", "close"),
    }


@for_each(methods(AsyncClient))
def test_clients_have_the_same_signatures(name: str) -> None:
    """Parameters, their order, kinds, defaults and annotations; results except for pagers."""
    awaiting = inspect.signature(getattr(AsyncClient, name))
    blocking = inspect.signature(getattr(Client, TWINS.get(name, name)))
    assert list(awaiting.parameters) == list(blocking.parameters)
    for one, other in zip(awaiting.parameters.values(), blocking.parameters.values(), strict=True):
        assert one == other  # name, kind, default and annotation
    assert str(awaiting.return_annotation).replace("Async", "") == (blocking.return_annotation)


@for_each(methods(AsyncClient))
def test_clients_have_the_same_documentation(name: str) -> None:
    """First line, arguments and errors; only the examples differ."""
    awaiting = getattr(AsyncClient, name).__doc__ or ""
    blocking = getattr(Client, TWINS.get(name, name)).__doc__ or ""
    assert awaiting.split("\n")[0] == blocking.split("\n")[0]
    assert not re.search(r"\b(await|async|AsyncClient|AsyncPager|aclose)\b", blocking)
    entries = re.compile(r"^ {8,}(\w+):( |$)", re.MULTILINE)
    if name != "aclose":
        assert entries.findall(awaiting) == entries.findall(blocking)


ENUMS_BY_ALIAS = {
    "_models": (
        "AudienceOperationType",
        "AudienceType",
        "IdentifierType",
        "OperationType",
        "Order",
        "OwnershipType",
        "UserListType",
    ),
    "_credentials": ("GrantType", "TokenTypeHint"),
    "_records.identifiers": ("HashAlgorithm",),
}


def test_arguments_accept_an_enum_or_exactly_the_strings_of_its_members() -> None:
    """An alias such as `OperationTypeLike` does not lag behind its enum."""
    for module, names in ENUMS_BY_ALIAS.items():
        loaded = importlib.import_module(f"pinterest_audiences.{module}")
        for name in names:
            enum, literal = get_args(getattr(loaded, f"{name}Like"))
            assert enum is getattr(loaded, name)
            assert set(get_args(literal)) == {member.value for member in enum}, name


@pytest.mark.parametrize("kind", [AsyncClient, Client])
def test_overloads_have_every_argument_of_the_method_with_the_same_default(kind: type) -> None:
    """Each overload makes one of two arguments required, and changes nothing else."""
    overloaded = {name: get_overloads(method) for name, method in methods(kind).items()}
    overloaded = {name: variants for name, variants in overloaded.items() if variants}
    assert set(overloaded) == {
        *("customer_lists_create", "customer_lists_update"),
        *("upload", "plan_upload", "plan_mirror", "mirror", "forget_list"),
    }
    for name, variants in overloaded.items():
        method = inspect.signature(getattr(kind, name)).parameters
        required: list[str] = []
        for variant in variants:
            parameters = inspect.signature(variant).parameters
            assert list(parameters) == list(method), name
            changed = {n for n, p in parameters.items() if p != method[n]}
            assert len(changed) == 2, name
            (one,) = [n for n in changed if parameters[n].default is inspect.Parameter.empty]
            assert {parameters[n].annotation for n in changed - {one}} == {"None"}, name
            required.append(one)
        assert required in (["records", "records_v2"], ["customer_list_id", "name"])


def test_async_methods_with_io_are_coroutine_functions() -> None:
    """Except for listings."""
    plain = {n for n, m in methods(AsyncClient).items() if not inspect.iscoroutinefunction(m)}
    listings = {each.name for each in OPERATIONS if get_origin(each.response_model) is Page}
    assert plain == {"__init__", "account", "with_options", *listings}
    assert not any(inspect.iscoroutinefunction(m) for m in methods(Client).values())


def test_clients_document_the_same_constructor_arguments() -> None:
    """In the order of the signature."""
    arguments = list(inspect.signature(AsyncClient).parameters)
    for kind in (AsyncClient, Client):
        documented = re.findall(r"^    (\w+): ", inspect.getdoc(kind) or "", re.MULTILINE)
        assert documented[: len(arguments)] == arguments
