"""The checks of the project: ``nox -s tests`` runs one, ``nox`` the default ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.options.sessions = [
    "lint",
    "types",
    "tests",
    "lowest",
    "docs",
    "httpx2",
    "spark",
    "warehouse",
    "wheel",
]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False  # an absent one is skipped, and said so

# Reuse compiled modules: otherwise each program that a test starts compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Keep files of tests in memory where there is room: state files are synced with each step.
MEMORY = Path("/dev/shm")
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 * 2**30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PROJECT = nox.project.load_toml("pyproject.toml")


def group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


def interpreters(python: str) -> list[str]:
    """Find every interpreter of a minor version that starts, oldest first, each build once.

    A version manager's shim and the interpreter behind it are one, and so is a link to it. Debian's
    own ``python3`` may lie hidden behind a newer release of the same minor version.
    """
    folders = [Path(folder) for folder in os.get_exec_path()]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [folder / f"python{python}" for folder in (*folders, Path("/usr/bin"))]
    candidates += [Path("/usr/bin/python3"), *versions.glob(f"{python}.*/bin/python{python}")]
    builds: dict[str, tuple[list[int], str]] = {}
    for path in filter(Path.is_file, candidates):
        code = (
            "import json, os, sys; print(json.dumps([sys.version, sys.version_info[:3], "
            "os.path.realpath(os.path.join(sys.base_exec_prefix, 'bin', "
            "'python%d.%d' % sys.version_info[:2]))]))"
        )
        done = subprocess.run([path, "-c", code], capture_output=True, check=False)
        if done.returncode == 0:
            build, release, program = json.loads(done.stdout)
            if f"{release[0]}.{release[1]}" == python:
                there = program if Path(program).is_file() else str(path)
                builds.setdefault(build, (release, there))
    return [program for _, program in sorted(builds.values())]


INSTALLED = {version: interpreters(version) for version in PYTHONS}
INTERPRETERS = [p for version, programs in INSTALLED.items() for p in programs or [version]]
OLDEST = INTERPRETERS[0]
MEASURED = (INSTALLED[PYTHONS[0]] or PYTHONS[:1])[-1]  # the latest release of the oldest version
SIDE_BY_SIDE = ("-n", "auto", "--dist", "worksteal")
ELSEWHERE = (*SIDE_BY_SIDE, "-m", "not once")
FAST = (*SIDE_BY_SIDE, "-m", "not once and not slow")
REST = (*SIDE_BY_SIDE, "-m", "once or slow")
# Where slow tests reach what fast ones do not.
MEASURED_SLOW = ("tests/unit/http", "tests/unit/cli", "tests/unit/records")
# What depends on the HTTP library.
WITH_HTTPX2 = (
    *("tests/unit/http", "tests/unit/auth", "tests/unit/sync"),
    *("tests/unit/test_client.py", "tests/unit/test_emulated_clients.py"),
    *("tests/unit/emulator/test_transport.py", "tests/unit/emulator/test_faults_over_http.py"),
)
# What a wheel may lack: a module, a file beside one, a command, a plugin.
IN_A_WHEEL = (
    *("tests/unit/test_public.py", "tests/unit/test_structure.py"),
    *("tests/unit/test_pytest_plugin.py", "tests/unit/cli", "tests/unit/emulator"),
    *("tests/scenarios/cli", "tests/repository/test_metadata.py"),
    *("tests/conformance/test_frozen.py", "tests/conformance/cli", "tests/conformance/emulator"),
)


@nox.session
def quick(session: nox.Session) -> None:
    """Run lint and the fast unit tests on asyncio; ``nox -R -s quick`` installs nothing."""
    session.install("-e", ".[cli]", *group("lint"), *group("test"))
    check_files(session)
    which = session.posargs or ("tests/unit",)
    session.run("python", "-m", "pytest", "-q", "--no-header", *FAST, "-k", "not trio", *which)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, common mistakes, generated files, words, and the workflows of GitHub."""
    session.install("-e", ".", *group("lint"))
    check_files(session)
    session.run("zizmor", "--offline", "--pedantic", "--no-progress", ".github", "action.yml")


