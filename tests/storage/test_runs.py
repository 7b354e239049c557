import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zarr

from novelty_dask.errors import StoreError
from novelty_dask.objects.address import absolute_url, is_inside
from novelty_dask.objects.commits import Commit, Draft
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import claim
from novelty_dask.objects.protocol import partial_name
from novelty_dask.planning.stages import COMPARE, INGEST, LAST_STAGE, MERGE, SORT, TaskId
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.settings import ResultSettings
from novelty_dask.sources.find import Source
from novelty_dask.storage import identity as storage_identity
from novelty_dask.storage.identity import FORMAT_VERSION, RunIdentity, this_version
from novelty_dask.storage.manifest import ATTRIBUTE, CHECKSUM, Failure, Manifest, checksum, write_manifest
from novelty_dask.storage.metadata import COPY
from novelty_dask.storage.runs import StoredRun, check_same, create_run, find_run, open_complete, open_stored
from novelty_dask.storage.totals import Totals
from tests.support.arrays import listed
from tests.support.files import snapshot
from tests.support.runs import NOBODY, make_arrays, make_run, writable

SETTINGS = ResultSettings.make()
SOURCE = Source("file:///a.txt", 5, None, "1")
PLAN = TilePlan(n_rows=10, block_rows=4, span_blocks=1, group_blocks=2)


def identity(*sources: Source, **settings: Any) -> RunIdentity:
    return RunIdentity(settings=ResultSettings.make(**settings), sources=sources)


def manifest() -> Manifest:
    return Manifest(identity=identity(SOURCE))


def content(of: Manifest) -> dict[str, Any]:
    """What is stored of a manifest, but its checksum."""
    values: dict[str, Any] = json.loads(write_manifest(of))["attributes"][ATTRIBUTE]
    del values[CHECKSUM]
    return values


@pytest.mark.parametrize(
    "form", ["{}/run.zarr", "{}/run.zarr/", "file://{}/run.zarr", "{}/a b#[1]*?%20é.zarr"]
)
def test_a_run_is_found_with_the_manifest_it_was_created_with(tmp_path: Path, form: str) -> None:
    url = form.format(tmp_path)
    assert find_run(url) is None
    create_run(url, manifest())
    found = find_run(url)
    assert found is not None
    assert found.manifest == open_stored(url).manifest == manifest()
    assert not manifest().is_complete


def test_a_run_may_be_on_any_file_system() -> None:
    url = "memory://runs/made.zarr"
    create_run(url, manifest())
    found = find_run(url)
    assert found is not None
    assert found.manifest == manifest()
    found.objects.remove("")
    assert find_run(url) is None
    assert not found.objects.exists()


def test_a_manifest_is_replaced_as_a_whole(tmp_path: Path) -> None:
    run = create_run(str(tmp_path / "run.zarr"), manifest())
    run.manifest.plan = PLAN
    run.manifest.stages[LAST_STAGE.name] = {"tasks": 1, "seconds": 0.5}
    run.manifest.totals = Totals(lines=3, rows=2, duplicates=0, rejected={"blank": 1})
    run.save()
    again = open_stored(run.url).manifest
    assert again == run.manifest
    assert again.is_complete
    metadata = json.loads((tmp_path / "run.zarr" / "zarr.json").read_text())
    assert metadata["attributes"].keys() == {ATTRIBUTE}
    stored: Any = zarr.open_group(run.url, mode="r").attrs[ATTRIBUTE]
    assert stored["format_version"] == FORMAT_VERSION


def test_sources_of_undecodable_names_are_kept(tmp_path: Path) -> None:
    url, name = str(tmp_path / "run.zarr"), os.fsdecode(b"file:///a\xff.txt")
    create_run(url, Manifest(identity=identity(SOURCE._replace(url=name))))
    assert open_stored(url).manifest.sources[0].url == name


