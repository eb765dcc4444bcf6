"""A running system in which there is something to see on every page.

Simulated customers, fraudsters and verdicts; transactions that cannot be processed; a rule and a
list that hit; somebody who is told of alerts; reviewers who decide; and a file that was uploaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.notify.receivers import hook, receiver
from tests.support import eventually
from tests.system.pipeline import Pipeline
from tests.web import produce
from tidegate.broker.kafka import KafkaBroker
from tidegate.pipeline import RAW
from tidegate.settings import Settings

ROWS = 3_000
"""Rows before anybody looks: enough that each page has something to show."""
BROKEN = (
    b'{"transaction_id": "broken-1", "user_id": "u-1", "amount": "a lot"}',
    b'{"transaction_id": "broken-2", "user_id": "u-2", "amount": "too much"}',
    b"not even JSON",
)
POLICY = """
rules:
- name: far-and-dear
  when: location_distance_km > 100 and amount > 80
  action: review
  reason: dear and far from home
- name: cash-machine-burst
  when: merchant_type == 'cash' and user_count_1h > 3
  action: block
- name: watched-merchant
  when: merchant in list:watched and score > 0.05
  action: review
  enabled: false
lists:
- name: watched
  kind: watch
  field: merchant
  entries: [{value: merchant_00042, note: seen twice}]
"""
NOTIFY = """channels:
{channel}routes:
  - {{events: [alert], channels: [fraud-desk]}}
  - {{events: [operations], channels: [fraud-desk], urgent: true}}
"""
HEADER = "transaction_id,user_id,amount,merchant,timestamp,merchant_type,device_type,location_match"
THROTTLE = "    throttle: {most: 100000, per: 1h}\n"
VERDICTS = "flffl"
"""Keys that are pressed in the review queue."""


@contextmanager
def demonstration(home: Path) -> Iterator[Pipeline]:
    """A system that has seen some thousand transactions."""
    home.mkdir(parents=True, exist_ok=True)
    with receiver() as told:
        notify = home / "notify.yaml"
        notify.write_text(NOTIFY.format(channel=hook("fraud-desk", told.url, THROTTLE)))
        env = {"TIDEGATE_NOTIFY": str(notify)}
        pipeline = Pipeline(home, arguments=("--simulate", "200"), env=env)
        pipeline.start()
        try:
            break_some(pipeline)
            apply_policy(pipeline)
            eventually(lambda: pipeline.rows() >= ROWS, 240, every=1.0)
            eventually(lambda: len(told.requests) > 0, 120, every=1.0)
            yield pipeline
        finally:
            pipeline.stop()
            pipeline.close()


def break_some(pipeline: Pipeline) -> None:
    """Records of another producer that become dead letters."""
    broker = KafkaBroker(Settings(kafka=f"127.0.0.1:{pipeline.env['TIDEGATE_KAFKA_PORT']}"))
    produce(broker, RAW, *BROKEN)


def apply_policy(pipeline: Pipeline) -> None:
    """Rules and a list, on the whole stream from now on."""
    file = pipeline.home / "policy.yaml"
    file.write_text(POLICY)
    done = pipeline.run("rules", "apply", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def use(page: Page, site: str) -> None:
    """Decide some cases, and let a file of transactions be decided."""
    page.goto(f"{site}/review")
    case = page.locator("#case-title")
    for key in VERDICTS:
        before = case.inner_text()
        page.keyboard.press(key)
        expect(case).not_to_have_text(before)
    page.goto(f"{site}/batch")
    page.set_input_files("#file", {"name": "june.csv", "mimeType": "text/csv", "buffer": _csv()})
    page.click("#send")
    page.get_by_role("button", name="Send it").click()
    expect(page.locator("#scored")).to_have_text("200", timeout=60_000)


def _csv() -> bytes:
    lines = [HEADER]
    for i in range(200):
        values = (
            f"june-{i}",
            f"user-{i % 40}",
            f"{2 + i * 37 % 400}.50",
            f"m-{i % 7}",
            f"2026-06-{1 + i // 10:02d}T{i % 24:02d}:00:00Z",
            ("grocery", "cash", "fuel")[i % 3],
            ("pos", "mobile")[i % 2],
            str(i % 9 != 0).lower(),
        )
        lines.append(",".join(values))
    return "\n".join(lines).encode()
