"""The URLs of a crawl that are unlike all others, site by site.

    python workflows/score_corpus.py crawl-*.txt.gz --out run.zarr --json unusual.jsonl

Novelty is measured against the whole crawl.  Each site (a registered domain) of at least --min-pages pages
then shows its most novel ones, the site with the most novel page first.  With --scheduler, a Dask cluster
scores the crawl.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pandas as pd
import pyarrow as pa
from dask.distributed import Client

import novelty_dask
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.errors import NoveltyError
from novelty_dask.kernels.text.sites import sites_of

CONNECT_SECONDS = 5

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
    if json and not Path(json).absolute().parent.is_dir():
        message = f"There is no folder for {json!r}; make it, or name another file."
        raise click.ClickException(message)
    with one_sentence(), connected(scheduler) as client:
        with choose_listener() as listener:
            run = novelty_dask.score(sources, out, client=client, listener=listener)
        pages = unusual_pages(run, per_site, min_pages)
        if json:
            pages.to_json(json, orient="records", lines=True)
    click.echo(f"{len(run):,} URLs, {pages['site'].nunique():,} sites with at least {min_pages} of them")
    for page in pages.head(20).itertuples():
        # repr, as a URL may contain control sequences for a terminal.
        click.echo(f"{page.novelty:.3f}  {page.url!r}")


@contextmanager
def one_sentence() -> Iterator[None]:
    """Let errors that are nobody's fault but the arguments' end the command with one sentence."""
    try:
        yield
    except (NoveltyError, OSError) as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def connected(scheduler: str | None) -> Iterator[Client | None]:
    """Yield a client of a scheduler at an address, or None without one."""
    if scheduler is None:
        yield None
        return
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        message = f"Can't reach a Dask scheduler at {scheduler!r}: {error}; check the address, and start it."
        raise click.ClickException(message) from None
    with client:
        yield client


def unusual_pages(run: novelty_dask.Run, per_site: int, min_pages: int) -> pd.DataFrame:
    """Return the most novel pages of each site, the site with the most novel page first."""
    best = run.top(len(run), per_site=per_site)
    best = best.assign(site=sites_of(pa.array(best["url"], pa.string())).to_pylist())[COLUMNS]
    best = best[best["site"].map(run.sites().set_index("site")["rows"]) >= min_pages]
    order = best.assign(first=best.groupby("site")["novelty"].transform("max"))
    # Stable, so that pages of a site stay in their order.
    order = order.sort_values(["first", "site"], ascending=[False, True], kind="stable")
    return order[COLUMNS].reset_index(drop=True)


if __name__ == "__main__":
    main()
