"""p-values are shares of what is at least as novel, valid on exchangeable data, and choose rows."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import novelty_dask
from novelty_dask.errors import SettingsError
from novelty_dask.estimators import NoveltyDetector
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.results import calibration
from novelty_dask.results.calibration import p_values
from novelty_dask.run import Run
from tests.support.files import write_lines

URLS = [*novelty_dask.datasets.make_urls(500, seed=5)[0], "ab"]
K = 4


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """A run, and one of other rows against it."""
    plain = novelty_dask.score(urls=URLS[:300], n_neighbors=K, block_rows=70, workers=0)
    return {"plain": plain, "against": novelty_dask.score(urls=URLS[250:], against=plain, workers=0)}


@pytest.mark.parametrize("name", ["plain", "against"])
@pytest.mark.parametrize("by", VIEWS)
def test_p_values_are_counted(runs: dict[str, Run], name: str, by: str) -> None:
    run = runs[name]
    others = getattr(runs["plain"], by)[:]
    rows = run.top(1_000, by=by, max_p=1.0)
    for value, p in zip(rows[by], rows.p_value, strict=True):
        n_least = int((others >= value).sum()) - (name == "plain")
        n_others = int(np.isfinite(others).sum()) - (name == "plain")
        assert p == (1 + n_least) / (n_others + 1)
    assert len(rows) == np.isfinite(getattr(run, by)[:]).sum()


@pytest.mark.parametrize("name", ["plain", "against"])
@pytest.mark.parametrize("rate", [0.01, 0.3, 0.7, 1.0])
def test_the_false_discovery_rate_is_that_of_the_procedure(
    runs: dict[str, Run], name: str, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "CHUNK_ROWS", 37)
    p = np.sort(runs[name].top(1_000, max_p=1.0).p_value.to_numpy())
    passing = np.flatnonzero(p <= rate * np.arange(1, len(p) + 1) / len(p))
    n_chosen = passing[-1] + 1 if len(passing) else 0
    chosen = runs[name].top(1_000, fdr=rate)
    assert len(chosen) == n_chosen
    assert chosen.p_value.tolist() == p[:n_chosen].tolist()


@pytest.mark.long
def test_p_values_are_valid_on_exchangeable_data() -> None:
    """Of rows drawn from where the reference was drawn, about 5 % have a p-value of at most .05."""
    rng = np.random.default_rng(1)
    urls = np.array(sorted(set(novelty_dask.datasets.make_urls(6_000, seed=6, n_planted=0)[0])))
    shares = []
    for _ in range(200):
        drawn = rng.choice(urls, 250, replace=False).tolist()
        # As runs do, in memory.
        detector = NoveltyDetector(K, novelty=True).fit(drawn[:150])
        p = p_values(np.sort(detector.novelty_), -detector.score_samples(drawn[150:]))
        shares.append(float((p <= 0.05).mean()))
    assert 0.03 <= np.mean(shares) <= 0.06


@pytest.mark.parametrize("name", ["plain", "against"])
def test_exports_have_p_values_where_they_are_asked_for(
    runs: dict[str, Run], name: str, tmp_path: Path
) -> None:
    out = tmp_path / "rows.parquet"
    novelty_dask.export(runs[name], out, order="lof", columns=["url", "p_value", "lof"])
    table = pq.read_table(out).to_pandas()
    expected = runs[name].top(1_000, by="lof", max_p=1.0)
    assert table.p_value.dropna().tolist() == expected.p_value.tolist()
    novelty_dask.export(runs[name], out, order="lof", max_p=0.1, overwrite=True)
    assert pq.read_table(out)["url"].to_pylist() == expected.url[expected.p_value <= 0.1].tolist()


@pytest.mark.parametrize("every_line", [False, True])
@pytest.mark.parametrize("choice", [{"max_p": 0.5}, {"fdr": 0.9}, {"calibrate": True}])
def test_values_are_sorted_once_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: dict[str, Any], *, every_line: bool
) -> None:
    if every_line and "calibrate" not in choice:
        pytest.skip("every line goes with no selection")
    write_lines(tmp_path / "urls.txt", URLS[:40])
    run = novelty_dask.score(tmp_path / "urls.txt", tmp_path / "run.zarr", workers=0)
    sort, folders = calibration.Calibration._sort, []

    def sort_and_tell(self: calibration.Calibration, parts: Any) -> Any:
        folders.append(self.folder)
        return sort(self, parts)

    monkeypatch.setattr(calibration.Calibration, "_sort", sort_and_tell)
    # A system without any room for temporary files.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    novelty_dask.export(run, tmp_path / "out.csv", columns=["p_value"], every_line=every_line, **choice)
    # Of novelty, and where a rate is asked for, of p-values.
    assert [folder and folder.parent for folder in folders] == [tmp_path] * (2 if "fdr" in choice else 1)


@pytest.mark.parametrize("limit", [{"max_p": 0.0}, {"max_p": 1.5}, {"fdr": float("nan")}, {"fdr": -1.0}])
def test_what_is_no_share_is_refused(runs: dict[str, Run], limit: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="give a number above 0, and at most 1"):
        runs["plain"].top(3, **limit)  # type: ignore[arg-type]
