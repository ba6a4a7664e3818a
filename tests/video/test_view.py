"""How pictures are to be seen: turned, mirrored, stretched, woven. By pictures that were made so by hand."""

from __future__ import annotations

import gc
import sys

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vad.config import Polygon
from vad.types import Geometry
from vad.video.device_luma import pool_on_device
from vad.video.luma import geometry, luma_of, luma_plane, pool_luma, visible
from vad.video.privacy import hidden
from vad.video.view import AS_CODED, SQUARE, Orientation, Sight, said_by, square_size, upright

ORIENTATIONS = [Orientation(rotation, mirrored) for mirrored in (False, True) for rotation in (0, 90, 180, 270)]
every_orientation = pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)


def noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(width * height).integers(0, 256, (height, width), dtype=np.uint8)


def seen_by_hand(coded: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    turned = np.rot90(coded, -orientation.rotation // 90)
    return np.ascontiguousarray(np.fliplr(turned) if orientation.mirrored else turned)


def nv12(picture: NDArray[np.uint8]) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="nv12")
    frame.color_range = 1
    return frame


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(8, 90),
    height=st.integers(8, 70),
    spare=st.integers(0, 20),
    model_width=st.integers(4, 40),
    orientation=st.sampled_from(ORIENTATIONS),
    limited_range=st.booleans(),
)
def test_what_is_turned_is_pooled_as_if_it_had_been_coded_upright(
    width: int, height: int, spare: int, model_width: int, orientation: Orientation, limited_range: bool
) -> None:
    coded = noise(width + spare, height)
    grid = geometry(width, height, model_width=model_width, orientation=orientation)
    seen = seen_by_hand(coded[:, :width], orientation)
    plain = geometry(seen.shape[1], seen.shape[0], model_width=model_width)
    assert (grid.source_width, grid.source_height, grid.pool) == (plain.source_width, plain.source_height, plain.pool)
    luma = pool_luma(coded, grid, limited_range=limited_range)
    np.testing.assert_array_equal(luma, pool_luma(seen, plain, limited_range=limited_range))
    assert luma.flags.c_contiguous


@every_orientation
def test_masks_are_of_what_is_seen(orientation: Orientation) -> None:
    grid = geometry(333, 187, model_width=80, orientation=orientation)
    corner = Polygon(points=[(0.0, 0.0), (0.4, 0.0), (0.4, 0.3), (0.0, 0.3)])
    seen = np.zeros((grid.source_height, grid.source_width), np.uint8)
    seen[: int(0.3 * grid.source_height), : int(0.4 * grid.source_width)] = 255  # what nobody may see
    assert orientation.mirrored or orientation.rotation % 180 == 0 or seen.shape == (333, 187)
    back = Orientation(
        orientation.rotation if orientation.mirrored else -orientation.rotation % 360, orientation.mirrored
    )
    coded = seen_by_hand(seen, back)
    np.testing.assert_array_equal(upright(coded, grid), seen)
    assert pool_luma(coded, grid, limited_range=False).any()
    assert not pool_luma(coded, grid, visible([corner], grid), limited_range=False).any()
    where = hidden([corner], grid, width=grid.source_width, height=grid.source_height)
    assert where is not None
    assert not seen[~where].any()


