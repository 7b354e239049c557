import psutil
import pytest

from novelty_dask.execution.clusters.resources import SMALL_BYTES, Resources, available_cores, local_resources


@pytest.mark.parametrize("n_bytes", [0, SMALL_BYTES])
def test_small_corpora_are_done_here(n_bytes: int) -> None:
    resources = local_resources(n_bytes)
    assert resources[:2] == (0, 1)
    assert 0 < resources.memory_limit < psutil.virtual_memory().total
    assert local_resources(n_bytes, threads=4).threads == 1


def test_large_corpora_get_all_cores_and_share_the_memory() -> None:
    one, all_cores = local_resources(10**9, workers=1), local_resources(10**9)
    assert all_cores.workers == available_cores()
    assert all_cores.memory_limit * all_cores.workers == pytest.approx(one.memory_limit, rel=0.2)
    assert local_resources(10**9, threads=10_000)[:2] == (1, 10_000)


def test_what_was_asked_for_is_given() -> None:
    assert local_resources(0, 3, 2, 10**9) == Resources(3, 2, 10**9)
    assert local_resources(10**12, 0, 2, 10**9) == Resources(0, 1, 10**9)
