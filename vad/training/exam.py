"""Measures of flow and foreground on labelled sequences."""

from __future__ import annotations

import itertools
import math

import torch

from vad.model.network import Network, centred
from vad.training.lessons import Batch, batch_of, rows, run_chunk
from vad.training.material import Material

SPEEDS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Limits of the speed buckets, px a frame."""

SUMMARY = ("moving_iou",)
"""What training changes: flow is computed, so its measures stand in the last exam alone."""

LEAST_BLOCKS = 20
"""Fewer moving blocks give no measure."""


def examine(network: Network, material: Material, *, size: int = 8) -> dict[str, float]:
    """Flow error (px a frame) and speed ratio on moving blocks, by true speed; how well those blocks are found.

    What cannot be measured on this material is left out.
    """
    network.eval()
    flow, truth, share, moving, trust = (
        torch.cat(parts) for parts in zip(*_said(network, material, size), strict=True)
    )
    speed, said = truth.norm(dim=1), flow.norm(dim=1)
    miss = (flow - truth).norm(dim=1)
    sure = trust > 0.75
    judged = sure & (moving > 0.5)
    both, either = sure & (moving > 0.5) & (share > 0.5), sure & ((moving > 0.5) | (share > 0.5))
    result = {"moving_iou": float(both.sum() / either.sum())} if either.any() else {}
    if int(judged.sum()) >= LEAST_BLOCKS:
        result["flow_error_px"] = float(miss[judged].mean())
        result["speed_correlation"] = float(torch.corrcoef(torch.stack((speed[judged], said[judged])))[0, 1])
    for low, high in itertools.pairwise(SPEEDS):
        bucket = judged & (speed >= low) & (speed < high)
        if int(bucket.sum()) >= LEAST_BLOCKS:
            result[f"flow_error_px_at_{low:g}_to_{high:g}"] = float(miss[bucket].mean())
            result[f"speed_ratio_at_{low:g}_to_{high:g}"] = float(said[bucket].median() / speed[bucket].median())
    return {name: round(value, 3) for name, value in result.items() if math.isfinite(value)}


def summary(network: Network, material: Material) -> dict[str, float]:
    """What a curve shows."""
    measures = examine(network, material)
    return {name: measures[name] for name in SUMMARY if name in measures}


def _said(network: Network, material: Material, size: int) -> list[tuple[torch.Tensor, ...]]:
    """Flow, its truth, share, moving and trust per block, without each run's first frame."""
    said = []
    with torch.no_grad():
        for start in range(0, len(material), size):
            batch = batch_of(material, list(range(start, min(start + size, len(material)))))
            batch = Batch(*(values.to(network.gates.weight.device) for values in batch))
            n = batch.luma.shape[0]
            state = network.initial_state(n, *batch.luma.shape[2:])
            chunk = run_chunk(network, batch.luma, centred(batch.luma[:, :1]), state)
            share = torch.sigmoid(chunk.decoded.foreground[:, 0])
            values = (chunk.flow, rows(batch.flow), share, rows(batch.moving), rows(batch.trust))
            said.append(tuple(value[n:] for value in values))
    return said
