"""What becomes of an event: at once, later with others, or not at all."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notify.receivers import ALL_ALERTS, HOUR_US, alert, config_of, hook
from tidegate.notify.config import Config
from tidegate.notify.plan import Past, Waiting, backoff_us, digests, plan

MADRID = ZoneInfo("Europe/Madrid")
QUIET = '    quiet: {from: "22:00", until: "07:00", zone: Europe/Madrid}\n'


def config(folder: Path, more: str = "", routes: str = ALL_ALERTS) -> Config:
    return config_of(folder, "channels:\n" + hook("hook", "http://127.0.0.1:1", more) + routes)


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=MADRID).timestamp() * 1e6)


def test_a_channel_tells_an_event_once_however_many_routes_name_it(tmp_path: Path) -> None:
    routes = ALL_ALERTS + "  - {events: [alert, lag], channels: [hook], urgent: true}\n"
    [placed] = plan(config(tmp_path, routes=routes), Past(), [alert(1)], 5)
    assert (placed.state, placed.urgent) == ("pending", True)
    assert plan(config(tmp_path), Past(), [alert(1, kind="lag", decision="")], 5) == []


def test_after_so_many_the_rest_waits_for_the_end_of_the_span(tmp_path: Path) -> None:
    made = config(tmp_path, "    throttle: {most: 2, per: 1h}\n")
    now = 5 * HOUR_US + 7
    placed = plan(made, Past({"hook": 1}), [alert(number) for number in range(3)], now)
    assert [one.state for one in placed] == ["pending", "held", "held"]
    assert {one.due_us for one in placed[1:]} == {6 * HOUR_US}


def test_groups_are_told_at_the_end_of_their_span(tmp_path: Path) -> None:
    made = config(tmp_path, "    group: {by: account, within: 1m}\n")
    events = [alert(1), alert(2, account="u1"), alert(3), alert(4, kind="alert", account="")]
    placed = plan(made, Past(), events, 90_000_000)
    assert {one.due_us for one in placed} == {120_000_000}
    assert [one.group for one in placed] == ["account/u1", "account/u1", "account/u3", "kind/alert"]


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-07-01T21:59:59", ""),
        ("2026-07-01T22:00:00", "2026-07-02T07:00:00"),
        ("2026-07-02T06:59:59", "2026-07-02T07:00:00"),
        ("2026-07-02T07:00:00", ""),
        ("2026-03-28T23:00:00", "2026-03-29T07:00:00"),  # clocks go forward
        ("2026-10-24T23:00:00", "2026-10-25T07:00:00"),  # and back
    ],
)
def test_quiet_hours_by_the_clocks_of_the_zone(tmp_path: Path, now: str, until: str) -> None:
    [placed] = plan(config(tmp_path, QUIET), Past(), [alert(1)], us(now))
    assert placed.state == ("held" if until else "pending")
    assert placed.due_us == (us(until) if until else 0)


def test_quiet_hours_by_day(tmp_path: Path) -> None:
    quiet = '    quiet: {from: "12:00", until: "14:00", zone: Europe/Madrid}\n'
    made = config(tmp_path, quiet)
    for now, state in (("11:59", "pending"), ("12:00", "held"), ("14:00", "pending")):
        [placed] = plan(made, Past(), [alert(1)], us(f"2026-07-01T{now}:00"))
        assert placed.state == state


def test_what_is_urgent_is_told_in_quiet_hours_and_not_grouped(tmp_path: Path) -> None:
    urgent = "routes:\n  - {events: [alert], channels: [hook], urgent: true}\n"
    made = config(tmp_path, QUIET + "    group: {by: all, within: 1h}\n", urgent)
    [placed] = plan(made, Past(), [alert(1)], us("2026-07-01T23:00:00"))
    assert placed.state == "pending"


def test_a_group_that_ends_in_quiet_hours_is_told_after_them(tmp_path: Path) -> None:
    made = config(tmp_path, QUIET + "    group: {by: all, within: 1h}\n")
    [placed] = plan(made, Past(), [alert(1)], us("2026-07-01T21:30:00"))
    assert placed.due_us == us("2026-07-02T07:00:00")


def test_a_throttle_whose_span_ends_in_quiet_hours_waits_for_their_end(tmp_path: Path) -> None:
    throttled = QUIET + "    throttle: {most: 1, per: 1h}\n"
    past, now = Past({"hook": 1}), us("2026-07-01T21:30:00")
    [placed] = plan(config(tmp_path, throttled), past, [alert(1)], now)
    assert placed.due_us == us("2026-07-02T07:00:00")
    urgent = "routes:\n  - {events: [alert], channels: [hook], urgent: true}\n"
    [placed] = plan(config(tmp_path, throttled, urgent), past, [alert(1)], now)
    assert placed.due_us == us("2026-07-01T22:00:00")


def test_what_is_muted_is_not_told(tmp_path: Path) -> None:
    for mute in ("channel/hook", "kind/alert"):
        [placed] = plan(config(tmp_path), Past(muted={mute: 11}), [alert(1)], 10)
        assert (placed.state, placed.why) == ("suppressed", f"{mute.replace('/', ' ')} is muted")
        [placed] = plan(config(tmp_path), Past(muted={mute: 10}), [alert(1)], 10)
        assert placed.state == "pending"


@given(st.lists(st.sampled_from("abcdef"), max_size=30), st.integers(-2, 8))
def test_every_held_event_is_in_one_message(groups: list[str], room: int) -> None:
    held = [Waiting(str(number), group) for number, group in enumerate(groups)]
    made = digests(held, room)
    assert sorted(name for ids in made for name in ids) == sorted(one.id for one in held)
    assert len(made) <= max(1, room)
    if len(set(groups)) <= room:
        assert len(made) == len(set(groups))


def test_pauses_grow_and_end_at_a_quarter_of_an_hour() -> None:
    pauses = [backoff_us(attempts, 0.0) for attempts in range(1, 30)]
    assert pauses[:3] == [5_000_000, 10_000_000, 20_000_000]
    assert pauses[-1] == 900_000_000
    assert backoff_us(1, 1.0) == 6_000_000
