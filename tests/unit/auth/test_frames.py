"""Local variables of traceback frames, which error reporters collect, contain no secrets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import anyio
import httpx
import pytest
from support.clock import FakeClock
from support.tokens import APP, TokenWorld, kept
from support.wire import Reply, refusal

import pinterest_audiences
from pinterest_audiences import (
    Client,
    FileTokenStore,
    MemoryTokenStore,
    PinterestAudiencesError,
    RefreshingToken,
    TokenSet,
    login,
    token_from_environment,
)

PACKAGE = str(Path(pinterest_audiences.__file__).parent)
PERSON = "SENTINELperson@shop.example"


class World(TokenWorld):
    """A token server whose repr hides its own tokens, which are not the package's to hide."""

    def __repr__(self) -> str:
        return "World()"


def frames(error: BaseException | None) -> Iterator[TracebackType]:
    """Yield the frames of an error and of its causes."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback = error.__traceback__
        while traceback is not None:
            yield traceback
            traceback = traceback.tb_next
        error = error.__cause__ or error.__context__


def leaks(error: BaseException) -> list[str]:
    """Return the variables of the package's frames whose repr contains a secret."""
    found: list[str] = []
    for traceback in frames(error):
        code = traceback.tb_frame.f_code
        if code.co_filename.startswith(PACKAGE):
            for name, value in traceback.tb_frame.f_locals.items():
                if "SENTINEL" in repr(value):
                    where = code.co_filename.removeprefix(PACKAGE)
                    found.append(f"{where}:{code.co_name}: {name}")
    return found


def failing(run: Callable[[], object]) -> list[str]:
    with pytest.raises(PinterestAudiencesError) as failed:
        run()
    return leaks(failed.value)


def tokens_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


STORED = json.dumps({"format": 1, "access_token": "SENTINELa", "refresh_token": "SENTINELr"})


@pytest.mark.parametrize(
    "text",
    [
        STORED[:-3],
        STORED.replace("1", "2"),
        STORED.replace('"SENTINELa"', "5"),
        '{"a": "SENTINEL"}',
        "SENTINEL",
    ],
)
def test_frames_of_an_unreadable_token_file(text: str, tmp_path: Path) -> None:
    """The file's content is in none."""
    path = tokens_file(tmp_path / "tokens.json", text)
    assert "\n".join(failing(FileTokenStore(path).load)) == ""


class Full(MemoryTokenStore):
    """A store that fails to save."""

    def save(self, tokens: TokenSet) -> None:
        raise OSError("no space")


@pytest.mark.parametrize(
    "steps",
    [
        [refusal(400, 1)],
        [Reply(503, {})] * 3,
        [httpx.ConnectError("no")] * 3,
        [Reply(200, {"access_token": "SENTINEL answer", "refresh_token": "SENTINELnew"})],
        [Reply(200, {"access_token": 5, "refresh_token": "SENTINELnew"})],
    ],
)
def test_frames_of_a_failed_refresh(steps: list[Reply | Exception]) -> None:
    """Neither the form, the app's secret, nor the response."""
    world = World(instead=list(steps))
    source = RefreshingToken(
        MemoryTokenStore(kept()), APP, transport=world.transport, clock=FakeClock()
    )
    assert "\n".join(failing(lambda: anyio.run(source.get))) == ""


def test_frames_of_a_failed_save() -> None:
    """The new tokens are in none."""
    source = RefreshingToken(Full(kept()), APP, transport=World().transport)
    assert "\n".join(failing(lambda: anyio.run(source.get))) == ""


def test_frames_of_a_failed_login(tmp_path: Path) -> None:
    """Neither the code nor the secret."""
    from urllib.parse import parse_qs, urlsplit
    from urllib.request import urlopen

    world = World(instead=[refusal(400, 1)])

    def show(url: str) -> None:
        query = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
        urlopen(f"{query['redirect_uri']}?code=SENTINELcode&state={query['state']}").close()

    async def run() -> None:
        await login(
            APP,
            tmp_path / "t",
            show=show,
            redirect_uri=f"http://localhost:{port()}/",
            transport=world.transport,
        )

    assert "\n".join(failing(lambda: anyio.run(run))) == ""


def port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
        return number


@pytest.mark.parametrize(
    "step", [refusal(400, 1), refusal(401, 3), httpx.ReadError("reset"), Reply(200, ["no"])]
)
def test_frames_of_a_failed_call(step: Reply | Exception) -> None:
    """Neither the token nor the sent records."""

    async def handle(_: httpx.Request) -> httpx.Response:
        if isinstance(step, Exception):
            raise step
        return step.response()

    def run() -> None:
        transport = httpx.MockTransport(handle)
        with Client("SENTINELtoken", transport=transport, clock=FakeClock()) as client:
            client.customer_lists_create("549", name="A", records=records())

    assert "\n".join(leak for leak in failing(run) if not leak.startswith("/errors")) == ""


def records() -> list[str]:
    return [PERSON]


def test_frames_of_an_invalid_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its value is in none."""
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "'SENTINEL'")
    assert "\n".join(failing(token_from_environment)) == ""
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "SENTINELaccess")
    monkeypatch.setenv("PINTEREST_REFRESH_ACCESS_TOKEN", "SENTINELrefresh")
    monkeypatch.setenv("PINTEREST_APP_SECRET", "SENTINELsecret")
    assert "\n".join(failing(token_from_environment)) == ""
    monkeypatch.setenv("HTTPS_PROXY", "http://user:SENTINEL@host:port")
    assert "\n".join(failing(lambda: Client("a-good-token"))) == ""


def test_frames_of_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content that could not be written is in none."""
    import os

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    def save() -> None:
        with FileTokenStore(tmp_path / "t.json").lock() as locked:
            monkeypatch.setattr(os, "write", full)
            try:
                locked.save(kept())
            finally:
                monkeypatch.undo()

    assert "\n".join(failing(save)) == ""
