"""What hostile URLs, runs and folders may not do."""

import ast
import csv
import json
import os
import pickle
import pickletools
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest
from click.testing import CliRunner

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.cli.marked import shorten
from novelty_dask.cli.terminal import escape
from novelty_dask.datasets import make_urls
from novelty_dask.errors import StoreError
from novelty_dask.events import Event, StageStarted
from novelty_dask.execution.clusters.local import open_local_executor
from novelty_dask.execution.clusters.resources import Resources
from novelty_dask.kernels.text.lines import decode_line, sample_of
from novelty_dask.kernels.text.urls import normalize, sort_key
from tests.support.arrays import listed
from tests.support.damage import alter
from tests.support.files import write_lines
from tests.support.processes import COMMAND, terminal_output

PACKAGE = Path(novelty_dask.__file__).parent
CONTROLS = [chr(code) for code in (*range(1, 10), *range(11, 32), *range(127, 160))]
BIDI = [chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
TERMINAL = [
    "\x1b]52;c;aGFjaw==\x07",
    "\x1b]8;;http://evil.example\x1b\\text\x1b]8;;\x1b\\",
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "\x1bP1$r\x1b\\",
]
MARKUP = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "</td></tr></table><form action=//evil.example>",
    "<a href='javascript:alert(1)'>x</a>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<style>*{background:url(//evil.example)}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<link rel=stylesheet href=//evil.example>",
    "<object data=//evil.example>",
    "<math><mtext></p><style><img title='</style><img src onerror=alert(1)>'>",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "&#x3c;b&#x3e;",
    "{{7*7}}",
    "${7*7}",
    "{safe}",
    "<img src='x' style='x:expression(1)'>",
    "\u2028<b>",
    "\u202e<b>",
    "<b\u0000>".replace("\0", ""),
    "<textarea>",
    "<title>",
    "<plaintext>",
]


# Pages.


