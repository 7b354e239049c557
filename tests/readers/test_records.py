"""What rows keep of records fits where it is stored."""

import json

import pytest

from novelty_dask.kernels.text.lines import KEPT_CHARACTERS
from novelty_dask.planning.arrays import KEPT_BYTES
from novelty_dask.readers.records import write_kept


@pytest.mark.parametrize("character", ["a", "é", "\N{GRINNING FACE}", '"', "\\", "\0", "\udce9"], ids=ascii)
def test_fields_of_any_length_and_content_are_bounded(character: str) -> None:
    fields = [character * 5_000, None, character]
    written = write_kept(fields)
    assert len(written.encode()) <= len(fields) * KEPT_BYTES + 2
    kept = json.loads(written)
    assert len(kept[0]) <= KEPT_CHARACTERS
    assert kept[1] is None
