"""Runs every kernel once, so that no stage ever waits for the compiler."""

from __future__ import annotations

import numpy as np

from vad.config import ScoringSettings
from vad.scoring.gpd import fit_tail
from vad.scoring.objects.warming import warm_objects
from vad.scoring.places import label_boxes
from vad.scoring.scorer import Scorer
from vad.scoring.threshold import Spot
from vad.scoring.tuning import TailPrior
from vad.types import CellMap, Frame, Geometry, WallSource


def warm_kernels() -> None:
    """Compile or load every kernel of the package (20 s the first time, 1 s from the cache). Before threads start.

    Judges ten seconds of nonsense, and calls what that may have missed.
    """
    geometry = Geometry(source_width=64, source_height=48, pool=1, width=64, height=48)
    settings = ScoringSettings(warming_after_s=1.0, calibrated_after_s=2.0)
    scorer = Scorer("warm", settings=settings, false_alarms_per_day=1.0, analysis_fps=8.0)
    rng = np.random.default_rng(0)
    rows, columns = geometry.cells
    luma = rng.uniform(0.0, 255.0, (2 * rows, 2 * columns))
    for index in range(80):
        frame = Frame("warm", 0, index, index / 8.0, 0.0, WallSource.FILE, 0.0, geometry, np.zeros((48, 64), np.uint8))
        scorer.step(
            CellMap(
                frame=frame,
                dt_s=0.125,
                flow=rng.normal(0.0, 9.0, (2, rows, columns)).astype(np.float32),
                activity=(rng.uniform(0.0, 1.0, (rows, columns)) ** 4).astype(np.float32),
                surprise=np.ones((rows, columns), np.float32),
                latent=np.zeros((1, rows, columns), np.float32),
                luma=(luma + rng.normal(0.0, 2.0, luma.shape)).astype(np.float32),
            )
        )
    label_boxes(np.ones((rows, columns), np.bool_), np.ones((rows, columns), np.float32))
    fit_tail(rng.exponential(1.0, 50), 0.0, 1.0, 8.0)
    Spot.alone(TailPrior(floor=0.0, scale=1.0), gap_s=1.0).go_on()
    warm_objects()
