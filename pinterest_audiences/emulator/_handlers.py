"""The handlers of the operations: from a request to an answer.

Where Pinterest's description is silent, the order of checks is assumed: ids before existence,
existence before the body.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from hashlib import blake2b
from html import escape
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode, urlsplit

from pinterest_audiences.emulator._audiences import COMPANY_NAME
from pinterest_audiences.emulator._calls import (
    Call,
    choice,
    decode_bookmark,
    flag,
    is_identifier,
    order,
    page_size,
    parse_query,
)
from pinterest_audiences.emulator._customer_lists import MINIMUM_MATCHED
from pinterest_audiences.emulator._http import Answer, ApiError, invalid
from pinterest_audiences.emulator._request_bodies import (
    invalid_audience,
    read_audience,
    read_audience_update,
    read_body,
    read_create,
    read_update,
    read_upload,
)
from pinterest_audiences.emulator._schemas import OWNERSHIP_TYPE, SCHEMAS, expectation, matches
from pinterest_audiences.emulator._tokens import SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinterest_audiences.emulator._audiences import AudienceState, OwnershipType
    from pinterest_audiences.emulator._paging import Order
    from pinterest_audiences.emulator._tokens import IssuedTokens
    from pinterest_audiences.emulator._uploads import UploadState

_STORAGE_NUMBER = re.compile(r"[0-9]{1,15}")

# The wording of Pinterest; the first was seen by a third party.
_RESTRICTED = "Your application does not have access to this restricted feature."
_FORBIDDEN = "You are not permitted to access that resource."

# The recorded answer to customer_segments/update. Assumed: the audiences of a segment must exist,
# and REMOVE takes the segment out of listings.
_JSON_NULL = Answer(status=200, content=b"null", headers=(("content-type", "application/json"),))

_CONSENT_HEADERS = (
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    ),
)
_CONSENT_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pinterest emulator: give access</title>
<style>body {{ font: 1rem/1.5 sans-serif; margin: 2rem auto; max-width: 32rem; padding: 0 1rem }}
button {{ font: inherit; padding: .4rem 1rem }}</style>
<h1>Give access?</h1>
<p>The app {app} asks for access to the emulated account: {scopes}.</p>
<p>This is the emulator, not Pinterest. The answer goes to {target}</p>
<form action="/oauth/">{fields}
<button name="consent" value="allow">Give access</button>
<button name="consent" value="deny">Cancel</button>
</form>
</html>
"""

# The emulated Pinterest has one user, who owns every ad account. Names and numbers are invented.
_USER_ID = "1099300727700000001"  # users have 19 digits
_USERNAME = "emulator"
_CREATED_TIME = 1_577_836_800  # 2020-01-01

# Printable and without spaces, or it could not be sent in a header.
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:[!-~]+")


def customer_lists_create(call: Call) -> Answer:
    account, customer_lists = call.account(), call.backend.customer_lists
    body = read_create(call.request.body, call.backend.assumptions)
    created = customer_lists.create(
        account,
        name=body.name,
        members=body.members,
        list_type=body.list_type,
        is_nca=body.is_nca,
    )
    return Answer(status=call.backend.create_status, payload=customer_lists.show(created))


def customer_lists_list(call: Call) -> Answer:
    account, backend, query = call.account(), call.backend, call.query()
    size = page_size(query.get("page_size"))
    in_order = order(query.get("order"), backend.assumptions.default_order)
    exclude_nca = flag("exclude_nca", query.get("exclude_nca"))
    page = backend.customer_lists.page(
        account,
        order=in_order,
        after=decode_bookmark(call, account, in_order),
        size=size,
        exclude_nca=exclude_nca,
    )
    items = [backend.customer_lists.show(item, in_listing=True) for item in page.lists]
    # A page with a next one is never empty, so it has a last list.
    last = page.lists[-1].id if page.more else None
    return _page(call, items, account, in_order, last)


def customer_lists_get(call: Call) -> Answer:
    return Answer(status=200, payload=call.backend.customer_lists.show(call.customer_list()))


def customer_lists_update(call: Call) -> Answer:
    customer_list, customer_lists = call.customer_list(), call.backend.customer_lists
    body = read_update(call.request.body, customer_list.list_type, call.backend.assumptions)
    customer_lists.update(customer_list, body.operation_type, body.members)
    return Answer(status=200, payload=customer_lists.show(customer_list))


