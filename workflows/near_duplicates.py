"""Pages that are the same thing: groups of near-identical URLs, and one URL of each thing.

    python workflows/near_duplicates.py crawl.txt.gz --at-least 0.8 --out one-of-each.csv

Crawls hold pages once more with another order of words, another suffix or another session.  Here, URLs that
are at least so similar are connected, directly or through others.  The file has one row for each URL that is
kept: those of no group, and of each group its representative, with the size of the group.  No pair is missed:
the search is exact.
"""

from pathlib import Path

import click
import pandas as pd

import novelty_dask
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.errors import NoveltyError


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True)
@click.option("--run", default="near-duplicates.zarr", show_default=True, help="Path of the run.")
@click.option(
    "--at-least", type=float, default=0.8, show_default=True, help="Least similarity of a pair, up to 1."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    default="one-of-each.csv",
    show_default=True,
    help="CSV file of the URLs that are kept.",
)
@click.option("--scheduler", help="Address of a Dask scheduler, or the file that it wrote.")
def main(sources: tuple[str, ...], *, run: str, at_least: float, out: str, scheduler: str | None) -> None:
    """Score URLs, connect those that are alike, write one of each thing, and print the largest groups."""
    if not Path(out).absolute().parent.is_dir():
        message = f"There is no folder for {out!r}; make it, or name another file."
        raise click.ClickException(message)
    try:
        with choose_listener() as listener:
            scored = novelty_dask.score(sources, run, listener=listener, scheduler=scheduler)
            found, members = novelty_dask.groups_and_members(
                scored, at_least=at_least, listener=listener, scheduler=scheduler
            )
    except (NoveltyError, OSError) as error:
        raise click.ClickException(str(error)) from None
    kept = pd.DataFrame({"url": scored.urls[:], "size": 1}).drop(members.row.tolist())
    kept = pd.concat([kept, found.set_index("row")[["url", "size"]]]).sort_index()
    kept.to_csv(out, index=False)
    click.echo(f"{len(kept):,} of {len(scored):,} URLs are kept in {out}; there are {len(found):,} groups")
    for group in found.head(20).itertuples():
        # repr, as a URL may contain control sequences for a terminal.
        click.echo(f"{group.size:>7,}  {group.least_similarity:.3f}  {group.url!r}")


if __name__ == "__main__":
    main()
