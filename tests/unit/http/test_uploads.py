"""The upload calls of both clients; test_storage has the storage."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.calls import ACCOUNT, LIST_ID
from support.cases import each_case
from support.twins import Kind, Twins, twins
from support.uploads import SECRET, STORAGE, UPLOAD_ID, UPLOADS_URL, address, created, shown
from support.wire import Reply, refusal

from pinterest_audiences import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    CreatedUpload,
    CustomerListUpload,
    DecodeError,
    ErrorCount,
    NotFoundError,
    OperationType,
    PermissionDeniedError,
    RecordCounts,
    SourceError,
    TransportError,
    UploadError,
    UploadState,
    UploadsUnavailableError,
    UploadTimeoutError,
)

pytestmark = pytest.mark.anyio

MB = 1024 * 1024
HERE = (ACCOUNT, LIST_ID)
IDS = (*HERE, UPLOAD_ID)
UPLOAD_URL = f"{UPLOADS_URL}/{UPLOAD_ID}"
MADE = Reply(data=created())
STORED = Reply(200, body=b"")


@pytest.fixture(params=["awaiting", "blocking"])
def client(request: pytest.FixtureRequest) -> Twins:
    kind: Kind = request.param
    return twins(kind)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "records.txt"
    path.write_bytes(b"a" * 64 + b"\n")
    return path


# The three operations.


@pytest.mark.parametrize("operation", ["REMOVE", OperationType.REMOVE])
async def test_create_sends_operation_and_number_of_parts(client: Twins, operation: str) -> None:
    """The body has `operation`, not `operation_type` as in an update."""
    async with client(Reply(201, created(2))) as twin:
        made = await twin.call(
            "customer_list_uploads_create", *HERE, operation=operation, total_parts=2
        )
    (sent,) = twin.sent
    assert (sent.method, sent.url) == ("POST", UPLOADS_URL)
    assert json.loads(sent.body) == {"operation": "REMOVE", "total_parts": 2}
    assert isinstance(made, CreatedUpload)
    assert made.customer_list_upload.state is UploadState.NOT_STARTED
    parts = made.s3_multipart_upload_data.file_parts
    assert {part.part_number: part.presigned_url for part in parts} == {
        1: address(1),
        2: address(2),
    }


async def test_run_is_a_post_with_empty_body(client: Twins) -> None:
    async with client(shown()) as twin:
        run = await twin.call("customer_list_uploads_run", *IDS)
    (sent,) = twin.sent
    assert (sent.method, sent.url, sent.body) == ("POST", f"{UPLOAD_URL}/run", b"")
    assert sent.headers["content-length"] == "0"
    assert "content-type" not in sent.headers
    assert run.state is UploadState.RUNNING


async def test_get_returns_counts_and_reasons(client: Twins) -> None:
    """Unknown fields are stored."""
    answer = shown(
        "ARCHIVED",
        record_counts={"processed": 1000.0, "valid": 950, "invalid": 50, "new": 1},
        error_counts=[{"error_code": 42, "message": "Invalid email", "count": 20}],
        new=2,
    )
    async with client(answer) as twin:
        found = await twin.call("customer_list_uploads_get", *IDS)
    (sent,) = twin.sent
    assert (sent.method, sent.url, sent.body) == ("GET", UPLOAD_URL, b"")
    moment = datetime(2024, 10, 11, 0, 27, 15, tzinfo=UTC)
    assert found == CustomerListUpload(
        id=UPLOAD_ID,
        customer_list_id=LIST_ID,
        ad_account_id=ACCOUNT,
        operation=OperationType.ADD,
        state=UploadState("ARCHIVED"),
        creation_time=moment,
        updated_time=moment,
        record_counts=RecordCounts(processed=1000, valid=950, invalid=50),
        error_counts=[ErrorCount(error_code=42, message="Invalid email", count=20)],
    )
    assert found.extra == {"new": 2}
    assert found.record_counts.extra == {"new": 1}
    assert "Invalid email" not in repr(found)  # it might quote a record


async def test_part_without_number_is_reported_without_its_address(client: Twins) -> None:
    """By JSON path and type."""
    data = created()
    data["s3_multipart_upload_data"] = {"file_parts": [{"presigned_url": address(1)}]}
    async with client(Reply(data=data)) as twin:
        with pytest.raises(DecodeError) as failed:
            await twin.call("customer_list_uploads_create", *HERE, operation="ADD", total_parts=1)
    assert failed.value.problems == (
        "required field missing @ $.s3_multipart_upload_data.file_parts[0].part_number",
    )
    assert failed.value.maybe_applied
    assert SECRET not in f"{failed.value!r} {vars(failed.value)}"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("customer_list_uploads_create", {"operation": "ADD", "total_parts": 1}),
        ("customer_list_uploads_run", {"customer_list_upload_id": "1"}),
    ],
)
async def test_possibly_applied_upload_calls_are_not_retried(
    client: Twins, method: str, arguments: dict[str, object]
) -> None:
    """A second upload is not wanted, and the effect of a second run is unknown."""
    async with client(httpx.ReadError("lost")) as twin:
        with pytest.raises(TransportError) as failed:
            await twin.call(method, *HERE, **arguments)
    assert (failed.value.operation, failed.value.maybe_applied) == (method, True)
    assert len(twin.sent) == 1


@each_case(
    ("method", "arguments", "message"),
    [
        (
            "customer_list_uploads_create",
            {"operation": "SET", "total_parts": 1},
            "operation must be one",
        ),
        (
            "customer_list_uploads_create",
            {"operation": "ADD", "total_parts": 0},
            "total_parts must",
        ),
        (
            "customer_list_uploads_create",
            {"operation": "ADD", "total_parts": 11},
            "total_parts must",
        ),
        (
            "customer_list_uploads_get",
            {"customer_list_upload_id": "x"},
            "customer_list_upload_id must",
        ),
        (
            "customer_list_uploads_run",
            {"customer_list_upload_id": ""},
            "customer_list_upload_id must",
        ),
        ("upload_file_in_parts", {"file": 5}, "file must be a path or bytes"),
        ("upload_file_in_parts", {"file": b"a", "total_parts": 2}, "total_parts must be at most 1"),
        (
            "upload_file_in_parts",
            {"file": b"a", "operation": "SET"},
            "operation must be one of ADD, R",
        ),
        ("upload_file_in_parts", {"file": b"a", "wait": 0}, "wait must be a number above 0"),
    ],
)
async def test_invalid_upload_argument_is_refused_before_sending(
    client: Twins, method: str, arguments: dict[str, object], message: str
) -> None:
    """The error starts with the argument's name."""
    async with client() as twin:
        with pytest.raises(ConfigurationError, match=f"^{message}"):
            await twin.call(method, *HERE, **arguments)
    assert twin.sent == []


