"""What the background was before something came to stand on it is the background again once that has gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tests.scoring.objects_pictures import film
from vad.scoring.objects.layer import ObjectFrame, ObjectLayer
from vad.types import BLOCK_PX

FPS = 2.0
EMPTY, SITS = [0.0] * 40, [35.0] * 1200
"""Levels by which the place is brighter than when it is empty, frame by frame: 20 s, and ten minutes."""


def seen(levels: Sequence[float], *, light: Sequence[float] | None = None) -> list[ObjectFrame]:
    """A place of 16 x 24 px that is so much brighter than the ground, frame by frame."""
    layer, out = ObjectLayer(12, 20), []
    for t, cells in enumerate(film([[]] * len(levels), fps=FPS, noise=0.5, light=light)):
        picture = cells.frame.luma.astype(np.float64)
        picture[40:64, 60:76] += levels[t]
        luma = np.clip(picture, 0, 255).astype(np.uint8)
        blocks = luma.reshape(24, BLOCK_PX, 40, BLOCK_PX).mean(axis=(1, 3)).astype(np.float32)
        out.append(layer.step(replace(cells, frame=replace(cells.frame, luma=luma), luma=blocks)))
    return out


def present(frame: ObjectFrame) -> bool:
    return any(track.gap_s == 0.0 for track in frame.tracks)


def test_a_seat_is_empty_at_once_after_somebody_sat_in_it_for_ten_minutes():
    frames = seen(EMPTY + SITS + EMPTY)
    sat, left = len(EMPTY), len(EMPTY) + len(SITS)
    assert present(frames[sat + 4])
    assert not present(frames[left - 1])  # he has become the background
    assert not any(present(frame) for frame in frames[left + 1 :])
    assert frames[-1].left.max() == 0.0


def test_who_comes_back_is_seen_again():
    frames = seen(EMPTY + SITS + EMPTY + SITS[:40])
    assert present(frames[len(EMPTY) + len(SITS) + len(EMPTY) + 2])


def test_who_is_of_another_colour_than_both_is_seen_while_the_seat_is_taken_for_empty():
    frames = seen(EMPTY + SITS + [-60.0] * 10)
    assert all(present(frame) for frame in frames[-8:])


def test_what_was_there_before_is_known_in_another_light():
    levels = EMPTY + SITS + EMPTY
    light = np.linspace(1.0, 0.8, len(levels)).tolist()
    frames = seen(levels, light=light)
    assert not any(present(frame) for frame in frames[len(EMPTY) + len(SITS) + 1 :])


def test_who_stands_still_and_is_hardly_off_the_ground_is_not_taken_for_it():
    """He is nearer to what was there before than a thing that is far off, and that is what is there."""
    frames = seen(EMPTY + [18.0] * 20)
    assert all(present(frame) for frame in frames[len(EMPTY) + 2 :])
