"""The command: what it writes, tells and refuses."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from model.files.formats.convert import convert
from model.files.formats.detect import FORMATS, detect
from model.files.formats.entry import Entry
from model.files.formats.xml import MOST_BYTES
from model.files.places import opened
from model.files.reader import Reader
from tests.files.formats.samples import HERE, LAST_DAY, SAMPLES, changed, message, written
from tidegate.errors import ConfigError
from tidegate.profile import load_profile

PAGE = Path(__file__).parents[3] / "docs/formats.md"


@pytest.mark.parametrize(("name", "sample"), SAMPLES.items())
def test_a_format_is_found_by_looking(name: str, sample: str) -> None:
    assert detect(HERE / sample) == name


def test_every_format_has_a_sample() -> None:
    assert FORMATS.keys() - SAMPLES.keys() == {"camt.052", "camt.054"}  # read as camt.053 is


def test_what_is_no_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--format"):
        detect(written(tmp_path, "a.csv", "id,amount\n1,2\n"))
    with pytest.raises(ConfigError, match=r"expected camt\.052"):
        convert([HERE / "statement.ofx"], tmp_path / "rows.csv", "csv")
    with pytest.raises(ConfigError, match="unpack it"):
        detect(written(tmp_path, "a.xml.gz", gzip.compress((HERE / SAMPLES["ofx"]).read_bytes())))
    with pytest.raises(ConfigError, match="there is no such file"):
        convert([tmp_path / "none.xml"], tmp_path / "rows.csv")
    with pytest.raises(ConfigError, match=r"ends with \.csv or \.jsonl"):
        convert([HERE / "statement.ofx"], tmp_path / "rows.xlsx")
    with pytest.raises(ConfigError, match="holds nothing of the format mt940"):
        convert([written(tmp_path, "empty.sta", "")], tmp_path / "rows.csv", "mt940")


@pytest.mark.parametrize("name", ["iso8583", "mt940", "ofx", "pacs.008"])
def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, name: str) -> None:
    large = written(tmp_path, "large", "[")
    with large.open("ab") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(ConfigError, match=r"larger than \d+ [MG]B"):
        convert([large], tmp_path / "rows.csv", name)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_the_reader_takes_the_rows_by_the_profile_of_the_page(tmp_path: Path, suffix: str) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    profile = load_profile(str(written(tmp_path, "statements.yaml", block)))
    out = tmp_path / f"rows{suffix}"
    convert([HERE / "statement.camt053.xml"], out)
    (rows,) = Reader(str(out), profile).rows()
    amounts = [profile.decode(line).amount for line in rows.lines]
    assert amounts == [12.5, -10.1, -20, 20, 0]
    assert len(set(rows.ids)) == 5


def test_the_reader_takes_statements_themselves(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    profile = load_profile(str(written(tmp_path, "statements.yaml", block)))
    out = tmp_path / "rows.jsonl"
    convert([HERE / "statement.camt053.xml"], out)
    reader = Reader(str(HERE / "statement.camt053.xml"), profile, form="camt.053")
    (direct,), (converted,) = reader.rows(), Reader(str(out), profile).rows()
    assert direct.lines == converted.lines
    assert "5 entries of camt.053" in reader.told
    assert "1 left out: not_booked" in reader.told
    folder = tmp_path / "statements"
    folder.mkdir()
    shutil.copy(HERE / "statement.mt940.sta", folder)
    (some,) = Reader(str(folder), profile, form="mt940").rows()
    assert len(some.ids) == 6


def test_the_reader_takes_statements_from_standard_input_and_pipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    profile = load_profile(str(written(tmp_path, "statements.yaml", block)))
    content = (HERE / "statement.camt053.xml").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[content], daemon=True)
    writer.start()
    (piped,) = Reader(str(pipe), profile, form="camt.053").rows()
    writer.join()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    place = opened("-", "camt.053")
    assert place.name == place.parts[0].name == "standard input"
    (typed,) = Reader("-", profile, source=place).rows()
    (named,) = Reader(str(HERE / "statement.camt053.xml"), profile, form="camt.053").rows()
    assert typed.lines == piped.lines == named.lines


def test_a_fault_names_standard_input_and_no_copy_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (b"<a>", b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        with pytest.raises(ConfigError, match=r"^standard input") as error:
            opened("-", "camt.053")
        assert tempfile.gettempdir() not in str(error.value)


def test_the_command_reads_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    result = CliRunner().invoke(
        app,
        ["convert", "-", str(HERE / "statement.ofx"), "--out", str(out)],
        input=(HERE / "statement.camt053.xml").read_bytes(),
    )
    assert result.exit_code == 0
    assert f"camt.053, ofx: 7 rows written to {out}" in result.output
    assert "standard input: statement 1" in result.output


def test_the_reader_takes_only_whole_statements(tmp_path: Path) -> None:
    cut = changed("statement.camt053.xml", tmp_path, (">1002.40<", ">1.00<"))
    with pytest.raises(ConfigError, match=r"`tidegate convert FILE --format camt\.053"):
        opened(str(cut), "camt.053")


def test_the_page_lists_every_column_and_format() -> None:
    page = PAGE.read_text()
    names = re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`[a-z_`, ]+`) \|", page, re.M)))
    assert set(Entry.__struct_fields__) <= set(names)
    assert all(f"`{name}`" in page for name in FORMATS)


def test_json_lines_hold_the_digits_of_an_amount(tmp_path: Path) -> None:
    big = written(tmp_path, "big.jsonl", message(f4="999999999999", f49="048"))
    convert([big], tmp_path / "rows.jsonl", last_day=LAST_DAY)
    assert b'"amount":-999999999.999,' in (tmp_path / "rows.jsonl").read_bytes()


def test_the_command_tells_what_it_did(tmp_path: Path) -> None:
    out = tmp_path / "new" / "rows.csv"
    result = CliRunner().invoke(
        app, ["convert", str(HERE / "statement.camt053.xml"), "--out", str(out)]
    )
    assert result.exit_code == 0
    assert f"camt.053: 5 rows written to {out}" in result.output
    assert "its closing balance agrees" in result.output
    assert "1 not_booked" in result.output
    for value in ("Ada", "DE02120300000000202051", "99.00", "1002.40"):
        assert value not in result.output


def test_the_command_ends_with_1_for_a_fault_and_shows_no_value(tmp_path: Path) -> None:
    source = changed("statement.camt053.xml", tmp_path, ("12.5<", "12.555<"))
    out = tmp_path / "rows.csv"
    result = CliRunner().invoke(app, ["convert", str(source), "--out", str(out), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["refused"] == {"amount": 1, "not_booked": 1}
    assert "12.555" not in result.output


def test_rejects_of_the_time_before_go_away(tmp_path: Path) -> None:
    out, rejects = tmp_path / "rows.csv", tmp_path / "rejects.csv"
    convert([changed("statement.ofx", tmp_path, ("-12.50", "x"))], out, rejects=rejects)
    assert rejects.exists()
    convert([HERE / "statement.ofx"], out, rejects=rejects)
    assert not rejects.exists()


def test_a_file_is_not_written_over_itself(tmp_path: Path) -> None:
    source = tmp_path / "payments.jsonl"
    shutil.copy(HERE / "payments.iso8583.jsonl", source)
    with pytest.raises(ConfigError, match="is the file itself"):
        convert([source], source, last_day=LAST_DAY)


def test_statements_that_overlap_give_each_booking_once(tmp_path: Path) -> None:
    more = (
        '<Ntry><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        "<BookgDt><Dt>2026-01-02</Dt></BookgDt></Ntry></Stmt>"
    )
    grown = changed("statement.camt053.xml", tmp_path, ("</Stmt>", more))
    out = tmp_path / "rows.csv"
    done = convert([HERE / "statement.camt053.xml", grown, HERE / "statement.ofx"], out)
    assert (done.rows, dict(done.formats)) == (8, {"camt.053": 2, "ofx": 1})
    assert done.refused["repeat"] == 5
    assert done.first_refused[0].place.startswith("statement.camt053.xml: statement 1, entry 4")


def test_equal_bookings_of_two_numbered_statements_are_two(tmp_path: Path) -> None:
    text = ":20:A\n:25:77\n:28C:{}\n:60F:C260101EUR{},00\n:61:260102C1,00NMSCNONREF\n"
    text += ":62F:C260102EUR{},00\n-\n"
    both = written(tmp_path, "both.sta", text.format(1, 0, 1) + text.format(2, 1, 2))
    assert convert([both], tmp_path / "rows.csv").rows == 2
    again = written(tmp_path, "again.sta", text.format(1, 0, 1))
    done = convert([both, again], tmp_path / "rows.csv")
    assert (done.rows, dict(done.refused)) == (2, {"repeat": 1})
