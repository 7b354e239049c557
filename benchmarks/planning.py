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
from typing import Any

import click

from novelty_dask.objects.commits import Draft, TaskId
from novelty_dask.objects.owners import newest_epoch
from novelty_dask.pipeline.graph import Stage, make_stages
from novelty_dask.planning.memory import Budget, task_bytes
from novelty_dask.planning.tiles import MAXIMUM_GROUPS, TilePlan
from novelty_dask.settings import Settings
from novelty_dask.storage.layout import WHOLE
from novelty_dask.storage.manifest import Manifest
from novelty_dask.storage.runs import StoredRun, create_run

BLOCK_ROWS, SPAN_BLOCKS = 65_536, 2
FIGURES = {
    "compare": {
        "visits": 123_456_789_012,
        "compared": 81_147_123_456,
        "finished": 143_123_456,
        "kernel_seconds": 14.123456789,
        "took": {
            "process": "0123456789ab",
            "clock": [1790000000.123456, 1790000014.123456],
            "cpu": [123.456789012, 137.567890123],
            "peak_bytes": 748_123_456,
        },
    }
}
"""About what a task tells of itself."""
TIMED = """
import sys, time
import novelty_dask
from novelty_dask import resume, status
from novelty_dask.events import Silence

class Stop(Silence):
    def stage_started(self, stage, total, done=0):
        raise KeyboardInterrupt

clock, cpu = time.monotonic(), time.process_time()
try:
    status(sys.argv[2]) if sys.argv[1] == "status" else resume(sys.argv[2], workers=0, listener=Stop())
except KeyboardInterrupt:
    pass
print(time.process_time() - cpu, time.monotonic() - clock)
"""


def make_run(folder: str, n_tiles: int) -> tuple[StoredRun, Stage]:
    """A run of which the comparison is to be begun, and that stage."""
    n_spans = -(-n_tiles // MAXIMUM_GROUPS)
    n_blocks = SPAN_BLOCKS * n_spans
    plan = TilePlan(n_blocks * BLOCK_ROWS, BLOCK_ROWS, SPAN_BLOCKS, -(-n_blocks // MAXIMUM_GROUPS))
    settings = Settings.make()
    budget = Budget(settings.n_neighbors, settings.n_features, 1, 1, 0)
    manifest = Manifest(
        settings.result,
        [],
        plan=dict(vars(plan)),
        memory=task_bytes(budget, 1, 1),
        counts={"lines": plan.n_rows, "rows": plan.n_rows, "duplicates": 0, "rejected": {}},
        stages={name: {"tasks": 1} for name in ("ingest", "sort", "vectorize", "columns", "weigh")},
    )
    run = create_run(f"{folder}/run.zarr", manifest)
    run.once(TaskId("rejected", WHOLE), 0, lambda _draft: {})
    stages = {stage.name: stage for stage in make_stages(plan)}
    for name in ("vectorize", "columns", "weigh"):
        finish(run, stages[name], 1.0)
    return run, stages["compare"]


def finish(run: StoredRun, stage: Stage, share: float) -> None:
    """Do a share of a stage's tasks, those that are left of it."""
    epoch = newest_epoch(run.objects)
    for job in stage.jobs[: round(share * len(stage.jobs))]:

        def work(draft: Draft, job: Any = job) -> dict[str, Any]:
            for key in keys(run, stage, job):
                draft.write(key, b"a few bytes")
            return FIGURES.get(stage.name, {})

        run.once(TaskId(stage.name, job.item), epoch, work)


def keys(run: StoredRun, stage: Stage, job: Any) -> list[str]:
    """The chunks that a task writes, one of each array for each of its blocks."""
    plan = TilePlan(**run.manifest.plan)
    names = [(spec.name, len(spec.shape)) for spec in run.layout.of(stage.name)]
    if stage.name == "compare":
        span, group = job.argument
        return [f"{name}/c/{group}/{block}/0" for name, _ in names for block in plan.span(span)]
    first = 0 if job.item == WHOLE else int(job.item)
    return [f"{name}/c/{first}" + "/0" * (axes - 1) for name, axes in names]


def timed(call: str, run: StoredRun) -> tuple[float, float]:
    """CPU seconds and seconds of a call."""
    command = [sys.executable, "-c", TIMED, call, run.url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu, clock = map(float, done.stdout.split())
    return cpu, clock


@click.command(help=__doc__)
@click.option("--tiles", default=100_000, show_default=True, help="About so many tiles.")
@click.option("--repeats", default=3, show_default=True, help="Processes for each call.")
@click.option("--folder", type=click.Path(exists=True), help="Where to make the run for a while.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to write.")
def main(tiles: int, repeats: int, folder: str | None, output: Path | None) -> None:
    """Measure both calls, with half of the tiles done and with all of them."""
    figures = []
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        run, stage = make_run(temporary, tiles)
        print(f"{'tiles':>9}{'done':>9}  {'call':<8}{'CPU s':>7}{'s':>7}   medians of {repeats} processes")
        for share in (0.5, 1.0):
            finish(run, stage, share)
            for call in ("resume", "status"):
                each = sorted(timed(call, run) for _ in range(repeats))
                cpu, clock = (sorted(values)[repeats // 2] for values in zip(*each, strict=True))
                n_done = round(share * len(stage.jobs))
                print(f"{len(stage.jobs):9,}{n_done:9,}  {call:<8}{cpu:7.2f}{clock:7.2f}")
                figures.append({"tiles": len(stage.jobs), "done": n_done, "call": call, "cpu_seconds": cpu})
    if output:
        output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
