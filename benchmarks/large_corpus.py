"""Make a corpus of over five million distinct real URLs, from a file of URLs and three public repositories.

    git clone https://github.com/end-of-term/eot2024
    git clone https://github.com/trackawesomelist/trackawesomelist
    git clone https://github.com/justjavac/weibo-trending-hot-search
    python benchmarks/large_corpus.py --corpus urls_1m.txt.xz --clones . -o urls_5m.txt

The first has the sitemaps of large government sites, the second lists of links, the third searches of one
site.  No URL is visited.  Lines are in an order that follows from the URLs alone, so that the first lines are
a random sample.  It takes about 2 GB of memory.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import click
from corpora import corpus_option, find_corpus, open_corpus

LINK = re.compile(r"https?://[^\s<>\"'()\[\]`|\\,]+")
TRENDS = "https://s.weibo.com"


def find_lines(text: str) -> Iterator[str]:
    """Yield the lines that are URLs, and the URLs in other lines."""
    for line in map(str.strip, text.splitlines()):
        if line.startswith(("http://", "https://")) and " " not in line and ",http" not in line:
            yield line
        else:
            yield from LINK.findall(line)


def find_links(text: str) -> Iterator[str]:
    """Yield the URLs in a text."""
    for link in LINK.findall(text):
        yield link.rstrip(".:;!?*")


def find_trends(text: str) -> Iterator[str]:
    """Yield the URLs of a list of searches, which lack their host."""
    for entry in json.loads(text):
        yield TRENDS + entry["url"]


class Repository(NamedTuple):
    """A public repository that holds URLs.

    Parameters
    ----------
    name : str
        Name of the clone.
    folder : str
        Folder of the files that are read.
    suffixes : tuple of str
        How their names end.
    find : callable
        What yields the URLs of a file.
    """

    name: str
    folder: str
    suffixes: tuple[str, ...]
    find: Callable[[str], Iterator[str]]


REPOSITORIES = (
    Repository("eot2024", "seed-lists", (".txt", ".csv"), find_lines),
    Repository("trackawesomelist", "content", (".md",), find_links),
    Repository("weibo-trending-hot-search", "raw", (".json",), find_trends),
)


def read_urls(repository: Repository, clone: Path) -> Iterator[str]:
    """Yield the URLs in the newest commit of a clone, bare or not; say how many files it lacks."""
    git = ["git", "-C", str(clone)]
    listed = subprocess.run(
        [*git, "ls-tree", "-rz", "HEAD", repository.folder], capture_output=True, check=False
    )
    if listed.returncode or not listed.stdout:
        raise SystemExit(f"{clone} is no clone of {repository.name}; clone it anew.")
    entries = (entry.decode("utf-8", "replace").split("\t") for entry in listed.stdout.split(b"\0")[:-1])
    blobs = [head.split()[2] for head, path in entries if path.endswith(repository.suffixes)]
    missing = 0
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{blob}\n" for blob in blobs).encode())
        wanted.seek(0)
        # A clone may be partial; nothing that it lacks is asked for elsewhere.
        batch = [*git, "-c", "remote.origin.promisor=false", "cat-file", "--batch"]
        with subprocess.Popen(batch, stdin=wanted, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for head in process.stdout:
                if head.endswith(b" missing\n"):
                    missing += 1
                    continue
                content = process.stdout.read(int(head.split()[2]) + 1)
                yield from repository.find(content.decode("utf-8", "replace"))
    if missing:
        click.echo(f"{missing} of {len(blobs)} files are not in {repository.name}", err=True)


def shuffle(urls: set[str]) -> list[str]:
    """Return URLs in an order that follows from their content, and from nothing else."""
    return sorted(urls, key=lambda url: blake2b(url.encode("utf-8", "surrogatepass"), digest_size=8).digest())


@click.command(help=__doc__)
@corpus_option
@click.option(
    "--clones",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder with the clones.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="File of one URL a line."
)
def main(corpus: Path | None, clones: Path, output: Path) -> None:
    """Write the corpus."""
    found, urls = find_corpus(corpus), set[str]()
    if found is None:
        raise click.UsageError("Name a file of URLs as --corpus.")
    with open_corpus(found) as lines:
        urls.update(line.rstrip("\n") for line in lines)
    click.echo(f"{len(urls):>9,} in {found.name}")
    for repository in REPOSITORIES:
        before = len(urls)
        urls.update(read_urls(repository, clones / repository.name))
        click.echo(f"{len(urls) - before:>9,} more in {repository.name}")
    with output.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        file.writelines(url + "\n" for url in shuffle(urls))
    click.echo(f"{len(urls):>9,} in {output}")


if __name__ == "__main__":
    main()
