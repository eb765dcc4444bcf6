"""Screenshots of every page of a running demonstration, in light and dark and on a phone.

    python -m tests.screenshots FOLDER

What `tests.demonstration` has made happen. Prints, for each picture, what axe finds wrong with the
page and how far it can be scrolled sideways; exits with 1 if there is anything.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.axe import violations
from tests.browser import QUIET
from tests.demonstration import demonstration, use

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SIZES = {"": ViewportSize(width=1280, height=900), "-phone": ViewportSize(width=390, height=844)}
_SETTLED_MS = 1500
"""Time for a page's first answers and charts."""
INSIDE = {
    "transaction": ("/?decision=block", "#rows a"),
    "dead-letter-group": ("/dead-letters", "main table a"),
    "review-list": ("/review", ".tabs a >> nth=1"),
    "review-figures": ("/review", ".tabs a >> nth=2"),
    "batch-results": ("/batch", "main table a"),
}
"""Pages behind others: where a link to one stands, and which it is."""
PRESSED = {"try": "#try .primary"}
"""What is pressed on a page before its picture is taken."""


def addresses(page: Page, site: str) -> Iterator[tuple[str, str]]:
    """The name and the path of every page of the navigation, and of those in `INSIDE`."""
    page.goto(site)
    for link in page.locator("header nav a").all():
        path = link.get_attribute("href") or "/"
        yield path.strip("/").replace("/", "-") or "live", path
    for name, (path, found) in INSIDE.items():
        page.goto(site + path)
        yield name, page.locator(found).first.get_attribute("href", timeout=10_000) or path


def picture(
    browser: Browser, address: str, file: Path, scheme: Scheme, size: str, pressed: str = ""
) -> list[str]:
    """Take one, when what is `pressed` has answered; what is wrong with the page."""
    page = browser.new_page(viewport=SIZES[size], color_scheme=scheme)
    page.goto(address)
    if pressed:
        page.click(pressed)
    page.wait_for_timeout(_SETTLED_MS)
    page.screenshot(path=file, full_page=True)
    wrong = violations(page)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.close()
    return [*wrong, *([f"{wide} px wider than the screen"] if wide > 0 else [])]


def main(folder: Path) -> int:
    """Take them all; how many pages have something wrong with them."""
    folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    faulty = 0
    with (
        tempfile.TemporaryDirectory() as home,
        demonstration(Path(home)) as pipeline,
        sync_playwright() as playwright,
    ):
        site = f"http://127.0.0.1:{pipeline.env['TIDEGATE_DASHBOARD_PORT']}"
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        use(browser.new_page(), site)
        for name, path in list(addresses(browser.new_page(), site)):
            for size in SIZES:
                for scheme in SCHEMES:
                    file = folder / f"{name}{size}-{scheme}.png"
                    wrong = picture(browser, site + path, file, scheme, size, PRESSED.get(name, ""))
                    faulty += bool(wrong)
                    sys.stdout.write(f"{file.name}: {'; '.join(wrong) or 'axe 0'}\n")
        browser.close()
    return faulty


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1])) else 0)
