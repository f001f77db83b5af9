"""Customer segments on the command line."""

from __future__ import annotations

from unit.cli.conftest import ACCOUNT, Run, refused

from pinterest_audiences.pytest_plugin import PinterestServer


def test_segment_is_created_updated_and_removed_by_name(run: Run, server: PinterestServer) -> None:
    """Audiences by id or name, each once."""
    one, other = server.emulator.seed_audiences(ACCOUNT, 2)
    words = ("--audience", "Audience 1", "--audience", one)
    created = run("segments", "create", "--name", "Existing", *words).data
    assert (created["name"], created["audience_ids"]) == ("Existing", [one])
    assert run("segments", "list").data == [created]
    assert run("segments", "get", "Existing").data == created
    updated = run("segments", "update", "Existing", "--audience", "Audience 2").data
    assert (updated["id"], updated["audience_ids"]) == (created["id"], [other])
    assert run("segments", "remove", created["id"], "--dry-run", "-q").data == updated
    refused(run("segments", "remove", "Existing", "-q"), 8, "guard_remove", "--yes")
    assert run("segments", "remove", "Existing", "--yes").data == updated
    assert run("segments", "list").data == []


def test_unknown_and_ambiguous_names_are_errors(run: Run, server: PinterestServer) -> None:
    """Of segments and of their audiences; the hint names the argument."""
    (audience_id,) = server.emulator.seed_audiences(ACCOUNT, 1)
    twins = server.emulator.seed_audiences(ACCOUNT, 2, name="Twins")
    create = ("segments", "create", "--name", "A", "--audience")
    refused(run(*create, "SENTINEL"), 4, "not_found", "`audience list`")
    refused(run(*create, "Twins"), 8, "guard_ambiguous_name", *twins, "with --audience")
    ids = [run(*create, audience_id).data["id"] for _ in range(2)]
    refused(run("segments", "get", "SENTINEL"), 4, "not_found", "`segments list`")
    refused(run("segments", "get", "A"), 8, "guard_ambiguous_name", *ids, "with SEGMENT")


def test_segments_list_is_limited_and_ordered(run: Run, server: PinterestServer) -> None:
    server.emulator.seed_audiences(ACCOUNT, 1)
    create = ("segments", "create", "--audience", "Audience 1", "--name")
    ids = [run(*create, name).data["id"] for name in "ABC"]
    listed = run("segments", "list", "--limit", 2, "--order", "descending").data
    assert [row["id"] for row in listed] == ids[:0:-1]
    assert run("segments", "list", "--limit", -1).code == 2
