"""The loops of the layers against products of gathered matrices."""

from __future__ import annotations

import numpy as np
import pytest

from vad.model.cell_layers import PANEL, panels_of, product


@pytest.mark.parametrize(
    ("rows", "taps", "size", "width"), [(1, 1, 2, 2), (3, 9, 8, 8), (4, 9, 16, 64), (70, 9, 6, 18), (257, 1, 96, 72)]
)
@pytest.mark.parametrize("rectified", [True, False])
def test_a_product_is_that_of_the_gathered_rows(rows: int, taps: int, size: int, width: int, rectified: bool) -> None:
    random = np.random.default_rng(rows)
    table = random.normal(size=(40, size + 5)).astype(np.float32)
    matrix = random.normal(size=(taps * size, width)).astype(np.float32)
    panels, around = panels_of(matrix), random.integers(0, len(table), (rows, taps)).astype(np.int32)
    bias = np.zeros(len(panels) * PANEL, np.float32)
    bias[:width] = random.normal(size=width)
    out = np.full((rows + 2, width + 4), 7.0, np.float32)
    product(table, 3, around, panels, bias, rectified, out, 1, 3, width)
    expected = table[around, 3 : 3 + size].reshape(rows, -1).astype(np.float64) @ matrix + bias[:width]
    np.testing.assert_allclose(out[1:-1, 3:-1], np.maximum(expected, 0.0) if rectified else expected, atol=2e-5)
    out[1:-1, 3:-1] = 7.0
    assert (out == 7.0).all()  # nothing was written around it
