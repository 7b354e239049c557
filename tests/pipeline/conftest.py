"""A complete run of many small tasks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from novelty_dask.planning import tiles
from tests.support.runs import make_complete


@pytest.fixture(scope="module", autouse=True)
def many_tiles() -> Iterator[None]:
    """5 blocks, 25 tiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "LARGEST_TILE_PAIRS", 1)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_complete(tmp_path_factory.mktemp("made"))


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A complete run to be damaged."""
    return shutil.copytree(made / "run.zarr", tmp_path / "run.zarr")
