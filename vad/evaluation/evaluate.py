"""A dataset through the live engine's own stages: what is normal from the train clips, then each test clip by itself.

Nothing passes from one test clip to the next: each is judged by a copy of the calibrated scorer that does not learn, in
a run of its own, so that the network's state and the smoothing begin afresh and the clips' order does not matter. The
one exception is ``calibrate_on="before"``, for test clips without train clips: each clip's scorer begins with nothing
and learns what the clip shows before its first abnormal frame.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vad.config import CameraConfig, ModelSettings, ModelWidth, ScoringSettings
from vad.errors import DatasetError, StreamError
from vad.evaluation.judged import Incident, JudgedClip
from vad.evaluation.measures import Flags, Values
from vad.evaluation.regions import Reported, Truth, truth_of, truth_of_boxes
from vad.evaluation.reporting import reported_regions
from vad.model.making import AnyRunner, make_runner
from vad.model.weights import load_weights
from vad.pipeline.calibrate import calibrate
from vad.pipeline.choose_width import Look, begin_width, width_for
from vad.pipeline.judge import Judge
from vad.pipeline.scan import Scan
from vad.scoring import storage
from vad.scoring.incidents import Incidents
from vad.scoring.scorer import Scorer
from vad.scoring.tuning import REASONS
from vad.types import CELL_PX, EventType, FrameScore, Geometry, Stage
from vad.video.dataset import ClipSource, Dataset
from vad.video.source import FOLDER_FPS

CAMERA = "evaluation"
MOST_FPS = 60.0
"""Every frame is analysed: the highest analysis rate there is."""

MOST_BEFORE_S = 86400.0
"""With ``calibrate_on="before"``: longer than any clip, so that the scorer is cold up to the first abnormal frame."""

BEFORE_MARGIN_S = 0.5
"""Borders are labelled by eye: nothing is learnt that shortly before the first abnormal frame."""

FIRST_RUN = 1_000_000
"""Above every run from which was learnt, so that a test clip never goes on where a train clip ended."""

Progress = Callable[[str, float, float], None]
"""``progress(what, done, total)``."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate, and how. ``calibration`` is a file that ``vad calibrate`` wrote, instead of train clips.

    ``analysis_fps`` None analyses every frame. With a rate, a frame that is not analysed has the score of the last one
    that was.

    ``model_width`` "auto" is the width of ``calibration``, or that which suits the people in the train clips, or where
    there are none in what the test clips show before their first abnormal frame.
    """

    dataset: Path
    model: ModelSettings
    calibrate_on: Literal["train", "before", "none"] | None = None  # None: the train clips, if there are any
    calibration: Path | None = None
    false_alarms_per_day: float = 2.0
    folder_fps: float = FOLDER_FPS
    analysis_fps: float | None = None
    model_width: ModelWidth = "auto"


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
    model_width: int  # at which the pictures were analysed


@dataclass(frozen=True, slots=True)
class _Normal:
    """A scorer that knows what is normal."""

    scorer: Scorer
    words: str  # where it knows it from
    model_width: int
    learns_before: bool = False  # it knows nothing yet, and learns up to each clip's first abnormal frame


@dataclass(frozen=True, slots=True)
class _Measured:
    """A test clip whose labels were found to fit."""

    source: ClipSource
    frame_times_s: Values
    fps: float
    labels: Flags
    truth: tuple[Truth, ...] | None

    @property
    def frames(self) -> int:
        return len(self.frame_times_s)

    @property
    def first_abnormal_s(self) -> float:
        """Media time of the first abnormal frame; inf when there is none."""
        return float(self.frame_times_s[int(np.argmax(self.labels))]) if self.labels.any() else math.inf


def evaluate(
    request: Request,
    *,
    progress: Progress = lambda what, done, total: None,
    runner: AnyRunner | None = None,
) -> Evaluation:
    """Everything that can be found wrong with the dataset is found before the long work begins.

    ``runner`` replaces the one that ``request.model`` asks for.

    Raises DatasetError, WeightsError, CalibrationError, StreamError.
    """
    dataset = Dataset.open(request.dataset, folder_fps=request.folder_fps)
    if not dataset.test:
        raise DatasetError(f"{dataset.path}: no clip in test/; allowed: at least one, to be judged")
    if request.calibrate_on == "train" and not dataset.train:
        raise DatasetError(
            f"{dataset.path}: no clip in train/ to calibrate on; allowed: clips there, or none by choice"
        )
    measured = []
    for done, source in enumerate(dataset.test):
        progress("checking", done, len(dataset.test))
        measured.append(_measure(dataset, source))
    runner = runner or _new_runner(request.model)
    fps = min(measured[0].fps, request.analysis_fps or MOST_FPS)
    normal = _calibrated(request, dataset, measured, runner, fps=fps, progress=progress)
    began_s = time.perf_counter()
    judged = _judge_all(measured, runner, normal, analysis_fps=request.analysis_fps or MOST_FPS, progress=progress)
    took_s = time.perf_counter() - began_s
    frames = sum(clip.frames for clip in measured)
    return Evaluation(
        request,
        tuple(judged),
        runner.card.name,
        runner.card.sha256,
        calibrated_on=normal.words,
        stage=normal.scorer.stage,
        frames_per_second=frames / max(took_s, 1e-9),
        model_width=normal.model_width,
    )


def _new_runner(model: ModelSettings) -> AnyRunner:
    weights = load_weights(model.weights)
    return make_runner(weights, device=model.device, threads=model.threads, max_batch=1, skip_still=model.skip_still)


def _judge_all(
    clips: Sequence[_Measured], runner: AnyRunner, normal: _Normal, *, analysis_fps: float, progress: Progress
) -> list[JudgedClip]:
    total = sum(clip.frames for clip in clips)
    judged, done = [], 0
    for clip in clips:
        scores = []
        scorer = copy.deepcopy(normal.scorer)
        scorer.learning = normal.learns_before
        for score in _scan(clip.source, runner, scorer, analysis_fps=analysis_fps, model_width=normal.model_width):
            if scorer.learning and score.pts_s >= clip.first_abnormal_s - BEFORE_MARGIN_S:
                scorer.finish_calibration()
                scorer.learning = False
            scores.append(score)
            progress("judging", done + int(score.pts_s * clip.fps), total)
        done += clip.frames
        _check_same_picture(clip.source, scores, normal)
        judged.append(_judged(clip, scores, every_frame=analysis_fps >= MOST_FPS))
    return judged


def _check_same_picture(clip: ClipSource, scores: Sequence[FrameScore], normal: _Normal) -> None:
    """On another picture size the judge would know nothing, and its figures would mean nothing."""
    if (
        not normal.learns_before
        and normal.scorer.stage is not Stage.COLD
        and any(score.stage is Stage.COLD for score in scores)
    ):
        grid, known = scores[-1].frame.geometry, normal.scorer.geometry
        size, what = f"{grid.source_width}x{grid.source_height}", "clips of one picture size"
        if known is not None and (known.source_width, known.source_height) == (grid.source_width, grid.source_height):
            size, what = f"{size} analysed {grid.valid_width} px wide", f"the width of it, {known.valid_width} px"
        raise DatasetError(f"{clip.path}: {size}, unlike what it is judged by ({normal.words}); allowed: {what}")


def _measure(dataset: Dataset, clip: ClipSource) -> _Measured:
    times_s, fps = _frame_times_s(clip)
    labels = dataset.labels(clip.name, frames=len(times_s))
    return _Measured(clip, np.array(times_s), fps, labels, _truth(dataset, clip.name, labels))


def _truth(dataset: Dataset, clip: str, labels: Flags) -> tuple[Truth, ...] | None:
    """What is abnormal where; None when something is and nobody said where."""
    masks, boxes = dataset.masks(clip, frames=len(labels)), dataset.boxes(clip, frames=len(labels))
    if masks is not None:
        return tuple(truth_of(masks))
    if boxes is not None:
        return tuple(truth_of_boxes(frame) for frame in boxes)
    return None if labels.any() else tuple(truth_of_boxes([]) for _ in labels)


def _frame_times_s(clip: ClipSource) -> tuple[list[float], float]:
    try:
        times_s, fps = clip.frame_times_s()
    except StreamError as exc:
        raise DatasetError(f"clip {clip.name!r}: {exc}") from None
    if fps is None or not 0.0 < fps <= MOST_FPS:
        raise DatasetError(f"{clip.path}: {fps or 'an unknown number of'} frames/s; allowed: up to {MOST_FPS:g}")
    return times_s, fps


def _scan(clip: ClipSource, runner: AnyRunner, scorer: Scorer, *, analysis_fps: float, model_width: int) -> Scan:
    camera = CameraConfig(url=clip.url, analysis_fps=analysis_fps)
    judge = Judge(CAMERA, scorer, Incidents(CAMERA, settings=ScoringSettings()))
    return Scan(
        clip.url, camera=camera, name=CAMERA, runner=runner, judge=judge, first_run=FIRST_RUN, model_width=model_width
    )


def _width(request: Request, dataset: Dataset, clips: Sequence[_Measured], runner: AnyRunner) -> int:
    """Without train clips by what the test clips show before their first abnormal frame."""
    fps = request.analysis_fps or MOST_FPS
    if dataset.train:
        looks = [Look(CameraConfig(url=clip.url, analysis_fps=fps)) for clip in dataset.train]
    else:
        looks = [
            Look(CameraConfig(url=clip.source.url, analysis_fps=fps), clip.first_abnormal_s - BEFORE_MARGIN_S)
            for clip in clips
        ]
    return width_for(request.model_width, looks, runner=runner)


def _calibrated(
    request: Request,
    dataset: Dataset,
    clips: Sequence[_Measured],
    runner: AnyRunner,
    *,
    fps: float,
    progress: Progress,
) -> _Normal:
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
        own = runner.card.input_width
        width = begin_width(request.model_width, learnt=scorer.geometry, own=own)
        return _Normal(scorer, f"the calibration {request.calibration}", width)
    width = _width(request, dataset, clips, runner)
    if request.calibrate_on == "before":
        scorer = Scorer(
            CAMERA,
            settings=ScoringSettings(warming_after_s=MOST_BEFORE_S, calibrated_after_s=MOST_BEFORE_S),
            false_alarms_per_day=request.false_alarms_per_day,
            analysis_fps=fps,
        )
        return _Normal(scorer, "what each clip shows before its first abnormal frame", width, learns_before=True)
    if request.calibrate_on == "none" or not dataset.train:
        scorer = Scorer(CAMERA, settings=settings, false_alarms_per_day=request.false_alarms_per_day, analysis_fps=fps)
        scorer.finish_calibration()
        return _Normal(scorer, "nothing: priors alone", width)
    camera = CameraConfig(url=CAMERA, analysis_fps=fps, false_alarms_per_day=request.false_alarms_per_day)
    learnt = calibrate(
        [clip.url for clip in dataset.train],
        camera=camera,
        runner=runner,
        tell=lambda done_s, total_s: progress("calibrating", done_s, total_s),
        model_width=width,
    )
    return _Normal(
        learnt.scorer,
        f"{len(dataset.train)} train clip{'s' * (len(dataset.train) != 1)}, {learnt.seconds:.0f} s of normal footage",
        width,
    )


def _judged(clip: _Measured, analysed: Sequence[FrameScore], *, every_frame: bool) -> JudgedClip:
    if every_frame and len(analysed) != clip.frames:
        raise DatasetError(
            f"{clip.source.path}: {len(analysed)} of {clip.frames} frames were judged, the others bear no time of "
            "their own; allowed: a clip whose frames' time stamps rise"
        )
    times_s = _times_s(analysed, fps=clip.fps)
    frame_times_s = times_s if every_frame else clip.frame_times_s
    last = np.maximum(np.searchsorted(times_s, frame_times_s + 1e-6, side="right") - 1, 0)  # (F,) last analysed frame
    scores = [analysed[index] for index in last]
    extents = {_extent(score.frame.geometry) for score in analysed}
    reported = [_reported(score) for score in analysed]
    return JudgedClip(
        source=clip.source,
        fps=clip.fps,
        labels=clip.labels,
        scores=np.array([score.score for score in scores], np.float64),
        thresholds=np.array([score.threshold for score in scores], np.float64),
        flagged=np.array([score.is_anomalous for score in scores], np.bool_),
        judged=np.array([score.stage is not Stage.COLD for score in scores], np.bool_),
        cue_scores=np.array([[s.evidence.get(reason, 0.0) for reason in REASONS] for s in scores], np.float64),
        health=tuple(score.health for score in scores),
        times_s=frame_times_s,
        incidents=_incidents(analysed, np.minimum(np.searchsorted(frame_times_s, times_s - 1e-6), clip.frames - 1)),
        reported=tuple(reported[index] for index in last),
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


def _incidents(scores: Sequence[FrameScore], frame_of: NDArray[np.int64]) -> tuple[Incident, ...]:
    """``frame_of`` (analysed frames,) is each analysed frame's index in the clip."""
    opened: dict[str, int] = {}
    incidents = []
    for index, score in zip(frame_of.tolist(), scores, strict=True):
        for event in score.events:
            if event.type is EventType.OPENED:
                opened[event.incident] = index
            elif event.type is EventType.CLOSED:
                reasons = tuple(reason.value for reason in event.reasons)
                incidents.append(Incident(opened.pop(event.incident), index, reasons))
    return tuple(incidents)
