"""All that a page shows of a run."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from novelty_dask.counts import count_line, counted, refusal_line
from novelty_dask.report.alike import gather_alike
from novelty_dask.report.command import make_command
from novelty_dask.report.groups import CANDIDATES, find_candidates, gather_groups, main_site
from novelty_dask.report.numbers import gather_novelty, gather_p_values, gather_times
from novelty_dask.report.rows import gather_rejected, gather_rows
from novelty_dask.report.work import gather_work
from novelty_dask.results.results import Results
from novelty_dask.storage.runs import open_complete

if TYPE_CHECKING:
    from collections.abc import Mapping

    from novelty_dask.report.texts import Texts
    from novelty_dask.run import Run

MOST_SOURCES = 50
LONGEST_IN_SENTENCE = 160
FEW_ROWS = 10
"""Rows below which it says nothing that many of them are of one site."""


def gather(run: Run, n_rows: int, search: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """Return all that a page shows of a run, URLs as HTML and numbers as numbers."""
    manifest, stored = run.manifest, open_complete(run.url)
    results = Results(stored)
    totals, settings = manifest.totals, manifest.settings
    assert totals
    # Without a reference p-values are ranks; where its rows met other candidates than ours there are none.
    has_p = run.reference is not None and settings.since is None and not manifest.is_joined
    rows = gather_rows(run, n_rows, texts, has_p=has_p)
    novelty = gather_novelty(results)
    lines = totals.source_lines or [0] * len(manifest.sources)
    sources = [
        (texts.path(source.path), n_lines)
        for source, n_lines in zip(manifest.sources[:MOST_SOURCES], lines, strict=False)
    ]
    data = {
        "name": texts.name(run.url.rstrip("/").rpartition("/")[2]),
        "url": texts.path(run.url),
        "n_failures": len(manifest.failures),
        "totals": totals,
        "count_line": texts.name(count_line(totals, settings.normal_form)),
        "settings": {name: texts.name(str(value)) for name, value in settings if value not in (None, False)},
        "sources": sources,
        "n_more_sources": len(manifest.sources) - len(sources),
        "reference": manifest.reference
        and ", ".join(texts.path(each.url) for each in manifest.reference.each),
        "n_reference": manifest.reference and manifest.reference.n_rows,
        "command": make_command(manifest, run.url, texts.shorten),
        "versions": {"scored by": manifest.identity.novelty_dask_version, "page by": version("novelty-dask")},
        "fingerprint": manifest.identity.fingerprint,
        "n_rows": len(run),
        "rows": rows,
        "novelty": novelty,
        "p_values": gather_p_values(results) if has_p else None,
        "times": gather_times(results),
        "groups": gather_groups(results, find_candidates(results), texts),
        "n_candidates": CANDIDATES,
        "alike": gather_alike(run, results, search, texts),
        "refused": gather_rejected(run, texts),
        "work": gather_work(manifest, results, stored.objects),
    }
    return {**data, "findings": _findings(data, texts)}


def _findings(data: dict[str, Any], texts: Texts) -> list[str]:
    """Return sentences on what stands out, the first of them first."""
    novelty, rows, totals = data["novelty"], data["rows"], data["totals"]
    if not rows:
        return [f"None of {counted(data['n_rows'], 'row')} has a novelty, so that nothing can stand out."]
    found = []
    if data["reference"]:
        n_new = data["n_rows"] - novelty["n_known"]
        found.append(f"{n_new:,} of {counted(data['n_rows'], 'row')} are new: the reference lacks them.")
    # The highest novelty that some rows have, as there are few beyond it.
    reached = [(cut, count) for cut, count, _ in novelty["cuts"] if count]
    if reached:
        cut, count = reached[-1]
        verb = "has" if count == 1 else "have"
        found.append(f"{count:,} of {counted(data['n_rows'], 'row')} {verb} a novelty of {cut} or more.")
    similarity = rows[0]["neighbors"][0][0] if rows[0]["neighbors"] else None
    nearest = f", and its nearest neighbor a similarity of {similarity:.3f}" if similarity is not None else ""
    url = texts.show(rows[0]["raw"], limit=LONGEST_IN_SENTENCE)
    sentence = Markup("The most novel is {}: it has a novelty of {:.3f}{}.")
    found.append(sentence.format(url, rows[0]["novelty"], nearest))
    site, count = main_site([row["raw"] for row in rows])
    if site and len(rows) >= FEW_ROWS and count >= len(rows) / 4:
        sentence = Markup("{:,} of the {:,} most novel rows are of one site, {}.")
        found.append(sentence.format(count, len(rows), texts.show(site)))
    if data["p_values"]:
        rate, count = data["p_values"]["rates"][1]
        found.append(f"At a false discovery rate of {rate:.0%}, {counted(count, 'row')} would be chosen.")
    refused = refusal_line(totals)
    return [*found, f"{refused}."] if refused else found
