"""What is new stands first at the defaults, where ids, tokens or pages of one host would bury it."""

import random
import uuid
from pathlib import Path

import pytest

import novelty_dask
from tests.support.files import write_lines

BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
WORDS = [
    "shipping",
    "invoice",
    "camera",
    "harbor",
    "winter",
    "garden",
    "letter",
    "copper",
    "signal",
    "tailor",
    "meadow",
    "lantern",
]


def pages() -> list[str]:
    """Four hundred articles of one shop."""
    slugs = [f"{first}-{second}" for first in WORDS for second in WORDS if first != second]
    return [
        f"https://shop.example/{part}/{slug}.html"
        for part in ("blog", "help", "news", "store")
        for slug in slugs
    ][:400]


def with_uuids(chance: random.Random) -> list[str]:
    """Orders of a shop, each with a UUID."""
    uuids = (uuid.UUID(int=chance.getrandbits(128), version=4) for _ in range(300))
    return [f"https://shop.example/orders/{each}/view" for each in uuids]


def with_tokens(chance: random.Random) -> list[str]:
    """Downloads of a shop, each with a random token."""
    tokens = ("".join(chance.choices(BASE64, k=32)) for _ in range(300))
    return [f"https://shop.example/dl?token={token}" for token in tokens]


def with_numbers(chance: random.Random) -> list[str]:
    """Items of an interface, each with a number."""
    return [f"https://api.example/v1/items/{chance.randrange(10**9)}" for _ in range(600)]


def of_one_host(chance: random.Random) -> list[str]:
    """Hashed files of one host."""
    return [f"https://cdn.flood.example/assets/{chance.getrandbits(128):032x}.js" for _ in range(200)]


ENDPOINTS = ("https://api.example/v1/items/export", "https://api.example/v2/admin/users")
CASES = {
    "UUIDs": ([*pages(), *with_uuids(random.Random(1))], ["https://shop.example/debug/export-all.php"]),
    "tokens": ([*pages(), *with_tokens(random.Random(2))], ["https://shop.example/.git/config"]),
    "numbers": (with_numbers(random.Random(3)), [*ENDPOINTS]),
    "a flood": (
        [*pages(), *of_one_host(random.Random(4))],
        ["https://shop.example/help/phpmyadmin/setup.php"],
    ),
}


@pytest.mark.parametrize(("known", "new"), CASES.values(), ids=CASES)
def test_what_is_new_is_among_the_first_five(tmp_path: Path, known: list[str], new: list[str]) -> None:
    middle = len(known) // 2
    source = write_lines(tmp_path / "urls.txt", [*known[:middle], *new, *known[middle:]])
    top = novelty_dask.score(source, workers=0).top(5).url
    assert {*new} <= {*top}, top
