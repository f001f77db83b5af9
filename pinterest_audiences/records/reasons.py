"""Why a row became no record, and what is worth knowing about those that did."""

from __future__ import annotations

from attrs import frozen

from pinterest_audiences.models import OpenEnum

__all__ = ["Fault", "Note", "RejectReason"]


class RejectReason(OpenEnum):
    """Why a row, or a cell of it, is left out.

    A report written by a newer version of the package may hold reasons that this one does not
    know; they are kept as they are.
    """

    # The source
    RAGGED_ROW = "ragged_row"
    BAD_QUOTING = "bad_quoting"
    LINE_TOO_LONG = "line_too_long"
    BAD_JSON = "bad_json"
    NOT_A_ROW = "not_a_row"
    # Any value
    EMPTY = "empty"
    NOT_TEXT = "not_text"
    TOO_LONG = "too_long"
    LONE_SURROGATE = "lone_surrogate"
    CONTROL_CHARACTER = "control_character"
    INVISIBLE_CHARACTER = "invisible_character"
    SPACE_INSIDE = "space_inside"
    FORBIDDEN_CHARACTER = "forbidden_character"
    PLACEHOLDER = "placeholder"
    # Hashes
    HASH_OF_NOTHING = "hash_of_nothing"
    HASH_OF_PLACEHOLDER = "hash_of_placeholder"
    UNSUPPORTED_HASH = "unsupported_hash"
    NOT_A_HASH = "not_a_hash"
    # E-mails
    NO_AT_SIGN = "no_at_sign"
    SEVERAL_AT_SIGNS = "several_at_signs"
    NO_LOCAL_PART = "no_local_part"
    LOCAL_PART_TOO_LONG = "local_part_too_long"
    DOMAIN_WITHOUT_DOT = "domain_without_dot"
    BAD_DOMAIN = "bad_domain"
    # Other identifiers
    NOT_A_MOBILE_ID = "not_a_mobile_id"
    ALL_ZERO_ID = "all_zero_id"
    PHONE_FORM_NOT_CHOSEN = "phone_form_not_chosen"
    PHONE_WITHOUT_COUNTRY_CODE = "phone_without_country_code"
    NOT_A_PHONE_NUMBER = "not_a_phone_number"
    NOT_AN_IP_ADDRESS = "not_an_ip_address"
    NOT_BASE64 = "not_base64"


class Note(OpenEnum):
    """Something about a value that became a record all the same."""

    UPPER_CASE_HASH = "upper_case_hash"
    RESERVED_DOMAIN = "reserved_domain"
    MAYBE_UNDASHED_ID = "maybe_undashed_id"


@frozen
class Fault:
    """A row that its source could not read; it stands among the values in the row's place."""

    reason: RejectReason
