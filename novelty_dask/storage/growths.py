"""Growth of runs: a complete run and new rows beside it, from which a larger run is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.errors import SettingsError, StoreError, UnreachableError
from novelty_dask.kernels.choices import MEMORY
from novelty_dask.objects.address import absolute_url
from novelty_dask.objects.exchange import check_exchange
from novelty_dask.planning.budget import Extent
from novelty_dask.planning.stages import COMPARE, INGEST, SORT, VECTORIZE
from novelty_dask.settings import ReadSettings, ResultSettings, Settings, WorkSettings
from novelty_dask.storage.identity import RunIdentity
from novelty_dask.storage.manifest import Manifest
from novelty_dask.storage.references import describe_reference, find_problem
from novelty_dask.storage.runs import StoredRun, open_complete, open_repairable
from novelty_dask.storage.totals import Growth, Segment, Totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.storage.arrays import RunArrays
    from novelty_dask.storage.totals import Reference


def find_base(path: str) -> StoredRun:
    """Return the run of a path, if rows can be added to it.

    Raises
    ------
    StoreError
        It is no complete run on a disk, of another version, in time, has a reference, or can't be exchanged.
    """
    if "://" in absolute_url(path):
        message = (
            f"The run {path!r} is in an object store, where it can't be exchanged for a larger one in one "
            "step; add to a copy on a disk."
        )
        raise StoreError(message)
    # The folder itself, as to exchange a link would leave the run where it is.
    run = open_complete(str(Path(absolute_url(path)).resolve()))
    of_reference = "was compared with a reference, whose weights it has; add its sources to that"
    if problem := find_problem(run, path, of_reference):
        message = f"The run {path!r} {problem}."
        raise StoreError(message)
    if run.manifest.settings.time_column is not None:
        message = (
            f"The run {path!r} is one in time, whose periods follow from all its rows; score its sources and "
            "the new ones together."
        )
        raise StoreError(message)
    check_exchange(Path(run.url))
    return run


def adopt_reading(base: StoredRun, work: WorkSettings, *, in_memory: bool) -> Settings:
    """Return the settings by which new sources are read for a run, and rows compared.

    Parameters
    ----------
    base : StoredRun
    work : WorkSettings
    in_memory : bool
        True if they are URLs in memory.

    Raises
    ------
    SettingsError
        The rows of the run keep fields of records, which URLs in memory have not; or the other way round.
    """
    result = base.manifest.settings
    values = {name: getattr(result, name) for name in ResultSettings.model_fields}
    if in_memory and result.keep:
        message = f"The rows of {base.url!r} keep other columns, which URLs in memory lack; add files to it."
        raise SettingsError(message)
    if in_memory != (result.input_format == MEMORY):
        # How the lines of the run were read says nothing about these.
        values.update(
            {name: ReadSettings.model_fields[name].default for name in ("input_format", "column", "host")}
        )
    return Settings(**values, **{name: getattr(work, name) for name in WorkSettings.model_fields})


def describe_growth(base: StoredRun, added: StoredRun) -> Growth:
    """Return what a run keeps, while it is made, of those that it is made of.

    Raises
    ------
    StoreError
        A commit of them is damaged.
    """
    fresh_rows = find_fresh(added.arrays(is_reference=True)).size
    return Growth(base=describe_reference(base), added=describe_reference(added), fresh_rows=fresh_rows)


def find_fresh(added: RunArrays) -> NDArray[np.int64]:
    """Return the numbers of new rows that the run lacks which they are added to."""
    return np.flatnonzero(~added.read("known"))


def make_grown(base: StoredRun, added: StoredRun, *, refresh: bool) -> Manifest:
    """Return the manifest, at its beginning, of the run that is made of two.

    Parameters
    ----------
    base, added : StoredRun
    refresh : bool
        True to compute weights anew, of all rows, instead of keeping those of the base.
    """
    known, new = base.manifest, added.manifest
    assert known.totals
    assert new.totals
    growth = describe_growth(base, added)
    first = Segment(sources=len(known.sources), lines=known.totals.lines, rows=known.totals.rows)
    later = Segment(sources=len(new.sources), lines=new.totals.lines, rows=growth.fresh_rows)
    identity = RunIdentity(
        settings=known.settings,
        features_version=known.identity.features_version,
        sources=(*known.sources, *new.sources),
        segments=() if refresh else (*(known.identity.segments or (first,)), later),
    )
    # The lines were read for the new rows, and these compared with those of the base.
    done = (INGEST, SORT) if refresh else (INGEST, SORT, COMPARE)
    return Manifest(
        identity=identity,
        growth=growth,
        totals=_add_totals(known.totals, new.totals, growth.fresh_rows),
        stages={stage.name: new.stages[stage.name] for stage in done if new.has(stage)},
    )


def _add_totals(known: Totals, new: Totals, fresh_rows: int) -> Totals:
    """Return the numbers of the lines of two runs together."""
    reasons = sorted({*known.rejected, *new.rejected})
    return Totals(
        lines=known.lines + new.lines,
        rows=known.rows + fresh_rows,
        # A new row that the base has is one more line of that row.
        duplicates=known.duplicates + new.duplicates + new.rows - fresh_rows,
        rejected={each: known.rejected.get(each, 0) + new.rejected.get(each, 0) for each in reasons},
        skipped=known.skipped + new.skipped,
        source_lines=[*known.source_lines, *new.source_lines],
        wrapped=known.wrapped + new.wrapped,
    )


def open_parts(run: StoredRun) -> tuple[StoredRun, StoredRun]:
    """Return the run that another one is made of, and its new rows.

    Raises
    ------
    StoreError
        One of them is gone, or another run is in its place.
    """
    growth = run.manifest.growth
    assert growth
    return _find_again(growth.base), _find_again(growth.added)


def _find_again(known: Reference) -> StoredRun:
    """Return a run that another one is made of."""
    run = open_complete(known.url)
    plan = run.manifest.plan
    if plan is None or (plan.n_rows, plan.block_rows) != (known.n_rows, known.block_rows):
        raise StoreError(_changed(known))
    return run


def _changed(known: Reference) -> str:
    """Return the sentence on a run that is not what it was when a larger one was begun."""
    return f"The run {known.url!r} has changed since rows were first added to it; repeat the command."


def check_parts(run: StoredRun) -> None:
    """Refuse to go on with a run if one of those that it is made of is gone, damaged or another by now.

    Raises
    ------
    StoreError
        One is.
    """
    growth = run.manifest.growth
    for known in (growth.base, growth.added) if growth else ():
        if describe_reference(_find_again(known)).content != known.content:
            raise StoreError(_changed(known))


def is_of(base: StoredRun, path: str) -> bool:
    """Return whether a run is compared with another as that is now; False if it can't be opened."""
    try:
        # Complete or not: one that was stopped goes on.
        reference = open_repairable(path).manifest.reference
    except UnreachableError:
        raise
    except StoreError:
        return False
    return reference is not None and reference.content == describe_reference(base).content


