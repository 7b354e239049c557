"""The URLs of a crawl that are unlike all others, site by site.

    python workflows/score_corpus.py crawl-*.txt.gz --out run.zarr --json unusual.jsonl

Novelty is measured against the whole crawl.  Each site of at least --min-pages pages then shows its most
novel ones, the site with the most novel page first.  With --scheduler, a Dask cluster does the work.
"""

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, cast

import click
import pandas as pd
from dask.base import compute
from dask.distributed import Client

import novelty_dask

if TYPE_CHECKING:
    import dask.dataframe as dd

SITE = r"^(?:[^:/?#]*:)?(?://)?(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)"
"""The host of a URL: after a scheme and a user name, before a port and the rest."""
COLUMNS = ["site", "novelty", "url", "nearest_similarity", "nearest_url"]


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True)
@click.option("--out", default="run.zarr", show_default=True, help="Path of the run.")
@click.option("--per-site", type=click.IntRange(1), default=1, show_default=True, help="Pages of each site.")
@click.option(
    "--min-pages", type=click.IntRange(1), default=5, show_default=True, help="Leave out smaller sites."
)
@click.option("--json", type=click.Path(dir_okay=False), help="JSON Lines file for the pages of all sites.")
@click.option("--scheduler", help="Address of a Dask scheduler.")
def main(
    sources: tuple[str, ...], out: str, per_site: int, min_pages: int, json: str | None, scheduler: str | None
) -> None:
    """Score a corpus, choose the most novel pages, and print them."""
    with Client(scheduler) if scheduler else nullcontext() as client:
        run = novelty_dask.score(sources, out, client=client)
        pages = unusual_pages(run, per_site, min_pages)
    if json:
        pages.to_json(json, orient="records", lines=True)
    click.echo(f"{len(run):,} URLs, {pages['site'].nunique():,} sites with at least {min_pages} of them")
    for page in pages.head(20).itertuples():
        # repr, as a URL may contain control sequences for a terminal.
        click.echo(f"{page.novelty:.3f}  {page.url!r}")


def unusual_pages(run: novelty_dask.Run, per_site: int, min_pages: int) -> pd.DataFrame:
    """Return the most novel pages of each site, the site with the most novel page first."""
    rows = run.to_dataframe().dropna(subset=["novelty"])
    rows = rows.assign(site=rows["url"].str.extract(SITE, expand=False).str.lower())[COLUMNS]
    sizes, best = compute(rows["site"].value_counts(), best_of_sites(rows, per_site))
    best = best[best["site"].map(sizes) >= min_pages]
    order = best.assign(first=best.groupby("site")["novelty"].transform("max"))
    order = order.sort_values(["first", "site", "novelty"], ascending=[False, True, False])
    return cast("pd.DataFrame", order[COLUMNS].reset_index(drop=True))


def best_of_sites(rows: "dd.DataFrame", n: int) -> "dd.DataFrame":
    """Return the n most novel rows of each site; each block is reduced where it is, then their best rows."""
    best = partial(most_novel, n=n)
    return cast("dd.DataFrame", rows.reduction(best, aggregate=best))


def most_novel(rows: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the n most novel rows of each site."""
    return rows.sort_values("novelty", ascending=False, kind="stable").groupby("site").head(n)


if __name__ == "__main__":
    main()
