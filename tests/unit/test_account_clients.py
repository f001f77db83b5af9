"""`account()`: one ad account, bound once; every method of the clients takes it explicitly too."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, get_overloads

import anyio
import pytest
from support.sources import for_each
from support.wire import LIST, PAGE, Reply, ScriptedTransport, refusal

import pinterest_audiences
from pinterest_audiences import (
    AccountClient,
    AsyncAccountClient,
    AsyncClient,
    BadRequestError,
    Client,
    ClientClosedError,
    ConfigurationError,
    ServerError,
)
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

ACCOUNT, OTHER = "549755885175", "777"
T = TypeVar("T")
AnyClient = AsyncClient | Client
KINDS: list[type[AnyClient]] = [AsyncClient, Client]
PAIRS: dict[type[AnyClient], type] = {AsyncClient: AsyncAccountClient, Client: AccountClient}
clients = pytest.mark.parametrize("kind", KINDS, ids=["async", "sync"])
OF_AN_ACCOUNT = {"put_file_parts", "with_options"}


async def done(result: T | Awaitable[T]) -> T:
    """Return the result of a call of either client."""
    return await result if isinstance(result, Awaitable) else result


async def close(client: AnyClient) -> None:
    await done(client.aclose() if isinstance(client, AsyncClient) else client.close())  # type: ignore[func-returns-value]


def methods(kind: type) -> dict[str, Callable[..., Any]]:
    return {
        name: value
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


CASES = {
    f"{account_kind.__name__}.{name}": (kind, account_kind, name)
    for kind, account_kind in PAIRS.items()
    for name in methods(account_kind)
}


@clients
def test_account_client_has_every_method_that_takes_an_ad_account(kind: type[AnyClient]) -> None:
    """And those that take a plan, a job or an upload of one."""
    with_account = {
        name
        for name, method in methods(kind).items()
        if "ad_account_id" in inspect.signature(method).parameters
    }
    assert set(methods(PAIRS[kind])) == (with_account - {"account"}) | OF_AN_ACCOUNT


@for_each(CASES)
def test_method_has_the_signature_of_the_client_without_the_ad_account(case: str) -> None:
    """Also its overloads."""
    kind, account_kind, name = CASES[case]
    own, clients_method = vars(account_kind)[name], vars(kind)[name]
    variants = [(own, clients_method)]
    variants += zip(get_overloads(own), get_overloads(clients_method), strict=True)
    for one, other in variants:
        expected = inspect.signature(other)
        kept = [p for p in expected.parameters.values() if p.name != "ad_account_id"]
        assert inspect.signature(one) == expected.replace(parameters=kept)
    assert inspect.iscoroutinefunction(own) == inspect.iscoroutinefunction(clients_method)
    assert own.__doc__.split("\n")[0] == clients_method.__doc__.split("\n")[0]


class Recorder:
    """A client that records how a method is called."""

    def __init__(self, kind: type[AnyClient]) -> None:
        self._kind = kind
        self.calls: list[tuple[str, dict[str, object]]] = []

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = vars(self._kind)[name]

        def call(*args: object, **kwargs: object) -> object:
            bound = inspect.signature(method).bind(self, *args, **kwargs)
            self.calls.append((name, dict(list(bound.arguments.items())[1:])))
            return self._later() if inspect.iscoroutinefunction(method) else "the result"

        return call

    async def _later(self) -> str:
        return "the result"


@for_each(CASES)
def test_method_passes_the_ad_account_and_every_argument(case: str) -> None:
    """Under its own name, and returns the result."""
    kind, account_kind, name = CASES[case]
    recorder = Recorder(kind)
    arguments = {
        parameter: object()
        for parameter in list(inspect.signature(vars(account_kind)[name]).parameters)[1:]
    }
    result: Any = getattr(account_kind(recorder, ACCOUNT), name)(**arguments)
    if inspect.iscoroutine(result):
        result = anyio.run(lambda: result)
    ((called, passed),) = recorder.calls
    takes_account = "ad_account_id" in inspect.signature(vars(kind)[name]).parameters
    account = {"ad_account_id": ACCOUNT} if takes_account else {}
    assert (called, passed) == (name, {**account, **arguments})
    if name == "with_options":
        assert (type(result), result.ad_account_id) == (account_kind, ACCOUNT)
    else:
        nothing = inspect.signature(vars(kind)[name]).return_annotation == "None"
        assert result == (None if nothing else "the result")


@clients
async def test_account_client_works_on_its_account_only(kind: type[AnyClient]) -> None:
    emulator = Emulator()
    client = kind.emulated(emulator)
    account = client.account(ACCOUNT)
    report = await done(account.upload(["ann@shop.example"], name="Buyers"))
    plan = await done(account.plan_mirror(["bob@shop.example"], name="Buyers"))
    await done(client.apply(plan, allow_removals=True))
    (listed,) = await done(account.customer_lists_list().collect())
    assert listed.id == report.customer_list_id
    assert len(emulator.members(listed.id)) == 1
    assert [status.name for status in await done(account.status())] == ["Buyers"]
    assert await done(client.account(OTHER).customer_lists_list().collect()) == []
    assert [status.name for status in await done(client.status(ACCOUNT))] == ["Buyers"]
    await close(client)


@clients
async def test_account_comes_from_argument_then_environment_then_profile(
    kind: type[AnyClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is given to `account()` comes first."""
    config = tmp_path / "config.toml"
    config.write_text('[profiles.default]\nad_account = "1"\n', encoding="utf-8")
    monkeypatch.setenv("PINTEREST_AUDIENCES_CONFIG", str(config))
    assert kind("token").account().ad_account_id == "1"
    monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", "2")
    assert kind("token").account().ad_account_id == "2"
    client = kind("token", ad_account_id=3)
    assert client.account().ad_account_id == "3"
    assert client.account("4").ad_account_id == client.account(4).ad_account_id == "4"
    assert client.with_options(timeout=5).account().ad_account_id == "3"


