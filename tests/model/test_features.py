"""The loops that a CPU runs give what the tensor code that is trained gives."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vad.model import network


def pictures(height: int, width: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth texture that moved by (2, 1) px, with noise: (3, 1, height, width) each."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(3, 1, height // 8, width // 8, generator=generator)
    before = functional.interpolate(coarse, size=(height, width), mode="bicubic")
    now = torch.roll(before, (1, 2), (2, 3)) + 0.02 * torch.randn(before.shape, generator=generator)
    return now, before


@pytest.mark.parametrize(("height", "width"), [(96, 160), (136, 184), (48, 64), (8, 8)])
def test_loops_and_tensor_code_agree(height: int, width: int) -> None:
    now, before = pictures(height, width, seed=height)
    with torch.enable_grad():
        tensor_code = network._features(now, before)
    with torch.inference_mode():
        loops = network._features(now, before)
    for expected, got in zip(tensor_code, loops, strict=True):
        assert expected.shape == got.shape
        torch.testing.assert_close(got, expected, atol=2e-4, rtol=1e-4)


def test_a_still_picture_has_no_flow_and_no_misfit_in_place() -> None:
    now, _ = pictures(96, 160, seed=1)
    with torch.inference_mode():
        flow, _, misfit, _ = network._features(now, now)
    assert float(flow.abs().max()) == 0.0
    assert float(misfit[:, network.SHIFTS.index((0, 0))].max()) == 0.0
