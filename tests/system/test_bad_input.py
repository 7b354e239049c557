"""Lines and files of every bad kind, through whole runs: scored or rejected, and always counted."""

import gzip
import json
import lzma
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import novelty_dask
from novelty_dask.errors import InputError
from novelty_dask.features.choose import make_features
from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.lines import MAX_BYTES, Reason, read_lines
from novelty_dask.kernels.text.urls import normalize
from novelty_dask.storage.runs import open_stored
from tests.support.arrays import listed

BOM = b"\xef\xbb\xbf"
N_FEATURES = 4_096

KINDS: dict[str, tuple[list[bytes], str | None, str | None]] = {
    # Lines of a kind, and why they are rejected, as they are and in the form of the web.
    "blank": ([b"", b" ", b"\t\t", b"\x0b\x0c", "\u00a0\u2003\u3000".encode()], "blank", "blank"),
    "comments": ([b"# feed", b"####", b"#", b" #\tx"], "comment", "comment"),
    "no comments": ([b"#/route", b"#!x", b"http://a.example/# x"], None, "mixed"),
    "nul": ([b"http://a.example/\0", b"\0", b"a\0\xff"], "nul", "nul"),
    "not utf-8": (
        [
            "http://bücher.example/".encode("latin-1"),
            b"\xff",
            b"http://a.example/\xc3",
            b"http://a.example/\xc0\xaf",  # overlong
            b"http://a.example/\xe0\x80\xaf",
            b"http://a.example/\xed\xa0\x80",  # a surrogate
            b"http://a.example/\xf4\x90\x80\x80",  # beyond Unicode
            "http://a.example/日本".encode("shift-jis"),
        ],
        "invalid-utf8",
        "invalid-utf8",
    ),
    "too long": ([b"http://a.example/" + b"x" * MAX_BYTES, b"\0" * 1_000_000], "too-long", "too-long"),
    "at the limit": ([(b"http://a.example/" + b"y" * MAX_BYTES)[:MAX_BYTES]], None, None),
    "spaces inside": ([b"http://a.example/two words", b"http://a.example/x\ty"], None, None),
    "spaces in the host": ([b"http://two words.example/", b"two words"], None, "not-a-url"),
    "spaces around": ([b"  http://spaces.example/  ", b"\thttp://tab.example/ \r"], None, None),
    "cr inside": ([b"http://a.example/x\ry"], None, None),
    "no scheme": ([b"a.example/x", b"//a.example/y", b"localhost:3000", b"192.0.2.7"], None, None),
    "a path": ([b"/etc/passwd", b"../x", b"\\\\host\\share", b"?q", b"#f"], None, "mixed"),
    "other schemes": (
        [
            b"javascript:alert(1)",
            b"data:text/html;base64,PHNjcmlwdD4=",
            b"file:///etc/passwd",
            b"vbscript:x",
            b"mailto:me@a.example",
            b"blob:http://a.example/1",
            b"view-source:http://a.example/",
            b"hxxp://a[.]example/",
        ],
        None,
        "mixed",
    ),
    "percent signs": (
        [b"http://a.example/%", b"http://a.example/%zz", b"http://a.example/%00", b"http://a.example/%c0%af"],
        None,
        None,
    ),
    "percent signs in the host": ([b"http://%zz.example/", b"http://%00.example/"], None, "not-a-url"),
    "international hosts": (
        [
            "http://bücher.example/".encode(),
            b"http://xn--bcher-kva.example/",
            "http://\u0430\u0440\u0440\u04cf\u0435.example/".encode(),  # Cyrillic
            "http://例え.example/".encode(),
            "http://a。example/".encode(),
        ],
        None,
        None,
    ),
    "broken punycode": ([b"http://xn--a.example/", b"http://xn--\xc3\xbc.example/"], None, "mixed"),
    "invisible marks": (
        [
            "http://a.example/\u202egpj.exe".encode(),
            "http://a\u200bb.example/".encode(),
            "http://a.example/\u2066x\u2069".encode(),
            "http://a.example/\ufeff".encode(),
            "\u200b".encode(),
            "http://a.example/\u2028x".encode(),
            "http://a.example/\U000e0041".encode(),
        ],
        None,
        "mixed",
    ),
    "controls": (
        [b"http://a.example/\x1b[31m", b"http://a.example/\x7f\x01", "http://a.example/\x9b2J".encode()],
        None,
        None,
    ),
    "ip addresses": (
        [
            b"http://[2001:db8::1]:80/",
            b"http://[::ffff:192.0.2.7]/",
            b"http://0x7f.1/",
            b"http://2130706433/",
        ],
        None,
        None,
    ),
    "broken ip addresses": (
        [b"http://[2001:db8::1/", b"http://[::g]/", b"http://256.256.256.256/", b"http://[bad"],
        None,
        "not-a-url",
    ),
    "user names": ([b"http://user:secret@a.example/", b"http://a.example@b.example/"], None, None),
    "impossible ports": ([b"http://a.example:99999/", b"http://a.example:x/"], None, "not-a-url"),
    "no host": ([b"http://", b"https:///", b"http://?x"], None, "not-a-url"),
    "no features": ([b"a", b"zz", "é".encode()], None, None),
    "formulas": ([b"=1+1", b"+http://a.example", b"@SUM(1)", b"-1", b"=cmd|' /C calc'!A0"], None, "mixed"),
    "markup": ([b"<script>alert(1)</script>", b'http://a.example/"><img src=x>'], None, "mixed"),
    "marks of utf-8": ([b"x\n" + BOM + b"http://mark.example/"], None, "mixed"),
    "astral": ("http://a.example/😀\nhttp://a.example/\U0010ffff".encode().split(b"\n"), None, None),
}
GOOD = [b"http://good.example/%d" % number for number in range(20)]


