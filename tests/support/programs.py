"""Separate programs, for behavior that requires another process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent

# What has not ended by now hangs. Far above what anything takes on a busy machine, so that load
# fails no test, and below the limit of a test, so that the program is ended and its output shown.
HANGS_AFTER_SECONDS = 100.0

PRELUDE = """
import logging, os, signal, sys
from pinterest_audiences import *
from pinterest_audiences._jobs import keys

keys.MAX_RECORDS = 10
BASE_URL, STATE = sys.argv[1:]
ACCOUNT = "549755885175"

def people(first, last):
    return [f"person{n}@shop.de" for n in range(first, last)]

def new_client():
    return Client("token", base_url=BASE_URL)

def say(*words):
    print(*words, flush=True)

def hold(event):
    # In the middle of a job: the list is locked, and one batch has its receipt.
    if event.kind == "batch_acknowledged" and event.done == 10:
        say("holding")
        sys.stdin.readline()
"""

QUIET = ("-W", "ignore::DeprecationWarning")  # from 3.12 on, for a fork with threads


@contextmanager
def program(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start a program, and kill it at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-P", *QUIET, "-c", PRELUDE + dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    """Return the next line that a program prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str], *, says: str = "") -> tuple[list[str], str]:
    """Send text to a program, wait for its end, and return its last lines and stderr."""
    printed, stderr = process.communicate(says, timeout=HANGS_AFTER_SECONDS)
    return printed.splitlines(), stderr
