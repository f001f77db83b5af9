"""Multipart uploads: parts, runs, results, and refused access."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from pinterest_audiences.emulator import Assumptions, Emulator, Request, _uploads, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import Caller, FakeClock

    from pinterest_audiences.emulator import Response

SMALL_PARTS = Assumptions(smallest_part_bytes=10)
HASHED = [hashlib.sha256(f"{number}@example.com".encode()).hexdigest() for number in range(150)]
FILE = "\n".join(HASHED).encode()


class Upload:
    """An upload, as a client sends it."""

    def __init__(
        self, call: Caller, *, parts: int = 1, operation: str = "ADD", **more: object
    ) -> None:
        self.call = call
        self.list_id = str(call.create(**{"records": "first@example.com", **more})["id"])  # type: ignore[arg-type]
        self.uploads = f"549/customer_lists/{self.list_id}/uploads"
        answer = call("POST", self.uploads, {"operation": operation, "total_parts": parts})
        assert answer.status == 200
        fields = call.fields(answer)
        self.shown = cast("dict[str, object]", fields["customer_list_upload"])
        data = cast("dict[str, list[dict[str, object]]]", fields["s3_multipart_upload_data"])
        self.numbers = [part["part_number"] for part in data["file_parts"]]
        self.urls = [str(part["presigned_url"]) for part in data["file_parts"]]
        self.path = f"{self.uploads}/{self.shown['id']}"

    def put(self, number: int, content: bytes, **headers: str) -> Response:
        return put(self.call.emulator, self.urls[number - 1], content, **headers)

    def run(self) -> Response:
        return self.call("POST", f"{self.path}/run")

    def get(self) -> dict[str, object]:
        answer = self.call("GET", self.path)
        assert answer.status == 200
        return self.call.fields(answer)

    def list_fields(self) -> dict[str, object]:
        return self.call.emulator.customer_list(self.list_id)


def put(emulator: Emulator, url: str, content: bytes, **headers: str) -> Response:
    parts = urlsplit(url)
    return emulator.handle(
        Request(method="PUT", path=parts.path, query=parts.query, headers=headers, body=content)
    )


@pytest.fixture
def small(new_emulator: Callable[..., Emulator], call: Caller) -> Caller:
    """A caller of an emulator whose parts may be small."""
    call.emulator = new_emulator(assumptions=SMALL_PARTS)
    return call


def test_upload_runs_and_succeeds(call: Caller, clock: FakeClock) -> None:
    """Its list is UPLOADING, PROCESSING and READY, with its members at success."""
    upload = Upload(call)
    assert upload.shown == {
        "ad_account_id": "549",
        "creation_time": 1_700_000_000,
        "customer_list_id": upload.list_id,
        "error_counts": None,
        "id": upload.shown["id"],
        "operation": "ADD",
        "record_counts": None,
        "state": "NOT_STARTED",
        "updated_time": 1_700_000_000,
    }
    assert upload.put(1, FILE).status == 200
    clock.advance(5)
    assert upload.list_fields()["status"] == "TOO_SMALL"
    running = upload.run()
    assert running.status == 200
    assert call.fields(running)["state"] == "RUNNING"
    assert call.fields(running)["updated_time"] == 1_700_000_005
    assert call.emulator.members(upload.list_id) == {"first@example.com"}
    assert upload.list_fields()["status"] == "UPLOADING"
    clock.advance(2)
    assert upload.get() == call.emulator.upload(str(upload.shown["id"]))
    assert upload.get()["state"] == "SUCCEEDED"
    assert upload.get()["updated_time"] == 1_700_000_007
    assert upload.get()["record_counts"] == {"processed": 150, "valid": 150, "invalid": 0}
    assert upload.get()["error_counts"] == []
    assert call.emulator.members(upload.list_id) == {"first@example.com", *HASHED}
    assert upload.list_fields()["status"] == "PROCESSING"
    assert upload.list_fields()["num_batches"] == 2
    assert upload.list_fields()["num_uploaded_user_records"] == 151
    clock.advance(2)
    assert upload.list_fields()["status"] == "READY"


@pytest.mark.parametrize("cut", [10, 64, 65, 66, 4000, 9000])
def test_record_may_span_two_parts(small: Caller, clock: FakeClock, cut: int) -> None:
    """Wherever a client splits its file, no record is lost and none is invented."""
    upload = Upload(small, parts=3)
    for number, piece in enumerate((FILE[:cut], FILE[cut : cut + 77], FILE[cut + 77 :]), 1):
        upload.put(number, piece)
    assert upload.run().status == 200
    clock.advance(2)
    assert small.emulator.members(upload.list_id) == {"first@example.com", *HASHED}


def test_record_may_span_two_chunks_of_a_part(
    call: Caller, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part is read in chunks, without a visible effect."""
    monkeypatch.setattr(_uploads, "_CHUNK_BYTES", 100)
    upload = Upload(call)
    upload.put(1, FILE)
    upload.run()
    clock.advance(2)
    assert call.emulator.members(upload.list_id) == {"first@example.com", *HASHED}
    assert upload.get()["record_counts"] == {"processed": 150, "valid": 150, "invalid": 0}


