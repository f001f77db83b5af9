"""The pages of `--html`: what they show, what they never show, and how they are written."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.browser import chromium, cut_off, low_contrast, open_page, scrolls_sideways, set_screen
from support.cases import each_case
from unit.cli.conftest import Run

from pinterest_audiences import SourceError, file_source, prepare
from pinterest_audiences.cli import html_report
from pinterest_audiences.cli.html_report import CheckedSource, check_page

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTACK = '<img src=x onerror="alert(1)"><script>alert(1)</script>'
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has other names of files")
NOON = 1_795_953_600.0


class Text(HTMLParser):
    """Collects the elements of a page, and the text outside of its style sheet."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style":
            self.words += data.split()


def parsed(page: str) -> Text:
    text = Text()
    text.feed(page)
    return text


def shown(page: str) -> str:
    return " ".join(parsed(page).words)


@pytest.fixture
def customers() -> Path:
    """A file with 300 good addresses and four rejects."""
    path = Path("customers.csv")
    good = "".join(f"{number},person{number}@shop.de\n" for number in range(300))
    path.write_text(f"id,email\n{good}1,a\n2,b\n3,c\n4,\n")
    return path


def test_page_shows_counts_reasons_and_forecast(run: Run, customers: Path) -> None:
    done = run("check", customers, "--html", "report.html", "--match-rate", "0.25", "-o", "json")
    assert done.code == 0
    assert "the report is in report.html" in done.err
    text = shown(Path("report.html").read_text())
    for words in (
        "Check of customers.csv",
        "3 rejected (1.0%)",
        "no_at_sign 3 (1.0%) rows 301, 302, 303",
        "empty 1 (0.3%) row 304",
        "at 25%, as given 75 accounts",
        "at 50% 150 accounts",
        "At this match rate the list may be TOO_SMALL",
    ):
        assert words in text, text


def test_page_shows_warnings_files_and_masked_samples_only_if_there_are_any(
    run: Run, customers: Path
) -> None:
    run("check", customers, "--html", "plain.html")
    headings = re.findall("<h2>(.*)</h2>", Path("plain.html").read_text())
    assert headings == ["What was read", "Rejects by reason", "Match forecast against 100"]
    Path("more").mkdir()
    Path("more/new.csv").write_text('email\nann@example.com\n"Ann@@shop,de"\n')
    words = ("check", customers, "more/new.csv", "--sample", 2, "--duplicates")
    run(*words, "--html", "full.html", "--max-reject-share", 1)
    page = Path("full.html").read_text()
    assert re.findall("<h2>(.*)</h2>", page)[3:] == ["Warnings", "Masked examples", "Files"]
    text = shown(page)
    assert "1 address at reserved domains (example.com): test data?" in text
    assert "new.csv 2 several_at_signs aaa@@aaaa,aa" in text
    assert "new.csv 2" in text
    assert "0 duplicates" in text
    assert "more/" not in text
    assert text.endswith("nothing that is in the files, except masked examples.")
    assert shown(Path("plain.html").read_text()).endswith("nothing that is in the files.")


@each_case(
    ("records", "share"),
    [(100, "100%"), (101, "99.1%"), (300, "33.4%"), (399, "25.1%"), (400, "25%"), (4096, "2.5%")],
)
def test_page_and_terminal_round_the_needed_match_rate_up(
    run: Run, records: int, share: str
) -> None:
    """The rate that is shown is enough."""
    source = write_emails(Path("some.csv"), range(records))
    done = run("check", source, "--html", "some.html", "-o", "table")
    assert f"records reach that if {share} of them or more match" in done.out
    text = shown(Path("some.html").read_text())
    assert f"reach it at a match rate of {share} or more." in text


@each_case(
    ("content", "options", "code", "words"),
    [
        ("email\na\n", (), 5, "An upload would be refused: 1 of 1 values rejected"),
        ("email\n", (), 5, "An upload would be refused: has no rows below its header"),
        ("email\n\n", (), 5, "An upload would be refused:"),
        ("email\na@shop.de\n", ("--expect-rows", 2), 8, "An upload would be refused:"),
        ("email\na@shop.de\n", (), 0, "Fewer than 100 records: the list would be TOO_SMALL"),
        ("email\n" + "a@shop.de\n" * 100, (), 0, "100 records can be sent"),
        ("email\n" + "a@shop.de\n" * 9, ("--limit", 3), 0, "only the first 3 rows were read"),
    ],
)
def test_page_says_whether_an_upload_would_be_refused(
    run: Run, content: str, options: tuple[object, ...], code: int, words: str
) -> None:
    """Also after an error, so that the rejects can be looked at."""
    Path("some.csv").write_text(content)
    done = run("check", "some.csv", "--html", "some.html", *options)
    assert done.code == code, done.err
    assert words in shown(Path("some.html").read_text())


