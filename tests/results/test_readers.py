"""A run in the eyes of other libraries: Zarr and, where it is installed, xarray."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr

import novelty_dask
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.run import Run
from tests.support.arrays import listed


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("readers")
    lines = [*novelty_dask.datasets.make_urls(200, seed=5)[0], "", "a\0b"]
    (folder / "urls.txt").write_text("\n".join(lines), encoding="utf-8")
    made = novelty_dask.score(folder / "urls.txt", folder / "run.zarr", block_rows=64, workers=0)
    # As strict as a stranger can be.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield made


def test_zarr_lists_a_complete_run_without_a_warning(run: Run) -> None:
    group = zarr.open_group(run.url, mode="r")
    assert {name for name, _ in group.members()} == {
        "columns",
        "density",
        "lof",
        "neighbors",
        "novelty",
        "novelty_kth",
        "novelty_nearest",
        "partial_frequency",
        "rejected",
        "rows",
        "uncovered",
        "weights",
    }
    arrays = {
        name: member for name, member in group.members(max_depth=None) if isinstance(member, zarr.Array)
    }
    lengths: dict[str, int] = {}
    for name, array in arrays.items():
        names = array.metadata.to_dict()["dimension_names"]
        assert isinstance(names, list | tuple), name
        assert len(names) == array.ndim
        for axis, length in zip(names, array.shape, strict=True):
            assert lengths.setdefault(str(axis), length) == length, name


def test_the_weighted_matrix_is_as_wide_as_its_widest_block(run: Run) -> None:
    group = zarr.open_group(run.url, mode="r")
    nonzeros = np.asarray(group["weights/indptr"][:])[:, -1]  # type: ignore[index]
    assert len(nonzeros) == 4
    for name in ("weights/indices", "weights/data"):
        array = group[name]
        assert isinstance(array, zarr.Array)
        assert array.shape == (4, max(nonzeros))
        assert np.asarray(array[0]).shape == (max(nonzeros),)


def test_xarray_opens_a_run(run: Run) -> None:
    xr = pytest.importorskip("xarray", reason="xarray is not installed")
    with xr.open_datatree(run.url, engine="zarr") as tree:
        assert set(tree.children) == {"columns", "neighbors", "rejected", "rows", "weights"}
        assert tree["rows"].ds.sizes == {"row": len(run)}
        assert tree["neighbors"].ds.sizes == {"row": len(run), "neighbor": 10}
        for name in VIEWS:
            np.testing.assert_array_equal(tree[name].values, getattr(run, name)[:])
        assert tree["rows/url"].values.tolist() == listed(run.urls[:])
    with xr.open_zarr(run.url) as dataset:
        assert dataset.sizes["row"] == len(run)
    with xr.open_zarr(Path(run.url), group="neighbors") as neighbors:
        np.testing.assert_array_equal(neighbors["ids"].values, run.neighbors.ids[:])