def test_records_are_separated_by_line_breaks_or_commas(call: Caller, clock: FakeClock) -> None:
    """Spaces around them and empty lines are ignored; repeats are counted, but stored once."""
    upload = Upload(call)
    upload.put(1, b"a@example.com, b@example.com\r\n\r\nc@example.com\n,a@example.com,\n")
    upload.run()
    clock.advance(2)
    expected = {f"{name}@example.com" for name in ("first", "a", "b", "c")}
    assert call.emulator.members(upload.list_id) == expected
    assert upload.get()["record_counts"] == {"processed": 4, "valid": 4, "invalid": 0}


def test_invalid_records_are_counted_and_left_out(call: Caller, clock: FakeClock) -> None:
    """With the one error of the description."""
    upload = Upload(call)
    upload.put(1, f"{HASHED[0]}\nabsent\na b@example.com\n\xff\n{HASHED[1]}x".encode("latin-1"))
    upload.run()
    clock.advance(2)
    assert upload.get()["state"] == "SUCCEEDED"
    assert upload.get()["record_counts"] == {"processed": 5, "valid": 1, "invalid": 4}
    assert upload.get()["error_counts"] == [
        {"error_code": 42, "message": "Invalid email", "count": 4}
    ]
    assert call.emulator.members(upload.list_id) == {"first@example.com", HASHED[0]}