class Account(NamedTuple):
    """What is to become of a stream: rows with counts and first positions, and rejected lines by number."""

    n_lines: int
    rows: dict[str, tuple[int, int]]
    rejected: list[tuple[int, str]]


def account(stream: bytes, form: NormalForm) -> Account:
    """Keep the books of a stream line by line, by rules of their own."""
    raws = stream.split(b"\n")
    if raws[-1] == b"":
        raws.pop()
    raws[:1] = [raw.removeprefix(BOM) for raw in raws[:1]]
    counts: dict[str, tuple[int, int]] = {}
    spellings: dict[str, str] = {}
    rejected = []
    for number, line in enumerate(raws):
        raw = line.removesuffix(b"\r")
        try:
            text = raw.decode("utf-8", "strict").strip()
            fault = "too-long" if len(raw) > 8_192 else "nul" if "\0" in text else ""
            fault = fault or ("" if text.strip() else "blank")
            fault = fault or ("comment" if re.match(r"#(#|\s|$)", text) else "")
        except UnicodeDecodeError:
            text, fault = "", "too-long" if len(raw) > 8_192 else "nul" if b"\0" in raw else "invalid-utf8"
        normal = text if fault else normalize(text, form)
        if fault or normal is None:
            rejected.append((number, fault or "not-a-url"))
        else:
            count, first = counts.get(normal, (0, number))
            counts[normal] = (count + 1, first)
            spellings.setdefault(normal, text)
    rows = {spellings[normal]: counted for normal, counted in counts.items()}
    return Account(len(raws), rows, rejected)


def assert_accounted(run: novelty_dask.Run, expected: Account) -> None:
    """The run's books are the expected ones, to the line; and they balance."""
    totals = run.manifest.totals
    assert totals
    reasons = dict(sorted(Counter(reason for _, reason in expected.rejected).items()))
    assert totals.rejected == reasons
    assert totals.lines == expected.n_lines
    assert totals.rows == len(expected.rows) == len(run)
    assert totals.lines == totals.rows + totals.duplicates + sum(reasons.values())
    found = zip(listed(run.urls[:]), listed(run.counts[:]), listed(run.positions[:]), strict=True)
    assert {url: (count, position) for url, count, position in found} == expected.rows
    group = open_stored(run.url).arrays()
    lines, words = listed(group["rejected/line"][:]), listed(group["rejected/reason"][:])
    assert list(zip(lines, words, strict=True)) == expected.rejected
    novelty = np.asarray(run.novelty[:])
    settings = run.manifest.settings
    forms = [normalize(url, settings.normal_form) or "" for url in listed(run.urls[:])]
    has_features = np.diff(make_features(settings).count(forms).indptr) > 0
    if settings.features == "ngrams":
        assert has_features.tolist() == [len(form) >= 3 for form in forms]
    assert (np.isfinite(novelty) == has_features).all()
    assert ((novelty >= 0) & (novelty <= 1))[has_features].all()


def plain(folder: Path, stream: bytes) -> Path:
    (folder / "urls.txt").write_bytes(stream)
    return folder / "urls.txt"


def packed(folder: Path, stream: bytes) -> Path:
    """Several members, cut in the middle of lines and of characters."""
    (folder / "urls.txt.gz").write_bytes(
        b"".join(gzip.compress(stream[start : start + 9_973], 1) for start in range(0, len(stream), 9_973))
    )
    return folder / "urls.txt.gz"


