"""One block under way: which places of its columns are read at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reconshield.scan.flight import span


@given(st.sets(st.integers(0, 40), max_size=41))
def test_a_span_names_the_same_places(places: set[int]) -> None:
    rows = np.array(sorted(places), dtype=np.intp)
    column = np.arange(100, 141)
    assert column[span(rows)].tolist() == column[rows].tolist()


def test_a_span_is_a_slice_where_places_follow_each_other() -> None:
    assert span(np.arange(3, 9)) == slice(3, 9)
    assert isinstance(span(np.array([3, 4, 6])), np.ndarray)
