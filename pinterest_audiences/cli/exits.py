"""The exit codes: one table, the same in the documentation and in the tests."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

__all__ = ["MEANINGS", "Exit"]


class Exit(IntEnum):
    """What a command leaves its caller with. Numbers are only ever added."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CREDENTIALS = 3
    NOT_FOUND = 4
    INPUT = 5
    TRY_LATER = 6
    UNFINISHED = 7
    REFUSED = 8
    INTERRUPTED = 130
    CLOSED_PIPE = 141


MEANINGS: Mapping[Exit, str] = {
    Exit.OK: "done",
    Exit.UNEXPECTED: "unexpected: anything that no other code is for; the text says what",
    Exit.USAGE: "usage: the command line, a profile or an argument is wrong; nothing was sent",
    Exit.CREDENTIALS: "credentials: none, or expired, or without the right or scope",
    Exit.NOT_FOUND: "not found: no such list, audience or ad account",
    Exit.INPUT: "input: more rejects than the threshold, or a source that cannot be read",
    Exit.TRY_LATER: "later: rate limit, time-out, or no answer; the same command may work later",
    Exit.UNFINISHED: "unfinished: interrupted and resumable, or another process is at work on it",
    Exit.REFUSED: "refused by a guard: it would probably do harm; the text says what says yes",
    Exit.INTERRUPTED: "Ctrl-C; what was begun is resumable",
    Exit.CLOSED_PIPE: "whoever read the output has gone, as `head` does",
}
"""What each code means, in one line."""
