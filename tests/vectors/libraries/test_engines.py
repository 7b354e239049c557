"""Engines of libraries: they propose, and what is returned is decided exactly, with a recall."""

from dataclasses import dataclass
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import scipy.sparse as sp

import novelty_dask
from novelty_dask.engines.dense import Metric
from novelty_dask.errors import BudgetError, InputError, SettingsError
from novelty_dask.vectors.libraries.choose import LIBRARIES, choose_engine
from novelty_dask.vectors.libraries.proposing import CandidateEngine, LibraryEngine, thread_count

EXACT = {"faiss-flat", "sklearn-brute", "sklearn-kd-tree", "sklearn-ball-tree", "torch"}
SPARSE = {"sparse_dot_topn", "sp_matmul_rs"}


def installed(names: set[str]) -> list[Any]:
    """Return engines as parameters; those whose library is missing are skipped."""
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                not find_spec(LIBRARIES[name].module.partition(".")[0]), reason=f"needs {name}"
            ),
        )
        for name in sorted(names)
    ]


def make_rows(n_rows: int = 300) -> Any:
    """Return rows away from zero, some of them without a direction."""
    X = np.random.default_rng(1).normal(size=(n_rows, 8)) + 0.5
    X[::50] = 0
    return X


@dataclass(frozen=True)
class Backwards(LibraryEngine):
    """An engine of somebody else's: all rows, the last ones first, in blocks of its own form."""

    module = "json"
    takes_sparse = False
    step: int = 1

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        return 0

    def prepare(self, X: Any, metric: Metric, n_candidates: int) -> Any:
        assert X.dtype == np.float32
        assert X.flags.c_contiguous
        return len(X)

    def search(self, index: Any, X: Any, part: slice, n_candidates: int) -> Any:
        own = X[part].astype(float)
        distances = ((own[:, None] - X[None].astype(float)) ** 2).sum(axis=2)
        return np.argsort(distances, axis=1)[:, :n_candidates][:, :: -self.step]


@pytest.mark.filterwarnings("ignore:Rows of zeros", "ignore::numba.NumbaWarning")
@pytest.mark.parametrize("name", installed({*LIBRARIES} - SPARSE))
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "inner_product"])
def test_libraries_find_what_an_exact_search_finds(name: str, metric: Metric) -> None:
    X = make_rows()
    if metric not in LIBRARIES[name].metrics:
        with pytest.raises(SettingsError, match=f"engine='{name}' finds by .*, and not by '{metric}'; use"):
            novelty_dask.neighbors(X, engine=name, metric=metric)
        return
    if metric == "euclidean":
        X += 1_000
    found = novelty_dask.neighbors(X, engine=name, metric=metric, block_rows=130)
    exact = novelty_dask.neighbors(X, metric=metric)
    assert found.recall
    if name in EXACT:
        assert found.recall.share == 1
        assert [*found][1].tobytes() == [*exact][1].tobytes()
    assert found.recall.share > 0.9
    assert not (found.ids == np.arange(300)[:, None]).any()


@pytest.mark.parametrize("name", installed(SPARSE))
def test_sparse_libraries_find_what_an_exact_search_finds(name: str) -> None:
    X: Any = sp.random(300, 60, density=0.05, format="csr", random_state=2)
    found, exact = (novelty_dask.neighbors(X, engine=engine, block_rows=130) for engine in (name, "exact"))
    np.testing.assert_allclose(found.similarities, exact.similarities, atol=1e-6)
    assert found.recall
    assert found.recall.share == 1
    with pytest.raises(InputError, match="has a negative value"):
        novelty_dask.neighbors(-X, engine=name)
    with pytest.raises(InputError, match=f"X is dense, and engine='{name}' takes sparse rows; use"):
        novelty_dask.neighbors(X.toarray() + 1, engine=name)


