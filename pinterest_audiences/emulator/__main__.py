"""`python -m pinterest_audiences.emulator`: an emulator for clients in any language."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from pinterest_audiences.emulator._admin import is_loopback
from pinterest_audiences.emulator._assumptions import read_assumptions
from pinterest_audiences.emulator._emulator import Emulator
from pinterest_audiences.emulator._faults import read_faults
from pinterest_audiences.emulator._persistence import (
    StateInUseError,
    exclusive_use,
    remove_leftovers,
)
from pinterest_audiences.emulator._server import (
    LOOPBACK,
    MIN_TOKEN_CHARACTERS,
    is_admin_token,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# A state is written when there were requests since the last time, at this interval at least, and
# for at most this share of the time: writing millions of members takes seconds.
_SAVE_SECONDS = 1.0
_SAVE_SHARE = 0.05

ADMIN_TOKEN = "PINTEREST_EMULATOR_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable with the admin token."""

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve an emulator until SIGTERM or SIGINT.

    Args:
        arguments: The command line; None for that of this process.

    Returns:
        The exit status: 0 after a signal, 1 when the port cannot be listened on or the state
        cannot be written or is in use by another server.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.app_id is None) != (options.app_secret is None):
        parser.error("--app-id and --app-secret belong together")
    try:
        options.admin_token = check_network(
            options.host, allow_network=options.allow_network, admin_token=options.admin_token
        )
    except ValueError as error:
        parser.error(str(error))
    try:
        with nullcontext() if options.state is None else exclusive_use(Path(options.state)):
            return _run(parser, options)
    except StateInUseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        parser.error(f"--state: {error}")


def check_network(host: str, *, allow_network: bool, admin_token: str | None) -> str | None:
    """Check that a server is open to a network only on purpose, and with an admin token.

    Args:
        host: The name or address to listen on.
        allow_network: Whether the network was allowed.
        admin_token: The admin token of the command line; None for that of the environment.

    Returns:
        The admin token, if there is one.

    Raises:
        ValueError: When the flag or the token is missing, or the token is too short.
    """
    token = admin_token or os.environ.get(ADMIN_TOKEN) or None
    if not is_loopback(host):
        if not allow_network:
            raise ValueError(
                f"--host {host} opens the emulator to the network; add --allow-network and set "
                f"{ADMIN_TOKEN}"
            )
        if token is None:
            raise ValueError(f"--host {host} requires an admin token: set {ADMIN_TOKEN}")
    if token is not None and not is_admin_token(token):
        raise ValueError(
            f"the admin token must have at least {MIN_TOKEN_CHARACTERS} letters, digits or -._~+/"
        )
    return token


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    try:
        if options.state is not None:
            remove_leftovers(Path(options.state))
        emulator = Emulator(
            seed=options.seed,
            match_rate=options.match_rate,
            processing_seconds=options.processing_seconds,
            access_tokens=options.access_token,
            apps=None if options.app_id is None else {options.app_id: options.app_secret},
            refresh_tokens=options.refresh_token,
            access=options.access,
            compress=options.compress,
            assumptions=None
            if options.guesses is None
            else _read_json("--guesses", options.guesses, read_assumptions),
            state=options.state,
        )
        if options.faults is not None:
            emulator.faults.add(*_read_json("--faults", options.faults, read_faults))
        # A file that cannot be written must be noticed now, not at the end.
        if options.state is not None and not Path(options.state).exists():
            emulator.save()
    except (ValueError, OSError) as error:
        parser.error(str(error))
    try:
        with suppress(KeyboardInterrupt):  # raised where the event loop receives no signals
            anyio.run(_serve, emulator, options)
    except OSError as error:
        sys.stderr.write(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}; "
            "choose another --port, or 0 for any free one\n"
        )
        return 1
    return 0 if options.state is None or _save(emulator) else 1