def test_what_the_settings_add_turns_what_is_seen() -> None:
    coded = noise(30, 20)
    for orientation in ORIENTATIONS:
        for clockwise in (0, 90, 180, 270):
            seen = np.rot90(seen_by_hand(coded, orientation), -clockwise // 90)
            np.testing.assert_array_equal(seen_by_hand(coded, orientation.turned(clockwise)), seen)


@pytest.mark.parametrize(
    ("size", "aspect", "shown"),
    [
        ((704, 480), (40, 33), (853, 480)),
        ((704, 480), (10, 11), (704, 528)),
        ((960, 1080), (2, 1), (1920, 1080)),
        ((1920, 1080), (1, 1), (1920, 1080)),
        ((1920, 1080), (3645, 3644), (1920, 1080)),  # as scaling to a whole size makes it
        ((640, 480), (1000, 1), (640, 480)),  # no camera's
    ],
)
def test_pixels_are_made_square_by_stretching(
    size: tuple[int, int], aspect: tuple[int, int], shown: tuple[int, int]
) -> None:
    assert square_size(*size, aspect=aspect) == shown
    grid = geometry(*size, model_width=160, aspect=aspect)
    assert (grid.source_width, grid.source_height) == shown
    assert grid.coded_size == size
    turned = geometry(*size, model_width=160, aspect=aspect, orientation=Orientation(90))
    assert (turned.source_height, turned.source_width) == shown
    assert turned.coded_size == size


@every_orientation
@pytest.mark.parametrize("aspect", [(2, 1), (1, 2), (3, 1)])
def test_what_is_stretched_by_a_whole_number_is_pooled_as_if_each_pixel_were_several(
    orientation: Orientation, aspect: tuple[int, int]
) -> None:
    coded = noise(61, 47)
    grid = geometry(61, 47, model_width=16, orientation=orientation, aspect=aspect)
    seen = seen_by_hand(np.repeat(np.repeat(coded, aspect[0], axis=1), aspect[1], axis=0), orientation)
    plain = geometry(seen.shape[1], seen.shape[0], model_width=16)
    luma, truth = pool_luma(coded, grid, limited_range=False), pool_luma(seen, plain, limited_range=False)
    assert luma.shape == truth.shape
    assert np.abs(luma.astype(int) - truth).max() <= 1  # edges in parts of a pixel


@every_orientation
@pytest.mark.parametrize("woven", [False, True])
@pytest.mark.parametrize("aspect", [SQUARE, (40, 33), (10, 11)])
def test_luma_pooled_on_a_device_is_that_of_the_cpu(
    orientation: Orientation, woven: bool, aspect: tuple[int, int]
) -> None:
    for size, model_width in (((334, 250), 160), ((334, 250), 100), ((98, 30), 20)):
        frame = nv12(noise(*size))
        grid = geometry(*size, model_width=model_width, orientation=orientation, aspect=aspect)
        mask = visible([Polygon(points=[(0.1, 0.1), (0.9, 0.3), (0.4, 0.95)])], grid)
        expected = luma_of(frame, grid, mask, woven=woven)
        np.testing.assert_array_equal(pool_on_device(frame, grid, mask, limited_range=True, woven=woven), expected)


@pytest.mark.parametrize("pool", [1, 2, 3, 5])
@pytest.mark.parametrize("aspect", [SQUARE, (10, 11), (40, 33)])
def test_of_two_woven_fields_each_has_as_much_of_a_model_pixel(pool: int, aspect: tuple[int, int]) -> None:
    plane = np.zeros((60, 80), np.uint8)
    plane[::2] = 200
    grid = geometry(80, 60, model_width=80 // pool, aspect=aspect)
    luma = pool_luma(plane, grid, limited_range=False, woven=True)[: grid.valid_height, : grid.valid_width]
    assert np.abs(luma.astype(int) - 100).max() <= 1


def test_even_numbers_of_lines_need_no_blending() -> None:
    plane, grid = noise(80, 60), geometry(80, 60, model_width=40)
    assert grid.pool == 2
    plain, woven = (pool_luma(plane, grid, limited_range=False, woven=woven) for woven in (False, True))
    np.testing.assert_array_equal(plain, woven)


def test_an_ordinary_picture_has_the_geometry_that_it_always_had() -> None:
    assert geometry(640, 360, model_width=160, orientation=AS_CODED, aspect=SQUARE) == Geometry(640, 360, 4, 160, 96)
    grid = geometry(640, 360, model_width=160)
    assert grid.is_as_coded
    assert grid.pooled_for(320) == geometry(640, 360, model_width=320)
    turned = geometry(640, 360, model_width=160, orientation=Orientation(90))
    assert turned.pooled_for(320) == geometry(640, 360, model_width=320, orientation=Orientation(90))


def test_a_plane_of_the_size_as_seen_is_not_taken_for_what_is_coded() -> None:
    grid = geometry(64, 48, model_width=32, orientation=Orientation(90))
    with pytest.raises(ValueError, match="64 lines of 48 bytes; allowed: 48 lines of at least 64"):
        pool_luma(noise(48, 64), grid, limited_range=False)


def test_luma_of_a_frame_is_that_of_its_plane() -> None:
    frame, grid = nv12(noise(64, 48)), geometry(64, 48, model_width=32, orientation=Orientation(270))
    plane, limited_range = luma_plane(frame)
    np.testing.assert_array_equal(luma_of(frame, grid, None), pool_luma(plane, grid, limited_range=limited_range))


def test_a_frame_that_was_asked_goes_as_soon_as_nobody_has_it() -> None:
    """Pictures that wait for a collection of garbage take all the memory there is."""
    frame = av.VideoFrame(64, 48, "yuv420p")
    gc.disable()
    try:
        said_by(frame)
        Sight().of(frame, aspect=SQUARE)
        assert sys.getrefcount(frame) == 2  # this name, and the argument
    finally:
        gc.enable()
