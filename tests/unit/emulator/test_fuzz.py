"""Any request is answered, without an exception and without a server error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinterest_audiences.emulator import Emulator, Request
from pinterest_audiences.emulator._schemas import ROW_FIELDS

pytestmark = pytest.mark.slow

SENTINEL = "someone@secret.example"

words = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "549",
            "2542620",
            "2542621000000",
            "2542622000000",
            "1",
            "..",
            "%",
            "%zz",
            "%ff",
            "%2F",
            "%00",
            "\ud800",
            "",
        ]
    ),
)
paths = st.one_of(
    st.builds("/v5/ad_accounts/{}/customer_lists".format, words),
    st.builds("/v5/ad_accounts/{}/customer_lists/{}".format, words, words),
    st.builds("/v5/ad_accounts/{}/customer_lists/{}/uploads".format, words, words),
    st.builds("/v5/ad_accounts/549/customer_lists/2542620/uploads/{}".format, words),
    st.builds("/v5/ad_accounts/549/customer_lists/2542620/uploads/{}/run".format, words),
    st.builds("/v5/ad_accounts/{}/audiences".format, words),
    st.builds("/v5/ad_accounts/{}/audiences/{}".format, words, words),
    st.builds("/_s3/customer-list-uploads/{}/{}".format, words, words),
    st.builds("/v5/ad_accounts/{}".format, words),
    st.sampled_from(
        [
            "/v5/oauth/token",
            "/v5/oauth/token/revoke",
            "/oauth/",
            "/v5/user_account",
            "/v5/ad_accounts",
        ]
    ),
    st.lists(words, max_size=6).map("/".join),
)
values = st.one_of(
    words,
    st.sampled_from(
        [
            "ASCENDING",
            "RECEIVED",
            "true",
            "25",
            "0",
            "9" * 400,
            "P2&c=AAAA",
            "http://localhost/%0d%0a",
            "http://localhost/",
            "http://[",
            "code",
            "ads:read",
        ]
    ),
)
queries = st.lists(
    st.one_of(
        st.builds(
            "{}={}".format,
            st.sampled_from(
                [
                    "page_size",
                    "order",
                    "bookmark",
                    "exclude_nca",
                    "ownership_type",
                    "include_shared_accounts",
                    "ad_account_id",
                    "client_id",
                    "redirect_uri",
                    "response_type",
                    "scope",
                    "state",
                    "Expires",
                    "Signature",
                    "x",
                ]
            ),
            values,
        ),
        words,
    ),
    max_size=5,
).map("&".join)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["a,b", "ADD", "REMOVE", "EMAIL", SENTINEL]),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
rows = st.lists(
    st.dictionaries(st.sampled_from([*sorted(ROW_FIELDS), SENTINEL]), scalars, max_size=4),
    max_size=4,
)
objects = st.fixed_dictionaries(
    {},
    optional={
        "name": anything,
        "records": st.one_of(anything, st.just(SENTINEL)),
        "records_v2": st.one_of(anything, rows),
        "list_type": anything,
        "is_nca": anything,
        "operation_type": anything,
        "operation": anything,
        "total_parts": st.one_of(anything, st.integers(-1, 11)),
        "audience_type": st.one_of(
            anything, st.sampled_from(["CUSTOMER_LIST", "ACTALIKE", "VISITOR", "PERSONA"])
        ),
        "rule": st.one_of(
            anything,
            st.dictionaries(
                st.sampled_from(
                    ["customer_list_id", "seed_id", "percentage", "url", "event_source", "prefill"]
                ),
                st.one_of(anything, st.just("2542620"), st.just(["1"])),
                max_size=4,
            ),
        ),
        "description": anything,
    },
)
forms = st.lists(
    st.builds(
        "{}={}".format,
        st.sampled_from(["grant_type", "code", "redirect_uri", "refresh_token", "scope", "token"]),
        st.one_of(
            words,
            st.sampled_from(
                ["authorization_code", "refresh_token", "client_credentials", "ads:read", SENTINEL]
            ),
        ),
    ),
    max_size=5,
).map(lambda pairs: "&".join(pairs).encode("utf-8", "surrogatepass"))
bodies = st.one_of(
    forms,
    st.binary(max_size=200),
    anything.map(json.dumps).map(str.encode),
    objects.map(json.dumps).map(str.encode),
    st.integers(0, 200_000).map(lambda depth: b"[" * depth),
    st.integers(0, 200_000).map(lambda depth: b'{"records":' * depth + b"1" + b"}" * depth),
    st.integers(0, 6_000).map(lambda digits: b'{"name": 1' + b"0" * digits + b"}"),
)
requests = st.builds(
    Request,
    method=st.sampled_from(["GET", "POST", "PATCH", "PUT", "HEAD", "OPTIONS", "", "\ud800"]),
    path=paths,
    query=queries,
    headers=st.one_of(
        st.just({"Authorization": "Bearer x"}),
        st.just({"Authorization": "Basic MTpz"}),
        st.just({}),
        st.dictionaries(st.just("authorization") | st.text(max_size=5), st.text(max_size=20)),
    ),
    body=bodies,
)


@given(st.lists(requests, min_size=1, max_size=5))
@settings(max_examples=400, deadline=None)
def test_no_request_causes_a_server_error(sent: list[Request]) -> None:
    """Every answer is below 500, is JSON with its length, and a refusal repeats nothing sent."""
    emulator = Emulator(seed=1)
    emulator.seed_lists("549", 2)
    emulator.seed_audiences("549", 2, rule={"customer_list_id": "2542620"})
    upload = '{"operation": "ADD", "total_parts": 1}'
    emulator.handle(
        Request(
            method="POST",
            path="/v5/ad_accounts/549/customer_lists/2542620/uploads",
            headers={"Authorization": "Bearer x"},
            body=upload.encode(),
        )
    )
    for request in sent:
        answer = emulator.handle(request)
        assert answer.status in {200, 302, 400, 401, 403, 404, 405}
        # A header that cannot be written would break the server.
        assert all(f"{name}{value}".isascii() for name, value in answer.headers)
        assert not any({"\r", "\n"} & set(value) for _, value in answer.headers)
        assert answer.header("x-pinterest-rid")
        if request.method == "HEAD":
            assert answer.body == b""
            continue
        assert answer.header("content-length") == str(len(answer.body))
        if request.path.startswith("/_s3/") or not answer.body:
            assert answer.status == 405 or SENTINEL.encode() not in answer.body
            continue
        decoded = answer.json()
        assert isinstance(decoded, dict)
        if answer.status != 200:
            assert set(decoded) == {"code", "message"}
            assert SENTINEL.encode() not in answer.body


@given(
    method=st.binary(max_size=10),
    target=st.binary(max_size=60),
    headers=st.lists(st.tuples(st.binary(max_size=15), st.binary(max_size=15)), max_size=4),
    body=st.binary(max_size=60),
)
@settings(deadline=None)
def test_any_bytes_become_a_request(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Everything that the server reads can be answered."""
    answer = Emulator().handle(Request.from_wire(method, target, headers, body))
    assert 200 <= answer.status < 500
