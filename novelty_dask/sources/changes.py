"""Differences between sources and the same sources as they were before: which differ, and how."""

from collections.abc import Iterator, Sequence

from novelty_dask.errors import InputError
from novelty_dask.sources.find import Source, expand


def describe_changes(before: Sequence[Source], now: Sequence[Source]) -> str:
    """Return the first difference between two lists of sources, and the number of the others.

    >>> old, new = Source("a.txt", 5, None, "1"), Source("a.txt", 6, None, "2")
    >>> describe_changes([old, Source("b.txt", 5, None)], [new])
    "'a.txt' had 5 bytes and has 6, and 1 other change"
    """
    first, *others = _changes(before, now) or ["they are in another order"]
    return first + (f", and {len(others):,} other change{'s' * (len(others) > 1)}" if others else "")


def describe_change(before: Source, now: Source) -> str:
    """Return how a source differs from what it was before, as the end of a sentence about it."""
    if before.n_bytes != now.n_bytes:
        return f"had {before.n_bytes:,} bytes and has {now.n_bytes:,}"
    if now.is_stream:
        return "has other bytes"
    if before.compression != now.compression:
        return f"was {before.compression or 'not compressed'} and is {now.compression or 'not compressed'}"
    # Versions are compared, and not shown: seconds since 1970 and hashes say nothing to a reader.
    return "has the same size, but another modification time or ETag"


def check_unchanged(source: Source, *, just_found: bool = False) -> None:
    """Refuse a source that has changed since its run was begun.

    Parameters
    ----------
    source : Source
        As it was when the run was begun.
    just_found : bool
        True if it was so a moment ago, too.

    Raises
    ------
    InputError
        It has changed, or it is gone.
    """
    # Several, where a folder has taken the place of a file.
    [now, *more] = expand(source.path)
    # A run of standard input, and a file system without versions, know the size alone.
    before = source._replace(version=source.version or now.version, url=now.url)
    if more or now != before:
        since, how = "has changed since the run was begun", f"it {describe_change(before, now)}"
        remedy = f"{since}; {how}: score it again into another path."
        if just_found:
            remedy = f"is being written to, and {since}: {how}; repeat the command when it is complete."
        message = f"{source.shown} {remedy}"
        raise InputError(message)


def _changes(before: Sequence[Source], now: Sequence[Source]) -> list[str]:
    """Return all differences but those of order: first of sources that there are now."""
    return [*_changed(before, now), *(f"{source.shown} is missing" for source in _only(before, now))]


def _changed(before: Sequence[Source], now: Sequence[Source]) -> Iterator[str]:
    """Yield a sentence on each source that is new, or not as it was."""
    known = {source.url: source for source in before}
    for source in now:
        if source.url not in known:
            yield f"{source.shown} is new"
        elif source != known[source.url]:
            yield f"{source.shown} {describe_change(known[source.url], source)}"


def _only(sources: Sequence[Source], others: Sequence[Source]) -> Iterator[Source]:
    """Yield the sources whose URLs are not among others."""
    urls = {source.url for source in others}
    return (source for source in sources if source.url not in urls)
