"""Ctrl-C and SIGTERM end the command: without a word before it has begun, and at any moment after that."""

import gc
import importlib
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from novelty_dask.interrupts import Interruptible, Terminated
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
        stdout, stderr = process.communicate(timeout=200)
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


@pytest.mark.sampled
@pytest.mark.parametrize("module", ["numpy.linalg", "fsspec.spec", "novelty_dask.storage.manifest"])
def test_ctrl_c_while_a_command_imports_what_it_needs(tmp_path: Path, module: str) -> None:
    corpus, out = tmp_path / "urls.txt", tmp_path / "run.zarr"
    corpus.write_text("http://a.example/1\nhttp://b.example/2\n")
    with started(*TRACED, "-m", "novelty_dask", "score", corpus, "-o", out) as process:
        wait_for(process.stderr, f" {module}\n")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=200)
    assert (process.returncode, stdout) == (130, "")
    *progress, last = [line for line in stderr.splitlines() if not line.startswith("import time:")]
    # On a fast machine the run may have begun by now.
    assert last in {"Stopped; nothing was stored.", f"Stopped; `novelty resume {out}` goes on."}
    assert not any("Traceback" in line or "ignored" in line or line.startswith(" ") for line in progress)


KINDS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]


@pytest.mark.parametrize(("number", "kind"), KINDS)
def test_a_signal_in_a_callback_of_the_garbage_collector_is_not_lost(
    number: signal.Signals, kind: type[BaseException]
) -> None:
    calls: list[signal.Signals] = []

    def call(phase: str, _info: dict[str, int]) -> None:
        if phase == "start" and not calls:
            calls.append(number)
            signal.raise_signal(number)
            time.sleep(0)

    gc.callbacks.append(call)
    try:
        with pytest.raises(kind), Interruptible():
            collect_then_sleep(calls)
    finally:
        gc.callbacks.remove(call)


def import_then_sleep(module: str) -> None:
    importlib.import_module(module)
    time.sleep(60)


def collect_then_sleep(calls: list[signal.Signals]) -> None:
    gc.collect()
    assert calls
    time.sleep(60)


@pytest.mark.parametrize(("number", "kind"), KINDS)
def test_a_signal_within_an_import_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, kind: type[BaseException]
) -> None:
    (tmp_path / "sends_signal.py").write_text(
        f"import signal, time\nsignal.raise_signal({int(number)})\ntime.sleep(0.2)\nis_whole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.getsignal(number)
    with pytest.raises(kind), Interruptible():
        import_then_sleep("sends_signal")
    assert sys.modules.pop("sends_signal").is_whole
    assert signal.getsignal(number) is before


def test_other_exceptions_that_are_lost_go_where_they_went(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[sys.UnraisableHookArgs] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)

    class Failing:
        def __del__(self) -> None:
            raise ValueError

    with Interruptible():
        Failing()
        gc.collect()
    assert [lost.exc_type for lost in seen] == [ValueError]
