"""CPU seconds until a run of many tiles goes on where it was stopped, and until it says how far it is.

The run has real commits and chunks of a few bytes.  Each call is timed in a fresh process, after its imports;
``resume`` until it would hand out the first task.

Run ``python benchmarks/planning.py --tiles 100000``.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from novelty_dask.objects.commits import Draft, Metrics
from novelty_dask.objects.owners import newest_epoch
from novelty_dask.planning.budget import Budget, Load
from novelty_dask.planning.stages import COLUMNS, COMPARE, INGEST, SORT, STAGES, VECTORIZE, WEIGH, Stage
from novelty_dask.planning.tiles import MAXIMUM_GROUPS, Tile, TilePlan
from novelty_dask.settings import Settings
from novelty_dask.sources.find import Source
from novelty_dask.storage.identity import RunIdentity
from novelty_dask.storage.manifest import Manifest
from novelty_dask.storage.runs import StoredRun, create_run
from novelty_dask.storage.totals import Totals

BLOCK_ROWS, SPAN_BLOCKS = 65_536, 2
METRICS = {
    "multiply_adds": 123_456_789_012,
    "slots": 81_147_123_456,
    "finished": 143_123_456,
    "kernel_seconds": 14.123456789,
    "usage": {
        "process": "0123456789ab",
        "clock": [1790000000.123456, 1790000014.123456],
        "cpu": [123.456789012, 137.567890123],
        "peak_bytes": 748_123_456,
    },
}
"""The metrics of a comparison, or nearly."""
TIMED = """
import sys, time
import novelty_dask
from novelty_dask import resume, status

def stop(event):
    raise KeyboardInterrupt

clock, cpu = time.monotonic(), time.process_time()
try:
    status(sys.argv[2]) if sys.argv[1] == "status" else resume(sys.argv[2], workers=0, listener=stop)
except KeyboardInterrupt:
    pass
print(time.process_time() - cpu, time.monotonic() - clock)
"""


def make_run(folder: str, n_tiles: int, n_sources: int) -> StoredRun:
    """Make a run whose comparison has not begun."""
    n_spans = -(-n_tiles // MAXIMUM_GROUPS)
    n_blocks = SPAN_BLOCKS * n_spans
    plan = TilePlan(n_blocks * BLOCK_ROWS, BLOCK_ROWS, SPAN_BLOCKS, -(-n_blocks // MAXIMUM_GROUPS))
    settings = Settings.make().result
    budget = Budget(settings.n_neighbors, settings.n_features, 1, 1, 0)
    sources = tuple(
        Source(f"file:///data/crawl/part-{number:05}.txt.gz", 10**6, "gzip", "1790000000.123")
        for number in range(n_sources)
    )
    manifest = Manifest(
        identity=RunIdentity(settings=settings, sources=sources),
        plan=plan,
        memory={stage.name: stage.task_bytes(budget, Load(1, 1)) for stage in STAGES},
        totals=Totals(lines=plan.n_rows, rows=plan.n_rows, duplicates=0, rejected={}),
        stages={stage.name: {"tasks": 1} for stage in (INGEST, SORT, VECTORIZE, COLUMNS, WEIGH)},
    )
    run = create_run(f"{folder}/run.zarr", manifest)
    for stage in (VECTORIZE, COLUMNS, WEIGH):
        finish(run, stage, 1.0)
    return run


def finish(run: StoredRun, stage: Stage, share: float) -> None:
    """Do a share of a stage's tasks, those that are left of it."""
    epoch, tasks = newest_epoch(run.objects), stage.tasks(run.manifest.shape)
    for task in tasks[: round(share * len(tasks))]:

        def work(draft: Draft) -> Metrics:
            for key in keys(run, stage, draft.task.item):
                draft.write(key, b"a few bytes")
            return METRICS if stage is COMPARE else {}

        run.once(task, epoch, work)


def keys(run: StoredRun, stage: Stage, item: str) -> list[str]:
    """Return the chunks that a task writes, one of each array for each of its blocks."""
    names = [(spec.name, len(spec.shape)) for spec in run.layout.of(stage)]
    if stage is COMPARE:
        tile, plan = Tile.of_item(item), run.manifest.plan
        assert plan
        return [f"{name}/c/{tile.group}/{block}/0" for name, _ in names for block in plan.span(tile.span)]
    first = int(item) if item.isdecimal() else 0
    return [f"{name}/c/{first}" + "/0" * (axes - 1) for name, axes in names]


def timed(call: str, run: StoredRun) -> tuple[float, float]:
    """Return CPU seconds and seconds of a call."""
    command = [sys.executable, "-c", TIMED, call, run.url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu, clock = map(float, done.stdout.split())
    return cpu, clock


@click.command(help=__doc__)
@click.option("--tiles", default=100_000, show_default=True, help="Tiles, about.")
@click.option("--sources", default=1_000, show_default=True, help="Sources that the manifest names.")
@click.option("--repeats", default=3, show_default=True, help="Processes for each call.")
@click.option("--folder", type=click.Path(exists=True), help="Where to make the run for a while.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to write.")
def main(tiles: int, sources: int, repeats: int, folder: str | None, output: Path | None) -> None:
    """Measure both calls, with half of the tiles done and with all of them."""
    figures = []
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        run = make_run(temporary, tiles, sources)
        n_tiles = len(COMPARE.tasks(run.manifest.shape))
        print(f"{'tiles':>9}{'done':>9}  {'call':<8}{'CPU s':>7}{'s':>7}   medians of {repeats} processes")
        for share in (0.5, 1.0):
            finish(run, COMPARE, share)
            for call in ("resume", "status"):
                each = sorted(timed(call, run) for _ in range(repeats))
                cpu, clock = (sorted(values)[repeats // 2] for values in zip(*each, strict=True))
                n_done = round(share * n_tiles)
                print(f"{n_tiles:9,}{n_done:9,}  {call:<8}{cpu:7.2f}{clock:7.2f}")
                figures.append({"tiles": n_tiles, "done": n_done, "call": call, "cpu_seconds": cpu})
    if output:
        output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
