import gc
import gzip
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client, LocalCluster

import novelty_dask
from novelty_dask.errors import BudgetError, ClusterError, InputError, SettingsError, StoreError
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.planning import tiles
from novelty_dask.sources import estimate
from novelty_dask.storage.runs import open_stored
from novelty_dask.storage.totals import Totals
from tests.support.arrays import listed
from tests.support.cluster import cluster_of
from tests.support.content import Content, content
from tests.support.files import snapshot, write_lines
from tests.support.listeners import Recorder, stop_at
from tests.support.processes import wait_until
from tests.support.runs import USUAL_STAGES as STAGES

URLS, _ = novelty_dask.datasets.make_urls(600, seed=9)


@pytest.fixture
def source(tmp_path: Path) -> str:
    return str(write_lines(tmp_path / "urls.txt", URLS))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return content(novelty_dask.score(write_lines(tmp_path_factory.mktemp("expected") / "urls.txt", URLS)))


@pytest.fixture
def many_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several groups of several blocks, also for few rows."""
    monkeypatch.setattr(tiles, "LARGEST_TILE_PAIRS", 1)


def pipe(monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    """Let lines be standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))


# Sources and paths.


def test_sources_may_be_named_in_any_way(
    tmp_path: Path, source: str, expected: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    half = len(URLS) // 2
    write_lines(tmp_path / "folder" / "1.txt", URLS[:half])
    (tmp_path / "folder" / "2.gz").write_bytes(gzip.compress("\n".join(URLS[half:]).encode()))
    ways: list[Any] = [
        Path(source),
        "urls.txt",
        [source],
        (Path(source),),
        iter(["folder/1.txt", Path("folder/2.gz")]),
        "folder",
        f"{tmp_path}/folder/*",
        f"file://{tmp_path}/folder",
    ]
    for sources in ways:
        assert content(novelty_dask.score(sources)) == expected


def test_standard_input_is_a_source(
    tmp_path: Path, expected: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        pipe(monkeypatch, URLS)
        listener = Recorder()
        run = novelty_dask.score("-", tmp_path / "run.zarr", listener=listener)
        assert content(run) == expected
        assert not (tmp_path / "run.zarr" / "work").exists()
    assert listener.stages == []
    before = snapshot(tmp_path)
    for others in (URLS[1:], [*URLS, "b.example"], [], ["X" + URLS[0][1:], *URLS[1:]]):
        pipe(monkeypatch, others)
        with pytest.raises(StoreError, match=r"holds another run \(its sources differ: standard input ha"):
            novelty_dask.score("-", tmp_path / "run.zarr")
    assert snapshot(tmp_path) == before


@pytest.mark.sampled
@pytest.mark.parametrize("stage", ["ingest", "vectorize", "merge"])
def test_a_stopped_run_of_standard_input_goes_on_without_it_or_with_the_same(
    tmp_path: Path, expected: Content, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    for number, resumes in enumerate((True, False)):
        out = tmp_path / f"{number}.zarr"
        pipe(monkeypatch, URLS)
        with pytest.raises(KeyboardInterrupt):
            novelty_dask.score("-", out, listener=stop_at(stage, 1), block_rows=64)
        pipe(monkeypatch, ["b.example"])
        with pytest.raises(StoreError, match="its sources differ: standard input had "):
            novelty_dask.score("-", out, block_rows=64)
        if resumes:
            monkeypatch.setattr(sys, "stdin", None)
            assert content(novelty_dask.resume(out)) == expected
        else:
            pipe(monkeypatch, URLS)
            assert content(novelty_dask.score("-", out)) == expected
        assert not (out / "work").exists()


@pytest.mark.parametrize(
    "form", ["{}/run.zarr", "{}/new/run.zarr/", "file://{}/run.zarr", "run.zarr", "memory://api/run.zarr"]
)
def test_a_run_may_be_anywhere(
    tmp_path: Path, source: str, expected: Content, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = form.format(tmp_path)
    assert content(novelty_dask.score(source, out)) == expected
    assert content(novelty_dask.open(out)) == expected
    listener = Recorder()
    assert content(novelty_dask.score(source, out, listener=listener)) == expected
    assert listener.stages == []


def test_counts_are_in_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a.example\n\na.example\n\xff\nb.example")
    run = novelty_dask.score(tmp_path / "a.txt")
    rejected = {"blank": 1, "invalid-utf8": 1}
    assert run.manifest.totals == Totals(lines=5, rows=2, duplicates=1, rejected=rejected, source_lines=[5])
    assert listed(open_stored(run.url).arrays()["rejected/line"][:]) == [1, 3]


def test_stages_are_followed_and_measured(source: str, tmp_path: Path, many_tiles: None) -> None:
    listener = Recorder()
    run = novelty_dask.score(source, tmp_path / "run.zarr", block_rows=64, listener=listener)
    assert listener.stages == list(run.manifest.stages) == STAGES
    plan = run.manifest.plan
    assert plan
    assert plan.n_groups > 2
    tasks = {stage: measured["tasks"] for stage, measured in run.manifest.stages.items()}
    assert tasks["compare"] == plan.n_spans * plan.n_groups
    assert tasks["vectorize"] == tasks["weigh"] == tasks["merge"] == plan.n_blocks == 10
    assert listener.totals == {stage: (None if stage == "sort" else tasks[stage], 0) for stage in STAGES}
    assert all(measured["peak_bytes"] > 10**7 for measured in run.manifest.stages.values())
    arrays = {"neighbors", *VIEWS, "density", "rows", "partial_frequency", "columns", "weights", "rejected"}
    assert {path.name for path in (tmp_path / "run.zarr").iterdir()} == {
        *arrays,
        "zarr.json",
        "manifest",
        "commits",
        "owners",
    }
    # Nothing was rejected, so there is no task of that stage.
    kept = {"vectorize", "columns", "weigh", "merge", "cover", "density", "lof"}
    assert {path.name for path in (tmp_path / "run.zarr" / "commits").iterdir()} == kept


# What is refused, and what that leaves.


def test_what_exists_and_is_no_run_stays_as_it_is(source: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("precious")
    for out in ("out", "out/precious.txt", "out/precious.txt/run.zarr"):
        with pytest.raises(StoreError):
            novelty_dask.score(source, tmp_path / out)
    assert snapshot(tmp_path / "out") == {"precious.txt": b"precious"}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"n_neighbors": 5}, "n_neighbors is 10 there and 5 here"),
        ({"features": "ngrams"}, "features is 'url' there and 'ngrams' here"),
        ({"features": "ngrams", "ngram_range": "2,3"}, r"ngram_range is None there and \(2, 3\) here"),
        ({"n_features": 1_000}, "n_features is 4194304 there and 1000 here"),
        ({"normal_form": "web"}, "normal_form is 'page' there and 'web' here"),
    ],
)
def test_a_run_of_other_settings_is_not_overwritten(
    source: str, tmp_path: Path, settings: dict[str, Any], names: str
) -> None:
    novelty_dask.score(source, tmp_path / "run.zarr")
    before = snapshot(tmp_path / "run.zarr")
    with pytest.raises(StoreError, match=names):
        novelty_dask.score(source, tmp_path / "run.zarr", **settings)
    assert snapshot(tmp_path / "run.zarr") == before


def append(path: Path) -> None:
    path.write_text(path.read_text() + "https://new.example/\n")


def edit(path: Path) -> None:
    path.write_text(path.read_text().replace("http", "HTTP"))
    os.utime(path, (2, 2))


def add(path: Path) -> None:
    path.with_name("zzz.txt").write_text("https://new.example/\n")


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (append, r"urls\.txt' had [\d,]+ bytes and has [\d,]+\)"),
        (edit, r"urls\.txt' has the same size, but another modification time or ETag\)"),
        (add, r"zzz\.txt' is new\)"),
    ],
)
def test_a_run_of_other_sources_is_not_overwritten(
    source: str, tmp_path: Path, change: Callable[[Path], None], how: str
) -> None:
    novelty_dask.score(f"{tmp_path}/*.txt", tmp_path / "run.zarr")
    before = snapshot(tmp_path / "run.zarr")
    change(Path(source))
    with pytest.raises(StoreError, match=rf"its sources differ: .*{how}"):
        novelty_dask.score(f"{tmp_path}/*.txt", tmp_path / "run.zarr")
    assert snapshot(tmp_path / "run.zarr") == before


