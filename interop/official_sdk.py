"""Run Pinterest's own SDK (`pinterest-api-sdk`) against a server: create, get, update, list."""

from __future__ import annotations

import os

from pinterest.ads.customer_lists import CustomerList
from pinterest.client import PinterestSDKClient

ACCOUNT = "549755885175"
PEOPLE = ",".join(f"person{number}@example.com" for number in range(200))


def main() -> None:
    PinterestSDKClient.set_default_access_token("any-token")
    created = [CustomerList.create(ACCOUNT, name=f"List {n}", records=PEOPLE) for n in range(7)]
    stored = CustomerList(ACCOUNT, created[0].id)
    assert (stored.name, stored.num_uploaded_user_records) == ("List 0", 200)

    assert stored.add_record("new@example.com,newer@example.com")
    assert stored.remove_record("new@example.com")
    again = CustomerList(ACCOUNT, created[0].id)
    counted = (again.num_batches, again.num_uploaded_user_records, again.num_removed_user_records)
    assert counted == (3, 202, 1), counted

    page, bookmark = CustomerList.get_all(ACCOUNT, page_size=3, order="ASCENDING")
    seen = [item.id for item in page]
    while bookmark is not None:
        page, bookmark = bookmark.get_next()
        seen += [item.id for item in page]
    assert seen == [item.id for item in created], seen
    print("pinterest-api-sdk at", os.environ["PINTEREST_API_URI"], "listed", len(seen), "lists")


if __name__ == "__main__":
    main()
