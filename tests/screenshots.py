"""Screenshots of every page of a running demonstration, in light and dark and on a phone.

    python -m tests.screenshots FOLDER

A real system with simulated customers, fraudsters and verdicts, and a few transactions that cannot
be processed. Prints, for each picture, what axe finds wrong with the page and how far it can be
scrolled sideways; exits with 1 if there is anything.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.axe import violations
from tests.browser import QUIET
from tests.support import eventually
from tests.system.pipeline import Pipeline
from tests.web import produce
from tidegate.broker.kafka import KafkaBroker
from tidegate.pipeline import RAW
from tidegate.settings import Settings

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SIZES = {"": ViewportSize(width=1280, height=900), "-phone": ViewportSize(width=390, height=844)}
ROWS = 3_000
"""Rows before the first picture: enough that each page has something to show."""
_SETTLED_MS = 1500
"""Time for a page's first answers and charts."""
BROKEN = (
    b'{"transaction_id": "broken-1", "user_id": "u-1", "amount": "a lot"}',
    b'{"transaction_id": "broken-2", "user_id": "u-2", "amount": "too much"}',
    b"not even JSON",
)
INSIDE = {
    "transaction": ("/?decision=block", "#rows a"),
    "dead-letter-group": ("/dead-letters", "main table a"),
    "review-list": ("/review", ".tabs a >> nth=1"),
    "review-figures": ("/review", ".tabs a >> nth=2"),
}
"""Pages behind others: where a link to one stands, and which it is."""


@contextmanager
def demonstration(home: Path) -> Iterator[Pipeline]:
    """A system that has seen some thousand transactions."""
    pipeline = Pipeline(home, arguments=("--simulate", "200"))
    pipeline.start()
    try:
        break_some(pipeline)
        eventually(lambda: pipeline.rows() >= ROWS, 240, every=1.0)
        yield pipeline
    finally:
        pipeline.stop()
        pipeline.close()


def addresses(page: Page, site: str) -> Iterator[tuple[str, str]]:
    """The name and the path of every page of the navigation, and of those in `INSIDE`."""
    page.goto(site)
    for link in page.locator("header nav a").all():
        path = link.get_attribute("href") or "/"
        yield path.strip("/").replace("/", "-") or "live", path
    for name, (path, link) in INSIDE.items():
        page.goto(site + path)
        yield name, page.locator(link).first.get_attribute("href", timeout=10_000) or path


def picture(browser: Browser, address: str, file: Path, scheme: Scheme, size: str) -> list[str]:
    """Take one; what is wrong with the page."""
    page = browser.new_page(viewport=SIZES[size], color_scheme=scheme)
    page.goto(address)
    page.wait_for_timeout(_SETTLED_MS)
    page.screenshot(path=file, full_page=True)
    wrong = violations(page)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.close()
    return [*wrong, *([f"{wide} px wider than the screen"] if wide > 0 else [])]


def break_some(pipeline: Pipeline) -> None:
    """Records of another producer that become dead letters."""
    broker = KafkaBroker(Settings(kafka=f"127.0.0.1:{pipeline.env['TIDEGATE_KAFKA_PORT']}"))
    produce(broker, RAW, *BROKEN)


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
        for name, path in list(addresses(browser.new_page(), site)):
            for size in SIZES:
                for scheme in SCHEMES:
                    file = folder / f"{name}{size}-{scheme}.png"
                    wrong = picture(browser, site + path, file, scheme, size)
                    faulty += bool(wrong)
                    sys.stdout.write(f"{file.name}: {'; '.join(wrong) or 'axe 0'}\n")
        browser.close()
    return faulty


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1])) else 0)
