import json
import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
import zarr

from novelty_dask.errors import StoreError
from novelty_dask.storage.runs import (
    ATTRIBUTE,
    FORMAT_VERSION,
    Manifest,
    absolute_url,
    check_same,
    create_run,
    find_run,
    open_group,
    read_manifest,
    remove_run,
    work_url,
    write_manifest,
)

SETTINGS = {"n_neighbors": 10, "score": "mean", "ngram_range": [3, 3]}
SOURCE = {"url": "file:///a.txt", "n_bytes": 5, "compression": None, "version": "1"}


def manifest() -> Manifest:
    return Manifest(dict(SETTINGS), [dict(SOURCE)])


def snapshot(path: Path) -> dict[str, bytes]:
    """Every file under a path, and its bytes."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {str(file): file.read_bytes() for file in files}


@pytest.mark.parametrize(
    "form", ["{}/run.zarr", "{}/run.zarr/", "file://{}/run.zarr", "{}/a b#[1]*?%20é.zarr"]
)
def test_a_run_is_found_with_the_manifest_it_was_created_with(tmp_path: Path, form: str) -> None:
    url = form.format(tmp_path)
    assert not find_run(url)
    create_run(url, manifest())
    assert find_run(url)
    assert read_manifest(open_group(url)) == manifest()
    assert not manifest().is_complete


def test_a_run_may_be_on_any_file_system() -> None:
    url = "memory://runs/made.zarr"
    create_run(url, manifest())
    assert find_run(url)
    assert read_manifest(open_group(url)) == manifest()
    remove_run(url)
    assert not find_run(url)
    assert fsspec.filesystem("memory").find("/runs") == []


def test_a_manifest_is_replaced_as_a_whole(tmp_path: Path) -> None:
    url = str(tmp_path / "run.zarr")
    group = create_run(url, manifest())
    stored = read_manifest(group)
    stored.stages["merge"] = {"tasks": 1, "seconds": 0.5}
    stored.counts = {"lines": 3, "rejected": {"blank": 1}}
    write_manifest(group, stored)
    again = read_manifest(open_group(url))
    assert again == stored
    assert again.is_complete
    assert json.loads((tmp_path / "run.zarr" / "zarr.json").read_text())["attributes"].keys() == {ATTRIBUTE}


def test_sources_of_undecodable_names_are_kept(tmp_path: Path) -> None:
    url, name = str(tmp_path / "run.zarr"), os.fsdecode(b"file:///a\xff.txt")
    create_run(url, Manifest({}, [{**SOURCE, "url": name}]))
    assert read_manifest(open_group(url)).sources[0]["url"] == name


def test_relative_paths_become_absolute_and_urls_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_url("run.zarr") == f"{tmp_path}/run.zarr"
    assert absolute_url("/run.zarr") == absolute_url("file:///run.zarr") == "/run.zarr"
    assert absolute_url("s3://bucket/run.zarr") == "s3://bucket/run.zarr"


def test_work_is_inside_the_run() -> None:
    assert work_url("/run.zarr/", "lines", "1") == "/run.zarr/work/lines/1"


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
        open_group(str(path))
    with pytest.raises(StoreError, match=r"^'.*/out' exists and is no run; nothing was written: "):
        find_run(str(path))
    with pytest.raises(StoreError, match=r"^Can't create '.*/out': "):
        create_run(str(path), manifest())
    assert snapshot(path) == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"exists and is no run; nothing was written: "):
        find_run(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing", "file/run", "a\0b"])
def test_nothing_is_no_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert not find_run(str(tmp_path / name))
    with pytest.raises(StoreError, match=r" holds no run; check the path\.$"):
        open_group(str(tmp_path / name))


@pytest.mark.parametrize("name", ["file/run", "a\0b"])
def test_where_no_run_can_be_created_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"^Can't create "):
        create_run(str(tmp_path / name), manifest())


def test_unknown_schemes_are_refused() -> None:
    for function in (find_run, open_group):
        with pytest.raises(StoreError, match=r"Protocol not known: nonsense"):
            function("nonsense://run.zarr")


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is unwritable for root")
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match=r"^Can't create '.*': Permission denied\.$"):
        create_run(str(tmp_path / "run.zarr"), manifest())


# Runs of another kind.


@pytest.mark.parametrize(
    "attribute",
    [
        {"format_version": FORMAT_VERSION + 1},
        {"format_version": FORMAT_VERSION},
        {"format_version": FORMAT_VERSION, "surprise": 1},
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
    with pytest.raises(StoreError, match=r"use the version that wrote it or score again\.$"):
        read_manifest(open_group(url))


def test_the_same_settings_and_sources_are_the_same() -> None:
    check_same("run.zarr", manifest(), manifest())


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Manifest({**SETTINGS, "n_neighbors": 5}, [SOURCE]), ["n_neighbors is 10 there and 5 here"]),
        (
            Manifest({**SETTINGS, "score": "kth", "ngram_range": [2, 3]}, [SOURCE]),
            ["score is 'mean' there and 'kth' here", "ngram_range is [3, 3] there and [2, 3] here"],
        ),
        (Manifest({**SETTINGS, "new": 1}, [SOURCE]), ["new is None there and 1 here"]),
        (Manifest(SETTINGS, [{**SOURCE, "n_bytes": 6}]), ["the sources are others, or have changed"]),
        (Manifest(SETTINGS, [{**SOURCE, "version": "2"}]), ["the sources are others, or have changed"]),
        (Manifest(SETTINGS, [SOURCE, SOURCE]), ["the sources are others, or have changed"]),
    ],
)
def test_what_differs_is_named(wanted: Manifest, names: list[str]) -> None:
    with pytest.raises(StoreError) as refusal:
        check_same("run.zarr", manifest(), wanted)
    assert (
        str(refusal.value) == f"'run.zarr' holds another run ({'; '.join(names)}); name another output path."
    )


def test_a_complete_run_of_standard_input_is_never_the_same() -> None:
    piped = Manifest(SETTINGS, [{**SOURCE, "url": "-"}])
    check_same("run.zarr", piped, piped)
    piped.stages["merge"] = {}
    with pytest.raises(StoreError, match=r"its standard input can't be compared with this one"):
        check_same("run.zarr", piped, piped)
