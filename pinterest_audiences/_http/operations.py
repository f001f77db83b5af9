"""The operations of the API as a table: methods, paths, rate categories, scopes, models.

Adding an endpoint takes a row here, a model, and a method of the client. The source of every row is
Pinterest's API description, including ``x-ratelimit-category`` and ``security``.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from attrs import evolve, field, frozen

from pinterest_audiences import _models as models
from pinterest_audiences._credentials import AppCredentials, OAuthToken
from pinterest_audiences._errors import CallContext, ConfigurationError

# The rows of the table are used as `operations.NAME`.
__all__ = ["Call", "Operation", "is_id", "validate_id"]

T = TypeVar("T")
# "string, ^\d+$, maxLength 18" for every id of the description.
_ID = re.compile(r"[0-9]{1,18}")
_ID_LIMIT = 10**18


@frozen
class Operation(Generic[T]):
    """One operation of the API.

    Attributes:
        name: The method of the client.
        method: The HTTP method.
        path: The path below the base URL, with placeholders for ids.
        category: Its rate limit category.
        scope: The OAuth scope it needs.
        idempotent: Whether sending it twice has the same effect as once, so that it can be
            retried when it is unknown whether it was applied.
        response_model: The model of its response.
    """

    name: str
    method: str
    path: str
    category: str
    scope: str
    idempotent: bool
    response_model: type[T]

    @property
    def changes(self) -> bool:
        """Whether it changes data at Pinterest."""
        return self.method != "GET"

    def call(
        self,
        ids: Mapping[str, str | int],
        *,
        query: Mapping[str, str] | None = None,
        body: tuple[bytes, ...] = (),
    ) -> Call[T]:
        """Return a call with these ids, query and body.

        Raises:
            ConfigurationError: An id is not a string of 1 to 18 digits.
        """
        path = self.path.format_map({name: validate_id(name, value) for name, value in ids.items()})
        return Call(self, path, query or {}, body)


@frozen
class Call(Generic[T]):
    """One operation with its path, query and body, which is a tuple of chunks.

    A call with an ``app`` uses HTTP Basic instead of a token, and its body is a form.
    """

    operation: Operation[T]
    path: str
    query: Mapping[str, str | Sequence[str]] = field(repr=False)
    body: tuple[bytes, ...] = field(repr=False)
    app: AppCredentials | None = None

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return "application/json" if self.app is None else "application/x-www-form-urlencoded"

    def authorization(self, token: str) -> str:
        """Return the value of the Authorization header."""
        if self.app is None:
            return f"Bearer {token}"
        pair = f"{self.app.app_id}:{self.app.app_secret}"
        return f"Basic {b64encode(pair.encode()).decode()}"

    def error_context(self, *, attempts: int, maybe_applied: bool) -> CallContext:
        """Return what every error of this call contains."""
        return {
            "operation": self.operation.name,
            "method": self.operation.method,
            "path": self.path,
            "attempts": attempts,
            "maybe_applied": maybe_applied,
        }

    def with_query(self, **more: str) -> Call[T]:
        """Return a copy of the call with more query parameters."""
        return evolve(self, query={**self.query, **more})


def is_id(reference: object) -> bool:
    """Return whether an id or a name is an id: a number, or a string of digits."""
    return not isinstance(reference, str) or (reference.isascii() and reference.isdigit())


def validate_id(name: str, value: object) -> str:
    """Return an id as a string.

    Raises:
        ConfigurationError: It is not a string of 1 to 18 digits.
    """
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _ID_LIMIT
    text = str(value) if whole else value
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise ConfigurationError(
            f"{name} must be a string of 1 to 18 digits, as shown by Pinterest", param=name
        )
    return text


_AD_ACCOUNT = "/ad_accounts/{ad_account_id}"
_LISTS = _AD_ACCOUNT + "/customer_lists"
_LIST = _LISTS + "/{customer_list_id}"
_UPLOADS = _LIST + "/uploads"
_UPLOAD = _UPLOADS + "/{customer_list_upload_id}"
_AUDIENCES = _AD_ACCOUNT + "/audiences"
_AUDIENCE = _AUDIENCES + "/{audience_id}"
_SEGMENTS = _AD_ACCOUNT + "/customer_segments"

CUSTOMER_LISTS_CREATE = Operation(
    name="customer_lists_create",
    method="POST",
    path=_LISTS,
    category="ads_write",
    scope="ads:write",
    idempotent=False,  # no idempotency key, and names are not unique
    response_model=models.CustomerList,
)
CUSTOMER_LISTS_LIST = Operation(
    name="customer_lists_list",
    method="GET",
    path=_LISTS,
    category="ads_read",
    scope="ads:read",
    idempotent=True,
    response_model=models.Page[models.CustomerList],
)
CUSTOMER_LISTS_GET = Operation(
    name="customer_lists_get",
    method="GET",
    path=_LIST,
    category="ads_read",
    scope="ads:read",
    idempotent=True,
    response_model=models.CustomerList,
)
CUSTOMER_LISTS_UPDATE = Operation(
    name="customer_lists_update",
    method="PATCH",
    path=_LIST,
    category="ads_write",
    scope="ads:write",
    idempotent=True,  # ADD and REMOVE change a set; only counters change twice
    response_model=models.CustomerList,
)
CUSTOMER_LIST_UPLOADS_CREATE = Operation(
    name="customer_list_uploads_create",
    method="POST",
    path=_UPLOADS,
    category="ads_write",
    scope="ads:write",
    idempotent=False,  # each call creates an upload
    response_model=models.CreatedUpload,
)
CUSTOMER_LIST_UPLOADS_RUN = Operation(
    name="customer_list_uploads_run",
    method="POST",
    path=_UPLOAD + "/run",
    category="ads_write",
    scope="ads:write",
    idempotent=False,  # the effect of a second run is not documented
    response_model=models.CustomerListUpload,
)
CUSTOMER_LIST_UPLOADS_GET = Operation(
    name="customer_list_uploads_get",
    method="GET",
    path=_UPLOAD,
    category="ads_read",
    scope="ads:read",
    idempotent=True,
    response_model=models.CustomerListUpload,
)
AUDIENCES_CREATE = Operation(
    name="audiences_create",
    method="POST",
    path=_AUDIENCES,
    category="ads_write",
    scope="ads:write",
    idempotent=False,  # no idempotency key
    response_model=models.Audience,
)
AUDIENCES_LIST = Operation(
    name="audiences_list",
    method="GET",
    path=_AUDIENCES,
    category="ads_read",
    scope="ads:read",
    idempotent=True,
    response_model=models.Page[models.Audience],
)
AUDIENCES_GET = Operation(
    name="audiences_get",
    method="GET",
    path=_AUDIENCE,
    category="ads_read",
    scope="ads:read",
    idempotent=True,
    response_model=models.Audience,
)
AUDIENCES_UPDATE = Operation(
    name="audiences_update",
    method="PATCH",
    path=_AUDIENCE,
    category="ads_write",
    scope="ads:write",
    idempotent=True,  # sets values; a second REMOVE has no effect
    response_model=models.Audience,
)
# Of 5.28: path, method, scopes and fields are known from a generated client. It does not show the
# rate category, which is assumed to be the same as for audiences.
CUSTOMER_SEGMENTS_CREATE = Operation(
    name="customer_segments_create",
    method="POST",
    path=_SEGMENTS,
    category="ads_write",
    scope="ads:write",
    idempotent=False,  # no idempotency key, and names are not unique
    response_model=models.CustomerSegment,
)
CUSTOMER_SEGMENTS_LIST = Operation(
    name="customer_segments_list",
    method="GET",
    path=_SEGMENTS,
    category="ads_read",
    scope="ads:read",
    idempotent=True,
    response_model=models.Page[models.CustomerSegment],
)
CUSTOMER_SEGMENTS_UPDATE = Operation(
    name="customer_segments_update",
    method="PATCH",
    path=_SEGMENTS,  # the id is in the body
    category="ads_write",
    scope="ads:write",
    idempotent=True,  # sets values; a second REMOVE has no effect
    response_model=type(None),  # the recorded response is null
)
OAUTH_TOKEN = Operation(
    name="oauth_token",
    method="POST",
    path="/oauth/token",
    category="org_read",
    scope="",
    idempotent=False,  # a repeated code may revoke the first tokens
    response_model=OAuthToken,
)
TOKEN_REVOKE = Operation(
    name="token_revoke",
    method="POST",
    path="/oauth/token/revoke",
    category="org_write",
    scope="",
    idempotent=True,
    response_model=type(None),
)
AD_ACCOUNTS_LIST = Operation(
    name="ad_accounts_list",
    method="GET",
    path="/ad_accounts",
    category="ads_read",
    scope="ads:read",
    idempotent=True,
    response_model=models.Page[models.AdAccount],
)
AD_ACCOUNTS_GET = Operation(
    name="ad_accounts_get",
    method="GET",
    path=_AD_ACCOUNT,
    category="ads_read",
    scope="ads:read",
    idempotent=True,
    response_model=models.AdAccount,
)
USER_ACCOUNT_GET = Operation(
    name="user_account_get",
    method="GET",
    path="/user_account",
    category="org_read",
    scope="user_accounts:read",
    idempotent=True,
    response_model=models.UserAccount,
)
