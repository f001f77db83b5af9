"""What PyPI and GitHub show: metadata, links, the changelog and the notes of a release."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path
from types import ModuleType

import pytest
from support.cases import each_case

import pinterest_audiences

ROOT = Path(__file__).parents[2]
REPOSITORY = "https://github.com/pinterest-audiences/pinterest-audiences"
RAW = "https://raw.githubusercontent.com/pinterest-audiences/pinterest-audiences"
LINK = re.compile(r"\]\(([^)\s]+)\)")
# GitHub shows these pages in places from which relative links lead nowhere.
FORMS = (".github/PULL_REQUEST_TEMPLATE.md", ".github/ISSUE_TEMPLATE/*.yml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
INSTALLED = "site-packages" in pinterest_audiences.__file__

in_a_checkout = pytest.mark.skipif(
    not (ROOT / "CHANGELOG.md").exists(), reason="the pages are in a checkout only"
)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def on_pypi(readme: str) -> str:
    """Return the README after the substitutions of the build."""
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for rule in hook["substitutions"]:
        replacement = rule["replacement"].replace("$HFPR_VERSION", pinterest_audiences.__version__)
        readme = re.sub(rule["pattern"], replacement, readme)
    return readme


def leads_to_a_file(link: str) -> bool:
    """Return whether a link into the repository leads to a file or folder of it."""
    path = re.sub(rf"^{REPOSITORY}/(blob|tree)/[^/]+/", "", link).partition("#")[0]
    return (ROOT / path).exists()


def anchors(page: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@in_a_checkout
def test_links_of_the_readme_lead_to_files_of_the_version_on_pypi() -> None:
    links = LINK.findall(on_pypi(text_of("README.md")))
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    own = [link for link in links if link.startswith(REPOSITORY)]
    assert len(own) > 10
    version = f"{REPOSITORY}/blob/v{pinterest_audiences.__version__}/"
    assert [link for link in own if not link.startswith(version)] == []
    assert [link for link in own if not leads_to_a_file(link)] == []


def test_images_of_the_readme_are_raw_files_on_pypi() -> None:
    """An image that is linked as a page of GitHub is not shown."""
    version = pinterest_audiences.__version__
    unchanged = "[x](https://x.example) [y](#y)"
    assert on_pypi(f"![A table](docs/t.svg) [page](docs/a.md#b) {unchanged}") == (
        f"![A table]({RAW}/v{version}/docs/t.svg)"
        f" [page]({REPOSITORY}/blob/v{version}/docs/a.md#b) {unchanged}"
    )


@pytest.mark.skipif(not INSTALLED, reason="a checkout may be installed with older metadata")
def test_installed_metadata_have_author_license_links_and_readme() -> None:
    installed = metadata("pinterest-audiences")
    assert installed["Author"] == "The pinterest-audiences authors"
    assert installed["License-Expression"] == "MIT"
    assert installed.get_all("License-File") == ["LICENSE"]
    urls = dict(line.split(", ") for line in installed.get_all("Project-URL") or [])
    assert urls == PROJECT["project"]["urls"]
    description = installed.get_payload()  # type: ignore[attr-defined]  # a Message
    assert description.startswith("# pinterest-audiences\n")
    assert [link for link in LINK.findall(description) if not link.startswith(("https", "#"))] == []


@in_a_checkout
@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md"]
)
def test_links_of_a_page_lead_to_files_and_headings(name: str) -> None:
    broken: list[str] = []
    for link in LINK.findall(text_of(name)):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            page = ROOT / (path or name)
            if not page.exists() or (anchor and anchor not in anchors(page.read_text("utf-8"))):
                broken.append(link)
    assert broken == []


@in_a_checkout
def test_contributing_names_sessions_and_files_that_exist() -> None:
    """In code: `nox -s lint`, `scripts/check_words.py`, `tests/unit/`."""
    text = text_of("CONTRIBUTING.md")
    code = re.findall(r"`([^`\n]+)`|^```\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    words = [word for pair in code for word in " ".join(pair).split()]
    sessions = re.findall(r"^def (\w+)\(session", text_of("noxfile.py"), flags=re.MULTILINE)
    named = {
        word
        for command in (" ".join(pair) for pair in code)
        if (match := re.match(r"nox (?:-R )?-s ([a-z0-9 ]+)", command))
        for word in match[1].split()
    }
    assert len(named) >= 10
    assert named <= set(sessions)
    folders = ("tests/", "docs/", "scripts/", "dbt/", "pinterest_audiences/", ".github/")
    files = {word for word in words if word.startswith(folders)}
    assert len(files) >= 20
    assert {file for file in files if not [*ROOT.glob(file)]} == set()


@in_a_checkout
def test_links_of_forms_and_metadata_are_of_one_repository_and_lead_to_files() -> None:
    pages = [path for pattern in FORMS for path in ROOT.glob(pattern)]
    assert len(pages) == 5
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    links = re.findall(r"https://github\.com/[^\s)]+", text)
    links += PROJECT["project"]["urls"].values()
    elsewhere = [link for link in links if not link.startswith(REPOSITORY)]
    assert elsewhere == []
    files = [link for link in links if "/blob/" in link or "/tree/" in link]
    assert len(files) > 3
    assert [link for link in files if not leads_to_a_file(link)] == []


@in_a_checkout
def test_changelog_has_short_lines_and_a_dated_section_of_the_version() -> None:
    changelog = text_of("CHANGELOG.md")
    headings = re.findall(r"^## (.+)$", changelog, flags=re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    version = re.escape(pinterest_audiences.__version__)
    assert [h for h in headings[1:] if re.fullmatch(rf"\[{version}\] - \d{{4}}-\d\d-\d\d", h)]
    names = re.findall(r"^## \[(.+?)\]", changelog, flags=re.MULTILINE)
    assert re.findall(rf"^\[(.+?)\]: {REPOSITORY}/", changelog, flags=re.MULTILINE) == names
    assert [line for line in changelog.splitlines() if len(line) > 140] == []


@pytest.fixture
def release_notes() -> ModuleType:
    path = ROOT / "scripts" / "release_notes.py"
    if not path.exists():
        pytest.skip("the scripts are in a checkout only")
    spec = importlib.util.spec_from_file_location("release_notes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHANGELOG = """# Changelog

