"""What a file of dismissed hosts, pages and templates leaves out."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.pages import find_host, page, template
from novelty_dask.results.dismissed import Dismissed
from novelty_dask.results.groups import from_readable, to_readable

URLS = [
    "https://example.com/orders/77",
    "http://www.example.com/orders/8/",
    "https://shop.example.com/",
    "https://shop.example.com:8443/x",
    "https://notexample.com/orders/77",
    "https://bücher.example/",
    "http://localhost:3000/x",
    "http://192.0.2.7/",
    "http://[2001:db8::1]/x",
    "https://c.example/34220a16-7aed-9c15-29f3-4d17cddcecfc",
    "plain text",
]


def left_out(*lines: str) -> list[str]:
    dismissed = Dismissed(list(lines))
    kept = dismissed.keeps(pa.array(URLS))
    assert dismissed.n_left_out == len(URLS) - kept.sum()
    return [url for url, is_kept in zip(URLS, kept, strict=True) if not is_kept]


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("example.com", [0, 1, 2, 3]),
        ("*.EXAMPLE.com", [0, 1, 2, 3]),
        ("www.example.com", [0, 1, 2, 3]),
        ("shop.example.com", [2, 3]),
        ("com", [0, 1, 2, 3, 4]),
        ("shop.example.com/", [2]),
        ("https://shop.example.com:8443/x", [3]),
        ("//example.com/orders/77?utm_source=a", [0]),
        ("http://example.com/orders/78", []),
        ("example.com/orders/{digits}", [0, 1]),
        ("https://www.example.com/orders/{digits}/", [0, 1]),
        ("c.example/{uuid}", [9]),
        ("c.example/{hex}", []),
        ("xn--bcher-kva.example", [5]),
        ("bücher.example", [5]),
        ("localhost", [6]),
        ("192.0.2.7", [7]),
        ("[2001:DB8::1]", [8]),
        ("plain text", [10]),
        ("plain", []),
        ("# example.com", []),
        ("#", []),
        ("  ", []),
    ],
)
def test_a_line_is_a_host_a_page_or_a_template(line: str, numbers: list[int]) -> None:
    assert left_out(line) == [URLS[number] for number in numbers]


@given(st.lists(st.sampled_from([*URLS, "example.com", "shop.example.com", "c.example"]), max_size=5))
def test_lines_are_those_of_a_naive_definition(lines: list[str]) -> None:
    hosts = {line for line in lines if "/" not in line and " " not in line}
    pages = {page(line) for line in lines}

    def is_dismissed(url: str) -> bool:
        host = find_host(url)
        return page(url) in pages or any(host == name or host.endswith(f".{name}") for name in hosts)

    assert left_out(*lines) == [url for url in URLS if is_dismissed(url)]


@pytest.mark.parametrize("url", URLS)
def test_a_template_that_is_printed_leaves_its_rows_out(url: str) -> None:
    shown = to_readable(template(url))
    assert shown.isprintable()
    assert from_readable(shown) == template(url)
    assert url in left_out(shown)


def test_a_file_is_read_whatever_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "known.txt"
    path.write_bytes(b"\xef\xbb\xbfexample.com\r\n\r\n# known\r\n\xff\xfe\0\n")
    dismissed = Dismissed.read(path)
    assert dismissed.keeps(pa.array(URLS)).sum() == len(URLS) - 4
    assert Dismissed.read(dismissed) is dismissed


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_a_file_that_can_not_be_read_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"^Can't read '.*': .*\.$"):
        Dismissed.read(tmp_path / name)