def test_relative_paths_become_absolute_and_urls_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_url("run.zarr") == f"{tmp_path}/run.zarr"
    assert absolute_url("/run.zarr") == absolute_url("file:///run.zarr") == "/run.zarr"
    assert absolute_url("local:///run.zarr") == absolute_url("FILE:///run.zarr") == "/run.zarr"
    # A folder may be called as a scheme is.
    assert absolute_url("folder/http://a") == f"{tmp_path}/folder/http:/a"
    assert absolute_url("s3://bucket/run.zarr") == "s3://bucket/run.zarr"


def test_what_is_inside_a_run_is_told_by_its_name() -> None:
    for run in ("/data/run.zarr", "/data/run.zarr/", "file:///data/run.zarr"):
        assert is_inside("file:///data/run.zarr/work/stdin", run)
        assert not is_inside("file:///data/run.zarr.txt", run)
        assert not is_inside("file:///data/run.zarr", run)


# Arrays and tasks.


def write_novelty(run: StoredRun, value: float) -> Callable[[Draft], dict[str, Any]]:
    """The work of block 1 of the merge."""

    def work(draft: Draft) -> dict[str, Any]:
        run.arrays(draft)["novelty"][4:8] = value
        return {"value": value}

    return work


def test_a_task_is_done_once(tmp_path: Path) -> None:
    run, task = make_run(tmp_path, PLAN), TaskId("merge", "1")
    run.create_arrays(MERGE)
    assert run.once(task, NOBODY, write_novelty(run, 0.5)) == {"value": 0.5}
    before = snapshot(tmp_path)
    assert run.once(task, NOBODY, write_novelty(run, 0.75)) == {"value": 0.5}
    assert snapshot(tmp_path) == before
    assert listed(run.arrays()["novelty"][4:8]) == [0.5] * 4


def test_a_task_of_an_older_client_does_not_commit(tmp_path: Path) -> None:
    run, task = make_run(tmp_path, PLAN), TaskId("merge", "1")
    run.create_arrays(MERGE)
    with claim(run.objects, run.url) as first:
        pass
    with claim(run.objects, run.url) as second:
        with pytest.raises(StoreError, match=r"^Another client, of epoch 2, has taken over from epoch 1; "):
            run.once(task, first.epoch, write_novelty(run, 0.5))
        assert run.commits.find(task) is None
        run.once(task, second.epoch, write_novelty(run, 0.25))
    assert listed(run.arrays()["novelty"][4:8]) == [0.25] * 4


def test_another_task_that_was_first_is_believed_if_it_wrote_the_same(tmp_path: Path) -> None:
    run, task = make_run(tmp_path, PLAN), TaskId("merge", "1")
    run.create_arrays(MERGE)

    def overtaken(value: float) -> Callable[[Draft], dict[str, Any]]:
        def work(draft: Draft) -> dict[str, Any]:
            run.once(task, NOBODY, write_novelty(run, 0.5))
            write_novelty(run, value)(draft)
            return {"value": "later"}

        return work

    assert run.once(task, NOBODY, overtaken(0.5)) == {"value": 0.5}
    run.commits.forget(task)
    with pytest.raises(StoreError, match=r"^Task '1' of stage 'merge' gave a different result than before, "):
        run.once(task, NOBODY, overtaken(0.75))


def test_a_task_that_fails_commits_nothing(tmp_path: Path) -> None:
    run, task = make_run(tmp_path, PLAN), TaskId("merge", "1")
    run.create_arrays(MERGE)

    def fail(draft: Draft) -> dict[str, Any]:
        write_novelty(run, 0.5)(draft)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run.once(task, NOBODY, fail)
    assert run.commits.find(task) is None
    assert run.objects.sizes("novelty/c/").keys() == {"novelty/c/1"}


def test_arrays_that_are_there_stay(tmp_path: Path) -> None:
    run = make_arrays(make_run(tmp_path, PLAN))
    run.once(TaskId("merge", "1"), NOBODY, write_novelty(run, 0.5))
    before = snapshot(tmp_path)
    make_arrays(run)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "damage", [None, "", "[]", "7", "{}", "\0", '{"zarr_format": 3, "node_type": "group"}']
)
def test_an_array_of_which_the_metadata_are_damaged_gets_them_back_and_keeps_its_chunks(
    tmp_path: Path, damage: str | None
) -> None:
    run = make_arrays(make_run(tmp_path, PLAN))
    run.once(TaskId("merge", "1"), NOBODY, write_novelty(run, 0.5))
    before, metadata = snapshot(tmp_path), tmp_path / "run.zarr" / "novelty" / "zarr.json"
    if damage is None:
        metadata.unlink()
    else:
        metadata.write_text(damage)
    with pytest.raises(StoreError, match=r"^The metadata of array 'novelty' do not match the run's"):
        run.arrays()["novelty"]
    run.create_arrays(MERGE)
    assert snapshot(tmp_path) == before