def check_files(session: nox.Session) -> None:
    """Run every check that only reads files."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "scripts/check_words.py")
    session.run("python", "scripts/generate_reference.py", "--check")
    session.run("python", "scripts/generate_sync.py", "--check")
    session.run("python", "scripts/generate_stub.py", "--check")
    session.run("python", "scripts/generate_dbt.py", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy and pyright, and that the public names are typed completely."""
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
    """Run the suite on every installed interpreter; on one of the oldest version with coverage.

    An earlier release of that version, such as Debian's beside another 3.11, has the oldest
    dependencies: one run for both. Later versions leave slow tests out.
    """
    if session.python == OLDEST != MEASURED:
        install_lowest(session)
    else:
        session.install("-e", ".[cli]", *group("test"))
    if session.python == MEASURED:
        session.install(*group("records-test"), *group("remote-test"), *group("emulator-test"))
    if session.posargs:
        session.run("python", "-m", "pytest", *session.posargs)
        return
    if session.python != MEASURED:
        session.run("python", "-m", "pytest", *(ELSEWHERE if session.python == OLDEST else FAST))
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *FAST)
    session.run("coverage", "run", "-m", "pytest", *REST, *MEASURED_SLOW)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", "--fail-under=95")
    core = "pinterest_audiences/_http/*,pinterest_audiences/_pagination.py"
    session.run("coverage", "report", "--fail-under=100", f"--include={core}")
    # Mostly separate programs, which take twice as long with coverage.
    session.run("python", "-m", "pytest", *REST, *(f"--ignore={each}" for each in MEASURED_SLOW))


@nox.session(python=OLDEST)
def lowest(session: nox.Session) -> None:
    """Run the suite with the oldest allowed dependencies."""
    if OLDEST != MEASURED and not session.posargs:
        session.skip(f"the session tests has run it with {OLDEST}")
    install_lowest(session)
    session.run("python", "-m", "pytest", *ELSEWHERE, *session.posargs)


def install_lowest(session: nox.Session) -> None:
    """Install the project with the oldest dependencies that are allowed."""
    wanted = PROJECT["project"]
    dependencies = [*wanted["dependencies"], *wanted["optional-dependencies"]["cli"]]
    session.install(*(d.split(",")[0].replace(">=", "==") for d in dependencies), *group("test"))
    session.install("--no-deps", "-e", ".")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site, and run every code block, every example, and those of docstrings.

    The site is in ``build/site``; ``nox -s docs -- --serve`` only builds and serves it.
    """
    session.install("-e", ".[cli]", *group("docs"), *group("emulator-test"))
    shutil.rmtree("build/site", ignore_errors=True)  # pages that are gone
    site = ("-W", "--keep-going", "-q", "-j", "auto", "-d", "build/doctrees", "docs", "build/site")
    session.run("python", "-m", "sphinx", *site)
    if session.posargs == ["--serve"]:
        session.run("python", "-m", "http.server", "--bind", "127.0.0.1", "-d", "build/site")
        return
    session.env["DOCS_SITE"] = str(Path("build/site").resolve())
    session.run("python", "-m", "pytest", "tests/docs")
    session.run("python", "-m", "pytest", "--doctest-modules", "pinterest_audiences")
    session.run("python", "-m", "pytest", "examples")
    session.env["XDG_STATE_HOME"] = session.create_tmp()
    session.run("pinterest-audiences", "demo", "examples/customers.csv")


@nox.session
def httpx2(session: nox.Session) -> None:
    """Run the tests of calls, clients and the emulator's transport with httpx2 instead of httpx."""
    session.install("-e", ".[cli]", *group("test"), *group("httpx2"))
    session.run(
        *("python", "-m", "pytest", "-q", "-p", "support.with_httpx2", *FAST),
        *(session.posargs or WITH_HTTPX2),
        env={"PYTHONPATH": "tests"},
    )


@nox.session(python=MEASURED)
def warehouse(session: nox.Session) -> None:
    """Run the hashing queries on databases and emulations of them, and the dbt package."""
    session.install("-e", ".[cli]", *group("warehouse"))
    which = session.posargs or ("tests/unit/warehouse",)
    session.run("python", "-m", "pytest", "-q", *SIDE_BY_SIDE, *which)


