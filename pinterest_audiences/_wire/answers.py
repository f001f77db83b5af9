"""What an answer means: a model, or an error with words that help.

Classified by HTTP status first: Pinterest's codes mix API codes with echoed statuses, and one code
means different things on different statuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from attrs import field, frozen

from pinterest_audiences._wire import codec, retry
from pinterest_audiences._wire.redact import redact
from pinterest_audiences.errors import APIError, DecodeError, RateLimitError, error_class

if TYPE_CHECKING:
    from pinterest_audiences._wire.operations import Call
    from pinterest_audiences.models import JSON

__all__ = ["Answer", "decode", "error", "judge", "read", "token_expired"]

T = TypeVar("T")

# Of the codes of a 401 only this one speaks of the token itself; 3 is a missing scope or feature,
# 7 and 29 are missing rights, and a new token would change nothing.
_AUTHENTICATION_FAILED = 2


@frozen
class Answer:
    """An answer, read as far as it can be without knowing its model."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    data: JSON = field(repr=False)
    problems: tuple[str, ...]
    code: int | None
    message: str = field(repr=False)

    @property
    def request_id(self) -> str | None:
        """Pinterest's id of the request."""
        found = self.headers.get("x-pinterest-rid")
        return None if found is None else redact(found)[:64]

    @property
    def ok(self) -> bool:
        """Whether it is a success: a 2xx that is not an error object in disguise."""
        return 200 <= self.status < 300 and not self.message  # noqa: PLR2004


def read(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Read an answer; one that is no JSON is kept with its problems."""
    problems: tuple[str, ...] = ()
    data: JSON = None
    try:
        data = codec.parse(body)
    except codec.UnreadableError as fault:
        kind = headers.get("content-type", "no content type").split(";")[0]
        problems = (f"{fault} ({redact(kind)[:40]}, {len(body)} bytes)",)
    code, message = _error_object(data)
    return Answer(status, headers, data, problems, code, message)


def _error_object(data: JSON) -> tuple[int | None, str]:
    """Return the code and message of an error object, and nothing of anything else."""
    if not isinstance(data, dict) or "id" in data or "items" in data:
        return None, ""
    code, message, detail = (data.get(name) for name in ("code", "message", "message_detail"))
    if not isinstance(code, int) or isinstance(code, bool):
        code = None
    if not isinstance(message, str) or not message:
        code, message = (code, "no message") if code is not None else (None, _oauth_error(data))
    return code, f"{message} {detail}" if message and isinstance(detail, str) else message


def _oauth_error(data: Mapping[str, JSON]) -> str:
    """Return the error of RFC 6749, which token endpoints speak, in one line."""
    error, told = data.get("error"), data.get("error_description")
    if not isinstance(error, str):
        return ""
    return f"{error}: {told}" if isinstance(told, str) else error


def decode(call: Call[T], answer: Answer, *, attempts: int) -> T:
    """Turn a success into its model.

    Raises:
        DecodeError: It is not what the operation answers with.
    """
    if call.operation.answer is type(None):  # "no content is returned"
        return cast("T", None)  # type: ignore[redundant-cast]  # pyright does not narrow T
    try:
        if answer.problems:
            raise codec.UnreadableError(list(answer.problems))
        return codec.decode(answer.data, call.operation.answer)
    except codec.UnreadableError as fault:
        raise DecodeError(
            fault.problems,
            status=answer.status,
            request_id=answer.request_id,
            operation=call.operation.name,
            method=call.operation.method,
            path=call.path,
            attempts=attempts,
            maybe_applied=call.operation.changes,
        ) from None


def token_expired(answer: Answer) -> bool:
    """Tell whether a new access token may help."""
    return answer.status == 401 and answer.code in (None, _AUTHENTICATION_FAILED)  # noqa: PLR2004


def judge(answer: Answer, now: float) -> retry.Failure:
    """Judge an answer that is no success, as far as trying again goes."""
    return retry.after_answer(answer.status, answer.code, answer.message, answer.headers, now)


def error(
    call: Call[T],
    answer: Answer,
    failure: retry.Failure,
    *,
    attempts: int,
    maybe_applied: bool,
    token: str,
) -> APIError:
    """Make the exception of an answer that is no success."""
    message = answer.message or "".join(answer.problems)
    found = error_class(answer.status)(
        status=answer.status,
        code=answer.code,
        message=redact(message, token=token, body=call.body),
        request_id=answer.request_id,
        retry_after=failure.told_wait,
        hint=_hint(call, answer, maybe_applied=maybe_applied),
        operation=call.operation.name,
        method=call.operation.method,
        path=call.path,
        attempts=attempts,
        maybe_applied=maybe_applied,
    )
    if isinstance(found, RateLimitError):
        found.category = call.operation.category
        limit = answer.headers.get("x-ratelimit-limit")
        found.limit = None if limit is None else redact(limit)
    return found


def _hint(call: Call[T], answer: Answer, *, maybe_applied: bool) -> str:
    if maybe_applied and not call.operation.repeatable:
        return "it may have been done all the same: look before you try again"
    if 300 <= answer.status < 400:  # noqa: PLR2004
        return "redirects are not followed, for they could carry the token away; check base_url"
    if call.app is not None:
        return _oauth_hint(answer)
    if answer.status == 401 and answer.code == 3:  # noqa: PLR2004
        return f"the token needs the scope {call.operation.scope}, or the app this feature"
    if token_expired(answer):
        return "get a new access token"
    return _HINTS.get(answer.status, "")


def _oauth_hint(answer: Answer) -> str:
    if "invalid_client" in answer.message:
        return "the app id or the app secret is wrong"
    used_up = "a code or refresh token may be expired, revoked, or used before: log in again"
    if "invalid_grant" in answer.message:
        return used_up
    if answer.status == 401:  # noqa: PLR2004
        return f"check the app id and the app secret; if they are right, {used_up}"
    return used_up if answer.status == 400 else ""  # noqa: PLR2004


_HINTS: Mapping[int, str] = {
    401: "the token's user has no right to this",
    403: "the token's user needs a role on the ad account, and the app access to this feature",
    404: "check the ids, and that the token's user can see the ad account",
    413: "send fewer records at once",
}
