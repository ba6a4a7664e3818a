"""A dataset through the live engine's own stages: what is normal from the train clips, then each test clip by itself.

Nothing passes from one test clip to the next: each is judged by a copy of the calibrated judge that does not learn, in
a run of its own, so that the network's state and the smoothing begin afresh and the clips' order does not matter.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vad.config import CameraConfig, ModelSettings, ScoringSettings
from vad.errors import DatasetError, StreamError
from vad.evaluation.judged import Incident, JudgedClip
from vad.evaluation.measures import Flags, Values
from vad.evaluation.regions import Reported, Truth, truth_of, truth_of_boxes
from vad.evaluation.reporting import reported_regions
from vad.model.making import AnyRunner, make_runner
from vad.model.weights import load_weights
from vad.pipeline.calibrate import calibrate
from vad.pipeline.judge import Judge
from vad.pipeline.scan import Scan
from vad.scoring import storage
from vad.scoring.incidents import Incidents
from vad.scoring.scorer import Scorer
from vad.types import CELL_PX, EventType, FrameScore, Geometry, Stage
from vad.video.dataset import ClipSource, Dataset
from vad.video.source import FOLDER_FPS

CAMERA = "evaluation"
MOST_FPS = 60.0
"""Every frame is analysed: the highest analysis rate there is."""

FIRST_RUN = 1_000_000
"""Above every run from which was learnt, so that a test clip never goes on where a train clip ended."""

Progress = Callable[[str, float, float], None]
"""``progress(what, done, total)``."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate, and how. ``calibration`` is a file that ``vad calibrate`` wrote, instead of train clips."""

    dataset: Path
    model: ModelSettings
    calibrate_on: Literal["train", "none"] | None = None  # None: the train clips, if there are any
    calibration: Path | None = None
    false_alarms_per_day: float = 2.0
    folder_fps: float = FOLDER_FPS


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of it."""

    request: Request
    clips: tuple[JudgedClip, ...]
    weights: str  # name and sha256, as the card has them
    weights_sha256: str
    calibrated_on: str  # in words
    stage: Stage  # of the judge that met the test clips
    frames_per_second: float  # test frames over the time they took: decoding, network and scoring


@dataclass(frozen=True, slots=True)
class _Normal:
    """A scorer that knows what is normal."""

    scorer: Scorer
    words: str  # where it knows it from


@dataclass(frozen=True, slots=True)
class _Measured:
    """A test clip whose labels were found to fit."""

    source: ClipSource
    frames: int
    fps: float
    labels: Flags
    truth: tuple[Truth, ...] | None


def evaluate(request: Request, *, progress: Progress = lambda what, done, total: None) -> Evaluation:
    """Everything that can be found wrong with the dataset is found before the long work begins.

    Raises DatasetError, WeightsError, CalibrationError, StreamError.
    """
    dataset = Dataset.open(request.dataset, folder_fps=request.folder_fps)
    if not dataset.test:
        raise DatasetError(f"{dataset.path}: no clip in test/; allowed: at least one, to be judged")
    if request.calibrate_on == "train" and not dataset.train:
        raise DatasetError(
            f"{dataset.path}: no clip in train/ to calibrate on; allowed: clips there, or none by choice"
        )
    weights = load_weights(request.model.weights)
    measured = []
    for done, source in enumerate(dataset.test):
        progress("checking", done, len(dataset.test))
        measured.append(_measure(dataset, source))
    model = request.model
    runner = make_runner(weights, device=model.device, threads=model.threads, max_batch=1, skip_still=model.skip_still)
    normal = _calibrated(request, dataset, runner, fps=measured[0].fps, progress=progress)
    normal.scorer.learning = False
    began_s = time.perf_counter()
    judged = _judge_all(measured, runner, normal, progress=progress)
    took_s = time.perf_counter() - began_s
    frames = sum(clip.frames for clip in measured)
    return Evaluation(
        request,
        tuple(judged),
        weights.card.name,
        weights.card.sha256,
        calibrated_on=normal.words,
        stage=normal.scorer.stage,
        frames_per_second=frames / max(took_s, 1e-9),
    )


def _judge_all(
    clips: Sequence[_Measured], runner: AnyRunner, normal: _Normal, *, progress: Progress
) -> list[JudgedClip]:
    total = sum(clip.frames for clip in clips)
    judged, done = [], 0
    for clip in clips:
        scores = []
        for score in _scan(clip.source, runner, copy.deepcopy(normal.scorer)):
            scores.append(score)
            progress("judging", done + len(scores), total)
        done += len(scores)
        _check_same_picture(clip.source, scores, normal)
        judged.append(_judged(clip, scores))
    return judged


def _check_same_picture(clip: ClipSource, scores: Sequence[FrameScore], normal: _Normal) -> None:
    """On another picture size the judge would know nothing, and its figures would mean nothing."""
    if normal.scorer.stage is not Stage.COLD and any(score.stage is Stage.COLD for score in scores):
        grid = scores[-1].frame.geometry
        raise DatasetError(
            f"{clip.path}: {grid.source_width}x{grid.source_height}, unlike what it is judged by ({normal.words}); "
            "allowed: clips of one picture size"
        )


def _measure(dataset: Dataset, clip: ClipSource) -> _Measured:
    frames, fps = _count(clip)
    labels = dataset.labels(clip.name, frames=frames)
    return _Measured(clip, frames, fps, labels, _truth(dataset, clip.name, labels))


def _truth(dataset: Dataset, clip: str, labels: Flags) -> tuple[Truth, ...] | None:
    """What is abnormal where; None when something is and nobody said where."""
    masks, boxes = dataset.masks(clip, frames=len(labels)), dataset.boxes(clip, frames=len(labels))
    if masks is not None:
        return tuple(truth_of(masks))
    if boxes is not None:
        return tuple(truth_of_boxes(frame) for frame in boxes)
    return None if labels.any() else tuple(truth_of_boxes([]) for _ in labels)


def _count(clip: ClipSource) -> tuple[int, float]:
    try:
        frames, fps = clip.measure()
    except StreamError as exc:
        raise DatasetError(f"clip {clip.name!r}: {exc}") from None
    if fps is None or not 0.0 < fps <= MOST_FPS:
        raise DatasetError(f"{clip.path}: {fps or 'an unknown number of'} frames/s; allowed: up to {MOST_FPS:g}")
    return frames, fps


def _scan(clip: ClipSource, runner: AnyRunner, scorer: Scorer) -> Scan:
    camera = CameraConfig(url=clip.url, analysis_fps=MOST_FPS)
    judge = Judge(CAMERA, scorer, Incidents(CAMERA, settings=ScoringSettings()))
    return Scan(clip.url, camera=camera, name=CAMERA, runner=runner, judge=judge, first_run=FIRST_RUN)


def _calibrated(request: Request, dataset: Dataset, runner: AnyRunner, *, fps: float, progress: Progress) -> _Normal:
    settings = ScoringSettings()
    if request.calibration is not None:
        meta, _ = storage.load(request.calibration)
        scorer = Scorer.load(
            request.calibration,
            str(meta.get("camera")),  # whichever it was made for
            settings=settings,
            false_alarms_per_day=request.false_alarms_per_day,
            analysis_fps=fps,
            weights_sha256=runner.card.sha256,
        )
        return _Normal(scorer, f"the calibration {request.calibration}")
    if request.calibrate_on == "none" or not dataset.train:
        scorer = Scorer(CAMERA, settings=settings, false_alarms_per_day=request.false_alarms_per_day, analysis_fps=fps)
        scorer.finish_calibration()
        return _Normal(scorer, "nothing: priors alone")
    camera = CameraConfig(url=CAMERA, analysis_fps=fps, false_alarms_per_day=request.false_alarms_per_day)
    learnt = calibrate(
        [clip.url for clip in dataset.train],
        camera=camera,
        runner=runner,
        tell=lambda done_s, total_s: progress("calibrating", done_s, total_s),
    )
    return _Normal(
        learnt.scorer,
        f"{len(dataset.train)} train clip{'s' * (len(dataset.train) != 1)}, {learnt.seconds:.0f} s of normal footage",
    )


def _judged(clip: _Measured, scores: Sequence[FrameScore]) -> JudgedClip:
    if len(scores) != clip.frames:
        raise DatasetError(
            f"{clip.source.path}: {len(scores)} of {clip.frames} frames were judged, the others bear no time of their "
            "own; allowed: a clip whose frames' time stamps rise"
        )
    extents = {_extent(score.frame.geometry) for score in scores}
    reported = tuple(_reported(score) for score in scores)
    return JudgedClip(
        source=clip.source,
        fps=clip.fps,
        labels=clip.labels,
        scores=np.array([score.score for score in scores], np.float64),
        thresholds=np.array([score.threshold for score in scores], np.float64),
        flagged=np.array([score.is_anomalous for score in scores], np.bool_),
        times_s=_times_s(scores, fps=clip.fps),
        incidents=_incidents(scores),
        reported=reported,
        truth=clip.truth,
        heats=tuple(score.heat for score in scores),
        heat_extent=extents.pop(),
        reasons=tuple(tuple(reason.value for reason in score.reasons) for score in scores),
    )


def _times_s(scores: Sequence[FrameScore], *, fps: float) -> Values:
    """Media seconds from the clip's beginning; a frame interval goes from one run to the next."""
    times_s: list[float] = []
    begin_s, run = 0.0, scores[0].frame.run
    for score in scores:
        if score.frame.run != run:
            begin_s, run = times_s[-1] + 1.0 / fps, score.frame.run
        times_s.append(begin_s + score.pts_s)
    return np.array(times_s, np.float64)


def _extent(geometry: Geometry) -> tuple[float, float]:
    rows, columns = geometry.cells
    return (
        columns * CELL_PX * geometry.pool / geometry.source_width,
        rows * CELL_PX * geometry.pool / geometry.source_height,
    )


def _reported(score: FrameScore) -> Reported:
    regions = reported_regions(score)
    boxes = np.array([(r.x0, r.y0, r.x1, r.y1) for r in regions], np.float64).reshape(-1, 4)
    return Reported(boxes, np.array([region.score for region in regions], np.float64))


def _incidents(scores: Sequence[FrameScore]) -> tuple[Incident, ...]:
    opened: dict[str, int] = {}
    incidents = []
    for index, score in enumerate(scores):
        for event in score.events:
            if event.type is EventType.OPENED:
                opened[event.incident] = index
            elif event.type is EventType.CLOSED:
                reasons = tuple(reason.value for reason in event.reasons)
                incidents.append(Incident(opened.pop(event.incident), index, reasons))
    return tuple(incidents)
