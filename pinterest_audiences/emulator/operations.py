"""The names of the operations, as Pinterest's description and the clients have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACCOUNT = "/v5/ad_accounts/{ad_account_id}"
_LISTS = f"{_ACCOUNT}/customer_lists"
_LIST = f"{_LISTS}/{{customer_list_id}}"
_UPLOADS = f"{_LIST}/uploads"
_UPLOAD = f"{_UPLOADS}/{{customer_list_upload_id}}"
_AUDIENCES = f"{_ACCOUNT}/audiences"
_AUDIENCE = f"{_AUDIENCES}/{{audience_id}}"

OPERATIONS: Mapping[tuple[str, str], str] = {
    ("POST", _LISTS): "customer_lists_create",
    ("GET", _LISTS): "customer_lists_list",
    ("GET", _LIST): "customer_lists_get",
    ("PATCH", _LIST): "customer_lists_update",
    ("POST", _UPLOADS): "customer_list_uploads_create",
    ("GET", _UPLOAD): "customer_list_uploads_get",
    ("POST", f"{_UPLOAD}/run"): "customer_list_uploads_run",
    ("POST", _AUDIENCES): "audiences_create",
    ("GET", _AUDIENCES): "audiences_list",
    ("GET", _AUDIENCE): "audiences_get",
    ("PATCH", _AUDIENCE): "audiences_update",
    ("POST", "/v5/oauth/token"): "oauth_token",
    ("POST", "/v5/oauth/token/revoke"): "token_revoke",
}
"""Each operation by its method and the template of its path."""

OPERATION_NAMES = tuple(OPERATIONS.values())
