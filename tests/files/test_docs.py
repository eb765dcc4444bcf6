"""The page on files names the kinds, the options and the reasons that the code knows."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import yaml

from model.files.places import FORMATS, KINDS
from model.files.reader import Reader
from model.files.rows import Refusal
from tests.files.read import read
from tests.files.reading import as_csv, profile_of
from tests.files.test_tables import number, text, workbook
from tidegate.profile import Profile
from tidegate.profile.file_spec import FileSpec

NUMBER, TIME = "{type: number}", "{type: time}"
PAGE = (Path(__file__).parents[2] / "docs/files.md").read_text()


def rows_under(head: str) -> list[list[str]]:
    table = PAGE.split(head)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def test_the_page_lists_every_kind_of_file() -> None:
    rows = rows_under("| kind | by the name")
    assert {name for row in rows for name in re.findall(r"`(\.\w+)`", row[1])} == {
        *KINDS,
        ".gz",
        ".zst",
    }
    assert {row[2].strip("`") for row in rows} == set(FORMATS)


def test_the_page_lists_every_option_of_a_layout() -> None:
    names = [row[0].strip("`") for row in rows_under("| `file:` | what it says")]
    assert sorted(names) == sorted(FileSpec.__struct_fields__)
    example = yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])
    assert msgspec.convert(example["file"], FileSpec).problem() == ""


def test_the_page_lists_every_reason(tmp_path: Path) -> None:
    sheet = workbook(Rows=[[text("a")], [number("1234567890123456789")]])
    lines = tmp_path / "rows.jsonl"
    lines.write_text('7\n{"a"\n')
    refused = [
        *read(b"a,b\n1\n2,\0\n", encoding="utf-8").refused,
        *read(sheet, "book.xlsx").refused,
        *refused_by_reader(as_csv(tmp_path / "a.csv", ["ten"]), profile_of(tmp_path, NUMBER)),
        *refused_by_reader(as_csv(tmp_path / "b.csv", ["soon"]), profile_of(tmp_path, TIME)),
        *refused_by_reader(lines, profile_of(tmp_path, NUMBER)),
    ]
    listed = [row[0] for row in rows_under("| reason | the row")]
    assert set(re.findall(r"`(\w+)`", " ".join(listed))) == {one.reason for one in refused}


def refused_by_reader(path: Path, profile: Profile) -> list[Refusal]:
    return [one for rows in Reader(str(path), profile).rows() for one in rows.refused]
