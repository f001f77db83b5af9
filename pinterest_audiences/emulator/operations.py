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
    ("PUT", "/_s3/customer-list-uploads/{upload_id}/{part_number}"): "customer_list_uploads_put",
    ("GET", "/v5/ad_accounts"): "ad_accounts_list",
    ("GET", _ACCOUNT): "ad_accounts_get",
    ("GET", "/v5/user_account"): "user_account_get",
    ("GET", "/oauth/"): "oauth_authorize",
    ("POST", "/v5/oauth/token"): "oauth_token",
    ("POST", "/v5/oauth/token/revoke"): "token_revoke",
}
"""Each operation by its method and the template of its path.

Pinterest has no names for the two that are no part of its API: the page where a user lets an app
in, and the storage that takes the parts of an upload.
"""

OPERATION_NAMES = tuple(OPERATIONS.values())
