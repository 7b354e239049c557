"""Nothing from outside reaches a terminal as it is; tables fit."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from novelty_dask.cli.marked import shorten
from novelty_dask.cli.streams import emit
from novelty_dask.cli.terminal import Column, defang, escape, number, table
from tests.support.text import refanged

BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
OTHERS = [0x2028, 0x2029, 0xFEFF, 0x200B, 0xE0041, 0xD800, 0xDFFF]


@pytest.mark.parametrize("code", [*CONTROLS, *BIDI, *OTHERS])
def test_every_control_is_shown_as_its_code(code: int) -> None:
    shown = escape(f"a{chr(code)}b")
    digits = re.fullmatch(r"a\\(?:x(..)|u(....)|U(........))b", shown)
    assert digits
    assert int(next(filter(None, digits.groups())), 16) == code


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;aGFjaw==\x07", r"\x1b]52;c;aGFjaw==\x07"),
        ("\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\", r"\x1b]8;;http://evil\x1b\text\x1b]8;;\x1b" + "\\"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("https://münchen.example/日本 ü", "https://münchen.example/日本 ü"),
    ],
)
def test_escape_sequences(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text() | st.text("http:/[.]"))
def test_a_defanged_url_can_be_told_back(url: str) -> None:
    shown = "".join(defang(url))
    assert refanged(shown) == url
    assert not re.search(r"(?<!\[)\.|\.(?!\])|(?<!\[)://|://(?!\])", shown)


@given(st.text(st.characters(exclude_categories=[])))
def test_what_is_escaped_can_be_printed(text: str) -> None:
    shown = escape(text)
    assert shown.isprintable()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert escape(shown) == shown


@given(st.text(), st.integers(2, 40))
def test_a_shortened_text_fits_and_keeps_its_ends(text: str, width: int) -> None:
    text = escape(text)
    short = shorten(text, width)
    assert cell_len(short) <= width
    if cell_len(text) > width:
        head, _, tail = short.partition("…")
        assert text.startswith(head.rstrip())
        assert text.endswith(tail.lstrip()) or "…" in text
    else:
        assert short == text


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0.000000"), (1 / 3, "0.333333"), (float("nan"), "nan"), (None, "nan")]
)
def test_number(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_a_table_for_a_program_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("0.5", "http://a.example/" + "x" * 300 + "\t\x1b"), ("0.25", "b")]
    emit(table([Column("novelty"), Column("url", is_text=True)], rows))
    assert capsys.readouterr().out == "0.5\thttp://a.example/" + "x" * 300 + r"\x09\x1b" + "\n0.25\tb\n"
