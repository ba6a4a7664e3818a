"""A beam, a shadow and fog are light: they have no outline. Things have one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.objects_pictures import film
from tests.scoring.test_objects_weak import seen
from vad.scoring.cues import Cues
from vad.scoring.objects import components, light
from vad.scoring.objects.layer import ObjectLayer
from vad.scoring.tuning import CUES, MOVING
from vad.types import Nuisance, Reason

COLUMNS = np.arange(160.0)
EVERYWHERE = np.ones((12, 20), np.bool_)


def beam(levels: float, *, fades_over: float):
    """A column of light of 40 px that goes to the right by 6 px a frame, and fades out over so many px."""

    def paint(t: int, luma: np.ndarray) -> np.ndarray:
        beyond = np.abs(COLUMNS - (20.0 + 6.0 * t)) - 20.0
        return luma + levels * np.clip(1.0 - beyond / fades_over, 0.0, 1.0)

    return paint


@pytest.mark.parametrize(("levels", "is_shadow"), [(60.0, False), (-50.0, True)])
def test_what_fades_out_over_many_pixels_is_no_object(levels, is_shadow):
    frames = seen(16, beam(levels, fades_over=30.0))
    assert not any(frame.tracks for frame in frames)
    assert all(bool(frame.light.any()) != is_shadow for frame in frames[2:10])  # shadows were left out before


@pytest.mark.parametrize("levels", [60.0, -100.0])
def test_what_ends_within_two_pixels_is_one(levels):
    frames = seen(16, beam(levels, fades_over=2.0))
    assert all(frame.tracks for frame in frames[3:12])
    assert not any(frame.light.any() for frame in frames)


def test_where_the_picture_ends_nothing_fades_out():
    """A wide thing that the bottom of a padded picture cuts off: the padding repeats its lowest row."""
    size, level = (90, 160), np.full((96, 160), 120.0, np.float32)
    luma = np.full((96, 160), 120, np.uint8)
    luma[72:, 40:120] = 190
    labels = np.zeros((96, 160), np.int32)
    labels[72:90, 40:120] = 1
    boxes = components.boxes_of(labels, 2)
    assert not light.without_outline(luma, level, labels, boxes, size, light.LIGHT).any()


def test_somebody_in_front_of_what_is_light_elsewhere_is_still_seen():
    sweep = beam(60.0, fades_over=30.0)

    def paint(t: int, luma: np.ndarray) -> np.ndarray:
        luma = sweep(t, luma)
        luma[30:80, 120:136] -= 90.0
        return luma

    frames = seen(4, paint)  # the beam is at the left
    assert all(frame.tracks and frame.light.any() for frame in frames[2:])
    assert all(track.left > 110.0 for frame in frames[2:] for track in frame.tracks)


def test_nothing_is_fast_or_odd_where_there_is_only_light():
    cues = Cues(12, 20, left_behind_s=15.0, objects=ObjectLayer(12, 20))
    seen = cues.objects.step(next(film([[]])))
    beams = np.zeros((12, 20), np.float32)
    beams[:, 5:9] = 1.0
    cues.objects.step = lambda cells: seen.__class__(  # type: ignore[method-assign]
        **{name: getattr(seen, name) for name in seen.__slots__} | {"light": beams, "steady": np.ones_like(beams)}
    )
    (cells,) = film([[]])
    cells.activity[:] = 1.0
    cells.flow[0] = 500.0
    cues.step(cells, judged=EVERYWHERE, moves=True, is_healthy=True, dt_s=0.1)
    speed = cues.maps[CUES.index(Reason.SPEED)]
    assert speed[:, 4:10].max() == 0.0
    assert speed[:, 11:].min() > 1.0
    assert cues.maps[:MOVING, :, 4:10].max() == 0.0


def test_what_was_left_out_is_named():
    cues = Cues(12, 20, left_behind_s=15.0, objects=ObjectLayer(12, 20))
    seen = cues.objects.step(next(film([[]])))
    (cells,) = film([[]])
    cells.activity[:] = 1.0
    cells.flow[0] = 500.0
    beams, steady = np.zeros((12, 20), np.float32), np.zeros((12, 20), np.float32)

    def named(judged: np.ndarray = EVERYWHERE) -> Nuisance | None:
        cues.objects.step = lambda cells: seen.__class__(  # type: ignore[method-assign]
            **{name: getattr(seen, name) for name in seen.__slots__} | {"light": beams, "steady": steady}
        )
        return cues.step(cells, judged=judged, moves=True, is_healthy=True, dt_s=0.1).nuisance

    assert named() is None  # a crowd has no tracks, and is no nuisance
    steady[:] = -1.0
    assert named() is Nuisance.UNSTEADY
    assert named(np.zeros((12, 20), np.bool_)) is None  # nobody asks what is outside of the zones
    beams[:] = 1.0
    assert named() is Nuisance.LIGHT
    beams[:], steady[:] = 0.0, 1.0
    assert named() is None
