"""Both clients raise the same error for the same call."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import anyio
import pytest

from pinterest_audiences import (
    AppCredentials,
    AsyncClient,
    AsyncPager,
    Client,
    ClientClosedError,
    CreatedUpload,
    Pager,
    S3FilePart,
    S3MultipartUploadData,
)
from pinterest_audiences.emulator import Emulator

Arguments = dict[str, Any]

ACCOUNT = "549755885175"
LIST: Arguments = {"ad_account_id": ACCOUNT, "customer_list_id": "643"}
UPLOAD: Arguments = {**LIST, "customer_list_upload_id": "1"}
AUDIENCE: Arguments = {"ad_account_id": ACCOUNT, "audience_id": "643"}
APP = AppCredentials("1234567", "the-secret")
MISSING = "/missing/customers.csv"
STATE = "state.sqlite3"


def created(*part_numbers: int) -> CreatedUpload:
    """Return an upload with addresses of these part numbers."""
    parts = [S3FilePart(number, "http://127.0.0.1:9/") for number in part_numbers]
    unused: Any = None
    return CreatedUpload(unused, S3MultipartUploadData(parts))


# A value that is right and one that is wrong for the parameters of simple methods, by their names.
RIGHT: Arguments = {
    **UPLOAD,
    "audience_id": "643",
    "customer_segment_id": "643",
    "audience_ids": ["643"],
    "name": "x",
}
WRONG: Arguments = {
    **dict.fromkeys(RIGHT, " "),
    "bookmark": "",
    "include_shared_accounts": 1,
    "operation_type": "",
    "order": "",
    "page_size": 0,
}

# For each other method: arguments that are right, and changes that make them wrong, alone and
# together.
CALLS: dict[str, tuple[Arguments, list[Arguments]]] = {
    "customer_lists_create": (
        {"ad_account_id": ACCOUNT, "name": "Spring", "records": ["a@b.co"]},
        [
            {"ad_account_id": "x"},
            {"name": ""},
            {"records": None},
            {"records": ["a b"]},
            {"list_type": ""},
            {"records_v2": []},
            {"is_nca": 1},
        ],
    ),
    "customer_lists_update": (
        {**LIST, "operation_type": "ADD", "records": ["a@b.co"]},
        [{"ad_account_id": "x"}, {"operation_type": ""}, {"records": None}, {"records": ["a,b"]}],
    ),
    "customer_lists_list": (
        {"ad_account_id": ACCOUNT},
        [{"ad_account_id": "x"}, {"page_size": 0}, {"order": ""}, {"bookmark": ""}],
    ),
    "audiences_create": (
        {"ad_account_id": ACCOUNT, "name": "x", "audience_type": "ACTALIKE", "rule": {"a": 1}},
        [{"ad_account_id": "x"}, {"name": ""}, {"audience_type": ""}, {"rule": None}],
    ),
    "create_customer_list_audience": (
        {**LIST, "name": "x"},
        [{"ad_account_id": "x"}, {"customer_list_id": "x"}, {"name": ""}],
    ),
    "audiences_update": (
        {**AUDIENCE, "name": "x"},
        [{"ad_account_id": "x"}, {"audience_id": "x"}, {"name": ""}, {"operation_type": "REMOVE"}],
    ),
    "audiences_list": (
        {"ad_account_id": ACCOUNT},
        [{"ad_account_id": "x"}, {"page_size": 251}, {"ownership_type": ""}, {"bookmark": 1}],
    ),
    "customer_list_uploads_create": (
        {**LIST, "operation": "ADD", "total_parts": 1},
        [{"ad_account_id": "x"}, {"operation": ""}, {"total_parts": 0}],
    ),
    "request": (
        {"method": "GET", "path": "/pins/1"},
        [
            {"method": "get"},
            {"path": "pins"},
            {"params": 1},
            {"json": {}},
            {"idempotent": 1},
            {"category": ""},
        ],
    ),
    "put_file_parts": (
        {"upload": created(1), "file": b"a@b.co"},
        [{"upload": created()}, {"upload": created(2)}, {"file": MISSING}, {"file": b""}],
    ),
    "upload_file_in_parts": (
        {**LIST, "file": b"a@b.co"},
        [{"ad_account_id": "x"}, {"file": MISSING}, {"wait": 0}, {"total_parts": 0}],
    ),
    "verify_api": ({"ad_account_id": ACCOUNT}, [{"ad_account_id": "x"}]),
    "oauth_token": (
        {"app": APP, "grant_type": "client_credentials", "scope": "ads:read"},
        [{"app": None}, {"grant_type": ""}, {"scope": None}, {"code": "x"}, {"scope": "\n"}],
    ),
    "token_revoke": (
        {"app": APP, "token": "pina_x"},
        [{"app": None}, {"token": ""}, {"token_type_hint": ""}],
    ),
    "upload": (
        {"ad_account_id": ACCOUNT, "source": ["a@b.co"], "name": "x", "state": STATE},
        [
            {"ad_account_id": "x"},
            {"source": MISSING},
            {"name": ""},
            {"operation": ""},
            {"kind": ""},
            {"via": "x"},
            {"retry_timeout": 0},
            {"batch_size": 0},
            {"expect_rows": "x"},
            {"must_be_new": True, "operation": "REMOVE"},
            {"max_removal_share": 2},
        ],
    ),
    "plan_upload": (
        {"ad_account_id": ACCOUNT, "source": ["a@b.co"], "name": "x", "state": STATE},
        [
            {"ad_account_id": "x"},
            {"source": MISSING},
            {"name": ""},
            {"operation": ""},
            {"via": "x"},
            {"must_be_new": True, "operation": "REMOVE"},
            {"max_removal_share": 2},
            {"retry_timeout": 0},
            {"batch_size": 0},
        ],
    ),
    "plan_mirror": (
        {"ad_account_id": ACCOUNT, "source": ["a@b.co"], "name": "x", "state": STATE},
        [
            {"ad_account_id": "x"},
            {"source": MISSING},
            {"name": ""},
            {"kind": ""},
            {"max_removal_share": 2},
            {"retry_timeout": 0},
            {"batch_size": 0},
        ],
    ),
    "mirror": (
        {"ad_account_id": ACCOUNT, "source": ["a@b.co"], "name": "x", "state": STATE},
        [
            {"ad_account_id": "x"},
            {"source": MISSING},
            {"name": ""},
            {"max_removal_share": 2},
            {"retry_timeout": 0},
        ],
    ),
    "mirror_many": (
        {"ad_account_id": ACCOUNT, "sources": {"x": ["a@b.co"]}, "state": STATE},
        [
            {"ad_account_id": "x"},
            {"sources": {"x": MISSING}},
            {"sources": {"": ["a@b.co"]}},
            {"max_at_once": 0},
            {"max_removal_share": 2},
            {"retry_timeout": 0},
        ],
    ),
    "apply": (
        {"plan": None, "state": STATE},  # the test makes a plan
        [{"retry_timeout": 0}, {"batch_size": 0}, {"state": "other.sqlite3"}],
    ),
    "runs": (
        {"ad_account_id": ACCOUNT, "state": STATE},
        [{"ad_account_id": "x"}, {"limit": -1}, {"name": "missing"}, {"customer_list_id": "643"}],
    ),
    "resume": (
        {"ad_account_id": ACCOUNT, "state": STATE},
        [{"ad_account_id": "x"}, {"retry_timeout": 0}, {"batch_size": 0}],
    ),
    "wait_until_ready": (
        {**LIST},
        [{"ad_account_id": "x"}, {"timeout": 0}, {"poll_interval": 0}, {"max_poll_interval": 0}],
    ),
    "status": ({"ad_account_id": ACCOUNT, "state": STATE}, [{"ad_account_id": "x"}]),
    "forget": (
        {"people": "a@b.co", "state": STATE},
        [{"people": Path(MISSING)}, {"kind": ""}, {"ad_account_id": "x"}, {"retry_timeout": 0}],
    ),
    "jobs": ({"state": STATE}, [{"ad_account_id": "x"}]),
    "abandon": ({"job_id": "1", "state": STATE}, [{"job_id": "x"}]),
    "forget_list": (
        {**LIST, "state": STATE},
        [{"ad_account_id": "x"}, {"customer_list_id": None}, {"name": "x"}],
    ),
}


def simple_call(name: str) -> tuple[Arguments, list[Arguments]]:
    """Return the same for a method whose parameters are all in the tables by name."""
    parameters = list(inspect.signature(getattr(Client, name)).parameters)[1:]
    right = {parameter: RIGHT[parameter] for parameter in parameters if parameter in RIGHT}
    return right, [{parameter: WRONG[parameter]} for parameter in parameters]


NO_CALLS = {"account", "close", "with_options"}
METHODS = {name for name, _ in inspect.getmembers(Client, inspect.isfunction)} - NO_CALLS
CALLS |= {
    name: simple_call(name) for name in METHODS if name not in CALLS and not name.startswith("_")
}


def cases() -> list[tuple[str, Arguments, bool]]:
    """Yield method, arguments and whether the client is closed."""
    result: list[tuple[str, Arguments, bool]] = []
    for name, (right, wrong) in CALLS.items():
        together = {key: value for change in reversed(wrong) for key, value in change.items()}
        changes = [*wrong, together]
        result += [(name, {**right, **change}, False) for change in changes]
        result += [(name, {**right, **change}, True) for change in ({}, *changes)]
    return result


def outcome_of_sync(name: str, arguments: Arguments, *, closed: bool) -> tuple[str, str]:
    """Call a method of a Client and return the type and the text of its error."""
    client = Client("token", transport=Emulator().transport(), max_retries=0)
    if closed:
        client.close()
    try:
        result = getattr(client, name)(**arguments)
        if isinstance(result, Pager):
            result.collect()
    except Exception as error:  # noqa: BLE001 - compared
        return type(error).__name__, str(error)
    finally:
        client.close()
    return "", ""


async def outcome_of_async(name: str, arguments: Arguments, closed: bool) -> tuple[str, str]:
    """Call a method of an AsyncClient and return the type and the text of its error."""
    client = AsyncClient("token", transport=Emulator().transport(), max_retries=0)
    if closed:
        await client.aclose()
    try:
        result = getattr(client, name)(**arguments)
        if isinstance(result, AsyncPager):
            await result.collect()
        else:
            await result
    except Exception as error:  # noqa: BLE001 - compared
        return type(error).__name__, str(error)
    finally:
        await client.aclose()
    return "", ""


def test_both_clients_raise_the_same_error_for_the_same_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With invalid arguments, alone or together, on an open and a closed client."""
    monkeypatch.chdir(tmp_path)
    with Client("token", transport=Emulator().transport()) as client:
        plan = client.plan_mirror(ACCOUNT, ["a@b.co"], name="x", state=STATE)
    different: list[str] = []
    for name, given, closed in cases():
        arguments = {**given, "plan": plan} if name == "apply" else given
        sync = outcome_of_sync(name, arguments, closed=closed)
        awaited = anyio.run(outcome_of_async, name, arguments, closed)
        if sync != awaited or not sync[0]:
            different.append(f"{name} {given} closed={closed}: {sync} | {awaited}")
        if closed and given == CALLS[name][0] and sync[0] != ClientClosedError.__name__:
            different.append(f"{name}: {sync} of a closed client")
    assert not different, "\n".join(different)
