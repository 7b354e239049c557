"""Marks of what is new in a line: the characters of the features that none of its neighbors has."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from novelty_dask.features.places import choose_places
from novelty_dask.kernels.text.urls import normalize

if TYPE_CHECKING:
    from novelty_dask.features.features import Features
    from novelty_dask.features.places import FindPlaces, Place
    from novelty_dask.settings import ResultSettings

REMEMBERED = 4_096
"""Lines whose features are kept: rows beside each other have many neighbors in common."""
Marks = Sequence[tuple[int, int]]
"""Start and end of each part of a line that is new, in characters."""
FindMarks = Callable[[str, Iterable[str]], Marks]
"""Returns the marks of a line beside its neighbors."""


def choose_marks(
    settings: ResultSettings, make: Callable[[ResultSettings], Features] | None = None
) -> FindMarks:
    """Return what finds the marks of the URLs of a run, as they were written.

    Parameters
    ----------
    settings : ResultSettings
        Settings of the run.
    make : callable, optional
        Makes the features of the run, as `make_features` does.  Of many rows marks are then found several
        times as fast; without it nothing has to be compiled first.

    Raises
    ------
    SettingsError
        The features are those of a vectorizer.
    """
    find_places = choose_places(settings)
    if make is None:
        # Of this finder alone, so that what is remembered goes with it.
        return partial(find_marks, lru_cache(REMEMBERED)(lambda line: [*find_places(line)]))
    features, form = make(settings), settings.normal_form

    def find(line: str, neighbors: Iterable[str]) -> Marks:
        # The places of what neighbors have are of no interest.
        forms = [normalize(neighbor, form) or "" for neighbor in neighbors]
        columns = {*features.count(forms).indices.tolist()} if forms else ()
        return mark_places([*find_places(line)], columns, len(line))

    return find


def find_marks(find_places: FindPlaces, line: str, neighbors: Iterable[str]) -> list[tuple[int, int]]:
    """Return the parts of a line that come from features that no neighbor has.

    Parameters
    ----------
    find_places : callable
        Finds the features by which the lines were compared.
    line : str
    neighbors : iterable of str
        The lines of its nearest neighbors.

    Returns
    -------
    list of (int, int)
        Start and end of each part, in characters, in order.  None exactly where each feature of the line is
        in one of its neighbors.

    Examples
    --------
    >>> from functools import partial
    >>> from novelty_dask.features.places import find_url_places
    >>> find_places = partial(find_url_places, n_features=2**22)
    >>> [(start, stop)] = find_marks(find_places, "a.example/x/new", ["a.example/x/old"])
    >>> "a.example/x/new"[start:stop]
    'new'
    """
    columns = {place.column for neighbor in neighbors for place in find_places(neighbor)}
    return mark_places([*find_places(line)], columns, len(line))


def mark_places(places: Sequence[Place], columns: Container[int], length: int) -> list[tuple[int, int]]:
    """Return the parts of a line that come from features which are none of some columns.

    Parameters
    ----------
    places : sequence of Place
        All features of the line.
    columns : container of int
        Columns that are known.
    length : int
        Characters of the line.
    """
    new = [place for place in places if place.column not in columns]
    # What makes an n-gram new are those of its characters that no known one has, unless it is how they meet.
    known = set().union(*(place.characters for place in places if place.is_gram and place.column in columns))
    marked: set[int] = set()
    for place in new:
        marked |= (place.is_gram and place.characters - known) or place.characters
    # Marks of the start and the end of a part have no character: what is new is where the line ends.
    if new and not marked:
        marked = {length - 1}
    return join_characters(marked)


def join_characters(characters: Iterable[int]) -> list[tuple[int, int]]:
    """Return runs of consecutive numbers, in order.

    >>> join_characters([4, 0, 1])
    [(0, 2), (4, 5)]
    """
    runs: list[tuple[int, int]] = []
    for index in sorted(characters):
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs
