"""What is little off the background counts beside what is far off it; and what keeps its way is steady."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.scoring.objects_pictures import film, walking
from vad.scoring.objects.layer import ObjectFrame, ObjectLayer
from vad.types import BLOCK_PX, CELL_PX, CellMap

EMPTY_S = 25.0
"""So long the empty ground is seen first: then it is established, and how much it varies is learnt."""


def drawn(frames: int, paint, *, run: int = 1) -> Iterator[CellMap]:
    """The empty ground, and from ``EMPTY_S`` on what ``paint(t, luma)`` makes of it, for so many frames."""
    before = round(10 * EMPTY_S)
    for t, cells in enumerate(film([[]] * (before + frames), run=run, noise=0.5)):
        if t < before:
            yield cells
            continue
        levels = paint(t - before, cells.frame.luma.astype(np.float64))
        luma = np.clip(levels, 0, 255).astype(np.uint8)
        blocks = luma.reshape(24, BLOCK_PX, 40, BLOCK_PX).mean(axis=(1, 3)).astype(np.float32)
        yield replace(cells, frame=replace(cells.frame, luma=luma), luma=blocks)


def seen(frames: int, paint) -> list[ObjectFrame]:
    layer = ObjectLayer(12, 20)
    return [layer.step(cells) for cells in drawn(frames, paint)][round(10 * EMPTY_S) :]


def figure(*, head: float, body: float):
    """Somebody from row 20 to 70: a head of 14 rows and the rest, lighter than the ground by so many levels.

    (What is a little darker is a shadow.)
    """

    def paint(t: int, luma: np.ndarray) -> np.ndarray:
        luma[20:34, 60:76] += head
        luma[34:70, 60:76] += body
        return luma

    return paint


def test_a_body_in_the_colour_of_the_floor_belongs_to_its_head():
    last = seen(6, figure(head=60.0, body=9.0))[-1]
    tallest = max(last.tracks, key=lambda track: track.bottom - track.top)
    assert tallest.bottom - tallest.top == pytest.approx(50.0, abs=5.0)
    assert len([track for track in last.tracks if track.gap_s == 0.0]) == 1


def test_the_same_body_by_itself_is_no_object():
    assert not any(frame.tracks for frame in seen(20, figure(head=0.0, body=9.0)))


def test_a_head_by_itself_is_as_tall_as_a_head():
    last = seen(6, figure(head=60.0, body=0.0))[-1]
    assert max(track.bottom - track.top for track in last.tracks) < 20.0


def test_a_weak_change_over_half_of_the_picture_is_the_light_even_beside_something_bright():
    def paint(t: int, luma: np.ndarray) -> np.ndarray:
        luma[:, :80] += 9.0
        luma[20:80, 20:40] += 60.0  # a sixth of what is weak is far off
        return luma

    for frame in seen(6, paint):
        assert all(track.right - track.left < 30.0 for track in frame.tracks)


def shown(shapes) -> list[ObjectFrame]:
    layer = ObjectLayer(12, 20)
    empty = [[(-40.0, -30.0, 0.0, 1.0)]] * 80
    return [layer.step(cells) for cells in film(empty + [[shape] for shape in shapes])][80:]


def test_who_walks_is_steady_where_he_is_and_nowhere_else():
    frames = shown(walking(60))
    for frame in frames[10:]:
        (track,) = frame.tracks
        inside = frame.steady[int(track.top) // CELL_PX : int(track.bottom) // CELL_PX + 1]
        assert inside[:, int(track.left) // CELL_PX : int(track.right) // CELL_PX + 1].min() == 1.0
        assert frame.steady[:, int(track.right) // CELL_PX + 3 :].max(initial=0.0) == 0.0


def test_what_jumps_about_by_more_than_its_own_size_in_each_frame_is_not_steady_where_it_is():
    random = np.random.default_rng(3)
    shapes, y, x = [], 40.0, 80.0
    for _ in range(60):
        angle = random.uniform(0.0, 2.0 * np.pi)
        y, x = np.clip(y + 20.0 * np.sin(angle), 8.0, 76.0), np.clip(x + 20.0 * np.cos(angle), 8.0, 140.0)
        shapes.append((y, y + 12.0, x, x + 12.0))
    frames = shown(shapes)
    assert np.mean([bool(frame.tracks) for frame in frames]) > 0.9
    at_it = [
        frame.steady[int(top + 6.0) // CELL_PX, int(left + 6.0) // CELL_PX]
        for frame, (top, _, left, _) in zip(frames, shapes, strict=True)
    ]
    assert np.mean(at_it) < 0.25


def test_what_winds_without_getting_anywhere_is_not_steady():
    """A spider on a thread before the lens: one track that is never lost, back and forth."""
    shapes = [(30.0, 50.0, 70.0 + x, 84.0 + x) for x in 8.0 * np.sin(np.arange(80) * 2.0 * np.pi / 12.0)]
    frames = shown(shapes)
    assert all(frame.tracks for frame in frames[5:40])
    assert all(frame.steady.min() < 0.0 and frame.steady.max() <= 0.0 for frame in frames[20:40])
