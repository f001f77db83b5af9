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
import anyio.to_thread

from pinterest_audiences.emulator.engine import Emulator
from pinterest_audiences.emulator.faults import Fault, read_faults
from pinterest_audiences.emulator.server import LOOPBACK, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

# A state is written when something was asked since the last time, at most so often, and at most
# for such a share of the time: writing millions of members takes seconds.
_SAVE_SECONDS = 1.0
_SAVE_SHARE = 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve an emulator until SIGTERM or SIGINT.

    Args:
        arguments: The command line; None for that of this process.

    Returns:
        The exit status: 0 after a signal, 1 when the port cannot be listened on or the state
        cannot be read or written.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.app_id is None) != (options.app_secret is None):
        parser.error("--app-id and --app-secret belong together")
    try:
        emulator = Emulator(
            seed=options.seed,
            match_rate=options.match_rate,
            processing_seconds=options.processing_seconds,
            access_tokens=options.access_token,
            apps=None if options.app_id is None else {options.app_id: options.app_secret},
            refresh_tokens=options.refresh_token,
            access=options.access,
            state=options.state,
        )
        if options.faults is not None:
            emulator.faults.add(*_read_faults(options.faults))
        # A state that cannot be kept is found out now, not at the end.
        if options.state is not None and not Path(options.state).exists():
            emulator.save()
    except (ValueError, OSError) as error:
        parser.error(str(error))
    try:
        with suppress(KeyboardInterrupt):  # it comes where the event loop receives no signals
            anyio.run(_serve, emulator, options.port, options.state is not None)
    except OSError as error:
        sys.stderr.write(
            f"cannot listen on {LOOPBACK}:{options.port}: {error.strerror}; "
            "choose another --port, or 0 for any free one\n"
        )
        return 1
    return 0 if options.state is None or _save(emulator) else 1


async def _serve(emulator: Emulator, port: int, keep: bool) -> None:  # noqa: FBT001 - from run
    try:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with serve(emulator, port) as base_url, anyio.create_task_group() as tasks:
                if keep:
                    tasks.start_soon(_keep_saving, emulator)
                _announce(base_url)
                await anext(signals)
                tasks.cancel_scope.cancel()
    except NotImplementedError:  # signals cannot be received
        # asyncio on Windows: Ctrl-C arrives as KeyboardInterrupt there, and the state is written
        # when it does.
        async with serve(emulator, port) as base_url:
            _announce(base_url)
            await anyio.sleep_forever()


async def _keep_saving(emulator: Emulator) -> None:
    saved, took = emulator.handled, 0.0
    while True:
        await anyio.sleep(max(_SAVE_SECONDS, took / _SAVE_SHARE))
        if saved == emulator.handled:
            continue
        saved, began = emulator.handled, anyio.current_time()
        # It cannot be stopped in the middle, and the whole is written again at the end.
        await anyio.to_thread.run_sync(_save, emulator)
        took = anyio.current_time() - began


def _save(emulator: Emulator) -> bool:
    try:
        emulator.save()
    except OSError as error:
        sys.stderr.write(f"cannot write the state: {error}\n")
        return False
    return True


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
        "--access",
        choices=("standard", "trial"),
        default="standard",
        help="what Pinterest has granted: 400 writes a minute or 300 a day (default: standard)",
    )
    parser.add_argument(
        "--state",
        metavar="F",
        help="a file to go on from and to keep the state in (default: it is forgotten at the end)",
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
    _add_logins(parser)
    return parser


def _add_logins(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--access-token",
        action="append",
        metavar="T",
        help="a bearer token to accept; repeatable (default: any that is not empty, or with "
        "--app-id those that its logins gave)",
    )
    parser.add_argument("--app-id", metavar="A", help="the only app (default: any)")
    parser.add_argument("--app-secret", metavar="A", help="the secret of --app-id")
    parser.add_argument(
        "--refresh-token",
        action="append",
        default=[],
        metavar="R",
        help="a refresh token to accept; repeatable. It is good for one refresh, which gives "
        "another",
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:  # noqa: PLR2004 - the range of TCP
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
