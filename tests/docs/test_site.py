"""The links of docs, and the built documentation site."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

import pytest

import pinterest_audiences
from pinterest_audiences import emulator

pytest.importorskip("sybil", reason="the documentation is checked by the docs session")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))  # the others: tests/repository
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]+`")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
MARKDOWN = re.compile(r"^:{1,3}\s|\*\*|\]\(|^\s*\|.*\||^#{1,6} |`", re.MULTILINE)
GENERATED = {DOCS / "cli-reference.md"}  # its sections are made when the site is built


def slug(heading: str) -> str:
    """Return the anchor that GitHub and the site make of a heading."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page of Markdown."""
    return frozenset(map(slug, HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))))


def wrong_links(page: Path) -> Iterator[str]:
    """Yield each link of a page that leads nowhere."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.findall(CODE.sub("`code`", text)):
        parts = urlsplit(link)
        if parts.scheme:
            if parts.scheme not in ("https", "mailto") or not (parts.netloc or parts.path):
                yield f"{link}: not a valid URL"
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.exists():
            yield f"{link}: no such file"
        elif (
            parts.fragment
            and target.suffix == ".md"
            and target not in GENERATED
            and parts.fragment not in anchors(target)
        ):
            yield f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_to_files_and_headings(page: Path) -> None:
    """External ones are checked for their form only, because tests use no network."""
    assert list(wrong_links(page)) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b`: c\n[1](no.md) [2](#a-b-c) [3](#d) [4](http://x.y) `[5](no.md)`\n")
    assert [wrong.split(":")[0] for wrong in wrong_links(page)] == ["no.md", "#d", "http"]


def test_pages_of_the_api_name_every_public_name() -> None:
    """Quick, without building the site."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    words = set(re.findall(r"\w+", text)) | {"__version__"}
    assert {*pinterest_audiences.__all__, *emulator.__all__} - words == set()


