"""Write the tables of docs/reference.md from the operations, the exceptions and their docstrings.

Each table stands between two comments, ``<!-- name -->`` and ``<!-- /name -->``; the text around
them is written by hand. Run by ``nox -s lint`` with ``--check``::

    python scripts/generate_reference.py          # write the tables
    python scripts/generate_reference.py --check  # exit with 1 if they are out of date
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path

import pinterest_audiences
from pinterest_audiences import AsyncClient, PinterestAudiencesError
from pinterest_audiences._http import operations

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"


def markdown(text: str) -> str:
    """Return text of a docstring as one line of Markdown for a cell of a table."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))
    return " ".join(text.split()).replace("|", "\\|")


def summary(documented: object) -> str:
    """Return the first paragraph of a docstring."""
    return markdown((inspect.getdoc(documented) or "").split("\n\n")[0])


def entries(documented: object, section: str) -> dict[str, str]:
    """Return the names and texts of a section of a docstring, such as ``Args``."""
    text = (inspect.getdoc(documented) or "").partition(f"\n{section}:\n")[2].split("\n\n")[0]
    found = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", text, flags=re.MULTILINE)
    return {name: markdown(description) for name, description in found}


def default(value: object) -> str:
    """Return the default of an argument as it is written in a call."""
    if value is ...:
        return "..."
    return f'"{value.value}"' if isinstance(value, Enum) else repr(value).replace("'", '"')


def signature(function: Callable[..., object]) -> str:
    """Return how a method of the client is called, without types."""
    parts: list[str] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        given = parameter.default
        parts.append(
            parameter.name if given is parameter.empty else f"{parameter.name}={default(given)}"
        )
    prefix = "await " if inspect.iscoroutinefunction(function) else ""
    return f"{prefix}{function.__name__}({', '.join(parts)})"


def table(*columns: str, rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table of Markdown."""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def methods() -> str:
    """Return the public methods of the asynchronous client, in the order of its source."""
    methods = {
        name: method.__func__ if isinstance(method, classmethod) else method
        for name, method in vars(AsyncClient).items()
        if not name.startswith("_")
    }
    rows = [(f"`{signature(method)}`", summary(method)) for method in methods.values()]
    return table("method of `AsyncClient`", "what it does", rows=rows)


def requests() -> str:
    """Return the operations of the API and how they are sent."""
    rows = [
        (
            f"`{operation.name}`",
            f"`{operation.method} {operation.path}`",
            f"`{operation.scope}`" if operation.scope else "none",
            f"`{operation.category}`",
            "yes" if operation.idempotent else "no",
        )
        for operation in vars(operations).values()
        if isinstance(operation, operations.Operation)
    ]
    return table("operation", "request", "scope", "rate category", "repeated", rows=rows)


def tree(error: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield an exception and all its public subclasses, each followed by its own."""
    if error.__name__ in pinterest_audiences.__all__:
        yield error
    for subclass in sorted(error.__subclasses__(), key=lambda subclass: subclass.__name__):
        yield from tree(subclass)


def errors() -> str:
    """Return the exceptions, with their bases, meanings and attributes."""
    for name in pinterest_audiences.__all__:
        getattr(pinterest_audiences, name)  # loads the modules that define the exceptions
    rows: list[tuple[str, ...]] = []
    for error in tree(PinterestAudiencesError):
        bases = ", ".join(f"`{base.__name__}`" for base in error.__bases__)
        attributes = [f"`{name}`: {text}" for name, text in entries(error, "Attributes").items()]
        rows.append((f"`{error.__name__}`", bases, "<br>".join([summary(error), *attributes])))
    return table("error", "is a", "meaning, and its attributes", rows=rows)


def arguments() -> str:
    """Return the arguments of the clients."""
    parameters = inspect.signature(AsyncClient).parameters
    rows = [
        (f"`{name}`", f"`{default(parameters[name].default)}`", text)
        for name, text in entries(AsyncClient, "Args").items()
    ]
    return table("argument", "default", "meaning", rows=rows)


def main(options: list[str]) -> int:
    """Write the tables, or with ``--check`` return 1 where they would change."""
    present = page = PAGE.read_text(encoding="utf-8")
    for make in (methods, requests, errors, arguments):
        begin, end = f"<!-- {make.__name__} -->", f"<!-- /{make.__name__} -->"
        before, after = page.partition(begin)[0], page.partition(end)[2]
        page = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    if page == present:
        return 0
    if options == ["--check"]:
        print(f"{PAGE.name} is out of date: run python scripts/{Path(__file__).name}")
        return 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
