"""Run a client generated from the emulator's description (`openapi-python-client`) against it."""

from __future__ import annotations

import os

from emulator_client.api.customer_lists import (
    customer_listscreate,
    customer_listsget,
    customer_listslist,
    customer_listsupdate,
)
from emulator_client.client import AuthenticatedClient
from emulator_client.models import (
    CustomerListCreate,
    CustomerListRecordRow,
    CustomerListslistOrder,
    CustomerListUpdate,
    CustomerListUpdateOperationType,
)

ACCOUNT = "549755885175"


def main() -> None:
    url = os.environ["PINTEREST_API_URI"]
    rows = [CustomerListRecordRow(email=f"{number}@example.com") for number in range(5)]
    with AuthenticatedClient(base_url=url, token="any-token") as client:
        created = []
        for number in range(5):
            body = CustomerListCreate(name=f"List {number}", records_v2=rows)
            created.append(customer_listscreate.sync(ACCOUNT, client=client, body=body).id)
        stored = customer_listsget.sync(ACCOUNT, created[0], client=client)
        assert (stored.name, stored.num_uploaded_user_records) == ("List 0", 5)
        change = CustomerListUpdate(
            operation_type=CustomerListUpdateOperationType.REMOVE, records="0@example.com"
        )
        changed = customer_listsupdate.sync(ACCOUNT, created[0], client=client, body=change)
        assert (changed.num_batches, changed.num_removed_user_records) == (2, 1)
        seen, bookmark = [], ""
        while bookmark is not None:
            more = {"bookmark": bookmark} if bookmark else {}
            page = customer_listslist.sync(
                ACCOUNT, client=client, page_size=2, order=CustomerListslistOrder.ASCENDING, **more
            )
            seen += [item.id for item in page.items]
            bookmark = page.bookmark
        assert seen == created, seen
    print("a client generated from", f"{url}/openapi.json", "listed", len(seen), "lists")


if __name__ == "__main__":
    main()
