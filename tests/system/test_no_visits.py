"""No URL is visited by mistake: a server of this machine counts who calls, however a URL is passed."""

import io
import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from click.testing import CliRunner

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.errors import InputError, StoreError
from tests.support.arrays import listed
from tests.support.damage import alter
from tests.support.files import write
from tests.support.listeners import at_start, interrupt
from tests.support.processes import COMMAND

SECRET = "s3cr3t-t0k3n"
LINES = b"http://a.example/\nhttp://b.example/\n"


class Server(NamedTuple):
    """Host and port of a server, and who has called it."""

    host: str
    calls: list[Any]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that has a list of URLs under every path; a connection alone counts."""
    calls: list[Any] = []

    class Lists(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = "".join(f"http://{self.headers['Host']}/{i}\n" for i in range(3)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(text)

        do_HEAD = do_GET  # noqa: N815 - as http.server calls it

        def log_message(self, *_: Any) -> None: ...

    class Counting(ThreadingHTTPServer):
        def get_request(self) -> Any:
            connected = super().get_request()
            calls.append(connected[1])
            return connected

    with Counting(("127.0.0.1", 0), Lists) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield Server(f"127.0.0.1:{listening.server_port}", calls)
        listening.shutdown()
        thread.join()


def url(server: Server) -> str:
    """The URL of a list with a token."""
    return f"http://u:{SECRET}@{server.host}/{SECRET}/urls.txt?token={SECRET}&t={SECRET}#{SECRET}"


# The forms of a URL.

FORMS = [
    "http://{}/urls.txt",
    "HTTP://{}/urls.txt",
    "hTTps://{}/urls.txt",
    " http://{}/urls.txt",
    "\thttp://{}/urls.txt",
    "\ufeffhttp://{}/urls.txt",
    "http://{}/urls.txt\n",
    "http:/{}/urls.txt",
    "http://{}/*.txt",
    "http://{}/**",
    "http*://{}/urls.txt",
    "{{http,https}}://{}/urls.txt",
    "https://{}/urls.txt",
    "ftp://{}/urls.txt",
    "FTP://{}/urls.txt",
    "ftps://{}/urls.txt",
    "sftp://{}/urls.txt",
    "ssh://{}/urls.txt",
    "smb://{}/share/urls.txt",
    "webhdfs://{}/urls.txt",
    "dav://{}/urls.txt",
    "webdav://{}/urls.txt",
    "ws://{}/urls.txt",
    "git://{}/urls.txt",
    "git+https://{}/urls.txt",
    "github://{}/urls.txt",
    "gist://{}/urls.txt",
    "hf://{}/urls.txt",
    "jupyter://{}/urls.txt",
    "dask://{}/urls.txt",
    "simplecache::http://{}/urls.txt",
    "SimpleCache::HTTP://{}/urls.txt",
    "filecache::http://{}/urls.txt",
    "blockcache::http://{}/urls.txt",
    "cached::http://{}/urls.txt",
    "simplecache::filecache::http://{}/urls.txt",
    "zip://*.txt::http://{}/urls.zip",
    "zip://a.txt::simplecache::http://{}/urls.zip",
    "tar://a.txt::ftp://{}/urls.tar",
    "reference://::http://{}/urls.json",
    "memory://a.txt::http://{}/urls.txt",
    "s3://a.txt::http://{}/urls.txt",
    "view-source:http://{}/urls.txt",
]


def assert_said(message: str) -> None:
    """One sentence that names both things that a URL can mean, and tells no secret."""
    assert "is a URL, and no URL is visited: " in message
    assert "`echo URL | novelty score -`" in message
    assert "--remote" in message
    assert message.endswith(".")
    assert "\n" not in message
    assert SECRET not in message


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("function", [novelty_dask.score, novelty_dask.plan])
def test_no_form_of_a_url_is_visited(server: Server, form: str, function: Callable[..., Any]) -> None:
    name = form.format(server.host)
    with pytest.raises(InputError) as refusal:
        function(name)
    assert_said(str(refusal.value).replace("\\n", ""))
    assert server.calls == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", ["score", "plan"])
def test_no_form_of_a_url_is_visited_by_a_command(server: Server, form: str, command: str) -> None:
    done = CliRunner().invoke(main, [command, form.format(server.host)])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert_said(done.stderr.rstrip("\n").replace("\\n", ""))
    assert server.calls == []


@pytest.mark.sampled
@pytest.mark.parametrize("command", ["score", "plan"])
def test_a_command_of_its_own_visits_nothing(server: Server, tmp_path: Path, command: str) -> None:
    good = str(write(tmp_path / "urls.txt"))
    for names in ([url(server)], [good, url(server)]):
        done = subprocess.run([*COMMAND, command, *names], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert_said(done.stderr.rstrip("\n"))
    assert server.calls == []


def test_a_url_in_place_of_settings_is_not_visited(server: Server, tmp_path: Path) -> None:
    good = str(write(tmp_path / "urls.txt"))
    done = CliRunner().invoke(main, ["score", good, "--config", f"http://{server.host}/settings.toml"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: Can't read the settings file ")
    assert server.calls == []


# What Python passes.

CONTAINERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "path": Path,
    "list": lambda name: [name],
    "list of paths": lambda name: [Path(name)],
    "tuple": lambda name: (name, name),
    "set": lambda name: {name},
    "series": lambda name: pd.Series([name]),
    "array": lambda name: pd.Series([name]).to_numpy(),
    "keys": lambda name: {name: 1},
    "iterator": lambda name: iter([name]),
    "generator": lambda name: (each for each in [name]),
    "endless": itertools.repeat,
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("stored", [True, False])
def test_no_url_is_visited_however_it_is_passed(
    server: Server, tmp_path: Path, container: str, stored: bool
) -> None:
    for function in (novelty_dask.score, novelty_dask.plan):
        keywords: dict[str, Any] = {}
        if stored and function is novelty_dask.score:
            keywords["out"] = tmp_path / "run.zarr"
        with pytest.raises(InputError) as refusal:
            function(CONTAINERS[container](url(server)), **keywords)
        assert_said(str(refusal.value))
    assert server.calls == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("position", [0, 1, 2])
def test_nothing_is_opened_where_one_of_the_names_is_a_url(
    server: Server, tmp_path: Path, position: int
) -> None:
    os.mkfifo(tmp_path / "a.txt")
    names = [str(tmp_path / "a.txt"), str(tmp_path / "missing.txt")]
    names.insert(position, url(server))
    with pytest.raises(InputError) as refusal:
        novelty_dask.score(names)
    assert_said(str(refusal.value))
    assert server.calls == []


FILES: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: path.open("r", encoding="utf-8"),
    "binary": lambda path: path.open("rb"),
    "unbuffered": lambda path: path.open("rb", buffering=0),
    "text in memory": lambda path: io.StringIO(path.read_text(encoding="utf-8")),
    "bytes in memory": lambda path: io.BytesIO(path.read_bytes()),
}


@pytest.mark.parametrize("kind", FILES)
def test_an_open_file_is_no_source(server: Server, tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "urls.txt", f"{url(server)}\n".encode())
    for function in (novelty_dask.score, novelty_dask.plan):
        with FILES[kind](path) as file, pytest.raises(InputError) as refusal:
            function(file)
        expected = "An open file is not a source; pass its name, or - for standard input."
        assert str(refusal.value) == expected
    assert server.calls == []


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (b"http://{}/", "Sources are names"),
        (bytearray(b"http://{}/"), "Sources are names"),
        ([b"http://{}/"], "A source is the name of a file as text or a path, not bytes."),
        ([["http://{}/"]], "A source is the name of a file as text or a path, not list."),
        ([1.5], "A source is the name of a file as text or a path, not float."),
        (7, "Sources are names of files, not int; give a path or a list of paths."),
    ],
)
def test_what_is_no_name_is_no_source(sources: Any, said: str) -> None:
    for function in (novelty_dask.score, novelty_dask.plan):
        with pytest.raises(InputError) as refusal:
            function(sources)
        assert str(refusal.value).startswith(said)


# Globs and folders.


def test_a_folder_that_is_named_like_a_url_is_read_here(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{url(server)}\nhttp://b.example/\n".encode()
    write(tmp_path / "http:" / server.host / "a::b.txt", text)
    monkeypatch.chdir(tmp_path)
    for name in ("http:", "http:/*/*.txt", "./http:/*/*.txt", "h*/**/*.txt", "."):
        if not name.startswith("http:/"):
            assert len(novelty_dask.score(name)) == 2
    assert len(novelty_dask.score(tmp_path)) == 2
    assert len(novelty_dask.score(f"file://{tmp_path}/*/*/a::b.txt")) == 2
    assert server.calls == []


def test_no_url_in_a_list_is_visited(server: Server, tmp_path: Path) -> None:
    text = "".join(form.format(server.host).strip() + "\n" for form in FORMS)
    run = novelty_dask.score(write(tmp_path / "urls.txt", text.encode()), normal_form="web")
    assert len(run) > 10
    assert server.calls == []


def test_urls_in_memory_are_scored_and_not_visited(server: Server) -> None:
    urls = [f"http://{server.host}/{number}" for number in range(3)]
    with pytest.raises(InputError, match=r"in Python urls=\[...\]"):
        novelty_dask.score(urls)
    assert len(novelty_dask.score(urls=urls)) == 3
    assert server.calls == []


def test_a_list_is_read_by_one_request_if_that_is_asked_for(server: Server, tmp_path: Path) -> None:
    arguments = [
        "score",
        url(server).replace(f"u:{SECRET}@", ""),
        "-o",
        str(tmp_path / "run.zarr"),
        "--remote",
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.stderr
    assert len(server.calls) == 1
    assert f"One request goes to {server.host}, for a list.\n" in result.stderr
    run = novelty_dask.open(tmp_path / "run.zarr")
    assert len(run) == 3
    # The URLs in it are not visited, and no token is kept.
    stored = b"".join(path.read_bytes() for path in (tmp_path / "run.zarr").rglob("*") if path.is_file())
    assert f"token={SECRET}".encode() not in stored
    assert run.top(1).source[0].startswith(f"http://{server.host}/")
    assert novelty_dask.resume(run.url).url == run.url
    assert len(server.calls) == 1
    # To see whether it is the same takes another look.
    novelty_dask.score(arguments[1], run.url, remote=True)
    assert len(server.calls) == 2
    for plan in (novelty_dask.plan, novelty_dask.score):
        with pytest.raises(InputError, match=r"with --remote \(remote=True\)|can't be planned for"):
            plan(arguments[1])
    assert len(server.calls) == 2


def test_a_name_with_two_colons_is_a_file_of_that_name(tmp_path: Path) -> None:
    write(tmp_path / "a", b"http://wrong.example/\n")
    right = write(tmp_path / "a::b.txt", b"http://right.example/\n")
    for name in (str(right), f"file://{right}", str(tmp_path / "*::*.txt")):
        run = novelty_dask.score(name, tmp_path / f"{len(name)}.zarr")
        assert listed(run.urls[:]) == ["http://right.example/"]


@pytest.mark.parametrize(
    "name", ["simplecache::memory://a.txt", "zip://a.txt::memory://a.zip", "memory://a::b", "s3://a::b"]
)
def test_file_systems_in_a_chain_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r" joins several file systems, which is not read; name the file "):
        novelty_dask.score(name)


# Runs.


def name_source(run: Path, name: str) -> None:
    """Let a run say that its lines are elsewhere."""
    alter(run, lambda said: said["identity"]["sources"][0].update(url=name))


@pytest.mark.parametrize("stage", ["ingest", "sort", "vectorize"])
def test_no_url_that_a_stopped_run_names_is_visited(server: Server, tmp_path: Path, stage: str) -> None:
    source, out = (
        write(tmp_path / "urls.txt", b"http://a.example/\nhttp://b.example/\n"),
        tmp_path / "run.zarr",
    )
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(source, out, listener=at_start(stage, interrupt))
    name_source(out, f"http://{server.host}/{SECRET}/urls.txt")
    with pytest.raises(InputError) as refusal:
        novelty_dask.resume(out)
    assert_said(str(refusal.value))
    assert server.calls == []


def test_no_url_that_a_damaged_run_names_is_visited(server: Server, tmp_path: Path) -> None:
    source, out = (
        write(tmp_path / "urls.txt", b"http://a.example/\nhttp://b.example/\n"),
        tmp_path / "run.zarr",
    )
    novelty_dask.score(source, out)
    name_source(out, f"http://{server.host}/{SECRET}/urls.txt")
    shutil.rmtree(out / "rows" / "url" / "c")
    with pytest.raises(InputError) as refusal:
        novelty_dask.resume(out)
    assert_said(str(refusal.value))
    assert server.calls == []


def test_a_run_is_no_source_whatever_it_names(server: Server, tmp_path: Path) -> None:
    source, out = (
        write(tmp_path / "urls.txt", b"http://a.example/\nhttp://b.example/\n"),
        tmp_path / "run.zarr",
    )
    novelty_dask.score(source, out)
    name_source(out, f"http://{server.host}/urls.txt")
    for function in (novelty_dask.score, novelty_dask.plan):
        with pytest.raises(InputError, match=r"is a run or another Zarr store; name the files that hold "):
            function(out)
    assert server.calls == []


RUN_FUNCTIONS: dict[str, Callable[[str], Any]] = {
    "open": novelty_dask.open,
    "status": novelty_dask.status,
    "resume": novelty_dask.resume,
    "verify": novelty_dask.verify,
    "clean": novelty_dask.clean,
    "export": lambda name: novelty_dask.export(name, "rows.csv"),
}


@pytest.mark.parametrize("function", RUN_FUNCTIONS)
def test_no_url_in_place_of_a_run_is_visited(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=r": no URL of the web is visited; name a run ") as refusal:
        RUN_FUNCTIONS[function](url(server))
    assert SECRET not in str(refusal.value)
    assert server.calls == []


@pytest.mark.parametrize(
    "command", [["top"], ["export", "-o", "rows.csv"], ["status"], ["resume"], ["verify"], ["clean"]]
)
def test_no_url_in_place_of_a_run_is_visited_by_a_command(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*command, url(server)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no URL of the web is visited" in done.stderr
    assert SECRET not in done.stderr
    assert server.calls == []


def test_no_run_is_stored_under_a_url(server: Server, tmp_path: Path) -> None:
    source = write(tmp_path / "urls.txt")
    with pytest.raises(StoreError, match=r": no URL of the web is visited; name a run "):
        novelty_dask.score(source, url(server))
    assert server.calls == []