def test_valid_records_depend_on_list_type_and_switch(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """Anything is valid in an LR_ID list; a switch replaces the rule."""
    free = Upload(call, list_type="LR_ID")
    free.put(1, b"anything")
    free.run()
    clock.advance(2)
    assert free.get()["state"] == "SUCCEEDED"
    call.emulator = new_emulator(
        assumptions=Assumptions(is_valid_record=lambda record: record == "good")
    )
    own = Upload(call)
    own.put(1, b"good\na@example.com")
    own.run()
    clock.advance(2)
    assert own.get()["record_counts"] == {"processed": 2, "valid": 1, "invalid": 1}


def test_upload_without_valid_record_fails(call: Caller, clock: FakeClock) -> None:
    """It has its counts, and the list does not change."""
    upload = Upload(call)
    upload.put(1, b"absent\nabsent else")
    upload.run()
    clock.advance(2)
    assert upload.get()["state"] == "FAILED"
    assert upload.get()["record_counts"] == {"processed": 2, "valid": 0, "invalid": 2}
    assert call.emulator.members(upload.list_id) == {"first@example.com"}
    assert upload.list_fields()["num_batches"] == 1
    assert upload.list_fields()["status"] == "TOO_SMALL"


def test_upload_can_remove_members(call: Caller, clock: FakeClock) -> None:
    """Members are removed, records that are not members are counted."""
    upload = Upload(call, operation="REMOVE", records=",".join(HASHED[:3]))
    upload.put(1, "\n".join([*HASHED[1:3], HASHED[9]]).encode())
    upload.run()
    clock.advance(2)
    assert call.emulator.members(upload.list_id) == {HASHED[0]}
    assert upload.list_fields()["num_removed_user_records"] == 3


def test_changes_during_a_run_come_before_it(call: Caller, clock: FakeClock) -> None:
    """A record that was removed meanwhile is added at the time of success."""
    upload = Upload(call)
    upload.put(1, FILE)
    upload.run()
    clock.advance(1)
    path = f"549/customer_lists/{upload.list_id}"
    call("PATCH", path, {"operation_type": "REMOVE", "records": ",".join(HASHED)})
    assert upload.list_fields()["status"] == "UPLOADING"
    clock.advance(100)
    assert len(call.emulator.members(upload.list_id)) == 151
    # Success at 2, and 2 seconds of processing, whose end changes it as well.
    assert upload.list_fields()["updated_time"] == 1_700_000_004
    assert upload.list_fields()["status"] == "READY"


def test_uploads_end_in_the_order_of_their_runs(call: Caller, clock: FakeClock) -> None:
    """Without a request in between, regardless of the order of creation."""
    removing = Upload(call, operation="REMOVE")
    adding = call.fields(call("POST", removing.uploads, {"operation": "ADD", "total_parts": 1}))
    data = cast("dict[str, list[dict[str, object]]]", adding["s3_multipart_upload_data"])
    made = cast("dict[str, object]", adding["customer_list_upload"])
    put(call.emulator, str(data["file_parts"][0]["presigned_url"]), FILE)
    removing.put(1, FILE)
    call("POST", f"{removing.uploads}/{made['id']}/run")
    clock.advance(1)
    removing.run()
    clock.advance(100)
    assert call.emulator.members(removing.list_id) == {"first@example.com"}


def test_every_part_has_an_unguessable_url(small: Caller) -> None:
    """One for each number; a signature is valid for one part only."""
    upload = Upload(small, parts=10)
    assert upload.numbers == list(range(1, 11))
    assert len(set(upload.urls)) == 10
    swapped = upload.urls[0].replace(f"{upload.shown['id']}/1?", f"{upload.shown['id']}/2?")
    for url in (
        swapped,
        upload.urls[0][:-1] + ("0" if upload.urls[0][-1] != "0" else "1"),
        upload.urls[0].partition("?")[0],
        upload.urls[0].replace("Expires=1", "Expires=2"),
    ):
        refused = put(small.emulator, url, b"x")
        assert refused.status == 403
        assert b"<Error><Code>" in refused.body
    upload.run()
    assert upload.get()["state"] == "NOT_STARTED"


def test_presigned_url_expires_on_the_virtual_clock(call: Caller, clock: FakeClock) -> None:
    """After an hour, which is an assumption and a switch."""
    upload = Upload(call)
    clock.advance(3599)
    assert upload.put(1, FILE).status == 200
    clock.advance(1)
    refused = upload.put(1, FILE)
    assert refused.status == 403
    assert b"<Message>Request has expired</Message>" in refused.body
    assert refused.header("content-type") == "application/xml"
    assert upload.run().status == 200


@pytest.mark.parametrize("authorization", ["Bearer pina_test", "Basic eDp5", ""])
def test_storage_refuses_an_authorization_header(call: Caller, authorization: str) -> None:
    """As S3 does: a signed URL must be the only authentication."""
    upload = Upload(call)
    refused = upload.put(1, FILE, Authorization=authorization)
    assert refused.status == 400
    assert b"<Code>InvalidArgument</Code>" in refused.body
    assert upload.run().status == 400
    assert upload.put(1, FILE).status == 200


def test_part_is_answered_with_its_etag(call: Caller) -> None:
    """The MD5 of its bytes, in quotes, without a body; a part may be sent again."""
    upload = Upload(call)
    upload.put(1, b"absent")
    answer = upload.put(1, FILE)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("etag") == f'"{hashlib.md5(FILE).hexdigest()}"'
    assert upload.run().status == 200
    gone = upload.put(1, FILE)
    assert gone.status == 404
    assert b"<Code>NoSuchUpload</Code>" in gone.body


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ({1: 5 * 1024 * 1024}, "Part 2 has not been uploaded"),
        ({2: 1}, "Part 1 has not been uploaded"),
        ({1: 5 * 1024 * 1024, 2: 0}, "Part 2 is empty"),
        ({1: 5 * 1024 * 1024 - 1, 2: 1}, "Part 1 is smaller than 5,242,880 bytes"),
        ({1: 5 * 1024 * 1024, 2: 1}, None),
    ],
)
def test_parts_except_the_last_need_5_megabytes(
    new_emulator: Callable[..., Emulator],
    call: Caller,
    clock: FakeClock,
    parts: dict[int, int],
    fault: str | None,
) -> None:
    """Otherwise the run is refused, or with the switch the upload fails."""
    for assumptions in (Assumptions(), Assumptions(bad_upload="fail")):
        call.emulator = new_emulator(assumptions=assumptions)
        upload = Upload(call, parts=2, list_type="DLX_ID")
        for number, size in parts.items():
            assert upload.put(number, b"x" * size).status == 200
        run = upload.run()
        refused = fault is not None and assumptions.bad_upload == "refuse"
        assert run.status == (400 if refused else 200)
        assert not refused or str(fault) in str(call.fields(run)["message"])
        clock.advance(2)
        expected = "SUCCEEDED" if fault is None else "NOT_STARTED" if refused else "FAILED"
        assert upload.get()["state"] == expected