# multipart_upload.


async def test_multipart_upload_creates_uploads_runs_and_polls(client: Twins, file: Path) -> None:
    """Four calls to Pinterest, one to the storage, and growing poll intervals."""
    counts = {"processed": 1, "valid": 1, "invalid": 0}
    looks = [shown("NOT_STARTED"), shown(), shown("PAUSED"), shown("ASLEEP")]
    done = shown("SUCCEEDED", record_counts=counts, error_counts=[])
    async with client(MADE, STORED, shown("NOT_STARTED"), *looks, done) as twin:
        upload = await twin.call("upload_file_in_parts", *HERE, file, operation="REMOVE")
    assert [(each.method, each.url) for each in twin.sent] == [
        ("POST", UPLOADS_URL),
        ("PUT", address(1)),
        ("POST", f"{UPLOAD_URL}/run"),
        *[("GET", UPLOAD_URL)] * 5,
    ]
    assert json.loads(twin.sent[0].body) == {"operation": "REMOVE", "total_parts": 1}
    assert twin.sent[1].body == b"a" * 64 + b"\n"
    assert twin.clock.sleeps == [2.0, 3.0, 4.5, 6.75, 10.125]
    assert upload.state is UploadState.SUCCEEDED
    assert upload.record_counts == RecordCounts(processed=1, valid=1, invalid=0)


