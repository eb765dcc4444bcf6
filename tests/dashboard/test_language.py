"""The language: what the browser asks for, until the person chooses."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.axe import violations
from tests.dashboard.conftest import Site


def test_it_is_chosen_and_kept(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/sign-in")
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    assert violations(page) == []
    page.get_by_role("link", name="Español").click()
    expect(page).to_have_url(f"{site.url}/sign-in")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "es")


def test_what_the_browser_asks_for(site: Site) -> None:
    spanish = site.server.ask("GET", "/sign-in", headers={"Accept-Language": "es-MX,es;q=0.9"})
    assert b'<html lang="es">' in spanish.body
    other = site.server.ask("GET", "/sign-in", headers={"Accept-Language": "fr, ja"})
    assert b'<html lang="en">' in other.body


def test_it_goes_back_to_this_site_only(site: Site) -> None:
    for referrer in ("https://example.com/x", "http://[", "", f"{site.url}//example.com"):
        answer = site.server.ask("GET", "/language/es", headers={"Referer": referrer})
        assert (answer.status, answer.headers["location"]) == (303, "/")
    assert site.server.get("/language/xx").status == 404


def test_on_a_phone_the_header_leads_everywhere(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{site.url}/alerts")
    expect(page.get_by_role("link", name="Español")).to_be_visible()
    expect(page.locator("header nav [aria-current]")).to_be_in_viewport(ratio=0.9)
    page.goto(f"{site.url}/review")
    expect(page.get_by_role("link", name="Figures")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
