"""What the Grafana dashboards and the alert rules ask for."""

from __future__ import annotations

import json
import re

from tests.compose.stack import ROOT

_NAME = re.compile(r"\b(?:tidegate|process)_[a-z_]+\b")


def metrics_of_panels() -> set[str]:
    """The metric names in the expressions of all panels."""
    files = (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")
    panels = [panel for file in files for panel in json.loads(file.read_text())["panels"]]
    return set(
        _NAME.findall(" ".join(target["expr"] for panel in panels for target in panel["targets"]))
    )


def metrics_of_rules() -> set[str]:
    """The metric names in the alert rules."""
    return set(_NAME.findall((ROOT / "deploy" / "prometheus" / "rules.yml").read_text()))