@pytest.mark.slow
@pytest.mark.parametrize("total_parts", [None, 3])
async def test_large_file_is_uploaded_in_parts_to_matching_addresses(
    client: Twins, tmp_path: Path, total_parts: int | None
) -> None:
    """In the order of their numbers, whatever the order of the addresses."""
    path = tmp_path / "large.txt"
    path.write_bytes(b"".join(b"%015d\n" % number for number in range(17 * MB // 16)))
    count = total_parts or 2
    script = [Reply(data=created(count)), *[STORED] * count, shown("SUCCEEDED")]
    async with client(*script) as twin:
        await twin.call("upload_file_in_parts", *HERE, path, total_parts=total_parts)
    parts = [each for each in twin.sent if each.method == "PUT"]
    assert [each.url for each in parts] == [address(number) for number in range(1, count + 1)]
    assert b"".join(each.body for each in parts) == path.read_bytes()
    assert [each.headers["content-length"] for each in parts] == [
        str(len(each.body)) for each in parts
    ]
    assert twin.clock.sleeps == []  # it had succeeded when the run was requested


async def test_failed_upload_reports_counts_and_codes(client: Twins) -> None:
    """Messages, which may quote records, are on the upload only."""
    reasons = [
        {"error_code": code, "message": f"Invalid {SECRET}", "count": 3} for code in range(40, 47)
    ]
    counts = {"processed": 50, "valid": 0, "invalid": 50}
    failed_upload = shown("FAILED", record_counts=counts, error_counts=reasons)
    async with client(MADE, STORED, shown(), failed_upload) as twin:
        with pytest.raises(UploadError) as failed:
            await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n")
    error = failed.value
    assert type(error) is UploadError
    assert str(error) == (
        f"upload_file_in_parts: upload {UPLOAD_ID} FAILED; 50 of 50 records invalid;"
        " error codes 40 x 3, 41 x 3, 42 x 3, 43 x 3, 44 x 3; see the error's upload"
    )
    assert error.upload is not None
    assert len(error.upload.error_counts or []) == 7
    assert (error.maybe_applied, error.status, error.part_number) == (True, None, None)
    assert SECRET not in repr(error)


async def test_failed_upload_without_details_has_a_short_message(client: Twins) -> None:
    """Without "None"."""
    async with client(MADE, STORED, shown("FAILED")) as twin:
        with pytest.raises(UploadError) as failed:
            await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n")
    assert str(failed.value) == (
        f"upload_file_in_parts: upload {UPLOAD_ID} FAILED; see the error's upload"
    )


async def test_multipart_upload_ends_at_its_timeout(client: Twins) -> None:
    """At the exact time, after a last poll, with the last status."""
    looks = 0

    async def still_running(_: httpx.Request) -> Reply:
        nonlocal looks
        looks += 1
        return shown(updated_time=1_728_606_435 + looks)

    async with client(MADE, STORED, shown(), *[still_running] * 100) as twin:
        with pytest.raises(UploadTimeoutError) as failed:
            await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n", wait=600)
        assert twin.clock.elapsed == 600
    assert isinstance(failed.value, TimeoutError)
    assert str(failed.value) == (
        f"upload_file_in_parts: upload {UPLOAD_ID} is RUNNING after 600 s;"
        " check it with customer_list_uploads_get"
    )
    assert failed.value.upload is not None
    assert failed.value.upload.updated_time == datetime.fromtimestamp(1_728_606_435 + looks, UTC)
    assert failed.value.maybe_applied
    assert max(twin.clock.sleeps) == 60
    assert len(twin.clock.sleeps) == looks < 20


NO_ACCESS = [
    (
        401,
        3,
        "Your application does not have access to this restricted feature.",
        AuthenticationError,
    ),
    (401, 29, "You are not permitted to access that resource.", AuthenticationError),
    (403, 29, "You are not permitted to access that resource.", PermissionDeniedError),
    (403, None, "Forbidden", PermissionDeniedError),
]


@pytest.mark.parametrize(("status", "code", "message", "kind"), NO_ACCESS)
async def test_missing_upload_access_suggests_the_update_call(
    client: Twins, status: int, code: int | None, message: str, kind: type[APIError]
) -> None:
    """With Pinterest's message."""
    async with client(refusal(status, code, message, x_pinterest_rid="77")) as twin:
        with pytest.raises(UploadsUnavailableError) as failed:
            await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n")
    error = failed.value
    assert (error.status, error.code, error.message, error.request_id) == (
        status,
        code,
        message,
        "77",
    )
    assert "multipart uploads are experimental" in str(error)
    assert "use customer_lists_update for the same records" in str(error)
    assert (error.operation, error.maybe_applied) == ("customer_list_uploads_create", False)
    assert type(error.__cause__) is kind
    assert len(twin.sent) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, 2, AuthenticationError),
        (403, 2625, PermissionDeniedError),
        (404, 50, NotFoundError),
    ],
)
async def test_other_refusals_do_not_mention_upload_access(
    client: Twins, status: int, code: int, kind: type[APIError]
) -> None:
    """An expired token, a closed account, a wrong id."""
    async with client(refusal(status, code)) as twin:
        with pytest.raises(kind) as failed:
            await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n")
    assert type(failed.value) is kind


