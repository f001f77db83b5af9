"""Run a command against a server of the emulator: ``python interop/run.py COMMAND ARGUMENT…``.

The command finds the address in ``PINTEREST_API_URI``, and its arguments wherever they hold
``{url}``. The server keeps no budgets, so that whoever tests a lot is not slowed.
"""

from __future__ import annotations

import os
import sys

import anyio

from pinterest_audiences.emulator import Emulator
from pinterest_audiences.emulator.server import serve


async def main(command: list[str]) -> int:
    """Serve, run, and return the command's exit status."""
    async with serve(Emulator(rate_limits=None)) as url:
        environment = {**os.environ, "PINTEREST_API_URI": url}
        done = await anyio.run_process(
            [each.replace("{url}", url) for each in command],
            env=environment,
            check=False,
            stdout=None,
            stderr=None,
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(anyio.run(main, sys.argv[1:]))
