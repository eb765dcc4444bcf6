from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tidegate.errors import ConfigError
from tidegate.profile import load_profile

NAMES = sorted(path.stem for path in Path("profiles").glob("*.yaml"))
CARD, HANDBOOK, SEQUENCES = (
    Path(f"profiles/{name}.yaml").read_text() for name in ("card", "handbook", "sequences")
)


def line_of(document: str, text: str) -> int:
    return next(number for number, line in enumerate(document.splitlines(), 1) if text in line)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_profiles_load(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert len(profile.hash) == 8
    assert profile.hash == load_profile(f"profiles/{name}.yaml").hash
    assert set(profile.features) <= set(profile.values)
    assert len(set(profile.values)) == len(profile.values)
    assert profile.scored_layout.dtype["values"].shape == (len(profile.values),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "window: 1h}",
            "window: soon}",
            "features.user_count_1h.window: expected a duration such as 1h, got 'soon'",
        ),
        ("part: weekday}", "part: month}", "features.weekday.part: expected one of hour_sin,"),
        ("op: count,", "op: tally,", "features.user_count_1h.op: expected one of calendar, count,"),
        (
            "by: user_id, window: 1h}",
            "by: shop, window: 1h}",
            "features.user_count_1h.by: expected one of the entities",
        ),
        (
            "of: amount, by: user_id, window: 1h",
            "of: amuont, by: user_id, window: 1h",
            "features.user_sum_1h.of: expected a column",
        ),
        ("is: log1p(amount)", "is: log1p(amount", "features.amount_log.is: not an expression"),
        (
            "is: log1p(amount)",
            "is: __import__('os')",
            "features.amount_log.is: \"__import__('os')\": allowed are",
        ),
        (
            "is: log1p(amount)",
            "is: amount ** 2",
            "features.amount_log.is: 'amount ** 2': only + - * / are allowed",
        ),
        (
            "is: not location_match",
            "is: merchant_type == 'fule'",
            "features.location_mismatch.is: 'fule' is no declared value",
        ),
        ("keep: 16", "keep: 1", "features.user_merchants_1d.keep: expected 2 to 64"),
        (
            "prior: 0.01",
            "prior: 2",
            "features.merchant_fraud_rate_30d.prior: expected 0 < prior < 1",
        ),
        (
            "amount: {type: money",
            "amount: {type: cash",
            "fields.amount.type: expected one of string, money,",
        ),
        (
            "decimals: 2",
            "decimals: two",
            "fields.amount.decimals: expected a whole number, got 'two'",
        ),
        (
            "max: 1000000}",
            "max: 10000000000001}",
            "fields.amount: amounts may reach at most 1,000,000,000,000,000 minor units",
        ),
        (
            "location_match: {type: bool}",
            "location_match: {type: bool, min: 0}",
            "fields.location_match.min: a bool field takes no, yes",
        ),
        (
            "account: user_id",
            "account: users",
            "account: expected the name of a field of type string, got 'users'",
        ),
        (
            "entities: [user_id, merchant]",
            "entities: [merchant, user_id]",
            "entities: the first entity must be the account",
        ),
        (
            "label_delay: 7d",
            "sources: {weights: {crowd: 2}}",
            "sources.weights: expected",
        ),
        (
            "label_delay: 7d",
            "sources: {hourly: 0}",
            "sources.hourly: expected a whole number of at least 1, got 0",
        ),
        (
            "online: {rate: 0.01}",
            "online: {rate: 0.01, hourly: 5}",
            "models.online.hourly: the quota of a source is in a section of its own",
        ),
        ("label_delay: 7d", "label_delay: 7", "label_delay: expected a duration such as 1h, got 7"),
        ("review: 0.5", "review: 0.95", "thresholds: expected 0 < review <= block <= 1"),
        ("thresholds:", "treshold:", "treshold: no such section; there are account,"),
        ("id: transaction_id", "id: [", "mine.yaml:4: not YAML: expected ',' or ']'"),
        (
            "is: log1p(amount)",
            "is: max(amount, 0)",
            "features.amount_log: inside braces a comma ends a value: put it in quotes",
        ),
        ("type: money, decimals", "decimals", "fields.amount.type: expected one of string, money,"),
        ("values: [mobile,", "values: [5,", "fields.device_type.values.0: expected a text, got 5"),
        ("history: {simulate", "history: {simulated", "history: unknown field `simulated`"),
        ("  merchant: {type: string}", "  user_id: {type: string}", "fields.user_id: named twice"),
        (
            "half_life: 10d",
            "half_life: ten",
            "features.terminal_risk_decayed.half_life: expected a duration such as 1h",
        ),
        (
            "last: 32, give: least",
            "last: 1, give: least",
            "features.terminal_frauds_least_ratio.last: expected 2 to 64",
        ),
        (
            "last: 32, give: age",
            "last: 32, give: ago",
            "features.terminal_frauds_age.give: expected one of",
        ),
        (
            "last: 32, give: age",
            "last: 32, give: least",
            "features.terminal_frauds_age.of: `least` needs a column",
        ),
        (
            "give: least",
            "give: age",
            "features.terminal_frauds_least_ratio.of: `least` needs a column, and nothing else",
        ),
        (
            "of: amount_ratio, by: TERMINAL_ID",
            "of: terminal_risk_1d, by: TERMINAL_ID",
            "features.terminal_frauds_least_ratio.of: expected an input, or a column of an "
            "earlier step",
        ),
        (
            "columns: [TX_AMOUNT",
            "columns: [amount_excess",
            "models.isolation_forest.columns: the models see no column amount_excess",
        ),
        ("served: false", "served: 0", "models.xgboost.served: expected true or false, got 0"),
        (
            "of: terminal_frauds, by: TERMINAL_ID, last: 8",
            "of: terminal_frauds, by: TERMINAL_ID, last: 80",
            "features.frauds.last: expected 2 to 64",
        ),
        (
            "ratio: {op: recent, of: amount_ratio, by: CUSTOMER_ID, last: 8}",
            "amount_7: {op: calendar, part: weekday}",
            "features.amount_7: there is a column amount_7 already",
        ),
        (
            "series: [amount",
            "series: [amount_ratio",
            "models.lstm_autoencoder.series: the models see no column amount_ratio_0",
        ),
    ],
)
def test_wrong_profiles_name_file_line_field_and_expectation(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path, document = (
        tmp_path / "mine.yaml",
        next(text for text in (CARD, HANDBOOK, SEQUENCES) if old in text),
    )
    path.write_text(document.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")
    if "YAML" not in message and "section" not in message:
        assert f"mine.yaml:{line_of(document, old)}:" in str(caught.value)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{separator: '\\n'}", "file: separator: expected one ASCII sign, or tab"),
        ("{separator: semi}", "file.separator: "),
        ("{separator: tab, quote: '§'}", "file: quote: expected one ASCII sign, or nothing"),
        ("{separator: ';', quote: ';'}", "file: separator and quote: expected two signs"),
        ("{encoding: latin-9000}", "file: encoding: expected a name such as windows-1252"),
        ("{encoding: base64}", "file: encoding: expected a name such as windows-1252"),
        ("{skip: -1}", "file.skip: "),
        ("{skipp: 1}", "file: "),
    ],
)
def test_a_wrong_layout_of_files_is_named(tmp_path: Path, section: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{CARD}file: {section}\n")
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")


def test_the_layout_of_files_is_what_the_profile_says(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{CARD}file: {{separator: tab, quote: '', footer: 2}}\n")
    spec = load_profile(path).file
    assert (spec.sign, spec.quote, spec.footer, spec.skip) == ("\t", "", 2, None)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="there are card, card_unsupervised, creditcard"):
        load_profile("nothing")


def test_another_layout_of_the_file_is_the_same_profile_and_another_window_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(CARD), sort_keys=False))
    assert load_profile(path).hash == load_profile("card").hash
    path.write_text(CARD.replace("window: 1h", "window: 2h"))
    assert load_profile(path).hash != load_profile("card").hash


def test_a_model_that_is_not_served_keeps_its_settings() -> None:
    models = load_profile("handbook").models
    assert models.names == ["lightgbm", "online"]
    assert set(models.settings["isolation_forest"]) == {"columns"}
