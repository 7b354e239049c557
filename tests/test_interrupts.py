"""Ctrl-C before the command has begun ends it without a word."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import started, wait_for

TRACED = [sys.executable, "-X", "importtime"]
ENTRY = "from novelty_dask.__main__ import main; main()"


@pytest.mark.parametrize("module", ["click.core", "novelty_dask.cli.options"])
@pytest.mark.parametrize("start", [["-m", "novelty_dask"], ["-c", ENTRY]], ids=["module", "script"])
def test_ctrl_c_while_modules_are_imported(start: list[str], module: str) -> None:
    """Both as a module and as the script that is installed, which differ in the first import."""
    with started(*TRACED, *start, "status", "missing.zarr") as process:
        wait_for(process.stderr, f" {module}\n")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert all(line.startswith("import time:") for line in stderr.splitlines())


def test_the_script_that_is_installed_starts_there() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^\[project\.scripts\]\nnovelty = "novelty_dask\.__main__:main"$', project, re.M)


def test_little_is_imported_before(tmp_path: Path) -> None:
    """What comes before can still end in a traceback."""
    code = (
        "import sys; before = {*sys.modules}; import novelty_dask.interrupts; print(*{*sys.modules} - before)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert {"novelty_dask", "novelty_dask.interrupts"} <= {*done.stdout.split()}
    assert not {"typing", "click", "pathlib", "re"} & {*done.stdout.split()}


def test_ctrl_c_that_is_ignored_stays_so(tmp_path: Path) -> None:
    line = f"trap '' INT; {sys.executable} -c \"{ENTRY}\" --version & sleep 0; kill -INT $!; wait $!"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout[:8]) == (0, "novelty ")
