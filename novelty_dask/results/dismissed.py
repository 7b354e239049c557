"""Rows that a user knows and has dismissed: hosts, pages and templates, one a line of a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from novelty_dask.errors import reading_errors
from novelty_dask.results.groups import from_readable, hosts, pages, templates

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMMENT = re.compile(r"#(?:\s|#|\Z)")
_IS_BARE = re.compile(r"[^/?#@:\s]+|\[[^\]]*\]")


class Dismissed:
    """Hosts, pages and templates that are dismissed, and how many rows they left out.

    Parameters
    ----------
    lines : iterable of str
        A line that is a host leaves out its rows and those of all hosts below it; a registered domain is so a
        whole site.  One with a symbol such as ``{digits}`` is a template, and any other a page, in whatever
        spelling.  Blank lines and those that begin with ``#`` and a space are passed over.

    Attributes
    ----------
    n_left_out : int
        Rows that were left out.
    """

    def __init__(self, lines: list[str]) -> None:
        entries = [line.strip() for line in lines]
        entries = [line for line in entries if line and not COMMENT.match(line)]
        shapes = [from_readable(line) for line in entries]
        masked = [shape for shape, line in zip(shapes, entries, strict=True) if shape != line]
        plain = [line for shape, line in zip(shapes, entries, strict=True) if shape == line]
        # With slashes before it, a name without a dot is a host too.
        bare = [f"//{line.removeprefix('*.')}" for line in plain if _IS_BARE.fullmatch(line)]
        self._hosts = _names(hosts, bare) - {""}
        self._forms = [(pages, _names(pages, plain)), (templates, _names(templates, masked))]
        self.n_left_out = 0

    @classmethod
    def read(cls, path: str | PathLike[str] | Dismissed) -> Dismissed:
        """Return what a file dismisses.

        Raises
        ------
        InputError
            It can't be read.
        """
        if isinstance(path, Dismissed):
            return path
        # Whatever is no text in it can't be that of a URL, and is no reason to refuse the rest.
        with reading_errors(f"Can't read {fspath(path)!r}"):
            return cls(Path(path).read_text(encoding="utf-8-sig", errors="replace").splitlines())

    def keeps(self, urls: pa.StringArray) -> NDArray[np.bool_]:
        """Return which URLs are not dismissed; count the others."""
        dismissed = np.zeros(len(urls), np.bool_)
        # Only what the file has is computed; for a file of hosts, nothing is compiled.
        if self._hosts:
            named = hosts(urls)
            is_below = np.array([self._has_host(host) for host in named.dictionary.to_pylist()], np.bool_)
            dismissed |= is_below[named.indices.to_numpy()]
        for find, names in self._forms:
            if names:
                dismissed |= np.fromiter((form in names for form in find(urls).to_pylist()), np.bool_)
        self.n_left_out += int(np.count_nonzero(dismissed))
        return ~dismissed

    def _has_host(self, host: str) -> bool:
        """Return whether a host or one above it is dismissed."""
        # An address has no host above it; that "0.0.7" is none does no harm, as nobody writes it.
        labels = host.split(".")
        return any(".".join(labels[start:]) in self._hosts for start in range(len(labels)))


def _names(find: Callable[[pa.StringArray], pa.Array], lines: list[str]) -> set[str]:
    """Return the names of lines."""
    return set(find(pa.array(lines, pa.string())).to_pylist())
