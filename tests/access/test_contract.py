"""Schemathesis asks what the OpenAPI document describes, with a key and without: each answer is one
that the document has, and none is an error inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.access.web import applications, bearer, key

pytestmark = pytest.mark.long

PROFILES = ("card", "wallet", "vector", "creditcard", "card_unsupervised")
EXAMPLES = 8
"""Requests of each kind to each operation."""
Check = Callable[..., bool | None]
MEANING = ["2xx", "400", "401", "403", "404", "409", "413", "422"]
"""What a body may be answered that fits the schema: a schema knows nothing of clocks, say."""
CONFIG = SchemathesisConfig.from_dict(
    {"checks": {"positive_data_acceptance": {"expected-statuses": MEANING}}}
)
HEALTH = ("/readyz", "/health", "/api/v1/health", "/")
"""Where 503 says that no stage runs, as here."""
ENDLESS = "/v1/decisions/stream"
"""What never ends by itself; its own tests are in `tests/producers/api/test_stream.py`."""
PARTS = ("/v1/transactions/batch", "/predict/batch")
"""Where the good part is taken of a body that is bad in parts."""


def wrong_about(path: str) -> list[Check]:
    """The checks that do not fit a path."""
    if path in HEALTH:
        return [not_a_server_error, positive_data_acceptance]
    return [negative_data_rejection] if path in PARTS else []


def faults(api: Flask, headers: list[dict[str, str]]) -> Iterator[str | int]:
    """What is wrong with answers; of each kind of request how many were answered."""
    whole = schemathesis.openapi.from_wsgi("/openapi.json", api, config=CONFIG)
    document = whole.exclude(path=ENDLESS)
    for found in document.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:
            yield from _ask(operation, mode, headers)


def _ask(
    operation: schemathesis.APIOperation,
    mode: GenerationMode,
    headers: list[dict[str, str]],
) -> Iterator[str | int]:
    wrong: list[str] = []
    asked, out = [0], wrong_about(operation.path)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        for shown in headers:
            answer = case.call(headers=shown)
            asked[0] += 1
            try:
                case.validate_response(answer, excluded_checks=out, headers=shown)
            except FailureGroup as group:
                wrong.extend(f"{operation.label} {mode.name}: {one}" for one in group.exceptions)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "nothing about this request can be wrong"
    yield from wrong
    yield asked[0]


@pytest.mark.parametrize("profile", PROFILES)
def test_the_whole_document_holds(
    profile: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with applications(tmp_path, auth="keys", profile=profile, max_wait_ms="1") as (api, _):
        own = bearer(key(tmp_path, "all", "admin"))
        found = list(faults(api, [own, {}]))
    asked = sum(one for one in found if isinstance(one, int))
    record_property("requests", asked)
    assert [one for one in found if isinstance(one, str)] == []
    assert asked > 100
