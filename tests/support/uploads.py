"""Pinterest's responses to the upload calls, with addresses that no output may contain."""

from __future__ import annotations

from support.calls import ACCOUNT, LIST_ID
from support.wire import Reply

from pinterest_audiences import CreatedUpload
from pinterest_audiences._http import codec

UPLOAD_ID = "1234567890"
SECRET = "SENTINELSIGNATURE"
STORAGE = "https://bucket.s3.us-east-1.amazonaws.com"
UPLOADS_URL = f"https://api.pinterest.com/v5/ad_accounts/{ACCOUNT}/customer_lists/{LIST_ID}/uploads"


def upload(state: str = "RUNNING", **more: object) -> dict[str, object]:
    """Return an upload in Pinterest's format."""
    return {
        "id": UPLOAD_ID,
        "customer_list_id": LIST_ID,
        "ad_account_id": ACCOUNT,
        "operation": "ADD",
        "state": state,
        "creation_time": 1_728_606_435,
        "updated_time": 1_728_606_435.0,
        "record_counts": None,
        "error_counts": None,
        **more,
    }


def shown(state: str = "RUNNING", **more: object) -> Reply:
    """Return the response that contains an upload."""
    return Reply(data=upload(state, **more))


def address(number: int, base: str = STORAGE) -> str:
    """Return the address of a part."""
    return f"{base}/key%2Fa/{number}?X-Amz-Credential=AK%2Fus&X-Amz-Signature={SECRET}+{number}%3D"


def created(count: int = 1, base: str = STORAGE) -> dict[str, object]:
    """Return the response to the creation of an upload."""
    parts = [
        {"part_number": number, "presigned_url": address(number, base)}
        for number in range(count, 0, -1)  # in no order that one could rely on
    ]
    return {
        "customer_list_upload": upload("NOT_STARTED"),
        "s3_multipart_upload_data": {"file_parts": parts},
    }


def created_upload(count: int = 1, base: str = STORAGE) -> CreatedUpload:
    """Return that response as the client returns it."""
    return codec.decode(created(count, base), CreatedUpload)  # type: ignore[arg-type]  # it is JSON
