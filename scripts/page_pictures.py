"""Take pictures of the HTML pages that commands write, and of the emulator's page, for the docs.

They show the example customers on the emulator, at a fixed time. Chromium takes them, so they are
part of the repository, with the digests of what they show in ``pages.json``::

    python scripts/page_pictures.py          # take those again that are out of date; requires
                                             # Chromium and selenium
    python scripts/page_pictures.py --check  # fail if a page has changed since
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import attrs
import httpx
from anyio.from_thread import start_blocking_portal

from pinterest_audiences import Client, GuardError, __version__, file_source, prepare
from pinterest_audiences.cli.html_report import CheckedSource, check_page, runs_page
from pinterest_audiences.emulator import Emulator, serve

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOT = Path(__file__).parents[1]
CUSTOMERS = ROOT / "examples" / "customers.csv"
PICTURES = ROOT / "docs" / "_static" / "pages"
DIGESTS = PICTURES / "pages.json"
STATUS_PAGE = ROOT / "pinterest_audiences" / "emulator" / "status.html"

BEGIN = 1_795_140_000.0  # 2026-11-20, 02:00 UTC
NIGHTS = 8
TRUNCATED_NIGHT = 5
NEW_ROWS, LOST_ROWS = 90, 25  # in an export, each night
AD_ACCOUNT = "549755885175"

WIDTH, HEIGHT = 1000, 600  # of the screen
MARGIN = 24
SCALE = 1.5  # pixels of a picture for each of the page, so that letters are sharp
QUALITY = 70
WAIT_SECONDS = 60


def exports(tag: str = "") -> Iterator[str]:
    """Yield the exports of a shop, one for each night; one of them is truncated."""
    header, *rows = CUSTOMERS.read_text(encoding="utf-8").splitlines(keepends=True)
    good = [row for row in rows if "@" in row and tag in row]
    rejected = [row for row in rows if "@" not in row and tag in row][:12]
    begin = len(good) - NIGHTS * NEW_ROWS if not tag else len(good) // 2
    for night in range(NIGHTS):
        chosen = good[LOST_ROWS * night : begin + NEW_ROWS * night]
        if night == TRUNCATED_NIGHT and not tag:
            chosen = chosen[: len(chosen) // 3]
        yield "".join([header, *rejected, *chosen])


def run_nights(emulator: Emulator, folder: Path) -> str:
    """Mirror the exports every night; return the page of the history."""
    sources = {
        "All customers": (folder / "customers.csv", exports()),
        "Wholesale": (folder / "wholesale.csv", exports("wholesale")),
    }
    state = folder / "state.sqlite3"
    with Client.emulated(emulator, clock=emulator.clock) as client:
        for _ in range(NIGHTS):
            for name, (path, texts) in sources.items():
                path.write_text(next(texts), encoding="utf-8")
                with suppress(GuardError):
                    client.mirror(AD_ACCOUNT, path, column="Email", name=name, state=state)
                emulator.advance(minutes=5)
            emulator.advance(hours=23, minutes=50)
        runs = client.runs(AD_ACCOUNT, name="All customers", state=state)
        return runs_page(runs, client.status(AD_ACCOUNT, state=state), emulator.now())


def use_api(emulator: Emulator) -> None:
    """Send requests as an application does, some of which are answered with faults."""
    lists = f"https://api.pinterest.com/v5/ad_accounts/{AD_ACCOUNT}/customer_lists"
    headers = {"Authorization": "Bearer any"}
    with httpx.Client(transport=emulator.transport(), headers=headers) as client:
        items = client.get(lists).json()["items"]
        for item in items:
            rule = {"customer_list_id": item["id"]}
            body = {"name": item["name"], "audience_type": "CUSTOMER_LIST", "rule": rule}
            client.post(lists.replace("customer_lists", "audiences"), json=body)
        emulator.fault("status", status=503, operation="customer_lists_update", times=2)
        for _ in range(4):
            body = {"operation_type": "ADD", "records": "new.customer@example.com"}
            client.patch(f"{lists}/{items[0]['id']}", json=body)
        client.get(f"{lists}/643")
    emulator.advance(seconds=10)
    emulator.fault("slow", seconds=5, operation="customer_lists_list", times=3)


def check_customers(now: float) -> str:
    """Return the page of ``check`` for the example customers."""
    prepared = prepare(file_source(CUSTOMERS), samples=2)
    for _ in prepared:
        pass
    return check_page(CheckedSource(prepared.report, 0.3, samples=prepared.samples), "", now)


@attrs.frozen
class Scene:
    """What the pictures show: two pages, and the emulator behind the third."""

    pages: dict[str, str]
    emulator: Emulator

    @classmethod
    def prepare(cls) -> Scene:
        """Run what the pages show."""
        emulator = Emulator(clock=lambda: BEGIN, seed=1)
        with TemporaryDirectory() as folder:
            runs = run_nights(emulator, Path(folder))
        pages = {"check": check_customers(emulator.now()), "runs": runs}
        use_api(emulator)
        return cls(pages, emulator)

    def digests(self) -> dict[str, str]:
        """Return a digest of what each picture shows, other than the version of the package."""
        emulator = self.emulator
        requests = [attrs.asdict(entry) for entry in emulator.requests]
        shown = [emulator.now(), emulator.overview(50), emulator.faults.show(), requests]
        status = STATUS_PAGE.read_text(encoding="utf-8") + json.dumps(shown, sort_keys=True)
        pages = {**self.pages, "emulator": status}
        return {
            name: hashlib.sha256(text.replace(__version__, "").encode()).hexdigest()
            for name, text in pages.items()
        }


@contextmanager
def chromium() -> Iterator[Chrome]:
    """Start Chromium with a screen in light colors."""
    from selenium import webdriver  # noqa: PLC0415 - the check works without it

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = shutil.which("chromedriver")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        screen = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": SCALE, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        light = {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", light)
        browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        yield browser
    finally:
        browser.quit()


def take(browser: Chrome, url: str, path: Path, *, text: str, last: str) -> None:
    """Write the picture of a page that shows a text, from its top to its last element."""
    from selenium.webdriver.support.ui import WebDriverWait  # noqa: PLC0415

    browser.get(url)
    body = "return document.body.innerText"
    WebDriverWait(browser, WAIT_SECONDS).until(lambda _: text in browser.execute_script(body))
    bottom = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom"
    height = browser.execute_script(bottom, last) + MARGIN
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
    options = {"format": "webp", "quality": QUALITY, "clip": clip, "captureBeyondViewport": True}
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", options)
    path.write_bytes(base64.b64decode(picture["data"]))


def take_pictures(scene: Scene, names: Sequence[str]) -> None:
    """Write some of the pictures, and the digests of all."""
    PICTURES.mkdir(exist_ok=True)
    with (
        chromium() as browser,
        TemporaryDirectory() as folder,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(scene.emulator)) as base_url,
    ):
        for name in names:
            picture = PICTURES / f"{name}.webp"
            if name in scene.pages:
                page = Path(folder) / f"{name}.html"
                page.write_text(scene.pages[name], encoding="utf-8")
                take(browser, page.as_uri(), picture, text="Created ", last="footer")
            else:
                url = base_url.removesuffix("v5")
                take(browser, url, picture, text="Showing ", last="#chart")
    DIGESTS.write_text(json.dumps(scene.digests(), indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Take the pictures that are out of date, or only name them; return the exit code."""
    scene = Scene.prepare()
    taken = json.loads(DIGESTS.read_text(encoding="utf-8")) if DIGESTS.exists() else {}
    changed = [name for name, digest in scene.digests().items() if taken.get(name) != digest]
    if "--check" in arguments:
        for name in changed:
            print(f"the page in {name}.webp has changed: run python scripts/page_pictures.py")
        return 1 if changed else 0
    if changed:
        take_pictures(scene, changed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
