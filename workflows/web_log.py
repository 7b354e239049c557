"""Requests to a site that are unlike all others, from its access logs.

    python workflows/web_log.py access.log* --host www.example.org --out requests.csv

Most requests of a log repeat pages that are known.  What attackers and broken programs send has parts that no
other request has, so the rows are ordered by `uncovered`, and each template has one place, as a scan of a
thousand paths would fill the list otherwise.  Passwords and tokens in URLs are hidden in what is written.
"""

from pathlib import Path
from typing import Any

import click

import novelty_dask
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.errors import NoveltyError


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True)
@click.option("--host", help="Host of requests that were logged without one.")
@click.option("--run", default="web-log.zarr", show_default=True, help="Path of the run.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    default="requests.csv",
    show_default=True,
    help="File of rows.",
)
@click.option("--per-template", type=click.IntRange(1), default=1, show_default=True, help="Rows of each.")
@click.option("--known", type=click.Path(dir_okay=False), help="File of what is known, and not to be shown.")
def main(
    sources: tuple[str, ...], *, host: str | None, run: str, out: str, known: str | None, per_template: int
) -> None:
    """Score the requests of logs, write them with what is new in each, and print the first."""
    if not Path(out).absolute().parent.is_dir():
        message = f"There is no folder for {out!r}; make it, or name another file."
        raise click.ClickException(message)
    chosen: Any = {"per_template": per_template, "ignore": known}
    try:
        with choose_listener() as listener:
            scored = novelty_dask.score(
                sources, run, listener=listener, input_format="log", host=host, keep=["method", "status"]
            )
        columns = ["uncovered", "count", "method", "status", "url", "source", "line"]
        novelty_dask.export(
            scored, out, order="uncovered", columns=columns, overwrite=True, redact=True, **chosen
        )
        first = scored.top(20, by="uncovered", redact=True, **chosen)
    except (NoveltyError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{len(scored):,} different requests; those with most that is new are first in {out}")
    for row in first.fillna("-").to_dict("records"):
        request: dict[str, Any] = {str(name): value for name, value in row.items()}
        shown = "{method} {status}".format(**request)
        # repr, as a URL may contain control sequences for a terminal.
        click.echo("{uncovered:.3f}  {shown:<9}  {url!r}".format(**request, shown=shown))


if __name__ == "__main__":
    main()
