"""The description of the API is valid, and what it shows is taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from producers.api.openapi import description
from tests.access.web import applications
from tests.web import ROOT
from tidegate.profile import load_profile
from tidegate.settings import Settings

PROFILES = sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))
STATIC = ROOT / "producers/api/static/swagger-ui"


@pytest.mark.parametrize("name", PROFILES)
def test_the_description_is_a_valid_one(name: str) -> None:
    spec = description(load_profile(name), Settings())
    validate(spec)
    schemes = spec["components"]["securitySchemes"]
    for operations in spec["paths"].values():
        for described in operations.values():
            assert all(one.keys() <= schemes.keys() for one in described["security"])


def bodies(spec: dict[str, Any]) -> Iterator[tuple[str, str, str, list[Any]]]:
    """Method, path, media type and examples of everything that takes a body."""
    for path, operations in spec["paths"].items():
        for method, described in operations.items():
            for kind, told in described.get("requestBody", {}).get("content", {}).items():
                named = [one["value"] for one in told.get("examples", {}).values()]
                one = [told["example"]] if "example" in told else []
                yield method, path, kind, named + one


@pytest.fixture(params=PROFILES)
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    with applications(tmp_path, profile=request.param) as (app, _):
        yield app


NOT_HERE = (404, 409, 422)
WORDS = (b"bundle", b"champion", b"no file below the folder")
"""There is no bundle, and no file to train on: that is not the body's fault."""


def test_every_body_has_examples_that_are_taken(api: Flask) -> None:
    client = api.test_client()
    for method, path, kind, examples in bodies(client.get("/openapi.json").get_json()):
        assert examples, (path, kind)
        for example in examples:
            answer = post(client, method, path, kind, example)
            if "/models/" in path and answer.status_code in NOT_HERE:
                assert any(word in answer.data for word in WORDS), (path, answer.data)
                continue
            assert answer.status_code in (200, 202), (path, kind, answer.data)
            assert b"rejected" not in answer.data, (path, kind, answer.data)


def post(client: FlaskClient, method: str, path: str, kind: str, example: Any) -> Any:  # noqa: ANN401 - any JSON
    raw = example if isinstance(example, str) else json.dumps(example)
    address = path.replace("{bundle}", "none")
    if not path.startswith("/v1"):
        address += "?wait_ms=0"
    return client.open(address, method=method.upper(), data=raw, content_type=kind)


def test_swagger_ui_is_that_of_the_lock_and_as_it_came() -> None:
    lock = (ROOT / "requirements/npm/package-lock.json").read_text()
    packages = json.loads(lock)["packages"]
    assert "resolved" not in lock
    assert all("integrity" in package for name, package in packages.items() if name)
    version = packages["node_modules/swagger-ui-dist"]["version"]
    assert f'PACKAGE_VERSION:"{version}"' in (STATIC / "swagger-ui-bundle.js").read_text()
    sums = [line.split() for line in (STATIC / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in sums} | {"SHA256SUMS"} == {file.name for file in STATIC.iterdir()}
    for expected, name in sums:
        assert sha256((STATIC / name).read_bytes()).hexdigest() == expected, name
