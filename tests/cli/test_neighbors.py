"""The command that finds the neighbors of vectors, and what the other commands do with such a run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from novelty_dask.cli.failures import ExitCode
from tests.support.fixtures import Novelty

FAR = 17


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of vectors, one of them far from all others."""
    X = np.random.default_rng(5).normal(size=(300, 6)).astype("float32")
    X[FAR] += 40
    path = tmp_path_factory.mktemp("vectors") / "x.npy"
    np.save(path, X)
    return path


@pytest.fixture(scope="module")
def of_vectors(vectors: Path, novelty: Novelty) -> Path:
    """A run of them."""
    out = vectors.with_name("run.zarr")
    result = novelty("neighbors", vectors, "-o", out, "--metric", "euclidean", "-k", 4, "--block-rows", 100)
    assert (result.exit_code, result.stdout.split("\t")[1]) == (0, str(FAR))
    assert re.search(r"^300 rows$", result.stderr, re.MULTILINE)
    return out


def test_commands_take_it_as_any_run(of_vectors: Path, vectors: Path, novelty: Novelty) -> None:
    assert novelty("top", of_vectors, "-n", 1, "--by", "lof").stdout.split("\t")[1] == str(FAR)
    [row] = json.loads(novelty("top", of_vectors, "-n", 1, "--json").stdout)["rows"]
    assert (row["row"], row["nearest_row"]) == (FAR, row["neighbor_rows"][0])
    assert row["nearest_distance"] == row["novelty_nearest"]
    assert "import     3 done of 3, 0 left" in novelty("status", of_vectors).stdout
    verified = novelty("verify", of_vectors, "--recompute", 2)
    assert verified.stdout == "12 tasks read, 2 blocks computed again, 0 damages found.\n"
    assert "complete already" in novelty("resume", of_vectors).stderr
    exported = novelty("export", of_vectors, "-o", "-", "--order", "novelty", "--columns", "row")
    assert exported.stdout.splitlines()[:2] == ['"row"', str(FAR)]


def test_labels_are_escaped(vectors: Path, novelty: Novelty, tmp_path: Path) -> None:
    names = np.array([f"\x1b]0;{row}\u202e" for row in range(300)])
    np.save(tmp_path / "names.npy", names)
    out = tmp_path / "run.zarr"
    options = ("--labels", tmp_path / "names.npy", "--metric", "euclidean", "--quiet")
    assert novelty("neighbors", vectors, "-o", out, *options).exit_code == 0
    first = novelty("top", out, "-n", 1).stdout.rstrip("\n").split("\t")
    assert first[1:3] == [str(FAR), f"\\x1b]0;{FAR}\\u202e"]
    assert first[5] == f"\\x1b]0;{first[4]}\\u202e"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["explain", "RUN", "https://a.example/"], "explain is for runs of lines"),
        (["sites", "RUN"], "sites is for runs of lines"),
        (["templates", "RUN"], "templates is for runs of lines"),
        (["rejected", "RUN"], "rejected is for runs of lines"),
        (["pairs", "RUN", "--at-least", "0.9", "-o", "p.csv"], "is of vectors"),
        (["groups", "RUN", "--at-least", "0.9"], "is of vectors"),
        (["score", "URLS", "--against", "RUN"], "is of vectors"),
        (["add", "URLS", "--to", "RUN"], "is of vectors"),
        (["export", "RUN", "-o", "p.csv", "--every-line"], "every_line looks at URLs"),
        (["top", "RUN", "--per-site", "1"], "per_site looks at URLs"),
        (["top", "RUN", "--by", "uncovered"], "no view 'uncovered'"),
        (["neighbors", "VECTORS"], "Name the run with --out"),
        (["neighbors", "VECTORS", "-o", "RUN", "--submit"], "A job needs a Dask scheduler"),
    ],
)
def test_what_needs_text_is_refused_by_name(
    command: list[str], says: str, of_vectors: Path, vectors: Path, corpus: Path, novelty: Novelty
) -> None:
    names = {"RUN": of_vectors, "VECTORS": vectors, "URLS": corpus}
    result = novelty(*(names.get(each, each) for each in command))
    assert result.exit_code == ExitCode.REFUSED
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_plan_of_vectors(vectors: Path, novelty: Novelty) -> None:
    planned = novelty("neighbors", vectors, "--plan", "--block-rows", 100)
    assert planned.stdout.splitlines()[:3] == [
        "rows     300",
        "blocks   3 of 100 rows",
        "tasks    3 import, 3 compare, 3 merge, 3 density, 3 lof",
    ]
    document = json.loads(novelty("neighbors", vectors, "--plan", "--json").stdout)
    assert document["n_rows"] == 300
