"""First stories: the URLs that were unlike all seen before them, in the order of their times.

    python workflows/first_stories.py feed.csv --column url --time-column seen --json first-stories.jsonl

A feed of news, of a crawl or of threats has most things many times.  Here, each URL is compared with those
that were seen before it, never with later ones: a thing is new once, when it is first seen.  The file has one
object for each URL whose novelty is at least --min-novelty, with its time and the nearest URL before it.  The
first rows are new because little was before them; --skip leaves so many of them out.
"""

import json
from pathlib import Path

import click

import novelty_dask
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.errors import NoveltyError

COLUMNS = ("first_seen", "url", "novelty_nearest", "nearest_url", "nearest_similarity", "count", "last_seen")


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True)
@click.option("--column", default="url", show_default=True, help="Column of the URLs.")
@click.option("--time-column", default="first_seen", show_default=True, help="Column of the times.")
@click.option("--run", default="first-stories.zarr", show_default=True, help="Path of the run.")
@click.option(
    "--min-novelty",
    type=float,
    default=0.5,
    show_default=True,
    help="Least novelty, by the nearest URL before.",
)
@click.option(
    "--skip", type=click.IntRange(min=0), default=0, show_default=True, help="First rows to leave out."
)
@click.option(
    "--json",
    "out",
    type=click.Path(dir_okay=False),
    default="first-stories.jsonl",
    show_default=True,
    help="File of the first stories, an object a line.",
)
@click.option("--scheduler", help="Address of a Dask scheduler, or the file that it wrote.")
def main(  # noqa: PLR0913 - options of a command
    sources: tuple[str, ...],
    *,
    column: str,
    time_column: str,
    run: str,
    min_novelty: float,
    skip: int,
    out: str,
    scheduler: str | None,
) -> None:
    """Score a feed in time, write the first stories, and print the last of them."""
    if not Path(out).absolute().parent.is_dir():
        message = f"There is no folder for {out!r}; make it, or name another file."
        raise click.ClickException(message)
    try:
        with choose_listener() as listener:
            scored = novelty_dask.score(
                sources, run, column=column, time_column=time_column, listener=listener, scheduler=scheduler
            )
    except (NoveltyError, OSError) as error:
        raise click.ClickException(str(error)) from None
    # Times of one width sort as text.
    rows = scored.to_dataframe()[[*COLUMNS]].compute().sort_values(["first_seen", "url"])[skip:]
    stories = rows[rows.novelty_nearest >= min_novelty]
    with Path(out).open("w", encoding="utf-8") as file:
        for story in stories.astype(object).where(stories.notna(), None).to_dict("records"):
            file.write(json.dumps(story) + "\n")
    click.echo(f"{len(stories):,} of {len(scored):,} URLs were unlike all before them; they are in {out}")
    for story in stories.tail(20).itertuples():
        # repr, as a URL may contain control sequences for a terminal.
        click.echo(f"{story.first_seen}  {story.novelty_nearest:.3f}  {story.url!r}")


if __name__ == "__main__":
    main()
