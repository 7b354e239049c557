"""Normal forms of many texts at a time: in compiled loops, and one by one where these leave texts out."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.lines import MAX_BYTES, LineBatch, Reason, Rejected, sample_of
from novelty_dask.kernels.text.page_lines import append_page
from novelty_dask.kernels.text.page_parts import Forms, Scratch, Texts, allocate_scratch
from novelty_dask.kernels.text.urls import normalize, row_key
from novelty_dask.kernels.text.web_lines import ADDED, append_web


def normalize_texts(texts: Sequence[str], form: NormalForm) -> Sequence[str]:
    """Return the normal forms of texts that have one.

    >>> normalize_texts(["http://www.a.example/", "https://A.example/x/"], "page")
    ['a.example', 'a.example/x']
    """
    if form == "raw":
        return texts
    forms: list[str] = normalize_array(pa.array(texts, pa.string()), form).to_pylist()
    return forms


def make_row_keys(texts: Sequence[str], form: NormalForm) -> list[str]:
    """Return the keys by which the rows of some texts are sorted."""
    return [row_key(*pair, form) for pair in zip(normalize_texts(texts, form), texts, strict=True)]


def normalize_array(texts: pa.StringArray, form: NormalForm) -> pa.StringArray:
    """Return the normal forms of texts; null for one that has none, with form "web" alone.

    The same as `normalize` makes of each.
    """
    if form == "raw":
        return texts
    # Arrow's large strings, which pandas makes, have offsets of 8 bytes.
    texts = texts.cast(pa.string())
    _, ends, characters = texts.buffers()
    offsets = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    size, longest = int(offsets[-1] - offsets[0]), int(np.diff(offsets).max(initial=0))
    forms = Forms(
        np.empty(size + ADDED * (len(texts) + 1), np.uint8),
        np.zeros(len(texts) + 1, np.int32),
        np.zeros(len(texts), np.bool_),
    )
    # The text is read where Arrow has it, and written where Arrow will have it.
    source = Texts(np.frombuffer(characters or b"", np.uint8), offsets)
    if form == "web":
        _fill_web(source, forms)
    else:
        _fill_pages(source, forms, allocate_scratch(longest, is_masked=form == "template"))
    return _with_hard(texts, forms, form)


def reject_nameless(batch: LineBatch) -> LineBatch:
    """Return a batch without the lines that have no web form, or too long a one; these are rejected.

    >>> batch = LineBatch(np.array([4, 5]), ["HTTP://A.example", "http://["], [], 2)
    >>> reject_nameless(batch).texts
    ['HTTP://A.example']
    >>> [reject.number for reject in reject_nameless(batch).rejected]
    [5]
    """
    lengths = pc.binary_length(normalize_array(pa.array(batch.texts, pa.string()), "web"))
    kept = pc.fill_null(pc.less_equal(lengths, MAX_BYTES), fill_value=False).to_numpy(zero_copy_only=False)
    if kept.all():
        return batch
    rejected = []
    for slot in np.flatnonzero(~kept):
        # A form can be longer than its line, as characters are escaped.
        reason = Reason.TOO_LONG if lengths[slot].is_valid else Reason.NOT_A_URL
        rejected.append(Rejected(int(batch.numbers[slot]), reason, sample_of(batch.texts[slot].encode())))
    return batch.chosen(kept, rejected)


def _with_hard(texts: pa.StringArray, forms: Forms, form: NormalForm) -> pa.StringArray:
    """Return forms as an array, with those that were left out."""
    buffers = pa.py_buffer(forms.ends), pa.py_buffer(forms.characters[: forms.ends[-1]])
    array = pa.StringArray.from_buffers(len(texts), *buffers)
    if not forms.is_hard.any():
        return array
    is_hard = pa.array(forms.is_hard)
    hard = [normalize(text, form) for text in texts.filter(is_hard).to_pylist()]
    return pc.replace_with_mask(array, is_hard, pa.array(hard, pa.string()))


@compiled_loop
def _fill_pages(texts: Texts, forms: Forms, scratch: Scratch) -> None:
    """Write pages, or templates, one after the other."""
    end = 0
    for row in range(forms.is_hard.size):
        text = texts.characters[texts.ends[row] : texts.ends[row + 1]]
        stop = append_page(text, forms.characters, end, scratch)
        # A hard text is empty here, and gets its form from the definition afterwards.
        forms.is_hard[row] = stop < 0
        end = max(stop, end)
        forms.ends[row + 1] = end


@compiled_loop
def _fill_web(texts: Texts, forms: Forms) -> None:
    """Write web forms, one after the other."""
    end = 0
    for row in range(forms.is_hard.size):
        stop = append_web(texts.characters[texts.ends[row] : texts.ends[row + 1]], forms.characters, end)
        forms.is_hard[row] = stop < 0
        end = max(stop, end)
        forms.ends[row + 1] = end
