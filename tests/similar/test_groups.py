"""Groups: against the components of all pairs, for any cut, in memory that does not grow with pairs."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.engines.threshold import Pairs
from novelty_dask.errors import SettingsError
from novelty_dask.similar.forests import Reducer
from novelty_dask.similar.groups import make_groups

URLS, _ = novelty_dask.datasets.make_urls(400)


def by_hand(pairs: list[tuple[int, int, float]], n_rows: int) -> list[tuple[int, int, float, int]]:
    """Size, pairs, least similarity and representative of groups, by adding the best pairs first."""
    of = [{row} for row in range(n_rows)]
    least: dict[int, float] = {}
    for a, b, similarity in sorted(pairs, key=lambda pair: -pair[2]):
        if of[a] is not of[b]:
            joined = of[a] | of[b]
            for row in joined:
                of[row] = joined
            least[id(joined)] = similarity
    groups = sorted(
        {id(rows): rows for rows in of if len(rows) > 1}.values(), key=lambda g: (-len(g), min(g))
    )
    found = []
    for rows in groups:
        inside = [pair for pair in pairs if pair[0] in rows]
        degree = {row: sum(row in pair[:2] for pair in inside) for row in rows}
        found.append((len(rows), len(inside), least[id(rows)], min(rows, key=lambda r: (-degree[r], r))))
    return found


@pytest.mark.long
@pytest.mark.parametrize("at_least", [0.3, 0.6])
def test_groups_are_the_components_of_all_pairs_for_every_cut(tmp_path: Path, at_least: float) -> None:
    files = []
    for number, block_rows in enumerate((400, 30)):
        run = novelty_dask.score(urls=URLS, block_rows=block_rows, workers=0)
        frame = run.pairs(at_least=at_least)
        assert frame is not None
        pairs = list(zip(frame.row.tolist(), frame.other.tolist(), frame.similarity.tolist(), strict=True))
        found = novelty_dask.groups(run, at_least=at_least)
        assert found is not None
        columns = (found["size"], found.pairs, found.least_similarity, found.row)
        assert list(zip(*map(list, columns), strict=True)) == by_hand(pairs, len(run))
        out = tmp_path / f"{number}.csv"
        run.groups(out, at_least=at_least, members=True)
        of_groups, of_members = novelty_dask.groups_and_members(run, at_least=at_least)
        assert of_groups.equals(found)
        members = run.groups(at_least=at_least, members=True)
        assert members is not None
        assert of_members.equals(members)
        files.append(out.read_bytes())
    assert files[0] == files[1]
    assert len(files[0].splitlines()) > 100


def test_a_component_of_300_000_rows_takes_bounded_memory() -> None:
    n_rows = 300_000
    reducer = Reducer(n_rows)
    rng, rows = np.random.default_rng(3), np.arange(2**18)
    tracemalloc.start()
    chain = np.arange(n_rows - 1)
    reducer.add(Pairs(chain, chain + 1, np.full(n_rows - 1, 0.85, np.float32)))
    # Each pair once, as a search finds them.
    for step in range(2, 24_002, 1_000):
        similarities: Any = rng.uniform(0.8, 1, rows.size)
        reducer.add(Pairs(rows, rows + step, similarities.astype(np.float32)))
    found = make_groups(reducer.forest(), reducer._degrees)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.sizes.tolist() == [n_rows]
    assert found.least[0] >= np.float32(0.85)
    # Six million pairs are 126 MB by themselves; twice as many would take no more than this.
    assert peak < 400 * 2**20


def test_the_command_prints_and_writes_groups(tmp_path: Path) -> None:
    run = novelty_dask.score(urls=URLS, out=tmp_path / "run.zarr", workers=0)
    command = ["groups", run.url, "--at-least", "0.5", "-q"]
    printed = CliRunner().invoke(main, command)
    assert printed.exit_code == 0, printed.output
    document = json.loads(CliRunner().invoke(main, [*command, "--json", "-n", "2"]).stdout)
    frame = novelty_dask.groups(run, at_least=0.5)
    assert frame is not None
    assert document["groups"] == len(frame)
    assert [row["url"] for row in document["rows"]] == frame.url.tolist()[:2]
    assert frame.url[0] in printed.stdout
    defanged = CliRunner().invoke(main, [*command, "--defang"]).stdout
    assert defanged.count("[://]") == defanged.count("://") == printed.stdout.count("://") > 1
    assert CliRunner().invoke(main, [*command, "-o", str(tmp_path / "groups.parquet")]).exit_code == 0
    assert CliRunner().invoke(main, [*command, "--members"]).exit_code == 2
    with pytest.raises(SettingsError):
        novelty_dask.groups(run, at_least=0)
