"""Rows of a run as a Dask DataFrame."""

from functools import partial
from typing import cast

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa

from novelty_dask.results.results import Results
from novelty_dask.storage.runs import open_complete


def to_dataframe(run: str, *, lists: bool) -> dd.DataFrame:
    """Return the rows of a complete run, one partition for each block."""
    results = Results(open_complete(run).arrays())
    meta = _to_pandas(results.table(0, np.array([], np.int64), lists=lists))
    return cast("dd.DataFrame", dd.from_map(partial(_frame, run, lists), range(results.n_blocks), meta=meta))


def _frame(run: str, lists: bool, block: int) -> pd.DataFrame:  # noqa: FBT001 - partial binds it
    """Return the rows of one block, from the run opened anew, as this is called on workers."""
    return _to_pandas(Results(open_complete(run).arrays()).table(block, lists=lists))


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a table as a DataFrame."""
    # Lists stay in Arrow's form: as Python objects, Dask would convert them to text.
    lists = {field.type: pd.ArrowDtype(field.type) for field in table.schema if pa.types.is_list(field.type)}
    return cast("pd.DataFrame", table.to_pandas(types_mapper=lists.get))
