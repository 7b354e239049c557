"""A run without a path lasts as long as anything that reads it, in whichever process, and no longer."""

import gc
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from dask.delayed import delayed

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.run import Run
from tests.support.arrays import listed
from tests.support.listeners import stop_at
from tests.support.processes import started, wait_until


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "u.txt"
    path.write_text("\n".join(make_urls(200)[0]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def kept(source: Path) -> Run:
    """The same run, at a path of its own."""
    return novelty_dask.score(source, source.with_name("run.zarr"))


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    monkeypatch.undo()
    tempfile.tempdir = None


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Compute in threads, whatever was the default before: a cluster keeps what it was sent for a while."""
    with dask.config.set(scheduler="threads"):
        yield


def folders(scratch: Path) -> list[Path]:
    """The folders of temporary runs."""
    gc.collect()
    return list(scratch.glob("novelty-*"))


def wait_until_gone(scratch: Path) -> None:
    """Wait until no temporary run is left; a thread that computed a part of one may hold it for a moment."""
    wait_until(lambda: folders(scratch) == [], 20)


# As text, since a function would hold the run as its argument while the rest of the line is evaluated.
ONE_LINERS = [
    "run().novelty[:]",
    "listed(run().urls[:])",
    "run().neighbors.ids[:]",
    "run().neighbors.similarities[:]",
    "run().to_dataframe(lists=True).compute().to_json()",
    "run().to_dataframe().novelty.mean().compute()",
    "delayed(run()).top(5).compute().to_json()",
    "delayed(run().novelty)[:].compute()",
    "run().top(5).to_json()",
    "len(run())",
    "novelty_dask.open(run()).novelty[:]",
]


@pytest.mark.sampled
@pytest.mark.parametrize("line", ONE_LINERS)
def test_one_liners(source: Path, kept: Run, scratch: Path, line: str) -> None:
    """A line gives the same from a temporary run as from a kept one, and leaves nothing."""
    read = eval(line, {**globals(), "run": lambda: novelty_dask.score(source)})
    np.testing.assert_array_equal(read, eval(line, {**globals(), "run": lambda: kept}))
    # Dask pickles an array to name its task, and what was pickled is kept to the end of the process.
    if line != "delayed(run().novelty)[:].compute()":
        wait_until_gone(scratch)


def test_a_notebook_shows_a_run_that_nothing_holds(source: Path, scratch: Path) -> None:
    assert "<table" in novelty_dask.score(source)._repr_html_()
    assert "197 rows" in repr(novelty_dask.score(source))
    wait_until_gone(scratch)


HELD: dict[str, Callable[[Run], Any]] = {
    "run": lambda run: run,
    "array": lambda run: run.novelty,
    "neighbors": lambda run: run.neighbors,
    "frame": lambda run: run.to_dataframe(),
    "frame in part": lambda run: run.to_dataframe().novelty.mean(),
    "graph": lambda run: delayed(run).top(3),
    "opened again": lambda run: novelty_dask.open(run.url).urls,
}


@pytest.mark.sampled
@pytest.mark.parametrize("name", HELD)
def test_the_folder_goes_with_the_last_object(source: Path, scratch: Path, name: str) -> None:
    held = HELD[name](novelty_dask.score(source))
    [folder] = folders(scratch)
    assert folder.stat().st_mode & 0o077 == 0
    assert novelty_dask.status(folder / "run.zarr").state == "complete"
    del held
    wait_until(lambda: folders(scratch) == [], 20)


def test_a_stopped_run_leaves_nothing(source: Path, scratch: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(source, listener=stop_at("vectorize", 1))
    assert folders(scratch) == []


def test_arrays_of_a_lasting_run_can_be_pickled(kept: Run) -> None:
    array = pickle.loads(pickle.dumps(kept.novelty))
    run = pickle.loads(pickle.dumps(kept))
    np.testing.assert_array_equal(array[:], kept.novelty[:])
    assert run.top(3).equals(kept.top(3))
    np.testing.assert_array_equal(da.from_zarr(kept.novelty).compute(), kept.novelty[:])


SENDER = """
import os, pickle, sys
import novelty_dask
run = novelty_dask.score(sys.argv[1])
sent = pickle.dumps({}, protocol=4)
del run
os.write(1, sent)
os.close(1)
sys.stdin.read()
"""


SENT: dict[str, Callable[[Any], Any]] = {
    "run": lambda run: run.novelty[:],
    "run.novelty": lambda array: array[:],
    "run.neighbors": lambda neighbors: neighbors.similarities[:],
    "run.to_dataframe()": lambda frame: frame.compute().to_json(),
}


@pytest.mark.sampled
@pytest.mark.parametrize(
    "what",
    [
        "run.to_dataframe()",
        "run.neighbors",
        *(pytest.param(what, marks=pytest.mark.long) for what in ("run", "run.novelty")),
    ],
)
def test_who_receives_an_object_keeps_it_alive(source: Path, kept: Run, scratch: Path, what: str) -> None:
    """Before and after the end of the process that made the run."""
    command = [sys.executable, "-c", SENDER.format(what), str(source)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
        assert sender.stdin is not None
        assert sender.stdout is not None
        sent = sender.stdout.read()
        assert len(folders(scratch)) == 1
        received = pickle.loads(sent)
        sender.stdin.close()
        assert sender.wait(200) == 0
    assert len(folders(scratch)) == 1
    np.testing.assert_array_equal(SENT[what](received), SENT[what](eval(what, {"run": kept})))
    del received
    wait_until_gone(scratch)


CLUSTER = """
import sys
from distributed import Client, LocalCluster
import novelty_dask
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        with Client(cluster) as client:
            total = client.submit(lambda novelty: novelty[:].sum(), novelty_dask.score(sys.argv[1]).novelty)
            mean = client.compute(novelty_dask.score(sys.argv[1]).to_dataframe().novelty.sum())
            print(float(total.result()), float(mean.result()))
"""


@pytest.mark.long
def test_workers_keep_what_they_are_sent(source: Path, kept: Run, scratch: Path) -> None:
    """Nothing of the run is left in the client while they read it; all is gone when both have ended."""
    script = scratch / "script.py"
    script.write_text(CLUSTER)
    done = subprocess.run([sys.executable, script, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.array(done.stdout.split(), float), sum(listed(kept.novelty[:])))
    assert folders(scratch) == []


FORKER = """
import os, sys
import novelty_dask
run = novelty_dask.score(sys.argv[1])
child = os.fork()
if child:
    os.waitpid(child, 0)
    print(run.novelty[:].sum())
"""


def test_a_forked_process_takes_nothing_away(source: Path, kept: Run, scratch: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKER, source], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_allclose(float(done.stdout), sum(listed(kept.novelty[:])))
    assert folders(scratch) == []


def test_a_process_that_is_killed_keeps_nothing(source: Path, scratch: Path) -> None:
    """Its lock ends with it: the next to leave removes the folder."""
    received = novelty_dask.score(source).novelty
    sent = scratch / "sent"
    sent.write_bytes(pickle.dumps(received))
    holder = f"import pickle; held = pickle.load(open({str(sent)!r}, 'rb')); print(flush=True); input()"
    with started(sys.executable, "-c", holder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        wait_until(lambda: process.poll() is not None)
    assert len(folders(scratch)) == 1
    end = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    subprocess.run([sys.executable, "-c", end, sent], check=True)
    # This process has sent it, and so keeps it to its end.
    assert len(folders(scratch)) == 1
    np.testing.assert_array_equal(received[:], received[:])
    assert os.path.exists(folders(scratch)[0] / "run.zarr")  # noqa: PTH110