def test_a_run_among_its_sources_is_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_lines(tmp_path / "data" / "urls.txt", URLS)
    out = tmp_path / "data" / "run.zarr"
    first = content(novelty_dask.score(tmp_path / "data", out))
    assert content(novelty_dask.score(tmp_path / "data", out)) == first


def test_how_the_work_is_done_may_change(source: str, tmp_path: Path, expected: Content) -> None:
    novelty_dask.score(source, tmp_path / "run.zarr", block_rows=100)
    again = novelty_dask.score(source, tmp_path / "run.zarr", block_rows=7, memory_limit="1 GB", threads=3)
    assert content(again) == expected


def fails_by_rejected_lines(folder: Path) -> dict[str, Any]:
    (folder / "a.txt").write_bytes(b"\n\n\0\n")
    return {"sources": folder / "a.txt"}


def fails_by_empty_file(folder: Path) -> dict[str, Any]:
    (folder / "a.txt").touch()
    return {"sources": folder / "a.txt"}


def fails_by_damage(folder: Path) -> dict[str, Any]:
    packed = gzip.compress("\n".join(URLS * 300).encode())
    (folder / "a.gz").write_bytes(packed[:-2_000])
    return {"sources": [str(write_lines(folder / "a.txt", URLS)), folder / "a.gz"]}


