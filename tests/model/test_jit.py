from __future__ import annotations

import os
from pathlib import Path

from model import jit
from model.jit import fresh, sources_digest


def test_loops_compiled_from_other_sources_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("")
    before = sources_digest(tmp_path)
    (tmp_path / "a.py").write_text("")
    (tmp_path / "b.py").write_text("1")
    moved = sources_digest(tmp_path)
    (tmp_path / "b.py").write_text("2")
    assert len({before, moved, sources_digest(tmp_path)}) == 3
    assert Path(jit.numba.config.CACHE_DIR).name == sources_digest(Path(jit.__file__).parent)


def test_of_old_contents_the_newest_are_kept(tmp_path: Path) -> None:
    names = [f"{number:016x}" for number in range(6)]
    for number, name in enumerate([*names, "of_another_program"]):
        (tmp_path / name / "loops").mkdir(parents=True)
        os.utime(tmp_path / name, (number, number))
    assert fresh(tmp_path, names[0]) == tmp_path / names[0]
    assert len(list(tmp_path.iterdir())) == 7, "nothing is removed for a content that is known"
    assert fresh(tmp_path, "f" * 16) == tmp_path / ("f" * 16)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names[2:], "of_another_program"]
