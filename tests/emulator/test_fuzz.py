"""Whatever is sent, the emulator answers: never an exception, never a server error."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from pinterest_audiences.emulator import Emulator, Request
from pinterest_audiences.emulator.bodies import ROW_FIELDS

SENTINEL = "somebody@secret.example"

words = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["549", "2542620000000", "..", "%", "%zz", "%ff", "%2F", "%00", "\ud800", ""]),
)
paths = st.one_of(
    st.builds("/v5/ad_accounts/{}/customer_lists".format, words),
    st.builds("/v5/ad_accounts/{}/customer_lists/{}".format, words, words),
    st.lists(words, max_size=6).map("/".join),
)
values = st.one_of(
    words,
    st.sampled_from(["ASCENDING", "DESCENDING", "true", "25", "0", "9" * 400, "P2&c=AAAA"]),
)
queries = st.lists(
    st.one_of(
        st.builds(
            "{}={}".format,
            st.sampled_from(["page_size", "order", "bookmark", "exclude_nca", "x"]),
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
    },
)
bodies = st.one_of(
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
        st.dictionaries(st.just("authorization") | st.text(max_size=5), st.text(max_size=20)),
    ),
    body=bodies,
)


@given(st.lists(requests, min_size=1, max_size=5))
@settings(max_examples=400, deadline=None)
def test_no_request_makes_the_emulator_fail(sent: list[Request]) -> None:
    """Every answer is below 500, is JSON with its length, and repeats nobody when it refuses."""
    emulator = Emulator(seed=1)
    emulator.seed_lists("549", 2)
    for request in sent:
        answer = emulator.handle(request)
        assert answer.status in {200, 400, 401, 404, 405}
        assert answer.header("x-pinterest-rid")
        if request.method == "HEAD":
            assert answer.body == b""
            continue
        assert answer.header("content-length") == str(len(answer.body))
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
def test_any_bytes_make_a_request(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """What a door read from the wire is always something to answer."""
    answer = Emulator().handle(Request.from_wire(method, target, headers, body))
    assert 200 <= answer.status < 500
