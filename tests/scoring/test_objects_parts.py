"""Background, blobs, tracks and what stands: the parts of the object layer by themselves."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from tests.scoring.objects_pictures import film, ground, standing, walking
from vad.errors import CalibrationError
from vad.scoring.objects import background, blobs, components
from vad.scoring.objects.layer import ObjectLayer

CUES = ("fall", "agitation", "left", "direction", "size", "movement")


def test_components_are_those_of_scipy():
    mask = (np.random.default_rng(1).random((48, 64)) < 0.4).astype(np.uint8)
    labels = np.empty(mask.shape, np.int32)
    count = components.components(mask, 1, labels)
    expected, wanted = ndimage.label(mask, np.ones((3, 3)))
    assert count == wanted + 1
    pairs = {(int(a), int(b)) for a, b in zip(labels[mask > 0], expected[mask > 0], strict=True)}
    assert len(pairs) == wanted


def test_small_components_are_left_out():
    mask = np.zeros((20, 20), np.uint8)
    mask[2:4, 2:4], mask[10:15, 10:15] = 1, 1
    labels = np.empty(mask.shape, np.int32)
    assert components.components(mask, 5, labels) == 2
    assert (labels > 0).sum() == 25


def parts_of(*boxes: tuple[int, int, int, int]) -> tuple[int, np.ndarray]:
    parts = np.array([[0, 0, 0, 0, 0]] + [[*box, (box[1] - box[0]) * (box[3] - box[2])] for box in boxes], float)
    group = np.zeros(len(parts), np.int32)
    return blobs.join(parts, blobs.JOIN, group), group


def test_head_trunk_and_legs_are_one_person():
    count, group = parts_of((10, 16, 20, 26), (18, 34, 16, 30), (37, 56, 17, 29))
    assert count == 2
    assert set(group[1:]) == {1}


def test_two_people_behind_one_another_stay_two():
    assert parts_of((10, 40, 20, 32), (43, 80, 20, 34))[0] == 3


def test_a_light_that_changes_is_followed_and_one_that_does_not_is_left_alone():
    level = ground().astype(np.float32)
    blocks = components.mean_of_blocks(level, 4)
    every = np.ones(blocks.shape, np.bool_)
    noise = np.random.default_rng(0).normal(0.0, 0.5, blocks.shape).astype(np.float32)
    gain, offset, _ = background.light_of(blocks, 0.8 * blocks + 20.0 + noise, every, background.BACKGROUND)
    assert gain == pytest.approx(0.8, abs=0.03)
    assert offset == pytest.approx(20.0, abs=4.0)
    assert background.light_of(blocks, blocks + noise, every, background.BACKGROUND)[:2] == (1.0, 0.0)


def run(layer: ObjectLayer, shapes, **options) -> list:
    return [layer.step(cells) for cells in film([[shape] for shape in shapes], **options)]


def test_a_walker_keeps_one_number_and_one_height():
    frames = run(ObjectLayer(12, 20), walking(60))
    tracks = [frame.tracks for frame in frames[15:]]
    assert {track.id for frame in tracks for track in frame if track.bottom - track.top > 40} == {tracks[0][0].id}
    assert all(54 <= frame[0].bottom - frame[0].top <= 62 for frame in tracks)


def test_who_stands_from_the_first_frame_on_leaves_no_ghost():
    layer = ObjectLayer(12, 20)
    frames = run(layer, standing(20) + walking(50, x=70.0, speed=1.5))
    assert len([track for track in frames[-1].tracks if track.gap_s == 0.0]) == 1


def test_an_exposure_that_changes_within_a_second_makes_no_objects():
    light = [1.0] * 80 + list(np.linspace(1.0, 0.75, 10)) + [0.75] * 30
    layer = ObjectLayer(12, 20)
    frames = [layer.step(cells) for cells in film([[]] * 120, light=light)]
    assert max(len(frame.tracks) for frame in frames) == 0


def test_a_thing_that_is_put_down_is_counted_from_then_on_and_a_light_patch_is_not():
    shapes = [[(-40.0, -30.0, 0.0, 1.0)]] * 80 + [[(70.0, 82.0, 60.0, 76.0)]] * 60
    layer = ObjectLayer(12, 20)
    left = [float(layer.step(cells).left.max()) for cells in film(shapes)]
    assert max(left[:80]) == 0.0
    assert 4.0 < left[-1] < 6.0


def test_the_background_is_kept_over_runs_and_files_and_the_rest_is_not():
    layer = ObjectLayer(12, 20)
    run(layer, walking(75, speed=2.2))
    other = ObjectLayer(12, 20)
    other.restore(layer.state())
    first, second = run(layer, walking(30), run=2), run(other, walking(30), run=2)
    assert first[0].tracks == ()
    for a, b in zip(first, second, strict=True):
        assert a.tracks == b.tracks
        for cue in CUES:
            assert np.array_equal(getattr(a, cue), getattr(b, cue))
    # A walker in front of an old background is whole within half a second, although he is there from the first frame.
    assert any(track.bottom - track.top > 50 for track in second[8].tracks)


def test_a_state_of_another_size_is_refused():
    with pytest.raises(CalibrationError):
        ObjectLayer(12, 20).restore(ObjectLayer(15, 20).state())


def test_a_still_picture_is_passed_over():
    layer = ObjectLayer(12, 20)
    frames = [layer.step(cells) for cells in film([[]] * 30, noise=0.0)]
    assert frames[-1] is frames[-2]
    assert not any(getattr(frames[-1], cue).any() for cue in CUES)


def test_warming_calls_every_kernel_of_the_layer():
    code = """
from vad.scoring.objects import background, blobs, components, cues, light, passages, stays, still, tracks
from vad.scoring.objects.warming import warm_objects
warm_objects()
for module in (background, blobs, components, cues, light, passages, stays, still, tracks):
    for name, value in vars(module).items():
        if hasattr(value, "signatures") and value.__module__ == module.__name__ and not value.signatures:
            print(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    called_by_others = {"find", "extents", "neighbour", "belong", "borders", "trimmed", "flow_of", "overlap_of"}
    called_by_others |= {
        "assign",
        "note_mixing",
        "begin",
        "update",
        "remember",
        "ramp",
        "sinking",
        "drop_of",
        "bare_share",
        "greedy",
        "nearness_of",
        "winds",
        "sample_of",
        "way_of",
        "speed_bin",
        "rarities",
        "hold",
        "close",
        "add_sample",
        "begin_way",
        "follow_way",
        "how_it_came",
        "covers",
        "has_left",
        "beside",
    }
    assert set(done.stdout.split()) <= called_by_others
