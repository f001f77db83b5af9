"""The operations in one table: what serves, authorizes, counts and describes each of them.

An operation is one `Route` here and its handler in `_handlers`; the OpenAPI description, the names
that faults refer to, rate limits and scopes follow from it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

import attrs

from pinterest_audiences.emulator import _handlers as handlers
from pinterest_audiences.emulator._calls import Call
from pinterest_audiences.emulator._http import Answer, ApiError
from pinterest_audiences.emulator._schemas import (
    IDENTIFIER,
    LISTING_QUERY,
    ORDER,
    OWNERSHIP_TYPE,
    PAGE_QUERY,
    Schema,
    page_of,
    reference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pinterest_audiences.emulator._rate_limits import Category

Auth = Literal["bearer", "basic", "optional", "none"]
"""What a request must carry.

`bearer`: the token of a user or an app. `basic`: the id and secret of an app. `optional`: nothing;
a token that is sent has its rate limits charged. `none`: nothing; a token is not looked at.
"""


@attrs.frozen(kw_only=True)
class Route:
    """One operation.

    Attributes:
        name: Its name, as in `AsyncClient`; Pinterest writes a slash before the verb.
        method: Its HTTP method.
        path: Its path, with the names of parameters in braces.
        handler: Answers a call; raises ApiError to refuse it.
        category: The rate category it draws on, or None for the safety net alone.
        auth: What a request must carry.
        scopes: The scopes that its token must have.
        for_apps: Whether the token of an app itself (client_credentials) is accepted.
        summary: What it does, for the description; None when it is not part of Pinterest's API.
        query: The schemas of the parameters in its query, by name.
        body: The name of the schema of its request body.
        is_form: Whether the body is a form instead of JSON.
        response: The schema of its answer; None for an answer without a body.
        creates: Whether the answer may also be 201.
    """

    name: str
    method: str
    path: str
    handler: Callable[[Call], Answer]
    category: Category | None = None
    auth: Auth = "bearer"
    scopes: tuple[str, ...] = ()
    for_apps: bool = False
    summary: str | None = None
    query: Mapping[str, Schema] = attrs.field(factory=dict[str, Schema], repr=False)
    body: str | None = None
    is_form: bool = False
    response: Schema | None = attrs.field(default=None, repr=False)
    creates: bool = False
    pieces: tuple[str, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "pieces", tuple(self.path.split("/")))

    def match(self, pieces: tuple[str, ...]) -> dict[str, str] | None:
        """Return the parameters that a path carries, or None when it is the path of another route.

        Args:
            pieces: The parts of the path between its slashes, decoded.

        Returns:
            Values by name.
        """
        if len(self.pieces) != len(pieces):
            return None
        parameters: dict[str, str] = {}
        for name, value in zip(self.pieces, pieces, strict=True):
            if name.startswith("{") and value:
                parameters[name.strip("{}")] = value
            elif name != value:
                return None
        return parameters


_ACCOUNTS = "/v5/ad_accounts"
_ACCOUNT = f"{_ACCOUNTS}/{{ad_account_id}}"
_LISTS = f"{_ACCOUNT}/customer_lists"
_LIST = f"{_LISTS}/{{customer_list_id}}"
_UPLOADS = f"{_LIST}/uploads"
_UPLOAD = f"{_UPLOADS}/{{customer_list_upload_id}}"
_AUDIENCES = f"{_ACCOUNT}/audiences"
_AUDIENCE = f"{_AUDIENCES}/{{audience_id}}"
_SEGMENTS = f"{_ACCOUNT}/customer_segments"
_READ = ("ads:read",)
_WRITE = ("ads:write",)

ROUTES: tuple[Route, ...] = (
    Route(
        name="customer_lists_create",
        method="POST",
        path=_LISTS,
        handler=handlers.customer_lists_create,
        category="ads_write",
        scopes=_WRITE,
        summary="Create a customer list",
        body="CustomerListCreate",
        creates=True,
        response=reference("CustomerList"),
    ),
    Route(
        name="customer_lists_list",
        method="GET",
        path=_LISTS,
        handler=handlers.customer_lists_list,
        category="ads_read",
        scopes=_READ,
        summary="List customer lists",
        query=LISTING_QUERY,
        response=page_of("CustomerList"),
    ),
    Route(
        name="customer_lists_get",
        method="GET",
        path=_LIST,
        handler=handlers.customer_lists_get,
        category="ads_read",
        scopes=_READ,
        for_apps=True,
        summary="Get a list",
        response=reference("CustomerList"),
    ),
    Route(
        name="customer_lists_update",
        method="PATCH",
        path=_LIST,
        handler=handlers.customer_lists_update,
        category="ads_write",
        scopes=_WRITE,
        summary="Add or remove records",
        body="CustomerListUpdate",
        response=reference("CustomerList"),
    ),
    Route(
        name="customer_list_uploads_create",
        method="POST",
        path=_UPLOADS,
        handler=handlers.customer_list_uploads_create,
        category="ads_write",
        scopes=_WRITE,
        summary="Create an upload",
        body="CustomerListUploadCreate",
        response=reference("CustomerListUploadCreated"),
    ),
    Route(
        name="customer_list_uploads_get",
        method="GET",
        path=_UPLOAD,
        handler=handlers.customer_list_uploads_get,
        category="ads_read",
        scopes=_READ,
        summary="Get an upload",
        response=reference("CustomerListUpload"),
    ),
    Route(
        name="customer_list_uploads_run",
        method="POST",
        path=f"{_UPLOAD}/run",
        handler=handlers.customer_list_uploads_run,
        category="ads_write",
        scopes=_WRITE,
        summary="Run an upload",
        response=reference("CustomerListUpload"),
    ),
    Route(
        name="audiences_create",
        method="POST",
        path=_AUDIENCES,
        handler=handlers.audiences_create,
        category="ads_write",
        scopes=_WRITE,
        summary="Create an audience",
        body="AudienceCreate",
        creates=True,
        response=reference("Audience"),
    ),
    Route(
        name="audiences_list",
        method="GET",
        path=_AUDIENCES,
        handler=handlers.audiences_list,
        category="ads_read",
        scopes=_READ,
        for_apps=True,
        summary="List audiences",
        query={**LISTING_QUERY, "ownership_type": OWNERSHIP_TYPE},
        response=page_of("Audience"),
    ),
    Route(
        name="audiences_get",
        method="GET",
        path=_AUDIENCE,
        handler=handlers.audiences_get,
        category="ads_read",
        scopes=_READ,
        for_apps=True,
        summary="Get an audience",
        response=reference("Audience"),
    ),
    Route(
        name="audiences_update",
        method="PATCH",
        path=_AUDIENCE,
        handler=handlers.audiences_update,
        category="ads_write",
        scopes=_WRITE,
        summary="Change or remove an audience",
        body="AudienceUpdate",
        response=reference("Audience"),
    ),
    Route(
        name="customer_segments_create",
        method="POST",
        path=_SEGMENTS,
        handler=handlers.customer_segments_create,
        category="ads_write",
        scopes=_WRITE,
        summary="Create a customer segment",
        body="CustomerSegmentCreate",
        response=reference("CustomerSegment"),
    ),
    Route(
        name="customer_segments_list",
        method="GET",
        path=_SEGMENTS,
        handler=handlers.customer_segments_list,
        category="ads_read",
        scopes=_READ,
        summary="List customer segments",
        query={**PAGE_QUERY, "order": ORDER},
        response=page_of("CustomerSegment"),
    ),
    Route(
        name="customer_segments_update",
        method="PATCH",
        path=_SEGMENTS,
        handler=handlers.customer_segments_update,
        category="ads_write",
        scopes=_WRITE,
        summary="Change or remove a customer segment",
        body="CustomerSegmentUpdate",
        response={"type": "null"},
    ),
    Route(
        name="customer_list_uploads_put",
        method="PUT",
        path="/_s3/customer-list-uploads/{upload_id}/{part_number}",
        handler=handlers.customer_list_uploads_put,
        auth="none",
    ),
    Route(
        name="ad_accounts_list",
        method="GET",
        path=_ACCOUNTS,
        handler=handlers.ad_accounts_list,
        category="ads_read",
        scopes=_READ,
        for_apps=True,
        summary="List ad accounts",
        query={**PAGE_QUERY, "include_shared_accounts": {"type": "boolean", "default": True}},
        response=page_of("AdAccount"),
    ),
    Route(
        name="ad_accounts_get",
        method="GET",
        path=_ACCOUNT,
        handler=handlers.ad_accounts_get,
        category="ads_read",
        scopes=_READ,
        for_apps=True,
        summary="Get an ad account",
        response=reference("AdAccount"),
    ),
    Route(
        name="user_account_get",
        method="GET",
        path="/v5/user_account",
        handler=handlers.user_account_get,
        category="org_read",
        scopes=("user_accounts:read",),
        for_apps=True,
        summary="Get the token's user",
        query={"ad_account_id": IDENTIFIER},
        response=reference("Account"),
    ),
    Route(
        name="oauth_authorize",
        method="GET",
        path="/oauth/",
        handler=handlers.oauth_authorize,
        auth="none",
    ),
    Route(
        name="oauth_token",
        method="POST",
        path="/v5/oauth/token",
        handler=handlers.oauth_token,
        category="org_read",
        auth="basic",
        summary="Exchange a code, a refresh token or an app's secret for an access token",
        body="OauthAccessTokenRequest",
        is_form=True,
        creates=True,
        response=reference("OauthAccessTokenResponse"),
    ),
    Route(
        name="token_revoke",
        method="POST",
        path="/v5/oauth/token/revoke",
        handler=handlers.token_revoke,
        category="org_write",
        auth="basic",
        summary="Revoke a token",
        body="TokenRevocationRequest",
        is_form=True,
    ),
)

OPERATION_NAMES = tuple(route.name for route in ROUTES)
"""The names of the operations, as in `AsyncClient`.

