"""Exact novelty of every URL of a corpus too big for memory, with its nearest neighbors as evidence.

>>> import novelty_dask
>>> run = novelty_dask.score("urls.txt", out="run.zarr")  # doctest: +SKIP
>>> run.top(3)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
"""As in `typing`, which is not imported: until `__main__` has begun, Ctrl-C ends in a traceback."""

if TYPE_CHECKING:
    from typing import Any

    from novelty_dask import datasets, doctor, errors, estimators
    from novelty_dask.api import plan, resume, score
    from novelty_dask.estimators import ExactNeighborsTransformer, NoveltyDetector, UrlVectorizer
    from novelty_dask.grow import add
    from novelty_dask.jobs.job import Job
    from novelty_dask.jobs.submit import submit, submit_vectors
    from novelty_dask.kernels.cosine import cosine_similarity
    from novelty_dask.pipeline.maintenance import clean, status, verify
    from novelty_dask.results.export import export
    from novelty_dask.run import Run
    from novelty_dask.settings import Settings
    from novelty_dask.similar.groups import groups, groups_and_members
    from novelty_dask.similar.pairs import pairs
    from novelty_dask.vector_run import VectorRun
    from novelty_dask.vector_run import open_run as open  # noqa: A004 - as zarr.open and gzip.open
    from novelty_dask.vector_runs import plan_vectors, score_vectors
    from novelty_dask.vectors.neighbors import measure_recall, neighbors

__all__ = [
    "ExactNeighborsTransformer",
    "Job",
    "NoveltyDetector",
    "Run",
    "Settings",
    "UrlVectorizer",
    "VectorRun",
    "add",
    "clean",
    "cosine_similarity",
    "datasets",
    "doctor",
    "errors",
    "estimators",
    "export",
    "groups",
    "groups_and_members",
    "measure_recall",
    "neighbors",
    "open",
    "pairs",
    "plan",
    "plan_vectors",
    "resume",
    "score",
    "score_vectors",
    "status",
    "submit",
    "submit_vectors",
    "verify",
]

_LAZY = {
    "ExactNeighborsTransformer": "novelty_dask.estimators:ExactNeighborsTransformer",
    "Job": "novelty_dask.jobs.job:Job",
    "NoveltyDetector": "novelty_dask.estimators:NoveltyDetector",
    "Run": "novelty_dask.run:Run",
    "Settings": "novelty_dask.settings:Settings",
    "UrlVectorizer": "novelty_dask.estimators:UrlVectorizer",
    "VectorRun": "novelty_dask.vector_run:VectorRun",
    "add": "novelty_dask.grow:add",
    "clean": "novelty_dask.pipeline.maintenance:clean",
    "cosine_similarity": "novelty_dask.kernels.cosine:cosine_similarity",
    "datasets": "novelty_dask.datasets:",
    "doctor": "novelty_dask.doctor:",
    "errors": "novelty_dask.errors:",
    "estimators": "novelty_dask.estimators:",
    "export": "novelty_dask.results.export:export",
    "groups": "novelty_dask.similar.groups:groups",
    "groups_and_members": "novelty_dask.similar.groups:groups_and_members",
    "measure_recall": "novelty_dask.vectors.neighbors:measure_recall",
    "neighbors": "novelty_dask.vectors.neighbors:neighbors",
    "open": "novelty_dask.vector_run:open_run",
    "pairs": "novelty_dask.similar.pairs:pairs",
    "plan": "novelty_dask.api:plan",
    "plan_vectors": "novelty_dask.vector_runs:plan_vectors",
    "resume": "novelty_dask.api:resume",
    "score": "novelty_dask.api:score",
    "score_vectors": "novelty_dask.vector_runs:score_vectors",
    "status": "novelty_dask.pipeline.maintenance:status",
    "submit": "novelty_dask.jobs.submit:submit",
    "submit_vectors": "novelty_dask.jobs.submit:submit_vectors",
    "verify": "novelty_dask.pipeline.maintenance:verify",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the command line answers at once."""
    if name == "__version__":
        return import_module("importlib.metadata").version("novelty-dask")
    if name not in _LAZY:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module, _, attribute = _LAZY[name].partition(":")
    home = import_module(module)
    return getattr(home, attribute) if attribute else home


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