class Page(HTMLParser):
    """The ids of a page, what it links to or loads, and the titles in its sidebar."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.icons: list[str] = []
        self.pictures: list[tuple[str, str]] = []
        self.sidebar: list[str] = []
        self._in_sidebar = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        styles = (values.get("class") or "").split()
        self._in_sidebar |= "sidebar-tree" in styles
        if "icon" in (values.get("rel") or "").split():
            self.icons.append(str(values["href"]))
        self.ids.add(values.get("id") or "")
        if values.get("href"):
            (self.links if tag == "a" else self.loaded).append(str(values["href"]))
        if tag == "img":
            self.pictures.append((str(values["src"]), values.get("alt") or ""))
        if values.get("src"):
            self.loaded.append(str(values["src"]))

    def handle_endtag(self, tag: str) -> None:
        self._in_sidebar &= tag != "aside"

    def handle_data(self, data: str) -> None:
        if self._in_sidebar and data.strip():
            self.sidebar.append(data.strip())


def test_every_link_of_the_built_site_resolves(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    wrong: list[str] = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                wrong.append(f"{path.name}: {link}: no such file")
                continue
            ids = pages[target].ids if target in pages else {parts.fragment}
            if parts.fragment and unquote(parts.fragment) not in ids:
                wrong.append(f"{path.name}: {link}: no such anchor")
    assert wrong == []
    assert len(pages) > 30


def test_site_loads_nothing_from_other_hosts(site: Path) -> None:
    """So that it can be read offline, and readers are not followed."""
    loaded = {link for path in site.rglob("*.html") for link in Page(path).loaded}
    for path in [*site.rglob("*.css"), *site.rglob("*.svg")]:
        loaded |= set(re.findall(r"url\(.?(http[^)]*)", path.read_text(encoding="utf-8")))
    assert [link for link in loaded if urlsplit(link).netloc] == []


def test_titles_in_the_sidebar_are_unique(site: Path) -> None:
    """Captions among them."""
    titles = [title.lower() for title in Page(site / "index.html").sidebar]
    assert [title for title, count in Counter(titles).items() if count > 1] == []
    assert {"tutorial", "guides by topic", "credentials", "upload a csv file"} <= set(titles)


def test_every_page_has_the_icon_of_the_site(site: Path) -> None:
    icons = {path: Page(path).icons for path in site.rglob("*.html")}
    assert [path.name for path, icon in icons.items() if len(icon) != 1] == []
    targets = {(path.parent / urlsplit(icon).path).resolve() for path, (icon,) in icons.items()}
    (target,) = targets
    root = ET.parse(target).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox") is not None


@pytest.mark.parametrize(
    ("page", "name", "words"),
    [
        ("index", "check", "no_at_sign"),
        ("cli", "upload", "1,888/1,888 done"),
        ("cli", "plan", "25 to add"),
    ],
)
def test_site_shows_a_picture_of_a_command(site: Path, page: str, name: str, words: str) -> None:
    """Drawn from its output on a terminal."""
    pictures = Page(site / f"{page}.html").loaded
    (picture,) = (link for link in pictures if link.endswith(f"{name}.svg"))
    drawn = (site / picture).read_text(encoding="utf-8").replace("&#160;", " ")
    assert f"pinterest-audiences {name}" in drawn
    assert words in drawn


def test_every_picture_has_a_text_and_is_shown_once(site: Path) -> None:
    shown: list[str] = []
    for path in {*site.rglob("*.html")} - {site / "py-modindex.html"}:
        for source, text in Page(path).pictures:
            shown.append(Path(source).name)
            assert len(text.split()) > 5, (path.name, source)
    assert sorted(shown) == [
        *("check.svg", "check.webp", "emulator.webp", "plan.svg", "runs.webp", "upload.svg"),
    ]


def test_pictures_of_pages_show_what_the_pages_show_now() -> None:
    """By digests of the pages, which need no browser."""
    pytest.importorskip("rich", reason="the extra [cli] is missing")
    command = [sys.executable, str(ROOT / "scripts" / "page_pictures.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_pictures_are_small() -> None:
    """They are in every clone and in the source distribution."""
    sizes = [path.stat().st_size for path in (DOCS / "_static").rglob("*.webp")]
    assert len(sizes) == 3
    assert sum(sizes) < 300_000


def test_no_markdown_is_shown_as_text(site: Path) -> None:
    """Such as a definition list, or code without a word in it, which the site does not know."""
    bs4 = pytest.importorskip("bs4", reason="furo brings it along")
    wrong: list[str] = []
    for path in site.rglob("*.html"):
        article = bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").article
        for element in article.select("pre, code, script, .sig, em, strong") if article else ():
            element.replace_with("code")
        text = article.get_text() if article else ""
        wrong += [
            f"{path.name}: {text[max(0, m.start() - 60) : m.end()]}"
            for m in MARKDOWN.finditer(text)
        ]
    assert wrong == []


def test_site_documents_every_public_name(site: Path) -> None:
    """In the inventory, with the name under which it is imported."""
    inventory = (site / "objects.inv").read_bytes()
    text = zlib.decompress(inventory.split(b"zlib.\n", 1)[1]).decode()
    documented = {line.split()[0] for line in text.splitlines()}
    public = {f"pinterest_audiences.{name}" for name in pinterest_audiences.__all__}
    public |= {f"pinterest_audiences.emulator.{name}" for name in emulator.__all__}
    assert public - documented - {"pinterest_audiences.__version__"} == set()


def test_site_has_a_section_for_each_command(site: Path) -> None:
    app = pytest.importorskip("pinterest_audiences.cli.app", reason="the extra [cli] is missing")
    ids = Page(site / "cli-reference.html").ids
    assert [item.name for item in app.COMMANDS if slug(item.name) not in ids] == []


def test_search_finds_pages(site: Path) -> None:
    """The index is part of the site, and has words of pages and names of the API."""
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    for word in ("erasur", "wait_until_ready", "glossary", "lookalik"):
        assert word in index
