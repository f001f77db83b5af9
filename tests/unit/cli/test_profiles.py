"""Precedence of flag, environment, profile and default; invalid profiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from unit.cli.conftest import Run

pytestmark = pytest.mark.slow


def write(text: str) -> Path:
    """Write the user's configuration file."""
    path = Path(os.environ["XDG_CONFIG_HOME"]) / "pinterest-audiences" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_account_precedence_is_flag_environment_profile_default(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source is removed in turn."""
    assert run("whoami", "--emulator").data["ad_account_id"] == "549755885175"
    write('[profiles.default]\nad_account = "3"\n[profiles.shop]\nad_account = 4\n')
    assert run("whoami", "--emulator").data["ad_account_id"] == "3"
    monkeypatch.setenv("PINTEREST_AUDIENCES_PROFILE", "shop")
    assert run("whoami", "--emulator").data["ad_account_id"] == "4"
    assert run("whoami", "--emulator", "--profile", "default").data["ad_account_id"] == "3"
    monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", "2")
    assert run("whoami", "--emulator").data["ad_account_id"] == "2"
    assert run("whoami", "--emulator", "--ad-account", "1").data["ad_account_id"] == "1"


def test_emulator_is_selected_by_flag_environment_or_profile(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag can deselect it."""
    monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    assert run("lists", "list").data == []
    assert run("lists", "list", "--no-emulator", "--ad-account", "1").code == 3
    monkeypatch.delenv("PINTEREST_API_URI")
    write('[profiles.default]\napi_uri = "emulator:"\n')
    assert run("lists", "list").data == []


def test_output_format_precedence_is_flag_environment_profile_default(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON is the default without a terminal."""
    assert run("lists", "list", "--emulator").out == "[]\n"
    write('[profiles.default]\noutput = "csv"\n')
    assert run("lists", "list", "--emulator").out.startswith("id,name")
    monkeypatch.setenv("PINTEREST_AUDIENCES_OUTPUT", "table")
    assert run("lists", "list", "--emulator").out.startswith("ID ")
    assert run("lists", "list", "--emulator", "-o", "ndjson").out == ""


def test_list_alias_in_profile_accepts_number_or_string_id(run: Run, people: Path) -> None:
    write('[profiles.default.lists]\nbuyers = "2542620"\nothers = 643\n')
    assert run("upload", people, "--name", "All", "--emulator").code == 0
    assert run("lists", "get", "buyers", "--emulator").data["name"] == "All"
    assert run("lists", "get", "others", "--emulator").code == 4
    done = run("lists", "get", "byers", "--emulator")  # neither an alias nor the name of a list
    assert (done.code, done.error["code"]) == (4, "not_found")


def test_reject_limit_flag_precedes_profile(run: Run, people: Path) -> None:
    write("[profiles.default]\nmax_reject_share = 0\n")
    assert run("check", people).code == 5
    assert run("check", people, "--max-reject-share", "0.5").code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[profiles.default]\nad_acount = '1'\n",
            "profiles.default.ad_acount; did you mean ad_acc",
        ),
        (
            "[profiles.default]\nfoo = 1\n",
            "unknown key profiles.default.foo; valid keys: ad_account",
        ),
        ("[profiles.shop]\naccess_token = 'pina_x'\n", "secrets do not belong here"),
        ("ad_account = '1'\n", "unknown key ad_account; move it below [profiles.default]"),
        ("[profile.default]\n", "unknown key profile; move it below"),
        ("profiles = 1\n", "must be tables"),
        ("[profiles]\ndefault = 1\n", "profiles.default must be a table"),
        ("[profiles.default]\nstate = 1\n", "profiles.default.state must be a string"),
        ("[profiles.default]\nmax_reject_share = 2\n", "must be a number from 0 to 1"),
        (
            "[profiles.default.lists]\nx = 'y'\n",
            "profiles.default.lists.x must be the id of a list",
        ),
        ("[profiles.default]\nlists = 1\n", "profiles.default.lists must be the id of a list"),
        ("[profiles.default\n", "not valid TOML"),
        ("[profiles.default]\noutput = 'xml'\n", "must be one of table, json, ndjson, csv"),
    ],
)
def test_invalid_profile_key_or_value_is_named(run: Run, text: str, message: str) -> None:
    """The error has the key, never a value that may be a secret."""
    write(text)
    done = run("lists", "list", "--emulator")
    assert (done.code, done.out) == (2, "")
    assert message in done.error["message"]
    assert "pina_x" not in done.err


def test_unknown_profile_is_an_error(run: Run) -> None:
    """With or without a configuration file."""
    done = run("lists", "list", "--emulator", "--profile", "shop")
    assert (done.code, "no such file" in done.error["message"]) == (2, True)
    write("[profiles.default]\n")
    done = run("lists", "list", "--emulator", "--profile", "shop")
    assert (done.code, "profiles: default" in done.error["message"]) == (2, True)


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes")
def test_configuration_writable_by_others_prints_a_warning(run: Run) -> None:
    """Other users could redirect tokens and state. Readable by others is allowed."""
    path = write("[profiles.default]\n")
    path.chmod(0o644)
    assert run("lists", "list", "--emulator").err == ""
    path.chmod(0o666)
    done = run("lists", "list", "--emulator")
    assert (done.code, done.data) == (0, [])
    assert "chmod 600" in done.err


def test_configuration_path_from_environment_is_used(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Some schedulers have no home directory."""
    (tmp_path / "my.toml").write_text('[profiles.default]\nad_account = "8"\n')
    monkeypatch.setenv("PINTEREST_AUDIENCES_CONFIG", str(tmp_path / "my.toml"))
    assert run("whoami", "--emulator").data["ad_account_id"] == "8"


def test_batch_size_flag_precedes_profile(run: Run, people: Path) -> None:
    """Visible in the batches of an upload; a size below 1 is a usage error."""
    write("[profiles.default]\nbatch_size = 50\n")
    upload = ("upload", people, "--emulator", "--name")
    assert run(*upload, "A").data["batches"] == 6
    assert run(*upload, "B", "--batch-size", 60).data["batches"] == 5
    assert run("plan", people, "--emulator", "--name", "C").data["calls"] == 6
    assert run("mirror", people, "--emulator", "--name", "C").data["batches"] == 6
    assert run(*upload, "D", "--batch-size", 0).code == 2


@pytest.mark.parametrize("size", ["0", "true", '"10"', "1.5"])
def test_invalid_batch_size_in_a_profile_is_a_usage_error(run: Run, size: str) -> None:
    write(f"[profiles.default]\nbatch_size = {size}\n")
    done = run("lists", "list", "--emulator")
    assert (done.code, "batch_size" in done.err) == (2, True)
