"""Measures of flow and foreground on labelled sequences."""

from __future__ import annotations

import itertools

import torch

from vad.model.network import Network, centred
from vad.training.lessons import batch_of, rows, run_chunk
from vad.training.material import Material

SPEEDS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Limits of the speed buckets, px a frame."""


def examine(network: Network, material: Material, *, size: int = 8) -> dict[str, float]:
    """Flow error (px a frame) and speed ratio on moving blocks, by true speed; how well those blocks are found."""
    network.eval()
    flow, truth, share, moving, trust = (
        torch.cat(parts) for parts in zip(*_said(network, material, size), strict=True)
    )
    speed, said = truth.norm(dim=1), flow.norm(dim=1)
    miss = (flow - truth).norm(dim=1)
    sure = trust > 0.75
    judged = sure & (moving > 0.5)
    both, either = sure & (moving > 0.5) & (share > 0.5), sure & ((moving > 0.5) | (share > 0.5))
    result = {
        "flow_error_px": float(miss[judged].mean()),
        "speed_correlation": float(torch.corrcoef(torch.stack((speed[judged], said[judged])))[0, 1]),
        "moving_iou": float(both.sum() / either.sum()),
    }
    for low, high in itertools.pairwise(SPEEDS):
        bucket = judged & (speed >= low) & (speed < high)
        if int(bucket.sum()) >= 20:
            result[f"flow_error_px_at_{low:g}_to_{high:g}"] = float(miss[bucket].mean())
            result[f"speed_ratio_at_{low:g}_to_{high:g}"] = float(said[bucket].median() / speed[bucket].median())
    return {name: round(value, 3) for name, value in result.items()}


def _said(network: Network, material: Material, size: int) -> list[tuple[torch.Tensor, ...]]:
    """Flow, its truth, share, moving and trust per block, without each run's first frame."""
    said = []
    with torch.no_grad():
        for start in range(0, len(material), size):
            batch = batch_of(material, list(range(start, min(start + size, len(material)))))
            n = batch.luma.shape[0]
            state = network.initial_state(n, *batch.luma.shape[2:])
            decoded = run_chunk(network, batch.luma, centred(batch.luma[:, :1]), state).decoded
            share = torch.sigmoid(decoded.foreground[:, 0])
            values = (decoded.flow, rows(batch.flow), share, rows(batch.moving), rows(batch.trust))
            said.append(tuple(value[n:] for value in values))
    return said