class Page(HTMLParser):
    """Elements with their attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.others: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)


def page(folder: Path, urls: list[str]) -> Page:
    folder.mkdir()
    run = novelty_dask.score(write_lines(folder / "urls.txt", urls), folder / "run.zarr")
    return Page(run._repr_html_())


@pytest.mark.sampled
@pytest.mark.parametrize("start", range(0, len(MARKUP), 5))
def test_markup_stays_text_and_no_link_is_alive(tmp_path: Path, start: int) -> None:
    hostile = MARKUP[start : start + 5]
    harmless = page(tmp_path / "harmless", [f"https://{number}.example/" for number in range(len(hostile))])
    found = page(tmp_path / "hostile", [f"{text}{number}" for number, text in enumerate(hostile)])
    assert found.elements == harmless.elements
    assert found.others == []
    assert not {"a", "script", "img", "link"} & {tag for tag, _ in found.elements}
    assert not {"href", "src"} & {name for _, names in found.elements for name in names}
    assert all(text.split("\n")[0].strip()[:20] in found.text for text in hostile)


# Terminals.


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    lines = [f"http://{i}.example/{text}/x" for i, text in enumerate([*CONTROLS, *BIDI, *TERMINAL])]
    novelty_dask.score(write_lines(folder / "urls.txt", lines), folder / "run.zarr")
    return folder


def test_a_terminal_gets_styles_and_nothing_else(hostile_run: Path) -> None:
    shown = terminal_output("top", hostile_run / "run.zarr", "-n", 1_000, columns=200)
    assert len(shown.splitlines()) == len(CONTROLS) + len(BIDI) + len(TERMINAL) + 1
    plain = re.sub(r"\x1b\[[0-9;]*m|\r\n", "", shown)
    assert all(char.isprintable() for char in plain)
    assert r"\x1b]52;c;aGFjaw==\x07" in plain


def test_names_of_files_can_not_command_a_terminal(tmp_path: Path) -> None:
    name = "".join(CONTROLS[:40]) + TERMINAL[0]
    path = tmp_path / name
    write_lines(path, ["http://a.example/1", "http://a.example/2"])
    shown = terminal_output("score", path, "-o", tmp_path / f"{name}.zarr", columns=200)
    assert TERMINAL[0] not in shown
    assert r"\x1b]52;c;aGFjaw==\x07" in shown


# Spreadsheets.


def test_no_cell_of_csv_is_run(tmp_path: Path) -> None:
    starts = [*"=+-@\uff0b\uff0d\uff1d\uff20"]
    before = ["", "\u00a0", "\u3000", "\u2003\u00a0", "\ufeff", "\u200b", "\x1f", "\x7f", "\u202e", "\u2028"]
    urls = [
        f"{space}{start}{number}+cmd|' /C calc'!A0" for number, start in enumerate(starts) for space in before
    ]
    harmless = ["http://a.example/=1", "http://a.example/", "'=1", "a=b", "日本"]
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", [*urls, *harmless]), tmp_path / "run.zarr")
    for raw in (False, True):
        out = tmp_path / f"rows-{raw}.csv"
        novelty_dask.export(run, out, raw=raw)
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        guard = "" if raw else "'"
        stored = {row["url"] for row in rows}
        assert stored == {*(guard + url for url in listed(run.urls[:]) if url not in harmless), *harmless}
        if not raw:
            nearest = {row["nearest_url"] for row in rows}
            assert nearest <= stored | {""}


# Code in data.

FORBIDDEN = {
    "cloudpickle",
    "dill",
    "joblib",
    "jsonpickle",
    "marshal",
    "pickle",
    "runpy",
    "shelve",
    "subprocess",
    "urllib",
    "requests",
    "http",
    "webbrowser",
    "yaml",
}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "system",
    "popen",
    "from_npy_stack",
    "read_pickle",
    "to_pickle",
}
ALLOWED = {
    "execution/clusters/commands.py": {"subprocess"},
    "execution/clusters/places.py": {"yaml"},
    "execution/clusters/probes.py": {"http"},
    "kernels/accelerate.py": {"pickle"},
    "sources/remote.py": {"http", "urllib"},
}
"""Workers that the file of a cluster describes; that file, read by the safe loader; compiled code, from files
of the user's own that nobody else may write; the page of a dashboard that the doctor checks; and one request
for a list, where that was asked for."""
HARMLESS = {"urllib.parse"}
"""Modules that open nothing, of packages that do."""
MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_runs_data_or_opens_urls(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [each.name for each in node.names]
            )
            forbidden = FORBIDDEN - ALLOWED.get(str(path.relative_to(PACKAGE)), set())
            assert not forbidden & {name.split(".")[0] for name in names if name not in HARMLESS}
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            assert name not in CALLS or ast.unparse(node.func) == "re.compile"
            assert "allow_pickle" not in {keyword.arg for keyword in node.keywords}
            assert ast.unparse(node.func) != "np.load"
            assert not ast.unparse(node.func).startswith("yaml.") or name == "safe_load"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> novelty_dask.Run:
    folder = tmp_path_factory.mktemp("run")
    source = write_lines(
        folder / "urls.txt", [*make_urls(300)[0], "\ud800".encode("utf-8", "replace").decode(), ""]
    )
    return novelty_dask.score(source, folder / "run.zarr", block_rows=100)


def is_pickle(content: bytes) -> bool:
    """Whether some bytes are a whole pickle."""
    try:
        *_, (last, _, _) = pickletools.genops(content)
    except ValueError:
        return False
    return last.name == "STOP" and content[:1] == b"\x80"


def test_a_run_holds_no_pickle(run: novelty_dask.Run) -> None:
    assert is_pickle(pickle.dumps([1, "a"]))
    files = [path for path in Path(run.url).rglob("*") if path.is_file()]
    assert len(files) > 30
    for path in files:
        assert not is_pickle(path.read_bytes())
        if path.name == "zarr.json":
            metadata = json.loads(path.read_text())
            assert metadata.get("data_type", "int64") in {
                "int32",
                "int64",
                "uint32",
                "float32",
                "float64",
                "string",
            }
            names = {codec["name"] for codec in metadata.get("codecs", [])}
            assert names <= {"bytes", "vlen-utf8", "blosc", "zstd", "crc32c"}


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def rewrite(path: Path, **changes: Any) -> None:
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps({**metadata, **changes}))


def pickle_codec(array: Path) -> None:
    rewrite(array / "zarr.json", codecs=[{"name": "numcodecs.pickle", "configuration": {"protocol": 5}}])


def object_type(array: Path) -> None:
    rewrite(array / "zarr.json", data_type="object", fill_value=None)


def void_type(array: Path) -> None:
    rewrite(array / "zarr.json", data_type={"name": "numpy.object_", "configuration": {}}, fill_value=None)


def old_array(array: Path) -> None:
    (array / "zarr.json").unlink()
    metadata = {
        "zarr_format": 2,
        "shape": [2],
        "chunks": [2],
        "dtype": "|O",
        "compressor": None,
        "order": "C",
    }
    metadata |= {"fill_value": None, "filters": [{"id": "pickle", "protocol": 5}]}
    (array / ".zarray").write_text(json.dumps(metadata))


def no_codec(array: Path) -> None:
    rewrite(array / "zarr.json", codecs=[])


EVIL = [pickle_codec, object_type, void_type, old_array, no_codec, lambda array: None]


@pytest.mark.parametrize("change", EVIL)
@pytest.mark.parametrize("name", ["rows/url", "novelty"])
def test_no_run_brings_code(
    tmp_path: Path, run: novelty_dask.Run, change: Callable[[Path], None], name: str
) -> None:
    evil, touched = tmp_path / "run.zarr", tmp_path / "touched"
    shutil.copytree(run.url, evil)
    for chunk in (evil / name / "c").iterdir():
        chunk.write_bytes(pickle.dumps(Payload(touched)))
    (evil / name / "0").write_bytes(pickle.dumps(Payload(touched)))
    # Whoever unpickled it would be seen.
    pickle.loads(pickle.dumps(Payload(touched)))
    touched.rmdir()
    change(evil / name)
    done = CliRunner().invoke(main, ["top", str(evil)])
    assert done.exit_code in {2, 4}
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
    with pytest.raises(StoreError, match=rf"{name}|run\.zarr"):
        novelty_dask.export(str(evil), tmp_path / "rows.csv")
    assert not touched.exists()


def change(**plan: object) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest["plan"].update(plan)


LIES: list[Callable[[dict[str, Any]], object]] = [
    change(n_rows=10**12),
    change(n_rows=10**12, block_rows=10**12),
    change(n_rows="300"),
    change(block_rows=0),
    change(block_rows=-5),
    change(span_blocks=1.5),
    change(cuts=[0]),
    change(cuts=[10**9]),
    change(cuts=[2, 1]),
    change(cuts=["1"]),
    change(more=1),
    lambda manifest: manifest.update(plan={}),
    lambda manifest: manifest.update(plan=[1]),
    lambda manifest: manifest.update(totals=3),
    lambda manifest: manifest.update(stages="merge"),
    lambda manifest: manifest.update(failures=[{"stage": "merge"}]),
    lambda manifest: manifest.update(failures=[{"stage": "merge", "item": 5, "reason": ""}]),
]


@pytest.mark.parametrize("lie", LIES)
def test_no_run_takes_endless_time_or_memory(
    tmp_path: Path, run: novelty_dask.Run, lie: Callable[[dict[str, Any]], object]
) -> None:
    evil = tmp_path / "run.zarr"
    shutil.copytree(run.url, evil)
    alter(evil, lie)
    for command in (["top"], ["status"], ["verify"], ["resume"], ["clean"]):
        done = CliRunner().invoke(main, [*command, str(evil)])
        assert done.exit_code == 2
        assert "is damaged: its manifest is malformed" in done.stderr


def test_a_run_of_nested_braces_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "run.zarr").mkdir()
    (tmp_path / "run.zarr" / "zarr.json").write_text('{"a":' * 100_000)
    done = CliRunner().invoke(main, ["status", str(tmp_path / "run.zarr")])
    assert done.exit_code == 2
    assert "can't be opened as a run" in done.stderr


def test_nothing_is_cleaned_away_that_a_damaged_run_may_need(tmp_path: Path, run: novelty_dask.Run) -> None:
    damaged = tmp_path / "run.zarr"
    shutil.copytree(run.url, damaged)
    alter(damaged, lambda said: said["identity"]["settings"].update(n_neighbors=11))
    before = names_in(damaged)
    done = CliRunner().invoke(main, ["clean", str(damaged)])
    assert done.exit_code == 2
    assert "is damaged, or of another run" in done.stderr
    assert before <= names_in(damaged)


# Paths.


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_no_url_becomes_a_path(tmp_path: Path) -> None:
    hostile = [
        "../../escape",
        "/etc/passwd",
        f"{tmp_path}/absolute",
        "a/../../b",
        "C:\\x",
        "con",
        "x" * 5_000,
    ]
    hostile += ["file:///etc/passwd", "~root", "$HOME", "`id`", "$(id)", "%2e%2e%2f", "zarr.json", ".", ".."]
    trees = []
    for name, urls in (("hostile", hostile), ("harmless", [f"https://a.example/{i}" for i in hostile])):
        (tmp_path / name).mkdir()
        source = write_lines(tmp_path / name / "urls.txt", urls)
        run = novelty_dask.score(source, tmp_path / name / "run.zarr")
        for suffix in ("csv", "jsonl", "parquet", "npz"):
            novelty_dask.export(run, tmp_path / name / f"rows.{suffix}")
        trees.append(names_in(tmp_path / name))
    assert trees[0] == trees[1]
    assert {path.name for path in tmp_path.iterdir()} == {"hostile", "harmless"}


def test_what_is_there_for_a_while_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", make_urls(50)[0]))
    with open_local_executor(Resources(1, 1, 10**9)):
        made = list((tmp_path / "temporary").iterdir())
        assert Path(run.url).parent in made
        assert len(made) >= 2
        assert all(path.stat().st_mode & 0o077 == 0 for path in made)
        assert all(path.name.startswith("novelty-") and len(path.name) > 14 for path in made)


class Modes:
    """Looks at the modes of all that is in a folder when a stage starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self.look()

    def look(self) -> None:
        for path in self.folder.rglob("*"):
            self.seen[str(path.relative_to(self.folder))] = path.lstat().st_mode & 0o777


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has modes")
@pytest.mark.parametrize(("umask", "file", "folder"), [(0o077, 0o600, 0o700), (0o027, 0o640, 0o750)])
def test_a_run_is_as_private_as_its_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int, file: int, folder: int
) -> None:
    """Neither more nor less: runs may be meant to be shared."""
    source = write_lines(tmp_path / "urls.txt", make_urls(50)[0])
    place, before = tmp_path / "place", os.umask(umask)
    try:
        place.mkdir()
        with source.open(encoding="utf-8") as stream:
            monkeypatch.setattr("sys.stdin", stream)
            listener = Modes(place)
            run = novelty_dask.score("-", place / "run.zarr", workers=0, listener=listener)
        for suffix in ("csv", "jsonl", "parquet", "npz"):
            novelty_dask.export(run, place / f"rows.{suffix}")
        listener.look()
    finally:
        os.umask(before)
    assert {"run.zarr/work/stdin", "run.zarr/zarr.json", "rows.csv", "rows.npz"} <= {*listener.seen}
    for name, mode in listener.seen.items():
        assert mode == (folder if (place / name).is_dir() else file) or not (place / name).exists(), name
        assert mode in {file, folder}, name


