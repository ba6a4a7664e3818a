"""``vad calibrate`` as its user sees it: progress, and what was learnt."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vad.atomic import check_writable
from vad.config import CameraConfig, ModelSettings
from vad.model.making import make_runner
from vad.model.weights import load_weights
from vad.pipeline.calibrate import calibrate
from vad.service.progress import ProgressDisplay

ENOUGH_S = 180.0
"""Footage after which a camera would be calibrated live."""


def run_calibration(
    videos: Sequence[str], *, out: Path, camera: CameraConfig, model: ModelSettings, console: Console
) -> None:
    """Learn from the videos and write the file. Raises VadError; what can be known beforehand comes beforehand."""
    check_writable(out)
    weights = load_weights(model.weights)
    runner = make_runner(weights, device=model.device, threads=model.threads, max_batch=1, skip_still=model.skip_still)
    began_s = time.perf_counter()
    with ProgressDisplay(console) as display:

        def tell(done_s: float, total_s: float) -> None:
            speed = done_s / max(display.phase_s(), 1e-3)
            display.update("calibrating", done_s, total_s, f"{speed:.0f}x real time")

        calibration = calibrate(videos, camera=camera, runner=runner, tell=tell)
    calibration.scorer.save(out, weights_sha256=runner.card.sha256)
    took_s = time.perf_counter() - began_s
    minutes = calibration.seconds / 60.0
    plural = "s" * (len(videos) != 1)
    say = [
        f"{out}: {calibration.frames} frames of {len(videos)} video{plural}, {minutes:.1f} min of footage in "
        f"{took_s:.1f} s ({took_s / max(minutes, 1e-6):.1f} s a minute), about {calibration.model_width} px wide"
    ]
    if calibration.seconds < ENOUGH_S:
        say.append(f"less than {ENOUGH_S:.0f} s of footage: what is rare here is not known yet")
    for line in say:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
