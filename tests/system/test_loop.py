"""The loop closed: fraud changes, the model misses it, verdicts come, it learns, and a better one
takes over.
"""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect, sync_playwright

from model.evaluation.metrics import average_precision
from tests.support import ask, eventually
from tests.system.drifting import Story, story
from tests.system.pipeline import Pipeline
from tidegate.profile import load_profile

CARD = load_profile("card")
MOVED = "device_type"


class Found(NamedTuple):
    """Average precision of the scores that rows were decided by, and of the online model's."""

    final: float
    online: float


@pytest.fixture(scope="module")
def told() -> Story:
    return story()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, told: Story) -> Iterator[Pipeline]:
    """A pipeline whose champion learnt the old ways."""
    folder = tmp_path_factory.mktemp("loop")
    told.history.to_parquet(folder / "history.parquet")
    profile = folder / "card.yaml"
    profile.write_text(
        CARD.path.read_text().replace("simulate: 60000", f"file: {folder / 'history.parquet'}")
    )
    made = Pipeline(folder / "home", profile=str(profile))
    made.start()
    yield made
    made.close()


def test_the_loop_is_closed(pipeline: Pipeline, told: Story, chromium: str) -> None:
    champion = models(pipeline)["champion"]["bundle"]
    eventually(lambda: {one["bundle"] for one in models(pipeline)["scorers"]} == {champion}, 60)
    calm = send(pipeline, told.calm)
    calm_psi = eventually(lambda: psi(pipeline, MOVED), 60)
    missed = send(pipeline, told.first)
    assert missed.final < calm.final - 0.3, "drift lowers the average precision"
    risen = eventually(lambda: (now := psi(pipeline, MOVED)) > 0.25 and now, 60)
    assert calm_psi < 0.1
    shown(pipeline, chromium, champion, MOVED, risen)

    learn(pipeline, told.first)
    adapted = send(pipeline, told.second)
    assert adapted.online > missed.online + 0.1, "online learning finds the new fraud"
    learn(pipeline, told.second)

    done = pipeline.run("retrain", "--json", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    challenger = report["challenger"]
    assert (report["outcome"], report["champion"], MOVED in report["drift"]) == (
        "promoted",
        champion,
        True,
    )
    eventually(lambda: {one["bundle"] for one in models(pipeline)["scorers"]} == {challenger}, 60)
    restored = send(pipeline, told.third)
    assert restored.final > missed.final + 0.3, "the challenger finds it"
    assert restored.final > calm.final - 0.1
    fallen = eventually(lambda: (now := psi(pipeline, MOVED)) < risen - 0.1 and now, 60)
    assert f'tidegate_model_offset{{bundle="{challenger}"}}' in metrics(pipeline, "score")
    shown(pipeline, chromium, challenger, MOVED, fallen)


def send(pipeline: Pipeline, traffic: pd.DataFrame) -> Found:
    """Send it without its labels, wait for its rows, and judge their scores by the labels."""
    before, file = pipeline.rows(), pipeline.home.parent / "traffic.parquet"
    traffic.drop(columns="label").to_parquet(file)
    done = pipeline.run("send", str(file), timeout=300)
    assert done.returncode == 0, done.stderr
    eventually(lambda: pipeline.rows() == before + len(traffic), 120)
    scores = scored(pipeline)
    made = np.array([scores[name] for name in traffic["transaction_id"]])
    frauds = traffic["label"].to_numpy() == 1
    return Found(
        average_precision(made[:, 0], frauds),
        average_precision(made[:, 1 + CARD.models.names.index("online")], frauds),
    )


def scored(pipeline: Pipeline) -> dict[str, list[float]]:
    """Of each row the final score, then each detector's."""
    with closing(
        sqlite3.connect(f"file:{pipeline.home / 'tidegate.db'}?mode=ro", uri=True)
    ) as connection:
        rows = connection.execute(
            "SELECT transaction_id, score, scores FROM transactions"
        ).fetchall()
    return {name: [final, *np.frombuffer(parts, "<f8").tolist()] for name, final, parts in rows}


def learn(pipeline: Pipeline, traffic: pd.DataFrame) -> None:
    """Post the verdicts, and wait until the scorers use what was learnt from the last of them."""
    before = (models(pipeline)["online"] or {"labels": 0})["labels"]
    file = pipeline.home.parent / "verdicts.parquet"
    traffic[["transaction_id", "label"]].to_parquet(file)
    assert pipeline.run("feedback", str(file), timeout=300).returncode == 0
    wanted = eventually(
        lambda: (
            (online := models(pipeline)["online"])
            and online["labels"] >= before + len(traffic)
            and online
        ),
        120,
        every=0.5,
    )
    assert not wanted["frozen"]
    eventually(
        lambda: re.search(
            rf"^tidegate_online_labels {float(wanted['labels'])}$",
            metrics(pipeline, "score"),
            re.MULTILINE,
        ),
        60,
    )


def psi(pipeline: Pipeline, column: str) -> float:
    """What persist's metrics say of an input; 0 while they say nothing."""
    found = re.search(
        rf'^tidegate_drift_psi{{feature="{column}",kind="input"}} (\S+)$',
        metrics(pipeline, "persist"),
        re.MULTILINE,
    )
    return float(found[1]) if found else 0.0


def metrics(pipeline: Pipeline, stage: str) -> str:
    done = json.loads(pipeline.run("status", "--json").stdout)
    port = next(one["metrics_port"] for one in done["processes"] if one["stage"] == stage)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def models(pipeline: Pipeline) -> dict[str, Any]:
    """What the page of the models asks for."""
    status, found = ask("GET", int(pipeline.env["TIDEGATE_DASHBOARD_PORT"]), "/models.json", None)
    assert status == 200
    return dict(found)


def shown(pipeline: Pipeline, chromium: str, bundle: str, column: str, value: float) -> None:
    """The page names the bundle that scores, and how far the column has moved."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{pipeline.env['TIDEGATE_DASHBOARD_PORT']}/models")
        expect(page.locator("#champion-text")).to_have_text(f"{bundle}, used by 1 of 1 scorer")
        line = page.locator(f"#drift tr[data-name='{column}']")
        expect(line).to_be_visible()
        assert float(line.locator("td").nth(2).inner_text()) == pytest.approx(value, abs=0.05)
        browser.close()
