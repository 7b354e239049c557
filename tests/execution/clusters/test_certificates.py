import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from novelty_dask.errors import StoreError
from novelty_dask.execution.clusters.certificates import make_certificates

pytest.importorskip("cryptography")


def test_only_the_owner_reads_certificates(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "certs"
    names = make_certificates(str(folder))
    assert names == ["ca.pem", "client.pem", "scheduler.pem", "worker.pem"]
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in names:
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.parent.iterdir()] == ["certs"]


def test_the_key_of_the_authority_is_not_kept(tmp_path: Path) -> None:
    make_certificates(str(tmp_path / "certs"))
    assert "PRIVATE KEY" not in (tmp_path / "certs" / "ca.pem").read_text(encoding="ascii")
    assert "PRIVATE KEY" in (tmp_path / "certs" / "client.pem").read_text(encoding="ascii")


def shake_hands(server: Path, client: Path) -> None:
    """Do what two ends of a connection do, each with a certificate, both of which check the other's."""
    contexts = []
    for purpose, path, role in (
        (ssl.PROTOCOL_TLS_SERVER, server, "scheduler"),
        (ssl.PROTOCOL_TLS_CLIENT, client, "client"),
    ):
        context = ssl.SSLContext(purpose)
        context.load_cert_chain(path / f"{role}.pem")
        context.load_verify_locations(path / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        contexts.append(context)
    pipes = [ssl.MemoryBIO() for _ in range(2)]
    ends = [
        contexts[0].wrap_bio(pipes[0], pipes[1], server_side=True),
        contexts[1].wrap_bio(pipes[1], pipes[0], server_hostname="localhost"),
    ]
    for _ in range(4):
        for end in reversed(ends):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    assert ends[0].getpeercert()


def test_certificates_of_one_cluster_know_each_other(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        make_certificates(str(tmp_path / name))
    # By the strict rules, and by the name of the host, too, which Dask does not check.
    shake_hands(tmp_path / "ours", tmp_path / "ours")
    with pytest.raises(ssl.SSLError):
        shake_hands(tmp_path / "ours", tmp_path / "theirs")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    make_certificates(str(folder))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StoreError, match=r"it exists and is not empty; nothing was overwritten: name a new"):
        make_certificates(str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["certs"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="nothing was overwritten"):
        make_certificates(str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"
