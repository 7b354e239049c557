"""Rows of a run as a Dask DataFrame."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa

from novelty_dask.results.vectors import results_of
from novelty_dask.storage.runs import open_complete

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

    from novelty_dask.objects.leases import Lease
    from novelty_dask.objects.protocol import Objects


def to_dataframe(run: str, objects: Objects, *, lists: bool) -> dd.DataFrame:
    """Return the rows of a complete run, one partition for each block."""
    # Of what a run can do, this alone needs Dask, which takes long to import.
    import dask.dataframe as dd  # noqa: PLC0415

    results = results_of(open_complete(run))
    meta = _to_pandas(results.table(0, np.array([], np.int64), lists=lists))
    # A run in a temporary folder must last as long as the frame, which may outlive all else of it.
    frame = partial(_frame, run, lists, getattr(objects, "lease", None))
    return cast("dd.DataFrame", dd.from_map(frame, range(results.n_blocks), meta=meta))


def _frame(run: str, lists: bool, _lease: Lease | None, block: int) -> pd.DataFrame:  # noqa: FBT001
    """Return the rows of one block, from the run opened anew, as this is called on workers."""
    return _to_pandas(results_of(open_complete(run)).table(block, lists=lists))


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a table as a DataFrame."""
    import pandas as pd  # noqa: PLC0415 - takes long to import

    # Lists stay in Arrow's form: as Python objects, Dask would convert them to text.
    lists = {field.type: pd.ArrowDtype(field.type) for field in table.schema if pa.types.is_list(field.type)}
    return cast("pd.DataFrame", table.to_pandas(types_mapper=lists.get))
