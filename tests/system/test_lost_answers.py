"""Runs on file systems and stores that carry out what they are asked to, and whose answers are lost.

Of a network file system the call that gives a file its name may fail although it was carried out; of an
object store the request that creates an object.  A client below repeats it, and is refused by what it made.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import NoveltyError, StoreError
from novelty_dask.objects.protocol import Data, is_partial
from novelty_dask.objects.remote import RemoteObjects
from novelty_dask.storage.identity import RunIdentity
from novelty_dask.storage.manifest import Manifest
from novelty_dask.storage.runs import create_run, open_stored
from tests.support.content import content
from tests.support.files import write_lines
from tests.support.listeners import Recorder, at_start, interrupt

ERRORS = [
    FileExistsError(errno.EEXIST, "File exists"),
    OSError(errno.EIO, "Input/output error"),
    TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
]
Lose = Callable[[pytest.MonkeyPatch, OSError], list[str]]


def lose_link(patch: pytest.MonkeyPatch, error: OSError) -> list[str]:
    """Let link(2) fail once it has given a file its name; return the names."""
    link, lost = os.link, []

    def lossy(source: Any, target: Any, **keywords: Any) -> None:
        link(source, target, **keywords)
        lost.append(str(target))
        raise error

    patch.setattr(os, "link", lossy)
    return lost


def lose_put(patch: pytest.MonkeyPatch, error: OSError) -> list[str]:
    """Let a conditional put fail once it has stored an object; return the keys."""
    create, lost = RemoteObjects.create, []

    def lossy(self: RemoteObjects, key: str, data: Data) -> bool:
        if not create(self, key, data):
            return False
        lost.append(key)
        raise error

    patch.setattr(RemoteObjects, "create", lossy)
    return lost


@pytest.fixture(params=["local", "remote"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Lose]:
    """Path or URL of a run, and the way to lose answers there."""
    if request.param == "local":
        return f"{tmp_path}/run.zarr", lose_link
    return f"memory:/{tmp_path}/run.zarr", lose_put


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("lost") / "urls.txt", make_urls(300)[0])


@pytest.mark.sampled
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_run_of_which_all_answers_are_lost_is_complete(
    place: tuple[str, Lose], source: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    out, lose = place
    expected = content(novelty_dask.score(source, workers=0, block_rows=64))
    lost = lose(monkeypatch, error)
    run = novelty_dask.score(source, out, workers=0, block_rows=64)
    assert content(run) == expected
    names = {name.rpartition("run.zarr/")[2].split("/")[0] for name in lost if not is_partial(name)}
    assert names == {"zarr.json", "owners", "commits"}
    assert len(lost) > 10
    assert novelty_dask.verify(out).damages == []
    assert novelty_dask.status(out).state == "complete"


def test_a_stopped_run_goes_on_though_answers_are_lost(
    place: tuple[str, Lose], source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, lose = place
    lose(monkeypatch, ERRORS[0])
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(source, out, workers=0, listener=at_start("compare", interrupt))
    listener = Recorder()
    assert len(novelty_dask.resume(out, workers=0, listener=listener)) > 250
    assert listener.stages == ["compare", "merge", "cover", "density", "lof"]


def test_what_was_not_carried_out_is_no_success(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(source: Any, target: Any, **keywords: Any) -> None:
        raise OSError(errno.EIO, "Input/output error", str(source), None, str(target))

    monkeypatch.setattr(os, "link", failing)
    with pytest.raises((OSError, NoveltyError)):
        novelty_dask.score(source, tmp_path / "run.zarr", workers=0)
    assert not (tmp_path / "run.zarr" / "zarr.json").exists()


def test_of_two_that_create_the_same_run_one_is_refused(
    place: tuple[str, Lose], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see that nothing is there; what they would store differs by nothing but who does."""
    out, lose = place
    identity = RunIdentity(settings=novelty_dask.Settings.make().result, sources=())
    first = create_run(out, Manifest(identity=identity))
    monkeypatch.setattr(type(first.objects), "exists", lambda self: False)
    lose(monkeypatch, ERRORS[0])
    with pytest.raises(StoreError, match=r": something exists there already; name another output path\.$"):
        create_run(out, Manifest(identity=identity))
    assert open_stored(out).manifest == first.manifest
