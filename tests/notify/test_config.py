"""notify.yaml: what is wrong is said with its line, and secrets stay out of every sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.notify.receivers import SECRET, alert, config_of
from tidegate.errors import ConfigError
from tidegate.notify.described import described
from tidegate.notify.secrets import Redactor, shown

WHOLE = """channels:
  soc:
    webhook: https://soc.example/hooks/${PATH_TOKEN}
    secret: ${SOC_SECRET}
    previous_secret: ${OLD_SECRET}
    allow_networks: [10.20.0.0/16, "fd00::/8"]
    throttle: {most: 5, per: 10m}
  chat:
    apprise: slack://${SLACK}/#fraud
    group: {by: account, within: 2m}
    quiet: {from: "22:00", until: "07:00", zone: Europe/Madrid}
routes:
  - events: [alert]
    decisions: [block]
    min_score: 0.9
    min_amount: 100
    channels: [soc, chat]
  - {events: [operations], channels: [chat], urgent: true}
keep_days: 7
"""
OLD = "whsec_" + "b2xkLi4u" * 6
SLACK = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


def test_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/OLD_SECRET").write_text(OLD + "\n")
    secrets = {"PATH_TOKEN": "p4th-t0ken", "SOC_SECRET": SECRET, "SLACK": SLACK}
    config = config_of(tmp_path, WHOLE, **secrets)
    soc, chat = config.channels["soc"], config.channels["chat"]
    assert soc.address == "https://soc.example/hooks/p4th-t0ken"
    assert len(soc.secrets) == 2
    assert soc.throttle.per_us == 600_000_000
    assert chat.group
    assert chat.group.within_us == 120_000_000
    assert chat.quiet
    assert chat.quiet.zone.key == "Europe/Madrid"
    alerts, operations = config.routes
    assert alerts.takes(alert(1))
    assert not alerts.takes(alert(1, score=0.5))
    assert not alerts.takes(alert(1, amount=99.0))
    assert not alerts.takes(alert(1, decision="review"))
    assert replace(alerts, min_amount=0.0).takes(alert(1, amount=-20.0)), "a refund"
    assert not operations.takes(alert(1))
    assert operations.takes(alert(1, kind="lag", decision=""))
    told = str(described(config))
    for secret in (*secrets.values(), OLD, "TIiajkdnlazkcOXrIdevi7FQ"):
        assert secret not in told
    assert "https://soc.example/***" in told
    assert soc.redact("refused at /hooks/p4th-t0ken?x") == "refused at /hooks/***?x"
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in chat.redact("POST /TIiajkdnlazkcOXrIdevi7FQ")


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("${SOC_SECRET}", "${NOBODY}", 4, "NOBODY is not set, and there is no file"),
        ("${SOC_SECRET}", "whsec_short", 4, "24 to 64 bytes"),
        ("    secret: ${SOC_SECRET}\n", "", 2, "a webhook needs a `secret`"),
        ("https://soc.example/hooks/${PATH_TOKEN}", "soc.example", 3, "an address like"),
        ("https://soc.example", "https://soc..example", 3, "an address like"),
        ("https://soc", "https://me:word@soc", 3, "neither a user"),
        ("10.20.0.0/16", "10.20.0.1/16", 6, "a network like"),
        ("slack://${SLACK}/#fraud", "json://example.com", 9, "json:// reaches any server"),
        ("slack://${SLACK}/#fraud", "nonsense://x", 9, "does not know"),
        ("    apprise: slack", "    webhook: https://x\n    apprise: slack", 8, "either"),
        ("2m", "2 minutes", 10, "within"),
        ("Europe/Madrid", "Europe/Nowhere", 11, "no time zone"),
        ('"22:00"', '"25:00"', 11, "from"),
        ('"22:00"', '"07:00"', 11, "the same"),
        ("[soc, chat]", "[soc, nobody]", 17, "there is no channel 'nobody'"),
        ("[operations]", "[operation]", 18, "expected one of alert"),
        ("[block]", "[blocked]", 14, "blocked"),
        ("keep_days: 7", "keep_day: 7", 1, "keep_day"),
        ("  soc:\n", "  So C:\n", 2, "a name is made of"),
        ("routes:\n", "routes: [\n", 12, "not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in WHOLE
    secrets = {"PATH_TOKEN": "p4th-t0ken", "SOC_SECRET": SECRET, "SLACK": SLACK, "OLD_SECRET": OLD}
    with pytest.raises(ConfigError) as caught:
        config_of(tmp_path, WHOLE.replace(old, new, 1), **secrets)
    said = str(caught.value)
    assert words in said
    assert abs(int(said.split("notify.yaml:")[1].split(":")[0]) - line) <= (words == "not YAML")
    assert SLACK not in said


def test_what_of_an_address_is_shown_and_kept_out() -> None:
    assert shown("https://me@host.example:8443/a/b?c=d") == "https://host.example:8443/***"
    assert shown("https://host.example?token=c") == "https://host.example/***"
    assert shown("mailto://user:password@mail.example") == "mailto://***"
    redact = Redactor("mailto://someone:p%40ssw0rd@mail.example?to=a@mail.example")
    said = redact("login of someone with p@ssw0rd at mail.example failed")
    assert said == "login of *** with *** at mail.example failed"
