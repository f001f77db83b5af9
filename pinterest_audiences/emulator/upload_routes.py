"""The operations on uploads, and the storage that their parts are put into.

The storage speaks as S3 does: an address that is signed for one part, XML for refusals, and no
second way to say who is asking. Its addresses lead back through the door that was used.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pinterest_audiences.emulator.bodies import OPERATION_TYPES, read_object
from pinterest_audiences.emulator.messages import Answer, ApiError, invalid
from pinterest_audiences.emulator.routing import Call, Route, first_pairs
from pinterest_audiences.emulator.uploads import MAX_PARTS

if TYPE_CHECKING:
    from pinterest_audiences.emulator.uploads import UploadState

_NUMBER = re.compile(r"[0-9]{1,15}")

# Pinterest's words, of which a third party has seen the first.
_RESTRICTED = "Your application does not have access to this restricted feature."
_FORBIDDEN = "You are not permitted to access that resource."


class S3Error(ApiError):
    """A refusal in the form of S3: a status, and XML with a code of words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, status, message)
        content = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        )
        self.answer: Answer = Answer(
            status=status, content=content.encode(), headers=(("content-type", "application/xml"),)
        )


def _create(call: Call) -> Answer:
    _check_access(call)
    customer_list = call.customer_list()
    fields = read_object(call.request.body)
    asked = fields.get("operation")
    operation = OPERATION_TYPES.get(asked) if isinstance(asked, str) else None
    if operation is None:
        raise invalid("'operation' is required and must be one of: ADD, REMOVE.")
    total = fields.get("total_parts")
    if isinstance(total, float) and total.is_integer():
        total = int(total)  # to JSON Schema 8.0 is an integer
    if not isinstance(total, int) or isinstance(total, bool) or not 1 <= total <= MAX_PARTS:
        raise invalid(f"'total_parts' is required and must be from 1 to {MAX_PARTS}.")
    uploads = call.context.world.uploads
    upload = uploads.create(customer_list, operation, total)
    parts = [
        {"part_number": number, "presigned_url": _presign(call, upload, number)}
        for number in range(1, total + 1)
    ]
    payload = {
        "customer_list_upload": uploads.show(upload),
        "s3_multipart_upload_data": {"file_parts": parts},
    }
    return Answer(status=200, payload=payload)


def _get(call: Call) -> Answer:
    _check_access(call)
    return Answer(status=200, payload=call.context.world.uploads.show(_upload(call)))


def _run(call: Call) -> Answer:
    _check_access(call)
    upload, world = _upload(call), call.context.world
    if upload.status != "NOT_STARTED":
        if world.guesses.second_run == "refuse":
            raise invalid("The upload has been run already.")
        return Answer(status=200, payload=world.uploads.show(upload))
    fault = world.uploads.fault_of(upload)
    if fault is not None and world.guesses.bad_upload == "refuse":
        raise invalid(fault)
    world.uploads.run(upload)
    return Answer(status=200, payload=world.uploads.show(upload))


def _upload(call: Call) -> UploadState:
    customer_list = call.customer_list()
    found = call.context.world.uploads.find(call.parameters["customer_list_upload_id"])
    if found is None or found.customer_list_id != str(customer_list.id):
        raise call.not_found("Customer list upload")
    return found


def _check_access(call: Call) -> None:
    if call.context.uploads == "restricted":
        raise ApiError(401, 3, _RESTRICTED)
    if call.context.uploads == "forbidden":
        raise ApiError(403, 29, _FORBIDDEN)


def _presign(call: Call, upload: UploadState, number: int) -> str:
    world = call.context.world
    ends = int(world.clock()) + world.guesses.presigned_seconds
    signed = {"partNumber": number, "uploadId": upload.id, "Expires": ends}
    query = urlencode({**signed, "Signature": _sign(call, upload.id, number, ends)})
    return f"{call.request.origin}/_s3/customer-list-uploads/{upload.id}/{number}?{query}"


def _sign(call: Call, upload_id: int, number: int, ends: int) -> str:
    word = f"{upload_id} {number} {ends}".encode()
    return blake2b(word, key=call.context.world.storage_key, digest_size=24).hexdigest()


def _put(call: Call) -> Answer:
    # S3 takes a signature in the address or in a header, never both.
    if "authorization" in call.request.headers:
        raise S3Error(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
            "query string parameter or the Authorization header should be specified",
        )
    world, query = call.context.world, first_pairs(call.request.query)
    upload_id, number = call.parameters["upload_id"], call.parameters["part_number"]
    ends = query.get("Expires", "")
    if not all(map(_NUMBER.fullmatch, (upload_id, number, ends))):
        raise S3Error(403, "AccessDenied", "Access Denied")
    if query.get("Signature") != _sign(call, int(upload_id), int(number), int(ends)):
        raise S3Error(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )
    if world.clock() >= int(ends):
        raise S3Error(403, "AccessDenied", "Request has expired")
    upload = world.uploads.find(upload_id)
    if upload is None or upload.status != "NOT_STARTED":
        raise S3Error(404, "NoSuchUpload", "The specified upload does not exist.")
    etag = world.uploads.put(upload, int(number), call.request.body)
    if etag is None:
        raise S3Error(503, "SlowDown", "Reduce your request rate.")
    return Answer(status=200, content=b"", headers=(("etag", f'"{etag}"'),))


UPLOADS = "/v5/ad_accounts/{ad_account_id}/customer_lists/{customer_list_id}/uploads"
UPLOAD = UPLOADS + "/{customer_list_upload_id}"

ROUTES = (
    Route("POST", UPLOADS, _create, "ads_write", scopes=("ads:write",)),
    Route("GET", UPLOAD, _get, "ads_read", scopes=("ads:read",)),
    Route("POST", UPLOAD + "/run", _run, "ads_write", scopes=("ads:write",)),
    Route(
        "PUT",
        "/_s3/customer-list-uploads/{upload_id}/{part_number}",
        _put,
        None,
        auth="none",
    ),
)
