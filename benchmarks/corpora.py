"""The corpora that benchmarks run on: the real one if its folder is named, else a made one."""

import lzma
import os
from itertools import islice
from pathlib import Path

from novelty_dask.datasets import make_urls

FOLDER = "NOVELTY_CORPORA"


def read_corpus(rows: int) -> list[str]:
    """The first lines of the real corpus, which are a random sample of it, or as many made URLs."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        print(f"{FOLDER} is not set: a made corpus is used, on which figures differ from real ones")
        return make_urls(rows)[0]
    with lzma.open(Path(folder, "urls_1m.txt.xz"), "rt", encoding="utf-8") as lines:
        return [line.rstrip("\n") for line in islice(lines, rows)]


def write_corpus(path: Path, rows: int) -> None:
    """Write so many lines of the corpus to a file."""
    path.write_text("".join(f"{url}\n" for url in read_corpus(rows)), encoding="utf-8")
