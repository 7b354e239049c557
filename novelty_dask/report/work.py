"""What a run took, stage by stage, beside what was forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from novelty_dask.features.choose import make_features
from novelty_dask.objects.owners import DRIVER_START, JOBS_FOLDER, newest_epoch
from novelty_dask.planning.budget import Extent, budget_of, known_of
from novelty_dask.planning.cost import core_seconds
from novelty_dask.planning.disk import disk_bytes

if TYPE_CHECKING:
    from novelty_dask.objects.protocol import Objects
    from novelty_dask.results.results import Results
    from novelty_dask.storage.manifest import Manifest

SAMPLED_BLOCKS = 3


def gather_work(manifest: Manifest, results: Results, objects: Objects) -> dict[str, Any]:
    """Return tasks, seconds and memory of each stage, and forecasts of seconds and disk for the whole run."""
    stages = [
        {
            "name": name,
            "tasks": took.get("tasks"),
            "seconds": took.get("seconds"),
            "core_seconds": took.get("core_seconds"),
            "projected": took.get("projected_bytes"),
            "peak": took.get("peak_bytes"),
            "retries": took.get("retries", 0),
            # Not known of a stage of an older version, which is none either.
            "deaths": took.get("deaths", 0),
        }
        for name, took in manifest.stages.items()
    ]
    sizes = objects.sizes()
    return {
        "stages": stages,
        "seconds": sum(stage["seconds"] or 0 for stage in stages),
        "core_seconds": sum(stage["core_seconds"] or 0 for stage in stages),
        "projected": max((stage["projected"] or 0 for stage in stages), default=0),
        "peak": max((stage["peak"] or 0 for stage in stages), default=0),
        "retries": sum(stage["retries"] for stage in stages),
        "deaths": sum(stage["deaths"] for stage in stages),
        "disk": sum(sizes.values()),
        "drivers": sum(key.startswith(JOBS_FOLDER) and f"/{DRIVER_START}" in key for key in sizes),
        "sessions": newest_epoch(objects),
        **_forecast(manifest, results),
    }


def _forecast(manifest: Manifest, results: Results) -> dict[str, Any]:
    """Return what the run was to take by its plan; nothing for one that has grown, as that is several."""
    plan, settings = manifest.plan, manifest.settings
    if plan is None or manifest.identity.segments or not manifest.identity.features_version:
        return {"forecast_disk": None, "forecast_seconds": None}
    extent = Extent(results.n_rows, _text_bytes(results))
    # Whatever the memory of a worker was.
    known = known_of(manifest.reference)
    budget = budget_of(settings, make_features(settings), threads=1, limit=0, known=known)
    return {
        "forecast_disk": disk_bytes(budget, extent, plan),
        "forecast_seconds": core_seconds(settings.features, budget, extent),
    }


def _text_bytes(results: Results) -> int:
    """Return about how many bytes the URLs have, by some blocks of them."""
    blocks = sorted({round(place * (results.n_blocks - 1) / 2) for place in range(SAMPLED_BLOCKS)})
    lengths = [[len(url.encode()) for url in results.read("rows/url", block).tolist()] for block in blocks]
    n_rows = sum(map(len, lengths))
    return sum(map(sum, lengths)) * results.n_rows // n_rows if n_rows else 0
