"""Lines as people keep them: wrapped, defanged, and with bytes that are no UTF-8."""

from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.errors import StoreError
from tests.support.arrays import listed
from tests.support.fixtures import Novelty

WRAPPED = b"""# feed
https://a.example/x
"https://a.example/x",
<https://a.example/x>
- https://a.example/x
[t](https://a.example/x)
#/route
"""
DEFANGED = b"""hxxps://evil[.]example/a
https[:]//evil[.]example/a
hXXps://evil(.)example/a
https[://]evil[.]example/a
https://evil.example/a
tcp://evil[.]example:1
"""


def rows(run: novelty_dask.Run) -> dict[str, int]:
    """URLs and their counts."""
    return dict(zip(listed(run.urls[:]), listed(run.counts[:]), strict=True))


def test_urls_are_taken_out_of_other_text(tmp_path: Path, novelty: Novelty) -> None:
    source = tmp_path / "a.txt"
    source.write_bytes(WRAPPED)
    result = novelty("score", source, "-o", tmp_path / "run.zarr", "--unwrap", "--workers", 0)
    assert result.exit_code == 0
    assert "unwrap" not in result.stderr
    run = novelty_dask.open(tmp_path / "run.zarr")
    assert rows(run) == {"https://a.example/x": 5, "#/route": 1}
    assert run.manifest.totals
    assert run.manifest.totals.rejected == {"comment": 1}
    with pytest.raises(StoreError, match="holds another run"):
        novelty_dask.score(source, tmp_path / "run.zarr")


def test_lines_that_would_need_it_are_told(tmp_path: Path, novelty: Novelty) -> None:
    result = novelty("score", "-", "--workers", 0, stdin=WRAPPED)
    assert "4 lines hold a URL inside other text; --unwrap takes it out." in result.stderr
    for flags in (["--quiet"], ["--features", "ngrams"]):
        result = novelty("score", "-", "--workers", 0, *flags, stdin=WRAPPED)
        assert "unwrap" not in result.stderr


def test_what_was_defanged_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(DEFANGED)
    run = novelty_dask.score(tmp_path / "a.txt", refang=True, workers=0)
    # The first spelling is shown as it is read.
    assert rows(run) == {"https://evil.example/a": 5, "tcp://evil.example:1": 1}


def test_what_top_defangs_is_read_again(tmp_path: Path, novelty: Novelty, run: Path) -> None:
    top = novelty("top", run, "--defang", "-n", 300).stdout
    defanged = "".join(line.split("\t")[1] + "\n" for line in top.splitlines())
    result = novelty("score", "--refang", "-o", tmp_path / "again.zarr", stdin=defanged.encode())
    assert result.exit_code == 0
    again = novelty_dask.open(tmp_path / "again.zarr")
    assert sorted(rows(again)) == sorted(listed(novelty_dask.open(run).urls[:]))


def test_bytes_that_are_no_utf8_are_kept_on_request(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"http://a.example/caf\xe9\nhttp://a.example/x\nhttp://b.example/\xc3")
    run = novelty_dask.score(tmp_path / "a.txt", invalid="keep", workers=0)
    assert set(rows(run)) == {"http://a.example/caf%E9", "http://a.example/x", "http://b.example/%C3"}
    assert novelty_dask.score(tmp_path / "a.txt", workers=0).rejected().line.tolist() == [1, 3]
