"""Personal fields of a profile: tokens, and what a profile may say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.errors import ConfigError, Rejected
from tidegate.profile import Profile, load_profile
from tidegate.profile.field import TOKEN_LENGTH, is_token
from tidegate.profile.tokens import Tokens

CARD = Path("profiles/card.yaml").read_text()
KEY = "a key of thirty-two characters or so"
NUMBER = "4111111111111111"
RAW = (
    b'{"transaction_id":"t1","user_id":"4111111111111111","amount":12.5,"merchant":"m",'
    b'"timestamp":"2024-01-01T00:00:00Z","merchant_type":"fuel","device_type":"x",'
    b'"location_match":true}'
)


def changed(folder: Path, *changes: tuple[str, str]) -> Profile:
    text = CARD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "card.yaml"
    path.write_text(text)
    return load_profile(path)


def account(options: str) -> tuple[str, str]:
    return "user_id: {type: string}", f"user_id: {{type: string, {options}}}"


TOKEN = account("personal: true, store: token, max_length: 16")
ID_TOKEN = "optional: true}", "optional: true, personal: true, store: token}"


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY)


BY_CLIENT = "\nfields:", "\nids: per_client\n\nfields:"


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("own", ["t1", f"{NUMBER}:7", ":", "shop:t1"])
def test_the_id_of_a_client_is_its_name_and_a_token_of_its_own_id(tmp_path: Path, own: str) -> None:
    profile = changed(tmp_path, ID_TOKEN, BY_CLIENT)
    tx = profile.decode(RAW.replace(b'"t1"', f'"{own}"'.encode()), scope="shop:")
    stored = str(profile.id_of(tx))
    client, _, token = stored.partition(":")
    assert (client, is_token(token)) == ("shop", True)
    assert stored == profile.stored_id(f"shop:{own}") == profile.stored_id(stored)
    assert stored != profile.stored_id(f"bank:{own}")
    canonical = profile.canonical(tx)
    assert profile.canonical(profile.decode(canonical)) == canonical
    by_others = RAW.replace(b'"t1"', f'"shop:{own}"'.encode())
    assert profile.id_of(profile.decode(by_others)) == stored
    assert profile.id_of(profile.decode_all([by_others])[0]) == stored


@pytest.mark.usefixtures("keyed")
def test_an_id_that_is_too_long_with_its_token_is_refused(tmp_path: Path) -> None:
    short = ID_TOKEN[0], ID_TOKEN[1].replace("store:", "max_length: 40, store:")
    profile = changed(tmp_path, short, BY_CLIENT)
    assert profile.decode(RAW, scope="abc:")
    with pytest.raises(Rejected, match="transaction_id: expected at most 40 characters"):
        profile.decode(RAW, scope="abcd:")


@pytest.mark.usefixtures("keyed")
def test_a_token_takes_the_place_of_a_value_and_stays(tmp_path: Path) -> None:
    profile = changed(tmp_path, TOKEN)
    tx = profile.decode(RAW)
    token = profile.key_of(tx).decode()
    assert is_token(token)
    assert len(token) == TOKEN_LENGTH
    assert token == profile.stored("user_id", NUMBER)
    assert NUMBER.encode() not in profile.canonical(tx)
    again = profile.canonical(tx)
    assert profile.canonical(profile.decode(again)) == again
    assert profile.canonical(profile.decode_all([RAW])[0]) == again


@pytest.mark.usefixtures("keyed")
def test_a_token_differs_by_key_field_and_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant = "merchant: {type: string}", "merchant: {type: string, personal: true, store: token}"
    profile = changed(tmp_path, TOKEN, merchant)
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY[::-1])
    other = changed(tmp_path, TOKEN, merchant)
    tokens = [
        profile.stored("user_id", NUMBER),
        profile.stored("user_id", NUMBER[::-1]),
        profile.stored("merchant", NUMBER),
        other.stored("user_id", NUMBER),
    ]
    assert len(set(tokens)) == 4
    assert profile.stored("merchant_type", NUMBER) == NUMBER
    assert profile.hash != other.hash, "windows by tokens of another key are others"


def test_masking_is_no_new_version_and_tokens_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = load_profile("card")
    assert changed(tmp_path, account("personal: true")).hash == card.hash
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY)
    assert changed(tmp_path, TOKEN).hash != card.hash


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("number", ["4" * 17, "tok_short", "tok_" + "a" * 33, "4\\u00001"])
def test_what_is_too_long_for_the_field_is_refused_without_being_shown(
    tmp_path: Path, number: str
) -> None:
    profile = changed(tmp_path, TOKEN, ("max_length: 16", "max_length: 8"))
    raw = RAW.replace(NUMBER.encode(), number.encode())
    with pytest.raises(Rejected) as one:
        profile.decode(raw)
    assert one.value.reason == "out_of_bounds"
    assert number not in one.value.detail
    [(field, said)] = profile.faults(raw)
    assert field == "user_id"
    assert number not in said


def test_a_key_can_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY_FILE", str(file))
    token = changed(tmp_path, TOKEN).stored("user_id", NUMBER)
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", KEY)
    assert changed(tmp_path, TOKEN).stored("user_id", NUMBER) == token


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TIDEGATE_TOKEN_KEY", "", "32 characters at least.*openssl rand"),
        ("TIDEGATE_TOKEN_KEY", "short", "32 characters at least"),
        ("TIDEGATE_TOKEN_KEY_FILE", "nowhere", "TIDEGATE_TOKEN_KEY_FILE nowhere: .*No such file"),
    ],
)
def test_without_a_key_there_is_no_such_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=said) as error:
        changed(tmp_path, TOKEN)
    assert "short" not in str(error.value)


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([account("store: token")], "is for a field that is `personal: true`"),
        ([account("store: hash")], "expected one of .*value.*"),
        (
            [("amount: {type: money,", "amount: {type: money, personal: true, store: token,")],
            "only a string can be kept as a token",
        ),
        (
            [("optional: true}", "optional: true, personal: true}")],
            "a personal id needs `store: token`",
        ),
        (
            [("amount: {type: money,", "amount: {type: money, personal: true,")],
            "amount: .*are shown beside the payload",
        ),
        (
            [("timestamp: {type: time", "timestamp: {type: time, personal: true")],
            "timestamp: .*are shown beside the payload",
        ),
    ],
)
def test_what_a_profile_may_not_say(
    tmp_path: Path, changes: list[tuple[str, str]], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        changed(tmp_path, *changes)


def test_sentences_lose_personal_values_however_deep(tmp_path: Path) -> None:
    said = changed(tmp_path, account("personal: true")).masks.said
    assert said(f"got {NUMBER!r}", RAW) == "got '\u2022\u2022\u2022'"
    nested = b'{"payload": {"after": {"user_id": ["4111111111111111"]}, "op": "c"}}'
    assert NUMBER not in said(f"no such value: {NUMBER}", nested)
    assert said("not valid JSON", b"{") == "not valid JSON"


@pytest.mark.usefixtures("keyed")
def test_only_what_names_nobody_is_erasable(tmp_path: Path) -> None:
    erasable = "account: user_id", "account: user_id\nerasable: true"
    assert changed(tmp_path, TOKEN, erasable).erasable
    assert not changed(tmp_path, TOKEN).erasable
    assert changed(tmp_path, TOKEN, erasable).hash != changed(tmp_path, TOKEN).hash
    with pytest.raises(ConfigError, match=r"erasable: payloads are encrypted by a key of their"):
        changed(tmp_path, account("personal: true"), erasable)
    merchant = "merchant: {type: string}", "merchant: {type: string, personal: true}"
    with pytest.raises(ConfigError, match="field merchant is a key on a topic and personal"):
        changed(tmp_path, TOKEN, erasable, merchant)
    with pytest.raises(ConfigError, match="erasable: expected true or false"):
        changed(tmp_path, TOKEN, (erasable[0], f"{erasable[0]}\nerasable: maybe"))


def test_secrets_for_other_purposes_tell_nothing_of_each_other() -> None:
    tokens = Tokens(KEY.encode(), [])
    found = {tokens.secret("one"), tokens.secret("two"), Tokens(b"another", []).secret("one")}
    assert len(found) == 3
    assert all(len(secret) == 32 for secret in found)
    assert tokens.secret("one") == Tokens(KEY.encode(), []).secret("one")