def test_page_has_no_script_no_address_and_a_policy_with_the_digest_of_its_style(
    run: Run, customers: Path
) -> None:
    """It requests nothing, and nothing that was injected would run."""
    run("check", customers, "--html", "report.html")
    page = Path("report.html").read_text()
    tags = parsed(page).tags
    names = {tag for tag, _ in tags}
    assert not names & {"script", "img", "link", "iframe", "object", "base", "form", "a"}
    assert not any({"src", "href", "style"} & attributes.keys() for _, attributes in tags)
    assert not re.search(r"https?:|url\(|@import", page)
    (policy,) = (a["content"] for tag, a in tags if tag == "meta" and "http-equiv" in a)
    (style,) = re.findall("<style>(.*?)</style>", page, flags=re.DOTALL)
    digest = re.search("style-src 'sha256-(.*?)'", str(policy))
    assert digest is not None
    assert base64.b64decode(digest[1]) == hashlib.sha256(style.encode()).digest()
    assert str(policy).startswith("default-src 'none'; ")


@posix
def test_names_of_files_are_escaped(run: Run) -> None:
    path = Path(f"{ATTACK.replace('/', '')}.csv")
    path.write_text("email\nann@shop.de\n")
    run("check", path, "--html", "report.html")
    page = Path("report.html").read_text()
    assert "&lt;img src=x" in page
    assert not {tag for tag, _ in parsed(page).tags} & {"img", "script"}


def test_name_of_a_person_in_a_path_is_not_shown(run: Run) -> None:
    folder = Path("ann.smith")
    folder.mkdir()
    (folder / "ann@shop.de.csv").write_text("email\n" + "no address\n" * 3)
    (folder / "more.csv").write_text("email\nno address\n")
    (folder / "empty.csv").write_text("email\n")
    run("check", folder / "ann@shop.de.csv", "--html", "report.html")
    page = Path("report.html").read_text()
    assert "Check of (not shown)" in page
    run("check", *folder.iterdir(), "--html", "report.html")
    page += Path("report.html").read_text()
    assert "1 file without rows" in page
    assert "more.csv" in page
    assert "shop.de" not in page
    assert "ann.smith" not in page


WORDS = st.text("abcdefghijklmnopqrstuvwxyzäöß0123456789", min_size=6, max_size=20)
LOCAL_PARTS = WORDS.map("Qz7".__add__)
ADDRESSES = st.builds("{}@{}.de".format, LOCAL_PARTS, WORDS)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
WRONG = st.builds(
    "{}{}{}".format, LOCAL_PARTS, st.sampled_from(["@@", " at ", "", "@", ";"]), WORDS
)
CELLS = st.one_of(ADDRESSES, ADDRESSES.map(str.upper), DIGESTS, DIGESTS.map(str.upper), WRONG)


@given(
    rows=st.lists(st.tuples(CELLS, LOCAL_PARTS), min_size=1, max_size=8),
    header=st.sampled_from(["email,note", None, ""]),
    samples=st.integers(0, 5),
)
def test_page_has_no_address_digest_or_cell_of_the_source(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    header: str | None,
    samples: int,
) -> None:
    """Whatever is in the file, also without a header, when a customer is taken for it."""
    path = tmp_path_factory.mktemp("source") / "customers.csv"
    lines = [f'"{cell}",{other}' for cell, other in rows]
    path.write_text("\n".join([header, *lines] if header else lines) + "\n", encoding="utf-8")
    prepared = prepare(
        file_source(path, column=1, header=header is not None),
        samples=samples,
        max_reject_share=1,
    )
    try:
        records = [record for chunk in prepared for record in chunk]
    except SourceError:  # the first row is an address, and not taken for a header
        assume(False)
    checked = CheckedSource(prepared.report, 0.5, True, prepared.samples)
    page = check_page(checked, "", NOON).lower()
    cells = {cell.lower() for row in rows for cell in row}
    addresses = {value.strip().lower().encode() for value in cells}
    digests = {
        hashlib.new(name, value).hexdigest()
        for name in ("md5", "sha1", "sha256")
        for value in addresses
    }
    assert not [value for value in cells | digests | set(records) if value in page]


