"""What a crawler should look at next: the most novel URLs, few of each site and template.

    python workflows/crawl_frontier.py discovered-*.txt.gz --known crawled.txt --out frontier.csv

A list of discovered URLs is full of variants of the same pages, and one large site can fill the queue.  Here,
each site (a registered domain) and each template (a page without its numbers) has a few places, which go to
its most novel URLs.  What --known lists is left out: hosts, pages and templates, one a line.  --traps writes
the templates with most rows, among which calendars and other traps for crawlers are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

import novelty_dask
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.errors import NoveltyError


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True)
@click.option("--run", default="frontier.zarr", show_default=True, help="Path of the run.")
@click.option(
    "--out", type=click.Path(dir_okay=False), default="frontier.csv", show_default=True, help="File of URLs."
)
@click.option("--per-site", type=click.IntRange(1), default=10, show_default=True, help="URLs of a site.")
@click.option("--per-template", type=click.IntRange(1), default=2, show_default=True, help="Of a template.")
@click.option("--min-novelty", type=float, default=0.1, show_default=True, help="Least novelty of a URL.")
@click.option("--known", type=click.Path(dir_okay=False), help="File of what is crawled, or not wanted.")
@click.option("--traps", type=click.Path(dir_okay=False), help="CSV file for the templates with most rows.")
def main(
    sources: tuple[str, ...], run: str, out: str, known: str | None, traps: str | None, **limits: Any
) -> None:
    """Score discovered URLs, write those to crawl next, and print the first."""
    for name in filter(None, (out, traps)):
        if not Path(name).absolute().parent.is_dir():
            message = f"There is no folder for {name!r}; make it, or name another file."
            raise click.ClickException(message)
    with one_sentence():
        with choose_listener() as listener:
            scored = novelty_dask.score(sources, run, listener=listener)
        chosen: Any = {**limits, "ignore": known}
        shape: Any = {"columns": ["novelty", "url"], "overwrite": True, "raw": True}
        novelty_dask.export(scored, out, order="novelty", **shape, **chosen)
        first = scored.top(20, **chosen)
        if traps:
            scored.templates(100).to_csv(traps, index=False)
    sites = scored.sites()
    click.echo(f"{len(scored):,} URLs of {len(sites):,} sites; those to crawl next are in {out}")
    for page in first.itertuples():
        # repr, as a URL may contain control sequences for a terminal.
        click.echo(f"{page.novelty:.3f}  {page.url!r}")


@contextmanager
def one_sentence() -> Iterator[None]:
    """Let errors that are nobody's fault but the arguments' end the command with one sentence."""
    try:
        yield
    except (NoveltyError, OSError) as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
