"""Training material: labels are true to the pictures, and everything follows from the seed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vad.model.augment import degrade, flip
from vad.training.collage import Collage, Labelled
from vad.training.material import FRAMES, HEIGHT, WIDTH, Material, from_collages, from_scenes, of_sequence


@pytest.fixture(scope="module")
def labelled() -> Labelled:
    return Collage(seed=3).draw(6, width=112, height=80)


def test_the_same_seed_draws_the_same_collage(labelled: Labelled) -> None:
    again, other = Collage(seed=3).draw(6, width=112, height=80), Collage(seed=4).draw(6, width=112, height=80)
    assert np.array_equal(labelled.luma, again.luma)
    assert np.array_equal(labelled.flow, again.flow)
    assert not np.array_equal(labelled.luma, other.luma)


def test_flow_leads_back_to_where_the_picture_was(labelled: Labelled) -> None:
    assert labelled.moving.any()
    y, x = np.mgrid[0:80, 0:112].astype(np.float32)
    stayed, followed = [], []
    for before, now, flow, moving in zip(
        labelled.luma, labelled.luma[1:], labelled.flow[1:], labelled.moving[1:], strict=False
    ):
        inner = cv2.erode(moving.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        origin = cv2.remap(before.astype(np.float32), x - flow[..., 0], y - flow[..., 1], cv2.INTER_LINEAR)
        followed.append(np.abs(origin - now)[inner])
        stayed.append(np.abs(before.astype(np.float32) - now)[inner])
    assert np.median(np.concatenate(followed)) < 2.0
    assert np.concatenate(followed).mean() < 0.5 * np.concatenate(stayed).mean()


def test_the_background_of_a_collage_stands_still(labelled: Labelled) -> None:
    assert not labelled.flow[~labelled.moving].any()


def test_a_blocks_flow_is_that_of_its_moving_pixels() -> None:
    flow = np.zeros((1, 8, 8, 2), np.float32)
    moving = np.zeros((1, 8, 8), bool)
    moving[0, :4, :2] = True  # half of the first block
    flow[0, :4, :2] = (3.0, -1.0)
    material = of_sequence(Labelled(np.zeros((1, 8, 8), np.uint8), flow, moving))
    assert material.flow[0, 0, :, 0, 0].tolist() == [3.0, -1.0]
    assert not material.flow[0, 0, :, 1:].any()
    assert material.moving[0, 0].tolist() == [[128, 0], [0, 0]]
    assert (material.trust == 255).all()


def test_collages_and_scenes_give_sequences_of_one_shape(tmp_path) -> None:  # type: ignore[no-untyped-def]
    both = Material.joined([*from_collages(1, seed=1, pictures=()), *from_scenes(2, seed=1, per_scene=2)])
    assert both.luma.shape == (3, FRAMES, HEIGHT, WIDTH)
    assert both.flow.shape == (3, FRAMES, 2, HEIGHT // 4, WIDTH // 4)
    assert both.moving.shape == both.trust.shape == (3, FRAMES, HEIGHT // 4, WIDTH // 4)
    both.save(tmp_path / "both.npz")
    again = Material.load(tmp_path / "both.npz")
    assert all(np.array_equal(getattr(both, name), getattr(again, name)) for name in ("luma", "flow", "moving"))


def test_degrading_follows_from_the_seed_and_stays_a_picture() -> None:
    luma = torch.rand(3, 4, 16, 24, generator=torch.Generator().manual_seed(0)) * 255
    first, second = (degrade(luma, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == luma.shape
    assert float(first.min()) >= 0.0
    assert float(first.max()) <= 255.0
    assert not torch.equal(first, luma)


@pytest.mark.parametrize("axis", [0, 1])
def test_flipping_turns_the_flow_with_the_picture(axis: int) -> None:
    luma, flow = torch.arange(16.0).reshape(1, 1, 4, 4), torch.zeros(1, 1, 2, 1, 2)
    flow[..., 0, 0] = torch.tensor([2.0, 3.0])
    turned, turned_flow = flip(luma, flow, axis=axis)
    assert torch.equal(turned.flip(-1 - axis), luma)
    expected = [-2.0, 3.0] if axis == 0 else [2.0, -3.0]
    assert turned_flow[0, 0, :, 0, 1 if axis == 0 else 0].tolist() == expected
