"""A small corpus, its run, and the command as a function."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from novelty_dask.cli import main
from novelty_dask.datasets import make_urls
from tests.support.fixtures import Novelty


@pytest.fixture(scope="session")
def novelty() -> Novelty:
    """Run the command in this process: arguments in, result out."""

    def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)

    return invoke


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 300 lines, 3 of them planted."""
    path = tmp_path_factory.mktemp("corpus") / "urls.txt"
    path.write_text("\n".join(make_urls(300)[0]), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def run(corpus: Path, novelty: Novelty) -> Path:
    """A complete run of the corpus."""
    path = corpus.with_name("run.zarr")
    assert novelty("score", corpus, "-o", path, "--quiet").exit_code == 0
    return path