def test_a_stage_is_removed_with_all_that_it_left(tmp_path: Path) -> None:
    run = make_arrays(make_run(tmp_path, PLAN))
    run.objects.write("work/lines/1", b"1")
    run.commits.add(TaskId("ingest", "0"), Commit("f", 1, {}, {}))
    run.remove_stages([INGEST, SORT])
    run.remove_stages([COMPARE])
    run.remove_stages([COMPARE])
    left = {key.split("/")[0] for key in run.objects.sizes()}
    assert left == {
        "zarr.json",
        "manifest",
        "rows",
        "partial_frequency",
        "columns",
        "weights",
        "neighbors",
        "novelty",
        "novelty_nearest",
        "novelty_kth",
        "uncovered",
        "density",
        "lof",
        "rejected",
    }


def test_a_complete_run_and_a_partial_one_can_be_read_others_not(tmp_path: Path) -> None:
    run = make_run(tmp_path, PLAN)
    refusal = r"^The run '.*' is not complete; `novelty resume .*/run\.zarr` goes on\.$"
    with pytest.raises(StoreError, match=refusal):
        open_complete(run.url)
    run.manifest.stages[LAST_STAGE.name] = {}
    run.save()
    assert open_complete(run.url).manifest.is_complete
    run.manifest.failures.append(Failure(stage="merge", item="1", reason="why"))
    run.save()
    opened = open_complete(run.url)
    assert opened.manifest.is_partial
    assert not opened.manifest.is_complete
    run.manifest.stages.clear()
    run.save()
    with pytest.raises(StoreError, match=refusal):
        open_complete(run.url)


def test_where_a_task_was_given_up_there_are_fill_values_and_only_there(tmp_path: Path) -> None:
    run = make_arrays(make_run(tmp_path, PLAN))
    run.once(TaskId("merge", "1"), NOBODY, write_novelty(run, 0.5))
    run.manifest.failures = [Failure(stage="merge", item="2", reason="why")]
    run.manifest.stages[LAST_STAGE.name] = {}
    novelty = run.arrays()["novelty"]
    assert listed(novelty[8:10]) == pytest.approx([float("nan")] * 2, nan_ok=True)
    assert listed(novelty[4:8]) == [0.5] * 4
    with pytest.raises(StoreError, match=r"^'novelty/c/0' is not committed; "):
        novelty[0:4]


def test_a_task_writes_nothing_but_its_own_chunks(tmp_path: Path) -> None:
    run = make_arrays(make_run(tmp_path, PLAN))
    group, draft = writable(run, MERGE, "1")
    with pytest.raises(PermissionError):
        group["novelty"][0:4] = 1.0
    assert draft.digests == {}
    assert run.objects.sizes("novelty/c/") == {}
    assert isinstance(run.objects, LocalObjects)


# What is no run.


def make_array(path: Path) -> None:
    zarr.create_array(str(path), shape=(3,), dtype="int32")


def make_group(path: Path) -> None:
    zarr.open_group(str(path), mode="w", zarr_format=3)


def make_old_group(path: Path) -> None:
    zarr.open_group(str(path), mode="w", zarr_format=2)


def make_file(path: Path) -> None:
    path.write_bytes(b"precious")


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "precious.txt").write_bytes(b"precious")


