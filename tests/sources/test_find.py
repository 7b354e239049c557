import errno
import gzip
import os
from pathlib import Path
from typing import Any

import fsspec
import pytest

from novelty_dask.errors import InputError
from novelty_dask.events import Event, FolderFound
from novelty_dask.sources.changes import check_unchanged
from novelty_dask.sources.find import Source, expand, find_sources
from tests.support.files import TEXT, read_whole, write


def names(found: list[Source]) -> list[str]:
    return [Path(source.url).name for source in found]


# What a name stands for.


def test_a_file_is_described(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"12345")
    [source] = find_sources([str(path)])
    assert source == Source(f"file://{path}", 5, None, source.version)
    assert source.version


@pytest.mark.parametrize(
    "name", ["a b.txt", "a[1].txt", "a*.txt", "a?b.txt", "a{b}.txt", "a#b.txt", "é%20.txt"]
)
def test_a_file_of_any_name_is_that_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b"right\n")
    write(tmp_path / "a1.txt", b"wrong\n")
    [source] = find_sources([str(path)])
    assert read_whole(source) == b"right\n"


def test_a_glob_is_sorted_and_skips_folders(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.csv", "d.txt/e.txt"):
        write(tmp_path / name)
    assert names(find_sources([f"{tmp_path}/*.txt"])) == ["a.txt", "b.txt"]
    assert names(find_sources([f"{tmp_path}/**/*.txt"])) == ["a.txt", "b.txt", "e.txt"]


def test_a_folder_is_searched_without_what_is_hidden(tmp_path: Path) -> None:
    shown, hidden = ["2.txt", "1/a.txt", "1/2/b.gz"], [".x.txt", "_SUCCESS", ".git/c.txt", "1/_tmp/d.txt"]
    for name in [*shown, *hidden]:
        write(tmp_path / ".hidden" / "_folder" / name)
    for name in (f"{tmp_path}/.hidden/_folder", f"{tmp_path}/.hidden/_folder/"):
        assert names(find_sources([name])) == ["b.gz", "a.txt", "2.txt"]


def test_a_folder_says_what_it_took_and_left(tmp_path: Path) -> None:
    events: list[Event] = []
    for name in ("a.txt", "1/b.TXT", "1/c.gz", "d", ".x", ".git/y.txt", "_SUCCESS", "run.zarr/zarr.json"):
        write(tmp_path / name)
    write(tmp_path / "run.zarr" / "c" / "0")
    write(tmp_path / "empty.txt", b"")
    find_sources([f"{tmp_path}"], events.append)
    taken = {".txt": 3, ".gz": 1, "": 1}
    left = {"hidden": 2, "named _…": 1, "of runs": 2}
    assert events == [FolderFound(str(tmp_path), taken, left, 1)]
    assert str(events[0]).endswith(
        "': 5 files taken (3 .txt, 1 without ending, 1 .gz; 1 empty), "
        "5 left (2 hidden, 1 named _…, 2 of runs)."
    )
    # No other names are those of folders.
    find_sources([f"{tmp_path}/a.txt", f"{tmp_path}/*.txt"], events.append)
    assert len(events) == 1


def test_what_a_folder_says_is_short(tmp_path: Path) -> None:
    events: list[Event] = []
    for number in range(40):
        write(tmp_path / f"{number}.ending{number}")
        write(tmp_path / f"{number}.{'x' * 30}{number}")
    find_sources([f"file://{tmp_path}"], events.append)
    assert len(str(events[0])) < len(str(tmp_path)) + 160
    assert "80 files taken (40 without ending, 1 .ending0, " in str(events[0])
    assert str(events[0]).endswith(", 36 other), none left.")


def test_files_of_a_folder_that_can_not_be_read_are_named_together(tmp_path: Path) -> None:
    for number in range(9):
        write(tmp_path / f"{number}.zip")
    write(tmp_path / "a.txt")
    said = r"0\.zip' is an archive; unpack .* files; refused too: '1\.zip', .*'5\.zip' and 3 more\.$"
    with pytest.raises(InputError, match=said):
        find_sources([str(tmp_path)])


def test_urls_of_file_systems_are_sources(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt")
    assert find_sources([f"file://{path}"]) == find_sources([str(path)])
    fsspec.filesystem("memory").pipe("/sources/a.txt.gz", gzip.compress(TEXT))
    for name in ("memory://sources/a.txt.gz", "memory://sources/*.gz", "memory://sources"):
        [source] = find_sources([name])
        assert source.compression == "gzip"
        assert read_whole(source) == TEXT


def test_order_is_as_named_and_each_file_comes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        write(tmp_path / name)
    named = [f"{tmp_path}/c", f"{tmp_path}/*", f"file://{tmp_path}/b", "./c", "c"]
    assert names(find_sources(named)) == ["c", "a", "b"]


def test_standard_input_is_a_source_beside_others(tmp_path: Path) -> None:
    found = find_sources(["-", str(write(tmp_path / "a"))])
    assert found[0] == Source("-", 0, None)
    assert names(found) == ["-", "a"]


@pytest.mark.parametrize(
    ("name", "compression"),
    [
        ("a.gz", "gzip"),
        ("a.GZ", "gzip"),
        ("a.bz2", "bz2"),
        ("a.xz", "xz"),
        ("a.zst", "zstd"),
        ("a.gz.txt", None),
    ],
)
def test_compression_shows_in_the_name(tmp_path: Path, name: str, compression: str | None) -> None:
    assert find_sources([str(write(tmp_path / name))])[0].compression == compression


# What is refused, by name.

NOWHERE = ["missing.txt", "missing/*.txt", "*.csv", "a\0b", "x" * 5_000]
EMPTY = ["empty", "hidden"]
BROKEN = ["loop", "dangling"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *((name, "Nothing matches {}; check the path.") for name in NOWHERE),
        *((name, "{} is a folder without files to read; name files, or another folder.") for name in EMPTY),
        *((name, "{} is a link to a file that is not there; check where it leads.") for name in BROKEN),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, name: str, said: str) -> None:
    write(tmp_path / "hidden/.a.txt")
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").symlink_to("empty")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    with pytest.raises(InputError) as refusal:
        find_sources([str(tmp_path / name)])
    assert str(refusal.value) == said.format(repr(str(tmp_path / name)))


@pytest.mark.parametrize("name", ["closed/a.txt", "closed/*.txt", "closed", "closed/below"])
def test_what_nobody_may_look_at_is_not_said_to_be_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "closed/below").mkdir(parents=True)
    write(tmp_path / "closed/a.txt")
    before = Path.stat

    def refusing(path: Path, **options: Any) -> os.stat_result:
        if "closed" in path.parent.parts:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return before(path, **options)

    monkeypatch.setattr(Path, "stat", refusing)
    with pytest.raises(InputError) as refusal:
        find_sources([str(tmp_path / name)])
    assert str(refusal.value) == f"Can't read {str(tmp_path / name)!r}: Permission denied."


def test_no_name_at_all_is_refused() -> None:
    with pytest.raises(InputError, match=r"^No source is named; "):
        find_sources([])
    with pytest.raises(InputError, match=r"^Nothing matches ''; "):
        find_sources([""])


def test_unknown_schemes_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"^Can't read 'nonsense://a': no file system is known for nonsense://; name "
    ):
        find_sources(["nonsense://a"])