@pytest.mark.parametrize("second", ["answer", "refuse"])
def test_second_run_has_no_effect(
    new_emulator: Callable[..., Emulator],
    call: Caller,
    clock: FakeClock,
    second: Literal["answer", "refuse"],
) -> None:
    """It returns the upload, or is refused: the behavior is not published."""
    call.emulator = new_emulator(assumptions=Assumptions(second_run=second))
    upload = Upload(call)
    upload.put(1, FILE)
    upload.run()
    expected = 200 if second == "answer" else 400
    assert upload.run().status == expected
    clock.advance(100)
    assert upload.run().status == expected
    assert upload.list_fields()["num_batches"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"operation": None},
        {"operation": "REPLACE"},
        {"operation": ["ADD"]},
        {"total_parts": 0},
        {"total_parts": 11},
        {"total_parts": True},
        {"total_parts": 1.5},
        {"total_parts": "1"},
        {"total_parts": None},
    ],
)
def test_invalid_upload_is_400(call: Caller, change: dict[str, object]) -> None:
    """With code 1."""
    path = f"549/customer_lists/{call.create()['id']}/uploads"
    answer = call("POST", path, {"operation": "ADD", "total_parts": 1, **change})
    assert answer.status == 400
    assert call.fields(answer)["code"] == 1


def test_unknown_upload_is_404(call: Caller) -> None:
    """Also one of another list or account."""
    upload, other = Upload(call), Upload(call)
    elsewhere = f"{other.uploads}/{upload.shown['id']}"
    for path in (f"{upload.uploads}/1", elsewhere, upload.path.replace("549", "550", 1)):
        assert call("GET", path).status == 404
        assert call("POST", f"{path}/run").status == 404
    assert call("GET", f"{upload.uploads}/x").status == 400
    with pytest.raises(KeyError):
        call.emulator.upload("1")


@pytest.mark.parametrize(
    ("uploads", "status", "code"), [("restricted", 401, 3), ("forbidden", 403, 29)]
)
def test_account_without_upload_access_is_refused(
    new_emulator: Callable[..., Emulator], call: Caller, uploads: str, status: int, code: int
) -> None:
    """By all three operations, and by no others."""
    call.emulator = new_emulator(uploads=uploads)
    path = f"549/customer_lists/{call.create()['id']}/uploads"
    for answer in (
        call("POST", path, {"operation": "ADD", "total_parts": 1}),
        call("GET", f"{path}/1"),
        call("POST", f"{path}/1/run"),
    ):
        assert (answer.status, call.fields(answer)["code"]) == (status, code)


def test_waiting_parts_are_limited_in_size(
    call: Caller, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit the storage answers 503; a run makes space."""
    monkeypatch.setattr(_uploads, "MAX_PENDING_BYTES", len(FILE))
    first, second = Upload(call), Upload(call)
    for _ in range(3):  # the same part takes its room once
        assert first.put(1, FILE).status == 200
    refused = second.put(1, b"a@example.com")
    assert refused.status == 503
    assert b"<Code>SlowDown</Code>" in refused.body
    first.run()
    clock.advance(2)
    assert second.put(1, FILE).status == 200


@pytest.mark.anyio
async def test_presigned_urls_have_the_host_of_the_request(
    new_emulator: Callable[..., Emulator],
) -> None:
    """In process the host of the request, over the wire the host and port of the server."""
    emulator = new_emulator()

    async def upload(client: httpx.AsyncClient, base_url: str) -> str:
        headers = {"Authorization": "Bearer x"}
        (list_id,) = emulator.seed_lists("549", 1)
        url = f"{base_url}/ad_accounts/549/customer_lists/{list_id}/uploads"
        body = {"operation": "ADD", "total_parts": 1}
        made = (await client.post(url, json=body, headers=headers)).json()
        (part,) = made["s3_multipart_upload_data"]["file_parts"]
        assert (await client.put(part["presigned_url"], content=FILE)).status_code == 200
        run = f"{url}/{made['customer_list_upload']['id']}/run"
        assert (await client.post(run, headers=headers)).status_code == 200
        emulator.advance(seconds=10)
        assert emulator.members(list_id) == set(HASHED)
        return str(part["presigned_url"])

    with anyio.fail_after(20):
        async with httpx.AsyncClient(transport=emulator.transport()) as client:
            in_process = await upload(client, "https://api.example.com/v5")
        async with serve(emulator) as base_url, httpx.AsyncClient() as client:
            over_the_wire = await upload(client, base_url)
    assert in_process.startswith("https://api.example.com/_s3/")
    assert over_the_wire.startswith(f"{base_url.removesuffix('/v5')}/_s3/")


@pytest.mark.parametrize("host", [None, "", "a b", "a/b?c", "\xe9"])
def test_invalid_host_header_leads_to_pinterests_host(call: Caller, host: str | None) -> None:
    """For any header, the URL is valid."""
    (list_id,) = call.emulator.seed_lists("549", 1)
    request = Request(
        method="POST",
        path=f"/v5/ad_accounts/549/customer_lists/{list_id}/uploads",
        headers={"Authorization": "Bearer x"} | ({} if host is None else {"Host": host}),
        body=b'{"operation": "ADD", "total_parts": 1}',
    )
    assert b'"https://api.pinterest.com/_s3/' in call.emulator.handle(request).body
