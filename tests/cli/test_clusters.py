"""Commands about clusters: certificates, descriptions, and what is refused before anything starts."""

from pathlib import Path

import pytest

from tests.support.fixtures import Novelty

PLACE = "place: local\nmaximum: 2\nmemory: 1 GB\ncerts: certs\n"


def test_certificates_are_named_and_never_replaced(tmp_path: Path, novelty: Novelty) -> None:
    pytest.importorskip("cryptography")
    folder = tmp_path / "certs"
    made = novelty("cluster", "certs", folder, "--days", 30)
    names = ("ca", "client", "scheduler", "worker")
    assert (made.exit_code, made.stderr) == (0, "")
    assert made.stdout == "".join(f"{folder}/{name}.pem\n" for name in names)
    before = (folder / "ca.pem").read_bytes()
    refused = novelty("cluster", "certs", folder)
    assert refused.exit_code == 2
    assert "nothing was overwritten" in refused.stderr
    assert (folder / "ca.pem").read_bytes() == before


def test_a_cluster_that_is_not_started_is_described_and_not_stopped(tmp_path: Path, novelty: Novelty) -> None:
    pytest.importorskip("cryptography")
    novelty("cluster", "certs", tmp_path / "certs")
    (tmp_path / "cluster.yaml").write_text(PLACE)
    described = novelty("cluster", "describe", tmp_path / "cluster.yaml")
    assert described.exit_code == 0
    assert {"place: local", "maximum: 2", "started: no"} <= set(described.stdout.splitlines())
    stopped = novelty("cluster", "stop", tmp_path / "cluster.yaml")
    assert (stopped.exit_code, stopped.stderr) == (0, "The cluster is not started; nothing to do.\n")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--scheduler", "tcp://192.0.2.1:8786"], "start it with certificates, or allow it (--insecure)."),
        (["--scheduler", "192.0.2.1:8786"], "beyond this machine and not encrypted"),
        (["--scheduler", "tls://127.0.0.1:1", "--certs", "none"], "Can't read the certificate"),
        (["--scheduler-file", "none.json"], "Can't read the scheduler file 'none.json': No such file"),
        (["--cluster", "none.yaml"], "Can't read the cluster file 'none.yaml': No such file"),
        (
            ["--cluster", "none.yaml", "--scheduler", "tcp://127.0.0.1:1"],
            "leave out one of them (--cluster).",
        ),
    ],
)
def test_a_cluster_is_refused_before_anything_is_made(
    flags: list[str],
    sentence: str,
    corpus: Path,
    tmp_path: Path,
    novelty: Novelty,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = novelty("score", corpus, "-o", "run.zarr", *flags)
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
