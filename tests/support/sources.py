"""The package's source files, for structure tests that list every offender at once."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import pinterest_audiences

__all__ = ["MODULES", "PACKAGE", "SOURCES", "for_each", "imports", "parsed"]

PACKAGE = Path(pinterest_audiences.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

T = TypeVar("T")


def _module_name(source: Path) -> str:
    parts = source.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module_name(source): source for source in SOURCES}


def for_each(
    items: Iterable[T] | Callable[[], Iterable[T]],
) -> Callable[[Callable[[T], None]], Callable[[], None]]:
    """Create one test from a check of many items; its failure lists every offender.

    Args:
        items: The items, or a function that returns them when the test runs.
    """
    checked = items if callable(items) else tuple(items)

    def decorate(check: Callable[[T], None]) -> Callable[[], None]:
        def test() -> None:
            offenders: list[str] = []
            for item in checked() if callable(checked) else checked:
                try:
                    check(item)
                except AssertionError as error:
                    name = item.relative_to(PACKAGE) if isinstance(item, Path) else item
                    offenders.append(f"{name}: {error}")
            assert not offenders, "\n".join(offenders)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


@cache
def parsed(source: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(source.read_text(encoding="utf-8"))


def imports(source: Path, *, with_typing: bool) -> Iterator[str]:
    """Yield the imports of a file, at run time or also for type checkers.

    A module of the package has its full name, also if it is imported from its package.
    """

    def walk(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.If(test=ast.Name(id="TYPE_CHECKING")) if not with_typing:
                    for other in child.orelse:
                        yield from walk(other)
                case ast.Import(names=names):
                    yield from (alias.name for alias in names)
                case ast.ImportFrom(module=module, names=names, level=0):
                    for alias in names:
                        submodule = f"{module}.{alias.name}"
                        yield submodule if submodule in MODULES else str(module)
                case _:
                    yield from walk(child)

    return walk(parsed(source))
