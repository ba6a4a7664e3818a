"""``vad calibrate``: what is normal for one camera, from footage of it and without any training.

The footage goes through the live engine's own stages, so what is learnt here is what the camera would have learnt while
it was watching; only that nothing more is to come is said at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vad.clock import SystemClock
from vad.config import CameraConfig, ScoringSettings, redact_url
from vad.errors import CalibrationError, StreamCode, StreamError
from vad.model.runner import Runner
from vad.pipeline.scan import Scan
from vad.pipeline.scoring import Judge
from vad.scoring.incidents import Incidents
from vad.scoring.scorer import ANY_CAMERA, Scorer
from vad.types import Geometry
from vad.video.reader import Reader


@dataclass(frozen=True, slots=True)
class Calibration:
    """A scorer that knows one camera."""

    scorer: Scorer
    seconds: float  # media time it was learnt from
    frames: int  # analysed
    flagged: int  # of those, how many were too unusual to be learnt


def calibrate(
    videos: Sequence[str],
    *,
    camera: CameraConfig,
    runner: Runner,
    tell: Callable[[int, float], None] = lambda video, seconds: None,
) -> Calibration:
    """Learn from the videos, each of them a run of its own of the same camera.

    ``camera`` gives analysis rate, budget, masks and zones; its URL is not used. ``tell`` hears (number of the video,
    media seconds of it seen so far). Raises StreamError for a video that cannot be read to its end, CalibrationError
    when their picture sizes differ or they hold no frame.
    """
    _check_sizes(videos, camera=camera, model_width=runner.card.input_width)
    settings = ScoringSettings()
    scorer = Scorer(
        ANY_CAMERA,
        settings=settings,
        false_alarms_per_day=camera.false_alarms_per_day,
        analysis_fps=camera.analysis_fps,
        zones=camera.zones,
    )
    judge = Judge(ANY_CAMERA, scorer, Incidents(ANY_CAMERA, settings=settings))
    run, seconds, frames, flagged = 0, 0.0, 0, 0
    for number, video in enumerate(videos):
        scan = Scan(video, camera=camera, name=ANY_CAMERA, runner=runner, judge=judge, first_run=run + 1)
        for score in scan:
            run, frames = score.frame.run, frames + 1
            flagged += score.is_anomalous
            _require_same(scorer.geometry, score.frame.geometry, video, videos[0])
            tell(number, scan.duration_s)
        seconds += scan.duration_s
    scorer.finish_calibration()
    return Calibration(scorer, seconds, frames, flagged)


def _check_sizes(videos: Sequence[str], *, camera: CameraConfig, model_width: int) -> None:
    """Open every video before any of them is learnt from."""
    first: Geometry | None = None
    for video in videos:
        geometry = _geometry(video, camera=camera, model_width=model_width)
        first = first or geometry
        _require_same(first, geometry, video, videos[0])


def _geometry(video: str, *, camera: CameraConfig, model_width: int) -> Geometry:
    config = CameraConfig.model_validate({**camera.model_dump(), "url": video, "realtime": False, "loop": False})
    stop, clock = threading.Event(), SystemClock()
    reader = Reader(ANY_CAMERA, config=config, run=1, model_width=model_width, clock=clock, stop=stop)
    try:
        with reader:
            for frame in reader:
                if frame is not None:
                    return frame.geometry
    except StreamError as error:
        if error.code is not StreamCode.ENDED:
            raise
    raise CalibrationError(f"{redact_url(video)}: holds no frame; allowed: footage of the camera")


def _require_same(allowed: Geometry | None, got: Geometry, video: str, first: str) -> None:
    if allowed is not None and got != allowed:
        raise CalibrationError(
            f"{redact_url(video)}: {got.source_width}x{got.source_height}, but {redact_url(first)} is "
            f"{allowed.source_width}x{allowed.source_height}; allowed: footage of one camera, of one size"
        )
