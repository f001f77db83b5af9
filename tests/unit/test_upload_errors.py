"""The exceptions of uploads: their hierarchy and copies."""

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
    _errors,
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


def test_hierarchy_matches_the_tree_in_the_docstring() -> None:
    """With a sample of each in these tests."""
    assert UploadError.__bases__ == (CallError,)
    assert UploadTimeoutError.__bases__ == (UploadError, TimeoutError)
    assert UploadsUnavailableError.__bases__ == (APIError,)
    assert {type(error).__name__ for error in ERRORS} == {
        name for name in _errors.__all__ if name.startswith("Upload")
    }
    for name in _errors.__all__:
        assert name in (_errors.__doc__ or "")


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
def test_copied_or_pickled_error_keeps_class_text_and_attributes(
    error: PinterestAudiencesError, copied: Callable[[BaseException], BaseException]
) -> None:
    twin = copied(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error) != ""
    assert vars(twin) == vars(error)


def test_upload_error_has_its_arguments_and_no_unknown_values() -> None:
    for error in ERRORS[:2]:
        assert {name: getattr(error, name) for name in PARTS} == PARTS
    bare = UploadError("what happened")
    assert (bare.upload, bare.part_number, bare.status) == (None, None, None)
