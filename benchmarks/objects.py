"""What a frame costs the object layer, on one core.

    python -m benchmarks.objects [--frames N]

Three films in both sizes: people walk on a textured ground, nothing moves, and half of the picture flickers. CPU time.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from tests.model.factory import clip_of, geometry
from vad.scoring.objects.layer import ObjectLayer
from vad.types import CELL_PX, CellMap

SIZES = ((160, 96), (320, 192))


def film(kind: str, width: int, height: int, frames: int) -> list[CellMap]:
    """Cell maps of a film; the flow is that of what moves."""
    random = np.random.default_rng(0)
    ground = np.kron(random.integers(60, 180, (height // 4, width // 4)), np.ones((4, 4)))
    pictures = np.repeat(ground[None], frames, axis=0) + random.normal(0.0, 1.0, (frames, height, width))
    if kind == "still":
        pictures[:] = ground
    flows = np.zeros((frames, 2, height // CELL_PX, width // CELL_PX), np.float32)
    if kind == "walkers":
        _add_walkers(pictures, flows, random)
    if kind == "flicker":
        pictures[:, : height // 2] += random.normal(0.0, 25.0, (frames, height // 2, width))
    lumas = np.clip(pictures, 0, 255).astype(np.uint8)
    shape = geometry(width, height)
    return [_cells(clip_of(lumas[t : t + 1], first=t, shape=shape).frames[0], flows[t]) for t in range(frames)]


def _add_walkers(pictures: np.ndarray, flows: np.ndarray, random: np.random.Generator) -> None:
    frames, height, width = pictures.shape
    tall, wide = height // 4, width // 16
    for _ in range(6):
        top, left, speed = random.integers(0, height - tall), random.integers(0, width), random.uniform(0.5, 3.0)
        texture = random.integers(0, 60, (tall, wide))
        for t in range(frames):
            columns = (int(left + speed * t) + np.arange(wide)) % width
            pictures[t, top : top + tall, columns] = texture.T
            flows[t, 0, top // CELL_PX : (top + tall) // CELL_PX, np.unique(columns // CELL_PX)] = 10.0 * speed


def _cells(frame, flow: np.ndarray) -> CellMap:
    rows, columns = flow.shape[1:]
    blocks = frame.luma.reshape(2 * rows, 4, 2 * columns, 4).mean(axis=(1, 3), dtype=np.float32)
    activity = (flow[0] != 0).astype(np.float32)
    ones = np.ones((rows, columns), np.float32)
    return CellMap(frame, 0.1 if frame.index else 0.0, flow, activity, ones, ones[None], blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    options = parser.parse_args()
    for width, height in SIZES:
        for kind in ("walkers", "still", "flicker"):
            maps = film(kind, width, height, options.frames)
            layer = ObjectLayer(height // CELL_PX, width // CELL_PX)
            for cells in maps[:80]:  # compiled, and the background established
                layer.step(cells)
            begun_s = time.process_time()
            for cells in maps[80:]:
                layer.step(cells)
            took_ms = (time.process_time() - begun_s) / len(maps[80:]) * 1000.0
            print(f"{width}x{height} {kind:8} {took_ms:.3f} ms a frame")


if __name__ == "__main__":
    main()
