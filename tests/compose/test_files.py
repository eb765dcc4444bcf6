"""What can be held without an engine: settings, metrics, versions and names of the files of
deployment.
"""

from __future__ import annotations

import re

import yaml
from prometheus_client import REGISTRY

import tidegate.metrics  # noqa: F401 - registers them
from tests.compose.panels import metrics_of_panels, metrics_of_rules
from tests.compose.stack import ROOT
from tidegate.host.jars import COORDINATES
from tidegate.pipeline import READERS
from tidegate.settings import Settings

COMPOSE = (ROOT / "docker-compose.yml").read_text()
CLUSTER = (ROOT / "compose.cluster.yml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()


def settings() -> dict[str, str]:
    return {
        f"TIDEGATE_{name.upper()}": ""
        if field.default is None or name == "kafka_password"
        else str(field.default)
        for name, field in Settings.model_fields.items()
    }


def test_the_example_lists_every_setting_with_its_default_and_what_it_is() -> None:
    lines = EXAMPLE.splitlines()
    found = {
        match[1]: (match[2], lines[at - 1])
        for at, line in enumerate(lines)
        if (match := re.fullmatch(r"#? ?([A-Z0-9_]+)=(.*)", line))
    }
    assert {name: found[name][0] for name in settings()} == settings()
    for name, field in Settings.model_fields.items():
        assert found[f"TIDEGATE_{name.upper()}"][1].removesuffix(" *") == f"# {field.description}"
    assert all(comment.startswith("# ") for _, comment in found.values())
    assert set(re.findall(r"\$\{([A-Z0-9_]+)", COMPOSE + CLUSTER)) <= found.keys()


def test_defaults_of_the_compose_file_are_those_of_the_settings() -> None:
    defaults = dict(re.findall(r"\$\{(TIDEGATE_[A-Z_]+):-([^}]+)\}", COMPOSE))
    assert {name: value for name, value in defaults.items() if name in settings()} == {
        name: value for name, value in settings().items() if name in defaults
    }


def test_metrics_of_panels_and_rules_exist() -> None:
    families = {family.name: family.type for family in REGISTRY.collect()}
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    known = {
        name + suffix for name, kind in families.items() for suffix in suffixes.get(kind, ("",))
    }
    assert metrics_of_panels() | metrics_of_rules() <= known


def test_kafka_is_the_embedded_brokers_version() -> None:
    version = re.search(r"kafka_2\.13:([\d.]+)", COORDINATES)
    assert version
    assert set(re.findall(r"image: apache/kafka:(\S+)", COMPOSE + CLUSTER)) <= {version[1]}


def test_prometheus_looks_at_every_stage() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert config["scrape_configs"][0]["dns_sd_configs"][0]["names"] == list(READERS)


def test_the_slim_lock_is_a_part_of_the_lock() -> None:
    slim, full = (
        set(
            re.findall(
                r"^([a-z0-9-]+==\S+)",
                (ROOT / f"requirements/{name}.lock").read_text(),
                re.MULTILINE,
            )
        )
        for name in ("slim", "base")
    )
    assert slim < full


def test_no_two_services_share_compiled_loops() -> None:
    """Who writes the loops decides what the others run; those that name no volume compile none."""
    compiling = {
        name: [volume for volume in service["volumes"] if volume.endswith("/tidegate/numba")]
        for name, service in yaml.safe_load(COMPOSE)["services"].items()
        if "state:/var/lib/tidegate" in service.get("volumes", [])
    }
    without = {name for name, volumes in compiling.items() if not volumes}
    assert without == {"persist", "cases", "auditor"}
    assert {name: volumes for name, volumes in compiling.items() if volumes} == {
        name: [f"loops-{name}:/var/lib/tidegate/numba"] for name in compiling.keys() - without
    }
