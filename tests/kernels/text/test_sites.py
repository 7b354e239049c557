"""Sites are registered domains, and nobody is asked for them."""

import socket

import pyarrow as pa
import pytest

from novelty_dask.kernels.text import sites
from novelty_dask.kernels.text.pages import find_host
from novelty_dask.kernels.text.sites import site_of, sites_of

SITES = {
    "https://www.example.com/a": "example.com",
    "http://me:pw@A.B.Example.com.:8080/x?http://c.example/": "example.com",
    "//example.co.uk": "example.co.uk",
    "x.y.example.co.uk?q": "example.co.uk",
    # The private part of the list: each user of such a service has a site.
    "https://someone.github.io/": "someone.github.io",
    "https://bucket.s3.amazonaws.com/key": "bucket.s3.amazonaws.com",
    "https://github.io/": "github.io",
    "https://www.city.kobe.jp/": "city.kobe.jp",
    "https://a.b.c.kobe.jp/": "b.c.kobe.jp",
    # What is in no list has the rule "*".
    "https://a.b.unknown-tld/": "b.unknown-tld",
    "http://localhost:3000/x": "localhost",
    "http://192.0.2.7/": "192.0.2.7",
    "http://[2001:DB8::1]:80/": "[2001:db8::1]",
    "https://Bücher.example/": "xn--bcher-kva.example",
    "https://a.xn--bcher-kva.example/": "xn--bcher-kva.example",
    "http://a..example/": "a..example",
    "GET /x HTTP/1.1": "",
    "plain text": "",
    "/orders/7": "",
    "mailto:a@b.example": "b.example",
    "": "",
}


def test_sites_are_registered_domains() -> None:
    assert dict(zip(SITES, sites_of(pa.array(SITES)).to_pylist(), strict=True)) == SITES


def test_a_site_depends_on_the_host_alone() -> None:
    lines = [*SITES, *(f"{line}#{number}" for number, line in enumerate(SITES))]
    assert sites_of(pa.array(lines)).to_pylist() == [site_of(find_host(line)) for line in lines]
    assert sites_of(pa.array([], pa.string())).to_pylist() == []


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("It connects."))
    sites._suffixes.cache_clear()
    assert site_of("a.b.example.com") == "example.com"
