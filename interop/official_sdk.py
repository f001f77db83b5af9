"""Pinterest's own SDK (`pinterest-api-sdk`) against a server: create, get, list, update, pages."""

from __future__ import annotations

import os

from pinterest.ads.customer_lists import CustomerList
from pinterest.client import PinterestSDKClient

ACCOUNT = "549755885175"
PEOPLE = ",".join(f"person{number}@example.com" for number in range(200))


def main() -> None:
    PinterestSDKClient.set_default_access_token("any-token")
    made = [CustomerList.create(ACCOUNT, name=f"List {n}", records=PEOPLE) for n in range(7)]
    got = CustomerList(ACCOUNT, made[0].id)
    assert (got.name, got.num_uploaded_user_records) == ("List 0", 200)

    assert got.add_record("new@example.com,newer@example.com")
    assert got.remove_record("new@example.com")
    again = CustomerList(ACCOUNT, made[0].id)
    counted = (again.num_batches, again.num_uploaded_user_records, again.num_removed_user_records)
    assert counted == (3, 202, 1), counted

    page, bookmark = CustomerList.get_all(ACCOUNT, page_size=3, order="ASCENDING")
    seen = [each.id for each in page]
    while bookmark is not None:
        page, bookmark = bookmark.get_next()
        seen += [each.id for each in page]
    assert seen == [each.id for each in made], seen
    print("pinterest-api-sdk at", os.environ["PINTEREST_API_URI"], "walked", len(seen), "lists")


if __name__ == "__main__":
    main()
