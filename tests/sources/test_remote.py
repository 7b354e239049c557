"""Lists of the web: one request, or a sentence."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

import novelty_dask
from novelty_dask.errors import InputError

LIST = b"http://a.example/1\nhttp://a.example/2\n"


@pytest.fixture
def requests() -> list[str]:
    """The paths that were asked for."""
    return []


@pytest.fixture
def host(requests: list[str]) -> Iterator[str]:
    """A server of lists."""

    class Lists(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            code = {"/moved": 302, "/gone": 404}.get(self.path, 200)
            body = gzip.compress(LIST) if self.path == "/list.gz" else LIST
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/list.txt")
            self.send_header("Content-Length", str(len(body) + 9 * (self.path == "/cut")))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Lists) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/list.txt", "/list.gz"])
def test_a_list_is_read(host: str, requests: list[str], path: str) -> None:
    assert len(novelty_dask.score(f"http://{host}{path}", remote=True, workers=0)) == 2
    assert requests == [path]


def test_lists_are_read_beside_files(host: str, requests: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"http://b.example/")
    names = [f"http://{host}/a", str(tmp_path), f"HTTP://{host}/b"]
    run = novelty_dask.score(names, remote=True, workers=0)
    assert len(run) == 3
    assert requests == ["/a", "/b"]
    assert run.manifest.totals
    assert run.manifest.totals.source_lines == [2, 2, 1]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/moved", r"^The list at 'http://127.*' has moved, to .*; name its new URL\.$"),
        ("/gone", r"^Can't read the list at 'http://127.*': .*404"),
        ("/cut", "^Can't read the list at 'http://127.*': 9 bytes of it did not come"),
    ],
)
def test_what_gives_no_list_is_an_input_error(
    host: str, requests: list[str], tmp_path: Path, path: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        novelty_dask.score(f"http://{host}{path}", tmp_path / "run.zarr", remote=True, workers=0)
    assert requests == [path]
    assert not (tmp_path / "run.zarr").exists()
    # Also while the error is held, and with it all that was there when it was raised.
    assert refusal.tb
    port = int(host.partition(":")[2])
    assert not [each for each in psutil.Process().net_connections() if each.raddr and each.raddr.port == port]


def test_a_password_is_not_sent() -> None:
    with pytest.raises(InputError, match=r"^'https://a\.example/…' has a user name; ") as refusal:
        novelty_dask.score("https://me:s3cret@a.example", remote=True)
    assert "s3cret" not in str(refusal.value)


def test_other_urls_stay_refused() -> None:
    with pytest.raises(InputError, match="no URL is visited"):
        novelty_dask.score("ftp://a.example/urls.txt", remote=True)