@pytest.mark.parametrize("name", installed({*LIBRARIES} - SPARSE))
def test_a_row_among_its_equals_is_left_out_by_its_number(name: str) -> None:
    X = np.repeat(np.random.default_rng(3).normal(size=(4, 6)), 20, axis=0)
    found = novelty_dask.neighbors(X, n_neighbors=4, engine=name, metric="euclidean")
    assert not (found.ids == np.arange(80)[:, None]).any()
    assert [len({*ids}) for ids in found.ids.tolist()] == [4] * 80
    few = novelty_dask.neighbors(X[:3], n_neighbors=5, engine=name)
    assert few.ids.tolist() == novelty_dask.neighbors(X[:3], n_neighbors=5).ids.tolist()
    assert novelty_dask.neighbors(X[:0], engine=name).ids.shape == (0, 10)


def test_an_engine_of_somebody_else_is_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    X = make_rows()[1:50]
    engine = Backwards()
    assert isinstance(engine, CandidateEngine)
    exact = novelty_dask.neighbors(X, metric="euclidean")
    found = novelty_dask.neighbors(X, metric="euclidean", engine=engine)
    monkeypatch.setitem(LIBRARIES, "backwards", Backwards)
    named = novelty_dask.neighbors(X, metric="euclidean", engine="backwards")
    for each in (found, named):
        assert each.ids.tobytes() == exact.ids.tobytes()
        assert each.distances.tobytes() == exact.distances.tobytes()
    half = {"metric": "euclidean", "engine": "backwards", "engine_options": {"step": 2}}
    worse: Any = novelty_dask.neighbors(X, **half)  # type: ignore[arg-type]
    assert worse.recall.share < 0.9
    with pytest.raises(SettingsError, match=r"below min_recall=0\.99; pass other engine_options, or use"):
        novelty_dask.neighbors(X, **half, min_recall=0.99)  # type: ignore[arg-type]


def test_rows_with_nan_reach_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    X = make_rows()
    X[7, 2] = np.nan
    monkeypatch.setattr(Backwards, "prepare", lambda *_: pytest.fail("It was asked."))
    with pytest.raises(InputError, match="Row 7 of X has NaN"):
        novelty_dask.neighbors(X, engine=Backwards())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"engine": "faiss"}, "There is no engine 'faiss'; pass one of 'exact', 'approximate', 'annoy', "),
        ({"engine": [1]}, r"There is no engine \[1\]; pass one of"),
        ({"engine_options": {"nprobe": 2}}, "engine='exact' has no option 'nprobe'; its options are: none"),
        ({"engine": Backwards(), "engine_options": {"step": 2}}, "The engine Backwards has no option 'step'"),
        (
            {"engine": "sklearn-kd-tree", "engine_options": {"leaves": 2}},
            "engine='sklearn-kd-tree' has no option 'leaves'; its options are: 'leaf_size'",
        ),
        (
            {"engine": "sklearn-kd-tree", "engine_options": {"leaf_size": 0}},
            "engine_options.'leaf_size'. is 0; pass an integer from 1 on",
        ),
        ({"engine": Backwards(step=0)}, "The engine Backwards failed: slice step cannot be zero; pass other"),
    ],
)
def test_impossible_choices_are_refused(options: Any, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        novelty_dask.neighbors(make_rows(20)[1:], n_neighbors=3, **options)


def test_what_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backwards, "module", "no_such.part")
    monkeypatch.setitem(LIBRARIES, "backwards", Backwards)
    with pytest.raises(SettingsError, match=r"no_such can't be imported; pip install 'novelty-dask\[no_such"):
        choose_engine("backwards")


def test_what_does_not_fit_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=200_000))
    monkeypatch.setattr(Backwards, "index_bytes", lambda *_: 195_000)
    X = make_rows(200)[1:50]
    with pytest.raises(
        BudgetError, match=r"projected to need .*; use engine='exact', which holds two blocks"
    ):
        novelty_dask.neighbors(X, engine=Backwards())


def test_sparse_rows_are_refused_by_engines_of_dense_ones() -> None:
    with pytest.raises(InputError, match="X is sparse, and engine='sklearn-brute' takes dense rows; use"):
        novelty_dask.neighbors(sp.eye(30, format="csr"), engine="sklearn-brute")


@pytest.mark.parametrize(("said", "count"), [("", 1), ("3", 3), ("2,1", 2), ("all", 1), ("0", 1)])
def test_threads_are_one_or_as_many_as_openmp_may_use(
    said: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert thread_count() == count
