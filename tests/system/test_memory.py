"""Memory is a contract: what a stage takes is at most what was projected, and at least half of it."""

import lzma
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import BudgetError
from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.normal_forms import normalize_texts
from novelty_dask.planning.memory import worker_bytes
from novelty_dask.planning.sizes import TEXT_BYTES
from novelty_dask.sources.decompress import BUFFER_BYTES, DICTIONARY_BYTES
from novelty_dask.stages.sort import read_sorted_rows, read_sorted_tables
from novelty_dask.storage.manifest import Manifest
from novelty_dask.storage.runs import open_stored
from tests.support.damage import alter
from tests.support.files import read_real_lines, write_lines, zstd
from tests.support.listeners import at_start, interrupt
from tests.support.processes import COMMAND
from tests.support.runs import USUAL_STAGES


def score(source: Path, out: Path, *options: str) -> novelty_dask.Run:
    """A run by a process of its own, as the memory of the client counts too."""
    command = [*COMMAND, "score", str(source), "-o", str(out), "--workers", "1", "--quiet"]
    subprocess.run([*command, *options], check=True)
    return novelty_dask.open(out)


def assert_kept(run: novelty_dask.Run, *, but_text: bool = False) -> None:
    assert list(run.manifest.stages) == USUAL_STAGES
    for name, stage in run.manifest.stages.items():
        assert stage["peak_bytes"] <= stage["projected_bytes"], name
        # Of little text neither the tables fill up, nor is a shuffle needed.
        if not (but_text and name in ("ingest", "sort")):
            assert stage["projected_bytes"] <= 2 * stage["peak_bytes"], name


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("n", "options"),
    [
        pytest.param(15_000, ["--block-rows", "4096"], marks=pytest.mark.long),
        pytest.param(60_000, [], marks=pytest.mark.long),
        pytest.param(60_000, ["--block-rows", "4096"], marks=pytest.mark.long),
    ],
)
def test_stages_keep_to_what_was_projected_on_real_rows(
    corpora: Path, tmp_path: Path, n: int, options: list[str]
) -> None:
    source = write_lines(tmp_path / "urls.txt", read_real_lines(corpora, n))
    assert_kept(score(source, tmp_path / "run.zarr", *options), but_text=n < 60_000)


