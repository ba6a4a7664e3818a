import math

import numpy as np
import pytest
from scipy import ndimage

from vad.config import Polygon
from vad.scoring import calibration, kernels, kernels_frame, kernels_static
from vad.scoring.places import box_region, judged_cells, label_boxes
from vad.types import Geometry


def test_boxes_are_those_of_connected_components():
    rng = np.random.default_rng(5)
    heat = rng.random((12, 20)).astype(np.float32)
    mask = heat > 0.7
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    expected = {
        (s[0].start, s[1].start, s[0].stop, s[1].stop, float(heat[labels == k].max()))
        for k, s in enumerate(ndimage.find_objects(labels), start=1)
    }
    boxes = label_boxes(mask, heat)
    assert len(boxes) == count
    assert {tuple(box) for box in boxes} == expected


def test_windows_pool_as_plain_loops_do():
    rng = np.random.default_rng(6)
    values, weights = rng.random((2, 9, 7)).astype(np.float32)
    pooled = kernels.pool(values, weights, 3, 2, 0.5)
    for i in range(9):
        for j in range(7):
            window = np.s_[max(0, i - 1) : i + 2, max(0, j - 1) : j + 1]
            weight = weights[window]
            assert pooled[i, j] == pytest.approx((weight * values[window]).sum() / (weight.sum() + 0.5), rel=1e-5)


def test_what_stands_in_a_cell_is_its_best_square_of_blocks():
    stood = np.random.default_rng(10).exponential(size=(8, 12)).astype(np.float32)
    out = np.full((4, 6), np.nan, np.float32)
    kernels_static.longest_of(stood, out)
    squares = np.zeros((8, 12))
    for i in range(7):
        for j in range(11):
            squares[i, j] = np.sort(stood[i : i + 2, j : j + 2].astype(float), axis=None)[2:].mean()
    assert np.array_equal(out, squares.reshape(4, 2, 6, 2).max(axis=(1, 3)).astype(np.float32))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", range(4))
def test_a_number_that_is_not_finite_is_seen(odd, which):
    maps = [np.ones((2, 3, 4), np.float32), *np.ones((2, 3, 4), np.float32), np.ones((6, 8), np.float32)]
    assert kernels_frame.finite_and_moving(*maps) == (True, True)
    maps[which].flat[5] = odd
    assert not kernels_frame.finite_and_moving(*maps)[0]


def test_top_mean_looks_at_judged_places_only():
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    judged = np.ones((3, 4), np.bool_)
    judged[2] = False
    assert kernels_frame.top_mean(values, judged, 3) == pytest.approx((7 + 6 + 5) / 3)


def test_the_light_is_fitted_past_what_arrives_in_the_scene():
    rng = np.random.default_rng(7)
    background = rng.integers(20, 220, (24, 40)).astype(np.float32)
    now = (0.8 * background + 12.0 + rng.normal(0.0, 1.0, background.shape)).astype(np.float32)
    now[8:16, 10:20] = 250.0
    known, quiet = np.ones((24, 40), np.bool_), np.ones((12, 20), np.bool_)
    gain, offset = kernels_static.resistant_line(background, now, known, quiet)
    assert gain == pytest.approx(0.8, abs=0.03)
    assert offset == pytest.approx(12.0, abs=3.0)


@pytest.mark.parametrize("size", [1, 2, 7, 40, 961])
@pytest.mark.parametrize("width", [0.0, 0.3, 40.0, 900.0])
def test_medians_are_those_of_numpy(size, width):
    levels = np.random.default_rng(size).normal(90.0, width, size)
    assert kernels_static.median(levels) == np.median(levels)
    assert kernels_static.median(np.round(levels)) == np.median(np.round(levels))


def test_the_background_is_the_median_of_valid_samples():
    rng = np.random.default_rng(8)
    samples = rng.integers(0, 255, (9, 4, 6)).astype(np.uint8)
    valid = rng.random((9, 2, 3)) < 0.7
    background, spread, known = kernels_static.background_of(samples, valid, 9, 2.0, 0.8)
    for i in range(4):
        for j in range(6):
            kept = np.sort(samples[valid[:, i // 2, j // 2], i, j].astype(float))
            assert known[i, j] == (kept.size >= 3)
            if known[i, j]:
                middle = kept[kept.size // 2]
                apart = np.sort(np.abs(kept - middle))[min(kept.size - 1, int(0.8 * kept.size))]
                assert background[i, j] == middle
                assert spread[i, j] == max(2.0, apart)


def test_quantiles_of_a_histogram_are_near_those_of_its_values():
    rng = np.random.default_rng(9)
    values = rng.lognormal(1.0, 0.6, (40, 50)).astype(np.float32)
    hist = np.zeros((1, 64))
    low, step = math.log(0.05), math.log(1e4) / 64
    calibration.learn_histogram(hist, np.zeros((40, 50), np.int64), values, np.ones_like(values), 1.0, low, step)
    for q in (0.5, 0.9):
        got = calibration.histogram_quantile(hist, q, low, step)[0]
        assert got == pytest.approx(np.quantile(values, q), rel=0.05)


GEOMETRY = Geometry(source_width=640, source_height=360, pool=4, width=160, height=96)


def test_padding_is_never_judged_and_zones_take_centres():
    judged = judged_cells(GEOMETRY, [])
    assert judged[:11].all()
    assert not judged_cells(Geometry(source_width=360, source_height=240, pool=2, width=192, height=120), [])[
        :, 23
    ].any()
    half = judged_cells(GEOMETRY, [Polygon(points=[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)])])
    assert half[:11, :10].all()
    assert not half[:, 10:].any()
    triangle = judged_cells(GEOMETRY, [Polygon(points=[(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])])
    assert triangle[0, 0]
    assert not triangle[10, 19]


def test_regions_are_clamped_to_the_source_picture():
    region = box_region(GEOMETRY, np.array([10.0, 18.0, 12.0, 20.0, 6.5]))
    assert (region.x1, region.y1, region.score) == (1.0, 1.0, 6.5)
    assert region.x0 == pytest.approx(0.9)
    assert region.y0 == pytest.approx(10 * 32 / 360)