@pytest.mark.parametrize(
    "name", ["a.zip", "a.tar", "a.tar.gz", "A.TAR.XZ", "a.tgz", "a.tbz2", "a.txz", "a.7z", "a.rar"]
)
def test_archives_are_refused_by_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    with pytest.raises(InputError) as refusal:
        find_sources([str(path)])
    assert str(refusal.value) == f"{str(path)!r} is an archive; unpack it and name its files."


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"a.txt".ljust(257, b"\0") + b"ustar\x0000"])
def test_archives_are_refused_by_what_they_hold(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(InputError, match=r"is an archive; "):
        find_sources([str(write(tmp_path / "a.txt", head))])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_utf16_is_refused_by_name(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a.txt", "https://a.example/\n".encode(encoding))
    with pytest.raises(InputError, match=r"a\.txt' is UTF-16 text; convert it to UTF-8\.$"):
        find_sources([str(path)])


@pytest.mark.parametrize("name", ["folder", "folder/*"])
def test_special_files_are_refused_and_not_opened(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    write(tmp_path / "folder" / "a.txt")
    (tmp_path / "folder" / "link").symlink_to("../fifo")
    with pytest.raises(InputError, match=r"is not a regular file; pipe it in, and name - as the source\.$"):
        find_sources([str(tmp_path / name)])


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero")
def test_devices_are_refused() -> None:
    with pytest.raises(InputError, match=r"^'/dev/zero' is not a regular file; "):
        find_sources(["/dev/zero"])


@pytest.mark.parametrize("name", ["", "*"])
def test_a_dangling_link_is_not_left_out_silently(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.txt")
    (tmp_path / "dangling").symlink_to("nothing")
    with pytest.raises(InputError, match=r"dangling': No such file or directory\.$"):
        find_sources([str(tmp_path / name)])


def test_expand_says_which_name_matches_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.txt")
    assert len(expand(f"{tmp_path}/*.txt")) == 1
    with pytest.raises(InputError, match=r"\*\.csv"):
        find_sources([f"{tmp_path}/*.txt", f"{tmp_path}/*.csv"])


def test_the_version_of_a_file_changes_with_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"1")
    os.utime(path, (1, 1))
    [before] = find_sources([str(path)])
    assert find_sources([str(path)]) == [before]
    write(path, b"2")
    [after] = find_sources([str(path)])
    assert after == before._replace(version=after.version) != before


def test_a_source_that_rests_is_unchanged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"1")
    os.utime(path, (1, 1))
    [source] = find_sources([str(path)])
    check_unchanged(source)
    check_unchanged(source._replace(version=""))
    os.utime(path, (2, 2))
    check_unchanged(source._replace(version=""))
    with pytest.raises(InputError, match=r"a\.txt' has changed since the run was begun; "):
        check_unchanged(source)
    write(path, b"12")
    with pytest.raises(InputError, match=r"a\.txt' has changed since the run was begun; "):
        check_unchanged(source._replace(version=""))
    path.unlink()
    with pytest.raises(InputError, match=r"^Nothing matches '/.*/a\.txt'; "):
        check_unchanged(source)
