from dataclasses import replace
from math import prod

import pytest

from novelty_dask.errors import BudgetError
from novelty_dask.planning.arrays import group_arrays, link_arrays
from novelty_dask.planning.budget import Budget, Extent
from novelty_dask.planning.disk import FILE_SLACK_BYTES, TASK_BYTES, disk_bytes
from novelty_dask.planning.memory import PROCESS_BYTES, fit, moved_bytes, plan_bytes, worker_bytes
from novelty_dask.planning.summary import make_run_plan
from novelty_dask.planning.tiles import plan_tiles

BUDGET = Budget(n_neighbors=10, n_features=2**20, entries_a_byte=1, threads=2, limit=4 * 10**9)
MILLION = Extent(1_000_000, 76_000_000)


@pytest.mark.parametrize("block_rows", [None, 1_024, 16_384])
def test_a_plan_says_what_a_run_would_do(block_rows: int | None) -> None:
    plan = make_run_plan(BUDGET, MILLION, block_rows, workers=3, core_seconds=60.0)
    assert plan.tiles == fit(BUDGET, [MILLION], block_rows)
    tiles = [*plan.tiles.first_tiles(), *plan.tiles.later_tiles()]
    assert plan.tasks == {
        "vectorize": plan.tiles.n_blocks,
        "columns": 1,
        "weigh": plan.tiles.n_blocks,
        "compare": len(tiles),
        "merge": plan.tiles.n_blocks,
        "cover": plan.tiles.n_stretches,
        "density": plan.tiles.n_blocks,
        "lof": plan.tiles.n_blocks,
    }
    assert plan.stage_bytes == plan_bytes(BUDGET, [MILLION], plan.tiles)
    assert plan.worker_bytes == max(worker_bytes(plan.stage_bytes, 2).values()) <= plan.memory_limit
    assert (plan.n_rows, plan.workers, plan.threads) == (1_000_000, 3, 2)
    assert plan.memory_limit == BUDGET.limit


def test_the_bytes_of_stages_are_those_the_worker_is_planned_with() -> None:
    plan = make_run_plan(BUDGET, MILLION, None, workers=0, core_seconds=60.0)
    assert plan.worker_bytes == PROCESS_BYTES + 2 * max(plan.stage_bytes.values())
    assert plan.stage_bytes.keys() == {"ingest", "sort", "rejected", *plan.tasks}


@pytest.mark.parametrize("extent", [Extent(0, 0), Extent(1, 0), Extent(1, 20), Extent(5, 10**6)])
def test_small_corpora_have_a_plan(extent: Extent) -> None:
    plan = make_run_plan(BUDGET, extent, None, workers=0, core_seconds=60.0)
    assert plan.tiles.n_blocks == min(extent.n_rows, 1)
    assert plan.disk_bytes >= 0


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BudgetError):
        make_run_plan(Budget(10, 2**20, 1, 1, 10**6), MILLION, None, workers=0, core_seconds=60.0)


def test_temporary_files_hold_what_is_moved_but_for_the_buffer_of_one_process() -> None:
    moved = moved_bytes([MILLION])
    assert make_run_plan(BUDGET, MILLION, None, workers=3, core_seconds=60.0).temporary_bytes == moved
    alone = replace(BUDGET, buffer=10**8)
    assert make_run_plan(alone, MILLION, None, workers=0, core_seconds=60.0).temporary_bytes == moved - 10**8
    assert (
        make_run_plan(
            replace(alone, buffer=10**9), MILLION, None, workers=0, core_seconds=60.0
        ).temporary_bytes
        == 0
    )


def test_disk_grows_with_text_neighbors_and_groups() -> None:
    tiles = plan_tiles(1_000_000, 65_536)
    base = disk_bytes(BUDGET, MILLION, tiles)
    assert disk_bytes(BUDGET, Extent(1_000_000, 80_000_000), tiles) > base
    assert disk_bytes(replace(BUDGET, n_neighbors=100), MILLION, tiles) > base
    assert disk_bytes(BUDGET, MILLION, replace(tiles, group_blocks=2)) > base


def test_disk_counts_the_files_and_commits_of_groups() -> None:
    tiles = plan_tiles(1_000_000, 65_536)
    smaller = replace(tiles, block_rows=4_096)
    specs = [*link_arrays(smaller), *group_arrays(smaller)]
    n_files = sum(
        prod(-(-size // chunk) for size, chunk in zip(spec.shape, spec.chunks, strict=True)) for spec in specs
    )
    n_commits = smaller.n_blocks + 1
    alone, grouped = (
        disk_bytes(replace(BUDGET, is_grouped=is_grouped), MILLION, smaller) for is_grouped in (False, True)
    )
    n_numbers = sum(smaller.bounds(block)[1] for block in range(smaller.n_blocks)) + smaller.n_rows
    small = FILE_SLACK_BYTES * (n_files + n_commits) + TASK_BYTES * n_commits
    assert grouped - alone == 3 * n_numbers + small
