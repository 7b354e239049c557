"""A run in HTML, as notebooks show it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from novelty_dask.counts import count_line

if TYPE_CHECKING:
    import pandas as pd

    from novelty_dask.storage.manifest import Manifest

COLUMNS = ["novelty", "url", "nearest_similarity", "nearest_url"]


def run_html(url: str, manifest: Manifest, rows: pd.DataFrame) -> str:
    """Return a summary of a complete run, and some of its rows, in HTML."""
    assert manifest.totals
    # A stored run may name any reason.
    summary = html.escape(count_line(manifest.totals, manifest.settings.normal_form))
    table = rows[COLUMNS].to_html(index=False, float_format="{:.3f}".format, na_rep="")
    return f"<div><b>{html.escape(url)}</b><br>{summary}<br>{table}</div>"