VARIANTS: dict[str, tuple[Callable[[bytes], bytes], Callable[[Path, bytes], Path]]] = {
    "lf": (lambda stream: stream, plain),
    "crlf": (lambda stream: stream.replace(b"\n", b"\r\n"), plain),
    "mark, no last newline": (lambda stream: BOM + stream.removesuffix(b"\n"), plain),
    "crlf, mark, several members": (lambda stream: BOM + stream.replace(b"\n", b"\r\n"), packed),
}
variants = pytest.mark.parametrize(("change", "store"), VARIANTS.values(), ids=VARIANTS.keys())


def all_kinds() -> bytes:
    lines = [line for kind, _, _ in KINDS.values() for line in kind]
    return b"".join(line + b"\n" for line in [*GOOD, *lines, *GOOD[:5], *lines[::-1]])


@pytest.mark.parametrize(("kind", "raw", "web"), [(kind, *KINDS[kind][1:]) for kind in KINDS])
def test_each_kind_is_rejected_by_its_reason_or_accepted(kind: str, raw: str | None, web: str | None) -> None:
    stream = b"".join(line + b"\n" for line in KINDS[kind][0])
    both: list[tuple[NormalForm, str | None]] = [("raw", raw), ("web", web)]
    for form, expected in both:
        books = account(stream, form)
        assert books.n_lines == sum(count for count, _ in books.rows.values()) + len(books.rejected)
        reasons = {reason for _, reason in books.rejected}
        if expected == "mixed":
            assert reasons == {"not-a-url"}
        else:
            assert reasons == ({expected} if expected else set())
            assert expected is None or not books.rows
        [*batches] = read_lines([stream])
        rejected = [(each.number, str(each.reason)) for batch in batches for each in batch.rejected]
        assert rejected == account(stream, "raw").rejected


@pytest.mark.sampled
@variants
@pytest.mark.parametrize("form", ["raw", "web", "page", "template"])
def test_all_kinds_in_one_run_are_accounted_for(
    tmp_path: Path,
    form: NormalForm,
    change: Callable[[bytes], bytes],
    store: Callable[[Path, bytes], Path],
) -> None:
    stream = change(all_kinds())
    run = novelty_dask.score(
        store(tmp_path, stream),
        tmp_path / "run.zarr",
        normal_form=form,
        n_features=N_FEATURES,
        block_rows=64 if form == "raw" else None,
    )
    assert_accounted(run, account(stream, form))


@pytest.fixture(scope="module")
def bad_input(corpora: Path) -> bytes:
    """Every line of the corpus of bad input; a lone surrogate as UTF-8 would have it."""
    with lzma.open(corpora / "bad_input.jsonl.xz", "rt", encoding="utf-8") as lines:
        inputs = [json.loads(line)["input"] for line in lines]
    assert len(inputs) > 9_000
    return b"".join(text.encode("utf-8", "surrogatepass") + b"\n" for text in inputs)


FORMS: list[NormalForm] = ["raw", "web", "page", "template"]


@pytest.mark.sampled
@pytest.mark.corpus
@pytest.mark.parametrize(
    ("form", "change", "store"),
    [
        pytest.param(form, *variant, marks=[pytest.mark.long] * (place != number), id=f"{form}-{name}")
        for place, form in enumerate(FORMS)
        for number, (name, variant) in enumerate(VARIANTS.items())
    ],
)
def test_the_corpus_of_bad_input_is_accounted_for(
    tmp_path: Path,
    bad_input: bytes,
    form: NormalForm,
    change: Callable[[bytes], bytes],
    store: Callable[[Path, bytes], Path],
) -> None:
    stream = change(bad_input)
    run = novelty_dask.score(
        store(tmp_path, stream), tmp_path / "run.zarr", normal_form=form, n_features=2**16
    )
    assert_accounted(run, account(stream, form))


@pytest.mark.corpus
def test_worker_processes_account_for_it_too(tmp_path: Path, bad_input: bytes) -> None:
    run = novelty_dask.score(
        packed(tmp_path, bad_input), tmp_path / "run.zarr", workers=2, block_rows=2_000, n_features=2**16
    )
    assert_accounted(run, account(bad_input, "page"))


LINES = st.lists(
    st.binary(max_size=40)
    | st.sampled_from([b"\n", b"\r\n", b"\r", BOM, b"\0", b"a.example", "例え".encode(), b" ", b"x" * 60]),
    max_size=30,
).map(b"".join)


