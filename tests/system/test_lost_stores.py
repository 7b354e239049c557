"""Stores that are out of reach: a real server of S3 that is stopped in the middle of a run."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from tests.support.content import content_and_exports
from tests.support.processes import COMMAND, started, wait_until

FLAGS = ["--workers", "0", "--block-rows", "50"]


@pytest.fixture
def port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def environment(port: int) -> dict[str, str]:
    """What leads commands to the server."""
    if not all(map(importlib.util.find_spec, ("s3fs", "moto"))):
        pytest.skip("s3fs and moto[server] are not installed")
    return {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_MAX_ATTEMPTS": "1",
    }


def is_served(port: int) -> bool:
    """Return whether somebody listens at a port."""
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(port: int, environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Serve S3, with an empty bucket."""
    quiet = {**environment, "PYTHONWARNINGS": "ignore"}
    # Its log goes nowhere: a pipe that nobody reads would be full soon, and stop it.
    server = f"exec {sys.executable} -m moto.server -p {port} > {os.devnull} 2>&1"
    with started("sh", "-c", server, env=quiet) as process:
        wait_until(lambda: is_served(port), 60, process)
        make = "import s3fs; s3fs.S3FileSystem().mkdir('bucket')"
        subprocess.run([sys.executable, "-c", make], env=quiet, check=True)
        yield process


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """So many rows that a run takes a while."""
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(make_urls(1_500, seed=5)[0]) + "\n", encoding="utf-8")
    return path


def test_a_server_that_stops_ends_the_run_and_it_goes_on(
    corpus: Path, port: int, environment: dict[str, str], tmp_path: Path
) -> None:
    url = "s3://bucket/run.zarr"
    command = [*COMMAND, "score", corpus, "-o", url, *FLAGS]
    with serving(port, environment) as server, started(*command, env=environment) as process:
        assert process.stderr
        lines = iter(process.stderr.readline, "")
        assert any("vectorize" in line for line in lines)
        time.sleep(1)
        server.kill()
        server.wait()
        *said, last = lines
    assert process.returncode == 3, [*said, last]
    assert last.startswith("Error: The store of 'bucket/run.zarr' fails: ")
    assert "Could not connect" in last or "onnection" in last
    assert last.endswith(f" `novelty resume {url}` goes on.\n")
    assert "Traceback" not in "".join(said)
    # All that was stored is lost with this server; that of a real one is there when it is back.
    with serving(port, environment):
        done = subprocess.run(
            list(map(str, command)), env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        fetch = (
            f"import s3fs; s3fs.S3FileSystem().get({url!r}, {str(tmp_path / 'run.zarr')!r}, recursive=True)"
        )
        subprocess.run([sys.executable, "-c", fetch], env=environment, check=True)
    assert not novelty_dask.verify(tmp_path / "run.zarr").damages
    novelty_dask.score(corpus, tmp_path / "local.zarr", workers=0, block_rows=50)
    assert content_and_exports(tmp_path / "run.zarr") == content_and_exports(tmp_path / "local.zarr")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["score", "{corpus}", "-o", "s3://bucket/run.zarr"], 3),
        (["score", "s3://bucket/urls.txt"], 2),
        (["score", "s3://bucket/crawl/*.txt"], 2),
        (["status", "s3://bucket/run.zarr"], 3),
        (["resume", "s3://bucket/run.zarr"], 3),
    ],
)
def test_a_server_that_is_not_there_is_named_as_the_cause(
    corpus: Path, environment: dict[str, str], words: list[str], code: int
) -> None:
    command = [*COMMAND, *(word.format(corpus=corpus) for word in words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    [sentence] = done.stderr.splitlines()
    assert "Could not connect to the endpoint URL" in sentence
    # Nobody knows whether a run is there.
    assert "novelty resume" not in sentence
    assert (done.returncode, done.stdout) == (code, "")
