"""Runs in a real object store, whose server, clients and workers are killed in the middle."""

import importlib.util
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.objects.remote import RemoteObjects
from tests.support.content import Content, content
from tests.support.processes import COMMAND, command_of, kill, started, wait_until
from tests.support.stores import KEYS, Store, free_ports, lose_every, proxied, serving

pytestmark = pytest.mark.xdist_group("seaweedfs")
FLAGS = ["--block-rows", "50"]
URL = "s3://bucket/run.zarr"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many rows that a run takes a while."""
    path = tmp_path_factory.mktemp("corpus") / "urls.txt"
    path.write_text("\n".join(make_urls(600, seed=5)[0]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def expected(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Content:
    """What a run on a disk holds that nothing disturbs."""
    return content(
        novelty_dask.score(corpus, tmp_path_factory.mktemp("disk") / "run.zarr", workers=0, block_rows=50)
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A server of S3 with an empty bucket, which this process finds, too."""
    with serving("seaweedfs", tmp_path / "store") as store:
        lead(store.environment(), monkeypatch)
        yield store


def lead(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead this process, and those that it starts, to a store."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def committed() -> set[str]:
    """Names of the commits of tiles."""
    return {key.rpartition("/")[2] for key in RemoteObjects(URL).sizes("commits/compare/")}


def run(*words: object) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, words)], env={**os.environ}, capture_output=True, text=True, check=False
    )


def scoring(corpus: Path, workers: int = 0) -> AbstractContextManager["subprocess.Popen[str]"]:
    """Start a run."""
    words = ["score", corpus, "-o", URL, "--workers", workers, *FLAGS]
    return started(*COMMAND, *words, env={**os.environ})


def check(expected: Content) -> None:
    """Demand a whole run of the same bytes."""
    assert not novelty_dask.verify(URL).damages
    assert content(novelty_dask.open(URL)) == expected


def test_a_client_that_is_killed_goes_on(
    corpus: Path, store: Store, expected: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed is not done again."""
    with scoring(corpus) as process:
        wait_until(lambda: len(committed()) > 5, 400, process)
        kill(process.pid)
    done = committed()
    with proxied(store.port) as proxy:
        lead(store.environment(proxy.endpoint), monkeypatch)
        resumed = run("resume", URL, "--workers", "0")
        assert resumed.returncode == 0, resumed.stderr
        puts = [path for method, path in proxy.requests if method == "PUT"]
    made = {path.rpartition("/")[2] for path in puts if "/commits/compare/" in path}
    assert made
    assert not made & done
    lead(store.environment(), monkeypatch)
    check(expected)


def test_workers_that_are_killed_are_replaced(corpus: Path, store: Store, expected: Content) -> None:
    with scoring(corpus, workers=2) as process:
        wait_until(lambda: len(committed()) > 5, 400, process)
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child.pid for child in children if "spawn_main" in command_of(child)]
        assert workers
        kill(workers[-1])
        assert process.wait(400) == 0
    check(expected)


def test_a_store_that_is_gone_for_ten_seconds_is_waited_for(
    corpus: Path, store: Store, expected: Content
) -> None:
    """Nobody notices, but that it takes longer."""
    with scoring(corpus) as process:
        wait_until(lambda: len(committed()) > 5, 400, process)
        store.kill()
        before = time.monotonic()
        time.sleep(10)
        assert process.poll() is None
        store.start()
        assert time.monotonic() - before > 10
        said = process.communicate(timeout=400)[1]
        assert process.returncode == 0, said
    check(expected)


def test_a_store_that_stays_away_ends_the_run_and_it_goes_on(
    corpus: Path, store: Store, expected: Content
) -> None:
    with scoring(corpus) as process:
        wait_until(lambda: len(committed()) > 5, 400, process)
        store.kill()
        said = process.communicate(timeout=400)[1]
    assert process.returncode == 3, said
    last = said.splitlines()[-1]
    assert last.startswith(f"Error: The store of {URL!r} fails: Connection refused; ")
    assert last.endswith(f" `novelty resume {URL}` goes on.")
    assert "Traceback" not in said
    store.start()
    resumed = run("resume", URL, "--workers", "0")
    assert resumed.returncode == 0, resumed.stderr
    check(expected)


@pytest.mark.parametrize("how", ["cut", "busy"])
def test_a_run_that_hears_no_answer_has_the_same_bytes(
    corpus: Path, store: Store, expected: Content, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every third creation the answer is lost."""
    with proxied(store.port) as proxy:
        proxy.after = lose_every(3, how)
        lead(store.environment(proxy.endpoint), monkeypatch)
        done = run("score", corpus, "-o", URL, "--workers", "0", *FLAGS)
        assert done.returncode == 0, done.stderr
        check(expected)


@pytest.mark.sampled
@pytest.mark.parametrize("words", [["score", "{corpus}", "-o", URL], ["status", URL], ["resume", URL]])
def test_a_server_that_is_not_there_is_named_as_the_cause(
    corpus: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lead({**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_ports(1)[0]}"}, monkeypatch)
    done = run(*(word.format(corpus=corpus) for word in words))
    [sentence] = done.stderr.splitlines()
    assert f"The store of {URL!r} fails: Connection refused" in sentence
    # Nobody knows whether a run is there.
    assert "novelty resume" not in sentence
    assert (done.returncode, done.stdout) == (3, "")


@pytest.mark.parametrize("source", ["s3://bucket/urls.txt", "s3://bucket/crawl/*.txt"])
def test_a_source_whose_server_is_not_there_is_named(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not importlib.util.find_spec("s3fs"):
        pytest.skip("s3fs is not installed")
    lead({**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_ports(1)[0]}"}, monkeypatch)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    done = run("score", source)
    [sentence] = done.stderr.splitlines()
    assert "Could not connect to the endpoint URL" in sentence
    assert (done.returncode, done.stdout) == (2, "")
