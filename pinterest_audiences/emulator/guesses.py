"""What Pinterest has not published of its API, as switches.

Everything here has a default because an emulator must do something. A client that works with the
default alone has been tested against our guess, not against Pinterest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinterest_audiences.emulator.shelves import Order

_positive = attrs.validators.gt(0)


@attrs.frozen(kw_only=True)
class Guesses:
    """How the emulator behaves where Pinterest's description is silent.

    Attributes:
        default_order: The order of lists and audiences when none is asked for.
        not_found_code: Pinterest's code in the 404 of an account, list, audience or upload.
        refused_requests_count: Whether a request that was answered with 429 draws on its budgets.
        refuse_small_audiences: Whether audiences/create refuses a list with fewer than 100
            matched members, instead of making an audience that is TOO_SMALL.
        other_audience_size: The size of an audience that is not made of a customer list.
        presigned_seconds: How long an address for a part of an upload may be used.
        smallest_part_bytes: What every part of an upload but its last must have. 5 MB is
            published; a test may want less.
        second_run: What customer_list_uploads/run answers the second time: the upload as it is,
            or a 400.
        bad_upload: What becomes of a run whose parts are missing, empty or too small: it is
            refused with 400, or the upload ends as FAILED.
        is_valid_record: Says whether a record of an upload is valid; None takes digests of 32, 40
            or 64 digits and addresses with an "@", and for LR_ID and DLX_ID lists anything.
        access_token_seconds: How long an access token lives. 30 days are what clients saw.
        refresh_token_seconds: How long a refresh token lives. 60 days are published.
        code_seconds: How long an authorization code may be exchanged.
        refresh_tokens_rotate: Whether a refresh answers with a new refresh token, after which
            the old one is worth nothing; else the old one lives on.
        invalid_grant_status: The status for a code or refresh token that is not, or no longer,
            valid: 400 with code 1, or 401 with code 2.
        revocable: Whose tokens may be revoked: only those of system users, as is published, or
            any.
        users_consent: Whether a user who is led to the login page lets the app in.
    """

    default_order: Order = attrs.field(
        default="DESCENDING", validator=attrs.validators.in_(("ASCENDING", "DESCENDING"))
    )
    not_found_code: int = 404
    refused_requests_count: bool = False
    refuse_small_audiences: bool = False
    other_audience_size: int = attrs.field(default=10_000, validator=attrs.validators.ge(0))
    presigned_seconds: int = attrs.field(default=3_600, validator=_positive)
    smallest_part_bytes: int = attrs.field(default=5 * 1024 * 1024, validator=_positive)
    second_run: Literal["answer", "refuse"] = attrs.field(
        default="answer", validator=attrs.validators.in_(("answer", "refuse"))
    )
    bad_upload: Literal["refuse", "fail"] = attrs.field(
        default="refuse", validator=attrs.validators.in_(("refuse", "fail"))
    )
    is_valid_record: Callable[[str], bool] | None = None
    access_token_seconds: int = attrs.field(default=2_592_000, validator=_positive)
    refresh_token_seconds: int = attrs.field(default=5_184_000, validator=_positive)
    code_seconds: int = attrs.field(default=600, validator=_positive)
    refresh_tokens_rotate: bool = True
    invalid_grant_status: Literal[400, 401] = attrs.field(
        default=400, validator=attrs.validators.in_((400, 401))
    )
    revocable: Literal["system_users", "any"] = attrs.field(
        default="system_users", validator=attrs.validators.in_(("system_users", "any"))
    )
    users_consent: bool = True
