"""The Dockerfile: what it copies, whose rights it has, and what its container runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from support.programs import HANGS_AFTER_SECONDS

from pinterest_audiences.emulator.__main__ import _parser, check_network

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
PORT = "8765"
TOKEN = "PINTEREST_EMULATOR_ADMIN_TOKEN"

if not DOCKERFILE.exists():
    pytest.skip("an installed wheel has no Dockerfile", allow_module_level=True)


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile and their arguments, each on one line."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = (line.partition(" ") for line in joined.splitlines() if line)
    return [(name, arguments) for name, _, arguments in pairs]


def stages() -> list[dict[str, str]]:
    """Return the instructions of each stage by name; of several with one name the last."""
    result: list[dict[str, str]] = []
    for name, arguments in instructions():
        if name == "FROM":
            result.append({})
        result[-1][name] = arguments
    return result


def words(instruction: str) -> list[str]:
    """Return the words of an instruction of the last stage that needs no shell."""
    arguments: list[str] = json.loads(re.sub(r"^.*?CMD ", "", stages()[-1][instruction]))
    return arguments


def test_images_are_slim_and_run_a_supported_python() -> None:
    versions = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    for stage in stages():
        image = re.match(r"python:(3\.\d+)-slim\b", stage["FROM"])
        assert image is not None, stage["FROM"]
        assert f"Programming Language :: Python :: {image[1]}" in versions


def test_container_does_not_run_as_root() -> None:
    """A number is compared by Kubernetes; a name is not."""
    assert int(stages()[-1]["USER"]) > 0
    assert f"--uid {stages()[-1]['USER']}" in stages()[-1]["RUN"]


def test_everything_that_is_copied_exists_and_is_sent_to_the_builder() -> None:
    copied = {
        source.removeprefix("./")
        for name, arguments in instructions()
        if name == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert not [source for source in copied if not (ROOT / source).exists()]


def test_everything_that_the_build_reads_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    fragments = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["fragments"]
    required = {"pyproject.toml", *(fragment["path"] for fragment in fragments)}
    required |= {*project["project"]["license-files"]}
    required |= {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    copied = [word for name, text in instructions() if name == "COPY" for word in text.split()]
    assert required <= set(copied)
    assert project["tool"]["hatch"]["version"]["path"].startswith("pinterest_audiences/")


@pytest.mark.once
def test_container_serves_becomes_healthy_and_ends_on_sigterm() -> None:
    """Its entry point and its health check as processes, on a free port."""

    def command(instruction: str, port: int) -> list[str]:
        program, *arguments = (word.replace(PORT, str(port)) for word in words(instruction))
        assert program == "python"
        return [sys.executable, *arguments]

    assert PORT in words("ENTRYPOINT")
    assert stages()[-1]["EXPOSE"] == PORT
    environment = {**os.environ, TOKEN: "at-least-16-characters"}
    with subprocess.Popen(
        command("ENTRYPOINT", 0), env=environment, stdout=subprocess.PIPE, text=True
    ) as container:
        try:
            assert container.stdout is not None
            url = urlsplit(container.stdout.readline().strip())
            assert (url.hostname, url.path) == ("127.0.0.1", "/v5")
            check = command("HEALTHCHECK", url.port or 0)
            assert subprocess.run(check, check=False).returncode == 0
            container.send_signal(signal.SIGTERM)
            assert container.wait(timeout=HANGS_AFTER_SECONDS) == 0
        finally:
            container.kill()
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0


@pytest.mark.once
def test_container_without_an_admin_token_ends_and_names_the_variable() -> None:
    environment = {name: value for name, value in os.environ.items() if name != TOKEN}
    command = [sys.executable, *words("ENTRYPOINT")[1:]]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert TOKEN in done.stderr


def test_compose_example_of_the_docs_fits_the_container() -> None:
    """Its options, its port, its token, and the health that it waits for."""
    (example,) = re.findall(
        r"```yaml\n(services:.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.DOTALL
    )
    services = yaml.safe_load(example)["services"]
    emulator, client = services["pinterest"], services["tests"]
    options = _parser().parse_args([*words("ENTRYPOINT")[3:], *emulator["command"]])
    token = emulator["environment"][TOKEN]
    checked = check_network(options.host, allow_network=options.allow_network, admin_token=token)
    assert checked == token == client["environment"][TOKEN]
    assert client["environment"]["PINTEREST_API_URI"] == f"http://pinterest:{options.port}/v5"
    assert client["depends_on"]["pinterest"] == {"condition": "service_healthy"}
    assert "HEALTHCHECK" in stages()[-1]
