"""Rows of several columns against NumPy's own ways."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.detect.sums import CONVERSATION
from reconshield.rows import Rows, join
from reconshield.scan.syn import HEARD


@given(st.sampled_from([CONVERSATION, HEARD]), st.lists(st.binary(max_size=400), min_size=1, max_size=5), st.integers(1, 3))
def test_rows_one_behind_the_other(dtype: np.dtype[np.void], parts: list[bytes], step: int) -> None:
    """Whole arrays and views of every second or third row."""
    arrays: list[Rows] = [
        np.resize(np.frombuffer(b"\1" + part, np.uint8), len(part) // 8 * dtype.itemsize).view(dtype) for part in parts
    ]
    found = join([rows[::step] for rows in arrays])
    assert found.dtype == dtype
    for name in dtype.names or ():  # column by column: what lies between columns is nobody's
        assert found[name].tobytes() == b"".join(rows[::step][name].tobytes() for rows in arrays)


def test_rows_of_different_columns_are_no_one_array() -> None:
    with pytest.raises(ValueError, match="different columns"):
        join([np.zeros(1, CONVERSATION), np.zeros(1, HEARD)])
