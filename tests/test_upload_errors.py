"""What the exceptions of uploads promise: a tree as drawn, and copies that are whole."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from pinterest_audiences import (
    APIError,
    CallError,
    CustomerListUpload,
    PinterestAudiencesError,
    UploadError,
    UploadsUnavailableError,
    UploadTimeoutError,
    upload_errors,
)

PARTS: dict[str, object] = {
    "upload": CustomerListUpload(id="7"),
    "part_number": 2,
    "status": 403,
    "operation": "put_file_parts",
    "method": "PUT",
    "path": "/somewhere",
    "attempts": 3,
    "maybe_applied": True,
}
ERRORS: list[PinterestAudiencesError] = [
    UploadError("what happened; what to do", **PARTS),  # type: ignore[arg-type]
    UploadTimeoutError("what happened; what to do", **PARTS),  # type: ignore[arg-type]
    UploadsUnavailableError(status=403, code=29, message="No.", hint="do otherwise"),
]
every_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


def test_the_tree_is_as_drawn() -> None:
    """And none is missing in these tests."""
    assert UploadError.__bases__ == (CallError,)
    assert UploadTimeoutError.__bases__ == (UploadError, TimeoutError)
    assert UploadsUnavailableError.__bases__ == (APIError,)
    assert {type(error).__name__ for error in ERRORS} == set(upload_errors.__all__)
    for name in upload_errors.__all__:
        assert name in (upload_errors.__doc__ or "")


@every_error
@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_a_copy_is_whole(
    error: PinterestAudiencesError, copied: Callable[[BaseException], BaseException]
) -> None:
    """Copied or pickled, an exception keeps its class, its text and every attribute."""
    twin = copied(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error) != ""
    assert vars(twin) == vars(error)


def test_an_upload_error_has_what_it_was_given() -> None:
    """And nothing of an upload where nothing is known."""
    for error in ERRORS[:2]:
        assert {name: getattr(error, name) for name in PARTS} == PARTS
    bare = UploadError("what happened")
    assert (bare.upload, bare.part_number, bare.status) == (None, None, None)
