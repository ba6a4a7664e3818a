"""What a still scene costs after decoding, against a busy one, and where the cost lies.

    python -m benchmarks.still [--rounds 5] [--cameras 8] [--json OUT]

CPU milliseconds a frame of 160x96 on one thread, clips of four frames, batches of ``--cameras``. Pooling is that of a
640x360 picture. Both scenes have a sensor's noise (0.7 levels after pooling); figures cross the busy one.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.model.factory import clip_of, geometry
from vad.config import ScoringSettings
from vad.model.cell_runner import CellRunner
from vad.model.weights import load_weights
from vad.scoring.scorer import Scorer
from vad.scoring.warming import warm_kernels
from vad.types import CellMap
from vad.video.luma import geometry as source_geometry
from vad.video.luma import pool_luma, warm_luma

WIDTH, HEIGHT, FRAMES, CLIP = 160, 96, 240, 4
TARGET, AIM = 0.3, 0.1


def film(*, figures: int, seed: int = 0) -> NDArray[np.uint8]:
    """(FRAMES, HEIGHT, WIDTH) a textured ground that ``figures`` cross."""
    random = np.random.default_rng(seed)
    ground = np.kron(random.integers(60, 180, (HEIGHT // 4, WIDTH // 4)), np.ones((4, 4)))
    pictures = np.repeat(ground[None], FRAMES, axis=0)
    for _ in range(figures):
        top, left, speed = random.integers(0, HEIGHT - 24), random.integers(0, WIDTH), random.uniform(0.5, 3.0)
        texture = np.kron(random.integers(0, 255, (6, 3)), np.ones((4, 4)))
        for t in range(FRAMES):
            columns = (int(left + speed * t) + np.arange(12)) % WIDTH
            pictures[t, top : top + 24, columns] = texture.T
    noisy = pictures + random.normal(0.0, 0.7, pictures.shape)
    return np.clip(noisy.round(), 0, 255).astype(np.uint8)


def cost(pictures: NDArray[np.uint8], *, cameras: int) -> dict[str, float]:
    """CPU ms a frame: model (motion and network) and scoring, once all of it has warmed up."""
    runner = CellRunner(load_weights("base"))
    shape = geometry(WIDTH, HEIGHT)
    scorer = Scorer("cam0", settings=ScoringSettings(), false_alarms_per_day=2.0, analysis_fps=10.0)
    maps: list[CellMap] = []
    model_s = 0.0
    for first in range(0, FRAMES, CLIP):
        piece = pictures[first : first + CLIP]
        batch = [clip_of(piece, camera=f"cam{k}", first=first, shape=shape) for k in range(cameras)]
        began_s = time.process_time()
        said = runner(batch)[0]
        model_s += time.process_time() - began_s if first >= FRAMES // 4 else 0.0
        maps += said
    for one in maps[: FRAMES // 4]:
        scorer.step(one)
    scoring_s = _took(lambda: [scorer.step(one) for one in maps[FRAMES // 4 :]])
    judged = FRAMES - FRAMES // 4
    return {"model": model_s / (judged * cameras) * 1e3, "scoring": scoring_s / judged * 1e3}


def pooling_ms() -> float:
    """CPU ms for the luma of one 640x360 picture."""
    grid = source_geometry(640, 360, model_width=WIDTH)
    plane = np.random.default_rng(0).integers(16, 235, (360, 640), dtype=np.uint8)
    warm_luma()
    return _took(lambda: [pool_luma(plane, grid, limited_range=True) for _ in range(200)]) / 200 * 1e3


def _took(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warm_kernels()
    films = {"still": film(figures=0), "busy": film(figures=6)}
    cost(films["busy"][:], cameras=options.cameras)  # warm
    gc.collect()
    gc.freeze()  # a walk over all that torch and numba have loaded takes 140 ms, once: as much as a whole round
    repetitions: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        pool_ms = pooling_ms()
        whole = {}
        for name, pictures in films.items():
            parts = {"pool": pool_ms, **cost(pictures, cameras=options.cameras)}
            whole[name] = sum(parts.values())
            for part, value in parts.items():
                repetitions.setdefault(f"{name}_{part}_ms", []).append(value)
        repetitions.setdefault("ratio", []).append(whole["still"] / whole["busy"])
    median = {name: statistics.median(values) for name, values in repetitions.items()}
    for scene in films:
        parts = {part: median[f"{scene}_{part}_ms"] for part in ("pool", "model", "scoring")}
        shown = ", ".join(f"{part} {value:.3f}" for part, value in parts.items())
        print(f"{scene:<6} {sum(parts.values()):.3f} ms a frame: {shown}")
    print(f"still over busy, after decoding: {median['ratio']:.2f} (target {TARGET}, aim {AIM})")
    if options.json:
        options.json.write_text(json.dumps({**median, "repetitions": repetitions}, indent=2))


if __name__ == "__main__":
    main()
