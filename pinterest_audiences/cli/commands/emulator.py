"""``emulator serve``: the emulator for programs of any language."""

from __future__ import annotations

import socket

from pinterest_audiences.cli.embedded import locked
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.options import COMMON, Common, Flag, Given
from pinterest_audiences.cli.refusals import CommandError, usage

__all__ = ["serve"]

_LAST_PORT = 65_535
_HERE = "127.0.0.1"


def serve(
    *,
    port: int = 8765,
    fresh: Flag = False,
    seed: int = 0,
    match_rate: float = 0.6,
    processing_seconds: float = 2.0,
    common: Common = COMMON,
    context: Given,
) -> Exit:
    """Serve an offline Pinterest on this machine until Ctrl-C; its base URL is the first line.

    Args:
        port: Where to listen; 0 takes any free port.
        fresh: Begin with nothing and keep nothing, instead of what --emulator has.
        seed: Chooses whom Pinterest knows.
        match_rate: The share of records that are Pinterest accounts.
        processing_seconds: How long a list is PROCESSING after a change.
        common: Options of every command.
        context: What the command works with.
    """
    from pinterest_audiences.emulator.__main__ import main  # noqa: PLC0415 - when used

    if not 0 <= port <= _LAST_PORT:
        raise usage(f"--port: a number from 0 to {_LAST_PORT} is needed")
    if not 0 <= match_rate <= 1:
        raise usage("--match-rate: a number from 0 to 1 is needed")
    if not processing_seconds >= 0:
        raise usage("--processing-seconds: a number from 0 up is needed")
    _see_that_it_is_free(port)
    words = [f"--port={port}", f"--seed={seed}", f"--match-rate={match_rate}"]
    words.append(f"--processing-seconds={processing_seconds}")
    context.screen.note(
        "set PINTEREST_API_URI to the address, and PINTEREST_ACCESS_TOKEN to any word"
    )
    if fresh:
        return Exit(main(words))
    context.use_emulator()
    with locked(context.emulator_file):
        return Exit(main([*words, f"--state={context.emulator_file}"]))


def _see_that_it_is_free(port: int) -> None:
    """Refuse a port that cannot be listened on, before anybody is told to use it.

    Raises:
        CommandError: It cannot.
    """
    try:
        socket.create_server((_HERE, port)).close()
    except OSError as error:
        raise CommandError(
            f"cannot listen on {_HERE}:{port}: {error.strerror or type(error).__name__}",
            code="port_taken",
            exit=Exit.UNEXPECTED,
            hint="say another --port, or 0 for any free one",
        ) from None
