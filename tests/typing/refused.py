"""Calls that type checkers refuse; checked, never run.

Both checkers report an ignore comment that is not necessary, so each line proves a refusal.
"""

from __future__ import annotations

from pinterest_audiences import AsyncClient, Client, RecordRow, open_source, prepare

ROW = RecordRow(email="ann@shop.example")


def unknown_words(client: Client, text: str) -> None:
    client.customer_lists_update("1", "2", operation_type="ADDD", records="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.customer_lists_update("1", "2", operation_type=text, records="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.customer_lists_create("1", name="x", records="a", list_type="PHONE")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.customer_lists_list("1", order="UP")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.audiences_update("1", "2", operation_type="ADD")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.audiences_list("1", ownership_type="SHARED")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.upload("1", ["a"], name="x", operation="ADDD")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.upload("1", ["a"], name="x", kind="phone")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    prepare(["a"], "phone")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    prepare(["a"], algorithm="sha512")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def sources_that_are_none(client: Client) -> None:
    client.upload("1", 42, name="x")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.mirror("1", None, name="x")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.mirror_many("1", {"x": 42})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    client.mirror_many("1", [["a"]])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.forget(42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    open_source(42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    prepare(object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def neither_id_nor_name(client: AsyncClient) -> None:
    await client.upload("1", ["a"])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.plan_mirror("1", ["a"])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.plan_upload("1", ["a"])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.mirror("1", ["a"])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.forget_list("1")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def both_id_and_name(client: AsyncClient) -> None:
    await client.upload("1", ["a"], customer_list_id="2", name="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.mirror("1", ["a"], customer_list_id="2", name="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def neither_or_both_kinds_of_records(client: AsyncClient) -> None:
    await client.customer_lists_create("1", name="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.customer_lists_create("1", name="x", records="a", records_v2=[ROW])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await client.customer_lists_update("1", "2", operation_type="ADD")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
