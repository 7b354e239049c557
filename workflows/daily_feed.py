"""What is new in the list of each day: score it against all that is known, then add it to that.

    python workflows/daily_feed.py 2026-11-27.txt --known known.zarr --out new-2026-11-27.csv

The first list that is named becomes the run of all that is known.  From then on each list is compared with
that run, the most novel URLs that it lacks are printed and written to a file, and the list is added: tomorrow
they are known.  It is safe to run twice: what was stopped goes on, and no list is added twice.
"""

from pathlib import Path

import click
import numpy as np

import novelty_dask
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.errors import NoveltyError
from novelty_dask.events import Listener


def read_day(
    source: str, day: str, known: str, listener: Listener, scheduler: str | None
) -> novelty_dask.Run:
    """Return the run of a list, compared with what was known before it came."""
    if Path(day).is_dir() and novelty_dask.status(day).state == "complete":
        scored = novelty_dask.open(day)
        # Once the list was added, what is known is not what it was compared with any more.
        if {*scored.manifest.sources} <= {*novelty_dask.open(known).manifest.sources}:
            return scored
    return novelty_dask.score(source, day, against=known, listener=listener, scheduler=scheduler)


@click.command(help=__doc__)
@click.argument("source")
@click.option(
    "--known", default="known.zarr", show_default=True, help="Path of the run of all that is known."
)
@click.option("--day", help="Path of the run of this list.  [default: SOURCE.zarr]")
@click.option("-n", "n_rows", default=20, show_default=True, help="URLs to print and to write.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    default="new.csv",
    show_default=True,
    help="CSV file of the most novel URLs.",
)
@click.option("--scheduler", help="Address of a Dask scheduler, or the file that it wrote.")
def main(source: str, *, known: str, day: str | None, n_rows: int, out: str, scheduler: str | None) -> None:
    """Score a list against all that is known, print and write what is most novel in it, and add it."""
    if not Path(out).absolute().parent.is_dir():
        message = f"There is no folder for {out!r}; make it, or name another file."
        raise click.ClickException(message)
    try:
        with choose_listener() as listener:
            if not Path(known).exists() or novelty_dask.status(known).state != "complete":
                first = novelty_dask.score(source, known, listener=listener, scheduler=scheduler)
                click.echo(f"{len(first):,} URLs are known from now on; name the list of another day.")
                return
            scored = read_day(source, day or f"{source}.zarr", known, listener, scheduler)
            assert scored.known is not None
            is_known = np.asarray(scored.known[:])
            n_known = int(is_known.sum())
            # A URL that is new may be as like a known one as can be, so that both are last.
            rows = scored.top(min(n_rows + n_known, len(scored)), by="novelty_nearest")
            rows = rows[~rows.url.isin(np.asarray(scored.urls[:])[is_known])].head(n_rows)
            rows.to_csv(out, index=False)
            grown = novelty_dask.add(source, known, listener=listener, scheduler=scheduler)
    except (NoveltyError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{len(scored) - n_known:,} of {len(scored):,} URLs are new, the most novel of them in {out}:")
    for row in rows.itertuples():
        # repr, as a URL may contain control sequences for a terminal.
        click.echo(f"{row.novelty_nearest:.3f}  {row.url!r}")
    click.echo(f"{len(grown):,} URLs are known from now on")


if __name__ == "__main__":
    main()
