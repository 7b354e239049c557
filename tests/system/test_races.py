"""What may happen to sources and runs between two looks at them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import InputError, StoreError
from tests.support.files import write_lines
from tests.support.listeners import at_start
from tests.support.processes import COMMAND

TEXT: dict[str, Any] = {"capture_output": True, "text": True, "check": False}
KEY = "canary90d2e6f8"
URLS = make_urls(200)[0]


def test_the_manifest_keeps_no_secret_of_a_source(tmp_path: Path) -> None:
    source = write_lines(tmp_path / f"urls.txt?token={KEY}", URLS)
    novelty_dask.score(source, tmp_path / "run.zarr")
    assert KEY not in (tmp_path / "run.zarr" / "zarr.json").read_text()
    assert len(novelty_dask.score(source, tmp_path / "run.zarr"))  # it is the same run


def test_a_source_edited_between_finding_and_reading_is_named(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "urls.txt", URLS)

    def edit() -> None:
        source.write_text(source.read_text().replace("http", "HTTP"))
        os.utime(source, (1, 1))

    with pytest.raises(InputError, match="has changed since the run was begun"):
        novelty_dask.score(source, tmp_path / "run.zarr", listener=at_start("ingest", edit))
    assert not (tmp_path / "run.zarr").exists()


def test_a_half_made_run_leads_nowhere_else(tmp_path: Path) -> None:
    source, victim = write_lines(tmp_path / "urls.txt", URLS), tmp_path / "victim"
    victim.mkdir()

    def stop() -> None:
        shutil.copytree(tmp_path / "run.zarr", tmp_path / "evil.zarr")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(source, tmp_path / "run.zarr", listener=at_start("sort", stop))
    for name in ("work", "owners"):
        shutil.rmtree(tmp_path / "evil.zarr" / name, ignore_errors=True)
    (tmp_path / "evil.zarr" / "work").symlink_to(victim)
    with pytest.raises(StoreError, match="link"):
        novelty_dask.score(source, tmp_path / "evil.zarr")
    assert list(victim.iterdir()) == []


def test_closed_standard_input_is_an_input_error() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "score", "-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr


def test_a_disk_that_is_full_is_a_novelty_error(tmp_path: Path) -> None:
    """pipeline: OSError of a task or of the client (ENOSPC, EFBIG) becomes DiskFullError; nothing is lost."""
    source = write_lines(tmp_path / "urls.txt", URLS)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "import novelty_dask; novelty_dask.score(sys.argv[1], sys.argv[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, source, tmp_path / "run.zarr"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "DiskFullError" in done.stderr.splitlines()[-1], done.stderr[-500:]


@pytest.mark.parametrize("name", ["~/x.zarr"])
def test_home_is_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "urls.txt", URLS)
    run = novelty_dask.score("~/urls.txt", name)
    assert run.url == f"{tmp_path}/x.zarr"