def merged_extents(run: StoredRun) -> list[Extent]:
    """Return rows and text of a run that is made of two, in the order of its rows."""
    base, added = open_parts(run)
    plan, arrays = base.manifest.plan, added.arrays(is_reference=True)
    assert plan
    places = arrays.read("rows/place")[find_fresh(arrays)]
    sizes = [(stop - start, _text_bytes(base, block)) for block, (start, stop) in _blocks(base)]
    n_added = sum(_text_bytes(added, block) for block, _ in _blocks(added))
    density = n_added / max(added.manifest.totals.rows if added.manifest.totals else 1, 1)
    # New rows behind the last of the base belong to its last block.
    counts = np.bincount(np.minimum(places // plan.block_rows, plan.n_blocks - 1), minlength=plan.n_blocks)
    return [
        Extent(rows + int(fresh), text + round(int(fresh) * density))
        for (rows, text), fresh in zip(sizes, counts, strict=True)
    ]


def _blocks(run: StoredRun) -> list[tuple[int, tuple[int, int]]]:
    """Return the blocks of a run with their bounds."""
    plan = run.manifest.plan
    assert plan
    return [(block, plan.bounds(block)) for block in range(plan.n_blocks)]


def _text_bytes(run: StoredRun, block: int) -> int:
    """Return the bytes of the text of a block."""
    return int(run.commits.get(VECTORIZE.task(str(block))).metrics["text_bytes"])
