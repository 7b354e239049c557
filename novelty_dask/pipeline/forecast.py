"""A forecast: what a run of some sources would take, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.errors import InputError, capital
from novelty_dask.execution.clusters.workers import find_resources
from novelty_dask.execution.speed import measure_speed
from novelty_dask.pipeline.formats import settle_format
from novelty_dask.pipeline.given import give_names
from novelty_dask.pipeline.limits import make_budget
from novelty_dask.planning.budget import Extent
from novelty_dask.planning.cost import core_seconds
from novelty_dask.planning.summary import RunPlan, add_joining, make_run_plan
from novelty_dask.readers.choose import make_reader
from novelty_dask.sources.estimate import estimate_records, text_bytes

if TYPE_CHECKING:
    from distributed import Client

    from novelty_dask.events import Listener
    from novelty_dask.settings import Settings
    from novelty_dask.storage.totals import Reference


def forecast(
    names: object,
    settings: Settings,
    listener: Listener,
    reference: Reference | None = None,
    client: Client | None = None,
) -> RunPlan:
    """Return what scoring some sources would take, from a look at a sample of each.

    Parameters
    ----------
    names : object
        Of the sources, as users give them.
    settings : Settings
    listener : Listener
    reference : Reference, optional
    client : distributed.Client, optional
        With the workers to plan for; those that this machine would have without it.

    Raises
    ------
    InputError
        A source can be read but once, as standard input can.
    BudgetError
        A worker would need more memory than it may use.
    """
    given = give_names(names, remote=settings.remote, listener=listener)
    sources = given.sources
    for source in sources:
        if source.is_stream:
            name = capital(source.shown)
            message = f"{name} can't be planned for, as it can be read only once; name files."
            raise InputError(message)
    workers = find_resources(client, text_bytes(sources), settings.work)
    result = settle_format(settings.result, given)
    extent = estimate_records(sources, make_reader(result).estimate)
    budget = make_budget(result, workers, reference)
    speed = measure_speed()
    cost = core_seconds(result.features, budget, extent) / speed
    plan = make_run_plan(budget, extent, settings.block_rows, workers.workers, cost)
    if not reference or not reference.parts:
        return plan
    # How long their URLs are is not kept: about as long as those of the new rows.
    row_bytes = extent.n_bytes / max(extent.n_rows, 1)
    joined = Extent(reference.n_rows, round(reference.n_rows * row_bytes))
    return add_joining(plan, budget, joined, settings.block_rows, speed)
