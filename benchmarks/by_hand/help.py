"""The baseline of `--help`: the same commands, written by hand with cyclopts."""

from __future__ import annotations

from cyclopts import App

NAMES = {
    "auth": ("login", "status", "refresh", "logout"),
    "lists": ("list", "get", "create"),
    "audience": ("create", "list", "get", "remove"),
    "emulator": ("serve",),
    "": (
        *("check", "demo", "doctor", "forget", "hash", "mirror", "plan", "remove", "resume"),
        *("status", "upload", "wait", "whoami"),
    ),
}


def main() -> None:
    app = App(name="by-hand", version="1", help_format="plaintext", help_formatter="plain")
    for group, names in NAMES.items():
        parent = app
        if group:
            parent = App(name=group, help=f"Everything about {group}.")
            app.command(parent)
        for name in names:
            parent.command(f"commands:{name}", name=name, help=f"Do what {name} says, at once.")
    app()


if __name__ == "__main__":
    main()
