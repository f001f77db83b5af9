"""Run a command against a server of the emulator: ``python interop/run.py COMMAND ARGUMENT…``.

``PINTEREST_API_URI`` holds the base URL for the command, and ``{url}`` in its arguments is replaced
by it. The server has no rate limits, so that extensive tests are not slowed.
"""

from __future__ import annotations

import os
import sys

import anyio

from pinterest_audiences.emulator import Emulator, serve


async def main(command: list[str]) -> int:
    """Serve, run, and return the command's exit status."""
    async with serve(Emulator(rate_limits=None)) as url:
        environment = {**os.environ, "PINTEREST_API_URI": url}
        completed = await anyio.run_process(
            [argument.replace("{url}", url) for argument in command],
            env=environment,
            check=False,
            stdout=None,
            stderr=None,
        )
    return completed.returncode


if __name__ == "__main__":
    sys.exit(anyio.run(main, sys.argv[1:]))
