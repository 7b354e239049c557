"""A run that was opened: its rows, their novelty, and the neighbors that are the evidence."""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Unpack

import pyarrow as pa

from novelty_dask.features.marks import choose_marks
from novelty_dask.results.cards import run_card
from novelty_dask.results.frames import to_dataframe
from novelty_dask.results.neighbors import NeighborArrays
from novelty_dask.results.redacted import redact_table
from novelty_dask.results.rejected import REJECTED, read_rejected
from novelty_dask.results.results import Results
from novelty_dask.results.selection import Choice, Selection
from novelty_dask.results.summaries import summarize
from novelty_dask.storage.runs import StoredRun, open_complete, require_complete

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dask.dataframe as dd
    import pandas as pd

    from novelty_dask.features.marks import Marks
    from novelty_dask.objects.protocol import Objects
    from novelty_dask.report.page import Report
    from novelty_dask.results.explain import Explainer
    from novelty_dask.results.explanations import Explanation


def _reopen(url: str, _objects: Objects) -> Run:
    """Open a run anew, whose objects were kept for it."""
    return Run(url)


class Run:
    """A complete run on disk; nothing is read before it is asked for.

    Parameters
    ----------
    run : str, path or StoredRun
        Path or URL of the run.

    Attributes
    ----------
    url : str
        Path or URL of the run.
    urls : zarr.Array of str, shape (n_rows,)
        Distinct URLs, sorted by reversed host and path.
    counts, positions : zarr.Array of int64, shape (n_rows,)
        How often each was read, and on which line first, from 0.
    spellings : zarr.Array of int64, shape (n_rows,)
        How many URLs of its normal form were read; 1 for "raw".
    novelty, novelty_nearest, novelty_kth : zarr.Array of float64, shape (n_rows,)
        1 minus the mean similarity of the neighbors, minus that of the nearest, of the last; 0 to 1, NaN
        where undefined.
    uncovered : zarr.Array of float64, shape (n_rows,)
        Share of the squared weight of each row that is in features that no neighbor has; 0 to 1.
    lof : zarr.Array of float64, shape (n_rows,)
        Local outlier factor: how much denser it is around the neighbors than around the row.
    neighbors : NeighborArrays
        Nearest neighbors of each row.
    reference : str or None
        Path or URL of the run that it was compared with, whose rows the neighbors are; None if they are its
        own.  Of several runs, all of them, with commas between.
    known : zarr.Array of bool, shape (n_rows,), or None
        True for rows that the reference has, too; None without one.

    Raises
    ------
    StoreError
        There is no run, or it is not complete.

    Notes
    -----
    Slice the arrays to read them: ``run.novelty[:100]`` reads one chunk.
    """

    def __init__(self, run: str | PathLike[str] | StoredRun) -> None:
        stored = require_complete(run) if isinstance(run, StoredRun) else open_complete(fspath(run))
        self.url = stored.url
        self._objects = stored.objects
        self.manifest = stored.manifest
        self._results = Results(stored)
        self._explainer: Explainer | None = None
        arrays = self._results.arrays
        self.urls, self.spellings = arrays["rows/url"], arrays["rows/spellings"]
        self.counts, self.positions = arrays["rows/count"], arrays["rows/position"]
        self.novelty, self.uncovered, self.lof = arrays["novelty"], arrays["uncovered"], arrays["lof"]
        self.novelty_nearest, self.novelty_kth = arrays["novelty_nearest"], arrays["novelty_kth"]
        sources = [source.path for source in stored.manifest.sources]
        reference = stored.manifest.reference
        self.reference = reference.url if reference else None
        self.known = arrays["known"] if reference else None
        self.neighbors = NeighborArrays(
            arrays["neighbors/ids"],
            arrays["neighbors/similarities"],
            names=("url", self.urls),
            sources=sources,
            n_known=reference.n_rows if reference else None,
        )

    def __fspath__(self) -> str:
        """Return its path or URL, so that a run can be passed where a path can."""
        return self.url

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._results.n_rows

    def top(
        self,
        n: int = 20,
        *,
        by: str = "novelty",
        lists: bool = False,
        redact: bool = False,
        **choice: Unpack[Choice],
    ) -> pd.DataFrame:
        """Return the most novel rows, or those that are chosen, ties by row.

        Parameters
        ----------
        n : int
            Number of rows.
        by : {"novelty", "novelty_nearest", "novelty_kth", "uncovered", "lof"}
            Column that is highest in them.
        lists : bool
            True to add the columns neighbor_urls and neighbor_similarities.
        min_novelty : float, optional
            Least value of the column `by`.
        per_site, per_template : int, optional
            Most rows of one site, which is a registered domain, and of one template.
        least : bool
            True to give the least novel rows, lowest first.
        ignore : str or path, optional
            File of hosts, pages and templates whose rows are left out, one a line.
        max_p, fdr : float, optional
            Largest p-value; false discovery rate by Benjamini and Hochberg.  Either adds the column p_value.
        calibrate : bool
            True to add that column without leaving rows out.
        redact : bool
            True to show ``…`` for secrets in URLs; `find_marks` needs rows with all that was compared.

        Returns
        -------
        pandas.DataFrame
            Columns position, url, count, spellings, novelty, nearest_url, nearest_similarity,
            novelty_nearest, novelty_kth, uncovered, lof, known (with a reference), nearest_reference and
            nearest_row (with several), source, line, and those that are kept.

        Raises
        ------
        SettingsError, InputError
            One of the arguments is impossible; the file of what to leave out can't be read.
        """
        frame: pd.DataFrame = self.top_table(n, by=by, lists=lists, redact=redact, **choice).to_pandas()
        return frame

    def top_table(self, n: int, *, by: str, lists: bool, redact: bool, **choice: Unpack[Choice]) -> pa.Table:
        """Return the rows of `top` as a table of Arrow."""
        selection = Selection(**choice)
        calibration = selection.calibration(self._results, by)
        kept = selection.rows(self._results, by, calibration)
        table = self._results.newest(
            n, by, lists=lists, least=selection.least, kept=kept, calibration=calibration
        )
        return redact_table(table) if redact else table

    def sites(self, n: int | None = None, *, by: str = "top_novelty", above: float = 0.5) -> pd.DataFrame:
        """Return the sites of all rows, which are registered domains by the public suffix list.

        Parameters
        ----------
        n : int, optional
            Number of sites; all by default.
        by : {"top_novelty", "mean_novelty", "share_above", "rows", "count", "templates"}
            Column that is highest in the first; ties are in the order of their first rows.
        above : float
            Novelty from which on rows count for share_above.

        Returns
        -------
        pandas.DataFrame
            Columns site, empty for lines without a host; rows; count, their lines; mean_novelty and
            top_novelty; share_above; templates.

        Raises
        ------
        SettingsError
            One of the arguments is impossible.
        """
        frame: pd.DataFrame = self.summary_table("site", n, by=by, above=above).to_pandas()
        return frame

    def templates(self, n: int | None = None, *, by: str = "rows", above: float = 0.5) -> pd.DataFrame:
        """Return the templates of all rows, which are pages without their numbers and random tokens.

        Parameters
        ----------
        n : int, optional
            Number of templates; all by default.
        by : {"rows", "count", "top_novelty", "mean_novelty", "share_above"}
            Column that is highest in the first; ties are in the order of their first rows.
        above : float
            Novelty from which on rows count for share_above.

        Returns
        -------
        pandas.DataFrame
            Columns template, with symbols such as {digits}; rows; count, their lines; mean_novelty and
            top_novelty; share_above; url, the first of its rows.

        Raises
        ------
        SettingsError
            One of the arguments is impossible.
        """
        frame: pd.DataFrame = self.summary_table("template", n, by=by, above=above).to_pandas()
        return frame

    def summary_table(self, group: str, n: int | None, *, by: str, above: float) -> pa.Table:
        """Return sites or templates as a table of Arrow."""
        return summarize(self._results, group, n, by=by, above=above)

    def find_marks(self, rows: pd.DataFrame) -> Iterator[Marks]:
        """Yield the parts of the URL of each row that none of its neighbors has.

        Parameters
        ----------
        rows : pandas.DataFrame
            Rows of the run with all their neighbors, as ``top(lists=True)`` returns them.

        Yields
        ------
        list of (int, int)
            Start and end of each part, in characters, in order.  None exactly where `uncovered` is 0.
        """
        find = choose_marks(self.manifest.settings)
        for url, neighbors in zip(rows.url, rows.neighbor_urls, strict=True):
            yield find(url, neighbors)

    def explain(self, url: str, *, by: str = "novelty") -> Explanation:
        """Return what makes a URL as novel as it is: its neighbors, and what each feature adds.

        Parameters
        ----------
        url : str
            One of the run, or a new one, which is compared with all its rows.
        by : {"novelty", "novelty_nearest", "novelty_kth", "uncovered", "lof"}
            Column that is explained first.

        Raises
        ------
        SettingsError, InputError, StoreError
            As their names say.
        """
        from novelty_dask.results.explain import Explainer  # noqa: PLC0415 - Numba imports slowly

        self._results.check_view(by)
        self._explainer = self._explainer or Explainer(self._results, self.manifest, self.url)
        return self._explainer.explain(url, by)

    def pairs(
        self, out: str | PathLike[str] | None = None, *, at_least: float, **keywords: Any
    ) -> pd.DataFrame | None:
        """Find all pairs of rows that are at least so similar, as `novelty_dask.pairs` does."""
        import novelty_dask  # noqa: PLC0415 - it imports this module

        return novelty_dask.pairs(self, out, at_least=at_least, **keywords)

    def groups(
        self, out: str | PathLike[str] | None = None, *, at_least: float, **keywords: Any
    ) -> pd.DataFrame | None:
        """Find the groups of rows that such pairs connect, as `novelty_dask.groups` does."""
        import novelty_dask  # noqa: PLC0415 - it imports this module

        return novelty_dask.groups(self, out, at_least=at_least, **keywords)

    def report(self, out: str | PathLike[str] | None = None, **options: Any) -> Report:
        """Return a page on the run, as `report.page.make_report` does, and write it to a file."""
        from novelty_dask.report.page import make_report  # noqa: PLC0415 - Numba imports slowly

        return make_report(self, out, **options)

    def rejected(self, n: int | None = None) -> pd.DataFrame:
        """Return the lines of the sources that were rejected, in the order of the input.

        Parameters
        ----------
        n : int, optional
            Number of lines, the first ones; all by default, in memory.

        Returns
        -------
        pandas.DataFrame
            Columns source (its path), line (from 1), reason, and sample, the first 80 bytes in ASCII.
        """
        frame: pd.DataFrame = pa.concat_tables([REJECTED.empty_table(), *self.stream_rejected(n)]).to_pandas()
        return frame

    def stream_rejected(self, n: int | None = None) -> Iterator[pa.Table]:
        """Yield the same lines as tables of Arrow, some at a time."""
        return read_rejected(self._results.arrays, self._results.places, n)

    def to_dataframe(self, *, lists: bool = False) -> dd.DataFrame:
        """Return all rows as a lazy Dask DataFrame, in sort order.

        Parameters
        ----------
        lists : bool
            True to add the columns neighbor_urls and neighbor_similarities.
        """
        return to_dataframe(self.url, self._objects, lists=lists)

    def __reduce__(self) -> tuple[object, tuple[str, Objects]]:
        """Return what opens it again, as pickle does when it travels to a worker."""
        return _reopen, (self.url, self._objects)

    def __dask_tokenize__(self) -> tuple[str, str]:
        """Return what identifies it; otherwise Dask pickles it, and a temporary folder stays for good."""
        return self.url, self.manifest.identity.fingerprint

    def __repr__(self) -> str:
        """Return one line."""
        settings = self.manifest.settings
        return f"<{type(self).__name__} {self.url!r}: {len(self):,} rows, {settings.n_neighbors} neighbors>"

    def _repr_html_(self) -> str:
        """Return a summary and the most novel rows, for notebooks."""
        rows = self.top(5) if self._results.views else None
        return run_card(type(self).__name__, self.url, self.manifest, rows)