@settings(deadline=None, max_examples=400)
@given(stream=LINES, sizes=st.lists(st.integers(0, 50), max_size=25))
def test_any_bytes_are_accounted_for_however_they_come(stream: bytes, sizes: list[int]) -> None:
    ends = np.cumsum([0, *sizes]).tolist()
    pieces = [stream[start:stop] for start, stop in zip(ends, [*ends[1:], None], strict=True)]
    batches = list(read_lines(pieces))
    expected = account(stream, "raw")
    assert sum(batch.n_lines for batch in batches) == expected.n_lines
    rejected = [(each.number, str(each.reason)) for batch in batches for each in batch.rejected]
    assert rejected == expected.rejected
    numbers = [int(number) for batch in batches for number in batch.numbers]
    assert sorted(numbers + [number for number, _ in rejected]) == list(range(expected.n_lines))
    texts = Counter(text for batch in batches for text in batch.texts)
    assert texts == {text: count for text, (count, _) in expected.rows.items()}


# Files.


RUNNER = """
import atexit, pathlib, resource, sys
from novelty_dask.cli import main
from novelty_dask.execution.usage import usage

peak, limit = pathlib.Path(sys.argv.pop(1)), int(sys.argv.pop(1))
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
atexit.register(lambda: peak.write_text(str(usage().peak_bytes)))
main()
"""
"""The command; it leaves the most memory it held, since its last stage began if there was one."""


class Ended(NamedTuple):
    """How the command ended, and the most memory it held."""

    code: int
    stdout: str
    stderr: str
    peak_bytes: int


def novelty(*arguments: object, stdin: int | None = None, file_bytes: int = 0) -> Ended:
    """Run the command in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        peak = Path(folder, "peak")
        command = [sys.executable, "-c", RUNNER, str(peak), str(file_bytes), *map(str, arguments)]
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
        return Ended(done.returncode, done.stdout, done.stderr, int(peak.read_text()))


def assert_refused(ended: Ended, *words: str) -> None:
    assert ended.code == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert all(word in last for word in words), last


def reading_peak(run: Path) -> int:
    """Most memory held while lines were read."""
    return int(novelty_dask.open(run).manifest.stages["ingest"]["peak_bytes"])


@pytest.fixture(scope="module")
def usual_peak(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Memory that reading a few lines takes."""
    folder = tmp_path_factory.mktemp("usual")
    ended = novelty("score", plain(folder, b"\n".join(GOOD)), "-q", "-o", folder / "run.zarr")
    assert ended.code == 0
    return reading_peak(folder / "run.zarr")


def one_line(path: Path) -> Path:
    """Half a gigabyte without a newline, between two URLs; it takes no space on the disk."""
    with path.open("wb") as file:
        file.write(b"http://a.example/\n")
        file.seek(2**29, os.SEEK_CUR)
        file.write(b"x\nhttp://b.example/\n")
    return path


@pytest.mark.long
def test_an_endless_line_is_one_rejected_line(tmp_path: Path, usual_peak: int) -> None:
    # What one row of that length would need is projected, and hardly any of it is used.
    options = ["-o", tmp_path / "run.zarr", "--workers", 0, "--memory-limit", "16 GB"]
    ended = novelty("score", one_line(tmp_path / "urls.txt"), *options)
    assert ended.code == 0
    assert "3 lines, 2 pages: 0 duplicates, 1 rejected (1 too-long)" in ended.stderr
    assert reading_peak(tmp_path / "run.zarr") - usual_peak < 64 * 2**20


def test_a_bomb_is_stopped_in_little_memory(tmp_path: Path, usual_peak: int) -> None:
    packer = gzip.GzipFile(tmp_path / "urls.gz", "wb", 9)
    with packer:
        for _ in range(60):
            packer.write(b"http://a.example/\n" * 2**16)
    ended = novelty("score", tmp_path / "urls.gz", "-o", tmp_path / "run.zarr")
    assert_refused(ended, "urls.gz", "more than 200 times its size")
    assert ended.peak_bytes - usual_peak < 160 * 2**20
    assert not (tmp_path / "run.zarr").exists()


