"""`.env` means to Tidegate what it means to Docker Compose, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.dotenv import read
from tidegate.errors import ConfigError
from tidegate.settings import Settings

ALIKE = {
    "VAL": "VAL",
    "'VAL'": "VAL",
    '"VAL"': "VAL",
    "VAL # comment": "VAL",
    '"VAL # not a comment"': "VAL # not a comment",
    "'VAL # not a comment'": "VAL # not a comment",
    '"VAL" # comment with a $ and a "': "VAL",
    "'VAL' # comment": "VAL",
    "'$OTHER'": "$OTHER",
    "'${OTHER}'": "${OTHER}",
    "'s3cr$et#x'": "s3cr$et#x",
    "'a \"b\" c'": 'a "b" c',
    '"it\'s"': "it's",
    "some\\tvalue": "some\\tvalue",
    "": "",
    "''": "",
    '""': "",
    " 0 2 * * sun ": "0 2 * * sun",
    "a=b=c": "a=b=c",
    "it's": "it's",
    "kľúč": "kľúč",
}
"""What stands behind the =, and what it means by Compose's pages. `check_compose.py` asks it."""

IN_TWO_WAYS = [
    "s3cr$et",
    "$OTHER",
    "${OTHER:-x}",
    '"s3cr$et"',
    "VAL# not a comment",
    "#VAL",
    " # comment",
    "VAL\t# comment",
    "'Let\\'s go!'",
    '"{\\"hello\\": 1}"',
    '"some\\tvalue"',
    "'some\\tvalue'",
    "'VAL'#comment",
    "'VAL' x",
    "'VAL",
    '"VAL',
    "''VAL''",
    "VAL\rX",
    "\u2003VAL",
    "'VAL\u00a0'",
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`.env` of a working directory, where the environment says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_PASSWORD", "KAFKA_USER"):
        monkeypatch.delenv(f"TIDEGATE_{name}", raising=False)
    return tmp_path / ".env"


@pytest.mark.parametrize(("text", "value"), ALIKE.items())
@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=repr)
def test_what_means_one_thing_is_read(file: Path, text: str, value: str, end: str) -> None:
    file.write_bytes(f"# first\n\nTIDEGATE_KAFKA_PASSWORD={text}{end}".encode())
    assert Settings().kafka_password.get_secret_value() == value


@pytest.mark.parametrize("text", IN_TWO_WAYS)
def test_what_could_mean_two_things_is_refused(file: Path, text: str) -> None:
    file.write_bytes(f"A=1\nTIDEGATE_KAFKA_PASSWORD={text}\n".encode())
    with pytest.raises(ConfigError, match=r"\.env, line 2: TIDEGATE_KAFKA_PASSWORD: ") as refused:
        Settings()
    assert text not in str(refused.value), "it may be a secret"


@pytest.mark.parametrize("line", ["TIDEGATE_KAFKA_USER", "TIDEGATE_KAFKA_USER: ann"])
def test_a_name_needs_its_sign(file: Path, line: str) -> None:
    file.write_text(line)
    with pytest.raises(ConfigError, match="no = behind its name"):
        Settings()


def test_spaces_about_the_sign_and_the_last_of_a_name_count(file: Path) -> None:
    file.write_text("\ufeffTIDEGATE_KAFKA_USER=bob\n  export TIDEGATE_KAFKA_USER = ann\n")
    assert Settings().kafka_user == "ann"


def test_the_environment_comes_first_and_an_empty_value_is_none(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("TIDEGATE_KAFKA_USER=ann\nTIDEGATE_PORT=\n")
    monkeypatch.setenv("TIDEGATE_KAFKA_USER", "bob")
    assert (Settings().kafka_user, Settings().port) == ("bob", 5000)


def test_others_lines_are_their_own(file: Path) -> None:
    file.write_text('OTHER="a $b\nc"\nPOSTGRES_PASSWORD=s3cr$et#x\nTIDEGATE_UNHEARD=1\n')
    assert read(file) == {"TIDEGATE_UNHEARD": "1"}


def test_what_cannot_be_read_is_named(file: Path) -> None:
    assert read(file) == {}
    file.write_bytes(b"TIDEGATE_KAFKA_USER=\xff")
    with pytest.raises(ConfigError, match=r"\.env: .*utf-8"):
        Settings()
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match=r"\.env: .*irectory"):
        Settings()