@clients
def test_account_of_an_emulated_client_does_not_depend_on_the_environment(
    kind: type[AnyClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", "2")
    assert kind.emulated().account().ad_account_id == ACCOUNT
    assert kind.emulated().account(OTHER).ad_account_id == OTHER


@clients
def test_missing_account_is_an_error_that_names_every_way_to_set_it(kind: type[AnyClient]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind("token").account()
    assert caught.value.param == "ad_account_id"
    assert str(caught.value).startswith("ad_account_id is missing; ")
    for way in ('account("', "ad_account_id=", "PINTEREST_AD_ACCOUNT_ID", "ad_account in the prof"):
        assert way in str(caught.value.suggestion)


@clients
@pytest.mark.parametrize("wrong", ["", "x", "1" * 19, -1, True, 1.5, " 1"])
def test_invalid_account_is_refused(
    kind: type[AnyClient], wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the constructor and by `account()`; from the environment too."""
    attempts: list[Callable[[], object]] = [
        lambda: kind("token", ad_account_id=wrong),  # type: ignore[arg-type]
        lambda: kind("token").account(wrong),  # type: ignore[arg-type]
    ]
    for attempt in attempts:
        with pytest.raises(ConfigurationError, match=r"^ad_account_id must be") as caught:
            attempt()
        assert caught.value.param == "ad_account_id"


@clients
def test_invalid_account_of_the_environment_is_an_error_that_names_the_variable(
    kind: type[AnyClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is used, not before."""
    monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", "my account")
    client = kind("token")
    with pytest.raises(ConfigurationError, match="PINTEREST_AD_ACCOUNT_ID") as caught:
        client.account()
    assert caught.value.param == "ad_account_id"
    assert "my account" not in str(caught.value)


@clients
def test_broken_configuration_file_is_not_reported_as_a_wrong_account(
    kind: type[AnyClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[profiles")
    monkeypatch.setenv("PINTEREST_AUDIENCES_CONFIG", str(file))
    client = kind("token", base_url="https://api.pinterest.com/v5")
    with pytest.raises(ConfigurationError, match=r"^.*config\.toml: not valid TOML") as caught:
        client.account()
    assert "PINTEREST_AD_ACCOUNT_ID" not in str(caught.value)


@clients
async def test_with_options_of_an_account_client_keeps_the_account(kind: type[AnyClient]) -> None:
    transport = ScriptedTransport(Reply(503), Reply(data=LIST))
    client = kind("token", transport=transport)
    account = client.account(ACCOUNT).with_options(max_retries=0)
    assert account.ad_account_id == ACCOUNT
    with pytest.raises(ServerError):
        await done(account.customer_lists_get("643"))
    assert (await done(account.customer_lists_get("643"))).id == "643"
    await close(client)


@clients
async def test_account_client_ends_with_its_client(kind: type[AnyClient]) -> None:
    transport = ScriptedTransport(Reply(data=PAGE))
    client = kind("token", transport=transport)
    account = client.account(ACCOUNT)
    assert len(await done(account.customer_lists_list().collect())) == 1
    await close(client)
    with pytest.raises(ClientClosedError):
        await done(account.customer_lists_list().collect())


@clients
@pytest.mark.parametrize("call", ["create", "update"])
async def test_failed_call_leaves_no_record_in_variables_of_its_frames(
    kind: type[AnyClient], call: str
) -> None:
    """Error reporters collect them."""
    client = kind("token", transport=ScriptedTransport(refusal(400, 1)))
    account = client.account(ACCOUNT)
    records = ["SENTINEL@shop.example"]
    calls: dict[str, Callable[[], Any]] = {
        "create": lambda: account.customer_lists_create(name="x", records=records),
        "update": lambda: account.customer_lists_update("1", operation_type="ADD", records=records),
    }
    with pytest.raises(BadRequestError) as caught:
        await done(calls[call]())
    package = str(Path(pinterest_audiences.__file__).parent)
    frames = [
        frame
        for frame, _ in traceback.walk_tb(caught.value.__traceback__)
        if frame.f_code.co_filename.startswith(package)
    ]
    assert any(frame.f_code.co_filename.endswith("_account_client.py") for frame in frames)
    assert [
        f"{frame.f_code.co_name}: {name}"
        for frame in frames
        for name, value in frame.f_locals.items()
        if "SENTINEL" in repr(value)
    ] == []
    await close(client)


@clients
def test_repr_of_an_account_client_names_the_account(kind: type[AnyClient]) -> None:
    account = kind("token").account(ACCOUNT)
    assert repr(account) == f"{type(account).__name__}('{ACCOUNT}')"
