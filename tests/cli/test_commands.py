"""Each command and each option, called as from a shell."""

import tempfile
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.kernels.choices import VIEWS
from tests.support.fixtures import Novelty
from tests.support.text import refanged


def test_score_prints_all_rows_most_novel_first(corpus: Path, run: Path, novelty: Novelty) -> None:
    result = novelty("score", corpus)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    scores = [float(score) for score, _ in rows]
    assert result.exit_code == 0
    assert scores == sorted(scores, reverse=True)
    assert {url for _, url in rows} == set(corpus.read_text(encoding="utf-8").split())
    assert [url for _, url in rows[:5]] == list(novelty_dask.open(run).top(5).url)
    assert "300 lines, 295 pages: 5 duplicates, 0 rejected" in result.stderr


def test_undefined_novelty_is_nan_and_last(tmp_path: Path, novelty: Novelty) -> None:
    (tmp_path / "urls.txt").write_text("ab\nhttp://a.example/\nhttp://b.example/\n")
    result = novelty("score", tmp_path / "urls.txt", "--features", "ngrams", "--quiet")
    assert result.stdout.splitlines()[-1] == "nan\tab"
    assert result.stderr == ""


@pytest.mark.parametrize("workers", [0, 1])
def test_a_tmpdir_that_is_not_used_is_said_once(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novelty: Novelty, workers: int
) -> None:
    tempfile.gettempdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    result = novelty("score", corpus, "-o", tmp_path / "run.zarr", "--workers", workers)
    assert result.exit_code == 0
    assert result.stderr.count(f"TMPDIR is not used, as {str(tmp_path / 'missing')!r} takes no files (") == 1


def test_score_stores_a_run(corpus: Path, tmp_path: Path, novelty: Novelty) -> None:
    result = novelty("score", corpus, "--out", tmp_path / "new.zarr")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 10
    assert f"Run   {tmp_path / 'new.zarr'}" in result.stderr
    assert len(novelty_dask.open(tmp_path / "new.zarr")) == 295


def test_score_opens_a_complete_run(corpus: Path, run: Path, novelty: Novelty) -> None:
    result = novelty("score", corpus, "-o", run)
    assert result.exit_code == 0
    assert "compare" not in result.stderr


def test_quiet_prints_nothing(corpus: Path, run: Path, novelty: Novelty) -> None:
    assert novelty("score", corpus, "-o", run, "-q").output == ""


def test_score_reads_standard_input(corpus: Path, novelty: Novelty) -> None:
    result = novelty("score", "-", "--quiet", stdin=corpus.read_bytes())
    assert result.stdout == novelty("score", corpus, "--quiet").stdout


@pytest.mark.parametrize("name", ["u*.txt", ".", "one.txt"])
def test_score_takes_globs_folders_and_several_sources(tmp_path: Path, novelty: Novelty, name: str) -> None:
    (tmp_path / "urls.txt").write_text("http://a.example/\nhttp://b.example/")
    (tmp_path / "one.txt").write_text("http://a.example/\nhttp://b.example/")
    result = novelty("score", tmp_path / name, tmp_path / "urls.txt", "--quiet")
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == [
        "http://a.example/",
        "http://b.example/",
    ]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("flags", "setting", "value"),
    [
        (["--n-neighbors", "3"], "n_neighbors", 3),
        (["-k", "4"], "n_neighbors", 4),
        (["--features", "ngrams", "--ngram", "2,4"], "ngram_range", (2, 4)),
        (["--n-features", "4096"], "n_features", 4096),
        (["--normal-form", "web"], "normal_form", "web"),
    ],
)
def test_flags_become_settings_of_the_run(
    corpus: Path, tmp_path: Path, novelty: Novelty, flags: list[str], setting: str, value: object
) -> None:
    assert novelty("score", corpus, "-o", tmp_path / "run.zarr", "-q", *flags).exit_code == 0
    assert novelty_dask.open(tmp_path / "run.zarr").manifest.settings.model_dump()[setting] == value


def test_flags_override_the_settings_file(corpus: Path, tmp_path: Path, novelty: Novelty) -> None:
    (tmp_path / "run.toml").write_text('n_neighbors = 4\nfeatures = "ngrams"\nngram_range = [2, 3]')
    flags = ["--config", tmp_path / "run.toml", "-k", "5", "--workers", "0", "--block-rows", "128"]
    assert novelty("score", corpus, "-o", tmp_path / "run.zarr", "-q", *flags).exit_code == 0
    manifest = novelty_dask.open(tmp_path / "run.zarr").manifest
    assert (manifest.settings.n_neighbors, manifest.settings.ngram_range) == (5, (2, 3))
    assert manifest.plan
    assert manifest.plan.block_rows == 128


def test_score_works_on_a_scheduler(corpus: Path, run: Path, tmp_path: Path, novelty: Novelty) -> None:
    with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        result = novelty("score", corpus, "-o", tmp_path / "run.zarr", "--scheduler", address)
    assert result.exit_code == 0
    assert result.stdout == novelty("score", corpus, "-o", run).stdout


