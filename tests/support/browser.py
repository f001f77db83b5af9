"""A real browser, where one is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.programs import HANGS_AFTER_SECONDS


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a headless Chromium, driven by selenium; skip the test where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and its driver are not installed here")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=driver)
    opened = webdriver.Chrome(options=options, service=service)
    try:
        yield opened
    finally:
        opened.quit()


def wait_for_text(browser: Any, text: str) -> None:
    """Wait until a text is on the page, also on one that is still being opened."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(browser, HANGS_AFTER_SECONDS, ignored_exceptions=[WebDriverException])
    wait.until(
        lambda _: text in browser.find_element("tag name", "body").text,
        f"{text!r} is not on the page",
    )


def wait_for_element(browser: Any, selector: str) -> None:
    """Wait until an element is on the page."""
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(browser, HANGS_AFTER_SECONDS)
    wait.until(
        lambda _: browser.find_elements("css selector", selector),
        f"no element {selector!r} is on the page",
    )


def set_screen(browser: Any, width: int, colors: str = "light") -> None:
    """Give the browser a screen of a width in pixels, and a preference for light or dark colors."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 640, "deviceScaleFactor": 1, "mobile": True},
    )
    feature = {"name": "prefers-color-scheme", "value": colors}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def open_page(browser: Any, url: str) -> None:
    """Open a page without the log of the page before."""
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(url)


def scrolls_sideways(browser: Any) -> bool:
    """Return whether the page is wider than the screen."""
    wider = "return document.documentElement.scrollWidth > window.innerWidth"
    return bool(browser.execute_script(wider))


_CUT = """
return [...document.body.querySelectorAll("*:not(svg)")]
  .filter(e => getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth)
  .map(e => `${e.className}: ${e.scrollWidth} of ${e.clientWidth}`);
"""


def cut_off(browser: Any) -> list[str]:
    """Return the elements with content that is wider than they are."""
    return list(browser.execute_script(_CUT))


_MIN_CONTRAST = 4.5  # of text, by WCAG 2 AA
_CONTRAST = """
const channels = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
const light = color => channels(color).map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const background = element => {
  for (let e = element; e; e = e.parentElement) {
    const color = getComputedStyle(e).backgroundColor;
    if (!color.endsWith(", 0)") && color !== "transparent") return color;
  }
  return "rgb(255, 255, 255)";
};
return [...document.body.querySelectorAll("*")]
  .filter(e => e.offsetParent && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
  .map(e => {
    const [one, other] = [light(getComputedStyle(e).color), light(background(e))];
    return [(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), e.outerHTML];
  });
"""


def low_contrast(browser: Any) -> list[str]:
    """Return the elements whose text is hard to read on its background."""
    ratios = browser.execute_script(_CONTRAST)
    assert ratios
    return [html for ratio, html in ratios if ratio < _MIN_CONTRAST]
