"""Dask's performance report of the work."""

from pathlib import Path

import pytest
from distributed import Client

from novelty_dask.errors import SettingsError
from novelty_dask.execution.clusters.performance import reported_performance


def test_a_report_is_written_also_of_work_that_fails(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    with pytest.raises(ZeroDivisionError), reported_performance(client, str(file)):
        client.submit(lambda: 1 / 0, pure=False).result()
    assert "Dask Performance Report" in file.read_text(encoding="utf-8")
    assert [*tmp_path.iterdir()] == [file]


def test_a_report_that_is_there_stays(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("another")
    with pytest.raises(SettingsError, match="is there already"), reported_performance(client, str(file)):
        raise AssertionError
    assert file.read_text() == "another"
    with (
        pytest.raises(SettingsError, match="name another file"),
        reported_performance(client, str(tmp_path / "none" / "report.html")),
    ):
        raise AssertionError


def test_without_a_file_nothing_is_asked() -> None:
    with reported_performance(None, None):  # type: ignore[arg-type]
        pass
