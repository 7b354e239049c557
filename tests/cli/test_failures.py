"""What goes wrong ends as one sentence and an exit code, and leaves everything as it was."""

import errno
import gzip
import os
import re
import zipfile
from pathlib import Path
from typing import IO, Any

import click
import pytest
from click.testing import CliRunner, Result

from novelty_dask.cli import options
from novelty_dask.cli.failures import Commands, verdict
from novelty_dask.errors import (
    BudgetError,
    ClusterError,
    DamageError,
    DiskFullError,
    InputError,
    SettingsError,
    StoreError,
    UnreachableError,
)
from novelty_dask.interrupts import Terminated
from tests.support.files import snapshot
from tests.support.fixtures import Novelty

URLS = "http://a.example/1\nhttp://b.example/2\n"


def assert_refused(result: Result, *words: str) -> None:
    """Exit code 2, and one sentence after the progress, if there was any."""
    *before, sentence = result.stderr.splitlines()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert sentence.startswith("Error: ")
    assert sentence.endswith(".")
    assert all(word in sentence for word in words)
    assert not any("Traceback" in line or line.startswith("Error") for line in before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sources of all sorts, most of them bad."""
    (tmp_path / "good.txt").write_text(URLS)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "blank.txt").write_text("\n  \n\r\n\n")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(URLS.encode() * 1000)[:60])
    (tmp_path / "fake.txt.gz").write_text(URLS)
    (tmp_path / "notes").mkdir()
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("good.txt", URLS)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("missing.txt", "missing.txt"),
        ("*.nothing", "Nothing matches"),
        ("notes", "is a folder without files to read"),
        ("empty.txt", "no URL"),
        ("blank.txt", "4 blank"),
        ("cut.txt.gz", "cut.txt.gz"),
        ("fake.txt.gz", "fake.txt.gz"),
        ("archive.zip", "archive"),
        ("nowhere://host/file", "nowhere"),
    ],
)
@pytest.mark.parametrize("stored", [True, False])
def test_bad_sources(folder: Path, novelty: Novelty, name: str, word: str, *, stored: bool) -> None:
    before = snapshot(folder)
    source = name if "://" in name else folder / name
    out = ["-o", folder / "run.zarr"] if stored else []
    assert_refused(novelty("score", source, *out), word)
    assert snapshot(folder) == before
    assert not (folder / "run.zarr").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_source(folder: Path, novelty: Novelty) -> None:
    (folder / "good.txt").chmod(0)
    assert_refused(novelty("score", folder / "good.txt"), "good.txt")


def test_no_source_is_wrong_usage_in_a_terminal(novelty: Novelty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "is_terminal_input", lambda: True)
    result = novelty("score")
    assert result.exit_code == 2
    assert "Missing argument 'SOURCE...'" in result.stderr


def test_what_is_piped_in_needs_no_name(novelty: Novelty) -> None:
    named, unnamed = novelty("score", "-", stdin=URLS.encode()), novelty("score", stdin=URLS.encode())
    assert unnamed.exit_code == 0
    assert unnamed.stdout == named.stdout != ""


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--n-neighbors", "0"], ["n_neighbors"]),
        (["--n-features", "0"], ["n_features"]),
        (["--ngram", "5,3"], ["ngram_range", "features='ngrams'"]),
        (["--features", "ngrams", "--ngram", "few"], ["ngram_range", "3,3"]),
        (["--block-rows", "-1"], ["block_rows"]),
        (["--memory-limit", "lots"], ["memory_limit", "2 GB"]),
        (["--memory-limit", "1 MB"], ["MB", "--memory-limit"]),
        (["--workers", "-1"], ["workers"]),
        (["--threads", "0"], ["threads"]),
        (["--workers", "0", "--threads", "8"], ["threads=8", "without worker processes there is one thread"]),
    ],
)
@pytest.mark.parametrize("command", ["score", "plan"])
def test_impossible_settings(
    folder: Path, novelty: Novelty, command: str, flags: list[str], words: list[str]
) -> None:
    assert_refused(novelty(command, folder / "good.txt", *flags), *words)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["-k", "0"], "n_neighbors=0: input should be greater than or equal to 1 (-k, --n-neighbors).\n"),
        (["--features", "ngrams", "--ngram", "5,3"], "such as 3,3 (--ngram).\n"),
        (["--memory-limit", "1e30"], "'1e30' is more than any machine has; write for example '2 GB' or "),
        (["--memory-limit", "1 XB"], "'1 XB' is not a size; write for example '2 GB' or "),
    ],
)
def test_an_impossible_setting_is_named_with_its_option(
    folder: Path, novelty: Novelty, flags: list[str], said: str
) -> None:
    assert said in novelty("score", folder / "good.txt", *flags).stderr


def test_too_many_workers_are_refused_with_the_number_that_fits(folder: Path, novelty: Novelty) -> None:
    result = novelty("plan", folder / "good.txt", "--workers", "10000")
    assert_refused(result, "use fewer workers (--workers ")
    assert "--memory-limit" not in result.stderr
    number = int(result.stderr.partition("--workers ")[2].partition(")")[0])
    # Others may take some of the memory meanwhile.
    assert novelty("plan", folder / "good.txt", "--workers", max(1, number // 2)).exit_code == 0


def test_only_remedies_that_help_are_named(folder: Path, novelty: Novelty) -> None:
    result = novelty("plan", folder / "good.txt", "--workers", "0", "--memory-limit", "1MB")
    assert_refused(result, "raise --memory-limit to that.")


@pytest.mark.parametrize(
    "flags", [["--score", "median"], ["-k", "many"], ["--normal-form", "tidy"], ["--what"]]
)
def test_wrong_usage(folder: Path, novelty: Novelty, flags: list[str]) -> None:
    result = novelty("score", folder / "good.txt", *flags)
    assert result.exit_code == 2
    assert flags[0].lstrip("-") in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("n_neighbours = 3", ["n_neighbours", "n_neighbors"]),
        ("n_neighbors = 'three'", ["n_neighbors"]),
        ("n_neighbors = ", ["not TOML"]),
        ("n_neighbors = nan", ["n_neighbors=nan: "]),
        ("n_neighbors = 0", ["Error: Setting n_neighbors=0: input should be greater than or equal to 1."]),
        ("\udcff", ["is not TOML: it is not UTF-8."]),
        (None, ["No such file"]),
    ],
)
def test_bad_settings_files(folder: Path, novelty: Novelty, text: str | None, words: list[str]) -> None:
    config = folder / "run.toml"
    if text is not None:
        config.write_text(text, errors="surrogateescape")
    assert_refused(novelty("score", folder / "good.txt", "--config", config), *words)


@pytest.mark.parametrize(
    ("name", "words"), [("good.txt", "a run is a folder"), ("good", "not a run"), ("notes", "not a run")]
)
def test_output_that_is_no_run_stays(folder: Path, novelty: Novelty, name: str, words: str) -> None:
    (folder / "good").write_text("precious")
    (folder / "notes" / "note").write_text("precious")
    before = snapshot(folder)
    assert_refused(novelty("score", folder / "good.txt", "-o", folder / name), words)
    assert snapshot(folder) == before


def test_run_of_other_settings_stays(run: Path, corpus: Path, novelty: Novelty) -> None:
    before = snapshot(run)
    assert_refused(novelty("score", corpus, "-o", run, "-k", "3"), "n_neighbors is 10 there and 3 here")
    assert snapshot(run) == before


def test_complete_run_of_standard_input_is_not_taken_for_another(tmp_path: Path, novelty: Novelty) -> None:
    out = tmp_path / "run.zarr"
    first = novelty("score", "-", "-o", out, stdin=URLS.encode())
    assert first.exit_code == 0
    before = snapshot(out)
    assert_refused(novelty("score", "-", "-o", out, stdin=b"http://c.example/"), "its sources differ")
    assert novelty("score", "-", "-o", out, stdin=URLS.encode()).stdout == first.stdout
    assert snapshot(out) == before


def test_standard_input_has_no_plan(novelty: Novelty) -> None:
    assert_refused(novelty("plan", "-", stdin=b"http://a.example/"), "Standard input")


@pytest.mark.parametrize(
    "command", [["top"], ["export", "-o", "rows.csv"], ["status"], ["resume"], ["verify"], ["clean"]]
)
@pytest.mark.parametrize("name", ["missing.zarr", "notes", "good.txt"])
def test_what_is_no_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, novelty: Novelty, command: list[str], name: str
) -> None:
    monkeypatch.chdir(folder)
    assert_refused(novelty(*command, folder / name), name)
    assert not Path("rows.csv").exists()


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["-o", "rows.xlsx"], "rows.xlsx"),
        (["-o", "rows"], "rows"),
        (["-o", "missing/rows.csv"], "missing"),
        (["-o", "rows.npz", "--order", "novelty"], "--order"),
    ],
)
def test_bad_exports(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novelty: Novelty, flags: list[str], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(novelty("export", run, *flags), word)
    assert not list(tmp_path.iterdir())


def test_unreachable_scheduler(corpus: Path, tmp_path: Path, novelty: Novelty) -> None:
    result = novelty("score", corpus, "-o", tmp_path / "run.zarr", "--scheduler", "nowhere")
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: Can't reach a Dask scheduler at 'nowhere'")
    # There is no run that could go on.
    assert "novelty resume" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_names_in_errors_can_not_command_the_terminal(tmp_path: Path, novelty: Novelty) -> None:
    result = novelty("score", tmp_path / "\x1b]0;title\x07\u202e.txt")
    assert_refused(result, r"\x1b]0;title\x07\u202e.txt")


def test_debug_shows_the_traceback(tmp_path: Path, novelty: Novelty) -> None:
    result = novelty("score", tmp_path / "missing", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("It is wrong."), 2),
        (BudgetError("It is wrong."), 2),
        (InputError("It is wrong."), 2),
        (StoreError("It is wrong."), 2),
        (DamageError("It is wrong."), 4),
        (DiskFullError("It is wrong."), 3),
        (UnreachableError("It is wrong."), 3),
        (ClusterError("It is wrong."), 3),
    ],
)
def test_errors_raised_on_purpose(error: Exception, code: int) -> None:
    assert verdict(error) == ("Error: It is wrong.", code)
    hint = " `novelty resume run.zarr` goes on." if code == 3 else ""
    assert verdict(error, "run.zarr") == (f"Error: It is wrong.{hint}", code)


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (Terminated(), 143)])
def test_a_stop_says_whether_the_command_goes_on(error: BaseException, code: int) -> None:
    assert verdict(error, "run.zarr") == ("Stopped; `novelty resume run.zarr` goes on.", code)
    assert verdict(error) == ("Stopped; nothing was stored.", code)
    assert verdict(error, is_kept=True) == ("Stopped; the same command goes on.", code)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("The connection was reset."), "The connection was reset"),
        (TimeoutError(), "No answer came in time"),
        (FileNotFoundError(errno.ENOENT, "No usable folder in ['/a']"), "No usable folder in ['/a']"),
        (OSError(errno.EIO, "Input/output error", "/a/b"), "Input/output error at '/a/b'"),
        (OSError(errno.EIO, "It failed", "b.partial", None, "b"), "It failed at 'b'"),
        (OSError(errno.EIO, "It failed", "s3://u:pw@host/x?sig=1"), "It failed at 's3://***@host/x?sig=***'"),
    ],
)
def test_errors_of_the_system(error: OSError, said: str) -> None:
    assert verdict(error) == (f"Error: {said}; once that is fixed, repeat the command.", 3)
    assert verdict(error, "run.zarr") == (
        f"Error: {said}; once that is fixed, `novelty resume run.zarr` goes on.",
        3,
    )


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("key", "call"),
    [("owners/", "replace"), ("owners/", "link"), ("zarr.json", "replace"), ("commits/", "link")],
)
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (
            errno.EIO,
            3,
            r"Error: Input/output error at '.*'; once that is fixed, `novelty resume .*` goes on\.",
        ),
        (errno.EMFILE, 3, r"Error: Too many open files at '.*'; once that is fixed, `novelty resume .*"),
        (errno.ENOSPC, 3, r"Error: The disk of '.*' is full: .* is kept\. `novelty resume .*` goes on\."),
        (errno.EDQUOT, 3, r"Error: The disk of '.*' is full: .* is kept\. `novelty resume .*` goes on\."),
        (errno.EROFS, 2, r"Error: Can't write in '.*': Read-only file system; make it writable, or .*"),
        (errno.EACCES, 2, r"Error: Can't write in '.*': Permission denied; make it writable, or .*"),
    ],
)
def test_a_disk_that_fails_the_client(
    corpus: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    novelty: Novelty,
    key: str,
    call: str,
    number: int,
    code: int,
    said: str,
) -> None:
    """A sentence and an exit code, and then the same command goes on."""
    out = tmp_path / "run.zarr"
    original = getattr(os, call)

    def failing(source: Path, target: Path) -> None:
        if key in str(target):
            raise OSError(number, os.strerror(number), str(source), None, str(target))
        original(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        result = novelty("score", corpus, "-o", out, "--quiet")
    assert result.exit_code == code
    assert re.fullmatch(said, result.stderr.strip())
    assert novelty("score", corpus, "-o", out, "--quiet").exit_code == 0
    assert novelty("top", out).stdout == novelty("top", run).stdout


def test_a_disk_that_is_full_before_a_run_exists_is_left_as_it_was(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novelty: Novelty
) -> None:
    before = Path.open

    def failing(path: Path, mode: str = "r", **options: Any) -> IO[Any]:
        if "w" in mode and tmp_path in path.parents:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return before(path, mode, **options)

    (tmp_path / "mine").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", failing)
        result = novelty("score", corpus, "-o", tmp_path / "mine/new/run.zarr")
    assert result.exit_code == 3
    assert re.fullmatch(
        r"Error: The disk of '.*' is full: [\d,]+ bytes are needed and [\d,]+ are free; free some space, "
        r"then repeat the command\.\n",
        result.stderr,
    )
    assert list((tmp_path / "mine").iterdir()) == []
    assert "does not hold a run" in novelty("status", tmp_path / "mine/new/run.zarr").stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_a_folder_that_is_not_writable_is_named_once(corpus: Path, tmp_path: Path, novelty: Novelty) -> None:
    tmp_path.chmod(0o500)
    result = novelty("score", corpus, "-o", tmp_path / "run.zarr")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: Can't write in '")
    assert result.stderr.count("Can't") == 1


def test_other_faults_are_a_sentence_too() -> None:
    group = Commands("group")

    @group.command()
    def fail() -> None:
        raise ZeroDivisionError("first line\nsecond line")

    @group.command()
    def refuse() -> None:
        raise click.UsageError("use it well")

    result = CliRunner().invoke(group, ["fail"])
    assert result.exit_code == 1
    assert result.stderr == "Error: ZeroDivisionError: first line second line; --debug shows where.\n"
    assert CliRunner().invoke(group, ["refuse"]).exit_code == 2
