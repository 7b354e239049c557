"""The option that chooses what is compared."""

from pathlib import Path

import novelty_dask
from tests.support.fixtures import Novelty


def test_the_command_takes_them(corpus: Path, tmp_path: Path, novelty: Novelty) -> None:
    out = tmp_path / "run.zarr"
    assert novelty("score", corpus, "-o", out, "--features", "url").exit_code == 0
    settings = novelty_dask.open(out).manifest.settings
    assert (settings.features, settings.ngram_range, settings.n_features) == ("url", None, 2**22)
    other = novelty("score", corpus, "-o", out, "--features", "ngrams")
    assert other.exit_code == 2
    assert "features" in other.stderr
    assert novelty("plan", corpus, "--features", "url").exit_code == 0
    refused = novelty("score", corpus, "--features", "url", "--ngram", "3,4")
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
