"""The loops that a CPU runs give what the tensor code of ``motion`` defines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from vad.model import features, lanes, motion, network
from vad.types import CELL_PX


def pictures(height: int, width: int, *, seed: int, by: tuple[int, int] = (1, 2)) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth texture that moved by ``by`` px (y, x), with noise: (3, 1, height, width) each, in the network's units."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(3, 1, height // 8, width // 8, generator=generator)
    before = functional.interpolate(coarse, size=(height, width), mode="bicubic")
    now = torch.roll(before, by, (2, 3)) + 0.02 * torch.randn(before.shape, generator=generator)
    return now, before


def as_tensors(now: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    measured = motion.measure(now, before)
    blocks = torch.cat((motion.normalised_blocks(now, before), measured.traits), dim=1)
    return measured.flow, functional.pixel_unshuffle(blocks, 2)


@pytest.mark.parametrize(("height", "width"), [(96, 160), (136, 184), (48, 64), (16, 16)])
@pytest.mark.parametrize("by", [(1, 2), (0, 0), (-4, 9)])
def test_loops_and_tensor_code_agree(height: int, width: int, by: tuple[int, int]) -> None:
    now, before = pictures(height, width, seed=height, by=by)
    for expected, got in zip(as_tensors(now, before), network.look(now, before), strict=True):
        assert expected.shape == got.shape
        off = (expected - got).abs() > 2e-3 + 1e-3 * expected.abs()
        # A tie between two candidates may fall either way.
        assert float(off.float().mean()) < 4e-3


def test_loops_check_the_window_that_the_tensor_code_checks() -> None:
    assert lanes.SIDE == motion.CHECK_PX


def test_a_still_picture_has_no_flow() -> None:
    now, _ = pictures(96, 160, seed=1)
    flow, _ = network.look(now, now)
    assert float(flow.abs().max()) == 0.0


@pytest.mark.parametrize("by", [(0, 1), (1, 1), (2, 3), (0, 6), (4, -8), (-8, 0), (8, 12)])
def test_flow_follows_what_moved(by: tuple[int, int]) -> None:
    now, before = pictures(96, 160, seed=4, by=by)
    flow, _ = network.look(now, before)
    middle = flow[:, :, 6:-6, 8:-8]  # what entered at the border came from nowhere
    error = (middle - torch.tensor([by[1], by[0]]).float()[:, None, None]).norm(dim=1)
    assert float(error.median()) < 0.25 * max(1.0, float(np.hypot(*by)))


def test_half_a_pixel_is_measured_to_a_tenth() -> None:
    generator = torch.Generator().manual_seed(3)
    fine = functional.interpolate(torch.randn(1, 1, 24, 40, generator=generator), scale_factor=8.0, mode="bicubic")
    now, before = functional.avg_pool2d(torch.roll(fine, 1, 3), 2), functional.avg_pool2d(fine, 2)
    flow, _ = network.look(now, before)
    middle = flow[0, :, 4:-4, 4:-4]
    assert float((middle[0] - 0.5).abs().median()) < 0.1
    assert float(middle[1].abs().median()) < 0.1


def test_cells_show_their_own_pixels() -> None:
    now, before = pictures(48, 64, seed=5)
    _, seen = network.look(now, before)
    assert seen.shape == (3, network.SEEN, 48 // CELL_PX, 64 // CELL_PX)
    changed = now.clone()
    changed[:, :, 40:48, 56:64] += 1.0
    _, other = network.look(changed, before)
    assert torch.equal(seen[..., :3, :3], other[..., :3, :3])
    assert not torch.equal(seen[..., -1, -1], other[..., -1, -1])


@pytest.mark.parametrize("asked", [[(0, 0)], [(5, 9), (11, 19)], [(0, 19), (6, 3), (6, 4), (11, 0)]])
def test_what_is_said_of_a_cell_does_not_depend_on_which_others_are_asked_for(asked: list[tuple[int, int]]) -> None:
    now, before = (picture[:, 0].numpy() for picture in pictures(96, 160, seed=4))
    every = np.arange(3 * 12 * 20, dtype=np.int32).reshape(3, 12, 20)
    some, cells = np.full_like(every, -1), tuple(np.transpose(asked))
    some[1][cells] = np.arange(len(asked))
    said = []
    for rows in (every, some):
        flow, seen = np.empty((rows.max() + 1, 2, 4), np.float32), np.empty((rows.max() + 1, network.SEEN), np.float32)
        features.look(now, before, motion.RULES, rows, flow, seen)
        said.append((flow, seen))
    for whole, alone in zip(*said, strict=True):
        np.testing.assert_allclose(alone, whole[every[1][cells]], rtol=1e-4, atol=1e-5)
