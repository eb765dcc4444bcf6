"""What may be uploaded, and what is said of the rest."""

from __future__ import annotations

import errno
import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from playwright.sync_api import Page, expect
from werkzeug.datastructures import FileStorage

from dashboard.batch.jobs import Jobs
from tests.access.web import applications
from tests.axe import violations
from tests.dashboard.champion import home
from tests.dashboard.conftest import Site
from tests.dashboard.visitor import Visitor

HEAD = "user_id,amount,merchant,timestamp,merchant_type,device_type,location_match\n"
ROW = "u-1,12.5,Corner Shop,2026-01-01T12:00:00Z,grocery,pos,true\n"


def parquet(**columns: object) -> bytes:
    file = io.BytesIO()
    pa_parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def too_many_rows() -> bytes:
    """6 million rows in some kB, as a bomb has them."""
    values = pa.DictionaryArray.from_arrays(np.zeros(6_000_000, np.int8), ["x"])
    return parquet(user_id=values)


HOSTILE: dict[str, tuple[str, bytes, int, str]] = {
    "nothing": ("", b"", 400, "Choose a file"),
    "program": ("a.exe", b"MZ", 400, "CSV, Parquet or JSON lines"),
    "packed": ("a.csv.gz", b"\x1f\x8b", 400, "CSV, Parquet or JSON lines"),
    "empty": ("empty.csv", b"", 422, "empty"),
    "head only": ("head.csv", HEAD.encode(), 422, "rows"),
    "binary csv": ("binary.csv", bytes(range(256)) * 40, 422, "binary"),
    "binary parquet": ("binary.parquet", bytes(range(256)) * 40, 422, "parquet"),
    "a million columns": (
        "wide.csv",
        b",".join([b"c"] * 1_000_000) + b"\n",
        422,
        "first line is longer",
    ),
    "other separator": ("other.csv", b"a;b\n1;2\n", 422, "user_id"),
    "bomb": ("bomb.parquet", too_many_rows(), 422, "at most 5,000,000"),
    "wide parquet": (
        "wide.parquet",
        parquet(**{f"c{n}": [1] for n in range(2_001)}),
        422,
        "2,001 columns",
    ),
    "path": ("../../etc/passwd.csv", b"x\n1\n", 422, "passwd.csv"),
    "nul": ("a\0b.csv", b"x\n1\n", 422, "user_id"),
    "long name": ("x" * 3_000 + ".csv", (HEAD + ROW).encode(), 400, "CSV, Parquet or JSON lines"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_file_of_transactions_is_refused(site: Site, kind: str) -> None:
    name, content, status, words = HOSTILE[kind]
    answer = Visitor(site.server).upload("/batch", name, content)
    assert answer.status == status, answer.body[-2000:]
    assert words in answer.body.decode()
    assert not list((home(site) / "batches").glob("*/upload*"))


def test_what_to_do_is_said_in_the_language_of_the_page(site: Site) -> None:
    name, content, status, words = HOSTILE["head only"]
    answer = Visitor(site.server, "es").upload("/batch", name, content)
    assert answer.status == status
    page = answer.body.decode()
    assert "vuelva a subirlo" in page
    (details,) = re.findall('<pre lang="en">(.*?)</pre>', page)
    assert words in details


def test_a_semicolon_is_found_and_told(site: Site) -> None:
    content = (HEAD + ROW).replace(",", ";").encode()
    answer = Visitor(site.server).upload("/batch", "semicolons.csv", content)
    assert answer.status == 303
    text = site.server.get(answer.headers["location"]).body.decode()
    assert "semicolons.csv" in text
    assert "the column of that name" in text


def test_a_file_that_is_too_large_is_refused(site: Site, page: Page, tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(201 << 20)
    page.goto(f"{site.url}/batch")
    page.locator("#file").set_input_files(large)
    expect(page.get_by_text("The file is larger than 200 MB")).to_be_visible()
    page.get_by_role("button", name="Upload and look").click()
    expect(page.get_by_text("The file is larger than 200 MB")).to_be_visible()
    visitor = Visitor(site.server)
    answer = visitor.upload("/try", "a.csv", b"x" * 200_000)
    assert answer.status == 413, "only this page takes files"
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert violations(page) == []


@pytest.mark.parametrize("name", ["0" * 16, "..", "%2e%2e%2f", "x" * 500, "0000000000000000%00"])
@pytest.mark.parametrize("path", ["", "/progress", "/files/results.csv", "/files/job.json"])
def test_a_job_that_there_is_not(site: Site, name: str, path: str) -> None:
    assert site.server.get(f"/batch/{name}{path}").status in (404, 308)


def test_the_api_is_away(site: Site, page: Page, tmp_path: Path) -> None:
    """Nobody listens where the API should be: the page says so, and nothing is lost."""
    path = tmp_path / "one.csv"
    path.write_text(HEAD + ROW)
    page.goto(f"{site.url}/batch")
    page.locator("#file").set_input_files(path)
    page.get_by_role("button", name="Upload and look").click()
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The sending has stopped")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="one.csv")).to_have_count(0)


def test_half_of_a_file_is_neither_kept_nor_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: FileStorage, target: Path) -> None:
        target.write_bytes((HEAD + ROW).encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    with applications(tmp_path) as (_, pages):
        client = pages.test_client()
        found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/batch").text)
        assert found
        file = io.BytesIO((HEAD + ROW * 2).encode()), "some.csv"
        fields = {"csrf_token": found[1], "file": file}
        with monkeypatch.context() as patch:
            patch.setattr(FileStorage, "save", full)
            assert client.post("/batch", data=fields).status_code == 500
        assert list((tmp_path / "batches").glob("*/*")) == []
        jobs = Jobs(tmp_path / "batches")
        job = jobs.create("some.csv", "", ".csv")  # as it is while its file still comes
        jobs.upload(job).write_text(HEAD + ROW)
        answer = client.post(f"/batch/{job.id}/start", data={"csrf_token": found[1]})
        assert answer.status_code == 409
        assert jobs.status(job) == "ready"
