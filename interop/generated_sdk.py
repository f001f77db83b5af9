"""Run a client generated from Pinterest's description 5.28 (`pinterestsdk`) against a server."""

from __future__ import annotations

import os

import pinterestsdk

ACCOUNT = "549755885175"


def main() -> None:
    host = os.environ["PINTEREST_API_URI"]
    configuration = pinterestsdk.Configuration(host=host, access_token="any-token")
    with pinterestsdk.ApiClient(configuration) as client:
        api = pinterestsdk.CustomerListsApi(client)
        rows = [pinterestsdk.CustomerListRecordRow(email=f"{n}@example.com") for n in range(5)]
        created = [
            api.customer_lists_create(
                ACCOUNT,
                pinterestsdk.CustomerListCreate(name=f"List {n}", records_v2=rows, is_nca=n == 0),
            )
            for n in range(5)
        ]
        stored = api.customer_lists_get(ACCOUNT, created[0].id)
        assert (stored.name, stored.num_uploaded_user_records) == ("List 0", 5)
        changed = api.customer_lists_update(
            ACCOUNT,
            created[0].id,
            pinterestsdk.CustomerListUpdateWithRequiredBody(
                operation_type="REMOVE", records="0@example.com"
            ),
        )
        assert (changed.num_batches, changed.num_removed_user_records) == (2, 1)
        seen: list[str] = []
        bookmark = None
        while True:
            page = api.customer_lists_list(
                ACCOUNT, page_size=2, order="ASCENDING", exclude_nca=True, bookmark=bookmark
            )
            seen += [item.id for item in page.items]
            bookmark = page.bookmark
            if bookmark is None:
                break
        assert seen == [item.id for item in created[1:]], seen
    print("pinterestsdk at", host, "listed", len(seen), "lists")


if __name__ == "__main__":
    main()
