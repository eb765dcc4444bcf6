"""What axe finds wrong with a page: rules of WCAG 2.2 A and AA, and axe's best practices."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_AXE = Axe()


def violations(page: Page) -> list[str]:
    """Each rule that the page breaks now, with the elements that do."""
    results = _AXE.run(page).response["violations"]
    return [
        f"{rule['id']}: {', '.join(str(node['target']) for node in rule['nodes'])}"
        for rule in results
    ]