class S3Error(ApiError):
    """A refusal in the form of S3: a status, and XML with a code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, status, message)
        content = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        )
        self.answer: Answer = Answer(
            status=status, content=content.encode(), headers=(("content-type", "application/xml"),)
        )


def customer_list_uploads_create(call: Call) -> Answer:
    _check_access(call)
    customer_list = call.customer_list()
    body = read_upload(call.request.body)
    uploads = call.backend.uploads
    upload = uploads.create(customer_list, body.operation, body.total_parts)
    parts = [
        {"part_number": number, "presigned_url": _presign(call, upload, number)}
        for number in range(1, body.total_parts + 1)
    ]
    payload = {
        "customer_list_upload": uploads.show(upload),
        "s3_multipart_upload_data": {"file_parts": parts},
    }
    return Answer(status=200, payload=payload)


def customer_list_uploads_get(call: Call) -> Answer:
    _check_access(call)
    return Answer(status=200, payload=call.backend.uploads.show(_upload(call)))


def customer_list_uploads_run(call: Call) -> Answer:
    _check_access(call)
    upload, backend = _upload(call), call.backend
    if upload.status != "NOT_STARTED":
        if backend.assumptions.second_run == "refuse":
            raise invalid("The upload has been run already.")
        return Answer(status=200, payload=backend.uploads.show(upload))
    problem = backend.uploads.problem_of(upload)
    if problem is not None and backend.assumptions.bad_upload == "refuse":
        raise invalid(problem)
    backend.uploads.run(upload)
    return Answer(status=200, payload=backend.uploads.show(upload))


def _upload(call: Call) -> UploadState:
    customer_list = call.customer_list()
    upload = call.backend.uploads.find(call.parameters["customer_list_upload_id"])
    if upload is None or upload.customer_list_id != str(customer_list.id):
        raise call.not_found("Customer list upload")
    return upload


def _check_access(call: Call) -> None:
    if call.backend.uploads_access == "restricted":
        raise ApiError(401, 3, _RESTRICTED)
    if call.backend.uploads_access == "forbidden":
        raise ApiError(403, 29, _FORBIDDEN)


def _presign(call: Call, upload: UploadState, number: int) -> str:
    backend = call.backend
    expires = int(backend.clock()) + backend.assumptions.presigned_seconds
    signed = {"partNumber": number, "uploadId": upload.id, "Expires": expires}
    query = urlencode({**signed, "Signature": _sign(call, upload.id, number, expires)})
    return f"{call.request.origin}/_s3/customer-list-uploads/{upload.id}/{number}?{query}"


def _sign(call: Call, upload_id: int, number: int, expires: int) -> str:
    message = f"{upload_id} {number} {expires}".encode()
    return blake2b(message, key=call.backend.storage_key, digest_size=24).hexdigest()


def customer_list_uploads_put(call: Call) -> Answer:
    # S3 accepts a signature in the URL or in a header, never both.
    if "authorization" in call.request.headers:
        raise S3Error(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
            "query string parameter or the Authorization header should be specified",
        )
    backend, query = call.backend, parse_query(call.request.query)
    upload_id, number = call.parameters["upload_id"], call.parameters["part_number"]
    expires = query.get("Expires", "")
    if not all(map(_STORAGE_NUMBER.fullmatch, (upload_id, number, expires))):
        raise S3Error(403, "AccessDenied", "Access Denied")
    if query.get("Signature") != _sign(call, int(upload_id), int(number), int(expires)):
        raise S3Error(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )
    if backend.clock() >= int(expires):
        raise S3Error(403, "AccessDenied", "Request has expired")
    upload = backend.uploads.find(upload_id)
    if upload is None or upload.status != "NOT_STARTED":
        raise S3Error(404, "NoSuchUpload", "The specified upload does not exist.")
    etag = backend.uploads.put(upload, int(number), call.request.body)
    if etag is None:
        raise S3Error(503, "SlowDown", "Reduce your request rate.")
    return Answer(status=200, content=b"", headers=(("etag", f'"{etag}"'),))


def audiences_create(call: Call) -> Answer:
    account, audiences = call.account(), call.backend.audiences
    body = read_audience(call.request.body)
    unique = call.backend.assumptions.audience_names == "unique"
    if unique and audiences.has_name(account, body.name):
        raise invalid_audience("The name is that of another audience.")
    if body.audience_type == "CUSTOMER_LIST":
        _check_list(call, account, body.rule)
    created = audiences.create(
        account,
        name=body.name,
        audience_type=body.audience_type,
        rule=body.rule,
        description=body.description,
    )
    return Answer(status=call.backend.create_status, payload=audiences.show(created, "change"))


def audiences_list(call: Call) -> Answer:
    account, backend, query = call.account(), call.backend, call.query()
    size = page_size(query.get("page_size"))
    in_order = order(query.get("order"), backend.assumptions.default_order)
    asked = query.get("ownership_type", OWNERSHIP_TYPE["default"])
    ownership_type = cast("OwnershipType", choice("ownership_type", asked, OWNERSHIP_TYPE))
    exclude_nca = flag("exclude_nca", query.get("exclude_nca"))
    listing = f"{ownership_type} {account}"
    page = backend.audiences.page(
        account,
        ownership_type=ownership_type,
        order=in_order,
        after=decode_bookmark(call, listing, in_order),
        size=size,
        exclude_nca=exclude_nca,
    )
    items = [backend.audiences.show(item, "list") for item in page.audiences]
    return _page(call, items, listing, in_order, page.last if page.more else None)


def audiences_get(call: Call) -> Answer:
    return Answer(status=200, payload=call.backend.audiences.show(_audience(call)))


def audiences_update(call: Call) -> Answer:
    audience = _audience(call)
    audiences = call.backend.audiences
    # An account that received an audience may use it, not change it.
    if audience.ad_account_id != call.parameters["ad_account_id"]:
        raise call.not_found("Audience")
    body = read_audience_update(call.request.body, audience.audience_type)
    if body.rule is not None and audience.audience_type == "CUSTOMER_LIST":
        _check_list(call, audience.ad_account_id, body.rule)
    audiences.update(audience, name=body.name, rule=body.rule, description=body.description)
    payload = audiences.show(audience, "change")
    if body.operation_type == "REMOVE":
        audiences.remove(audience)
    return Answer(status=200, payload=payload)


def _audience(call: Call) -> AudienceState:
    account, audiences = call.account(), call.backend.audiences
    audience = audiences.find(call.parameters["audience_id"])
    if audience is None or not audiences.can_see(account, audience):
        raise call.not_found("Audience")
    return audience


def _check_list(call: Call, account: str, rule: Mapping[str, object]) -> None:
    backend = call.backend
    customer_list = backend.customer_lists.find(str(rule["customer_list_id"]))
    if customer_list is None or customer_list.ad_account_id != account:
        raise invalid_audience("There is no such customer list.")
    if backend.assumptions.refuse_small_audiences and customer_list.matched < MINIMUM_MATCHED:
        raise invalid_audience(f"The customer list has fewer than {MINIMUM_MATCHED} members.")


def customer_segments_create(call: Call) -> Answer:
    account, segments = call.account(), call.backend.segments
    body = read_body(call.request.body, "CustomerSegmentCreate")
    name = cast("str", body.value("name"))
    audience_ids = _audience_ids(call, account, body.fields)
    if audience_ids is None:
        raise invalid("'audience_ids' is required.")
    # Recorded with 200; no description of a 201 is known.
    return Answer(status=200, payload=segments.show(segments.create(account, name, audience_ids)))


def customer_segments_list(call: Call) -> Answer:
    account, backend, query = call.account(), call.backend, call.query()
    size = page_size(query.get("page_size"))
    in_order = order(query.get("order"), backend.assumptions.default_order)
    listing = f"segments {account}"
    after = decode_bookmark(call, listing, in_order)
    page, more = backend.segments.page(account, order=in_order, after=after, size=size)
    items = list(map(backend.segments.show, page))
    return _page(call, items, listing, in_order, page[-1].id if more else None)


def customer_segments_update(call: Call) -> Answer:
    account, segments = call.account(), call.backend.segments
    body = read_body(call.request.body, "CustomerSegmentUpdate")
    segment_id = body.fields.get("id")
    # Not checked by the schema: a string that is not digits is answered as an unknown segment.
    if not isinstance(segment_id, str):
        raise invalid("'id' is required and must be a string of digits.")
    operation_type = body.value("operation_type")
    audience_ids = _audience_ids(call, account, body.fields)
    segment = segments.find(segment_id)
    if segment is None or segment.ad_account_id != account:
        raise call.not_found("Customer segment")
    if operation_type == "REMOVE":
        segments.remove(segment)
    else:
        segments.update(segment, audience_ids)
    return _JSON_NULL


def _audience_ids(call: Call, account: str, fields: Mapping[str, object]) -> list[str] | None:
    if "audience_ids" not in fields:
        return None
    # Not checked by the schema: a string that is not digits is answered as an unknown audience.
    decoded = fields["audience_ids"]
    ids = cast("list[object]", decoded) if isinstance(decoded, list) else []
    if not ids or not all(isinstance(item, str) for item in ids):
        raise invalid("'audience_ids' must be a non-empty array of strings.")
    audiences = call.backend.audiences
    for audience_id in cast("list[str]", ids):
        audience = audiences.find(audience_id)
        if audience is None or not audiences.can_see(account, audience):
            raise invalid("'audience_ids' holds an id that is not an audience of this account.")
    return cast("list[str]", ids)


def user_account_get(call: Call) -> Answer:
    account = call.query().get("ad_account_id")
    if account is not None:
        if not is_identifier(account):
            raise ApiError(400, 1, "'ad_account_id' value must match the pattern: ^\\d+$")
        if not call.backend.customer_lists.has_account(account):
            raise ApiError(403, 403, "Not authorized to access the user account.")
    payload = {
        "about": "",
        "account_type": "BUSINESS",
        "board_count": 0,
        "business_name": COMPANY_NAME,
        "follower_count": 0,
        "following_count": 0,
        "id": _USER_ID,
        "monthly_views": 0,
        "pin_count": 0,
        "profile_image": "",
        "username": _USERNAME,
        "website_url": "",
    }
    return Answer(status=200, payload=payload)


def ad_accounts_list(call: Call) -> Answer:
    query, backend = call.query(), call.backend
    size = page_size(query.get("page_size"))
    flag("include_shared_accounts", query.get("include_shared_accounts"), default=True)
    listing = "ad_accounts"
    after = decode_bookmark(call, listing, "ASCENDING")
    accounts = backend.customer_lists.accounts()
    start = 0 if after is None else bisect_right(accounts, after, key=int)
    shown = accounts[start : start + size]
    last = int(shown[-1]) if start + size < len(accounts) else None
    items = [_show_ad_account(call, account) for account in shown]
    return _page(call, items, listing, "ASCENDING", last)


def ad_accounts_get(call: Call) -> Answer:
    return Answer(status=200, payload=_show_ad_account(call, call.account()))


def _show_ad_account(call: Call, account: str) -> dict[str, object]:
    return {
        "country": "US",
        "created_time": _CREATED_TIME,
        "currency": "USD",
        "id": account,
        "name": f"Ad account {account}",
        "owner": {"id": _USER_ID, "username": _USERNAME},
        "permissions": list(call.backend.roles),
        "time_zone": "America/Los_Angeles",
        "updated_time": _CREATED_TIME,
    }


def is_redirect_uri(text: str) -> bool:
    """Return whether a user can be redirected to an address with a code.

    Args:
        text: The address.

    Returns:
        True when it is absolute, in ASCII, and without a fragment.
    """
    if _URL.fullmatch(text) is None or "#" in text:
        return False
    try:
        return bool(urlsplit(text).scheme)
    except ValueError:
        return False


def oauth_authorize(call: Call) -> Answer:
    query, backend = call.query(), call.backend
    client_id, redirect_uri = query.get("client_id", ""), query.get("redirect_uri", "")
    # Without a known app and address the user cannot be sent back.
    if not backend.tokens.has_app(client_id):
        raise invalid("'client_id' is not an app.")
    if not is_redirect_uri(redirect_uri):
        raise invalid("'redirect_uri' must be an absolute URL.")
    if query.get("response_type") != "code":
        raise invalid("'response_type' must be: code.")
    scopes = _scopes(query.get("scope"))
    consents = backend.assumptions.users_consent
    if (
        consents
        and "consent" not in query
        and "text/html" in call.request.headers.get("accept", "")
    ):
        return _consent_page(query, scopes)
    answer: dict[str, str] = {}
    if consents and query.get("consent") != "deny":
        answer["code"] = backend.tokens.authorize(
            client_id, redirect_uri, scopes, is_system_user=False
        )
    else:
        answer["error"] = "access_denied"
    if "state" in query:
        answer["state"] = query["state"]
    separator = "&" if urlsplit(redirect_uri).query else "?"
    location = f"{redirect_uri.removesuffix('?')}{separator}{urlencode(answer, errors='replace')}"
    return Answer(status=302, content=b"", headers=(("location", location),))


def _consent_page(query: Mapping[str, str], scopes: frozenset[str]) -> Answer:
    """Return the page on which a user in a browser authorizes an app or refuses to."""
    names = ("client_id", "redirect_uri", "response_type", "scope", "state")
    fields = "".join(
        f'<input type="hidden" name="{name}" value="{escape(query[name])}">'
        for name in names
        if name in query
    )
    page = _CONSENT_PAGE.format(
        app=escape(query["client_id"]),
        scopes=", ".join(sorted(scopes)),
        target=escape(query["redirect_uri"]),
        fields=fields,
    )
    return Answer(status=200, content=page.encode("utf-8", "replace"), headers=_CONSENT_HEADERS)


def oauth_token(call: Call) -> Answer:
    # The schema of the form only says which grants there are: what else is required depends on
    # the grant, and is refused in the order in which the grant is processed.
    form = _form(call)
    grants = {
        "authorization_code": _exchange,
        "client_credentials": _client_credentials,
        "refresh_token": _refresh,
    }
    grant_type = form.get("grant_type", "")
    if grant_type not in grants:
        raise invalid(f"'grant_type' must be one of: {', '.join(grants)}.")
    payload = _show_tokens(call, grants[grant_type](call, form), grant_type)
    return Answer(status=call.backend.create_status, payload=payload)


def _exchange(call: Call, form: Mapping[str, str]) -> IssuedTokens:
    code, redirect_uri = _required(form, "code"), _required(form, "redirect_uri")
    flag("continuous_refresh", form.get("continuous_refresh"))
    issued = call.backend.tokens.exchange(_app_id(call), code, redirect_uri)
    if issued is None:
        raise _invalid_grant(call)
    return issued


def _client_credentials(call: Call, form: Mapping[str, str]) -> IssuedTokens:
    return call.backend.tokens.client(_app_id(call), _scopes(form.get("scope")))


def _refresh(call: Call, form: Mapping[str, str]) -> IssuedTokens:
    refresh_token = _required(form, "refresh_token")
    scopes = _scopes(form["scope"]) if form.get("scope") else None
    issued = call.backend.tokens.refresh(_app_id(call), refresh_token, scopes)
    if issued is None:
        raise _invalid_grant(call)
    return issued


def token_revoke(call: Call) -> Answer:
    form = _form(call)
    token = _required(form, "token")
    hint = SCHEMAS["TokenRevocationRequest"]["properties"]["token_type_hint"]
    if "token_type_hint" in form and not matches(form["token_type_hint"], hint):
        raise invalid(f"'token_type_hint' must be {expectation(hint)}.")
    if not call.backend.tokens.revoke(_app_id(call), token):
        raise ApiError(403, 29, "You are not permitted to access that resource.")
    return Answer(status=200, content=b"")


def _show_tokens(call: Call, issued: IssuedTokens, grant_type: str) -> dict[str, object]:
    now = call.backend.clock()
    shown: dict[str, object] = {
        "access_token": issued.access_token,
        "expires_in": round((issued.access.expires_at or now) - now),
        "response_type": grant_type,
        "scope": ",".join(sorted(SCOPES if issued.access.scopes is None else issued.access.scopes)),
        "token_type": "bearer",
    }
    if issued.refresh_token is not None and issued.refresh is not None:
        expires_at = issued.refresh.expires_at or now
        shown["refresh_token"] = issued.refresh_token
        shown["refresh_token_expires_at"] = int(expires_at)
        shown["refresh_token_expires_in"] = round(expires_at - now)
    return shown


def _page(
    call: Call, items: list[dict[str, object]], listing: str, in_order: Order, last: int | None
) -> Answer:
    """Return a page; `last` is the number that the next page continues after, if there is one."""
    if last is None and call.backend.assumptions.last_bookmark == "absent":
        return Answer(status=200, payload={"items": items})
    bookmark = None if last is None else call.backend.bookmarks.encode(listing, in_order, last)
    return Answer(status=200, payload={"items": items, "bookmark": bookmark})


def _form(call: Call) -> Mapping[str, str]:
    return parse_query(call.request.body.decode("utf-8", "replace"))


def _required(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise invalid(f"'{name}' is required.")
    return value


def _scopes(text: str | None) -> frozenset[str]:
    # Separated by commas in Pinterest's examples, by spaces in RFC 6749, section 3.3.
    asked = frozenset((text or "").replace(",", " ").split())
    if not asked:
        raise invalid("'scope' is required.")
    if not asked <= SCOPES:
        raise invalid("'scope' holds one that is not known.")
    return asked


def _app_id(call: Call) -> str:
    return "" if call.principal is None else call.principal.app_id


def _invalid_grant(call: Call) -> ApiError:
    if call.backend.assumptions.invalid_grant_status == 401:  # noqa: PLR2004 - the status
        return ApiError(401, 283, "The authorization grant is invalid")
    return invalid("The authorization grant is invalid.")
