from __future__ import annotations

import hashlib

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vad.config import Polygon
from vad.video.luma import geometry, luma_plane, pool_luma, visible


def by_hand(plane: NDArray[np.uint8], pool: int, *, limited_range: bool) -> NDArray[np.float64]:
    """The slow truth: block means, stretched, clipped; not rounded."""
    height, width = plane.shape[0] // pool, plane.shape[1] // pool
    mean = plane[: height * pool, : width * pool].reshape(height, pool, width, pool).mean(axis=(1, 3))
    return np.clip((mean - 16) * 255 / 219, 0, 255) if limited_range else mean


@pytest.mark.parametrize(
    ("source", "model_width", "pool", "grid"),
    [
        ((640, 360), 160, 4, (160, 96)),
        ((1920, 1080), 160, 12, (160, 96)),
        ((1920, 1080), 640, 3, (640, 360)),
        ((360, 240), 160, 2, (184, 120)),
        ((100, 50), 160, 1, (104, 56)),
        ((4000, 2), 160, 2, (2000, 8)),
    ],
)
def test_geometry_pools_by_a_whole_number_and_pads_to_whole_cells(source, model_width, pool, grid):
    found = geometry(*source, model_width=model_width)
    assert (found.pool, (found.width, found.height)) == (pool, grid)
    assert found.valid_width <= found.width < found.valid_width + 8


def test_geometry_refuses_an_empty_picture():
    with pytest.raises(ValueError, match="0x360"):
        geometry(0, 360, model_width=160)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 70),
    spare=st.integers(0, 40),
    model_width=st.integers(4, 100),
    limited_range=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_pool_is_the_rounded_block_mean_for_any_size_and_line_size(
    width, height, spare, model_width, limited_range, seed
):
    plane = np.random.default_rng(seed).integers(0, 256, (height, width + spare), dtype=np.uint8)
    grid = geometry(width, height, model_width=model_width)
    luma = pool_luma(plane, grid, limited_range=limited_range)
    truth = by_hand(plane[:, :width], grid.pool, limited_range=limited_range)
    assert luma.shape == (grid.height, grid.width)
    assert luma.flags.c_contiguous
    assert np.abs(luma[: grid.valid_height, : grid.valid_width] - truth).max() <= 0.501


def test_of_an_ordinary_picture_luma_is_bit_for_bit_what_it_was_before_pictures_were_turned():
    """The detector's figures were measured with it."""
    told, rng = hashlib.sha256(), np.random.default_rng(0)
    for width, height in ((1920, 1080), (704, 576), (640, 360), (333, 187)):
        plane = rng.integers(0, 256, (height, width + 64), dtype=np.uint8)
        for limited_range in (True, False):
            grid = geometry(width, height, model_width=160)
            told.update(pool_luma(plane, grid, limited_range=limited_range).tobytes())
    assert told.hexdigest() == "3d3449fed059bdbf384c2494acff33875655eb0090c557c090c056d4776b5afa"


def test_padding_repeats_the_edge():
    plane = np.random.default_rng(0).integers(0, 256, (18, 20), dtype=np.uint8)
    luma = pool_luma(plane, geometry(20, 18, model_width=20), limited_range=False)
    assert luma.shape == (24, 24)
    np.testing.assert_array_equal(luma, np.pad(plane, ((0, 6), (0, 4)), mode="edge"))


def test_limited_range_is_stretched_to_full_range():
    plane = np.array([[16, 235, 0, 255] * 2] * 8, dtype=np.uint8)
    luma = pool_luma(plane, geometry(8, 8, model_width=8), limited_range=True)
    assert luma[0, :4].tolist() == [0, 255, 0, 255]


def test_pool_refuses_a_plane_of_another_size():
    with pytest.raises(ValueError, match="10 lines of 20 bytes; allowed: 20 lines of at least 20"):
        pool_luma(np.zeros((10, 20), dtype=np.uint8), geometry(20, 20, model_width=20), limited_range=False)


def test_masked_areas_are_black_and_the_rest_is_untouched():
    grid = geometry(640, 360, model_width=160)
    plane = np.full((360, 640), 200, dtype=np.uint8)
    mask = visible([Polygon(points=[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)])], grid)
    luma = pool_luma(plane, grid, mask, limited_range=False)
    assert not luma[:, :80].any()
    assert (luma[:, 83:] == 200).all()


def test_mask_at_the_edge_covers_the_padding_that_repeats_it():
    grid = geometry(20, 18, model_width=20)
    mask = visible([Polygon(points=[(0.9, 0.0), (1.0, 0.0), (1.0, 1.0), (0.9, 1.0)])], grid)
    assert mask is not None
    assert not mask[:, 18:].any()


def test_mask_leaves_no_masked_source_pixel_visible():
    grid = geometry(640, 360, model_width=160)
    triangle = [(0.21, 0.13), (0.83, 0.37), (0.44, 0.91)]
    mask = visible([Polygon(points=triangle)], grid)
    plane = np.zeros((360, 640), dtype=np.uint8)
    ys, xs = np.mgrid[0:360, 0:640] + 0.5
    inside = np.ones((360, 640), dtype=bool)
    for (ax, ay), (bx, by) in zip(triangle, triangle[1:] + triangle[:1], strict=True):
        inside &= (bx - ax) * (ys / 360 - ay) - (by - ay) * (xs / 640 - ax) >= 0
    plane[inside] = 255
    assert pool_luma(plane, grid, limited_range=False).any()
    assert not pool_luma(plane, grid, mask, limited_range=False).any()


def test_whole_picture_can_be_masked_and_no_mask_is_none():
    grid = geometry(100, 50, model_width=100)
    mask = visible([Polygon(points=[(0, 0), (1, 0), (1, 1), (0, 1)])], grid)
    assert mask is not None
    assert not mask.any()
    assert visible([], grid) is None


@pytest.mark.parametrize(
    "pixel_format",
    ["gray", "yuv420p", "yuvj420p", "nv12", "yuv422p", "yuvj422p", "yuv444p", "yuyv422", "yuv420p10le", "rgb24"],
)
def test_every_pixel_format_gives_the_same_full_range_luma(pixel_format):
    ramp = np.tile(np.linspace(0, 255, 176, dtype=np.uint8), (100, 1))
    picture = av.VideoFrame.from_ndarray(np.dstack([ramp] * 3), format="rgb24")
    frame = picture.reformat(format=pixel_format)
    plane, limited_range = luma_plane(frame)
    grid = geometry(176, 100, model_width=176)
    luma = pool_luma(plane, grid, limited_range=limited_range)
    assert np.abs(luma[:100, :176].astype(int) - ramp).max() <= 3
