"""``emulator serve``: the emulator over HTTP."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from pinterest_audiences._local_emulator import lock_emulator
from pinterest_audiences.cli.context import ContextArg
from pinterest_audiences.cli.error_reports import CommandError, ExitCode, usage_error
from pinterest_audiences.cli.options import DEFAULT_OPTIONS, CommonOptions, Flag

__all__ = ["serve"]

_MAX_PORT = 65_535
_LOOPBACK = "127.0.0.1"


def serve(
    *,
    port: int = 8765,
    host: str = _LOOPBACK,
    allow_network: Flag = False,
    admin_token: str | None = None,
    fresh: Flag = False,
    seed: int = 0,
    match_rate: float = 0.6,
    processing_seconds: float = 2.0,
    guesses: Path | None = None,
    compress: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> ExitCode:
    """Serve the emulator over HTTP until Ctrl-C; the first line is its base URL.

    Args:
        port: Port to listen on; 0 for any free port.
        host: Name or address to listen on, such as 0.0.0.0 in a container.
        allow_network: Allow a --host that other machines reach; requires an admin token.
        admin_token: Bearer token of the admin endpoints, of at least 16 letters and digits.
            Default: PINTEREST_EMULATOR_ADMIN_TOKEN, which the list of processes does not show.
        fresh: Start empty and store nothing, instead of sharing the state of --emulator.
        seed: Seed for which records match an account.
        match_rate: Share of records that match an account.
        processing_seconds: Seconds for which a list is PROCESSING after a change.
        guesses: JSON file with assumptions about behavior that Pinterest has not documented; see
            docs/emulator-fidelity.md.
        compress: Send chunked responses, compressed for clients that accept gzip.
        common: Common options.
        context: Context of the command.
    """
    from pinterest_audiences.emulator.__main__ import (  # noqa: PLC0415 - when used
        check_network,
        main,
    )

    if not 0 <= port <= _MAX_PORT:
        raise usage_error(f"--port must be from 0 to {_MAX_PORT}")
    if not 0 <= match_rate <= 1:
        raise usage_error("--match-rate must be from 0 to 1")
    if not processing_seconds >= 0:
        raise usage_error("--processing-seconds must be 0 or more")
    try:
        token = check_network(host, allow_network=allow_network, admin_token=admin_token)
    except ValueError as error:
        raise usage_error(str(error)) from None
    if guesses is not None:
        _check_guesses(guesses)
    _check_port(host, port)
    words = [f"--port={port}", f"--seed={seed}", f"--match-rate={match_rate}"]
    words.append(f"--processing-seconds={processing_seconds}")
    words += [f"--host={host}", *["--allow-network"] * allow_network]
    if token is not None:
        words.append(f"--admin-token={token}")
    if guesses is not None:
        words.append(f"--guesses={guesses}")
    if compress:
        words.append("--compress")
    context.console.note(
        "in another terminal, set PINTEREST_API_URI to the URL below and run `auth login` with any "
        "app id and\nsecret, or set PINTEREST_ACCESS_TOKEN to any value and "
        "PINTEREST_AD_ACCOUNT_ID to any number; Ctrl-C ends it"
    )
    if fresh:
        return ExitCode(main(words))
    context.use_emulator()
    with lock_emulator(context.emulator_file):
        return ExitCode(main([*words, f"--state={context.emulator_file}"]))


def _check_guesses(file: Path) -> None:
    """Check that a file of assumptions can be read.

    Raises:
        CommandError: It cannot be read.
    """
    from pinterest_audiences.emulator import read_assumptions  # noqa: PLC0415 - when used

    try:
        read_assumptions(json.loads(file.read_bytes()))
    except OSError as error:
        raise usage_error(f"--guesses: {file}: {error.strerror or type(error).__name__}") from None
    except (ValueError, RecursionError) as error:
        raise usage_error(f"--guesses: {file}: {error}") from None


def _check_port(host: str, port: int) -> None:
    """Check that the port is free, before its URL is printed.

    Raises:
        CommandError: The port cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        # Without the address in brackets, which Python adds.
        reason = (error.strerror or type(error).__name__).partition(" (while ")[0]
        raise CommandError(
            f"cannot listen on {host}:{port}: {reason}",
            code="port_taken",
            exit=ExitCode.UNEXPECTED,
            hint="use another --port, or 0 for any free port",
        ) from None
