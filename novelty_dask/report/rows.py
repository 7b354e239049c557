"""The most novel rows of a run, with their neighbors and with what none of these has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from novelty_dask.features.choose import make_features
from novelty_dask.features.marks import choose_marks
from novelty_dask.report.texts import LONGEST

if TYPE_CHECKING:
    from novelty_dask.report.texts import Texts
    from novelty_dask.run import Run

MOST_NEIGHBORS = 10
"""Neighbors that are shown of a row."""
MOST_REJECTED = 20
"""Rejected lines that are shown."""


def gather_rows(run: Run, n: int, texts: Texts, *, has_p: bool) -> list[dict[str, Any]]:
    """Return the n most novel rows as the page shows them, with their p-values where they have any."""
    settings = run.manifest.settings
    table = run.top_table(n, by="novelty", lists=True, redact=False, calibrate=has_p)
    # What a vectorizer of the user makes of a URL has no place in it, and no version of ours.
    find = choose_marks(settings, make_features) if run.manifest.identity.features_version else None
    return [
        _row(row, find(row["url"], row["neighbor_urls"]) if find else (), texts) for row in table.to_pylist()
    ]


def _row(row: dict[str, Any], marks: Any, texts: Texts) -> dict[str, Any]:
    """Return one row."""
    neighbors = zip(row["neighbor_similarities"], row["neighbor_urls"], strict=True)
    shown = [(value, texts.show(url)) for value, url in [*neighbors][:MOST_NEIGHBORS]]
    return {
        "raw": row["url"],
        "url": texts.show(row["url"], marks, LONGEST),
        "novelty": row["novelty"],
        "neighbors": shown,
        "n_more": len(row["neighbor_urls"]) - len(shown),
        "count": row["count"],
        "p": row.get("p_value"),
        "is_known": bool(row.get("known")),
        "seen": row.get("first_seen"),
        "place": f"{texts.path(row['source'])}:{row['line']:,}" if row["source"] else "",
    }


def gather_rejected(run: Run, texts: Texts) -> dict[str, Any]:
    """Return how many lines were rejected for each reason, and the first of them."""
    totals = run.manifest.totals
    assert totals
    reasons = sorted(totals.rejected.items(), key=lambda item: (-item[1], item[0]))
    lines = [
        {**row, "place": f"{texts.path(row['source'])}:{row['line']:,}", "sample": texts.show(row["sample"])}
        for table in run.stream_rejected(MOST_REJECTED)
        for row in table.to_pylist()
    ]
    return {"reasons": [(texts.name(reason), count) for reason, count in reasons if count], "lines": lines}
