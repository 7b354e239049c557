"""Certificates of one cluster: an authority of its own, and what it signs for scheduler, workers and clients.

Dask checks by which authority a certificate was signed, and not the name in it: whoever holds one belongs to
the cluster.  So each cluster has an authority of its own, whose key is not kept.
"""

import datetime
import ipaddress
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from novelty_dask.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AUTHORITY = "ca.pem"
"""File of the authority's certificate."""
ROLES = ("scheduler", "worker", "client")
"""Who gets a certificate, by Dask's names; each is a file with its key, such as ``worker.pem``."""
DAYS = 365
_CLOCKS_DIFFER = datetime.timedelta(minutes=5)
EXTRA = (
    "Certificates are made with the package cryptography; install it with "
    "`pip install 'novelty-dask[cluster]'`."
)


def make_certificates(folder: str, days: int = DAYS) -> list[str]:
    """Make an authority and the certificates of a cluster, in a folder that only its owner reads.

    Parameters
    ----------
    folder : str
        New, or empty; it appears at once with all files.
    days : int
        Days after which they expire.

    Returns
    -------
    list of str
        The names of the files.

    Raises
    ------
    StoreError
        The folder has something already, or can't be made; nothing was overwritten.
    SettingsError
        The package cryptography is missing.
    """
    path = Path(folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # For the owner alone from the beginning, which mkdtemp sees to.
        with tempfile.TemporaryDirectory(
            dir=path.parent, prefix=".certificates-", ignore_cleanup_errors=True
        ) as made:
            draft = Path(made) / "new"
            draft.mkdir(mode=0o700)
            for name, content in _signed(days).items():
                _write_new(draft / name, content)
            # The system refuses a folder that has something, also if that came a moment ago.
            draft.rename(path)
    except OSError as error:
        why = "it exists and is not empty" if path.exists() else error.strerror
        message = f"Can't make certificates in {folder!r}: {why}; nothing was overwritten: name a new folder."
        raise StoreError(message) from None
    return sorted(file.name for file in path.iterdir())


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _signed(days: int) -> dict[str, bytes]:
    """Return the content of each file: the authority, and for each role a certificate with its key."""
    try:
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - of an extra
            Encoding,
            NoEncryption,
            PrivateFormat,
        )
    except ImportError:
        raise SettingsError(EXTRA) from None
    # Its own key is forgotten with this function: nobody can sign another certificate of this cluster.
    authority_key, authority = _certificate("novelty cluster authority", days)
    files = {AUTHORITY: authority.public_bytes(Encoding.PEM)}
    for role in ROLES:
        key, certificate = _certificate(f"novelty cluster {role}", days, (authority, authority_key))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files[f"{role}.pem"] = certificate.public_bytes(Encoding.PEM) + private
    return files


def _certificate(
    name: str, days: int, issuer: "tuple[x509.Certificate, EllipticCurvePrivateKey] | None" = None
) -> "tuple[EllipticCurvePrivateKey, x509.Certificate]":
    """Return a key and its certificate, signed by an issuer, or by itself as an authority."""
    from cryptography import x509  # noqa: PLC0415 - of an extra
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer[1] if issuer else key
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + datetime.timedelta(days=days))
        # An authority of this length can sign no further authority.
        .add_extension(x509.BasicConstraints(not issuer, None if issuer else 0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(_usage(is_authority=not issuer), critical=True)
    )
    if issuer:
        # A worker is a server to other workers, and a client of them and of the scheduler.
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(_names()), critical=False)
    return key, builder.sign(signer, hashes.SHA256())


def _usage(*, is_authority: bool) -> "x509.KeyUsage":
    """Return what a key is for: to sign certificates, or to prove who one is."""
    from cryptography import x509  # noqa: PLC0415 - of an extra

    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(
        digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority, **usage
    )


def _names() -> "list[x509.GeneralName]":
    """Return the names of this machine, for programs that look at them; Dask does not."""
    from cryptography import x509  # noqa: PLC0415 - of an extra

    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    # Names of machines may have characters that certificates can't.
    with suppress(ValueError):
        names.append(x509.DNSName(socket.gethostname()))
    return [*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
