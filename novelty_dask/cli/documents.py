"""Documents in JSON, one for each command that has ``--json``; names of fields stay as they are."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from novelty_dask.cli.terminal import defang

if TYPE_CHECKING:
    from novelty_dask.jobs.status import JobStatus
    from novelty_dask.pipeline.maintenance import RunStatus, Verification
    from novelty_dask.planning.summary import RunPlan
    from novelty_dask.results.explanations import Explanation


def in_json(document: Any) -> str:
    """Return a document in JSON, in ASCII, so that it can't command a terminal."""
    # Indented, as people look at it too; programs don't mind.
    return json.dumps(document, indent=2)


def top_document(rows: list[dict[str, Any]], by: str, *, defanged: bool) -> dict[str, Any]:
    """Return rows, and the column by which they are ordered."""
    return {"by": by, "rows": [_defanged(row) for row in rows] if defanged else rows}


def _defanged(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose URLs are none for programs that make links."""
    # The name of a file is none that anybody follows.
    return {name: value if name == "source" else _defang(value) for name, value in row.items()}


def _defang(value: Any) -> Any:
    """Return a value, each text in it defanged."""
    # Neighbors are a list.
    if isinstance(value, list):
        return [_defang(each) for each in value]
    return "".join(defang(value)) if isinstance(value, str) else value


def explanation_document(explanation: "Explanation", *, defanged: bool) -> dict[str, Any]:
    """Return what makes a URL as novel as it is."""
    document = explanation.to_dict()
    if defanged:
        for holder in (document, *document["neighbors"]):
            holder["url"] = _defang(holder["url"])
    return document


def status_document(status: "RunStatus", job: "JobStatus | None" = None) -> dict[str, Any]:
    """Return the progress of a run, and its job."""
    return {
        "state": status.state,
        "job": asdict(job) if job else None,
        "owner": status.owner,
        "normal_form": status.normal_form,
        "reference": status.reference,
        "known": status.known,
        "totals": status.totals.model_dump() if status.totals else None,
        "stages": {name: {"done": done, "total": total} for name, (done, total) in status.stages.items()},
        "failures": [failure.model_dump() for failure in status.failures],
    }


def plan_document(plan: "RunPlan") -> dict[str, Any]:
    """Return the forecast of a run."""
    # Without the groups and spans of the plan, which are how the comparison is divided today.
    others = {
        name: value for name, value in asdict(plan).items() if name not in ("n_rows", "tiles", "is_of_lines")
    }
    blocks = {"n_blocks": plan.tiles.n_blocks, "block_rows": plan.tiles.block_rows}
    return {"n_rows": plan.n_rows, **blocks, **others, "seconds": plan.seconds}


def verification_document(verification: "Verification") -> dict[str, Any]:
    """Return what a run that was read to its end has."""
    return {
        "tasks": verification.tasks,
        "recomputed": verification.recomputed,
        "damages": [
            {"stage": damage.stage, "item": damage.item, "message": str(damage)}
            for damage in verification.damages
        ],
    }