async def _serve(emulator: Emulator, options: argparse.Namespace) -> None:
    port, where = options.port, {"host": options.host, "admin_token": options.admin_token}
    try:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with (
                serve(emulator, port, **where) as base_url,
                anyio.create_task_group() as tasks,
            ):
                if options.state is not None:
                    tasks.start_soon(_save_repeatedly, emulator)
                _announce(base_url)
                await anext(signals)
                tasks.cancel_scope.cancel()
    except NotImplementedError:  # signals cannot be received
        # asyncio on Windows: Ctrl-C raises KeyboardInterrupt, and the state is written after it.
        async with serve(emulator, port, **where) as base_url:
            _announce(base_url)
            await anyio.sleep_forever()


async def _save_repeatedly(emulator: Emulator) -> None:
    saved, took = (emulator.handled, emulator.admin_changes), 0.0
    while True:
        await anyio.sleep(max(_SAVE_SECONDS, took / _SAVE_SHARE))
        current = (emulator.handled, emulator.admin_changes)
        if saved == current:
            continue
        began = anyio.current_time()
        # It cannot be interrupted, and everything is written again at the end.
        if await anyio.to_thread.run_sync(_save, emulator):
            saved = current  # otherwise it is tried again
        took = anyio.current_time() - began


def _save(emulator: Emulator) -> bool:
    try:
        emulator.save()
    except OSError as error:
        sys.stderr.write(f"cannot write the state: {error}\n")
        return False
    return True


def _read_json(option: str, path: Path, read: Callable[[object], T]) -> T:
    try:
        return read(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{option} {path}: {error}") from None


def _announce(base_url: str) -> None:
    sys.stdout.write(f"{base_url}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pinterest_audiences.emulator",
        description="Serve an emulator of Pinterest, by default on the loopback interface. Its "
        "base URL is printed on one line when it is ready; SIGTERM and SIGINT stop it.",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=8765,
        metavar="N",
        help="port to listen on; 0 takes any free one (default: 8765)",
    )
    _add_network(parser)
    parser.add_argument(
        "--access",
        choices=("standard", "trial"),
        default="standard",
        help="granted access: 400 writes a minute or 300 a day (default: standard)",
    )
    parser.add_argument(
        "--state",
        metavar="F",
        help="a file to read the state from and save it to (default: it is not saved)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="chooses the records that match (default: 0)",
    )
    parser.add_argument(
        "--match-rate",
        type=float,
        default=0.6,
        metavar="R",
        help="share of records that are Pinterest accounts, 0.0 to 1.0 (default: 0.6)",
    )
    parser.add_argument(
        "--processing-seconds",
        type=float,
        default=2.0,
        metavar="P",
        help="how long a list stays PROCESSING after a change (default: 2.0)",
    )
    _add_answers(parser)
    _add_logins(parser)
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default=LOOPBACK,
        metavar="H",
        help=f"name or address to listen on, such as 0.0.0.0 in a container (default: {LOOPBACK})",
    )
    parser.add_argument(
        "--allow-network",
        action="store_true",
        help="allow a --host that other machines reach; requires an admin token",
    )
    parser.add_argument(
        "--admin-token",
        metavar="T",
        help=f"bearer token of the admin endpoints (default: {ADMIN_TOKEN}, which the list of "
        "processes does not show)",
    )


def _add_answers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--faults",
        type=Path,
        metavar="F",
        help="a JSON file with a fault or a list of faults, such as "
        '[{"kind": "status", "status": 503, "operation": "customer_lists_update", "times": 2}]',
    )
    parser.add_argument(
        "--compress",
        action="store_true",
        help="send answers in chunks, compressed for clients that accept gzip",
    )
    parser.add_argument(
        "--guesses",
        type=Path,
        metavar="F",
        help="a JSON file with switches for what Pinterest has not published, such as "
        '{"most_records": 1900, "remove_matches": "any_identifier"}',
    )


def _add_logins(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--access-token",
        action="append",
        metavar="T",
        help="a bearer token to accept; repeatable (default: any that is not empty, or with "
        "--app-id those that its logins returned)",
    )
    parser.add_argument("--app-id", metavar="A", help="the only app (default: any)")
    parser.add_argument("--app-secret", metavar="A", help="the secret of --app-id")
    parser.add_argument(
        "--refresh-token",
        action="append",
        default=[],
        metavar="R",
        help="a refresh token to accept; repeatable. It is valid for one refresh, which returns "
        "another",
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:  # noqa: PLR2004 - the range of TCP
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
