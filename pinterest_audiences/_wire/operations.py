"""Each call of the API as data: the one place that knows methods and paths.

To add an endpoint is to add a row here, a model and a method on the clients; nothing else changes.
Source of every row: Pinterest's API description (``x-ratelimit-category`` and ``security`` too).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import evolve, field, frozen

from pinterest_audiences.auth.credentials import AppCredentials, OAuthToken
from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.models import (
    Audience,
    CreatedUpload,
    CustomerList,
    CustomerListUpload,
    Page,
    UserAccount,
)

__all__ = [
    "AUDIENCES_CREATE",
    "AUDIENCES_GET",
    "AUDIENCES_LIST",
    "AUDIENCES_UPDATE",
    "CUSTOMER_LISTS_CREATE",
    "CUSTOMER_LISTS_GET",
    "CUSTOMER_LISTS_LIST",
    "CUSTOMER_LISTS_UPDATE",
    "CUSTOMER_LIST_UPLOADS_CREATE",
    "CUSTOMER_LIST_UPLOADS_GET",
    "CUSTOMER_LIST_UPLOADS_RUN",
    "OAUTH_TOKEN",
    "TOKEN_REVOKE",
    "USER_ACCOUNT_GET",
    "Call",
    "Operation",
    "checked_id",
]

T = TypeVar("T")

# "string, ^\d+$, maxLength 18" for every id of the description.
_ID = re.compile(r"[0-9]{1,18}")
_END_OF_IDS = 10**18


@frozen
class Operation(Generic[T]):
    """One operation of the API.

    Attributes:
        name: The client's method.
        method: The HTTP method.
        path: Below the base URL, with the ids to fill in.
        category: The rate category it is counted in.
        scope: The OAuth scope it needs.
        repeatable: Whether sending it twice does what sending it once does, so that it may be
            sent again when nobody knows whether it arrived.
        answer: The model of its answer.
    """

    name: str
    method: str
    path: str
    category: str
    scope: str
    repeatable: bool
    answer: type[T]

    @property
    def changes(self) -> bool:
        """Whether it changes anything at Pinterest."""
        return self.method != "GET"

    def call(
        self,
        ids: Mapping[str, str | int],
        *,
        query: Mapping[str, str] | None = None,
        body: tuple[bytes, ...] = (),
    ) -> Call[T]:
        """Fill in the ids.

        Raises:
            ConfigurationError: An id is not a string of 1 to 18 digits.
        """
        path = self.path.format_map({name: checked_id(name, value) for name, value in ids.items()})
        return Call(self, path, query or {}, body)


@frozen
class Call(Generic[T]):
    """One operation with everything that its request is made of; the body comes in pieces.

    One with an ``app`` is the app's own: HTTP Basic instead of a token, and a form for a body.
    """

    operation: Operation[T]
    path: str
    query: Mapping[str, str] = field(repr=False)
    body: tuple[bytes, ...] = field(repr=False)
    app: AppCredentials | None = None

    @property
    def content_type(self) -> str:
        """What the body is."""
        return "application/json" if self.app is None else "application/x-www-form-urlencoded"

    def authorization(self, token: str) -> str:
        """Return the header's value."""
        if self.app is None:
            return f"Bearer {token}"
        pair = f"{self.app.app_id}:{self.app.app_secret}"
        return f"Basic {b64encode(pair.encode()).decode()}"

    def with_query(self, **more: str) -> Call[T]:
        """Return the same call with more in its query."""
        return evolve(self, query={**self.query, **more})


def checked_id(name: str, value: object) -> str:
    """Return an id as it is sent.

    Raises:
        ConfigurationError: It is not a string of 1 to 18 digits.
    """
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _END_OF_IDS
    text = str(value) if whole else value
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise ConfigurationError(
            f"{name}: a string of 1 to 18 digits is needed, as Pinterest shows it"
        )
    return text


