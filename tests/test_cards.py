"""Cards show what they hold as text, whatever it is, and say the same as the text forms."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import novelty_dask
from novelty_dask.cards import LONGEST_TEXT, card, folded, lines, table

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</dd></dl></td></table></details></pre></b></div></style><style>*{display:none}</style>",
    "&lt;b&gt;<!-- \u202e\x1b[2J",
)


class Parts(HTMLParser):
    """Elements with their attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[object] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append(tag)

    def handle_comment(self, data: str) -> None:
        self.elements.append(data)

    def handle_data(self, data: str) -> None:
        self.text += data


def full_card(text: str) -> str:
    rows = [[text, 0.5, 1_000, None], [text, float("nan"), 1, text]]
    parts = (table([text, "b", "c", "d"], rows), folded(text, {text: text}), lines([text, text]))
    return card("Run", text, {"a": text}, *parts)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_markup_and_nothing_invisible(text: str) -> None:
    hostile = Parts(full_card(text))
    assert hostile.elements == Parts(full_card("harmless")).elements
    assert hostile.text.count(novelty_dask.errors.escape(text)) == 11
    assert not set("\u202e\x1b") & set(hostile.text)


def test_cells_are_short_and_missing_numbers_empty() -> None:
    found = Parts(full_card("x" * 10_000)).text
    assert f"{'x' * LONGEST_TEXT}…0.5001,000" in found
    assert "nan" not in found


def test_text_forms_are_short_and_cards_say_the_same(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 4)))
    name = f"<b>{tmp_path.name}.txt"
    urls, _ = novelty_dask.datasets.make_urls(60)
    (tmp_path / name).write_text("\n".join(urls), encoding="utf-8")
    run = novelty_dask.score(tmp_path / name, tmp_path / "<b>.zarr", workers=0)
    vectors = novelty_dask.score_vectors(
        tmp_path / "x.npy", tmp_path / "v.zarr", workers=0, metric="inner_product"
    )
    lone = novelty_dask.neighbors(np.eye(1), n_neighbors=3, metric="euclidean")
    plan, explanation = novelty_dask.plan(tmp_path / name, workers=0), run.explain(urls[0])
    shown: dict[Any, str] = {
        run: "10 of each row",
        vectors: "10 of each row, by inner product of 4 columns",
        vectors.neighbors: "10 of each row, by inner product",
        lone: "by Euclidean distance",
    }
    for each, said in shown.items():
        assert said in Parts(each._repr_html_()).text
        assert len(repr(each).splitlines()) == 1
    assert repr(vectors).startswith("<VectorRun ")
    assert repr(vectors.neighbors) == "<NeighborArrays of 30 rows: 10 of each row, by inner product>"
    assert all(fact in Parts(plan._repr_html_()).text for fact in plan.facts().values())
    assert repr(plan).splitlines()[0].startswith("rows     about ")
    assert len(repr(explanation).splitlines()) == 15 < len(str(explanation).splitlines())
    assert repr(explanation).endswith("more lines, which print() shows")