def make_metadata(content: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        (path / "zarr.json").write_text(content)

    return make


FOREIGN: dict[str, Callable[[Path], None]] = {
    "array": make_array,
    "group": make_group,
    "version 2 group": make_old_group,
    "file": make_file,
    "folder": make_folder,
    "empty metadata": make_metadata(""),
    "damaged metadata": make_metadata('{"zarr_format": 3,'),
    "list": make_metadata("[]"),
    "number": make_metadata("3"),
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_no_run_is_refused_and_untouched(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "out"
    make(path)
    before = snapshot(path)
    with pytest.raises(StoreError, match=r"^'.*/out' .*; check the path\.$"):
        open_stored(str(path))
    with pytest.raises(StoreError, match=r"^'.*/out' exists and is not a run; nothing was written: "):
        find_run(str(path))
    with pytest.raises(StoreError, match=r"^Can't create '.*/out': "):
        create_run(str(path), manifest())
    assert snapshot(path) == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_folder_is_free_also_with_what_a_killed_writer_left(tmp_path: Path) -> None:
    assert find_run(str(tmp_path)) is None
    (tmp_path / partial_name("zarr.json")).write_bytes(b"{")
    assert find_run(str(tmp_path)) is None
    assert create_run(str(tmp_path), manifest()).objects.sweep() == 1
    assert open_stored(str(tmp_path)).manifest == manifest()


def test_of_two_that_create_a_run_one_does(tmp_path: Path) -> None:
    create_run(str(tmp_path / "run.zarr"), manifest())
    before = snapshot(tmp_path)
    with pytest.raises(StoreError, match=r"^Can't create '.*': something exists there already; name another"):
        create_run(str(tmp_path / "run.zarr"), Manifest(identity=identity()))
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["missing", "file/run", "a\0b"])
def test_nothing_is_no_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert find_run(str(tmp_path / name)) is None
    with pytest.raises(StoreError, match=r"( does not hold a run|: .*embedded null .*); check the path\.$"):
        open_stored(str(tmp_path / name))


@pytest.mark.parametrize("name", ["file/run", "a\0b"])
def test_where_no_run_can_be_created_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"^Can't create "):
        create_run(str(tmp_path / name), manifest())


def test_unknown_schemes_are_refused() -> None:
    for function in (find_run, open_stored):
        with pytest.raises(StoreError, match=r"no file system is known for nonsense://"):
            function("nonsense://run.zarr")


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is unwritable for root")
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match=r"^Can't write in '.*': Permission denied; make it writable, or "):
        create_run(str(tmp_path / "run.zarr"), manifest())


# Runs of another kind.


@pytest.mark.parametrize(
    "attribute",
    [
        {"format_version": FORMAT_VERSION + 1},
        {**content(manifest()), "format_version": 4},
        {},
        [],
        "text",
        7,
        None,
    ],
    ids=str,
)
def test_other_formats_are_refused(tmp_path: Path, attribute: object) -> None:
    url = str(tmp_path / "run.zarr")
    group = zarr.open_group(url, mode="w", zarr_format=3)
    group.attrs[ATTRIBUTE] = attribute  # type: ignore[assignment]
    for function in (open_stored, find_run):
        with pytest.raises(StoreError, match=r"use the version that wrote it, or score again into"):
            function(url)


SAID = content(manifest())


@pytest.mark.parametrize(
    ("attribute", "what"),
    [
        (SAID, "the manifest's checksum does not match; restore"),
        ({**SAID, CHECKSUM: checksum(SAID) ^ 1}, "the manifest's checksum does not match; restore"),
        ({**SAID, "surprise": 1, CHECKSUM: checksum({**SAID, "surprise": 1})}, "its manifest is malformed"),
        ({"format_version": FORMAT_VERSION}, "the manifest's checksum does not match; restore"),
        (
            {"format_version": FORMAT_VERSION, CHECKSUM: checksum({"format_version": FORMAT_VERSION})},
            "its manifest is malformed",
        ),
    ],
)
def test_damaged_manifests_are_refused(tmp_path: Path, attribute: dict[str, Any], what: str) -> None:
    url = str(tmp_path / "run.zarr")
    group = zarr.open_group(url, mode="w", zarr_format=3)
    group.attrs[ATTRIBUTE] = attribute
    for function in (open_stored, find_run):
        with pytest.raises(StoreError, match=rf"is damaged: {what}"):
            function(url)


