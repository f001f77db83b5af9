"""The status page: parsed everywhere, and in a real browser where one is installed."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlsplit

import httpx
import pytest
from support.browser import chromium, low_contrast, open_page, scrolls_sideways, set_screen
from support.knocking import TOKEN, get, post
from unit.emulator.test_main import base_url_of, running

from pinterest_audiences.emulator import Emulator, FaultKind, Request
from pinterest_audiences.emulator._admin import handle_admin_request

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

ATTACK = (
    "<img src=x onerror=\"document.title='attacked'\"><script>document.title='attacked'</script>"
)
SECTIONS = ["customer_lists", "audiences", "uploads", "budgets", "faults", "requests"]


def page() -> str:
    answer = handle_admin_request(
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


def test_status_page_has_no_external_resources() -> None:
    """No image, style sheet, script or URL of another origin."""
    tags = Tags()
    tags.feed(page())
    assert not {tag for tag, _ in tags.found} & {"img", "link", "iframe", "object", "base"}
    leaving = {"src", "href", "action", "formaction"}
    assert not any(leaving & attributes.keys() for _, attributes in tags.found)
    assert not re.search(r"https?://|url\(|@import", page())


def test_status_page_has_all_sections_and_a_viewport() -> None:
    """One section for each table."""
    tags = Tags()
    tags.feed(page())
    assert [a["id"] for tag, a in tags.found if tag == "section"] == SECTIONS
    assert ("viewport", "width=device-width, initial-scale=1") in {
        (a.get("name"), a.get("content")) for tag, a in tags.found if tag == "meta"
    }
    assert any(tag == "html" and a.get("lang") == "en" for tag, a in tags.found)


def test_status_page_offers_every_kind_of_fault() -> None:
    kinds = re.findall(r"<option>([a-z_]+)</option>", page())
    assert kinds == list(get_args(FaultKind))


def test_status_page_never_writes_html() -> None:
    """None of the APIs that parse text as HTML is used."""
    ways = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(")
    assert not [way for way in ways if way in page()]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by selenium."""
    with chromium() as opened:
        yield opened


def wait_for(browser: Any, text: str) -> str:
    """Wait until a text is on the page, and return all its text."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shown: str = browser.execute_script("return document.body.innerText")
        if text in shown:
            return shown
        time.sleep(0.05)  # a real browser lives in real time
    pytest.fail(f"{text!r} did not come up: {shown}")


def press(browser: Any, name: str) -> None:
    """Press the button with an accessible name."""
    buttons = browser.find_elements("css selector", "button")
    (button,) = [each for each in buttons if each.is_displayed() and each.accessible_name == name]
    button.click()


def fill(browser: Any, name: str, text: str) -> None:
    """Enter a text into, or select it in, the control with an accessible name."""
    controls = browser.find_elements("css selector", "input, select")
    (control,) = [each for each in controls if each.is_displayed() and each.accessible_name == name]
    if control.tag_name == "select":
        (option,) = [
            each for each in control.find_elements("tag name", "option") if each.text == text
        ]
        option.click()
        return
    control.clear()
    control.send_keys(text)


@pytest.mark.once
@pytest.mark.parametrize("width", [320, 1280])
def test_browser_shows_live_state(browser: Any, width: int) -> None:
    """Without a reload, without an error, names as text, and within its width."""
    with running("--port", "0") as process:
        base_url = base_url_of(process)
        root = f"http://{urlsplit(base_url).netloc}"
        set_screen(browser, width)
        open_page(browser, root)
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
        assert browser.execute_script("return window.innerWidth") == width
        assert not scrolls_sideways(browser)
        assert browser.get_log("browser") == []
    wait_for(browser, "no answer")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The base URL of a running emulator."""
    with running("--port", "0", "--match-rate", "1", "--processing-seconds", "60") as process:
        yield base_url_of(process)


@pytest.fixture
def root(server: str) -> str:
    """The origin of an emulator without lists, faults and requests."""
    origin = f"http://{urlsplit(server).netloc}"
    post(f"{origin}/_emulator/reset", {})
    return origin


def state_of(root: str, endpoint: str) -> Any:
    """Return what an admin endpoint returns."""
    return get(f"{root}/_emulator/{endpoint}")


@pytest.mark.once
def test_buttons_seed_lists_advance_the_clock_and_reset(browser: Any, root: str) -> None:
    set_screen(browser, 1400)
    open_page(browser, root)
    wait_for(browser, "0 requests")
    fill(browser, "Name; {} is the number", "Buyers {}")
    fill(browser, "Lists", "2")
    press(browser, "Add lists")
    wait_for(browser, "Added lists: 2.")
    assert "Buyers 2" in wait_for(browser, "PROCESSING")
    before = state_of(root, "clock")["now"]
    press(browser, "1 hour")
    wait_for(browser, "The clock is now")
    assert state_of(root, "clock")["now"] >= before + 3600
    assert "PROCESSING" not in wait_for(browser, "READY")
    press(browser, "Discard everything…")
    press(browser, "Cancel")
    assert state_of(root, "health")["customer_lists"] == 2
    press(browser, "Discard everything…")
    press(browser, "Discard everything")
    wait_for(browser, "Discarded everything.")
    assert state_of(root, "health")["customer_lists"] == 0
    assert browser.get_log("browser") == []


