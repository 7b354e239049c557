import random
from pathlib import Path

import pytest

from novelty_dask.datasets import make_urls
from novelty_dask.errors import InputError
from novelty_dask.planning.budget import Extent
from novelty_dask.readers.lines import LineReader
from novelty_dask.sources import estimate
from novelty_dask.sources.decompress import BUFFER_BYTES, DICTIONARY_BYTES
from novelty_dask.sources.estimate import estimate_records
from novelty_dask.sources.find import Source, find_sources
from tests.support.files import read_real_lines, write_packed


def estimate_lines(sources: list[Source]) -> Extent:
    """Estimate lists of lines."""
    return estimate_records(sources, LineReader().estimate)


@pytest.fixture(scope="module")
def content() -> bytes:
    """Five million bytes of URLs."""
    urls, _ = make_urls(2_000, seed=5)
    return "\n".join(random.Random(5).choices(urls, k=90_000)).encode()


def assert_near(found: tuple[int, int, int], content: bytes) -> None:
    assert found[0] == pytest.approx(content.count(b"\n") + 1, rel=0.2)
    assert found[1] == pytest.approx(len(content), rel=0.2)


@pytest.mark.parametrize("name", ["a.txt", "a.gz"])
def test_a_file_is_estimated_from_its_beginning(tmp_path: Path, content: bytes, name: str) -> None:
    assert len(content) > 4 * estimate.ESTIMATE_BYTES
    assert_near(estimate_lines(find_sources([str(write_packed(tmp_path / name, content))])), content)


@pytest.mark.sampled
@pytest.mark.parametrize("suffix", ["bz2", "gz", "zst"])
def test_a_compressor_that_learns_is_estimated_from_what_it_does_later(
    tmp_path: Path, corpora: Path, suffix: str
) -> None:
    content = "".join(f"{line}\n" for line in read_real_lines(corpora, 150_000)).encode()
    path = write_packed(tmp_path / f"a.{suffix}", content)
    assert path.stat().st_size > estimate.COMPRESSED_BYTES
    n_lines, n_bytes, _ = estimate_lines(find_sources([str(path)]))
    assert n_lines == pytest.approx(150_000, rel=0.04)
    assert n_bytes == pytest.approx(len(content), rel=0.04)


def test_a_compressor_is_estimated_from_what_it_does_later_of_made_rows_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ESTIMATE_BYTES", "COMPRESSED_BYTES"):
        monkeypatch.setattr(estimate, name, 2**17)
    path = write_packed(tmp_path / "a.xz", "\n".join(make_urls(40_000, seed=5)[0]).encode())
    assert path.stat().st_size > 2.9 * 2**17
    # From the average of the first bytes it would be a tenth less.
    assert estimate_lines(find_sources([str(path)]))[0] == pytest.approx(40_000, rel=0.07)


def test_the_real_corpus_is_estimated(corpora: Path) -> None:
    n_lines, _, _ = estimate_lines(find_sources([str(corpora / "urls_1m.txt.xz")]))
    assert n_lines == pytest.approx(994_345, rel=0.03)


def test_plain_and_compressed_files_are_estimated_each_by_itself(tmp_path: Path, content: bytes) -> None:
    write_packed(tmp_path / "a.txt", content)
    write_packed(tmp_path / "b.gz", content)
    short = b"a.example\n" * 100_000
    write_packed(tmp_path / "c.txt", short)
    n_lines, n_bytes, _ = estimate_lines(find_sources([str(tmp_path)]))
    assert n_lines == pytest.approx(2 * content.count(b"\n") + 100_000, rel=0.2)
    assert n_bytes == pytest.approx(2 * len(content) + len(short), rel=0.2)


def test_of_many_files_some_are_looked_at(tmp_path: Path, content: bytes) -> None:
    lines = content.splitlines(keepends=True)
    for number in range(3 * estimate.SAMPLED_SOURCES):
        write_packed(tmp_path / f"{number:03}.{'gz' if number % 2 else 'txt'}", b"".join(lines[number::900]))
    n_lines, n_bytes, _ = estimate_lines(find_sources([str(tmp_path)]))
    assert n_lines == pytest.approx(9_600, rel=0.2)
    assert n_bytes == pytest.approx(9_600 * len(content) / len(lines), rel=0.2)


@pytest.mark.parametrize(
    ("content", "n_lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"\n\n", 2), (b"a\nb", 2), (b"a\r\nb\r\n", 2)]
)
@pytest.mark.parametrize("name", ["a.txt", "a.gz"])
def test_small_files_are_counted(tmp_path: Path, content: bytes, n_lines: int, name: str) -> None:
    found = find_sources([str(write_packed(tmp_path / name, content))])
    assert estimate_lines(found) == (n_lines, len(content), 0)


def test_standard_input_and_nothing_count_as_nothing() -> None:
    assert estimate_lines([Source("-", 0, None)]) == estimate_lines([]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("names", "held"), [(["gzip", None], 0), (["bz2"], 0), ([None, "xz"], 1), (["zstd"], 1)]
)
def test_what_it_takes_to_decompress_is_told(tmp_path: Path, names: list[str | None], held: int) -> None:
    found = []
    for number, name in enumerate(names):
        path = tmp_path / str(number)
        path.write_bytes(b"")
        found.append(Source(f"file://{path}", 0, name))
    extent = estimate_records(found, lambda _source, _head_bytes: estimate.Estimate(0, 0))
    assert extent == (0, 0, held * (DICTIONARY_BYTES + BUFFER_BYTES))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"not compressed")
    with pytest.raises(InputError, match=r"^Can't read '/.*a\.gz': it is not compressed with gzip"):
        estimate_lines(find_sources([f"{tmp_path}/a.gz"]))
