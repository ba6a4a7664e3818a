"""The runner: what one camera gets does not depend on its company, nor on how its video was cut into clips."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.model.factory import FPS, clip_of, geometry, noise, random_weights
from vad.errors import EngineError
from vad.model import Runner
from vad.types import CellMap

FIELDS = ("flow", "activity", "surprise", "latent", "luma")


def assert_same(left: list[CellMap], right: list[CellMap], *, tolerance: float = 1e-4) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.frame is b.frame or a.frame.index == b.frame.index
        assert a.dt_s == pytest.approx(b.dt_s)
        for name in FIELDS:
            scale = 1.0 + np.abs(getattr(a, name)).max()
            np.testing.assert_allclose(getattr(a, name) / scale, getattr(b, name) / scale, atol=tolerance, err_msg=name)


def test_shapes_and_types_are_those_of_a_cell_map() -> None:
    maps = Runner(random_weights())([clip_of(noise(3, 64, 48))])[0]
    assert [m.frame.index for m in maps] == [0, 1, 2]
    for one in maps:
        assert one.flow.shape == (2, 6, 8)
        assert one.activity.shape == one.surprise.shape == (6, 8)
        assert one.latent.shape[1:] == (6, 8)
        assert one.luma.shape == (12, 16)
        for name in FIELDS:
            value = getattr(one, name)
            assert value.dtype == np.float32
            assert np.isfinite(value).all()
        assert 0.0 <= one.activity.min() <= one.activity.max() <= 1.0
        assert one.surprise.min() >= 0.0


def test_luma_is_the_mean_of_each_block() -> None:
    picture = noise(1, 64, 48)
    (one,) = Runner(random_weights())([clip_of(picture)])[0]
    expected = picture[0].reshape(12, 4, 16, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(one.luma, expected, atol=1e-3)


def test_a_camera_does_not_depend_on_who_shares_its_batch() -> None:
    weights = random_weights()
    alone, crowded = Runner(weights), Runner(weights)
    pictures = noise(8, seed=1)
    for first in (0, 4):
        clip = clip_of(pictures[first : first + 4], first=first)
        others = [clip_of(noise(1 + k, seed=10 + k), camera=f"other{k}", run=first) for k in range(7)]
        got = crowded([*others[:3], clip, *others[3:]])
        assert_same(alone([clip])[0], got[3])
        assert [len(maps) for maps in got] == [1, 2, 3, 4, 4, 5, 6, 7]


@pytest.mark.parametrize("lengths", [(1,) * 12, (4, 4, 4), (5, 1, 6), (2, 10)])
def test_carrying_the_state_gives_what_the_whole_video_gives(lengths: tuple[int, ...]) -> None:
    weights = random_weights()
    pictures = noise(12, seed=2)
    whole = Runner(weights)([clip_of(pictures)])[0]
    runner, carried, first = Runner(weights), list[CellMap](), 0
    for length in lengths:
        carried += runner([clip_of(pictures[first : first + length], first=first)])[0]
        first += length
    assert_same(whole, carried)


def test_cameras_of_different_geometry_share_a_call() -> None:
    weights = random_weights()
    clips = [
        clip_of(noise(3, 64, 48, seed=3), camera="a"),
        clip_of(noise(2, 40, 56, seed=4), camera="b"),
        clip_of(noise(3, 64, 48, seed=5), camera="c", shape=geometry(62, 45)),
        clip_of(noise(3, 8, 8, seed=6), camera="tiny"),
    ]
    together = Runner(weights)(clips)
    for clip, maps in zip(clips, together, strict=True):
        assert maps[0].flow.shape[1:] == clip.geometry.cells
        assert_same(Runner(weights)([clip])[0], maps)


def test_the_first_frame_of_a_run_has_no_time_and_no_motion() -> None:
    first, second = Runner(random_weights())([clip_of(noise(2))])[0]
    assert first.dt_s == 0.0
    assert not first.flow.any()
    assert not first.activity.any()
    assert (first.surprise == 1.0).all()
    assert second.dt_s == pytest.approx(1 / FPS)
    assert second.flow.any()


@pytest.mark.parametrize("change", ["run", "geometry", "forget"])
def test_a_new_run_a_new_geometry_and_forget_start_afresh(change: str) -> None:
    weights = random_weights()
    runner = Runner(weights)
    runner([clip_of(noise(4, seed=7))])
    clip = clip_of(noise(3, seed=8), run=2 if change == "run" else 1)
    if change == "geometry":
        clip = clip_of(noise(3, seed=8), shape=geometry(63, 47))
    if change == "forget":
        runner.forget("a")
        runner.forget("never seen")
    assert_same(Runner(weights)([clip])[0], runner([clip])[0])


def test_a_clip_of_the_same_run_continues() -> None:
    weights = random_weights()
    runner = Runner(weights)
    runner([clip_of(noise(4, seed=7))])
    clip = clip_of(noise(3, seed=8), first=4)
    continued, fresh = runner([clip])[0], Runner(weights)([clip])[0]
    assert continued[0].dt_s == pytest.approx(1 / FPS)
    assert np.abs(continued[0].latent - fresh[0].latent).max() > 1e-3


def test_two_clips_of_one_camera_in_one_call_are_refused() -> None:
    clip = clip_of(noise(1))
    with pytest.raises(ValueError, match="two clips of a"):
        Runner(random_weights())([clip, clip])


def test_no_clips_give_no_maps() -> None:
    assert Runner(random_weights())([]) == []


def test_maps_of_one_call_are_not_overwritten_by_the_next() -> None:
    runner = Runner(random_weights())
    (first,) = runner([clip_of(noise(1))])[0]
    kept = dataclasses.replace(first, latent=first.latent.copy(), luma=first.luma.copy())
    runner([clip_of(noise(4, seed=9), first=1)])
    assert_same([kept], [first], tolerance=0.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_asking_for_cuda_where_there_is_none_says_so() -> None:
    with pytest.raises(EngineError, match=r"device cuda is not there: torch finds no CUDA device: .*; allowed"):
        Runner(random_weights(), device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_and_cpu_agree() -> None:
    weights = random_weights()
    on_cpu, on_gpu = Runner(weights, device="cpu"), Runner(weights, device="cuda")
    for first in (0, 4):
        clips = [clip_of(noise(4, seed=20 + k), camera=f"c{k}", first=first) for k in range(3)]
        for a, b in zip(on_cpu(clips), on_gpu(clips), strict=True):
            assert_same(a, b, tolerance=2e-3)  # TF32 and another order of sums
