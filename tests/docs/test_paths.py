"""What the pages name is there: files, the functions in them, links with their anchors, commands.

A page that names a file or a function which has moved is worse than one that names none.
"""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
import typer

from cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = sorted(
    path.name
    for path in ROOT.iterdir()
    if path.is_dir() and not path.name.startswith(".") and path.name != "var"
)
NAMED = re.compile(
    rf"(?<![\w/.@-])(?P<path>(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*[\w/]"
    r"|(?<!\[)[\w-]+\.(?:toml|yaml|yml)|Makefile|Dockerfile)"
    r"(?::{1,2}(?P<symbol>[A-Za-z_][\w.]*))?"
)
WRITTEN = {"drafted.yaml", "notify.yaml", "payments.yaml", "profiles/NAME.yaml"}
"""Files that a page tells its reader to write, or to have written."""


def named(page: Path) -> list[tuple[str, str]]:
    """The paths that a page names, with the function or class behind the colon, if there is one."""
    return [
        (match["path"], match["symbol"] or "")
        for match in NAMED.finditer(page.read_text())
        if match["path"] not in WRITTEN
    ]


@cache
def definitions(path: Path) -> frozenset[str]:
    """Functions, classes and names at the top of a module, and `Class.attribute` below them."""
    return frozenset(_names(ast.parse(path.read_text()).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> list[str]:
    names = []
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.append(prefix + name)
            case ast.ClassDef(name=name):
                names += [prefix + name, *_names(statement.body, f"{prefix}{name}.")]
            case ast.Assign(targets=targets):
                names += [prefix + target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(prefix + name)
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_function_that_a_page_names_is_there(page: Path) -> None:
    missing = [
        f"{path}:{symbol}" if (ROOT / path).exists() else path
        for path, symbol in named(page)
        if not (ROOT / path).exists() or (symbol and symbol not in definitions(ROOT / path))
    ]
    assert missing == []


def test_a_missing_function_would_be_noticed() -> None:
    assert NAMED.search("see `tidegate/stream/runner.py:Runner.gone`") is not None
    assert "Runner.run_once" in definitions(ROOT / "tidegate/stream/runner.py")
    assert "Runner.gone" not in definitions(ROOT / "tidegate/stream/runner.py")


def test_the_architecture_names_a_function_at_each_step() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    ways = re.findall(r"^## The way of .*?(?=^## )", page, re.DOTALL | re.MULTILINE)
    steps = [step for way in ways for step in re.findall(r"^\| \d+[a-z]? \|.*$", way, re.MULTILINE)]
    assert len(ways) == 4
    assert len(steps) > 10
    assert [step for step in steps if not re.search(r"`[\w/]+\.py:\w[\w.]*`", step)] == []


@pytest.mark.parametrize("package", ["tidegate", "model"])
def test_the_layers_are_drawn_in_the_order_of_the_contract(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (layers,) = [
        contract["layers"]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract.get("containers") == [package]
    ]
    depth = {name: at for at, layer in enumerate(layers) for name in re.findall(r"\w+", layer)}
    page = (ROOT / "docs/architecture.md").read_text()
    drawn = re.findall(rf"(?<= ){package}/(\w+)/", page.partition("## The way of")[0])
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert set(drawn) == folders
    assert [depth[name] for name in drawn] == sorted(depth[name] for name in drawn)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_to_a_file_and_to_a_heading_in_it() -> None:
    broken = []
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
            there = page.parent / target if target else page
            if not there.exists() or (anchor and anchor not in anchors(there)):
                broken.append(f"{page.name}: {target}#{anchor}")
    assert broken == []


def commands_of(group: typer.Typer, prefix: str) -> list[str]:
    names = []
    for command in group.registered_commands:
        assert command.callback is not None
        names.append(f"{prefix} {command.name or command.callback.__name__}")
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        names += commands_of(inner.typer_instance, f"{prefix} {inner.name}")
    return names


def test_the_page_on_commands_lists_every_command() -> None:
    page = (ROOT / "docs/commands.md").read_text()
    listed = re.findall(r"^\| `(tidegate(?: [a-z-]+)+)", page, re.MULTILINE)
    assert sorted(listed) == sorted(commands_of(app, "tidegate"))
