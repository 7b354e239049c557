"""The readable definition of the features of URLs, its page, and the places that features come from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.features import definition
from novelty_dask.features.definition import HOST, REST, TOKENS, Feature, features, split
from novelty_dask.features.masks import mask_rest
from novelty_dask.features.spanned import Spanned
from tests.support.text import URL_EXAMPLES

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-is-compared.md"


def shown(text: str) -> str:
    """Return a text of the definition as the page writes it."""
    marks = {definition.START: "^", definition.END: "$", "\0": "\\0"}
    written = "".join(
        marks.get(char, char) if ord(char) < 256 else f"<{'HUM'[(ord(char) - 256) // 32]}>" for char in text
    )
    return written.encode("latin-1").decode()


def joined(found: list[Feature], block: str) -> str:
    """Return the text of which the 3-grams of a block were taken."""
    grams = [feature.key for feature in found if feature.block == block]
    if not grams:
        return "none"
    characters = [definition._CHARACTER.findall(gram) for gram in grams if isinstance(gram, str)]
    return shown("".join(characters[0] + [last for *_, last in characters[1:]]))


def tokens(found: list[Feature]) -> str:
    """Return the tokens, one after the other."""
    keys = [feature.key for feature in found if feature.block == TOKENS]
    return " ".join(shown(key if isinstance(key, str) else f"q{{{','.join(key[1:])}}}") for key in keys)


@pytest.mark.parametrize("line", URL_EXAMPLES)
def test_the_page_has_the_features_of_the_examples(line: str) -> None:
    found = features(line)
    parts = {"HOST  ": joined(found, HOST), "REST  ": joined(found, REST), "TOKENS": tokens(found)}
    block = "".join(f"    {name}  {text}\n" for name, text in parts.items())
    assert f"\n{line}\n{block}" in PAGE.read_text(encoding="utf-8")


lines = st.text("aB1-_./?#&=%:@[] é5fQ", max_size=40) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=40
)


@given(lines)
def test_features_come_from_places_in_the_line(line: str) -> None:
    size = len(line.encode())
    for feature in features(line):
        assert all(0 <= start < stop <= size for start, stop in feature.spans)


@given(lines)
def test_every_part_of_a_line_is_in_one_place(line: str) -> None:
    parts = split(line)
    spans = [span for part in parts for span in part.spans]
    assert spans == sorted(set(spans))
    assert "".join(part.text for part in parts) == "".join(
        line.encode().decode("latin-1")[start:stop] for start, stop in spans
    )


def test_a_user_is_never_compared() -> None:
    plain, secret = (
        {feature.key for feature in features(f"ftp://{user}a.example/x")} for user in ("", "me:hunter2@")
    )
    assert secret - plain == {"u"}


def test_a_masked_token_knows_where_it_stood() -> None:
    line = "http://a.example/x%2F3f2504e0-4f89-11d3-9a0c-0305e82c3301?b"
    path = mask_rest(split(line).path)
    assert len(path.text) == 4
    assert [line[slice(*span)] for span in path.spans] == ["/", "x", "%2F", line[21:57]]


def test_texts_without_marks_are_one_part() -> None:
    text = Spanned("ab", ((0, 1), (1, 2)))
    assert [*text.split("/")] == [text]
    assert text.partition("/") == (text, Spanned("", ()), Spanned("", ()))
