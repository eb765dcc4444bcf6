from __future__ import annotations

from pathlib import Path

from model import jit
from model.jit import sources_digest


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
