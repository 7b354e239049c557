"""A forecast: what a run of some sources would take, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.errors import InputError
from novelty_dask.execution.clusters.workers import find_resources
from novelty_dask.pipeline.formats import settle_format
from novelty_dask.pipeline.limits import make_budget
from novelty_dask.planning.summary import RunPlan, make_run_plan
from novelty_dask.readers.choose import make_reader
from novelty_dask.sources.estimate import estimate_records, text_bytes
from novelty_dask.sources.find import STDIN, find_sources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from novelty_dask.settings import Settings


def forecast(names: Iterable[str], settings: Settings) -> RunPlan:
    """Return what scoring some sources would take, from a look at a sample of each.

    Raises
    ------
    InputError
        Standard input is among the sources.
    BudgetError
        A worker would need more memory than it may use.
    """
    sources = find_sources(names)
    if any(source.url == STDIN for source in sources):
        message = "Standard input can't be planned for, as it can be read only once; name files."
        raise InputError(message)
    workers = find_resources(None, text_bytes(sources), settings.work)
    result = settle_format(settings.result, sources)
    extent = estimate_records(sources, make_reader(result).estimate)
    return make_run_plan(make_budget(result, workers), extent, settings.block_rows, workers.workers)
