"""Commands, flags, exit codes and JSON keys, compared with a golden file (`support.golden`)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.golden import assert_golden
from unit.cli.conftest import Run

from pinterest_audiences.cli.app import COMMANDS, make_app
from pinterest_audiences.cli.error_reports import ExitCode

GOLDEN = Path(__file__).parent / "golden"

# Besides the example of each command: what else writes a document of a different shape. They run
# after the command's own example.
MORE = {
    "check": ("check missing.csv", "check customers.csv --max-reject-share 2"),
    "hash": ("hash customers.csv",),
    "whoami": ("whoami --no-emulator",),
    "upload": (
        'upload customers.csv --name "Dry" --dry-run --emulator',
        "upload customers.csv --list 1 --emulator",
        "upload rows.csv --columns email=Email,external_id=Id --name Rows --emulator",
        "upload rows.csv --columns email=Email,external_id=Id --keep-unhashed --name R --emulator",
    ),
    "plan": ('plan people.txt --name "All customers" --emulator',),
    "mirror": (
        'mirror people.txt --name "All customers" --dry-run --emulator',
        'mirror people.txt --name "All customers" --emulator',
    ),
    "remove": ('remove customers.csv --name "All customers" --dry-run --emulator',),
    "forget": ("forget people.txt --dry-run --emulator", "forget people.txt --emulator"),
    "status": ("status --list 2542620 --emulator",),
    "lists get": ("lists get 7 --emulator",),
    "lists create": ('lists create customers.csv --name "Other" --dry-run --emulator',),
    "demo": ("demo --customers 0",),
}


def shape(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path of every key of a JSON document, with the type of its value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from shape(item, f"{path}.{key}")
    elif isinstance(value, list):
        yield path, "list"
        for item in value:
            yield from shape(item, f"{path}[]")
    else:
        yield path, "number" if type(value) in (int, float) else type(value).__name__


def merged_shape(value: Any) -> dict[str, str]:
    """Return the paths of a JSON document with all the types that occur there."""
    types: dict[str, set[str]] = {}
    for path, kind in shape(value):
        types.setdefault(path, set()).add(kind)
    return {path: "|".join(sorted(kinds)) for path, kinds in types.items()}


def flags(name: str) -> dict[str, str]:
    """Describe every argument and flag of a command in a line."""
    app = make_app(with_completion=False)
    for word in name.split():
        app = app[word]
    described: dict[str, str] = {}
    for argument in app.assemble_argument_collection(parse_docstring=False):
        if argument.parameter.parse is False or argument.name == "*":
            continue
        field = argument.field_info
        several = field.kind is field.VAR_POSITIONAL
        default = None if argument.required or several else field.default
        hint = str(argument.hint)
        what = "flag" if "bool" in hint else "values" if several or "list[" in hint else "value"
        if argument.parameter.count:
            what = "counted flag"
        if choices := argument.get_choices():
            what = f"one of {', '.join(choices)}"
        if argument.required:
            what += ", required"
        if argument.index is not None:
            what += f", at position {argument.index}"
        described[" ".join(argument.names)] = what + (
            "" if default in (None, False) else f", default {default}"
        )
    return described


def test_frozen_flags_of_every_command() -> None:
    """A flag that is gone, or that means something else, breaks scripts."""
    assert_golden(
        GOLDEN / "flags.json", {command.name: flags(command.name) for command in COMMANDS}
    )


def test_frozen_exit_codes() -> None:
    """The numbers never change."""
    assert_golden(GOLDEN / "exit_codes.json", {code.name: int(code) for code in ExitCode})


def test_frozen_json_of_every_command(run: Run) -> None:
    """The exit code and the JSON keys of every command, and of some that are refused."""
    lines = [f"person{number}@shop.example,{number}" for number in range(1000)]
    Path("rows.csv").write_text("\n".join(["Email,Id", *lines]) + "\n")
    Path("customers.csv").write_text("\n".join(["Email,Id", *lines, ",none", "none,none"]) + "\n")
    Path("people.txt").write_text("person1@shop.example\n")
    described: dict[str, object] = {}
    for command in COMMANDS:
        if command.name in ("emulator serve", "sql", "completion"):
            continue  # the first does not end by itself, the others print SQL and a script
        for words in (command.example, *MORE.get(command.name, ())):
            done = run(*shlex.split(words.replace("--output csv", "")), "--output", "json")
            described[words] = {
                "exit": done.code,
                "result": merged_shape(done.data) if done.out else None,
                "error": done.error["code"] if done.code else None,
                "error_keys": sorted(done.error) if done.code else None,
            }
    assert_golden(GOLDEN / "json.json", described)
