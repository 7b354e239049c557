"""Trials of the doctor: each worker does what a run needs, and a stranger tries to get in."""

import os
import socket
import ssl
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from distributed import Client

from novelty_dask.execution.clusters.preflight import versions
from novelty_dask.execution.clusters.resources import available_cores
from novelty_dask.execution.scheduler import Scheduler
from novelty_dask.objects.address import open_objects
from novelty_dask.private_files import find_writable
from novelty_dask.storage.loop import requests_at_once

STRANGER_SECONDS = 5
PAGE_SECONDS = 5
ERRORS_FROM = 400
"""The least code of an answer that is an error; those below lead to the page at least."""
SHARED = "shared"
"""Object that all workers try to create: one of them may."""


def ask_workers(client: Client) -> dict[str, Any]:
    """Return the description that each worker gives, by its address; an exception where it fails."""
    began = time.time()
    # A worker of another version may lack the function, which is an answer, too.
    answers = Scheduler(client).ask_workers(lambda: client.run(describe_worker, on_error="return"))
    middle = (began + time.time()) / 2
    for answer in answers.values():
        if isinstance(answer, dict):
            answer["ahead"] = answer["time"] - middle
            answer["doubt"] = time.time() - began
    return answers


def describe_worker() -> dict[str, Any]:
    """Return what the doctor looks at in the process that calls this, such as its versions and its clock."""
    folder, problem = find_writable("")
    return {
        "versions": versions(),
        "cores": available_cores(),
        "requests": requests_at_once(),
        "time": time.time(),
        "compiled": folder,
        "problem": problem,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }


def try_store(client: Client, url: str, token: str) -> dict[str, Any]:
    """Let each worker write into a store, in a folder that is removed; return what each found."""
    place = f"{url.rstrip('/')}/novelty-doctor-{token}"
    try:
        return Scheduler(client).ask_workers(lambda: client.run(use_store, place, on_error="return"))
    finally:
        # A store that takes nothing may also remove nothing, which the workers have reported.
        with suppress(Exception):
            open_objects(place).remove("")


def use_store(url: str) -> dict[str, bool]:
    """Create an object, try to create it again, and read it; return which of these did as they must."""
    objects = open_objects(url)
    name = f"{socket.gethostname()}-{os.getpid()}"
    first = objects.create(name, b"first")
    return {
        "created": first,
        "refused": not objects.create(name, b"second"),
        "read": objects.read(name) == b"first",
        "shared": objects.create(SHARED, name.encode()),
    }


def open_page(url: str) -> tuple[bool, str]:
    """Open a page of a dashboard; return whether a server answers, and why the page did not open, if so."""
    parts = urlsplit(url)
    # Nothing but HTTP, whatever address a scheduler claims, and not by a proxy, which knows other hosts.
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    page = kind(parts.hostname or "", parts.port, timeout=PAGE_SECONDS)
    try:
        page.request("GET", parts.path or "/")
        answer = page.getresponse()
    except (OSError, HTTPException) as error:
        return False, str(error)
    finally:
        page.close()
    return True, f"{answer.status} {answer.reason}" if answer.status >= ERRORS_FROM else ""


def open_ways(address: str) -> list[str]:
    """Return the ways in which a stranger without a certificate gets an answer of a scheduler.

    >>> open_ways("inproc://127.0.0.1/1/1")
    []
    """
    parts = urlsplit(address)
    if parts.hostname is None or parts.port is None or parts.scheme == "inproc":
        return []
    ways = {"without encryption": False, "without a certificate": True}
    return [way for way, is_encrypted in ways.items() if _answers(parts.hostname, parts.port, is_encrypted)]


def _answers(host: str, port: int, is_encrypted: bool) -> bool:  # noqa: FBT001 - called above alone
    """Return whether a server speaks to a stranger: a scheduler of Dask is the first to say something."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # It is not trusted with anything: it is only to be seen whether it would talk.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), STRANGER_SECONDS) as plain:
            if not is_encrypted:
                return bool(plain.recv(1))
            with context.wrap_socket(plain) as closed:
                return bool(closed.recv(1))
    except OSError:
        return False