async def test_run_with_lost_response_is_polled(client: Twins) -> None:
    """The file is uploaded, and the status shows whether it runs."""
    script = (MADE, STORED, httpx.ReadError("lost"), shown(), shown("SUCCEEDED"))
    async with client(*script) as twin:
        upload = await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n")
    assert upload.state is UploadState.SUCCEEDED
    assert [each.url for each in twin.sent[2:]] == [f"{UPLOAD_URL}/run", UPLOAD_URL, UPLOAD_URL]


async def test_run_with_lost_response_that_did_not_start_is_an_error(client: Twins) -> None:
    """It is not started twice."""
    script = (MADE, STORED, httpx.ReadError("lost"), shown("NOT_STARTED"))
    async with client(*script) as twin:
        with pytest.raises(TransportError) as failed:
            await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n")
    assert (failed.value.operation, failed.value.maybe_applied) == (
        "customer_list_uploads_run",
        True,
    )
    assert UPLOAD_ID in failed.value.path


async def test_refused_run_is_an_error_without_polling(client: Twins) -> None:
    async with client(MADE, STORED, refusal(400, 1)) as twin:
        with pytest.raises(APIError) as failed:
            await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n")
    assert (failed.value.operation, len(twin.sent)) == ("customer_list_uploads_run", 3)


async def test_refused_part_ends_the_upload_before_the_run(client: Twins) -> None:
    """The list is unchanged."""
    async with client(MADE, Reply(403, body=b"<Error><Code>AccessDenied</Code></Error>")) as twin:
        with pytest.raises(UploadError) as failed:
            await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n")
    assert (failed.value.status, failed.value.part_number) == (403, 1)
    assert failed.value.upload is None
    assert not failed.value.maybe_applied
    assert len(twin.sent) == 2


@pytest.mark.parametrize("numbers", [[], [2], [0], [1, 1], [1, 3], list(range(1, 12))])
async def test_addresses_with_other_part_numbers_are_refused(
    client: Twins, numbers: list[int]
) -> None:
    data: dict[str, Any] = created()
    parts = [{"part_number": number, "presigned_url": address(number)} for number in numbers]
    data["s3_multipart_upload_data"]["file_parts"] = parts
    async with client(Reply(data=data)) as twin:
        with pytest.raises(DecodeError, match=r"the parts are not numbered from 1 to at most 10"):
            await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n")
    assert len(twin.sent) == 1


async def test_surplus_part_addresses_are_refused(client: Twins) -> None:
    async with client(Reply(data=created(2))) as twin:
        with pytest.raises(DecodeError, match="2 presigned URLs for 1 parts"):
            await twin.call("upload_file_in_parts", *HERE, b"a@b.co\n")
    assert len(twin.sent) == 1


async def test_missing_file_is_reported_before_sending(client: Twins, tmp_path: Path) -> None:
    """No upload is created."""
    async with client() as twin:
        with pytest.raises(SourceError, match="No such file"):
            await twin.call("upload_file_in_parts", *HERE, tmp_path / "gone.txt")
    assert twin.sent == []


async def test_parts_can_be_uploaded_separately(client: Twins, file: Path) -> None:
    """As many as the upload was created with."""
    async with client(Reply(data=created(2)), STORED, STORED) as twin:
        made = await twin.call(
            "customer_list_uploads_create", *HERE, operation="ADD", total_parts=2
        )
        with pytest.raises(
            ConfigurationError, match=r"^total_parts must be at most 1 for 65 bytes"
        ):
            await twin.call("put_file_parts", made, file)
        data = bytes(11 * MB)
        assert await twin.call("put_file_parts", made, data) is None
    assert [(each.method, each.url) for each in twin.sent[1:]] == [
        ("PUT", address(1)),
        ("PUT", address(2)),
    ]
    assert twin.sent[1].body + twin.sent[2].body == data
    assert all(each.url.startswith(STORAGE) for each in twin.sent[1:])
