"""The most novel of a list of URLs, those around rank 1,000, and how many of them are noise.

    python benchmarks/top_of_list.py --rows 100000 --rows 994345 --output benchmarks/results/top_of_list.json

*Noise* is what nobody wants to read first: a URL of more than 150 characters, or with 40 % of its characters
in random tokens, as the features of URLs mask them.  URLs are shown without scheme, values and middle, with
brackets around their dots.
"""

import re
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import click
from corpora import corpus_option, name_of, write_corpus
from results import Entry, add_entries

import novelty_dask
from novelty_dask.cli.marked import shorten
from novelty_dask.cli.terminal import defang
from novelty_dask.features.masks import mask
from novelty_dask.features.spanned import Spanned

KEY = ("rows", "features", "by", "place")
VIEWS = ("novelty", "novelty_nearest", "uncovered")
SHOWN, AROUND, WIDTH = 30, 1_000, 72
LONGEST, MOST_RANDOM = 150, 0.4


@click.command(help=__doc__)
@click.option("--rows", multiple=True, default=[20_000], help="Lines to score; repeat for more.")
@click.option("--features", multiple=True, default=["url", "ngrams"], help="Features; repeat for more.")
@click.option("--workers", default=2, help="Worker processes.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(**options: Any) -> None:
    """Score each size by each of the features."""
    for rows, features in product(options["rows"], options["features"]):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "urls.txt")
            write_corpus(source, rows, options["corpus"])
            out = Path(folder, "run.zarr")
            run = novelty_dask.score(source, out, features=features, workers=options["workers"])
            entries = [entry for by in VIEWS for entry in look(run, by)]
        named = [{"rows": rows, "features": features, **entry} for entry in entries]
        for entry in named:
            click.echo(
                "{rows:,} lines, {features}, {place} by {by}: {noise} of {shown} are noise".format(**entry)
            )
        add_entries(options["output"], name_of(options["corpus"]), named, KEY)


def look(run: novelty_dask.Run, by: str) -> list[Entry]:
    """Return the first rows of a run in an order, and those around rank 1,000."""
    top = run.top(AROUND + SHOWN // 2, by=by)
    places = {"first": top[:SHOWN], f"around {AROUND:,}": top[-SHOWN:]}
    return [
        {
            "by": by,
            "place": place,
            "shown": len(part),
            "noise": sum(map(is_noise, part.url)),
            "urls": [
                [float(value), is_noise(url), show(url)]
                for url, value in zip(part.url, part[by], strict=True)
            ],
        }
        for place, part in places.items()
    ]


def is_noise(url: str) -> bool:
    """Return whether a URL is long, or most of it random.

    >>> is_noise("a.example/dl/5QqWz8rT3kLm9xYb2NcV"), is_noise("a.example/about/people")
    (True, False)
    """
    return len(url) > LONGEST or count_random(url) >= MOST_RANDOM * len(url)


def count_random(url: str) -> int:
    """Return the number of bytes of a URL in random tokens.

    >>> count_random("a.example/5QqWz8rT3kLm?id=d3b07384d113edec")
    28
    """
    line = url.encode().decode("latin-1")
    masked = mask(Spanned(line, tuple((place, place + 1) for place in range(len(line)))))
    spans = zip(masked.text, masked.spans, strict=True)
    return sum(stop - start for char, (start, stop) in spans if ord(char) > 255)


def show(url: str) -> str:
    """Return a URL as it is printed: short, no link, and without values that may be personal.

    >>> show("https://a.example/x?id=7&mail=me%40b.example")
    'a[.]example/x?id=…&mail=…'
    """
    address, mark, query = (url.partition("://")[2] or url).partition("?")
    return shorten("".join(defang(address + mark + re.sub("=[^&]*", "=…", query))), WIDTH)


if __name__ == "__main__":
    main()
