"""Flag before environment before profile before default; and profiles that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli.conftest import Run


def write(text: str) -> Path:
    """Write the user's configuration."""
    path = Path(os.environ["XDG_CONFIG_HOME"]) / "pinterest-audiences" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_flag_before_environment_before_profile_before_default(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shown by the ad account; each is taken away in turn."""
    assert run("whoami", "--emulator").data["ad_account_id"] == "549755885175"
    write('[profiles.default]\nad_account = "3"\n[profiles.shop]\nad_account = 4\n')
    assert run("whoami", "--emulator").data["ad_account_id"] == "3"
    monkeypatch.setenv("PINTEREST_AUDIENCES_PROFILE", "shop")
    assert run("whoami", "--emulator").data["ad_account_id"] == "4"
    assert run("whoami", "--emulator", "--profile", "default").data["ad_account_id"] == "3"
    monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", "2")
    assert run("whoami", "--emulator").data["ad_account_id"] == "2"
    assert run("whoami", "--emulator", "--ad-account", "1").data["ad_account_id"] == "1"


def test_the_emulator_is_chosen_by_flag_environment_or_profile(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And taken back by a flag."""
    monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    assert run("lists", "list").data == []
    assert run("lists", "list", "--no-emulator", "--ad-account", "1").code == 3
    monkeypatch.delenv("PINTEREST_API_URI")
    write('[profiles.default]\napi_uri = "emulator:"\n')
    assert run("lists", "list").data == []


def test_the_form_of_results_follows_the_same_order(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON is the default where there is no terminal."""
    assert run("lists", "list", "--emulator").out == "[]\n"
    write('[profiles.default]\noutput = "csv"\n')
    assert run("lists", "list", "--emulator").out.startswith("id,name")
    monkeypatch.setenv("PINTEREST_AUDIENCES_OUTPUT", "table")
    assert run("lists", "list", "--emulator").out.startswith("ID ")
    assert run("lists", "list", "--emulator", "-o", "ndjson").out == ""


def test_lists_have_names_of_ones_own(run: Run, people: Path) -> None:
    """An id, with or without quotes."""
    write('[profiles.default.lists]\nbuyers = "2542620000000"\nothers = 643\n')
    assert run("upload", people, "--name", "All", "--emulator").code == 0
    assert run("lists", "get", "buyers", "--emulator").data["name"] == "All"
    assert run("lists", "get", "others", "--emulator").code == 4
    done = run("lists", "get", "byers", "--emulator")
    assert done.code == 2
    assert "buyers, others" in done.error["message"]


def test_the_share_of_rejects_may_be_in_the_profile(run: Run, people: Path) -> None:
    """The flag goes before it."""
    write("[profiles.default]\nmax_reject_share = 0\n")
    assert run("check", people).code == 5
    assert run("check", people, "--max-reject-share", "0.5").code == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[profiles.default]\nad_acount = '1'\n",
            "profiles.default.ad_acount; did you mean ad_acc",
        ),
        (
            "[profiles.default]\nfoo = 1\n",
            "unknown key profiles.default.foo; known are: ad_account",
        ),
        ("[profiles.shop]\naccess_token = 'pina_x'\n", "secrets do not belong here"),
        ("ad_account = '1'\n", "unknown key ad_account; write it below [profiles.default]"),
        ("[profile.default]\n", "unknown key profile; write it below"),
        ("profiles = 1\n", "a table for each profile is needed"),
        ("[profiles]\ndefault = 1\n", "profiles.default: a table is needed"),
        ("[profiles.default]\nstate = 1\n", "profiles.default.state: a string is needed"),
        ("[profiles.default]\nmax_reject_share = 2\n", "a number from 0 to 1 is needed"),
        ("[profiles.default.lists]\nx = 'y'\n", "profiles.default.lists.x: the id of a list"),
        ("[profiles.default]\nlists = 1\n", "profiles.default.lists: the id of a list"),
        ("[profiles.default\n", "is no TOML"),
        ("[profiles.default]\noutput = 'xml'\n", "one of table, json, ndjson, csv is needed"),
    ],
)
def test_what_a_profile_cannot_hold_is_named(run: Run, text: str, told: str) -> None:
    """With the key, and never with a value that may be a secret."""
    write(text)
    done = run("lists", "list", "--emulator")
    assert (done.code, done.out) == (2, "")
    assert told in done.error["message"]
    assert "pina_x" not in done.err


def test_a_profile_that_is_asked_for_has_to_be_there(run: Run) -> None:
    """With a file or without one."""
    done = run("lists", "list", "--emulator", "--profile", "shop")
    assert (done.code, "no such file" in done.error["message"]) == (2, True)
    write("[profiles.default]\n")
    done = run("lists", "list", "--emulator", "--profile", "shop")
    assert (done.code, "there are: default" in done.error["message"]) == (2, True)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are a matter of Unix")
def test_a_file_that_others_may_write_is_warned_of(run: Run) -> None:
    """They could say where tokens and state are kept. That they may read it is no matter."""
    path = write("[profiles.default]\n")
    path.chmod(0o644)
    assert run("lists", "list", "--emulator").err == ""
    path.chmod(0o666)
    done = run("lists", "list", "--emulator")
    assert (done.code, done.data) == (0, [])
    assert "chmod 600" in done.err


def test_the_configuration_may_be_elsewhere(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For a scheduler that has no home."""
    (tmp_path / "my.toml").write_text('[profiles.default]\nad_account = "8"\n')
    monkeypatch.setenv("PINTEREST_AUDIENCES_CONFIG", str(tmp_path / "my.toml"))
    assert run("whoami", "--emulator").data["ad_account_id"] == "8"
