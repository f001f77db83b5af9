"""`python -m pinterest_audiences.emulator`: an emulator for clients in any language."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from pinterest_audiences.emulator.engine import Emulator
from pinterest_audiences.emulator.faults import Fault, read_faults
from pinterest_audiences.emulator.server import LOOPBACK, serve

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve an emulator until SIGTERM or SIGINT.

    Args:
        arguments: The command line; None for that of this process.

    Returns:
        The exit status: 0 after a signal, 1 when the port cannot be listened on.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        emulator = Emulator(
            seed=options.seed,
            match_rate=options.match_rate,
            processing_seconds=options.processing_seconds,
            access_tokens=options.access_token,
        )
        if options.faults is not None:
            emulator.faults.add(*_read_faults(options.faults))
    except ValueError as error:
        parser.error(str(error))
    try:
        with suppress(KeyboardInterrupt):  # it comes where the event loop receives no signals
            anyio.run(_serve, emulator, options.port)
    except OSError as error:
        sys.stderr.write(
            f"cannot listen on {LOOPBACK}:{options.port}: {error.strerror}; "
            "choose another --port, or 0 for any free one\n"
        )
        return 1
    return 0


async def _serve(emulator: Emulator, port: int) -> None:
    try:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with serve(emulator, port) as base_url:
                _announce(base_url)
                await anext(signals)
    except NotImplementedError:
        # asyncio on Windows: Ctrl-C arrives as KeyboardInterrupt there.
        async with serve(emulator, port) as base_url:
            _announce(base_url)
            await anyio.sleep_forever()


def _read_faults(path: Path) -> Sequence[Fault]:
    try:
        return read_faults(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"--faults {path}: {error}") from None


def _announce(base_url: str) -> None:
    sys.stdout.write(f"{base_url}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pinterest_audiences.emulator",
        description="Serve an offline Pinterest on the loopback interface. Its base URL is "
        "printed on one line when it is ready; SIGTERM and SIGINT end it.",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=8765,
        metavar="N",
        help="port to listen on; 0 takes any free one (default: 8765)",
    )
    parser.add_argument(
        "--access-token",
        action="append",
        metavar="T",
        help="a bearer token to accept; repeatable (default: any that is not empty)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="chooses whom Pinterest knows (default: 0)",
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
    parser.add_argument(
        "--faults",
        type=Path,
        metavar="F",
        help="a JSON file with a fault or a list of them, such as "
        '[{"kind": "status", "status": 503, "operation": "customer_lists_update", "times": 2}]',
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:  # noqa: PLR2004 - the range of TCP
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
