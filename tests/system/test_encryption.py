"""A scheduler that talks in TLS alone: whoever has its certificate can work on it, and nobody else."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from tests.support.content import content_and_exports
from tests.support.processes import COMMAND, started, wait_until

SECONDS = 120


def certificate(folder: Path) -> dict[str, str]:
    """What Dask is told of a certificate of its own authority, and that nothing else will do."""
    folder.mkdir()
    files = [str(folder / "key.pem"), str(folder / "cert.pem")]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        files[0],
        "-out",
        files[1],
    ]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    roles = {f"DASK_DISTRIBUTED__COMM__TLS__{role}" for role in ("SCHEDULER", "WORKER", "CLIENT")}
    return {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": files[1],
        **{f"{role}__KEY": files[0] for role in roles},
        **{f"{role}__CERT": files[1] for role in roles},
    }


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl to make certificates")
    return {**os.environ, **certificate(tmp_path_factory.mktemp("tls") / "ours")}


@pytest.fixture(scope="module")
def address(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler with a worker."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    here = ["--scheduler-file", file, "--host", "127.0.0.1", "--no-dashboard", "--protocol", "tls"]
    with ExitStack() as opened:
        opened.enter_context(started(*dask, "scheduler", "--port", "0", *here, env=environment, cwd=folder))
        wait_until(lambda: file.exists() and file.read_text(encoding="utf-8"), SECONDS)
        worker = ["--nthreads", "1", "--memory-limit", "2 GB"]
        opened.enter_context(started(*dask, "worker", *worker, *here, env=environment, cwd=folder))
        yield json.loads(file.read_text(encoding="utf-8"))["address"]


def score(folder: Path, address: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Score a few lines on a scheduler."""
    folder.mkdir(exist_ok=True)
    source = folder / "urls.txt"
    source.write_text("\n".join(make_urls(300)[0]), encoding="utf-8")
    command = [*COMMAND, "score", str(source), "-q", "-o", str(folder / "run.zarr")]
    return subprocess.run(
        [*command, "--scheduler", address], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_a_client_with_the_certificate_works_on_it(
    address: str, environment: dict[str, str], tmp_path: Path
) -> None:
    assert address.startswith("tls://127.0.0.1:")
    done = score(tmp_path, address, environment)
    assert (done.returncode, done.stderr) == (0, "")
    here = novelty_dask.score(tmp_path / "urls.txt", tmp_path / "here.zarr", workers=0)
    assert content_and_exports(tmp_path / "run.zarr") == content_and_exports(here)


def test_clients_without_it_are_refused(address: str, environment: dict[str, str], tmp_path: Path) -> None:
    others = {
        "plain": (address.replace("tls://", "tcp://"), dict(os.environ)),
        "no certificate": (address, dict(os.environ)),
        "another certificate": (address, {**os.environ, **certificate(tmp_path / "theirs")}),
    }
    with ThreadPoolExecutor() as pool:
        # Dask tries for some seconds.
        waiting = {name: pool.submit(score, tmp_path / name, *other) for name, other in others.items()}
    for name, refused in waiting.items():
        done = refused.result()
        assert done.returncode == 3, (name, done.stderr)
        assert "Traceback" not in done.stderr
        assert "Can't reach a Dask scheduler at" in done.stderr.splitlines()[-1]
        assert not (tmp_path / name / "run.zarr").exists()
