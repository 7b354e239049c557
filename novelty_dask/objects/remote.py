"""Objects in an object store, by the synchronous calls of obstore."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import GCSStore, S3Store

from novelty_dask.errors import NoveltyError, StoreError, UnreachableError
from novelty_dask.objects.creation import create_object
from novelty_dask.objects.failures import advice_on, said_by
from novelty_dask.objects.protocol import is_partial, partial_name
from novelty_dask.objects.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from novelty_dask.objects.protocol import Data

PART_BYTES = 2**23
"""Bytes of a part of a stream; the largest stream has 10,000 of them."""
PARTS_AT_ONCE = 4
PAGE = 1_000
"""Keys that a store lists by one request."""
PAGES_IN_LINE = 4
"""Pages that are listed one after the other, before it is worthwhile to begin at many keys at once."""
LISTERS = 16
STARTS = ["", *(f"{first}{second}" for first in "123456789" for second in ("", *"123456789")), ":"]
"""Beginnings of names, in order, between which there are about as many names of tasks and chunks."""


class RemoteObjects:
    """Objects in a store that stores objects whole or not at all.

    Parameters
    ----------
    url : str
        As the user names it, without credentials.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.store, self.root = open_store(url)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Return what opens it elsewhere, with the credentials that are there."""
        return RemoteObjects, (self.url,)

    def read(self, key: str) -> bytes:
        """Get an object."""
        with self._reaching():
            try:
                return bytes(self.store.get(self._path(key)).bytes())
            except FileNotFoundError:
                raise KeyError(key) from None

    def write(self, key: str, data: Data) -> None:
        """Put an object."""
        with self._reaching():
            # In one request, however long: an upload in parts that is broken off leaves parts that nobody
            # sees and somebody pays for.
            self.store.put(self._path(key), _plain(data), use_multipart=False)

    def write_stream(self, key: str, chunks: Iterable[Data]) -> int:
        """Put an object in parts, which becomes visible when all are there."""
        length = 0

        def counted() -> Iterator[Data]:
            nonlocal length
            for chunk in chunks:
                length += len(chunk)
                yield _plain(chunk)

        stream, head = counted(), bytearray()
        while len(head) < PART_BYTES and (chunk := next(stream, None)) is not None:
            head += chunk
        if len(head) < PART_BYTES:
            self.write(key, bytes(head))
            return length
        with self._reaching():
            self.store.put(
                self._path(key),
                chain([bytes(head)], stream),
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
        return length

    def create(self, key: str, data: Data) -> bool:
        """Put an object if the key is not taken."""
        with self._reaching():
            try:
                self.store.put(self._path(key), _plain(data), mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
        return True

    def check_creation(self) -> None:
        """Create an object twice, which a store that ignores the condition does not refuse."""
        # Of a client that is killed here, `sweep` removes it, and until then it counts as nothing.
        key = partial_name("probe")
        create_object(self, key, b"first")
        try:
            is_ignored = self.create(key, b"second")
        except OSError:
            # The answer may be lost alone.
            is_ignored = self.read(key) != b"first"
        with suppress(UnreachableError) if is_ignored else nullcontext():
            self.remove(key)
        if is_ignored:
            message = (
                f"The store of {self.url!r} ignores If-None-Match, so that two clients could overwrite each "
                "other's work; nothing was written: use a store that honors it."
            )
            raise StoreError(message)

    def remove(self, key: str) -> None:
        """Delete an object, or all under a prefix."""
        if key and not key.endswith("/"):
            with suppress(FileNotFoundError), self._reaching():
                self.store.delete(self._path(key))
            return
        paths = [self._path(found) for found in self._find(key)]
        for start in range(0, len(paths), PAGE):
            with suppress(FileNotFoundError), self._reaching():
                self.store.delete(paths[start : start + PAGE])

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """List the keys under a prefix."""
        return {key: size for key, size in self._find(prefix).items() if not is_partial(key)}

    def _find(self, prefix: str) -> dict[str, int]:
        """Return the sizes of all objects under a prefix, whole or not."""
        found = dict[str, int]()
        with self._reaching():
            for number, page in enumerate(self._pages(prefix), 1):
                found.update(page)
                # Other stores would list all keys for each of the names.
                if number == PAGES_IN_LINE and isinstance(self.store, (S3Store, GCSStore)):
                    found.update(self._rest(prefix, max(found)[len(prefix) :]))
                    break
        return found

    def _rest(self, prefix: str, name: str) -> dict[str, int]:
        """List the keys under a prefix that follow a name, from many names at once."""
        starts = [name, *(start for start in STARTS if start > name), None]
        with ThreadPoolExecutor(LISTERS) as pool:
            return dict(chain.from_iterable(pool.map(partial(self._between, prefix), starts, starts[1:])))

    def _between(self, prefix: str, after: str | None, last: str | None) -> list[tuple[str, int]]:
        """List the keys under a prefix that follow a name, up to another."""
        found = list[tuple[str, int]]()
        for page in self._pages(prefix, after):
            found += (item for item in page.items() if last is None or item[0] <= prefix + last)
            if last is not None and max(page) > prefix + last:
                break
        return found

    def _pages(self, prefix: str, after: str | None = None) -> Iterator[dict[str, int]]:
        """Yield the keys under a prefix, from a name on, in the pages of the store's answers."""
        start = len(f"{self.root}/") if self.root else 0
        offset = None if after is None else f"{self.root}/{prefix}{after}"[0 if self.root else 1 :]
        for page in self.store.list(self._path(prefix), offset=offset, chunk_size=PAGE):
            yield {entry["path"][start:]: entry["size"] for entry in page}

    def modified(self, key: str) -> float | None:
        """Ask for the time that the store gave the object."""
        with suppress(FileNotFoundError), self._reaching():
            return float(self.store.head(self._path(key))["last_modified"].timestamp())
        return None

    def lengths(self) -> Callable[[str], int | None]:
        """List the folders of the keys, each once."""
        # A request for a folder lists a thousand keys; one for each key would take as many requests.
        listed = cache(self.sizes)
        return lambda key: listed(f"{key.partition('/')[0]}/").get(key)

    def exists(self) -> bool:
        """Return whether anything is there."""
        with suppress(FileNotFoundError), self._reaching():
            if any(not is_partial(key) for page in self._pages("") for key in page):
                return True
            if self.root:
                self.store.head(self.root)
                return True
        return False

    def sweep(self) -> int:
        """Delete the probes of killed clients; all other objects are never seen before they are whole."""
        partial = [key for key in self._find("") if is_partial(key)]
        for key in partial:
            self.remove(key)
        return len(partial)

    def _path(self, key: str) -> str:
        """Return the path of an object, or of a prefix, in the store."""
        return f"{self.root}/{key}".strip("/")

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn errors of the store into one of this package."""
        try:
            yield
        except (FileNotFoundError, NoveltyError):
            raise
        except BaseError as error:
            message = f"The store of {self.url!r} fails: {said_by(error)}; {advice_on(error)}."
            # Not from it: its text may hold the signature of a request, and a traceback would show it.
            raise UnreachableError(message) from None


def _plain(data: Data) -> Data:
    """Return the same bytes, as unsigned ones."""
    # Arrow's are signed, and those obstore takes for numbers.
    return data if isinstance(data, bytes) else memoryview(data).cast("B")