_LISTS = "/ad_accounts/{ad_account_id}/customer_lists"
_LIST = _LISTS + "/{customer_list_id}"
_UPLOADS = _LIST + "/uploads"
_UPLOAD = _UPLOADS + "/{customer_list_upload_id}"
_AUDIENCES = "/ad_accounts/{ad_account_id}/audiences"
_AUDIENCE = _AUDIENCES + "/{audience_id}"

CUSTOMER_LISTS_CREATE = Operation(
    name="customer_lists_create",
    method="POST",
    path=_LISTS,
    category="ads_write",
    scope="ads:write",
    repeatable=False,  # no idempotency key and no unique names: twice makes two lists
    answer=CustomerList,
)
CUSTOMER_LISTS_LIST = Operation(
    name="customer_lists_list",
    method="GET",
    path=_LISTS,
    category="ads_read",
    scope="ads:read",
    repeatable=True,
    answer=Page[CustomerList],
)
CUSTOMER_LISTS_GET = Operation(
    name="customer_lists_get",
    method="GET",
    path=_LIST,
    category="ads_read",
    scope="ads:read",
    repeatable=True,
    answer=CustomerList,
)
CUSTOMER_LISTS_UPDATE = Operation(
    name="customer_lists_update",
    method="PATCH",
    path=_LIST,
    category="ads_write",
    scope="ads:write",
    repeatable=True,  # ADD and REMOVE act on a set; only the counters count twice
    answer=CustomerList,
)
CUSTOMER_LIST_UPLOADS_CREATE = Operation(
    name="customer_list_uploads_create",
    method="POST",
    path=_UPLOADS,
    category="ads_write",
    scope="ads:write",
    repeatable=False,  # each makes an upload of its own
    answer=CreatedUpload,
)
CUSTOMER_LIST_UPLOADS_RUN = Operation(
    name="customer_list_uploads_run",
    method="POST",
    path=_UPLOAD + "/run",
    category="ads_write",
    scope="ads:write",
    repeatable=False,  # what a second run does is not documented
    answer=CustomerListUpload,
)
CUSTOMER_LIST_UPLOADS_GET = Operation(
    name="customer_list_uploads_get",
    method="GET",
    path=_UPLOAD,
    category="ads_read",
    scope="ads:read",
    repeatable=True,
    answer=CustomerListUpload,
)
AUDIENCES_CREATE = Operation(
    name="audiences_create",
    method="POST",
    path=_AUDIENCES,
    category="ads_write",
    scope="ads:write",
    repeatable=False,  # no idempotency key: twice makes two audiences
    answer=Audience,
)
AUDIENCES_LIST = Operation(
    name="audiences_list",
    method="GET",
    path=_AUDIENCES,
    category="ads_read",
    scope="ads:read",
    repeatable=True,
    answer=Page[Audience],
)
AUDIENCES_GET = Operation(
    name="audiences_get",
    method="GET",
    path=_AUDIENCE,
    category="ads_read",
    scope="ads:read",
    repeatable=True,
    answer=Audience,
)
AUDIENCES_UPDATE = Operation(
    name="audiences_update",
    method="PATCH",
    path=_AUDIENCE,
    category="ads_write",
    scope="ads:write",
    repeatable=True,  # it sets values; a second REMOVE finds nothing left to remove
    answer=Audience,
)
OAUTH_TOKEN = Operation(
    name="oauth_token",
    method="POST",
    path="/oauth/token",
    category="org_read",
    scope="",
    repeatable=False,  # a code that comes twice may take back what it was given for at first
    answer=OAuthToken,
)
TOKEN_REVOKE = Operation(
    name="token_revoke",
    method="POST",
    path="/oauth/token/revoke",
    category="org_write",
    scope="",
    repeatable=True,
    answer=type(None),
)
USER_ACCOUNT_GET = Operation(
    name="user_account_get",
    method="GET",
    path="/user_account",
    category="org_read",
    scope="user_accounts:read",
    repeatable=True,
    answer=UserAccount,
)