def fails_by_memory(folder: Path) -> dict[str, Any]:
    return {"sources": str(write_lines(folder / "a.txt", URLS)), "memory_limit": "1 MB"}


FAILURES: list[tuple[Callable[[Path], dict[str, Any]], type[Exception], str]] = [
    (
        fails_by_rejected_lines,
        InputError,
        r"^There is no URL in the sources: all their lines were rejected \(2 blank, 1 nul\)\.$",
    ),
    (
        fails_by_empty_file,
        InputError,
        r"^There is no URL in the sources: they are empty\.$",
    ),
    (fails_by_damage, InputError, r"^Can't read '/.*a\.gz' to its end: "),
    (fails_by_memory, BudgetError, r"^A worker is projected to need "),
]


@pytest.mark.long
@pytest.mark.parametrize(("arrange", "error", "message"), FAILURES)
def test_what_fails_early_leaves_nothing_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arrange: Callable[[Path], dict[str, Any]],
    error: type[Exception],
    message: str,
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    arguments = arrange(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for out in (tmp_path / "run.zarr", None):
        with pytest.raises(error, match=message):
            novelty_dask.score(out=out, **arguments)
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("sources", "settings", "error"),
    [
        ([], {}, InputError),
        ("missing.txt", {}, InputError),
        ("nonsense://a", {}, InputError),
        ("urls.txt", {"n_neighbours": 3}, SettingsError),
        ("urls.txt", {"block_rows": 0}, SettingsError),
        ("urls.txt", {"scheduler": "nonsense"}, ClusterError),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sources: Any,
    settings: dict[str, Any],
    error: type[Exception],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        novelty_dask.score(sources, tmp_path / "run.zarr", **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["urls.txt"]


# A run without a path.


def test_a_run_without_a_path_goes_with_its_object(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    run = novelty_dask.score(source)
    assert len(run) == len(set(URLS))
    assert Path(run.url).exists()
    del run

    def is_gone() -> bool:
        # Zarr's own thread lets go of what it read last a moment later.
        gc.collect()
        return not any((tmp_path / "temporary").iterdir())

    wait_until(is_gone, seconds=30)


# Going on.


def figures(path: Path) -> dict[Path, tuple[int, int]]:
    """Chunks and commits of a run: when each was written, and as which file."""
    changing = ("owners", "manifest", path.name)
    kept = [file for file in path.rglob("*") if file.is_file() and file.parent.name not in changing]
    return {file: (file.stat().st_mtime_ns, file.stat().st_ino) for file in kept}


LAST = {"ingest": 1, "sort": 1, "vectorize": 5, "columns": 1, "weigh": 5, "compare": 25, "merge": 5}
LAST |= {"cover": 3, "density": 5, "lof": 5}


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("stage", "count"),
    [
        *((stage, 1) for stage in STAGES),
        ("compare", LAST["compare"]),
        ("lof", LAST["lof"]),
        *(
            pytest.param(stage, n, marks=pytest.mark.long)
            for stage, n in LAST.items()
            if n > 1 and stage not in ("compare", "lof")
        ),
        *(pytest.param(stage, 3, marks=pytest.mark.long) for stage, n in LAST.items() if n > 3),
    ],
)
def test_a_stopped_run_goes_on_after_its_last_commit(
    source: str,
    tmp_path: Path,
    expected: Content,
    many_tiles: None,
    stage: str,
    count: int,
) -> None:
    out = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(source, out, listener=stop_at(stage, count), block_rows=128)
    with pytest.raises(StoreError, match=r"is not complete; `novelty resume .*/run\.zarr` goes on\.$"):
        novelty_dask.open(out)
    before, listener = figures(out), Recorder()
    if count == 1:
        run = novelty_dask.score(source, out, listener=listener)
    else:
        run = novelty_dask.resume(out, listener=listener)
    assert content(run) == expected
    # What was done is not done again.
    heard = STAGES[STAGES.index(stage) :]
    assert listener.stages == heard
    if stage != "sort":
        assert listener.totals.pop(stage) == (LAST[stage], count)
    assert set(listener.totals.values()) <= {(LAST[each], 0) for each in heard} | {(None, 0)}
    after = figures(out)
    assert all(after[file] == before[file] for file in before.keys() & after.keys())
    gone = {file.relative_to(out).parts[:2] for file in before.keys() - after.keys()}
    assert {first if first != "commits" else second for first, second in gone} <= {
        "work",
        "strips",
        "ingest",
        "sort",
        "compare",
    }
    assert not (out / "work").exists()
    assert not (out / "strips").exists()
    # A complete run is opened.
    listener = Recorder()
    assert content(novelty_dask.score(source, out, listener=listener)) == expected
    assert content(novelty_dask.resume(out, listener=listener)) == expected
    assert listener.stages == []


def abandon(out: Path) -> None:
    """Let the owner of a run be a process that is no more."""
    for record in (out / "owners").glob("*.json"):
        record.write_text(json.dumps({**json.loads(record.read_text()), "started": 0}))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A source, and a folder of what was on disk when each stage was half done, and in the end."""
    folder = tmp_path_factory.mktemp("killed")
    source = str(write_lines(folder / "urls.txt", URLS))

    def copy(stage: str, _count: int) -> None:
        half_done = folder / f"{stage}.zarr"
        if not half_done.exists():
            shutil.copytree(folder / "run.zarr", half_done)
            abandon(half_done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "LARGEST_TILE_PAIRS", 1)
        novelty_dask.score(source, folder / "run.zarr", listener=Recorder(copy), block_rows=128)
    return source, folder


@pytest.mark.sampled
@pytest.mark.parametrize("stage", STAGES)
def test_what_a_killed_process_left_is_gone_on_with(
    killed: tuple[str, Path], expected: Content, stage: str
) -> None:
    source, folder = killed
    out = folder / f"{stage}.zarr"
    assert list(open_stored(str(out)).manifest.stages) == STAGES[: STAGES.index(stage)]
    run = novelty_dask.score(source, out)
    assert content(run) == expected
    assert not (out / "work").exists()
    assert {path.name for path in out.iterdir()} == {path.name for path in (folder / "run.zarr").iterdir()}


def test_what_a_stage_no_longer_needs_is_removed_also_after_a_kill(source: str, tmp_path: Path) -> None:
    out, kept = tmp_path / "run.zarr", tmp_path / "kept"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(source, out, listener=stop_at("vectorize", 5), block_rows=128)
    shutil.copytree(out / "work", kept)
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.resume(out, listener=stop_at("weigh", 1))
    assert not (out / "work").exists()
    shutil.copytree(kept, out / "work")
    novelty_dask.resume(out)
    assert not (out / "work").exists()


@pytest.mark.parametrize(
    ("stage", "keeps"), [("ingest", False), ("sort", False), ("vectorize", False), ("weigh", True)]
)
def test_a_run_whose_sources_changed_before_its_rows_were_stored_does_not_go_on(
    source: str, tmp_path: Path, stage: str, keeps: bool
) -> None:
    out = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(source, out, listener=stop_at(stage, 1), block_rows=128)
    edit(Path(source))
    with pytest.raises(StoreError, match=r"its sources differ: .*urls\.txt' ha"):
        novelty_dask.score(source, out)
    if keeps:
        assert len(novelty_dask.resume(out)) == len(set(URLS))
    else:
        with pytest.raises(InputError, match=r"urls\.txt' has changed since the run was begun; "):
            novelty_dask.resume(out)


def test_settings_of_a_stopped_run_are_its_own(source: str, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(
            source, out, listener=stop_at("weigh", 1), n_neighbors=3, n_features=999, block_rows=128
        )
    with pytest.raises(StoreError, match="n_neighbors is 3 there and 10 here"):
        novelty_dask.score(source, out, n_features=999)
    with pytest.raises(SettingsError, match=r"^Setting n_neighbors belongs to the run and can't change; "):
        novelty_dask.resume(out, n_neighbors=5)
    run = novelty_dask.resume(out, block_rows=7)
    assert (run.manifest.settings.n_neighbors, run.manifest.settings.n_features) == (3, 999)
    assert run.manifest.plan
    assert run.manifest.plan.block_rows == 128
    assert content(run) == content(novelty_dask.score(source, n_neighbors=3, n_features=999))


def test_a_run_that_is_no_run_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not hold a run; check the path\.$"):
        novelty_dask.resume(tmp_path / "missing.zarr")
    assert list(tmp_path.iterdir()) == []


# A client.


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=2,
            processes=False,
            dashboard_address="127.0.0.1:0",
            memory_limit="4GB",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_a_client_does_the_work_and_its_dashboard_is_noted(
    source: str,
    tmp_path: Path,
    expected: Content,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    listener = Recorder()
    run = novelty_dask.score("urls.txt", "run.zarr", client=client, listener=listener, block_rows=64)
    assert run.url == str(tmp_path / "run.zarr")
    assert content(run) == expected
    assert listener.notes == [f"Dashboard: {client.dashboard_link.removesuffix('/status')}/novelty"]


def test_a_run_on_a_client_goes_on_without_it(
    source: str, tmp_path: Path, expected: Content, client: Client
) -> None:
    out = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(source, out, client=client, listener=stop_at("weigh", 3), block_rows=64)
    assert content(novelty_dask.score(source, out, block_rows=64)) == expected


@pytest.mark.long
def test_what_fails_on_a_client_leaves_nothing_behind(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "ESTIMATE_BYTES", 100)
    monkeypatch.setattr(estimate, "COMPRESSED_BYTES", 100)
    (tmp_path / "data").mkdir()
    for number in range(6):
        text = b"".join(b"%d%d\n" % (number, i) for i in range(60_000))
        (tmp_path / "data" / f"{number:02}.txt").write_bytes(text)
    (tmp_path / "data" / "00.gz").write_bytes(gzip.compress(text)[:-1_000])
    for _ in range(3):
        with pytest.raises(InputError, match=r"00\.gz' to its end"):
            novelty_dask.score(tmp_path / "data", tmp_path / "run.zarr", client=client)
        while any(worker.active_threads for worker in cluster_of(client).workers.values()):
            time.sleep(0.01)
        assert [path.name for path in tmp_path.iterdir()] == ["data"]


# Planning.


def test_a_plan_foretells_the_run_and_makes_nothing(source: str, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    plan = novelty_dask.plan(source, block_rows=64, memory_limit="2 GB")
    assert snapshot(tmp_path) == before
    run = novelty_dask.score(source, block_rows=64)
    assert plan.n_rows == pytest.approx(len(run), rel=0.1)
    assert run.manifest.plan
    assert plan.tiles.block_rows == run.manifest.plan.block_rows
    assert plan.tasks == {stage: run.manifest.stages[stage]["tasks"] for stage in plan.tasks}
    assert plan.worker_bytes <= plan.memory_limit == 2 * 10**9
    assert (plan.workers, plan.threads) == (0, 1)


def test_a_plan_is_refused_as_the_run_would_be(source: str) -> None:
    with pytest.raises(BudgetError):
        novelty_dask.plan(source, memory_limit="1 MB")
    with pytest.raises(InputError, match="Standard input can't be planned for"):
        novelty_dask.plan("-")
    with pytest.raises(SettingsError):
        novelty_dask.plan(source, n_neighbors=0)


def test_novelty_is_defined_where_there_are_neighbors(source: str) -> None:
    run = novelty_dask.score(source)
    novelty = np.asarray(run.novelty[:])
    assert ((novelty >= 0) & (novelty <= 1)).all()
