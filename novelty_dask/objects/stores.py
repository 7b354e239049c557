"""Stores of obstore: which URLs name one, and how it is reached.

Credentials come from the environment alone, by the names that each cloud's own tools use.  They never become
part of a run, a task, a log or a message.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache
from typing import Any

from obstore.store import MemoryStore, from_url

from novelty_dask.errors import StoreError
from novelty_dask.objects.schemes import scheme_of, without_path

RETRY_SECONDS = 30.0
"""Time for which a request is repeated while its store can't be reached, or says that it is busy."""
LONGEST_PAUSE_SECONDS = 4.0
SCHEMES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "abfs", "abfss": "abfss"}
"""Schemes of stores on other machines, as obstore names them."""
VARIABLES = ("AWS_", "AZURE_", "GOOGLE_")
"""Beginnings of the names of variables that say where a store is, and who may use it."""
AWS_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)

_MEMORY = MemoryStore()
"""What is stored under memory://, which ends with this process."""


def open_store(url: str) -> tuple[Any, str]:
    """Return the store that a URL names, and the path in it.

    Raises
    ------
    StoreError
        No run can be kept there, or the URL holds credentials.
    """
    scheme, rest = scheme_of(url), url.partition("://")[2]
    bucket, _, path = rest.partition("/")
    if scheme == "memory":
        return _MEMORY, _normal(rest)
    if scheme not in SCHEMES:
        message = (
            f"Can't use {without_path(url)!r}: no run is kept in {scheme}://; name a folder, or one in "
            "s3://, gs:// or az://."
        )
        raise StoreError(message)
    user = bucket.rpartition("@")[0]
    # abfs://container@account.dfs.core.windows.net/… names a container there, and no user.
    if "?" in url or ":" in user or (user and not scheme.startswith("abfs")):
        message = (
            f"Can't use {without_path(url)!r}: a URL must not hold credentials; put them into the "
            "environment, and name the run as in s3://bucket/run.zarr."
        )
        raise StoreError(message)
    if not bucket:
        message = f"Can't use {url!r}: it names no bucket; name one, as in s3://bucket/run.zarr."
        raise StoreError(message)
    _check_credentials(scheme)
    settings = tuple(sorted(item for item in os.environ.items() if item[0].startswith(VARIABLES)))
    return _connect(f"{SCHEMES[scheme]}://{bucket}", settings), _normal(path)


def forget_memory() -> None:
    """Remove everything that is stored under memory://."""
    _MEMORY.delete([found["path"] for page in _MEMORY.list() for found in page])


# The connections of a store are kept as long as the variables are the same: a new one takes round trips.
@lru_cache(maxsize=16)
def _connect(url: str, settings: tuple[tuple[str, str], ...]) -> Any:
    """Return a store, which takes what it needs from the environment."""
    names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_ENDPOINT")
    is_plain = any(value.startswith("http://") for name, value in settings if name in names)
    options: dict[str, Any] = {"connect_timeout": timedelta(seconds=5)}
    # Who names such an address means it.
    if is_plain:
        options["allow_http"] = True
    backoff = {
        "init_backoff": timedelta(seconds=0.1),
        "max_backoff": timedelta(seconds=LONGEST_PAUSE_SECONDS),
        "base": 2,
    }
    # By time and not by number: pauses are random, and ten of them may take a second or a minute.
    retry = {
        "max_retries": 10_000,
        "retry_timeout": timedelta(seconds=RETRY_SECONDS),
        "backoff": backoff,
    }
    # Its types have a form for each kind of store, and this is whichever the URL names.
    connect: Any = from_url
    return connect(url, client_options=options, retry_config=retry)


def _check_credentials(scheme: str) -> None:
    """Refuse to go without credentials to S3 where the user forbids to ask the cloud's own address for some.

    Raises
    ------
    StoreError
        There are none in the environment.
    """
    is_forbidden = os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    if SCHEMES[scheme] == "s3" and is_forbidden and not any(map(os.environ.get, AWS_CREDENTIALS)):
        message = (
            f"There are no credentials for {scheme}://; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
        raise StoreError(message)


def _normal(path: str) -> str:
    """Return a path without empty parts."""
    return "/".join(filter(None, path.split("/")))
