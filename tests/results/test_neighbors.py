"""Neighbors of a run in the forms that other programs take."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.cluster import DBSCAN

import novelty_dask
from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.results.neighbors import NeighborArrays
from tests.support.arrays import listed
from tests.support.files import write_lines

# Some share nothing with others, so that they have no neighbors, and others few.
URLS = [*novelty_dask.datasets.make_urls(300, seed=3)[0], "ab", "cd", "qqqqqqqqq", "qqqqqqqqqz"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("run")
    source = write_lines(folder / "urls.txt", URLS)
    options: dict[str, Any] = {"features": "ngrams", "n_neighbors": 5, "block_rows": 100, "workers": 0}
    return novelty_dask.score(source, folder / "run.zarr", **options)


def expected_edges(run: Any, *, include_self: bool) -> list[tuple[int, int, int, float]]:
    """Return row, neighbor, rank and similarity of all edges."""
    edges = []
    ids, similarities = run.neighbors.ids[:].tolist(), run.neighbors.similarities[:].tolist()
    for row, (others, weights) in enumerate(zip(ids, similarities, strict=True)):
        edges += [(row, row, 0, 1.0)] if include_self else []
        found = enumerate(zip(others, weights, strict=True), start=1)
        edges += [(row, other, rank, weight) for rank, (other, weight) in found if other >= 0]
    return edges


@pytest.mark.parametrize("include_self", [False, True])
def test_edges_are_those_of_the_arrays(run: Any, include_self: bool) -> None:
    expected = expected_edges(run, include_self=include_self)
    assert len(expected) < len(run) * (5 + include_self)
    reader = run.neighbors.to_reader(include_self=include_self)
    assert isinstance(reader, pa.RecordBatchReader)
    batches = [*reader]
    # One for each chunk of rows, so that memory does not grow with their number.
    assert len(batches) == -(-len(run) // 100)
    edges = [tuple(edge.values()) for batch in batches for edge in batch.to_pylist()]
    assert edges == expected


def test_a_file_of_edges_is_whole_and_replaces_nothing(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "edges.parquet"
    run.neighbors.to_parquet(out)
    table = pq.read_table(out)
    assert table.schema.names == ["row", "neighbor", "rank", "similarity"]
    assert [tuple(edge.values()) for edge in table.to_pylist()] == expected_edges(run, include_self=False)
    before = out.read_bytes()
    with pytest.raises(StoreError, match="exists"):
        run.neighbors.to_parquet(out, include_self=True)
    assert out.read_bytes() == before
    run.neighbors.to_parquet(out, include_self=True, overwrite=True)
    assert pq.read_metadata(out).num_rows == len(expected_edges(run, include_self=True))
    for path in (Path(run.url) / "edges.parquet", run.manifest.sources[0].path):
        with pytest.raises(StoreError):
            run.neighbors.to_parquet(path, overwrite=True)
    assert listed(run.urls[:]) == listed(novelty_dask.open(run.url).urls[:])


@pytest.mark.parametrize("include_self", [False, True])
def test_a_sparse_matrix_has_the_entries_in_their_order(run: Any, include_self: bool) -> None:
    expected = expected_edges(run, include_self=include_self)
    graphs = {
        values: run.neighbors.to_csr(values, include_self=include_self)
        for values in ("similarity", "distance", "connectivity")
    }
    for graph in graphs.values():
        assert graph.shape == (len(run), len(run))
        rows = np.repeat(np.arange(len(run)), np.diff(graph.indptr))
        assert [*zip(rows.tolist(), graph.indices.tolist(), strict=True)] == [edge[:2] for edge in expected]
    similarities = [edge[3] for edge in expected]
    assert graphs["similarity"].data.tolist() == similarities
    assert graphs["distance"].data.tolist() == [1 - value for value in similarities]
    assert set(graphs["connectivity"].data.tolist()) == {1}
    with pytest.raises(SettingsError, match="no values 'weight'; pass similarity, distance or connectivity"):
        run.neighbors.to_csr("weight")


def test_scikit_learn_clusters_the_graph(run: Any) -> None:
    graph = run.neighbors.to_csr("distance", include_self=True)
    with warnings.catch_warnings():
        # Rows are in the order of their distances already.
        warnings.simplefilter("ignore")
        labels = DBSCAN(metric="precomputed", eps=0.2, min_samples=2).fit_predict(graph)
    assert labels.max() > 1


def test_umap_gets_each_row_first_and_as_many_neighbors_for_all(run: Any) -> None:
    indices, distances = run.neighbors.to_umap()
    assert indices.shape == distances.shape == (len(run), 6)
    assert indices[:, 0].tolist() == [*range(len(run))]
    ids = run.neighbors.ids[:]
    assert np.array_equal(indices[:, 1:][ids >= 0], ids[ids >= 0])
    assert set(distances[:, 1:][ids < 0].tolist()) == {1}
    assert all(len({*row}) == 6 for row in indices.tolist())
    assert 0 <= indices.min() <= indices.max() < len(run)
    umap = pytest.importorskip("umap")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = umap.UMAP(precomputed_knn=(indices, distances), n_neighbors=6, random_state=0)
        assert model.fit_transform(np.zeros((len(run), 2))).shape == (len(run), 2)
        # With too few, it would drop them, and compute its own.
        assert np.array_equal(model.knn_indices, indices)


def test_few_rows_have_few_neighbors() -> None:
    ids, similarities = np.array([[1, -1, -1], [0, -1, -1]]), np.array([[0.5, 0, 0]] * 2, np.float32)
    neighbors = NeighborArrays(ids, similarities)
    assert neighbors.to_umap()[0].tolist() == [[0, 1], [1, 0]]
    assert neighbors.to_csr().toarray().tolist() == [[0, 0.5], [0.5, 0]]
    assert [array is other for array, other in zip(neighbors, (ids, similarities), strict=True)] == [
        True,
        True,
    ]


def test_scanpy_takes_the_neighbors_for_those_that_it_would_find(run: Any) -> None:
    transformer = run.neighbors.to_scanpy()
    graph = transformer.fit_transform(np.zeros((len(run), 2)))
    assert set(np.diff(graph.indptr)) == {6}
    with pytest.raises(SettingsError, match="neighbors of 299 rows, and X has 7; pass the same"):
        transformer.fit_transform(np.zeros((7, 2)))
    scanpy, anndata = pytest.importorskip("scanpy"), pytest.importorskip("anndata")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = anndata.AnnData(np.zeros((len(run), 2), np.float32))
        scanpy.pp.neighbors(data, n_neighbors=6, transformer=transformer, use_rep="X")
    assert data.obsp["connectivities"].shape == (len(run), len(run))
    assert np.array_equal(data.obsp["distances"].toarray(), graph.toarray())


def test_networkx_gets_urls_and_similarities(run: Any) -> None:
    pytest.importorskip("networkx")
    graph = run.neighbors.to_networkx()
    assert [graph.nodes[row]["url"] for row in range(len(run))] == listed(run.urls[:])
    edges = [(row, to, data["rank"], data["similarity"]) for row, to, data in graph.edges(data=True)]
    assert sorted(edges) == sorted(expected_edges(run, include_self=False))


def test_polars_reads_what_a_query_needs(run: Any) -> None:
    polars = pytest.importorskip("polars")
    frame = run.neighbors.to_polars()
    expected = expected_edges(run, include_self=False)
    assert frame.collect().rows() == expected
    assert frame.head(150).collect().rows() == expected[:150]
    assert frame.select("similarity", "row").head(3).collect().rows() == [
        (edge[3], edge[0]) for edge in expected[:3]
    ]
    near = frame.filter(polars.col("similarity") > 0.9).select("neighbor").collect()
    assert near["neighbor"].to_list() == [edge[1] for edge in expected if edge[3] > 0.9]
    both = frame.filter(polars.col("rank") == 1).head(4).collect().rows()
    assert both == [edge for edge in expected if edge[2] == 1][:4]
    counted = frame.group_by("row").len().collect()
    assert counted["len"].sum() == len(expected)


def test_neighbors_that_are_no_rows_are_refused() -> None:
    neighbors = NeighborArrays(np.array([[5]]), np.array([[0.5]], np.float32))
    with pytest.raises(StoreError, match="name rows that it does not have"):
        neighbors.to_csr()


@pytest.mark.long
@pytest.mark.process
def test_edges_are_streamed_in_memory_that_does_not_grow(tmp_path: Path) -> None:
    # Two million rows of 20 neighbors are 480 MB, and more as edges.
    code = (
        "import numpy as np, resource, zarr\n"
        "from novelty_dask.results.neighbors import NeighborArrays\n"
        "options = dict(shape=(2_000_000, 20), chunks=(65_536, 20), store=zarr.storage.MemoryStore())\n"
        "ids = zarr.create_array(dtype='i8', fill_value=1, **options)\n"
        "options['store'] = zarr.storage.MemoryStore()\n"
        "similarities = zarr.create_array(dtype='f4', fill_value=0.5, **options)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"NeighborArrays(ids, similarities).to_parquet({str(tmp_path / 'edges.parquet')!r})\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 400
    assert pq.read_metadata(tmp_path / "edges.parquet").num_rows == 40_000_000