Pinterest has no names for the two that are not part of its API: the page where a user authorizes an
app, and the storage that receives the parts of an upload.
"""


def split_path(path: str) -> tuple[str, ...]:
    """Split a path.

    Args:
        path: A path, percent-encoded.

    Returns:
        The parts between its slashes, decoded.
    """
    return tuple(unquote(piece, errors="replace") for piece in path.split("/"))


def find_route(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """Find the operation of a request.

    Args:
        method: The request's method.
        path: Its path, percent-encoded.

    Returns:
        The route and the parameters in the path. For an unknown path, or a method that its path
        does not have, it is a route without a name that refuses with 404 or with 405.
    """
    pieces = split_path(path)
    by_method = {
        route.method: (route, parameters)
        for route in ROUTES
        if (parameters := route.match(pieces)) is not None
    }
    if method in by_method:
        return by_method[method]
    handler = partial(_not_allowed, tuple(sorted(by_method))) if by_method else _not_found
    return Route(name="", method=method, path=path, handler=handler, auth="optional"), {}


def _not_found(_: Call) -> Answer:
    raise ApiError(404, 404, "Not found.")


def _not_allowed(methods: tuple[str, ...], _: Call) -> Answer:
    raise ApiError(405, 5, "Method not allowed", (("allow", ", ".join(methods)),))
