"""Patience: defaults, Dask's configuration, the environment of a process."""

import os
import re
import subprocess
import sys

import dask
import dask.config
import pytest

from novelty_dask.errors import SettingsError
from novelty_dask.execution.clusters.configuration import FILE
from novelty_dask.execution.patience import SECTION, Patience
from tests.support.cluster import patience


def test_what_is_not_configured_has_its_default() -> None:
    assert Patience.read() == Patience()
    with patience(watch="1.5s", close="100ms"):
        assert Patience.read() == Patience(watch=1.5, close=0.1)


@pytest.mark.parametrize("value", [2, "2", "2s", "2000 ms", 2.0])
def test_times_are_written_as_dask_writes_them(value: object) -> None:
    with dask.config.set({f"{SECTION}.answer": value}):
        assert Patience.read().answer == 2


@pytest.mark.parametrize("value", ["soon", "", 0, -1, "0s", float("inf"), True, None, [], {}])
def test_what_is_no_time_is_refused(value: object) -> None:
    message = re.escape(
        f"{SECTION}.answer of Dask's configuration must be a time such as '30s', not {value!r}."
    )
    with dask.config.set({f"{SECTION}.answer": value}), pytest.raises(SettingsError, match=rf"^{message}$"):
        Patience.read()


@pytest.mark.parametrize("name", Patience._fields)
def test_the_environment_reaches_another_process(name: str) -> None:
    script = "from novelty_dask.execution.patience import *; print(*Patience.read())"
    environment = {**os.environ, f"DASK_NOVELTY_DASK__PATIENCE__{name.upper()}": "7.5s"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert [float(word) for word in done.stdout.split()] == list(Patience()._replace(**{name: 7.5}))


def test_the_configuration_file_names_each_with_its_default() -> None:
    lines = re.findall(r"^#     (\w+): (\w+)  #", FILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(lines) == {name: f"{seconds}s" for name, seconds in Patience()._asdict().items()}
