"""The baseline of `lists list`: cyclopts and the package's client, written by hand."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from attrs import asdict
from cyclopts import App

from pinterest_audiences import Client
from pinterest_audiences.emulator import Emulator

app = App(name="by-hand", version="1", help_format="plaintext", help_formatter="plain")
lists = App(name="lists", help="Customer lists.")
app.command(lists)


@lists.command(name="list")
def list_all(*, ad_account: str = "549755885175", output: str = "json") -> None:
    """List the customer lists.

    Args:
        ad_account: The ad account.
        output: The form of the results.
    """
    emulator = Emulator(state=Path(os.environ["EMULATOR_STATE"]))
    with Client("emulated", transport=emulator.transport()) as client:
        lists = [asdict(item) for item in client.customer_lists_list(ad_account, page_size=250)]
    if output == "json":
        sys.stdout.write(json.dumps(lists, default=str) + "\n")


if __name__ == "__main__":
    app()
