"""The table of cells through each kind of file: the stream and training see the same, or neither.

A cell means what it means alone, whatever stands beside it.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tests.files.cells import TEXTS, TYPED, Text, Typed
from tests.files.reading import as_csv, as_parquet, expected, outcomes, profile_of

BAD = "~ no cell of any type ~ of more than forty signs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: f"{case.field} {case.cell}")
def test_a_text_means_the_same_in_every_file_and_beside_every_neighbour(
    case: Text, folder: Path
) -> None:
    profile = profile_of(folder, case.field)
    wanted = expected(profile, case.value)
    for cells in ([case.cell], [case.cell, BAD], [case.cell, "", "7", case.cell]):
        assert outcomes(profile, as_csv(folder / "a.csv", cells))[0] == wanted
        assert outcomes(profile, as_parquet(folder / "a.parquet", pa.array(cells)))[0] == wanted


@pytest.mark.parametrize("case", TYPED, ids=lambda case: f"{case.field} {case.cell.type}")
def test_a_typed_cell_means_the_same_beside_every_neighbour(case: Typed, folder: Path) -> None:
    profile = profile_of(folder, case.field)
    wanted = expected(profile, case.value)
    nothing = pa.nulls(1, case.cell.type)
    for cells in (
        case.cell,
        pa.concat_arrays([case.cell, nothing]),
        pa.concat_arrays([case.cell, nothing, case.cell]),
    ):
        assert outcomes(profile, as_parquet(folder / "a.parquet", cells))[0] == wanted
