"""Texts of many rows in a file that is mapped into memory, read one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.engines.postings import map_temporary

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Texts:
    """Texts in UTF-8, one behind the other, and where each ends."""

    ends: NDArray[np.int64]
    characters: NDArray[np.uint8]

    @classmethod
    def of(cls, texts: list[str]) -> Texts:
        """Return texts, in a temporary file."""
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([0, *map(len, encoded)])
        characters = map_temporary(int(ends[-1]), np.uint8)
        characters[:] = np.frombuffer(b"".join(encoded), np.uint8)
        return cls(ends, characters)

    @classmethod
    def joined(cls, parts: list[Texts]) -> Texts:
        """Return the texts of all parts, in one temporary file."""
        characters = map_temporary(sum(part.characters.size for part in parts), np.uint8)
        ends, at = [np.zeros(1, np.int64)], 0
        for part in parts:
            characters[at : at + part.characters.size] = part.characters
            ends.append(part.ends[1:] + at)
            at += part.characters.size
        return cls(np.concatenate(ends), characters)

    def __getitem__(self, row: int) -> str:
        """Return a text by its number."""
        return self.characters[self.ends[row] : self.ends[row + 1]].tobytes().decode()
