"""``python -m pinterest_audiences``: the command line."""

from __future__ import annotations

from pinterest_audiences.cli import run

if __name__ == "__main__":
    run()
