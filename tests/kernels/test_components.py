import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from novelty_dask.kernels.components import connect, find_roots

N_ROWS = 30
PAIRS = st.lists(st.tuples(st.integers(0, N_ROWS - 1), st.integers(0, N_ROWS - 1)), max_size=40)


@settings(deadline=None)
@given(PAIRS, st.integers(0, 40))
def test_roots_are_the_first_rows_of_components(pairs: list[tuple[int, int]], cut: int) -> None:
    rows, others = np.array(pairs, np.int64).reshape(-1, 2).T
    links = np.arange(N_ROWS)
    for part in (slice(cut, None), slice(cut)):
        connect(links, rows[part].copy(), others[part].copy())
    find_roots(links)
    graph = sp.coo_matrix((np.ones(rows.size), (rows, others)), shape=(N_ROWS, N_ROWS))
    _, labels = connected_components(graph, directed=False)
    assert links.tolist() == [int(np.flatnonzero(labels == label)[0]) for label in labels]
