"""Send the requests of Pinterest's own integration tests for lists and audiences, over plain HTTP.

Pinterest runs such requests against its live API every day (pinterest-python-sdk,
`integration_tests/ads`); the expectations are those of its tests, rewritten.
"""

from __future__ import annotations

import os

import httpx

ACCOUNT = "549755885175"
DEVICES = [f"EA7583CD-A667-48BC-B806-42ECB2B4860{number}" for number in range(4)]


def main() -> None:
    url = f"{os.environ['PINTEREST_API_URI']}/ad_accounts/{ACCOUNT}"
    with httpx.Client(headers={"Authorization": "Bearer any-token"}) as web:
        lists(web, f"{url}/customer_lists")
        audiences(web, f"{url}/audiences")
    print("all requests of Pinterest's tests have the expected responses at", url)


def lists(web: httpx.Client, url: str) -> None:
    """Create with one record, add and remove one by one, and list the newest three."""

    def create(**fields: str) -> dict[str, object]:
        body = {"name": "Interop list", "records": "a@example.com", "list_type": "EMAIL", **fields}
        return ok(web.post(url, json=body))

    created = create()
    assert (created["name"], bool(created["id"])) == ("Interop list", True)
    assert web.post(url, json={"name": "A", "records": "a", "list_type": "NO"}).status_code == 400
    one = f"{url}/{created['id']}"
    assert ok(web.get(one))["id"] == created["id"]
    assert web.patch(one, json={"operation_type": "ADD"}).status_code == 400
    devices = create(records=DEVICES[0], list_type="MAID")
    one = f"{url}/{devices['id']}"
    for operation_type, counter in (
        ("ADD", "num_uploaded_user_records"),
        ("REMOVE", "num_removed_user_records"),
    ):
        for device in DEVICES[1:]:
            before = ok(web.get(one))
            body = {"operation_type": operation_type, "records": device}
            changed = ok(web.patch(one, json=body))
            assert changed[counter] == int(str(before[counter])) + 1
            assert changed["num_batches"] == int(str(before["num_batches"])) + 1
    stored = ok(web.get(one))
    assert (stored["num_uploaded_user_records"], stored["num_removed_user_records"]) == (4, 3)
    newest = {create()["id"] for _ in range(3)}
    assert ids(web.get(url, params={"order": "DESCENDING", "page_size": 3})) == newest


def audiences(web: httpx.Client, url: str) -> None:
    """Create without a domain, read, rename, and list the newest three."""

    def create() -> dict[str, object]:
        body = {
            "ad_account_id": ACCOUNT,
            "name": "Interop audience",
            "audience_type": "ENGAGEMENT",
            "rule": {"engager_type": 1},
            "description": "Made by a test",
        }
        return ok(web.post(url, json=body))

    created = create()
    assert (created["name"], bool(created["created_timestamp"])) == ("Interop audience", True)
    one = f"{url}/{created['id']}"
    assert ok(web.get(one))["id"] == created["id"]
    ok(web.patch(one, json={"name": "Renamed", "description": "Changed"}))
    stored = ok(web.get(one))
    assert (stored["name"], stored["description"]) == ("Renamed", "Changed")
    newest = {create()["id"] for _ in range(3)}
    assert ids(web.get(url, params={"order": "DESCENDING", "page_size": 3})) == newest


def ok(response: httpx.Response) -> dict[str, object]:
    assert response.status_code == 200, response.text
    decoded: dict[str, object] = response.json()
    return decoded


def ids(response: httpx.Response) -> set[object]:
    items = ok(response)["items"]
    assert isinstance(items, list)
    return {item["id"] for item in items}


if __name__ == "__main__":
    main()