@pytest.mark.parametrize("n", [8_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_stages_keep_to_what_was_projected(tmp_path: Path, n: int) -> None:
    source = write_lines(tmp_path / "urls.txt", make_urls(n)[0])
    assert_kept(score(source, tmp_path / "run.zarr"), but_text=True)


STOPPED = """
import sys
import novelty_dask
from novelty_dask.events import StageStarted

def stop(event):
    if isinstance(event, StageStarted) and event.stage == "vectorize":
        sys.exit()

if __name__ == "__main__":
    source, out, workers, form = sys.argv[1:]
    novelty_dask.score(source, out, workers=int(workers), normal_form=form, listener=stop)
"""


def read_and_sort(source: Path, out: Path, workers: int, form: NormalForm = "raw") -> Manifest:
    """Begin a run by a process of its own, and stop it before its rows are looked at."""
    subprocess.run([sys.executable, "-c", STOPPED, source, out, str(workers), form], check=True)
    manifest = open_stored(str(out)).manifest
    assert set(manifest.stages) == {"ingest", "sort"}
    return manifest


@pytest.mark.parametrize(
    ("n", "workers"), [(6_000, 1), *(pytest.param(20_000, w, marks=pytest.mark.long) for w in (1, 2))]
)
def test_long_lines_are_read_and_sorted_within_what_was_projected(
    tmp_path: Path, n: int, workers: int
) -> None:
    whole = random.Random(0).randbytes(4_000).hex()
    source = write_lines(tmp_path / "urls.txt", (f"https://a.example/{whole}{i}" for i in range(n)))
    for name, stage in read_and_sort(source, tmp_path / "run.zarr", workers).stages.items():
        assert stage["projected_bytes"] / 2 < stage["peak_bytes"] <= stage["projected_bytes"], name


@pytest.mark.parametrize(
    ("n_short", "n_long"),
    [(2_000, 400), *(pytest.param(n, 6_000, marks=pytest.mark.long) for n in (1, 30_000))],
)
def test_near_twins_of_8_kb_among_short_lines_are_compared_within_what_was_projected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_short: int, n_long: int
) -> None:
    """Code that is compiled stays in memory as well."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    chooser, whole = random.Random(0), [*random.Random(0).randbytes(3_980).hex()]
    twins = [[*whole] for _ in range(n_long)]
    for twin in twins:
        for place in chooser.sample(range(len(whole)), 5):
            twin[place] = chooser.choice("ghijklmnop")
    lines = [*make_urls(n_short)[0], *(f"https://www.long.example/?q={''.join(twin)}" for twin in twins)]
    run = score(write_lines(tmp_path / "urls.txt", lines), tmp_path / "run.zarr")
    assert list(run.manifest.stages) == USUAL_STAGES
    for name, stage in run.manifest.stages.items():
        assert stage["peak_bytes"] <= stage["projected_bytes"], name
    # Nearly all pairs of near twins go to a matrix product, and are not finished one by one.
    assert run.manifest.stages["compare"]["finished"] < 0.2 * n_long**2 + 200 * n_short


def write_spellings(folder: Path, n: int, form: NormalForm) -> Path:
    """Write different URLs of one page or template, and one of another at each end of the order."""
    # In this process, so that no other has to compile: that would take memory, too.
    assert len({*normalize_texts([spelling(0, form), spelling(1, form)], form)}) == 1
    lines = (spelling(number, form) for number in range(n))
    return write_lines(folder / "urls.txt", ["http://a.example", *lines, "http://z.example"])


def spelling(number: int, form: NormalForm) -> str:
    """One of many URLs of one form."""
    token = random.Random(number).randbytes(60).hex()
    tracked = f"https://m.example/orders?utm_id={token}"
    return tracked if form == "page" else f"https://m.example/orders/{token}/view"


@pytest.mark.parametrize(
    ("n", "workers", "form"),
    [
        (300_000, 1, "template"),
        *(
            pytest.param(n, workers, form, marks=pytest.mark.long)
            for n, workers, form in [
                (300_000, 0, "page"),
                (2_000_000, 0, "page"),
                (2_000_000, 1, "page"),
                (2_000_000, 0, "template"),
                (2_000_000, 1, "template"),
            ]
        ),
    ],
)
def test_spellings_of_one_form_are_sorted_within_what_was_projected(
    tmp_path: Path, n: int, workers: int, form: NormalForm
) -> None:
    """However many they are, no task holds them all, and all are counted."""
    manifest = read_and_sort(write_spellings(tmp_path, n, form), tmp_path / "run.zarr", workers, form)
    for name, stage in manifest.stages.items():
        assert stage["projected_bytes"] / 2 < stage["peak_bytes"] <= stage["projected_bytes"], name
    run = open_stored(str(tmp_path / "run.zarr"))
    middle = read_sorted_rows(run.commits, 1, 2).to_pylist()
    assert [(row["url"], row["position"], row["count"], row["spellings"]) for row in middle] == [
        (spelling(0, form), 1, n, n)
    ]
    assert [table.n_rows for table in read_sorted_tables(run.commits)] == [1, 1, 1]


@pytest.mark.parametrize("n", [150_000, pytest.param(600_000, marks=pytest.mark.long)])
def test_one_process_keeps_to_it_while_it_sorts(tmp_path: Path, n: int) -> None:
    """It keeps the rows that it moves in memory, up to a limit that this text does not reach."""
    lines = (f"https://{i % 7_919}.example/{random.Random(i).randbytes(80).hex()}" for i in range(n))
    source = write_lines(tmp_path / "urls.txt", lines)
    stages = read_and_sort(source, tmp_path / "run.zarr", 0).stages
    for stage in stages.values():
        assert stage["peak_bytes"] <= stage["projected_bytes"] <= 2 * stage["peak_bytes"]
    in_little_memory = worker_bytes({"sort": TEXT_BYTES}, 1)["sort"]
    assert n < 600_000 or stages["sort"]["peak_bytes"] > in_little_memory


def zstd_long(text: bytes) -> bytes:
    """As ``zstd --long=27`` packs."""
    parameter = zstd.CompressionParameter
    options: dict[int, int] = {
        parameter.compression_level: 1,
        parameter.window_log: 27,
        parameter.enable_long_distance_matching: 1,
    }
    packer = zstd.ZstdCompressor(options=options)
    return packer.compress(text) + packer.flush()


def xz_best(text: bytes) -> bytes:
    """With the dictionary of ``xz -9``."""
    return lzma.compress(text, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**26}])


@pytest.mark.parametrize(
    ("name", "pack", "n_copies"),
    [
        ("urls.zst", zstd_long, 10),
        pytest.param("urls.xz", xz_best, 10, marks=pytest.mark.long),
        pytest.param("urls.zst", zstd_long, 75, marks=pytest.mark.long),
        pytest.param("urls.xz", xz_best, 75, marks=pytest.mark.long),
    ],
)
def test_the_window_of_a_decompressor_is_projected(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes], n_copies: int
) -> None:
    """Few long lines, over and over; 150 MB of text fill the window, and less takes no more."""
    lines = [f"http://{i}.example/{random.Random(i).randbytes(500).hex()}\n" for i in range(2_000)]
    (tmp_path / name).write_bytes(pack("".join(lines).encode() * n_copies))
    manifest = read_and_sort(tmp_path / name, tmp_path / "run.zarr", 1)
    assert manifest.totals
    assert manifest.totals.lines == 2_000 * n_copies
    ingest = manifest.stages["ingest"]
    assert ingest["peak_bytes"] <= ingest["projected_bytes"]
    assert n_copies < 75 or ingest["projected_bytes"] <= 2 * ingest["peak_bytes"]
    plain = worker_bytes({"ingest": TEXT_BYTES}, 1)["ingest"]
    assert ingest["projected_bytes"] == plain + DICTIONARY_BYTES + BUFFER_BYTES
    assert manifest.memory["ingest"] == novelty_dask.plan(tmp_path / name).stage_bytes["ingest"]


@pytest.mark.parametrize("n", [4_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_tight_memory_gives_small_blocks_and_the_same_scores(tmp_path: Path, n: int) -> None:
    settings: dict[str, Any] = {"workers": 0, "n_neighbors": 300}
    source = write_lines(tmp_path / "urls.txt", make_urls(n)[0])
    ample = novelty_dask.score(source, tmp_path / "ample.zarr", **settings)
    with pytest.raises(BudgetError, match=r"raise --memory-limit to that") as refusal:
        novelty_dask.score(source, tmp_path / "none.zarr", **settings, memory_limit=1)
    least = int(str(refusal.value).split("projected to need ")[1].split(" MB")[0].replace(",", "")) * 10**6
    tight = novelty_dask.score(source, tmp_path / "tight.zarr", **settings, memory_limit=least)
    assert tight.manifest.plan
    assert ample.manifest.plan
    assert tight.manifest.plan.block_rows < ample.manifest.plan.block_rows
    np.testing.assert_array_equal(tight.novelty[:], ample.novelty[:], strict=True)
    np.testing.assert_array_equal(tight.neighbors.ids[:], ample.neighbors.ids[:], strict=True)


def stopped(folder: Path) -> Path:
    """A run that was stopped before rows were compared."""
    source = write_lines(folder / "urls.txt", make_urls(3_000)[0])
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(source, folder / "run.zarr", workers=0, listener=at_start("compare", interrupt))
    return folder / "run.zarr"


def test_what_was_sorted_by_one_process_goes_on_in_less_memory(tmp_path: Path) -> None:
    out = stopped(tmp_path)
    alter(out, lambda said: said["memory"].update(sort=10**12))
    assert len(novelty_dask.resume(out, workers=0)) > 2_000


def test_going_on_with_less_memory_than_the_plan_needs_is_refused(tmp_path: Path) -> None:
    stopped(tmp_path)
    with pytest.raises(BudgetError):
        novelty_dask.resume(tmp_path / "run.zarr", workers=0, memory_limit=10**8)
    assert len(novelty_dask.resume(tmp_path / "run.zarr", workers=0)) > 2_000
