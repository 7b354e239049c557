"""Engines by their names, and their options."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from novelty_dask.errors import SettingsError
from novelty_dask.vectors.libraries.annoy import Annoy
from novelty_dask.vectors.libraries.faiss import FaissFlat, FaissHNSW, FaissIVF
from novelty_dask.vectors.libraries.graphs import Hnswlib, Pynndescent, Usearch, Voyager
from novelty_dask.vectors.libraries.products import SparseDotTopn, SpMatmulRs, Torch
from novelty_dask.vectors.libraries.proposing import CandidateEngine, LibraryEngine, load
from novelty_dask.vectors.libraries.scann import Scann
from novelty_dask.vectors.libraries.sklearn import SklearnBallTree, SklearnBrute, SklearnKDTree

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS = ("exact", "approximate")
"""Engines of the package itself, which have no options."""
LIBRARIES: dict[str, type[LibraryEngine]] = {
    "annoy": Annoy,
    "faiss-flat": FaissFlat,
    "faiss-hnsw": FaissHNSW,
    "faiss-ivf": FaissIVF,
    "hnswlib": Hnswlib,
    "pynndescent": Pynndescent,
    "scann": Scann,
    "sklearn-ball-tree": SklearnBallTree,
    "sklearn-brute": SklearnBrute,
    "sklearn-kd-tree": SklearnKDTree,
    "sp_matmul_rs": SpMatmulRs,
    "sparse_dot_topn": SparseDotTopn,
    "torch": Torch,
    "usearch": Usearch,
    "voyager": Voyager,
}
"""Engines of libraries: the name of what one imports, and of the method where there are several."""


def choose_engine(engine: Any, options: Mapping[str, Any] | None = None) -> Any:
    """Return the engine that a user names or has; None for one of the package itself.

    Parameters
    ----------
    engine : str or CandidateEngine
    options : mapping, optional
        Of the engine of a library.

    Raises
    ------
    SettingsError
        There is no such engine or option, or its library is not installed.
    """
    kind = LIBRARIES.get(engine) if isinstance(engine, str) else None
    if kind is None and engine not in OURS and not isinstance(engine, CandidateEngine):
        names = ", ".join(map(repr, (*OURS, *LIBRARIES)))
        message = f"There is no engine {engine!r}; pass one of {names}, or a CandidateEngine."
        raise SettingsError(message)
    known = {field.name: field.default for field in fields(kind)} if kind else {}  # type: ignore[arg-type]
    for option, value in (options or {}).items():
        if option not in known:
            named = ", ".join(map(repr, known)) or "none"
            message = f"{name_engine(engine)} has no option {option!r}; its options are: {named}."
            raise SettingsError(message)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            message = f"engine_options[{option!r}] is {value!r}; pass an integer from 1 on."
            raise SettingsError(message)
    if kind is None:
        return None if isinstance(engine, str) else engine
    load(kind.module)
    return kind(**(options or {}))


def name_engine(engine: Any) -> str:
    """Return an engine as a sentence names it."""
    return f"engine={engine!r}" if isinstance(engine, str) else f"The engine {type(engine).__name__}"