@pytest.mark.once
def test_added_fault_applies_to_its_operation_until_it_is_removed(browser: Any, root: str) -> None:
    set_screen(browser, 1400)
    open_page(browser, root)
    fill(browser, "Kind", "status")
    fill(browser, "Operation", "customer_lists_list")
    fill(browser, "Status", "418")
    fill(browser, "Times", "2")
    press(browser, "Add fault")
    wait_for(browser, "Added the fault status.")
    lists = f"{root}/v5/ad_accounts/549/customer_lists"
    assert httpx.get(lists, headers=TOKEN, trust_env=False).status_code == 418
    press(browser, "Remove all faults")
    wait_for(browser, "Removed all faults.")
    assert httpx.get(lists, headers=TOKEN, trust_env=False).status_code == 200
    fill(browser, "Operation", "no_such_operation")
    press(browser, "Add fault")
    assert "operation" in wait_for(browser, "Invalid parameters.")


@pytest.mark.once
def test_requests_are_filtered_and_counted_by_status(browser: Any, root: str) -> None:
    set_screen(browser, 1400)
    post(f"{root}/_emulator/faults", {"kind": "status", "status": 503})
    for path in ("ad_accounts/549/customer_lists", "ad_accounts/549/audiences", "user_account"):
        httpx.get(f"{root}/v5/{path}", headers=TOKEN, trust_env=False)
    httpx.get(f"{root}/v5/user_account", trust_env=False)  # without a token
    open_page(browser, root)
    wait_for(browser, "Showing 4 of 4.")
    rows = browser.find_elements("css selector", "#chart li")
    assert [row.text.split() for row in rows] == [
        ["200", "2"],
        ["401", "1"],
        ["503", "1", "(1", "with", "a", "fault)"],
    ]
    bars = browser.find_elements("css selector", "#chart rect:last-child")
    longest, *others = [bar.rect["width"] for bar in bars]
    assert others == pytest.approx([longest / 2, longest / 2])
    fill(browser, "Filter", "USER_account")
    wait_for(browser, "Showing 2 of 4.")
    fill(browser, "Show", "4xx")
    wait_for(browser, "Showing 1 of 4.")
    fill(browser, "Filter", " ")
    fill(browser, "Show", "with a fault")
    wait_for(browser, "Showing 1 of 4.")
    assert len(browser.find_elements("css selector", "#requests tbody tr")) == 1


@pytest.mark.once
def test_page_asks_for_the_admin_token(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And keeps it for this tab."""
    set_screen(browser, 1400)
    monkeypatch.setenv("PINTEREST_EMULATOR_ADMIN_TOKEN", "an-admin-token-for-tests")
    with running("--port", "0") as process:
        open_page(browser, f"http://{urlsplit(base_url_of(process)).netloc}")
        wait_for(browser, "The admin token is missing or wrong.")
        fill(browser, "Admin token", "an-admin-token-for-others")
        press(browser, "Use this token")
        wait_for(browser, "The admin token is missing or wrong.")
        fill(browser, "Admin token", "an-admin-token-for-tests")
        press(browser, "Use this token")
        wait_for(browser, "0 requests")
        press(browser, "Add lists")
        wait_for(browser, "Added lists: 1.")
        browser.refresh()
        wait_for(browser, "0 requests")
        browser.execute_script("sessionStorage.clear()")


@pytest.mark.once
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("colors", ["light", "dark"])
def test_page_fits_and_is_readable(browser: Any, root: str, width: int, colors: str) -> None:
    """No horizontal scroll bar, every control has a name, and text has the contrast of WCAG AA."""
    set_screen(browser, width, colors)
    post(f"{root}/_emulator/seed", {"ad_account_id": "549", "name": "x" * 100, "count": 3})
    post(f"{root}/_emulator/faults", {"kind": "status", "status": 503, "times": None})
    httpx.get(f"{root}/v5/ad_accounts/549/customer_lists", headers=TOKEN, trust_env=False)
    open_page(browser, root)
    wait_for(browser, "Showing 1 of 1.")
    assert not scrolls_sideways(browser)
    controls = browser.find_elements("css selector", "button, input, select")
    shown = [control for control in controls if control.is_displayed()]
    assert len(shown) > 10
    assert not [each.get_attribute("outerHTML") for each in shown if not each.accessible_name]
    assert low_contrast(browser) == []
    assert browser.get_log("browser") == []
