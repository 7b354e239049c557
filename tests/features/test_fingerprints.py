"""Fingerprints: the same for what does the same, others for all that may do something else."""

import functools
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from novelty_dask.errors import SettingsError
from novelty_dask.features.fingerprints import fingerprint

TEXTS = ["https://a.example/x", "https://b.example/y"]


def adder(n: int) -> Callable[[int], int]:
    """Return a function that remembers a number."""
    return lambda x: x + n


class Own:
    """A vectorizer of one's own, with what is not to be known of the first."""

    def __init__(self, size: int) -> None:
        self.size = size


class Slots:
    """A class without a dictionary."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


DIFFERENT: list[Callable[[], Any]] = [
    HashingVectorizer,
    CountVectorizer,
    lambda: HashingVectorizer(n_features=2**10),
    lambda: HashingVectorizer(ngram_range=(1, 2)),
    lambda: HashingVectorizer(analyzer="char"),
    lambda: HashingVectorizer(tokenizer=str.split),
    lambda: HashingVectorizer(tokenizer=str.splitlines),
    lambda: HashingVectorizer(tokenizer=re.compile("a").findall),
    lambda: HashingVectorizer(tokenizer=re.compile("b").findall),
    lambda: HashingVectorizer(stop_words=["a", "b"]),
    lambda: TfidfVectorizer().fit(TEXTS),
    lambda: TfidfVectorizer().fit([*TEXTS, "another"]),
    lambda: TfidfVectorizer().fit([*TEXTS, "https other"]),
    lambda: make_pipeline(HashingVectorizer(), Normalizer()),
    lambda: make_pipeline(HashingVectorizer(), Normalizer("l1")),
    lambda: make_pipeline(HashingVectorizer(), FunctionTransformer(np.log1p)),
    lambda: make_pipeline(HashingVectorizer(), FunctionTransformer(np.sqrt)),
    lambda: Own(1),
    lambda: Own(2),
    lambda: Slots(1),
    lambda: Slots(2),
    lambda: adder(1),
    lambda: adder(2),
    lambda: functools.partial(adder, 1),
    lambda: functools.partial(adder, 2),
    lambda: lambda x: x + 1,
    lambda: lambda x: x + 2,
    lambda: lambda x, y=1: x + y,
    lambda: lambda x: x in {"a", "b"},
    lambda: lambda x: x in {"a", "c"},
    lambda: [1, 2],
    lambda: [[1], 2],
    lambda: [1, [2]],
    lambda: (1, 2),
    lambda: ["1", 2],
    lambda: {1: 2},
    lambda: {1, 2},
    lambda: np.array([1, 2]),
    lambda: np.array([1.0, 2]),
    lambda: np.array([[1], [2]]),
    lambda: np.array(["1", 2], object),
    lambda: sp.csr_matrix([[1, 2]]),
    lambda: sp.csr_matrix([[1, 3]]),
]


def test_what_does_something_else_has_another() -> None:
    prints = [fingerprint(make()) for make in DIFFERENT]
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in prints)
    assert len({*prints}) == len(DIFFERENT)


@pytest.mark.parametrize("number", range(len(DIFFERENT)))
def test_what_does_the_same_has_the_same(number: int) -> None:
    assert fingerprint(DIFFERENT[number]()) == fingerprint(DIFFERENT[number]())


MODULE = """
import re
SIZE, NAMES, WORD = 3, frozenset(["a", "b"]), re.compile("[a-z]+")
RULES = (("x", 1.5), (b"y", None))
CACHE, n_calls = {}, 0

def outer(text):
    global n_calls
    n_calls += 1
    CACHE[text] = True
    return [inner(part) for part in WORD.findall(text)]

def inner(text, least=2):
    return outer(text[SIZE:]) if len(text) > least else (text in NAMES, RULES)

unused = 1
"""


def load(code: str) -> dict[str, Any]:
    """Return the names of a module of one's own."""
    held: dict[str, Any] = {"__name__": "mine"}
    exec(code, held)
    return held


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SIZE, NAMES, WORD = 3", "SIZE, NAMES, WORD = 4"),
        ('"a", "b"', '"a", "c"'),
        ("[a-z]+", "[a-y]+"),
        ("1.5", "1.25"),
        ("least=2", "least=3"),
        ("text[SIZE:]", "text[:SIZE]"),
    ],
)
def test_what_a_function_reads_counts(old: str, new: str) -> None:
    assert MODULE.count(old) == 1
    changed = load(MODULE.replace(old, new))
    assert fingerprint(load(MODULE)["outer"]) != fingerprint(changed["outer"])
    kept = [functools.partial(held["outer"]) for held in (load(MODULE), changed)]
    assert fingerprint(kept[0]) != fingerprint(kept[1])


def test_what_a_function_does_not_read_or_changes_itself_does_not_count() -> None:
    held = load(MODULE)
    before = fingerprint(held["outer"])
    held["outer"]("abcdef a")
    assert held["n_calls"] == 3
    assert held["CACHE"]
    assert fingerprint(held["outer"]) == before
    assert fingerprint(load(MODULE.replace("unused = 1", "unused = 2"))["outer"]) == before


def test_use_and_travel_change_nothing() -> None:
    vectorizers: list[Any] = [HashingVectorizer(stop_words=["a"]), TfidfVectorizer().fit(TEXTS)]
    for vectorizer in vectorizers:
        before = fingerprint(vectorizer)
        vectorizer.transform(TEXTS)
        assert fingerprint(vectorizer) == before
        assert fingerprint(pickle.loads(pickle.dumps(vectorizer))) == before
    assert fingerprint(clone(vectorizers[0])) == fingerprint(vectorizers[0])


def test_another_version_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(HashingVectorizer())
    monkeypatch.setattr(sklearn, "__version__", "0.1")
    assert fingerprint(HashingVectorizer()) != before


@pytest.mark.long
@pytest.mark.process
def test_another_process_finds_the_same() -> None:
    code = (
        "from sklearn.feature_extraction.text import TfidfVectorizer\n"
        "from novelty_dask.features.fingerprints import fingerprint\n"
        f"print(fingerprint(TfidfVectorizer(stop_words=['b', 'a']).fit({TEXTS!r})))\n"
        "print(fingerprint(lambda text: text in {'a', 'b', 'c', 'd', 'e', 'f'}))\n"
        f"exec({MODULE!r})\n"
        "print(fingerprint({outer, inner}))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] != ""


def test_what_does_not_tell_what_it_does_is_refused() -> None:
    with pytest.raises(SettingsError, match="holds a generator, which does not tell what it does"):
        fingerprint(Own(x for x in [1]))  # type: ignore[arg-type]
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(SettingsError, match="holds itself, or more than 50 things in each other"):
        fingerprint(endless)
