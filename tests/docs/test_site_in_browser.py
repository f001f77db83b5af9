"""The documentation site as a reader sees and uses it, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import chromium, open_page, scrolls_sideways, set_screen, wait_for_element

pytestmark = pytest.mark.slow

PROMPTS = ("$ ", ">>> ", "... ")
# Clicks each copy button; returns the texts of the blocks, and what was copied of each.
COPY = """
const copied = [];
document.addEventListener("copy", event => copied.push(event.target.value));
const buttons = [...document.querySelectorAll("button.copybtn")];
buttons.forEach(button => button.click());
return [buttons.map(button => button.previousElementSibling.textContent), copied];
"""
# Returns the languages and lines of code that take more than one row of the screen.
WRAPPED = """
const wrapped = [];
for (const pre of document.querySelectorAll("div.highlight pre")) {
  const nodes = [], walker = document.createTreeWalker(pre, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) nodes.push(walker.currentNode);
  const characters = nodes.flatMap(node => [...Array(node.length).keys()].map(i => [node, i]));
  const text = nodes.map(node => node.data).join("");
  for (const match of text.matchAll(/\\S.*\\S/g)) {
    const range = document.createRange(), last = characters[match.index + match[0].length - 1];
    range.setStart(...characters[match.index]);
    range.setEnd(last[0], last[1] + 1);
    const boxes = [...range.getClientRects()].filter(box => box.width);
    if (Math.max(...boxes.map(box => box.top)) > Math.min(...boxes.map(box => box.bottom))) {
      wrapped.push([pre.closest("[class*=highlight-]").classList[0], match[0]]);
    }
  }
}
return wrapped;
"""
CUT = """
return [...document.querySelectorAll(".highlight-sh pre, .highlight-console pre")]
  .filter(pre => pre.scrollWidth > pre.clientWidth && getComputedStyle(pre).overflowX !== "auto")
  .map(pre => pre.textContent);
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def copied(browser: Any, page: Path) -> list[tuple[str, str]]:
    """Return each block of a page, and what its button copies."""
    open_page(browser, page.as_uri())
    if not browser.find_elements("css selector", "div.highlight pre"):
        return []
    wait_for_element(browser, "button.copybtn")
    click = {"expression": f"(() => {{{COPY}}})()", "userGesture": True, "returnByValue": True}
    blocks, texts = browser.execute_cdp_cmd("Runtime.evaluate", click)["result"]["value"]
    return list(zip(blocks, texts, strict=True))


def commands(block: str) -> str:
    """Return the commands after prompts, with the lines that continue them; or the whole block."""
    lines = block.removesuffix("\n").split("\n")
    if not lines[0].startswith(PROMPTS):
        return "\n".join(lines)
    kept: list[str] = []
    continued = False
    for line in lines:
        prompt = next((prompt for prompt in PROMPTS if f"{line} ".startswith(prompt)), None)
        if prompt is not None or continued:
            kept.append(line.removeprefix(prompt or "") if line != "..." else "")
            continued = line.endswith("\\")
    return "\n".join(kept).removesuffix("\n")


def test_button_of_a_transcript_copies_the_commands_alone(browser: Any, site: Path) -> None:
    texts = [text for _, text in copied(browser, site / "tutorial.html")]
    assert "pinterest-audiences check export.csv" in texts
    assert (
        "pinterest-audiences upload export.csv --name Buyers --emulator\n"
        "pinterest-audiences lists list --emulator"
    ) in texts
    texts = [text for _, text in copied(browser, site / "warehouse.html")]
    assert (
        "pinterest-audiences sql --dialect duckdb --table customers --column Email > query.sql\n"
        "tail -n 2 query.sql"
    ) in texts


def test_every_button_copies_what_can_be_run(browser: Any, site: Path) -> None:
    wrong = [
        (page.name, block, text)
        for page in pages(site)
        for block, text in copied(browser, page)
        if text != commands(block)
    ]
    assert wrong == []


@pytest.mark.parametrize("width", [400, 1400])
def test_output_keeps_its_columns_and_no_page_scrolls_sideways(
    browser: Any, site: Path, width: int
) -> None:
    """Only commands wrap; wide output scrolls inside of its block."""
    set_screen(browser, width)
    wrapped: list[tuple[str, str, str]] = []
    sideways: list[str] = []
    cut: list[str] = []
    for page in pages(site):
        open_page(browser, page.as_uri())
        name = page.relative_to(site).as_posix()
        wrapped += [(name, *found) for found in browser.execute_script(WRAPPED)]
        cut += browser.execute_script(CUT)
        if scrolls_sideways(browser):
            sideways.append(name)
    output = [
        (name, line)
        for name, language, line in wrapped
        if not (language == "highlight-sh" or line.startswith("$ "))
    ]
    assert output == []
    assert sideways == []
    assert cut == []
    assert width > 400 or wrapped  # the lines of commands are measured


@pytest.mark.parametrize("width", [400, 1400])
def test_pictures_are_loaded_and_those_of_a_terminal_stay_readable(
    browser: Any, site: Path, width: int
) -> None:
    """On a phone they scroll inside of their frames; a letter is at least 6 pixels wide."""
    set_screen(browser, width)
    terminals: list[float] = []
    for name in ("index", "cli", "jobs", "testing"):
        open_page(browser, (site / f"{name}.html").as_uri())
        for picture in browser.find_elements("css selector", "article img"):
            assert browser.execute_script("return arguments[0].naturalWidth", picture) > 0
        frames = browser.find_elements("css selector", "figure.terminal img")
        terminals += [frame.rect["width"] for frame in frames]
    assert len(terminals) == 3
    assert min(terminals) > 88 * 6
