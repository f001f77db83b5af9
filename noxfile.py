"""Every check of the project, by name: ``nox -s tests``, or plain ``nox`` for all but the bench."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "lowest", "docs", "wheel"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False  # an absent one is skipped, and said so

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PROJECT = nox.project.load_toml("pyproject.toml")
CODE = ["pinterest_audiences", "tests", "benchmarks", "examples", "interop", "noxfile.py"]


def group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


def usable(python: str) -> str | None:
    """Find an interpreter that starts; a version manager's shim may stand for none."""
    candidates = [shutil.which(f"python{python}")]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path) for path in sorted(versions.glob(f"{python}.*/bin/python"))]
    for path in filter(None, candidates):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


INTERPRETERS = [usable(version) or version for version in PYTHONS]
MEASURED = INTERPRETERS[0]
SIDE_BY_SIDE = ("-n", "auto", "--dist", "worksteal")
ELSEWHERE = (*SIDE_BY_SIDE, "-m", "not once")
# What a wheel may lack: a module, a file beside one, a command, a plugin.
IN_A_WHEEL = ("tests/test_public.py", "tests/test_pytest_plugin.py", "tests/cli", "tests/emulator")


@nox.session
def lint(session: nox.Session) -> None:
    """Style and common mistakes."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, by two checkers, and that the public names are typed completely."""
    session.install(".[arrow,cli]", *group("types"))
    session.run("mypy")
    python = f"{session.virtualenv.location}/bin/python"
    session.run("pyright", "--pythonpath", python)
    session.run(
        "pyright",
        "--pythonpath",
        python,
        "--verifytypes",
        "pinterest_audiences",
        "--ignoreexternal",
    )


@nox.session(python=INTERPRETERS)
def tests(session: nox.Session) -> None:
    """The suite on every interpreter that is there; on the oldest with branch coverage."""
    session.install("-e", ".[cli]", *group("test"))
    if session.python == MEASURED:
        session.install(*group("records-test"), *group("emulator-test"))
    if session.posargs:
        session.run("python", "-m", "pytest", *session.posargs)
        return
    if session.python != MEASURED:
        session.run("python", "-m", "pytest", *ELSEWHERE)
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *SIDE_BY_SIDE)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", "--fail-under=95")
    core = "pinterest_audiences/_wire/*,pinterest_audiences/pagination.py"
    session.run("coverage", "report", "--fail-under=100", f"--include={core}")


@nox.session(python=MEASURED)
def lowest(session: nox.Session) -> None:
    """The suite with the oldest dependencies that are allowed."""
    wanted = PROJECT["project"]
    dependencies = [*wanted["dependencies"], *wanted["optional-dependencies"]["cli"]]
    session.install(*(d.split(",")[0].replace(">=", "==") for d in dependencies), *group("test"))
    session.install("--no-deps", "-e", ".")
    session.run("python", "-m", "pytest", *ELSEWHERE, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Every code block of README and docs, and every example of a docstring, is run."""
    session.install("-e", ".[cli]", *group("docs"))
    session.run("python", "-m", "pytest", "tests/docs")
    session.run("python", "-m", "pytest", "--doctest-modules", "pinterest_audiences")
    session.run("python", "examples/quickstart.py")
    session.env["XDG_STATE_HOME"] = session.create_tmp()
    session.run("pinterest-audiences", "demo", "examples/customers.csv")


@nox.session
def wheel(session: nox.Session) -> None:
    """The built wheel is installed in an empty environment and what it may lack is tested."""
    session.install("build", *group("test"))
    dist, away = Path(session.create_tmp()) / "dist", Path(session.create_tmp()) / "away"
    for folder in (dist, away):
        shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    shutil.copytree("tests", away / "tests")
    shutil.copy("pyproject.toml", away)
    session.run("python", "-m", "pip", "uninstall", "-y", "--quiet", "pinterest-audiences")
    session.install(*(f"{wheel}[cli]" for wheel in dist.glob("*.whl")))
    with session.chdir(away):
        session.run(
            "python", "-c", "import pinterest_audiences as p; assert 'site-packages' in p.__file__"
        )
        session.run("python", "-m", "pytest", *ELSEWHERE, *(session.posargs or IN_A_WHEEL))


@nox.session
def bench(session: nox.Session) -> None:
    """Each figure against a floor measured in the same run; not part of the checks."""
    session.install("-e", ".[arrow,cli]", "trio>=0.26", "duckdb>=1.1", "pytest>=8.2")
    with session.chdir("benchmarks"):
        session.run("python", "client.py")
        session.run("python", "records.py", *session.posargs)
        session.run("python", "jobs.py", *session.posargs)
        session.run("python", "emulator.py")
        session.run("python", "cli.py")


@nox.session
def fuzz(session: nox.Session) -> None:
    """100,000 broken requests over sockets; not part of the checks, because it takes minutes."""
    session.install("-e", ".", *group("test"))
    session.run("python", "benchmarks/fuzz.py", *session.posargs)


@nox.session(python=MEASURED)
def interop(session: nox.Session) -> None:
    """Other people's clients against the emulator's server; takes minutes and some installing."""
    session.install("-e", ".", "openapi-python-client", "pinterestsdk==2.1.0", "schemathesis>=4")
    serve = ("python", "interop/run.py")
    session.run(*serve, "python", "interop/generated_sdk.py")
    folder = session.create_tmp()
    generate = ("openapi-python-client", "generate", "--url", "{url}/openapi.json")
    where = ("--output-path", f"{folder}/emulator_client", "--meta", "none", "--overwrite")
    session.run(*serve, *generate, *where)
    session.run(*serve, "python", "interop/generated_from_ours.py", env={"PYTHONPATH": folder})
    # Pinterest's own SDK wants versions of its own: it has an environment for itself.
    official = Path(folder) / "official"
    session.run("python", "-m", "venv", str(official))
    session.run(f"{official}/bin/pip", "install", "-q", "pinterest-api-sdk==0.2.7", external=True)
    token = {"PINTEREST_ACCESS_TOKEN": "any-token"}
    session.run(*serve, f"{official}/bin/python", "interop/official_sdk.py", env=token)
    lists = r"/customer_lists(/\{customer_list_id\})?$"
    explore(session, serve, lists, "{url}/openapi.json")
    # What else is accepted depends on lists and parts that schemathesis does not make.
    anything_valid = ("--exclude-checks", "positive_data_acceptance")
    everything = r"/(customer_lists|audiences|oauth|user_account|ad_accounts)"
    explore(session, serve, everything, "{url}/openapi.json", *anything_valid)
    published = os.environ.get("PINTEREST_OPENAPI")
    if published is None:
        session.log("PINTEREST_OPENAPI names no file: nothing is held against what is published")
    else:
        # It tells no lengths, so that what an empty name does is no matter of it. Audiences
        # are left out: what it says of event_data is not what its own examples say.
        explore(session, serve, r"/customer_lists(/|$)", published, *anything_valid)


def explore(session: nox.Session, serve: tuple[str, ...], paths: str, *arguments: str) -> None:
    """Let schemathesis look for answers that a description does not allow."""
    session.run(
        *serve,
        *("schemathesis", "run", *arguments, "--url", "{url}"),
        *("--header", "Authorization: Bearer any", "--include-path-regex", paths),
        *("--max-examples", "100", "--seed", "1"),
        env={"PYTHONPATH": "interop", "SCHEMATHESIS_HOOKS": "hooks"},
    )
