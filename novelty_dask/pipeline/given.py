"""Sources as a user gives them: names of files, streams that can be read once, and URLs in memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, cast

from novelty_dask.errors import without_secrets
from novelty_dask.execution.clusters.workers import gather_calls
from novelty_dask.execution.partitions import compute_partitions, is_collection, n_partitions
from novelty_dask.objects.address import is_inside, open_objects
from novelty_dask.sources.find import MEMORY, PIPE, REMOTE, STDIN, Source, find_sources, source_names
from novelty_dask.sources.memory import TextStream, check_texts
from novelty_dask.sources.remote import is_list, opener_of
from novelty_dask.sources.streams import Stream, copy_stream, identify, open_pipe, standard_input
from novelty_dask.storage.runs import copy_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from distributed import Client

    from novelty_dask.events import Listener
    from novelty_dask.sources.pieces import Check
    from novelty_dask.storage.runs import StoredRun
    from novelty_dask.storage.totals import Reference


class Feed(Protocol):
    """Giver of the bytes of a source that can be read but once."""

    def peek(self) -> bytes:
        """Return the first bytes, decompressed, and leave them there; none if they can't be known."""
        ...

    def copy(self, run: StoredRun, source: Source, check: Check) -> Source:
        """Keep a copy in a run, and return the source with its size and hash."""
        ...

    def identify(self, source: Source) -> Source:
        """Return what `copy` would, and copy nothing."""
        ...


class Given(NamedTuple):
    """Sources as a user names them.

    Parameters
    ----------
    sources : list of Source
    feeds : dict of str to Feed
        Those of them that can be read but once, by their URLs.
    reference : Reference or None
        The run to compare them with, as the user names it now.
    """

    sources: list[Source]
    feeds: dict[str, Feed]
    reference: Reference | None = None

    def peek(self, source: Source) -> bytes:
        """Return the first bytes of a stream, and leave them there."""
        return self.feeds[source.url].peek()

    def without(self, run: str) -> Given:
        """Return the same without the files of the run that is made from them."""
        return self._replace(sources=[source for source in self.sources if not is_inside(source.url, run)])

    def identified(self, stored: StoredRun | None) -> Given:
        """Return the same, with the hashes of streams that a run has copies of, for which they are read."""
        # Otherwise they are read later, when they are copied.
        if stored is None or not any(
            source.is_stream and source.version for source in stored.manifest.sources
        ):
            return self
        known = [
            self.feeds[source.url].identify(source) if source.is_stream else source for source in self.sources
        ]
        return self._replace(sources=known)


class StreamFeed:
    """Feed of a binary stream.

    Parameters
    ----------
    stream : Stream
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def peek(self) -> bytes:
        """Return the first bytes."""
        return self._stream.peek()

    def copy(self, run: StoredRun, source: Source, check: Check) -> Source:
        """Copy the stream."""
        return self._stream.copy(source, run.objects, copy_key(source), check)

    def identify(self, source: Source) -> Source:
        """Read the stream."""
        return self._stream.identify(source)


class PartitionFeed:
    """Feed of the partitions of a Dask collection, each a source of its own; all are computed together.

    Parameters
    ----------
    collection : Bag, Series or Array of Dask
    client : distributed.Client or None
        Works on its scheduler.
    """

    def __init__(self, collection: Any, client: Client | None) -> None:
        gather = partial(gather_calls, client) if client is not None else None
        self._compute = partial(compute_partitions, collection, gather=gather)
        self._found: list[Source] = []

    def peek(self) -> bytes:
        """Return nothing."""
        return b""

    def copy(self, run: StoredRun, source: Source, _check: Check) -> Source:
        """Let the workers copy all partitions, and return the one that is asked for."""
        self._found = self._found or self._compute(partial(_copy_partition, run.url))
        return self._found[number_of(source)]

    def identify(self, source: Source) -> Source:
        """Let the workers read all partitions, and return the one that is asked for."""
        self._found = self._found or self._compute(_identify_partition)
        return self._found[number_of(source)]


def number_of(source: Source) -> int:
    """Return the number of a part of what was in memory."""
    return int(source.url.removeprefix(MEMORY))


def _part(number: int) -> Source:
    """Return a part of what is in memory as a source that nobody has read."""
    return Source(f"{MEMORY}{number:05}", 0, None)


def _copy_partition(url: str, number: int, texts: Iterable[object]) -> Source:
    """Keep the texts of a partition in a run."""
    source = _part(number)
    stream = cast("BinaryIO", TextStream(texts))
    return copy_stream(stream, open_objects(url), copy_key(source), _check_nothing, source)


def _identify_partition(number: int, texts: Iterable[object]) -> Source:
    """Read the texts of a partition."""
    return identify(cast("BinaryIO", TextStream(texts)), _part(number))


def _check_nothing(_name: str, _beginning: bytes) -> None:
    """Take texts for what they are."""


def give_names(names: object, *, remote: bool = False, listener: Listener | None = None) -> Given:
    """Return the sources behind one name or several.

    Parameters
    ----------
    names : str, path, or iterable of them
    remote : bool
        True to take URLs of the web for those of lists.
    listener : Listener, optional
        Takes an event for each folder.

    Raises
    ------
    InputError
        One is no name, is a URL of the web, or matches nothing that can be read.
    """
    allows: Callable[[str], bool] = is_list if remote else lambda _: False
    named = source_names(names, allows)
    urls = [name for name in named if allows(name)]
    # Nobody asks for its size or version: one request is promised for each list.
    sources = [Source(f"{REMOTE}{without_secrets(url)}", 0, None) for url in urls]
    feeds: dict[str, Feed] = {
        source.url: StreamFeed(Stream(opener_of(url))) for source, url in zip(sources, urls, strict=True)
    }
    files = [name for name in named if not allows(name)]
    for found in find_sources(files, listener) if files or not urls else ():
        source = found
        if found.url == STDIN:
            feeds[STDIN] = StreamFeed(Stream(standard_input, is_closed=False))
        elif found.url.startswith(PIPE):
            path = found.url.removeprefix(PIPE)
            # A shell may give the same pipe another number the next time.
            source = found._replace(url=f"{PIPE}{sum(url.startswith(PIPE) for url in feeds) + 1}")
            feeds[source.url] = StreamFeed(Stream(partial(open_pipe, path)))
        sources.append(source)
    return Given(sources, feeds)


def give_rows(texts: Iterable[str]) -> Given:
    """Return the texts of rows of other runs as a source."""
    stream = Stream(lambda: cast("BinaryIO", TextStream(texts, are_rows=True)))
    return Given([_part(0)], {_part(0).url: StreamFeed(stream)})


def give_texts(texts: Any, client: Client | None) -> Given:
    """Return URLs in memory as sources: one, or the partitions of a Dask collection.

    Raises
    ------
    InputError
        They are no URLs in an order.
    """
    if is_collection(texts):
        parts = [_part(number) for number in range(n_partitions(texts))]
        feed: Feed = PartitionFeed(texts, client)
    else:
        parts, texts = [_part(0)], check_texts(texts)
        feed = StreamFeed(Stream(lambda: cast("BinaryIO", TextStream(texts))))
    return Given(parts, dict.fromkeys((part.url for part in parts), feed))
