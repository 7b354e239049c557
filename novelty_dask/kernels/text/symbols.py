"""Masks of random tokens and digits in pages, in a compiled loop, as `templates` defines them."""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.text.masks import FIRST_PLACEHOLDER, HEX_VALUES, LENGTHS, PERCENT
from novelty_dask.kernels.text.masks import mask as mask_units
from novelty_dask.kernels.text.templates import DIGITS, SYMBOLS

KEEP_DIGITS, MASK_DIGITS = 0, 1
DIGITS_BYTE = ord(DIGITS)
_SYMBOL_BYTES = np.frombuffer("".join(SYMBOLS.values()).encode(), np.uint8).reshape(-1, 3)
_UNCHANGED = np.arange(256, dtype=np.uint8)


@compiled_loop
def mask_in_place(
    text: NDArray[np.uint8], start: int, stop: int, units: NDArray[np.uint16], digits: int
) -> int:
    """Mask a part of a text that has no symbols yet; return its new end.

    Parameters
    ----------
    text : ndarray of uint8
    start, stop : int
    units : ndarray of uint16
        Has room for the part; overwritten.
    digits : {MASK_DIGITS, KEEP_DIGITS}
        With `KEEP_DIGITS`, random tokens alone are masked.
    """
    end = i = first = start
    while i < stop:
        if is_escape(text, i, stop):
            end = _mask_piece(text, first, i, units, digits, end)
            for byte in text[i : i + 3]:
                text[end] = byte
                end += 1
            i += 3
            first = i
        else:
            i += 1
    return _mask_piece(text, first, stop, units, digits, end)


@compiled_loop
def is_escape(text: NDArray[np.uint8], i: int, stop: int) -> bool:
    """Return whether a percent-encoded byte begins at a place."""
    if i + 2 >= stop or text[i] != PERCENT:
        return False
    return bool(HEX_VALUES[text[i + 1]] >= 0 and HEX_VALUES[text[i + 2]] >= 0)


@compiled_loop
def _mask_piece(
    text: NDArray[np.uint8], start: int, stop: int, units: NDArray[np.uint16], digits: int, end: int
) -> int:
    """Write a piece without escapes, masked, where it ends before or at its start; return the new end."""
    # A symbol is never longer than what it stands for: all that is written has been read.
    was_digit = False
    for unit in units[: mask_units(text, start, stop, _UNCHANGED, units, 0)]:
        is_digit = digits == MASK_DIGITS and 48 <= unit < 58
        if unit >= FIRST_PLACEHOLDER:
            for byte in _SYMBOL_BYTES[(unit - FIRST_PLACEHOLDER) // LENGTHS]:
                text[end] = byte
                end += 1
        elif not (is_digit and was_digit):
            text[end] = DIGITS_BYTE if is_digit else unit
            end += 1
        was_digit = is_digit
    return end