## [Unreleased]

- Later.

## [1.1.0] - 2026-12-01

- New.

## [1.0.0] - 2026-11-29

First.

### Fixed

- Old.

## [0.9.0]

- Without a date.

[Unreleased]: https://x.example
"""


@each_case(
    ("tag", "version", "expected"),
    [
        ("v1.1.0", "1.1.0", "- New."),
        ("v1.0.0", "1.0.0", "First.\n\n### Fixed\n\n- Old."),
        ("v1.0.0", "1.1.0", ValueError("the tag v1.0.0 is not v1.1.0")),
        ("1.1.0", "1.1.0", ValueError("the tag 1.1.0 is not v1.1.0")),
        ("v0.9.0", "0.9.0", ValueError("no section ## [0.9.0] with a date")),
        ("v2.0.0", "2.0.0", ValueError("no section ## [2.0.0] with a date")),
    ],
)
def test_release_notes_are_the_section_of_the_tag(
    release_notes: ModuleType, tag: str, version: str, expected: str | ValueError
) -> None:
    if isinstance(expected, str):
        assert release_notes.notes(tag, changelog=CHANGELOG, version=version) == expected
    else:
        with pytest.raises(ValueError, match=re.escape(str(expected))):
            release_notes.notes(tag, changelog=CHANGELOG, version=version)


def test_version_of_the_package_can_be_released(
    release_notes: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release_notes.main([f"v{pinterest_audiences.__version__}"]) == 0
    assert capsys.readouterr().out.strip()