@posix
@each_case(
    ("path", "content", "words"),
    [
        ("folder", None, "must be a file in a folder"),
        ("missing/report.html", None, "must be a file in a folder"),
        ("customers.csv", None, "is read by this command"),
        ("rejects.csv", "row,reason", "is read by this command"),
        ("notes.txt", "important", "exists and is not an HTML page"),
        ("/dev/null", None, "is not a regular file"),
    ],
)
def test_file_that_is_not_a_page_is_not_replaced(
    run: Run, customers: Path, path: str, content: str | None, words: str
) -> None:
    """Before the source is read."""
    Path("folder").mkdir(exist_ok=True)
    if content is not None:
        Path(path).write_text(content)
    before = customers.read_text()
    done = run("check", "customers.csv", "--html", path, "--rejects-to", "rejects.csv")
    assert (done.code, done.out) == (2, "")
    assert words in done.error["message"]
    assert content is None or Path(path).read_text() == content
    assert customers.read_text() == before


def test_page_of_an_earlier_check_is_replaced_at_once(
    run: Run, customers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed write leaves the page before, and no other file."""
    assert run("check", customers, "--html", "report.html").code == 0
    before = Path("report.html").read_text()
    customers.write_text("email\nann@shop.de\n")
    with monkeypatch.context() as failing:
        failing.setattr(Path, "replace", broken_replace)
        done = run("check", customers, "--html", "report.html", "-o", "json")
    assert (done.code, done.error["code"]) == (1, "html_not_written")
    assert "No space left" in done.error["message"]
    assert Path("report.html").read_text() == before
    assert run("check", customers, "--html", "report.html").code == 0
    assert Path("report.html").read_text() != before
    assert sorted(each.name for each in Path().iterdir()) == ["customers.csv", "report.html"]


def broken_replace(_from: Path, _to: Path) -> None:
    raise OSError(28, "No space left on device")


def test_template_and_style_have_no_other_placeholder() -> None:
    """A dollar sign in the style sheet would be taken for one."""
    folder = Path(html_report.__file__).parent
    names = re.findall(r"\$(\w*)", (folder / "html_report.html").read_text())
    assert set(names) == {"policy", "title", "style", "summary", "sections", "footer"}


def write_emails(path: Path, numbers: range) -> Path:
    path.write_text("email\n" + "".join(f"person{number}@shop.de\n" for number in numbers))
    return path


@pytest.mark.parametrize("place", ["exports/report.html", "exports/old/report.html"])
def test_page_in_a_folder_that_is_read_is_refused(run: Run, place: str) -> None:
    """The next run would read it."""
    Path("exports/old").mkdir(parents=True)
    write_emails(Path("exports/customers.csv"), range(5))
    done = run("check", "exports", "--html", place)
    assert done.code == 2
    assert "is in a folder that this command reads" in done.error["message"]
    assert run("check", "exports", "--html", "report.html").code == 0


def test_phone_number_as_the_name_of_a_file_is_not_shown(run: Run) -> None:
    write_emails(Path("+4915112345678.csv"), range(5))
    assert run("check", "+4915112345678.csv", "--html", "report.html").code == 0
    assert "4915112345678" not in Path("report.html").read_text()


@pytest.fixture
def history(run: Run) -> None:
    """Two mirrors of one list, one that was refused, and an upload to a list like a person."""
    folder = Path("ann.smith")
    folder.mkdir()
    source = write_emails(folder / "customers.csv", range(300))
    assert run("mirror", source, "--name", "Buyers", "--emulator").code == 0
    write_emails(source, range(100, 450))
    assert run("mirror", source, "--name", "Buyers", "--emulator", "--yes").code == 0
    write_emails(source, range(2))
    assert run("mirror", source, "--name", "Buyers", "--emulator").code == 8
    assert run("upload", source, "--name", f"{ATTACK} ann@shop.de", "--emulator").code == 0


@pytest.mark.usefixtures("history")
def test_page_of_runs_shows_outcomes_members_and_the_table(run: Run) -> None:
    """Members are counted back from those of today."""
    done = run("runs", "--emulator", "--html", "runs.html", "-o", "json")
    assert (done.code, len(done.data)) == (0, 4)
    assert "the report is in runs.html" in done.err
    page = Path("runs.html").read_text()
    text = shown(page)
    for words in (
        "The last run: done",
        "3 done (75.0%) 1 failed (25.0%)",
        "Members of Buyers 350 now; 0 before the first run shown, 350 at most.",
        "mirror Buyers customers.csv 300 0 0",
        "mirror Buyers customers.csv 150 100 0",
        'failed list "Buyers" 2542620: 350 of 350 records (100.0%) would be removed',
    ):
        assert words in text, text
    newest = run("runs", "--emulator", "--limit", 3, "--html", "runs.html", "--list", "Buyers")
    assert newest.code == 0
    run("runs", "--emulator", "--limit", 2, "--html", "runs.html", "--list", "Buyers")
    assert "350 now; 300 before the first run shown" in shown(Path("runs.html").read_text())


@pytest.mark.usefixtures("history")
def test_page_of_runs_has_no_records_folders_or_markup_of_names(run: Run) -> None:
    run("runs", "--emulator", "--html", "runs.html")
    page = Path("runs.html").read_text()
    digests = [hashlib.sha256(f"person{n}@shop.de".encode()).hexdigest() for n in range(450)]
    assert not [digest for digest in digests if digest in page]
    assert "shop.de" not in page
    assert "ann.smith" not in page
    assert "&lt;img src=x" in page
    assert not {tag for tag, _ in parsed(page).tags} & {"img", "script"}


def test_page_of_an_empty_history_and_of_a_path_that_cannot_be_used(run: Run) -> None:
    assert run("runs", "--emulator", "--html", "runs.html").code == 0
    assert "The state file has no runs." in shown(Path("runs.html").read_text())
    Path("notes.txt").write_text("important")
    done = run("runs", "--emulator", "--html", "notes.txt")
    assert (done.code, done.out, Path("notes.txt").read_text()) == (2, "", "important")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by selenium."""
    with chromium() as opened:
        yield opened


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 900, 1400])
@pytest.mark.parametrize("colors", ["light", "dark"])
def test_page_is_readable_in_a_browser(
    run: Run, customers: Path, browser: Any, width: int, colors: str
) -> None:
    """No horizontal scroll bar, no error, no request; the chart has its bars at their lengths."""
    long = Path(f"{'x' * 90}.csv")
    long.write_text('email\nann@example.com\n"Ann@@shop,de"\n')
    words = ("check", customers, long, "--sample", 3, "--duplicates", "--match-rate", 0.4)
    assert run(*words, "--html", "report.html").code == 0
    set_screen(browser, width, colors)
    open_page(browser, Path("report.html").absolute().as_uri())
    assert browser.title == "Check of 2 files" or "customers.csv" in browser.title
    assert browser.execute_script("return window.innerWidth") == width
    assert not scrolls_sideways(browser)
    assert cut_off(browser) == []
    assert low_contrast(browser) == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.get_log("browser") == []
    sections = browser.find_elements("tag name", "section")
    bars = sections[1].find_elements("css selector", ".bars rect:last-child")
    longest, *others = [bar.rect["width"] for bar in bars]
    assert others == pytest.approx([longest / 3, longest / 3], abs=1)
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is (colors == "light")


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.usefixtures("history")
def test_page_of_runs_is_readable_in_a_browser(run: Run, browser: Any) -> None:
    assert run("runs", "--emulator", "--html", "runs.html").code == 0
    millions = (
        "document.querySelectorAll('td[data-name$=ed]:not(:first-child)')"
        ".forEach(cell => { cell.textContent = '12,345,678'; })"
    )
    for width in (400, 620, 900, 980, 1400):
        for colors in ("light", "dark"):
            set_screen(browser, width, colors)
            open_page(browser, Path("runs.html").absolute().as_uri())
            assert low_contrast(browser) == []
            assert browser.get_log("browser") == []
            browser.execute_script(millions)
            assert not scrolls_sideways(browser)
            assert cut_off(browser) == [], width
    set_screen(browser, 1000)
    open_page(browser, Path("runs.html").absolute().as_uri())
    rows = browser.execute_script(
        "return [...document.querySelectorAll('td:nth-child(1), td:nth-child(4)')].map(cell => {"
        "const range = document.createRange(); range.selectNodeContents(cell);"
        "return range.getClientRects().length; })"
    )
    assert set(rows) == {1}  # a time, or the name of a file, on one line
    heights = browser.execute_script(
        "return document.querySelector('polyline').getAttribute('points').split(' ')"
        ".map(point => Number(point.split(',')[1]))"
    )
    assert heights[0] > heights[-1]  # more members, and 0 is at the bottom
