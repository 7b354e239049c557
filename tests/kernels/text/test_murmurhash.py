import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.utils import murmurhash3_32

from novelty_dask.kernels.text.murmurhash import murmurhash3


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=70), st.binary(max_size=5), st.binary(max_size=5))
@example(b"", b"", b"")
@example(b"\xff" * 7, b"", b"")
def test_hashes_are_those_of_scikit_learn(hashed: bytes, before: bytes, after: bytes) -> None:
    characters = np.frombuffer(before + hashed + after, np.uint8)
    begin, end = np.uint32(len(before)), np.uint32(len(before) + len(hashed))
    assert murmurhash3(characters, begin, end) == murmurhash3_32(hashed, positive=True)
