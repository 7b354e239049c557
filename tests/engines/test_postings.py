"""Arrays in temporary files: as large as asked for, with room on the disk that is taken beforehand."""

import os

import numpy as np
import pytest

from novelty_dask.engines import postings


@pytest.mark.parametrize("has_call", [True, False])
def test_room_is_taken_also_where_the_system_has_no_call_for_it(
    monkeypatch: pytest.MonkeyPatch, has_call: bool
) -> None:
    if not has_call:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    size = 3 * postings.ZERO_BYTES // 8 + 1
    array = postings.map_temporary(size, np.int64)
    assert array.shape == (size,)
    assert not array.any()
    array[-1] = 7
    assert array[-1] == 7


def test_an_array_of_nothing_has_no_elements() -> None:
    assert postings.map_temporary(0, np.int32).shape == (0,)
