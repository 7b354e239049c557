"""Exports and `top` without secrets, in every column and every format."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import SettingsError
from novelty_dask.kernels.text.secrets import HIDDEN, redact
from novelty_dask.results.export import export
from novelty_dask.results.redacted import redact_table
from novelty_dask.run import Run
from tests.support.files import write_lines

CANARY = "c4n4rY"
LISTS = ["neighbor_urls"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of which many rows, and so their neighbors, have secrets."""
    folder = tmp_path_factory.mktemp("redacted")
    lines = [f"https://me:{CANARY}{n}@a.example/p/{n:x}?token={CANARY}{n}&page={n}" for n in range(40)]
    source = write_lines(folder / "urls.txt", [*lines, *make_urls(200, seed=6)[0]])
    return novelty_dask.score(source, folder / "run.zarr", workers=0, block_rows=64)


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet", "arrow"])
def test_no_export_has_a_secret(run: Run, tmp_path: Path, form: str) -> None:
    for name, redacted in (("shown", False), ("hidden", True)):
        export(run, tmp_path / f"{name}.{form}", mark=("[", "]"), redact=redacted, order="novelty")
    shown, hidden = (read(tmp_path / f"{name}.{form}") for name in ("shown", "hidden"))
    assert CANARY in shown.to_csv()
    assert CANARY not in hidden.to_csv()
    assert hidden.url.tolist() == [redact(url) for url in shown.url]
    assert hidden.novelty.tolist() == shown.novelty.tolist()
    has_secret = shown.url.str.contains(CANARY)
    assert (hidden.url[~has_secret] == shown.url[~has_secret]).all()
    plain = hidden.marked_url.str.replace("[", "").str.replace("]", "")
    assert plain.tolist() == hidden.url.tolist()
    assert not hidden.marked_url.str.contains(f"[{HIDDEN}", regex=False).any()
    if "neighbor_urls" in shown:
        for before, after in zip(shown.neighbor_urls, hidden.neighbor_urls, strict=True):
            assert list(after) == [redact(url) for url in before]


def read(path: Path) -> pd.DataFrame:
    """Read an export."""
    if path.suffix in (".csv", ".tsv"):
        return pd.read_csv(path, sep="," if path.suffix == ".csv" else "\t")
    if path.suffix == ".jsonl":
        return pd.read_json(path, lines=True)
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_feather(path)


def test_top_has_no_secret(run: Run) -> None:
    shown, hidden = (run.top(300, lists=True, redact=redacted) for redacted in (False, True))
    assert CANARY in shown.to_csv()
    assert CANARY not in hidden.to_csv()
    assert hidden.url.tolist() == [redact(url) for url in shown.url]


def test_parts_of_tables_and_other_columns_stay_what_they_are() -> None:
    url = f"https://{CANARY}@a.example/"
    table = pa.table({"n": [1, 2, 3], "url": [url, None, "b"], "lists": [[url], [], ["b", url]]}).slice(1)
    hidden = redact_table(table)
    assert hidden.schema == table.schema
    assert hidden.to_pydict() == {"n": [2, 3], "url": [None, "b"], "lists": [[], ["b", redact(url)]]}


def test_arrays_can_not_be_redacted(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^An npz file has URLs as they are; "):
        export(run, tmp_path / "rows.npz", redact=True)
    assert not list(tmp_path.iterdir())