@nox.session(python=MEASURED)
def spark(session: nox.Session) -> None:
    """Run the tests and the documentation of Spark, in a local one; requires Java 17."""
    if shutil.which("java") is None:
        session.skip("Spark requires Java, which is not installed")
    session.install("-e", ".", *group("test"), *group("spark-test"))
    session.run(
        "python",
        "-m",
        "pytest",
        "-q",
        "-o",
        "faulthandler_timeout=900",
        "tests/spark",
        *session.posargs,
    )
    session.run("python", "-m", "pytest", "-q", "tests/docs", "-k", "spark.md or spark_mirror")
    hashing = ("tests/unit/warehouse", "-k", "spark", "-o", "faulthandler_timeout=900")
    session.run("python", "-m", "pytest", "-q", *hashing)


@nox.session
def wheel(session: nox.Session) -> None:
    """Install the built wheel in an empty environment and test what it may lack."""
    session.install("build", "twine>=6.1", *group("test"))
    dist, away = Path(session.create_tmp()) / "dist", Path(session.create_tmp()) / "away"
    for folder in (dist, away):
        shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("python", "-m", "twine", "check", "--strict", *map(str, dist.iterdir()))
    shutil.copytree("tests", away / "tests")
    shutil.copy("pyproject.toml", away)
    session.run("python", "-m", "pip", "uninstall", "-y", "--quiet", "pinterest-audiences")
    session.install(*(f"{wheel}[cli]" for wheel in dist.glob("*.whl")))
    with session.chdir(away):
        session.run(
            "python", "-c", "import pinterest_audiences as p; assert 'site-packages' in p.__file__"
        )
        session.run("python", "-m", "pytest", *FAST, *(session.posargs or IN_A_WHEEL))


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks, which compare with a baseline; not part of the checks."""
    session.install("-e", ".[arrow,cli]", "trio>=0.26", "duckdb>=1.2", "pytest>=8.2")
    with session.chdir("benchmarks"):
        session.run("python", "client.py")
        session.run("python", "records.py", *session.posargs)
        session.run("python", "jobs.py", *session.posargs)
        session.run("python", "emulator.py")
        session.run("python", "cli.py")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Send 100,000 malformed requests over sockets; takes minutes, not part of the checks."""
    session.install("-e", ".", *group("test"))
    session.run("python", "benchmarks/fuzz.py", *session.posargs)


@nox.session(python=MEASURED)
def interop(session: nox.Session) -> None:
    """Run other clients against the emulator's server; takes minutes, not part of the checks."""
    session.install("-e", ".", "openapi-python-client", "pinterestsdk==2.1.0", "schemathesis>=4")
    serve = ("python", "interop/run.py")
    session.run(*serve, "python", "interop/recorded_requests.py")
    session.run(*serve, "python", "interop/generated_sdk.py")
    folder = session.create_tmp()
    generate = ("openapi-python-client", "generate", "--url", "{url}/openapi.json")
    where = ("--output-path", f"{folder}/emulator_client", "--meta", "none", "--overwrite")
    session.run(*serve, *generate, *where)
    session.run(*serve, "python", "interop/generated_from_ours.py", env={"PYTHONPATH": folder})
    # Pinterest's own SDK requires other versions, so it has a separate environment.
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
        session.log("PINTEREST_OPENAPI is not set: the published description is not compared")
    else:
        # It has no lengths, so what an empty name does is not described there. Audiences
        # are left out: its schema of event_data contradicts its own examples.
        explore(session, serve, r"/customer_lists(/|$)", published, *anything_valid)


def explore(session: nox.Session, serve: tuple[str, ...], paths: str, *arguments: str) -> None:
    """Let schemathesis search for responses that a description does not allow."""
    session.run(
        *serve,
        *("schemathesis", "run", *arguments, "--url", "{url}"),
        *("--header", "Authorization: Bearer any", "--include-path-regex", paths),
        *("--max-examples", "100", "--seed", "1"),
        env={"PYTHONPATH": "interop", "SCHEMATHESIS_HOOKS": "hooks"},
    )