def test_top_prints_full_lines_for_a_pipe(run: Path, novelty: Novelty) -> None:
    result = novelty("top", run, "-n", "3")
    best = novelty_dask.open(run).top(3)
    expected = zip(best.novelty, best.url, best.nearest_similarity, best.nearest_url, strict=True)
    assert result.stdout.splitlines() == [f"{a:.6f}\t{b}\t{c:.6f}\t{d}" for a, b, c, d in expected]


def test_top_makes_no_links_if_asked_to(run: Path, novelty: Novelty) -> None:
    plain, defanged = (novelty("top", run, *flags) for flags in ([], ["--defang"]))
    assert defanged.exit_code == 0
    cells = [line.split("\t") for line in defanged.stdout.splitlines()]
    assert all("[://]" in cell and "[.]" in cell for row in cells for cell in (row[1], row[3]))
    back = ["\t".join([n, refanged(url), s, refanged(nearest)]) for n, url, s, nearest in cells]
    assert back == plain.stdout.splitlines()


def test_top_has_twenty_rows_unless_told(run: Path, novelty: Novelty) -> None:
    assert len(novelty("top", run).stdout.splitlines()) == 20


def test_export_takes_its_format_from_the_name(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    assert novelty("export", run, "-o", tmp_path / "rows.parquet").exit_code == 0
    positions = pq.read_table(tmp_path / "rows.parquet")["position"].to_numpy()
    assert (np.diff(positions) > 0).all()
    assert len(positions) == 295


def test_export_order_format_and_force(run: Path, tmp_path: Path, novelty: Novelty) -> None:
    out = tmp_path / "rows.data"
    out.write_text("old")
    refused = novelty("export", run, "-o", out, "--format", "csv")
    assert (refused.exit_code, out.read_text()) == (2, "old")
    flags = ["--format", "csv", "--order", "novelty", "--force", "--raw"]
    assert novelty("export", run, "-o", out, *flags).output == ""
    scores = pyarrow.csv.read_csv(out)["novelty"].to_numpy()
    assert (np.diff(scores) <= 0).all()


def test_plan_says_what_a_run_takes(corpus: Path, novelty: Novelty) -> None:
    flags = ["--workers", "3", "--threads", "2", "--memory-limit", "3 GB", "--block-rows", "100"]
    result = novelty("plan", corpus, *flags)
    assert result.exit_code == 0
    assert "about 300," in result.stdout
    assert "3 of 100 rows" in result.stdout
    assert "3 with 2 threads each" in result.stdout
    assert "of 3,000 MB a worker" in result.stdout


def test_threads_that_are_asked_for_are_used(corpus: Path, novelty: Novelty) -> None:
    result = novelty("plan", corpus, "--threads", "8")
    assert result.exit_code == 0
    assert "with 8 threads each" in result.stdout


def test_plan_writes_nothing(corpus: Path, novelty: Novelty) -> None:
    before = sorted(corpus.parent.iterdir())
    novelty("plan", corpus)
    assert sorted(corpus.parent.iterdir()) == before


def test_demo_finds_what_it_planted_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novelty: Novelty
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (novelty("demo", "--n-rows", "1000") for _ in range(2))
    assert Path("novelty-demo/urls.txt").read_text(encoding="utf-8").count("\n") == 1000
    assert len(novelty_dask.open("novelty-demo/run.zarr")) > 900
    assert first.exit_code == second.exit_code == 0
    assert first.stdout == second.stdout
    assert "10 of the 10 planted URLs are among the 10 most novel." in first.stdout
    assert "compare: done" in first.stderr
    assert "compare" not in second.stderr


def test_demo_keeps_the_lines_of_another(tmp_path: Path, novelty: Novelty) -> None:
    out = tmp_path / "demo" / "run.zarr"
    assert novelty("demo", "--out", out, "--n-rows", "200", "--quiet").stderr == ""
    refused = novelty("demo", "-o", out, "--n-rows", "300")
    assert refused.exit_code == 2
    assert refused.stderr.endswith(
        "It exists, with other lines; name a run in another folder, as in --out elsewhere/run.zarr.\n"
    )
    assert novelty("demo", "-o", tmp_path / "elsewhere/run.zarr", "--n-rows", "300", "-q").exit_code == 0
    assert len(out.with_name("urls.txt").read_text(encoding="utf-8").splitlines()) == 200


@pytest.mark.parametrize(
    "name", ["scores.csv", "scores.parquet", "scores.jsonl", "scores.npz", "scores.txt.gz", "a b/scores.CSV"]
)
def test_a_run_is_not_named_like_a_file(corpus: Path, tmp_path: Path, novelty: Novelty, name: str) -> None:
    refused = novelty("score", corpus, "-o", tmp_path / name)
    assert refused.exit_code == 2
    assert "a run is a folder, not a ." in refused.stderr
    assert refused.stderr.endswith(".zarr', and export its rows to a file.\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["score urls.txt", "demo --n-rows 50"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("-", "'-' is no name of a run, which is a folder: name it, as in --out run.zarr."),
        ("", "'' is no name of a run, which is a folder: name it, as in --out run.zarr."),
        ("memory://x", "Nothing of 'memory://x' would outlast the command; name a folder, "),
        ("x.csv", "a run is a folder, not a .csv file; name it 'x.zarr', "),
    ],
)
def test_what_no_run_can_be_stored_under_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novelty: Novelty, command: str, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("urls.txt").write_text("http://a.example/\n")
    refused = novelty(*command.split(), "-o", name)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["urls.txt"]
    assert Path("urls.txt").read_text() == "http://a.example/\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["-o", "s3://bucket/run.zarr"], "'s3://bucket/run.zarr' is no path; name a folder here.\n"),
        (["--n-rows", "10000000000"], "10000000000 is not in the range 2<=x<=1000000.\n"),
    ],
)
def test_a_demo_that_can_not_be_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novelty: Novelty, flags: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = novelty("demo", *flags)
    assert refused.exit_code == 2
    assert refused.stderr.endswith(said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.sampled
@pytest.mark.parametrize(("lines", "n_characters"), [("http://a.example/", 3), ("ab\nc", 3), ("abc\nde", 4)])
def test_a_run_without_novelty_says_why(
    tmp_path: Path, novelty: Novelty, lines: str, n_characters: int
) -> None:
    (tmp_path / "urls.txt").write_text(lines)
    sentence = (
        "No row has a novelty: that takes two rows or more, and lines of at least "
        f"{n_characters} characters.\n"
    )
    flags = ["--features", "ngrams", "--ngram", f"{n_characters},{n_characters}"]
    scored = novelty("score", tmp_path / "urls.txt", "-o", tmp_path / "run.zarr", *flags)
    assert (scored.exit_code, scored.stdout) == (0, "")
    assert sentence in scored.stderr
    top = novelty("top", tmp_path / "run.zarr")
    assert (top.exit_code, top.stdout, top.stderr) == (0, "", sentence)
    printed = novelty("score", tmp_path / "urls.txt", *flags)
    assert printed.exit_code == 0
    assert all(line.startswith("nan\t") for line in printed.stdout.splitlines())
    assert printed.stderr.endswith(sentence)
    assert novelty("score", tmp_path / "urls.txt", "-q", *flags).stderr == ""


def test_the_package_has_the_version_of_its_metadata() -> None:
    assert novelty_dask.__version__ == version("novelty-dask")


def test_version(novelty: Novelty) -> None:
    assert novelty("--version").stdout == f"novelty {version('novelty-dask')}\n"


def test_help_names_commands_and_exit_codes(novelty: Novelty) -> None:
    text = novelty("--help").stdout
    assert all(f"\n  {command} " in text for command in main.commands)
    assert all(f"\n    {code} " in text for code in (0, 1, 2, 3, 4, 130, 143))


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_option_is_explained(name: str) -> None:
    command = main.commands[name]
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    options = [each for part in commands for each in part.params if isinstance(each, click.Option)]
    assert options
    assert all(option.help for option in options)


@pytest.mark.parametrize("command", ["score", "plan"])
def test_the_score_of_earlier_versions_names_the_column(corpus: Path, novelty: Novelty, command: str) -> None:
    refused = novelty(command, corpus, "--score", "kth")
    assert refused.exit_code == 2
    assert refused.stderr.endswith("leave it out, and use column 'novelty_kth'.\n")
    assert "--score" not in novelty(command, "--help").stdout


@pytest.mark.parametrize("by", VIEWS)
def test_top_prints_the_column_that_it_is_ordered_by(run: Path, novelty: Novelty, by: str) -> None:
    best = novelty_dask.open(run).top(4, by=by)
    printed = [line.split("\t") for line in novelty("top", run, "-n", "4", "--by", by).stdout.splitlines()]
    assert [cells[0] for cells in printed] == [f"{value:.6f}" for value in best[by]]
    assert [cells[1] for cells in printed] == best.url.tolist()


@pytest.mark.parametrize("name", ["n_neighbors", "features", "threads"])
def test_help_shows_the_real_defaults(novelty: Novelty, name: str) -> None:
    text = " ".join(novelty("score", "--help").stdout.split())
    assert f"[default: {novelty_dask.Settings.model_fields[name].default}]" in text


def test_help_shows_the_real_defaults_of_each_set_of_features(novelty: Novelty) -> None:
    text = " ".join(novelty("score", "--help").stdout.split())
    url, ngrams = novelty_dask.Settings(features="url"), novelty_dask.Settings(features="ngrams")
    assert f"[default: {url.n_features} for url, {ngrams.n_features} for ngrams]" in text
    assert f"[default: {url.normal_form} for url, {ngrams.normal_form} for ngrams]" in text
