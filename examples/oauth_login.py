"""Log in with OAuth, and call Pinterest with a token that refreshes itself.

Here the emulator plays Pinterest and the browser. For your app: leave out the server and
`base_url`, use the id and secret of your app, and `show=webbrowser.open`.
"""

from __future__ import annotations

import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import httpx

from pinterest_audiences import AppCredentials, AsyncClient, RefreshingToken, login
from pinterest_audiences.emulator import Emulator, serve

APP = AppCredentials("1234567", "the-secret")


def consent(url: str) -> None:
    """Follow the redirects of the login, as a browser does after consent."""
    httpx.get(url, follow_redirects=True, trust_env=False)


def redirect_uri() -> str:
    """Return a URI on a free port; use the one that you registered for your app."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://localhost:{free.getsockname()[1]}/"


async def main() -> None:
    """Log in, store the tokens in a file, and use them."""
    emulator = Emulator(apps={"1234567": "the-secret"})
    with TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.json"
        async with serve(emulator) as base_url:
            await login(APP, tokens, redirect_uri=redirect_uri(), base_url=base_url, show=consent)
            token = RefreshingToken(tokens, APP, base_url=base_url)
            async with AsyncClient(token, base_url=base_url) as client:
                async for account in client.ad_accounts_list():
                    print("logged in:", account.name)


if __name__ == "__main__":
    anyio.run(main)