# The network.

SPY = """
import os, sys

def _spy(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.bind", "socket.gethostname"):
        with open(os.environ["SPY_LOG"], "a") as log:
            print(event, *(each for each in arguments if not hasattr(each, "fileno")), file=log)

sys.addaudithook(_spy)
"""
LOOPBACK_CALL = r"socket\.(connect \('127\.0\.0\.1', \d+\)|getaddrinfo 127\.0\.0\.1 \d+ \d+ \d+ \d+)"


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """URLs that resolve, or would if anybody asked."""
    return write_lines(
        tmp_path / "urls.txt", [f"http://localhost:{i}/{i}" for i in range(200)] + ["ftp://example.com"]
    )


@pytest.mark.sampled
@pytest.mark.parametrize("workers", [0, 1, pytest.param(2, marks=pytest.mark.long)])
def test_nobody_is_called_but_the_scheduler(tmp_path: Path, names: Path, workers: int) -> None:
    (tmp_path / "sitecustomize.py").write_text(SPY)
    (tmp_path / "log").touch()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SPY_LOG": str(tmp_path / "log")}
    command = [*COMMAND, "score", str(names), "--quiet", "--normal-form", "web", "--workers", str(workers)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 201
    calls = (tmp_path / "log").read_text().splitlines()
    assert (len(calls) > 0) == (workers > 0)
    hosts = {
        match[0]
        for call in calls
        for match in re.finditer(r"(?<=[(' ])[\w.:-]*[a-z.:][\w.:-]*(?=[,' ])", call)
    }
    assert hosts - {"socket.connect", "socket.getaddrinfo"} == ({"127.0.0.1"} if workers else set())


ALONE = """
import fcntl, os, socket, struct, sys

with socket.socket() as any_socket:  # The loopback interface is down in a new network.
    request = struct.pack("16sh", b"lo", 1)
    fcntl.ioctl(any_socket, 0x8914, request)
os.execv(sys.executable, [sys.executable, "-m", "novelty_dask", *sys.argv[1:]])
"""


@pytest.mark.parametrize("workers", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (0, 2))])
def test_a_machine_without_network_is_enough(names: Path, workers: int) -> None:
    alone = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*alone, "0"], capture_output=True, check=False).returncode
    ):
        pytest.skip("this machine does not let its users make networks of their own")
    arguments = ["score", str(names), "--quiet", "--normal-form", "web", "--workers", str(workers)]
    done = subprocess.run([*alone, ALONE, *arguments], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 201


# Time.


def patterns() -> Iterator[tuple[str, "re.Pattern[str]"]]:
    """All regular expressions of the package."""
    for module in walk_packages(novelty_dask.__path__, "novelty_dask."):
        if module.name != "novelty_dask.__main__":
            for name, value in vars(import_module(module.name)).items():
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                    yield f"{module.name}.{name}", value


REPEATED = (
    "a",
    "a.",
    ":",
    "/",
    "://",
    "@",
    "?token",
    "&token=",
    "&a-token",
    ".tar",
    ".tar.a",
    "1",
    "1.",
    "[",
    "<",
    ">",
    "<a ",
    "<a b='",
    '<a b="&amp;',
)
LONG = [text * (200_000 // len(text)) for text in (*REPEATED, " ")]


@pytest.mark.long
def test_regular_expressions_take_linear_time() -> None:
    found = dict(patterns())
    assert len(found) >= 8
    slow = {}
    for name, pattern in found.items():
        for text in LONG:
            began = time.thread_time()
            pattern.search(text)
            pattern.sub("", text, count=1)
            seconds = time.thread_time() - began
            # In time that grows with the square, these texts would take minutes.
            if seconds > 0.5:
                slow[name, text[:8]] = seconds
    assert slow == {}


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:8])
def test_what_is_done_to_a_line_takes_linear_time(text: str) -> None:
    functions = (escape, sort_key, lambda line: shorten(line, 80), lambda line: normalize(line, "web"))
    for function in functions:
        began = time.thread_time()
        function(text)
        assert time.thread_time() - began < 0.5
    raw = text.encode()
    began = time.thread_time()
    decode_line(raw)
    decode_line(raw, 10**9)
    sample_of(raw)
    assert time.thread_time() - began < 0.5
