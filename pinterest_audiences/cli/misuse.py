"""What is wrong with the words of a command line, told without repeating one that was typed.

A word in the wrong place may be a token or a customer, and what is told goes to logs.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from typing import Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from pinterest_audiences._wire.redact import redact
from pinterest_audiences.cli.app import COMMANDS

__all__ = ["misuse", "without_secrets"]

_OPTION = re.compile(r"--[a-z]+(?:-[a-z]+)*")
_SHORT = re.compile(r"-[A-Za-z]")
_LONGEST = 30  # of an option's name; a longer word is none
_NEEDED = {float: "a number is needed", int: "a whole number is needed"}


def misuse(error: CycloptsError) -> str:
    """Say in one line what is wrong with a command line.

    Args:
        error: What the parser found.
    """
    chain = " ".join(error.command_chain or ())
    where = f"`{chain}`" if chain else "pinterest-audiences"
    if isinstance(error, UnknownCommandError):
        told = _unknown_command(chain, error)
    elif isinstance(error, UnknownOptionError):
        names = [name for each in error.argument_collection if each.parse for name in each.names]
        told = _unknown_option(error.token.keyword or error.token.value, names)
    elif isinstance(error, UnusedCliTokensError):
        count = len(error.unused_tokens or ())
        told = f"{count} word{'s' if count > 1 else ''} too many"
    else:
        told = _wrong_value(error)
    return f"{where}: {told}"


def without_secrets(text: str, words: Sequence[str]) -> str:
    """Take words that look like a token or a person out of what is told, unless they are files.

    Args:
        text: What is told; it may name a file or a column that is not there.
        words: What was typed.
    """
    for word in words:
        _, sign, value = word.partition("=")
        said = value if sign and word.startswith("-") else word
        if said and said in text and not os.path.exists(said):  # noqa: PTH110 - of any text
            text = text.replace(said, redact(said))
    return text


def _wrong_value(error: CycloptsError) -> str:
    name = _name(error)
    if isinstance(error, ValidationError) and error.argument is not None:
        # Only FILE has one; what begins with a dash is an option that the command does not have.
        said = str(error.argument.value)
        return f"{_unknown_option(said, [])}; a file of such a name is ./-NAME"
    if isinstance(error, CoercionError):
        return f"{name}: {_needed(error.target_type)}"
    if isinstance(error, RepeatArgumentError):
        return f"{name} is there twice"
    if isinstance(error, MissingArgumentError):
        return f"{name} needs a value" if name.startswith("-") else f"{name} is missing"
    return "the words cannot be understood"


def _name(error: CycloptsError) -> str:
    """Return the name of the argument; it is one that the command has."""
    token = getattr(error, "token", None)
    keyword = getattr(error, "keyword", None) or getattr(token, "keyword", None)
    if keyword:
        return str(keyword)
    return "a word" if error.argument is None else error.argument.name


def _needed(kind: object) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(str(each) for each in get_args(kind))} is needed"
    if kind is bool:
        return "it takes no value"
    return next((text for each, text in _NEEDED.items() if kind is each), "its value cannot be one")


def _unknown_option(said: str, names: list[str]) -> str:
    option = said.partition("=")[0]
    if not option.startswith("--"):
        option = option[:2]  # what is glued to a short option is its value
    if len(option) > _LONGEST or not (_OPTION.fullmatch(option) or _SHORT.fullmatch(option)):
        return "an option that it does not have"
    return f"unknown option {option}{_close(option, names)}"


def _unknown_command(chain: str, error: CycloptsError) -> str:
    before = f"{chain} " if chain else ""
    names = [each.name.removeprefix(before) for each in COMMANDS if each.name.startswith(before)]
    names = list(dict.fromkeys(name.partition(" ")[0] for name in names))
    close = _close((error.unused_tokens or [""])[0], names)
    return f"no such command{close}; there are: {', '.join(names)}"


def _close(said: str, names: list[str]) -> str:
    close = difflib.get_close_matches(said, names, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
