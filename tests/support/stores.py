"""Object stores that tests start, and what stands between them and their clients."""

import http.client
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.support.processes import end_session, wait_until

BUCKET = "bucket"
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-nobody",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Who may use the stores; nobody is asked for more."""


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens at, whose numbers with 10,000 added are free, too."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def find_program(name: str) -> str | None:
    """Return the path of a program beside that of Python, or wherever else it is; None if there is none."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


class Answer(NamedTuple):
    """What a store says to a request."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Store:
    """A server of S3 on loopback, in a process group of its own.

    Parameters
    ----------
    folder : Path
        Where it keeps its data, if it keeps any.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, *self.others = free_ports(10)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """Return the variables that lead to the server, or to a proxy before it."""
        return {**KEYS, "AWS_ENDPOINT_URL": endpoint or self.endpoint}

    def command(self) -> list[str]:
        """Return what starts it."""
        raise NotImplementedError

    def make_bucket(self) -> None:
        """Make an empty bucket."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                env={**os.environ, **KEYS, "PYTHONWARNINGS": "ignore"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        wait_until(self._answers, 120)

    def kill(self) -> None:
        """Kill it without a word."""
        if self.process:
            end_session(self.process.pid)
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        """Return whether it serves its bucket, which is made if it is not there."""
        store = S3Store(
            BUCKET,
            endpoint=self.endpoint,
            region=KEYS["AWS_DEFAULT_REGION"],
            access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        with suppress(OSError, BaseError):
            self.make_bucket()
            # A store that has just started lists what it holds, and can't store anything yet.
            store.put("ready", b"")
            store.delete("ready")
            return True
        return False


class SeaweedFS(Store):
    """SeaweedFS, a real object store, which keeps its data over a kill."""

    def command(self) -> list[str]:
        """Return what starts it, with every port on loopback."""
        names = (
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port.grpc",
            "admin.port",
            "admin.port.grpc",
        )
        ports = [f"-{name}={port}" for name, port in zip(names, self.others, strict=True)]
        fixed = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        return [
            find_program("weed") or "weed",
            "mini",
            f"-dir={self.folder}",
            f"-s3.port={self.port}",
            *ports,
            *fixed,
            "-webdav=false",
            "-admin.ui=false",
            f"-bucket={BUCKET}",
        ]

    def make_bucket(self) -> None:
        """Do nothing: it makes the bucket when it starts."""


class Moto(Store):
    """moto, which plays S3 in memory."""

    def command(self) -> list[str]:
        """Return what starts it."""
        return [find_program("moto_server") or "moto_server", "-H", "127.0.0.1", "-p", str(self.port)]

    def make_bucket(self) -> None:
        """Make a bucket, for which it wants no credentials."""
        url = f"{self.endpoint}/{BUCKET}"
        urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5).read()


PROGRAMS = {"seaweedfs": ("weed", SeaweedFS), "moto": ("moto_server", Moto)}


def start_store(kind: str, folder: Path) -> Store:
    """Start a server of S3 with an empty bucket; skip the test where its program is not installed."""
    program, make = PROGRAMS[kind]
    if find_program(program) is None:
        pytest.skip(f"{program} is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    store = make(folder)
    try:
        store.start()
    except BaseException:
        store.kill()
        raise
    return store


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[Store]:
    """Serve S3 with an empty bucket."""
    store = start_store(kind, folder)
    try:
        yield store
    finally:
        store.kill()


class Proxy:
    """What stands before a store: it counts requests, and may answer in its place.

    Parameters
    ----------
    port : int
        Of the store on loopback; 0 if there is none.

    Attributes
    ----------
    before : callable
        Gets the method, the path, the headers and the body of a request; returns an answer to give in place
        of the store, or None.
    after : callable
        Gets the first three, and what the store answered; returns the answer to give, or None to cut the
        connection.
    requests : list
        Method and path of each request.
    n_bytes : int
        Bytes of all bodies, there and back.
    seconds : float
        By how much each request is delayed.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.before: Callable[[str, str, dict[str, str], bytes], Answer | None] = lambda *_: None
        self.after: Callable[[str, str, dict[str, str], Answer], Answer | None] = lambda *given: given[3]
        self.requests: list[tuple[str, str]] = []
        self.n_bytes = 0
        self.seconds = 0.0
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def pass_on(self) -> None:
                """Pass a request on."""
                proxy.handle(self)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815 - the library's names

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def handle(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append((handler.command, handler.path))
        time.sleep(self.seconds)
        answer = self.before(handler.command, handler.path, headers, body)
        if answer is None:
            found = self._ask(handler.command, handler.path, body, headers)
            answer = self.after(handler.command, handler.path, headers, found) if found else None
        if answer is None:
            handler.close_connection = True
            with suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)
            return
        self.n_bytes += len(body) + len(answer.body)
        _send(handler, answer)

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer | None:
        """Return the answer of the store; None if there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def _send(handler: http.server.BaseHTTPRequestHandler, answer: Answer) -> None:
    """Send an answer."""
    length = str(len(answer.body))
    handler.send_response(answer.status)
    for name, value in answer.headers:
        if name.lower() == "content-length" and handler.command == "HEAD":
            length = value
        if name.lower() not in ("transfer-encoding", "content-length", "connection", "server", "date"):
            handler.send_header(name, value)
    handler.send_header("Content-Length", length)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(answer.body)


@contextmanager
def proxied(port: int = 0) -> Iterator[Proxy]:
    """Stand before a store, or in the place of one."""
    proxy = Proxy(port)
    thread = threading.Thread(target=proxy.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join()


XML = [("Content-Type", "application/xml"), ("Last-Modified", "Fri, 27 Nov 2026 10:00:00 GMT")]
BUSY = Answer(503, XML, b"<Error><Code>SlowDown</Code><Message>Slow.</Message></Error>")


def is_creation(method: str, headers: dict[str, str]) -> bool:
    """Return whether a request creates an object only where there is none."""
    return method == "PUT" and "if-none-match" in headers


def lose_every(number: int, how: str) -> Callable[[str, str, dict[str, str], Answer], Answer | None]:
    """Return what loses the answer to every N-th creation: the connection is cut, or the store says no."""
    seen: list[str] = []

    def after(method: str, path: str, headers: dict[str, str], answer: Answer) -> Answer | None:
        # A repeated request is no new one: its answer comes through.
        if is_creation(method, headers) and path not in seen:
            seen.append(path)
            if len(seen) % number == 0:
                return None if how == "cut" else BUSY
        return answer

    return after


class Careless:
    """A store that stores whatever it is sent, as those do that do not know If-None-Match."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer a request."""
        key, _, query = path.partition("?")
        if method == "PUT":
            self.stored[key] = body
            return Answer(200, [("ETag", '"1"')], b"")
        if method == "POST":
            names = re.findall(rb"<Key>(.*?)</Key>", body)
            for name in names:
                self.stored.pop(f"{key}/{name.decode()}", None)
            deleted = b"".join(b"<Deleted><Key>%s</Key></Deleted>" % name for name in names)
            return Answer(200, XML, b"<DeleteResult>%s</DeleteResult>" % deleted)
        if method == "DELETE":
            self.stored.pop(key, None)
            return Answer(204, [], b"")
        if "list-type" in query:
            return Answer(200, XML, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        if key in self.stored:
            return Answer(200, [("ETag", '"1"')], self.stored[key])
        return Answer(404, XML, b"<Error><Code>NoSuchKey</Code><Message>No.</Message></Error>")
