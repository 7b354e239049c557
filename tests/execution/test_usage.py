import sys
from pathlib import Path

import numpy as np
import pytest

from novelty_dask.execution import usage
from novelty_dask.execution.usage import Usage, forget_peak


def test_cpu_seconds_and_peak_memory_are_measured() -> None:
    before = usage.usage()
    held = np.ones(30 * 2**20)
    after = usage.usage()
    assert held.sum() == 30 * 2**20
    assert before.cpu_seconds < after.cpu_seconds < before.cpu_seconds + 60
    assert after.peak_bytes >= max(before.peak_bytes, 240 * 2**20)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux measures anew")
def test_a_peak_is_forgotten() -> None:
    held = np.ones(60 * 2**20)
    del held
    before = forget_peak().peak_bytes
    assert usage.usage().peak_bytes < before - 400 * 2**20


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_where_the_system_forbids_it_the_peak_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(usage, "_CLEAR", tmp_path / name)
    assert isinstance(forget_peak(), Usage)


def test_where_the_system_says_nothing_the_standard_library_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = usage.usage().peak_bytes
    monkeypatch.setattr(usage, "_STATUS", tmp_path / "missing")
    assert own / 2 < usage.usage().peak_bytes < own * 8
