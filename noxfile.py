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
CODE = ["pinterest_audiences", "tests", "benchmarks", "examples", "noxfile.py"]


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


@nox.session
def lint(session: nox.Session) -> None:
    """Style and common mistakes."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, by two checkers, and that the public names are typed completely."""
    session.install(".[arrow]", *group("types"))
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
    session.install("-e", ".", *group("test"))
    if session.python == MEASURED:
        session.install(*group("records-test"))
    if session.python != MEASURED or session.posargs:
        session.run("python", "-m", "pytest", *session.posargs)
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest")
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", "--fail-under=95")
    core = "pinterest_audiences/_wire/*,pinterest_audiences/pagination.py"
    session.run("coverage", "report", "--fail-under=100", f"--include={core}")


@nox.session(python=MEASURED)
def lowest(session: nox.Session) -> None:
    """The suite with the oldest dependencies that are allowed."""
    dependencies = PROJECT["project"]["dependencies"]
    session.install(*(d.split(",")[0].replace(">=", "==") for d in dependencies), *group("test"))
    session.install("--no-deps", "-e", ".")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Every code block of README and docs, and every example of a docstring, is run."""
    session.install("-e", ".", *group("docs"))
    session.run("python", "-m", "pytest", "tests/docs")
    session.run("python", "-m", "pytest", "--doctest-modules", "pinterest_audiences")
    session.run("python", "examples/quickstart.py")


@nox.session
def wheel(session: nox.Session) -> None:
    """The built wheel is installed in an empty environment and tested without the source."""
    session.install("build", *group("test"))
    dist, away = Path(session.create_tmp()) / "dist", Path(session.create_tmp()) / "away"
    for folder in (dist, away):
        shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    shutil.copytree("tests", away / "tests")
    shutil.copy("pyproject.toml", away)
    session.run("python", "-m", "pip", "uninstall", "-y", "--quiet", "pinterest-audiences")
    session.install(*map(str, dist.glob("*.whl")))
    with session.chdir(away):
        session.run(
            "python", "-c", "import pinterest_audiences as p; assert 'site-packages' in p.__file__"
        )
        session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Each figure against a floor measured in the same run; not part of the checks."""
    session.install("-e", ".[arrow]", "trio>=0.26", "duckdb>=1.1")
    with session.chdir("benchmarks"):
        session.run("python", "client.py")
        session.run("python", "records.py", *session.posargs)
        session.run("python", "jobs.py", *session.posargs)
