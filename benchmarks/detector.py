"""What each ingredient of the detector gives, live protocol, and what it costs.

    python -m benchmarks.detector --dataset DIR [--weights W]    # frame AUROC (micro), each evidence alone and left out
    python -m benchmarks.detector --cost [--weights W]           # ms a frame on one core, 8 cameras in a batch

The scorer is calibrated on the train clips, as ``vad calibrate`` does, and learns nothing from the test clips.
"""

from __future__ import annotations

import argparse
import time
from copy import deepcopy
from pathlib import Path

import numpy as np

from tests.model.factory import clip_of, geometry
from vad.config import CameraConfig, ScoringSettings
from vad.evaluation.measures import auroc
from vad.model.network import centred, look
from vad.model.runner import Runner
from vad.model.weights import load_weights
from vad.pipeline.calibrate import calibrate
from vad.pipeline.judge import Judge
from vad.pipeline.scan import Scan
from vad.scoring.incidents import Incidents
from vad.scoring.scorer import Scorer
from vad.scoring.tuning import REASONS
from vad.scoring.warming import warm_kernels
from vad.types import Clip, Reason
from vad.video.dataset import Dataset
from vad.video.source import FOLDER_FPS

CAMERAS = 8


def evidences(folder: Path, *, weights: str) -> None:
    """Print the AUROC of each evidence alone, of all without it, and of all."""
    runner = Runner(load_weights(weights), device="auto")
    dataset = Dataset.open(folder)
    fps = dataset.train[0].measure()[1] or FOLDER_FPS
    camera = CameraConfig(url="normal", analysis_fps=fps)
    scorer = calibrate([clip.url for clip in dataset.train], camera=camera, runner=runner).scorer
    scorer.learning = False
    values, labels = [], []
    for number, clip in enumerate(dataset.test):
        judge = Judge("test", deepcopy(scorer), Incidents("test", settings=ScoringSettings()))
        config = CameraConfig(url=clip.url, analysis_fps=fps)
        scores = list(Scan(clip.url, camera=config, runner=runner, judge=judge, name="test", first_run=1000 + number))
        values += [[score.evidence.get(reason, 0.0) for reason in REASONS] for score in scores]
        labels.append(dataset.labels(clip.name, frames=len(scores)))
    table, truth = np.array(values), np.concatenate(labels)  # (frames, evidences), (frames,)
    print(f"{len(dataset.test)} clips, {len(truth)} frames, {truth.mean():.0%} abnormal; live frame AUROC, micro")
    print("evidence         alone   all without it")
    for k, reason in enumerate(REASONS):
        without = np.delete(table, [k, REASONS.index(Reason.COMBINED)], axis=1).max(axis=1)  # which it has a part in
        print(f"{reason.value:15} {auroc(truth, table[:, k]):6.4f}   {auroc(truth, without):6.4f}")
    print(f"{'all (maximum)':15} {auroc(truth, table.max(axis=1)):6.4f}")


def cost(*, weights: str, frames: int = 160) -> None:
    """Print what a frame costs after decoding: motion, network, scoring."""
    runner = Runner(load_weights(weights), device="cpu", threads=1)
    film = _film(frames)
    shape = geometry(160, 96)
    batches = [
        [clip_of(film[t : t + 2], camera=f"cam{k}", first=t, shape=shape) for k in range(CAMERAS)]
        for t in range(0, frames, 2)
    ]
    runner(batches[0])
    warm_kernels()
    begun_s = time.process_time()
    maps = [runner(batch)[0] for batch in batches]
    network_ms = _ms(begun_s, frames * CAMERAS)
    pictures = _pictures([clip for batch in batches for clip in batch[:1]])
    begun_s = time.process_time()
    look(pictures[1:], pictures[:-1])
    motion_ms = _ms(begun_s, len(pictures) - 1)
    scorer = Scorer("cost", settings=ScoringSettings(), false_alarms_per_day=2.0, analysis_fps=10.0)
    cells = [one for clip in maps for one in clip]
    begun_s = time.process_time()
    for one in cells:
        scorer.step(one)
    scoring_ms = _ms(begun_s, len(cells))
    print(f"160x96, {CAMERAS} cameras a batch, one thread, CPU ms a frame:")
    print(f"motion {motion_ms:.2f}, network with its runner {network_ms - motion_ms:.2f}, scoring {scoring_ms:.2f}")
    whole_ms = network_ms + scoring_ms
    print(f"whole detector {whole_ms:.2f} ms: {1000.0 / whole_ms:.0f} frames/s on one core")


def _film(frames: int) -> np.ndarray:
    """(frames, 96, 160) a textured ground that figures cross."""
    random = np.random.default_rng(0)
    ground = np.kron(random.integers(60, 180, (24, 40)), np.ones((4, 4)))
    film = np.repeat(ground[None], frames, axis=0) + random.normal(0.0, 2.0, (frames, 96, 160))
    for _ in range(6):
        top, left, speed = random.integers(0, 70), random.integers(0, 160), random.uniform(0.5, 3.0)
        texture = random.integers(0, 255, (24, 10))
        for t in range(frames):
            columns = (int(left + speed * t) + np.arange(10)) % 160
            film[t, top : top + 24, columns] = texture.T
    return np.clip(film, 0, 255).astype(np.uint8)


def _pictures(clips: list[Clip]):
    import torch

    frames = np.stack([frame.luma for clip in clips for frame in clip.frames])
    return centred(torch.from_numpy(frames).float().unsqueeze(1))


def _ms(begun_s: float, frames: int) -> float:
    return (time.process_time() - begun_s) / frames * 1000.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    if options.dataset is not None:
        evidences(options.dataset, weights=options.weights)
    if options.cost or options.dataset is None:
        cost(weights=options.weights)


if __name__ == "__main__":
    main()
