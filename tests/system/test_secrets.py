"""What URLs keep secret is in the run's own tables, and nowhere else."""

import gzip
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import cloudpickle
import pytest
from click.testing import CliRunner
from distributed import Client
from distributed.diagnostics.plugin import SchedulerPlugin

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.errors import (
    BudgetError,
    ClusterError,
    InputError,
    NoveltyError,
    SettingsError,
    StoreError,
    without_secrets,
)
from novelty_dask.events import Event, StageStarted, TaskDone
from novelty_dask.readers.lines import LineReader
from novelty_dask.sources.estimate import estimate_records
from novelty_dask.sources.find import Source, find_sources
from tests.support.arrays import listed
from tests.support.cluster import STARTUP_SECONDS, address_of, dask_command

CANARY = "canary7f3ab41c"
"""In the URLs of the corpus: user names, hosts, paths, queries, and lines that are rejected."""
KEY = "canary90d2e6f8"
"""In the URL of the source."""
TABLES = ("rows", "rejected")
WATCHED = ("ingest", "compare")
PAGES = ("info/main/workers.html", "json/counts.json", "metrics", "sitemap.json")
"""What a scheduler shows to whoever asks, also without a dashboard."""
LINES = [
    *(
        f"https://me:{CANARY}{i}@h{i % 7}.{CANARY}.example/{CANARY}/{i}?token={CANARY}&x={'x' * 7_000}"
        for i in range(1_300)
    ),
    f"{CANARY}\0",
    f"javascript:{CANARY}",
]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pw@a.example/x", "https://***@a.example/x"),
        ("https://token@a.example", "https://***@a.example"),
        ("https://a@b@c.example/", "https://***@c.example/"),
        ("s3://key:secret@bucket/a.gz", "s3://***@bucket/a.gz"),
        ("simplecache::https://u:p@a.example/x", "simplecache::https://***@a.example/x"),
        (
            "https://a.example/?X-Amz-Signature=ab%2F&X-Amz-Date=1",
            "https://a.example/?X-Amz-Signature=***&X-Amz-Date=1",
        ),
        ("/data/a.txt?sig=ab&se=2026", "/data/a.txt?sig=***&se=2026"),
        ("https://a.example/?ACCESS_TOKEN=ab#x", "https://a.example/?ACCESS_TOKEN=***#x"),
        (
            "?api_key=1&apikey=2&key=3&password=4&auth=5&session_id=6",
            "?api_key=***&apikey=***&key=***&password=***&auth=***&session_id=***",
        ),
        ("a;sid=5;b=6", "a;sid=***;b=6"),
        ("https://a.example/@me?page=2", "https://a.example/@me?page=2"),
        ("mail me@a.example", "mail me@a.example"),
        ("?monkey=1&tokens", "?monkey=1&tokens"),
        ("", ""),
    ],
)
def test_secrets_of_urls_are_left_out(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    assert without_secrets(f"Can't read {text!r}: no.") == f"Can't read {shown!r}: no."
    assert without_secrets(shown) == shown


@pytest.mark.parametrize(
    "error", [NoveltyError, SettingsError, BudgetError, InputError, StoreError, ClusterError]
)
def test_no_error_tells_a_secret(error: type[NoveltyError]) -> None:
    raised = error(f"Can't read 'https://u:{KEY}@a.example/?token={KEY}'.")
    assert str(raised) == "Can't read 'https://***@a.example/?token=***'."
    assert KEY not in repr(raised)


def test_no_source_shows_a_secret() -> None:
    source = Source(f"https://u:{KEY}@a.example/x?sig={KEY}", 5, None, "1")
    assert repr([source]) == "[Source('https://***@a.example/x?sig=***', 5, None)]"
    assert KEY in source.url


def test_the_command_tells_no_secret(tmp_path: Path) -> None:
    for name in (f"nowhere://u:{KEY}@host/", f"{tmp_path}/missing?token={KEY}"):
        for arguments in (["score", name], ["plan", name], ["score", name, "--debug"], ["top", name]):
            result = CliRunner().invoke(main, arguments)
            assert result.exit_code == 2
            assert KEY not in result.output


class Keys(SchedulerPlugin):
    """Remembers the keys of all tasks."""

    name = "keys"

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def transition(self, key: Any, *_: Any, **__: Any) -> None:
        self.seen.add(str(key))


def install(dask_scheduler: Any) -> None:
    dask_scheduler.add_plugin(Keys())


def seen(dask_scheduler: Any) -> list[str]:
    return sorted(dask_scheduler.plugins["keys"].seen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / f"urls.txt?token={KEY}").write_text("\n".join(LINES), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    """A scheduler and two workers that log into files."""
    file = str(folder / "scheduler.json")
    worker = ["worker", "--nworkers", "2", "--nthreads", "1", "--memory-limit", "2 GB"]
    with (
        dask_command("scheduler", "--port", "0", "--scheduler-file", file, folder=folder),
        dask_command(*worker, "--scheduler-file", file, folder=folder),
        Client(scheduler_file=file, timeout=STARTUP_SECONDS) as client,
    ):
        client.wait_for_workers(2, timeout=STARTUP_SECONDS)
        # The scheduler can't import this file.
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        client.run_on_scheduler(install)
        yield client
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


class Vandal:
    """Damages what a stage is about to read, so that its tasks fail on the workers."""

    def __init__(self, run: Path, stage: str, pattern: str) -> None:
        self.run, self.stage, self.pattern = run, stage, pattern

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == self.stage:
            files = [path for path in self.run.glob(self.pattern) if path.is_file()]
            assert files
            for path in files:
                path.write_bytes(b"x" * 60)


class Onlooker:
    """Keeps what a scheduler, its workers and their pages show while tasks of some stages are at work."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client, self.folder = client, folder
        address = address_of(client).removeprefix("tcp://").partition(":")[0]
        self.pages = f"http://{address}:{client.scheduler_info()['services']['dashboard']}"
        self.seen: dict[str, bytes] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskDone) and event.stage in WATCHED and event.stage not in self.seen:
            self.look(event.stage)

    def look(self, stage: str) -> None:
        self.client.dump_cluster_state(str(self.folder / stage))
        self.seen[stage] = gzip.decompress((self.folder / f"{stage}.msgpack.gz").read_bytes())
        for page in PAGES:
            with urlopen(f"{self.pages}/{page}", timeout=100) as answer:
                self.seen[f"{stage} {page}"] = answer.read()


@pytest.fixture(scope="module")
def onlooker(folder: Path, client: Client) -> Onlooker:
    """What was seen of a run that ended well."""
    onlooker = Onlooker(client, folder)
    source = str(folder / f"urls.txt?token={KEY}")
    novelty_dask.score(
        source, folder / "good.zarr", client=client, listener=onlooker, normal_form="web", block_rows=256
    )
    return onlooker


@pytest.mark.long
def test_what_the_cluster_shows_holds_no_url(onlooker: Onlooker) -> None:
    assert len(onlooker.seen) == len(WATCHED) * (1 + len(PAGES))
    for name, shown in onlooker.seen.items():
        assert len(shown) > 10, name
        assert CANARY.encode() not in shown, name
        assert KEY.encode() not in shown, name
    assert all(stage.encode() in onlooker.seen[stage] for stage in WATCHED)


@pytest.fixture(scope="module")
def runs(folder: Path, client: Client, onlooker: Onlooker) -> list[str]:
    """Besides a run that ended well some whose tasks fail; the keys of all tasks."""
    source = str(folder / f"urls.txt?token={KEY}")
    settings: dict[str, Any] = {"client": client, "block_rows": 256}
    for stage, pattern in (
        ("sort", "work/lines/*"),
        ("vectorize", "work/rows/*"),
        ("compare", "weights/data/c/*/*"),
    ):
        run = folder / f"{stage}.zarr"
        with pytest.raises(Exception, match=r".") as failure:
            novelty_dask.score(source, run, listener=Vandal(run, stage, pattern), **settings)
        assert CANARY not in str(failure.value)
        assert KEY not in str(failure.value)
    [found] = find_sources([source])
    gone = found._replace(url=found.url.replace("urls.txt", "gone.txt"))
    with pytest.raises(InputError, match=r"gone\.txt\?token=\*\*\*': No such file") as refusal:
        client.submit(estimate_records, [gone], LineReader().estimate, key="estimate").result()
    assert KEY not in str(refusal.value)
    keys: list[str] = client.run_on_scheduler(seen)
    return keys


@pytest.mark.long
def test_keys_of_tasks_hold_no_url(runs: list[str]) -> None:
    assert len(runs) > 50
    assert not [key for key in runs if CANARY in key or KEY in key or "example" in key]


def test_logs_hold_no_url(folder: Path, runs: list[str]) -> None:
    for name in ("scheduler.log", "worker.log"):
        log = (folder / name).read_text(encoding="utf-8")
        assert len(log) > 1_000
        assert CANARY not in log
        assert KEY not in log
    assert len(re.findall(r"Compute Failed|exception", log)) >= 5
    assert "token=***" in log


def test_a_run_holds_urls_in_their_tables_alone(folder: Path, runs: list[str]) -> None:
    run = novelty_dask.open(folder / "good.zarr")
    assert all(CANARY in url for url in listed(run.urls[:5]))
    others = 0
    for path in (folder / "good.zarr").rglob("*"):
        top, *_ = path.relative_to(folder / "good.zarr").parts
        if path.is_file() and (path.name == "zarr.json" or top not in TABLES):
            others += 1
            assert CANARY.encode() not in path.read_bytes(), path
    assert others > 20
    text = [path for path in (folder / "good.zarr").glob("*/*/zarr.json") if '"string"' in path.read_text()]
    assert {path.parent.name for path in text} == {"url", "reason", "sample"}


def test_the_client_logs_no_url(
    folder: Path, client: Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    run, source = folder / "again.zarr", str(folder / f"urls.txt?token={KEY}")
    with pytest.raises(Exception, match=r"."):
        novelty_dask.score(source, run, client=client, listener=Vandal(run, "sort", "work/lines/*"))
    said = caplog.text + "".join(capfd.readouterr())
    assert CANARY not in said
    assert KEY not in said
