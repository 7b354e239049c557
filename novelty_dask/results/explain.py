"""Explanations of URLs: what each feature adds to their numbers, and what their neighbors share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.errors import InputError, SettingsError, StoreError, shell_quoted
from novelty_dask.features.choose import make_features
from novelty_dask.features.marks import join_characters, mark_places
from novelty_dask.features.places import choose_places
from novelty_dask.results.explanations import (
    ExplainedFeature,
    ExplainedNeighbor,
    Explanation,
    SharedFeature,
)
from novelty_dask.results.lookup import (
    COLUMNS,
    WeighedUrl,
    check_url,
    compare,
    find_row,
    normal_form,
    read_columns,
    read_standing,
)
from novelty_dask.results.shares import share

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from novelty_dask.features.places import Place
    from novelty_dask.results.lookup import Standing
    from novelty_dask.results.results import Results
    from novelty_dask.results.shares import Shares
    from novelty_dask.storage.manifest import Manifest

LARGEST_ERROR = 1e-5
"""How far a similarity may be from the one that is stored by rounding alone."""


class Explainer:
    """Source of explanations of the URLs of a run, and of new ones.

    Parameters
    ----------
    results : Results
    manifest : Manifest
    url : str
        Of the run.

    Raises
    ------
    SettingsError
        The features are those of a vectorizer.
    """

    def __init__(self, results: Results, manifest: Manifest, url: str) -> None:
        self.settings = settings = manifest.settings
        if settings.features != "url" and settings.ngram_range is None:
            message = (
                f"The run {url!r} compares by a vectorizer, which does not tell where its features are; "
                "explain a run of the features url or ngrams."
            )
            raise SettingsError(message)
        self._results, self._manifest, self._url = results, manifest, url
        self._features, self._find_places = make_features(settings), choose_places(settings)
        # Read once, as each of them has a number for each column.
        arrays = results.arrays
        self._ranks = arrays.read("columns/rank")
        self._idf, self._frequency = (arrays.read(f"columns/{name}") for name in COLUMNS)
        self._n_columns = int(self._ranks.max()) + 1

    def explain(self, url: str, by: str) -> Explanation:
        """Return what makes a URL as novel as it is.

        Raises
        ------
        InputError
            A run would reject the URL, or it is new and can't be compared with the rows.
        StoreError
            The features of the run are not those of this version.
        """
        form, results = self.settings.normal_form, self._results
        text = check_url(url, form)
        row = find_row(results, text, form)
        if results.is_in_time:
            self._idf, self._frequency = read_columns(results, row)
        if row is None:
            self._check_reference(url)
            weighed = self._weigh(text)
            standing = compare(results, weighed, self._n_columns, self.settings.n_neighbors)
            n_possible = results.n_rows
        else:
            text = str(results.urls(np.array([row]))[0])
            weighed, standing = self._weigh(text), read_standing(results, row)
            assert self._manifest.plan
            n_possible = self._manifest.plan.possible_neighbors
        weights = self._weigh_neighbors(standing.urls, weighed.columns)
        own = weighed.weights.astype(np.float64)
        self._check_similarities(weights * own, standing.similarities)
        shares = share(own, weights, standing, min(self.settings.n_neighbors, n_possible))
        views = standing.views
        if row is None and not np.isnan(views["novelty"]):
            # Both sums in the order of columns, as a run adds them up: NumPy adds in pairs.
            squares = own * own
            left = np.cumsum(np.where(shares.views["uncovered"] > 0, squares, 0))[-1]
            views = {**views, "uncovered": float(left / np.cumsum(squares)[-1])}
        return self._assemble(text, row, by, weighed, standing._replace(views=views), shares)

    def _check_reference(self, url: str) -> None:
        """Refuse to compare a new URL with rows that it can't be compared with.

        Raises
        ------
        InputError
            The run was compared with a reference itself, or lacks tasks.
        """
        reference = self._manifest.reference
        if reference:
            name = reference.each[0].url
            message = (
                f"{self._url!r} does not hold {url!r}, and its neighbors are rows of a reference; explain it "
                f"by that: `novelty explain {shell_quoted(name)} …`."
            )
            raise InputError(message)
        if self._manifest.is_partial:
            message = (
                f"{self._url!r} does not hold {url!r} and lacks tasks that were given up, so that nothing "
                f"can be compared with it; `novelty resume {shell_quoted(self._url)}` does them."
            )
            raise InputError(message)

    def _weigh(self, url: str) -> WeighedUrl:
        """Return the weights of a URL in the order in which they are added up."""
        counts = self._features.count([normal_form(url, self.settings.normal_form)])
        row = self._features.weigh(counts, self._idf)
        columns, ranks = row.indices.astype(np.int64), self._ranks[row.indices]
        # What the run lacks comes behind all else, as it does in a run that is compared with this one.
        order = np.lexsort((columns, np.where(ranks < 0, np.iinfo(np.int32).max, ranks)))
        return WeighedUrl(columns[order], ranks[order], row.data[order])

    def _weigh_neighbors(self, urls: Sequence[str], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weights that neighbors have in some columns, shape (n_neighbors, n)."""
        # From their URLs, as a reference may be gone: hashed anew, they are the same bits.
        lines = [normal_form(url, self.settings.normal_form) for url in urls]
        rows = self._features.weigh(self._features.count(lines), self._idf)
        weights: NDArray[np.float64] = rows[:, columns].toarray().astype(np.float64)
        return weights

    def _check_similarities(self, products: NDArray[np.float64], similarities: Sequence[float]) -> None:
        """Refuse a run whose similarities are not those of the features of this version.

        Raises
        ------
        StoreError
            It is such a run.
        """
        if np.abs(products.sum(axis=1) - similarities).max(initial=0) > LARGEST_ERROR:
            made = self._manifest.identity.novelty_dask_version
            message = (
                f"The run {self._url!r} was made by novelty_dask {made}, whose features differ from those of "
                "this version; score it again."
            )
            raise StoreError(message)

    def _assemble(
        self,
        url: str,
        row: int | None,
        by: str,
        weighed: WeighedUrl,
        standing: Standing,
        shares: Shares,
    ) -> Explanation:
        """Return an explanation of all numbers."""
        places = [*self._find_places(url)]
        n_own = self._count_itself(row)
        frequency = self._frequency[weighed.columns]
        # Of rows that were added later the frequencies say nothing, but they may be neighbors.
        is_shared = np.asarray((shares.products > 0).any(axis=0))
        order = np.argsort(-shares.views[by], kind="stable")
        by_column = _by_column(places)
        features = [
            ExplainedFeature(
                text=_text(url, by_column[column][0]),
                parts=join_characters(set().union(*(place.characters for place in by_column[column]))),
                column=column,
                is_gram=by_column[column][0].is_gram,
                document_frequency=int(frequency[slot]),
                is_only_here=bool(frequency[slot] <= n_own and not is_shared[slot]),
                contributions={name: float(share[slot]) for name, share in shares.views.items()},
            )
            for slot, column in zip(order, weighed.columns[order].tolist(), strict=True)
        ]
        texts = {feature.column: feature.text for feature in features}
        others = {feature.column for feature in features if not feature.is_only_here}
        pairs = zip(standing.urls, standing.similarities, shares.products, strict=True)
        return Explanation(
            run=self._url,
            url=url,
            row=row,
            reference=self._manifest.reference.url if self._manifest.reference else None,
            by=by,
            views=standing.views,
            features=tuple(features),
            rests={name: shares.rests.get(name, 0.0) for name in standing.views},
            parts=mark_places(places, others, len(url)),
            neighbors=tuple(self._explain_neighbor(pair, weighed.columns, places, texts) for pair in pairs),
        )

    def _count_itself(self, row: int | None) -> int:
        """Return how often a row is counted in the frequencies of its columns."""
        # Frequencies of a reference, or of the rows before a period, are of others.
        if row is None or self._manifest.reference or self._results.is_in_time:
            return 0
        segments = self._manifest.identity.segments
        return int(
            not segments
            or self._results.arrays.read("rows/position", slice(row, row + 1))[0] < segments[0].lines
        )

    def _explain_neighbor(
        self,
        pair: tuple[str, float, NDArray[np.float64]],
        columns: NDArray[np.int64],
        places: Sequence[Place],
        texts: dict[int, str],
    ) -> ExplainedNeighbor:
        """Return what carries the similarity of a neighbor."""
        url, similarity, products = pair
        order = [slot for slot in np.argsort(-products, kind="stable") if products[slot] > 0]
        shared = [int(columns[slot]) for slot in order]
        carried = [
            SharedFeature(texts[column], column, float(products[slot]))
            for column, slot in zip(shared, order, strict=True)
        ]
        theirs, among = self._find_places(url), {*shared}
        return ExplainedNeighbor(
            url=url,
            similarity=similarity,
            shared=tuple(carried),
            parts=_characters(theirs, among),
            own_parts=_characters(places, among),
        )


def _by_column(places: Iterable[Place]) -> dict[int, list[Place]]:
    """Return the places of each column."""
    found: dict[int, list[Place]] = {}
    for place in places:
        found.setdefault(place.column, []).append(place)
    return found


def _text(url: str, place: Place) -> str:
    """Return the characters of a place."""
    return "…".join(url[start:stop] for start, stop in join_characters(place.characters))


def _characters(places: Iterable[Place], columns: set[int]) -> list[tuple[int, int]]:
    """Return the parts of a URL that come from its n-grams in some columns."""
    shared = (place.characters for place in places if place.is_gram and place.column in columns)
    return join_characters(set().union(*shared))
