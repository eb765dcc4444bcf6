"""Every string of the pages is marked for translation, and every language has each of them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from dashboard.language import LANGUAGES

FOLDER = Path(__file__).resolve().parents[2] / "dashboard"
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS: dict[str, object] = dict.fromkeys(("_", "gettext", "lazy_gettext"))
KEYWORDS |= dict.fromkeys(("ngettext", "lazy_ngettext"), (1, 2))
"""Where the text stands: the first argument, or the first two (one and many)."""
TRANSLATED = [code for code in LANGUAGES if code != "en"]
SPOKEN = ("alt", "aria-label", "placeholder", "title", "content-label")
"""Attributes that people read or hear."""
SILENT = ("script", "style", "code")
"""Elements whose text is not in any language."""
NAMES = {"Tidegate", "PSI", "KS", "AUC", "UTC", "CSV", "Parquet", "JSON"}
"""The same in every language."""


def wanted() -> set[str | tuple[str, ...]]:
    found = extract_from_dir(FOLDER, METHODS, keywords=KEYWORDS)  # type: ignore[arg-type]
    return {message for _, _, message, _, _ in found}


def catalogue(code: str) -> Catalog:
    with (FOLDER / f"translations/{code}/LC_MESSAGES/messages.po").open("rb") as file:
        return read_po(file, locale=code)


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_text_has_a_translation(code: str) -> None:
    known = {message.id: message for message in catalogue(code) if message.id}
    assert wanted() - known.keys() == set(), "run scripts/translations, then translate these"
    assert known.keys() - wanted() == set(), "no page says this any more"
    for message in known.values():
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(texts), f"not translated: {message.id}"
        assert not message.fuzzy, f"to be looked at: {message.id}"


@pytest.mark.parametrize("code", TRANSLATED)
def test_placeholders_are_kept(code: str) -> None:
    holes = re.compile(r"%\(\w+\)[sd]|</?\w+[^>]*>")
    for message in catalogue(code):
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        allowed = [set(holes.findall(text)) for text in ids]
        for text in texts if ids[0] else ():
            assert set(holes.findall(text)) in allowed, message.id


@pytest.mark.parametrize("code", TRANSLATED)
def test_the_compiled_catalogue_is_this_one(code: str) -> None:
    compiled = BytesIO()
    write_mo(compiled, catalogue(code))
    stored = (FOLDER / f"translations/{code}/LC_MESSAGES/messages.mo").read_bytes()
    compiled.seek(0)
    expected, found = read_mo(compiled), read_mo(BytesIO(stored))
    assert texts_of(found) == texts_of(expected), "run scripts/translations"


def texts_of(catalogue: Catalog) -> dict[str, str]:
    return {repr(message.id): repr(message.string) for message in catalogue if message.id}


class Plain(HTMLParser):
    """Collects what a template says outside of Jinja's marks."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside.append(tag)
        self.texts += [value for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self.inside or self.inside[-1] not in SILENT:
            self.texts.append(data)


@pytest.mark.parametrize(
    "template", sorted(FOLDER.glob("templates/**/*.html")), ids=lambda path: path.name
)
def test_every_text_is_marked(template: Path) -> None:
    text = template.read_text()
    text = re.sub(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", "", text, flags=re.DOTALL)
    text = re.sub(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", "", text, flags=re.DOTALL)
    parser = Plain()
    parser.feed(text)
    said = [re.sub(r'[\w-]+="[^"]*"', "", text) for text in parser.texts]  # macros for attributes
    words = {word for text in said for word in re.findall(r"[^\W\d_]{2,}", text)}
    assert words - NAMES == set()
