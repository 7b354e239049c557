"""A run of vectors that was opened, and what opens a run, whatever it compares."""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, NoReturn, Unpack

from novelty_dask.errors import SettingsError
from novelty_dask.results.neighbors import NeighborArrays
from novelty_dask.results.vectors import VectorResults
from novelty_dask.run import Run
from novelty_dask.storage.runs import StoredRun, open_complete, require_complete

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from novelty_dask.objects.protocol import Objects
    from novelty_dask.results.selection import Choice


def open_run(path: str | PathLike[str] | StoredRun) -> Run:
    """Open a complete run, of lines or of vectors.

    Parameters
    ----------
    path : str or path
        Path or URL of the run.

    Raises
    ------
    StoreError
        There is no run, or it is not complete.
    """
    stored = path if isinstance(path, StoredRun) else open_complete(fspath(path))
    return VectorRun(stored) if stored.manifest.identity.matrix else Run(stored)


def _reopen(url: str, _objects: Objects) -> Run:
    """Open a run anew, whose objects were kept for it."""
    return open_run(url)


class VectorRun(Run):
    """A complete run of vectors; nothing is read before it is asked for.

    `top`, `to_dataframe` and `neighbors` are those of `Run`, with numbers of rows in place of URLs.

    Parameters
    ----------
    run : str, path or StoredRun
        Path or URL of the run.

    Attributes
    ----------
    url : str
        Path or URL of the run.
    novelty, novelty_nearest, novelty_kth : zarr.Array of float64, shape (n_rows,)
        Mean distance of the neighbors, that of the nearest, of the last; of cosines, a distance is 1 minus
        the cosine.  NaN for rows of zeros and cosines, and for inner products.
    lof : zarr.Array of float64, shape (n_rows,)
        Local outlier factor: how much denser it is around the neighbors than around the row.
    neighbors : NeighborArrays
        Nearest neighbors of each row, with the bytes that `novelty_dask.neighbors` returns.
    metric : {"cosine", "euclidean", "inner_product"}
        By which they are neighbors.
    labels : zarr.Array of str or int64, shape (n_rows,), or None
        Labels of the rows, if they have any.

    Raises
    ------
    StoreError
        There is no run, or it is not complete.
    """

    def __init__(self, run: str | PathLike[str] | StoredRun) -> None:
        stored = require_complete(run) if isinstance(run, StoredRun) else open_complete(fspath(run))
        self.url, self._objects, self.manifest = stored.url, stored.objects, stored.manifest
        self._results = VectorResults(stored)
        arrays, matrix = self._results.arrays, stored.manifest.identity.matrix
        assert matrix
        self.metric = matrix.metric
        self.novelty, self.lof = arrays["novelty"], arrays["lof"]
        self.novelty_nearest, self.novelty_kth = arrays["novelty_nearest"], arrays["novelty_kth"]
        self.labels = arrays["rows/label"] if matrix.label_type else None
        self.reference = self.known = None
        values, sources = (
            arrays[f"neighbors/{matrix.value_name}"],
            [each.path for each in self.manifest.sources],
        )
        self.neighbors = NeighborArrays(
            arrays["neighbors/ids"],
            values,
            metric=matrix.metric,
            sources=sources,
            names=None if self.labels is None else ("label", self.labels),
        )

    @property
    def has_novelty(self) -> bool:
        """True unless rows were compared by inner product, which is no distance."""
        return bool(self._results.views)

    def top_table(self, n: int, *, by: str, lists: bool, redact: bool, **choice: Unpack[Choice]) -> pa.Table:
        """Return the rows of `top` as a table of Arrow."""
        self._results.check_options(by, choice)
        return super().top_table(n, by=by, lists=lists, redact=redact, **choice)

    def summary_table(self, group: str, n: int | None, *, by: str, above: float) -> NoReturn:
        """Refuse sites and templates, which vectors lack."""
        self._refuse(f"{group}s")

    def find_marks(self, rows: pd.DataFrame) -> NoReturn:
        """Refuse marks in URLs."""
        self._refuse("find_marks")

    def explain(self, url: str, *, by: str = "novelty") -> NoReturn:
        """Refuse to explain what has no features with names."""
        self._refuse("explain")

    def report(self, out: object = None, **options: Any) -> NoReturn:
        """Refuse a page, which shows URLs."""
        self._refuse("report")

    def stream_rejected(self, n: int | None = None) -> NoReturn:
        """Refuse to list lines."""
        self._refuse("rejected")

    def _refuse(self, name: str) -> NoReturn:
        """Refuse what is of lines of text.

        Raises
        ------
        SettingsError
            Always.
        """
        message = (
            f"{name} is for runs of lines, and {self.url!r} is of vectors; it has top, export and neighbors."
        )
        raise SettingsError(message)

    def __reduce__(self) -> tuple[object, tuple[str, Objects]]:
        """Return what opens it again, as pickle does when it travels to a worker."""
        return _reopen, (self.url, self._objects)

    def __getattr__(self, name: str) -> Any:
        """Refuse what only rows of text have."""
        if name in ("urls", "counts", "positions", "spellings", "uncovered"):
            message = f"A run of vectors has no {name}."
            raise AttributeError(message)
        raise AttributeError(name)