@pytest.mark.sampled
@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero")
@pytest.mark.parametrize(
    ("filter_", "words"),
    [("tr '\\0' x", ["standard input", "a line of it has more than"]), ("cat", ["Standard input is binary"])],
)
def test_an_endless_stream_without_newlines_is_refused(
    tmp_path: Path, usual_peak: int, filter_: str, words: list[str]
) -> None:
    with subprocess.Popen(f"{filter_} < /dev/zero", shell=True, stdout=subprocess.PIPE) as endless:
        assert endless.stdout
        ended = novelty("score", "-", "-o", tmp_path / "run.zarr", stdin=endless.stdout.fileno())
        endless.stdout.close()
    assert_refused(ended, *words)
    assert ended.peak_bytes - usual_peak < 64 * 2**20
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_fills_the_disk_leaves_nothing(tmp_path: Path) -> None:
    source = plain(tmp_path, b"http://a.example/\n" * 200_000)
    with source.open("rb") as stream:
        ended = novelty("score", "-", "-o", tmp_path / "run.zarr", stdin=stream.fileno(), file_bytes=2**20)
    said = f"Error: The disk of '{tmp_path / 'run.zarr'}' is full; free some space; finished work is kept.\n"
    assert (ended.code, ended.stderr) == (3, said)
    assert list(tmp_path.iterdir()) == [source]


def test_a_pipe_is_read_as_standard_input(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, BOM + b"\r\n".join(GOOD))
    os.close(theirs)
    try:
        ended = novelty("score", "-", stdin=ours)
    finally:
        os.close(ours)
    assert ended.code == 0
    assert "20 lines, 20 pages: 0 duplicates, 0 rejected" in ended.stderr


@pytest.mark.long
def test_pipes_that_are_named_are_read_once_and_kept(tmp_path: Path) -> None:
    """As shells make them of `<(zcat a.gz)`, each with its own compression."""
    contents = [b"\n".join(GOOD[:10]), gzip.compress(b"\n".join(GOOD[10:]))]
    for number in range(2):
        os.mkfifo(tmp_path / str(number))
    command = ["score", *(tmp_path / str(number) for number in range(2)), "-o", tmp_path / "run.zarr"]
    for _ in range(2):
        with ThreadPoolExecutor(2) as writers:
            for number, content in enumerate(contents):
                writers.submit((tmp_path / str(number)).write_bytes, content)
            ended = novelty(*command)
        assert ended.code == 0, ended.stderr
    run = novelty_dask.open(tmp_path / "run.zarr")
    assert set(run.top(20).source) == {"pipe:1", "pipe:2"}
    assert not (tmp_path / "run.zarr" / "work" / "pipe-1").exists()
    for number in range(2):
        with ThreadPoolExecutor(1) as writers:
            writers.submit((tmp_path / str(number)).write_bytes, b"http://a.example/\n")
            ended = novelty("score", tmp_path / str(number), "-o", tmp_path / "run.zarr")
        assert (ended.code, "its sources differ" in ended.stderr) == (2, True), ended.stderr


@pytest.mark.long
def test_a_name_that_is_no_utf8_is_read(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\n.txt"
    with open(path, "wb") as file:  # noqa: PTH123 - a name in bytes
        file.write(b"\n".join(GOOD))
    ended = novelty("score", os.fsdecode(path), "--workers", 1)
    assert (ended.code, len(ended.stdout.splitlines())) == (0, 20), ended.stderr


def flood(n_rows: int) -> Iterator[bytes]:
    """Rows that have all features in common, as few columns as there are."""
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789", np.uint8)
    for _ in range(n_rows):
        yield b"http://" + rng.choice(letters, 2_000).tobytes() + b"\n"


def test_rows_that_collide_in_every_column_stay_within_the_plan(tmp_path: Path) -> None:
    source = plain(tmp_path, b"".join(flood(1_500)))
    settings: dict[str, Any] = {"features": "ngrams", "n_features": 200, "memory_limit": "1 GB", "workers": 0}
    limit = novelty_dask.plan(source, **settings).worker_bytes
    flags = ["--features", "ngrams", "--n-features", 200, "--memory-limit", "1 GB", "--workers", 0]
    ended = novelty("score", source, "-o", tmp_path / "run.zarr", "-q", *flags)
    assert ended.code == 0, ended.stderr
    run = novelty_dask.open(tmp_path / "run.zarr")
    assert run.manifest.stages["vectorize"]["nonzeros"] > 0.95 * 200 * 1_500
    assert max(stage["peak_bytes"] for stage in run.manifest.stages.values()) <= limit
    assert np.isfinite(run.novelty[:]).all()


def test_reasons_that_a_list_may_have_are_those_of_this_file() -> None:
    reasons = {reason for _, *both in KINDS.values() for reason in both if reason} - {"mixed"}
    assert reasons == {str(reason) for reason in Reason} - {"malformed", "missing", "no-time", "bad-time"}


def test_an_input_error_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        novelty_dask.score(tmp_path / "a\nb\x1b.txt")
    assert str(refusal.value).isprintable()
