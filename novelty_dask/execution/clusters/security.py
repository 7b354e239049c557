"""The connection to a scheduler: who may read it, by which certificates, and why it was refused."""

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distributed.security import Security

from novelty_dask.errors import SettingsError, reason
from novelty_dask.execution.clusters.certificates import AUTHORITY, ROLES

CLOSED = ("tls://", "wss://", "inproc://")
"""Beginnings of the addresses of connections that nobody else can read: encrypted, or within one process."""
SECTION = "distributed.comm"
NO_CERTIFICATE = (
    "it takes TLS alone, and there is no certificate to show; name the folder of its certificates (certs)"
)
_REFUSALS = (
    ("unknown ca", "it does not know the authority of this certificate; name the folder of its own (certs)"),
    (
        "certificate verify failed",
        "its certificate is of another authority, or has expired; name the folder of its own (certs)",
    ),
    ("certificate expired", "the certificate has expired; make others with `novelty cluster certs`"),
    ("certificate required", NO_CERTIFICATE),
    ("ssl_context", NO_CERTIFICATE),
    ("wrong version number", "it does not encrypt; start it with certificates"),
)
"""Words in errors of TLS, and what they mean, the first that occurs."""
_PLAIN = (
    "it closed the connection at once; if it takes TLS alone, name it as tls://, with certificates (certs)"
)


def is_exposed(address: str) -> bool:
    """Return whether others on the network can read a connection, or make one without a certificate.

    >>> [is_exposed(f"{begin}:8786") for begin in ("tcp://10.0.0.1", "tcp://127.0.0.1", "tls://10.0.0.1")]
    [True, False, False]
    """
    # Packages add protocols to Dask, as ucx://: whatever is not known to be closed counts as open.
    if not address or address.startswith(CLOSED):
        return False
    # Dask takes an address without a protocol for one of TCP.
    host = urlsplit(address if "://" in address else f"tcp://{address}").hostname or ""
    with suppress(ValueError):
        return not (host == "localhost" or ip_address(host).is_loopback)
    return True


def check_closed(address: str, *, is_allowed: bool) -> None:
    """Refuse to connect to a scheduler beyond this machine that does not encrypt.

    Raises
    ------
    SettingsError
        It does not, and nobody allowed it.
    """
    # Without a port no connection can be made, which Dask says better.
    if not is_allowed and _has_port(address) and is_exposed(address):
        message = (
            f"The scheduler {address} is beyond this machine and not encrypted: who shares the network could "
            "read the URLs and run code on its workers; start it with certificates, or "
            "allow it (insecure=True)."
        )
        raise SettingsError(message)


def _has_port(address: str) -> bool:
    """Return whether an address names a port."""
    try:
        return urlsplit(address if "://" in address else f"tcp://{address}").port is not None
    except ValueError:
        return False


def tls_configuration(folder: str) -> dict[str, Any]:
    """Return Dask's configuration for the certificates of a folder, by dotted names.

    >>> tls_configuration("certs")["distributed.comm.require-encryption"]
    True
    """
    return {f"{SECTION}.require-encryption": True, **dict(_files(folder))}


def _files(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the names of files in Dask's configuration, and their absolute paths."""
    path = Path(folder).absolute()
    yield f"{SECTION}.tls.ca-file", str(path / AUTHORITY)
    for role in ROLES:
        for what in ("key", "cert"):
            yield f"{SECTION}.tls.{role}.{what}", str(path / f"{role}.pem")


def client_security(folder: str | None) -> Security | None:
    """Return the certificates of a client from a folder; without one those of Dask's configuration count.

    Raises
    ------
    SettingsError
        A file is missing, or can't be read.
    """
    if folder is None:
        return None
    authority, client = check_files(folder, "client")
    return Security(
        tls_ca_file=authority, tls_client_cert=client, tls_client_key=client, require_encryption=True
    )


def check_files(folder: str, *roles: str) -> list[str]:
    """Return the paths of the authority and of some roles in a folder of certificates.

    Raises
    ------
    SettingsError
        A file is missing, or can't be read.
    """
    paths = [Path(folder).absolute() / name for name in (AUTHORITY, *(f"{role}.pem" for role in roles))]
    for path in paths:
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            message = (
                f"Can't read the certificate {str(path)!r}: {error.strerror}; make a folder of them with "
                "`novelty cluster certs`."
            )
            raise SettingsError(message) from None
    return [str(path) for path in paths]


def refusal(error: BaseException, address: str) -> str:
    """Return why a scheduler can't be reached, in words that can end a sentence."""
    found: BaseException | None = error
    while found is not None:
        text = str(found).replace("_", " ").lower()
        for words, meaning in _REFUSALS:
            if words.replace("_", " ") in text:
                return meaning
        if isinstance(found, ConnectionResetError) and not address.startswith(CLOSED):
            return _PLAIN
        found = found.__cause__ or found.__context__
    # Dask wraps some errors as text alone.
    if "ConnectionReset" in str(error) and not address.startswith(CLOSED):
        return _PLAIN
    return str(error).split("\n")[0].rstrip(".") or reason(error) or type(error).__name__
