"""Runs, and neighbors of all rows, as notebooks show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from novelty_dask.cards import card, folded, table
from novelty_dask.counts import count_line, counted

if TYPE_CHECKING:
    import pandas as pd

    from novelty_dask.storage.manifest import Manifest

NAMES = ("novelty", "url", "row", "nearest_similarity", "nearest_distance", "nearest_url", "nearest_row")
"""Columns of the most novel rows that are shown, of those that a run has."""
METRICS = {"cosine": "cosine", "euclidean": "Euclidean distance", "inner_product": "inner product"}
"""Names of metrics in a sentence."""
SHOWN_ROWS = SHOWN_NEIGHBORS = 5


def run_card(kind: str, url: str, manifest: Manifest, rows: pd.DataFrame | None) -> str:
    """Return facts on a complete run, and some of its rows, in HTML."""
    assert manifest.totals
    settings, matrix, reference = manifest.settings, manifest.identity.matrix, manifest.reference
    by = f", by {METRICS[matrix.metric]} of {counted(matrix.n_columns, 'column')}" if matrix else ""
    facts = {
        "input": count_line(manifest.totals, settings.normal_form),
        "neighbors": f"{settings.n_neighbors:,} of each row{by}",
        "against": reference.url if reference else "",
    }
    names = [] if rows is None else [name for name in NAMES if name in rows]
    shown = [] if rows is None else [table(names, rows[names].itertuples(index=False, name=None))]
    # Of vectors the facts say it all.
    more = [] if matrix else [folded("settings", settings.model_dump(exclude_none=True))]
    return card(kind, url, {name: fact for name, fact in facts.items() if fact}, *shown, *more)


def neighbors_card(kind: str, said: str, ids: Any, values: Any) -> str:
    """Return what neighbors are, and the closest ones of the first rows, in HTML."""
    first = (slice(SHOWN_ROWS), slice(SHOWN_NEIGHBORS))
    # Rows may have fewer neighbors than there are places.
    rows = [
        [row, *(Markup("{:,} <small>{:.3f}</small>").format(*pair) if pair[0] >= 0 else "" for pair in pairs)]
        for row, pairs in enumerate(
            map(zip, np.asarray(ids[first]).tolist(), np.asarray(values[first]).tolist())
        )
    ]
    names = ["row", *(f"neighbor {place + 1}" for place in range(min(ids.shape[1], SHOWN_NEIGHBORS)))]
    return card(kind, "", {"neighbors": said}, table(names, rows))