def test_no_flipped_bit_of_a_manifest_goes_unnoticed(tmp_path: Path) -> None:
    run = create_run(str(tmp_path / "run.zarr"), manifest())
    run.manifest.totals = Totals(lines=13, rows=10, duplicates=1, rejected={"blank": 2})
    run.save()
    path = tmp_path / "run.zarr" / "zarr.json"
    # Without its copy, which is sound.
    run.objects.remove(COPY)
    before = path.read_bytes()
    for place in range(len(before)):
        for bit in (0, 2, 5):
            path.write_bytes(before[:place] + bytes([before[place] ^ 1 << bit]) + before[place + 1 :])
            with pytest.raises(StoreError):
                open_stored(run.url)
    path.write_bytes(before.replace(b'"rows": 10', b'"rows": 11'))
    for function in (open_stored, find_run):
        with pytest.raises(StoreError, match=r"^The run '.*' is damaged: the manifest's checksum does not"):
            function(run.url)


def stored(there: Manifest) -> StoredRun:
    return StoredRun("run.zarr", LocalObjects(Path("run.zarr")), there)


def test_the_same_settings_and_sources_are_the_same() -> None:
    check_same(stored(manifest()), identity(SOURCE))
    assert manifest().identity.fingerprint == identity(SOURCE).fingerprint


def differ(how: str) -> list[str]:
    return [f"its sources differ: {how}"]


OTHERS: list[tuple[RunIdentity, list[str]]] = [
    (identity(SOURCE, n_neighbors=5), ["n_neighbors is 10 there and 5 here"]),
    (
        identity(SOURCE, features="ngrams", n_features=9),
        [
            "features is 'url' there and 'ngrams' here",
            "ngram_range is None there and (3, 3) here",
            "n_features is 4194304 there and 9 here",
            "normal_form is 'page' there and 'raw' here",
        ],
    ),
    (identity(SOURCE._replace(url="file:///b.txt")), differ("'/b.txt' is new, and 1 other change")),
    (identity(SOURCE._replace(n_bytes=6)), differ("'/a.txt' had 5 bytes and has 6")),
    (identity(SOURCE._replace(compression="gzip")), differ("'/a.txt' was not compressed and is gzip")),
    (
        identity(SOURCE._replace(version="2")),
        differ("'/a.txt' has the same size, but another modification time or ETag"),
    ),
    (identity(SOURCE, SOURCE), differ("they are in another order")),
    (identity(), differ("'/a.txt' is missing")),
    (
        RunIdentity(settings=SETTINGS, sources=(SOURCE,), novelty_dask_version="9.9"),
        [f"version is {this_version()} there and 9.9 here"],
    ),
]


@pytest.mark.parametrize(("wanted", "names"), OTHERS)
def test_what_differs_is_named_and_shows_in_the_fingerprint(wanted: RunIdentity, names: list[str]) -> None:
    with pytest.raises(StoreError) as refusal:
        check_same(stored(manifest()), wanted)
    assert (
        str(refusal.value) == f"'run.zarr' holds another run ({'; '.join(names)}); name another output path."
    )
    assert wanted.fingerprint != identity(SOURCE).fingerprint


def test_a_complete_run_of_another_version_can_be_opened() -> None:
    older = RunIdentity(settings=SETTINGS, sources=(SOURCE,), novelty_dask_version="0.0.1")
    check_same(stored(Manifest(identity=older, stages={LAST_STAGE.name: {}})), identity(SOURCE))


def test_all_that_identifies_a_run_shows_in_its_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RunIdentity.model_fields.keys() == {
        "settings",
        "features_version",
        "sources",
        "novelty_dask_version",
        "reference",
        "segments",
        "matrix",
    }
    # Runs of lines keep the fingerprints that they had before there were others.
    assert "matrix" not in identity(SOURCE).model_dump()
    before = identity(SOURCE).fingerprint
    monkeypatch.setattr(storage_identity, "FORMAT_VERSION", FORMAT_VERSION + 1)
    assert identity(SOURCE).fingerprint != before
