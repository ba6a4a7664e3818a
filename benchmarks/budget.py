"""Does the false-alarm budget hold? Incidents on normal footage that nothing was learnt from, against the promise.

    python -m benchmarks.budget --dataset DIR [--folds 4] [--weights W]   # cross-validated over the train clips
    python -m benchmarks.budget --simulated                               # the threshold alone, over camera-days

Cross-validation: each fold's clips are judged, without learning, by a scorer calibrated on all others, as
``vad calibrate`` does. A few minutes of footage can only test generous budgets, so several are judged at once.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from pathlib import Path

import numpy as np

from tests.scoring.test_threshold import GAP_S, stream
from vad.config import CameraConfig, ScoringSettings
from vad.model.runner import Runner
from vad.model.weights import load_weights
from vad.pipeline.calibrate import calibrate
from vad.pipeline.judge import Judge
from vad.pipeline.scan import Scan
from vad.scoring.incidents import Incidents
from vad.scoring.threshold import Spot
from vad.scoring.tuning import DAY_S, TailPrior
from vad.types import EventType, FrameScore
from vad.video.dataset import ClipSource, Dataset
from vad.video.source import FOLDER_FPS

BUDGETS_PER_DAY = (2.0, 360.0, 720.0, 1440.0, 2880.0)


def cross_validated(folder: Path, *, folds: int, weights: str) -> None:
    """Print incidents and the promise for each budget, over all folds."""
    runner = Runner(load_weights(weights), device="auto")
    clips = Dataset.open(folder).train
    incidents, judged_s = dict.fromkeys(BUDGETS_PER_DAY, 0), 0.0
    for fold in range(folds):
        held_out = clips[fold::folds]
        camera = CameraConfig(url="normal", analysis_fps=_fps(clips[0]))
        scorer = calibrate([c.url for c in clips if c not in held_out], camera=camera, runner=runner).scorer
        for number, clip in enumerate(held_out):
            judge = Judge("normal", deepcopy(scorer), Incidents("normal", settings=ScoringSettings()))
            judge.scorer.learning = False
            config = CameraConfig(url=clip.url, analysis_fps=camera.analysis_fps)
            scan = Scan(clip.url, camera=config, runner=runner, judge=judge, name="normal", first_run=1000 + number)
            scores = list(scan)
            judged_s += scan.duration_s
            for budget in BUDGETS_PER_DAY:
                incidents[budget] += _incidents(scores, budget=budget, fps=camera.analysis_fps)
    print(f"{len(clips)} normal clips, {folds} folds, {judged_s:.0f} s judged")
    print("budget a day    promised   incidents   ratio")
    for budget, count in incidents.items():
        promised = budget * judged_s / DAY_S
        print(f"{budget:12.0f} {promised:11.2f} {count:11d} {count / promised:7.2f}")


def _incidents(scores: list[FrameScore], *, budget: float, fps: float) -> int:
    """How many would have opened under another budget: the same scores, another threshold."""
    threshold = -np.log10(budget / DAY_S / fps)
    incidents = Incidents("normal", settings=ScoringSettings())
    others = (_under(score, float(threshold)) for score in scores)
    return sum(event.type is EventType.OPENED for score in others for event in incidents.step(score))


def _under(score: FrameScore, threshold: float) -> FrameScore:
    return FrameScore(score.frame, score.score, threshold, score.p_value, score.stage, score.reasons, score.evidence)


def _fps(clip: ClipSource) -> float:
    _, fps = clip.measure()
    return fps or FOLDER_FPS


def simulated(*, cameras: int = 12, learn_s: int = 6 * 3600, judged_s: int = 200_000, budget: float = 24.0) -> None:
    """Excursions over the level that a budget gives, on streams unlike each other, nothing learnt while judging."""
    for kind in ("gaussian", "autocorrelated", "exponential", "heavy"):
        count = 0
        for camera in range(cameras):
            random = np.random.default_rng([camera, 5])
            spot = Spot.alone(TailPrior(floor=0.0, scale=0.5, shape=0.0, weight=8.0), gap_s=GAP_S)
            for value in stream(kind, learn_s, random):
                spot.learn(float(value), dt_s=1.0)
            above = np.flatnonzero(stream(kind, judged_s, random) > spot.level(budget / DAY_S))
            count += int(above.size > 0) + int((np.diff(above) > GAP_S).sum())
        days = cameras * judged_s / DAY_S
        promised = budget * days
        print(
            f"{kind:15} {count:5d} incidents in {days:.0f} camera-days, {promised:.0f} promised: {count / promised:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, help="a dataset folder; its train clips are normal")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--simulated", action="store_true")
    options = parser.parse_args()
    if options.dataset is not None:
        cross_validated(options.dataset, folds=options.folds, weights=options.weights)
    if options.simulated or options.dataset is None:
        simulated()


if __name__ == "__main__":
    main()
