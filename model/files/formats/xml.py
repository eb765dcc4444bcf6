"""ISO 20022 messages, a statement's or message's parts one after the other in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from model.files.formats.entry import NO_REFERENCE, Fault, Item, Items
from model.files.formats.money import units
from model.files.formats.totals import Totals
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

MOST_BYTES = 2 << 30
"""The largest document that is read."""


class Part(NamedTuple):
    """A child of a statement or message: its name, its line, and its element without namespaces.

    `element` is None where the whole ends.
    """

    parent: str
    name: str
    line: int
    element: Element | None


def parts(path: Path, parents: frozenset[str]) -> Iterator[Part]:
    """The children of every element that is named as one of `parents`, then its end.

    A document type, and with it every entity, is refused. Raises ConfigError for what is not
    well-formed, naming the line.
    """
    from lxml import etree

    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"{path}: larger than {MOST_BYTES >> 30} GB: split it by statement")
    safe = {"resolve_entities": False, "load_dtd": False, "no_network": True, "huge_tree": False}
    bare = {"remove_comments": True, "remove_pis": True}
    try:
        with path.open("rb") as file:
            stream = etree.iterparse(file, events=("start", "end"), **safe, **bare)
            yield from _walk(stream, parents, path)
    except etree.XMLSyntaxError as error:
        place = f"{path}, line {error.lineno}" if error.lineno else str(path)
        raise ConfigError(
            f"{place}: not well-formed XML, or cut off. Ask for the file again, or mend that line"
        ) from None


class Document(Protocol):
    """A statement or a message, which takes its parts in their order."""

    totals: Totals

    def take(self, part: Part, element: Element) -> Iterator[Item]:
        """What a part holds."""


def read_documents(path: Path, parents: frozenset[str], begin: Callable[[int], Document]) -> Items:
    """What all documents of a file hold; `begin` makes the one of a number, from 1 on."""
    number = 1
    document = begin(number)
    for part in parts(path, parents):
        if part.element is None:
            yield from document.totals.told()
            number += 1
            document = begin(number)
        else:
            yield from document.take(part, part.element)


def _walk(
    stream: Iterator[tuple[str, Element]], parents: frozenset[str], path: Path
) -> Iterator[Part]:
    first = True
    for event, element in stream:
        if first:
            first = False
            if element.getroottree().docinfo.doctype:
                raise ConfigError(
                    f"{path}: has a document type (<!DOCTYPE>), which no payment message has. "
                    "It is not read, because entities can be made to fill the memory"
                )
        if event == "start":
            continue
        name = local(element)
        parent = element.getparent()
        if name in parents:
            yield Part(name, "", element.sourceline or 0, None)
            element.clear()
        elif parent is not None and local(parent) in parents:
            _strip(element)
            yield Part(local(parent), name, element.sourceline or 0, element)
            element.clear()
            while element.getprevious() is not None:  # the element itself is still the parser's
                del parent[0]


def _strip(element: Element) -> None:
    for inner in element.iter():
        if isinstance(inner.tag, str):
            inner.tag = local(inner)


def local(element: Element) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def text(element: Element, *paths: str) -> str:
    """The text at the first of the paths that has one, without space around it; else ""."""
    for path in paths:
        found = (element.findtext(path) or "").strip()
        if found:
            return found
    return ""


def reference(element: Element, *paths: str) -> str:
    """The first reference that is one; "" for none."""
    found = (text(element, path) for path in paths)
    return next((one for one in found if one and one not in NO_REFERENCE), "")


def account_of(element: Element, path: str) -> str:
    """The number of the account at a path: its IBAN, or another one; else ""."""
    return text(element, f"{path}/Id/IBAN", f"{path}/Id/Othr/Id")


def currency_of(element: Element, path: str) -> str:
    """The currency of the amount at a path; "" for none."""
    found = element.find(path)
    return "" if found is None else str(found.get("Ccy", ""))


def amount_at(element: Element, path: str) -> Decimal:
    """The amount at a path, in units. Raises Fault for none, and for what is no amount."""
    found = text(element, path)
    if not found:
        raise Fault(path, "missing", "has no amount")
    return units(found, currency_of(element, path), path)
