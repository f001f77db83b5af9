"""The status page: parsed everywhere, and in a real browser where there is one."""

from __future__ import annotations

import re
import shutil
import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from emulator.test_main import base_url_of, running
from support.knocking import get, post

from pinterest_audiences.emulator import Emulator, Request
from pinterest_audiences.emulator.admin import operate

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTACK = (
    "<img src=x onerror=\"document.title='attacked'\"><script>document.title='attacked'</script>"
)
SECTIONS = ["customer_lists", "audiences", "uploads", "budgets", "faults", "requests"]


def page() -> str:
    answer = operate(
        Emulator(), Request(method="GET", path="/", headers={"Host": "localhost:8765"})
    )
    assert answer is not None
    return answer.body.decode()


class Tags(HTMLParser):
    """Collects the elements of a page and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_brings_everything_along() -> None:
    """No image, style sheet, script or address from anywhere else."""
    tags = Tags()
    tags.feed(page())
    assert not {tag for tag, _ in tags.found} & {"img", "link", "iframe", "object", "base", "form"}
    assert not any({"src", "href"} & attributes.keys() for _, attributes in tags.found)
    assert not re.search(r"https?://|url\(|@import", page())


def test_the_page_has_a_place_for_everything_and_fits_small_screens() -> None:
    """A section each, and the viewport of the device."""
    tags = Tags()
    tags.feed(page())
    assert [a["id"] for tag, a in tags.found if tag == "section"] == SECTIONS
    assert ("viewport", "width=device-width, initial-scale=1") in {
        (a.get("name"), a.get("content")) for tag, a in tags.found if tag == "meta"
    }
    assert any(tag == "html" and a.get("lang") == "en" for tag, a in tags.found)


def test_the_page_writes_text_and_never_html() -> None:
    """None of the ways in which text becomes elements is used."""
    ways = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(")
    assert not [way for way in ways if way in page()]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by selenium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and its driver are not installed here")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # A phone of 320 px: a window of its own would not become as narrow.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=driver)
    opened = webdriver.Chrome(options=options, service=service)
    try:
        yield opened
    finally:
        opened.quit()


def wait_for(browser: Any, text: str) -> str:
    """Wait until a text is on the page, and return all its text."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shown: str = browser.execute_script("return document.body.innerText")
        if text in shown:
            return shown
        time.sleep(0.05)  # a real browser lives in real time
    pytest.fail(f"{text!r} did not come up: {shown}")


def screen(browser: Any, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 640, "deviceScaleFactor": 1, "mobile": True},
    )


@pytest.mark.parametrize("width", [320, 1280])
def test_a_browser_shows_what_there_is_live(browser: Any, width: int) -> None:
    """Without a reload, without an error, as text whatever it is called, and in its width."""
    with running("--port", "0") as process:
        base_url = base_url_of(process)
        root = f"http://{urlsplit(base_url).netloc}"
        screen(browser, width)
        browser.get("about:blank")
        browser.get_log("browser")  # what was said before is forgotten
        browser.get(root)
        assert "none" in wait_for(browser, "0 requests")
        post(f"{root}/_emulator/seed", {"ad_account_id": "549", "name": f"Live {ATTACK}"})
        post(f"{root}/_emulator/faults", {"kind": "html", "operation": "customer_lists_update"})
        audience = {"name": "Alike", "audience_type": "ACTALIKE", "rule": {"seed_id": ["1"]}}
        made = post(f"{base_url}/ad_accounts/549/audiences", audience)
        assert isinstance(made, dict)
        get(f"{base_url}/ad_accounts/549/customer_lists")
        shown = wait_for(browser, "2 requests")
        assert all(word in shown for word in (made["id"], "ACTALIKE", "ads_write"))
        assert f"Live {ATTACK}" in shown
        assert all(word in shown for word in ("customer_lists_update", "ads_read"))
        assert browser.title == "Pinterest emulator"
        assert browser.execute_script("return document.querySelectorAll('img').length") == 0
        wide = "return document.documentElement.scrollWidth <= window.innerWidth"
        assert browser.execute_script("return window.innerWidth") == width
        assert browser.execute_script(wide)
        assert browser.get_log("browser") == []
    wait_for(browser, "no answer")
