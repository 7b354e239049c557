"""Lines that are no rows are told, listed, and refused if that is wanted."""

import json
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.errors import InputError
from tests.support.fixtures import Novelty

LINES = b"http://a.example/1\n\n# feed\nhttp://a.example/2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files; a line of the second is no text."""
    (tmp_path / "a.txt").write_bytes(LINES)
    (tmp_path / "b\x1b.txt").write_bytes(b"http://a.example/3\r\nhttp://a.example/caf\xe9\r\n")
    return tmp_path


def test_rejected_lines_are_listed_with_their_places(folder: Path, novelty: Novelty) -> None:
    run = folder / "run.zarr"
    result = novelty("score", folder, "-o", run, "--quiet")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "1 of 6 lines rejected (1 invalid-utf8)\n"
    result = novelty("rejected", run)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{folder}/a.txt:2\tblank\t",
        f"{folder}/a.txt:3\tcomment\t# feed",
        # Escaped once more, as a backslash may have been one before.
        f"{folder}/b\\x1b.txt:2\tinvalid-utf8\thttp://a.example/caf\\xe9",
    ]
    result = novelty("rejected", run, "-n", 1, "--json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"source": f"{folder}/a.txt", "line": 2, "reason": "blank", "sample": ""}
    ]
    frame = novelty_dask.open(run).rejected()
    assert list(frame.columns) == ["source", "line", "reason", "sample"]
    assert frame.line.tolist() == [2, 3, 2]


def test_where_nothing_was_rejected_there_is_nothing_to_list(run: Path, novelty: Novelty) -> None:
    result = novelty("rejected", run)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No line was rejected.\n")
    assert novelty_dask.open(run).rejected().empty


def test_strict_refuses_lines_that_would_be_lost(folder: Path, novelty: Novelty) -> None:
    result = novelty("score", folder, "-o", folder / "run.zarr", "--strict", "--quiet")
    assert result.exit_code == 2
    assert "1 of 6 lines were rejected (1 invalid-utf8), the first on line 2 of '" in result.stderr
    assert "b\\x1b.txt'; mend them, or leave out strict." in result.stderr
    assert not (folder / "run.zarr").exists()
    novelty_dask.score(folder, folder / "run.zarr")
    with pytest.raises(InputError, match=r"1 of 6 lines rejected .* `novelty rejected "):
        novelty_dask.score(folder, folder / "run.zarr", strict=True)
    with pytest.raises(InputError, match="1 of 6 lines rejected"):
        novelty_dask.resume(folder / "run.zarr", strict=True)


def test_blank_lines_and_comments_are_not_lost(tmp_path: Path, novelty: Novelty) -> None:
    (tmp_path / "a.txt").write_bytes(LINES)
    result = novelty("score", tmp_path / "a.txt", "-o", tmp_path / "run.zarr", "--strict", "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
