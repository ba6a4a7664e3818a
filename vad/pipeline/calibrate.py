"""``vad calibrate``: what is normal for one camera, from footage of it and without any training.

The footage goes through the live engine's own stages, so what is learnt is what the camera would have learnt while it
was watching, with two differences: what is given as normal is all learnt, and that nothing more is to come is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vad.config import CameraConfig, ScoringSettings, redact_url
from vad.errors import CalibrationError, StreamCode, StreamError
from vad.model.making import AnyRunner
from vad.pipeline.choose_width import Look, width_for
from vad.pipeline.judge import Judge
from vad.pipeline.scan import Scan
from vad.scoring.incidents import Incidents
from vad.scoring.scorer import ANY_CAMERA, Scorer
from vad.types import Frame, Geometry
from vad.video.reader import Reader
from vad.video.source import open_feed, resolve
from vad.video.spec import ReadEnv, ReadSpec

NAME = "calibration"

LONGEST_COLD_S = 86400.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """A scorer that knows one camera."""

    scorer: Scorer
    seconds: float  # media time it was learnt from
    frames: int  # analysed
    model_width: int  # at which the picture was analysed


@dataclass(frozen=True, slots=True)
class _Video:
    """One recording, looked into."""

    camera: CameraConfig  # with its URL
    geometry: Geometry
    length_s: float | None

    @property
    def shown(self) -> str:
        return redact_url(self.camera.url)


def calibrate(
    videos: Sequence[str],
    *,
    camera: CameraConfig,
    runner: AnyRunner,
    tell: Callable[[float, float], None] = lambda done_s, total_s: None,
    model_width: int | None = None,
) -> Calibration:
    """Learn from the videos, each of them a run of its own of the same camera.

    ``camera`` gives analysis rate, width, masks and zones; its URL is not used. ``tell`` hears (media seconds done, of
    all). ``model_width`` is the width where that was chosen already.
    Raises StreamError for a video that cannot be read to its end, CalibrationError when their picture sizes differ or
    one holds no frame; that is looked at before any of them is learnt from.
    """
    looked_into = [_look_into(video, camera=camera, model_width=runner.card.input_width) for video in videos]
    for video in looked_into:
        _require_same(looked_into[0], video.geometry, video)
    looks = [Look(video.camera) for video in looked_into]
    width = model_width or width_for(camera.model_width, looks, runner=runner)
    total_s = sum(video.length_s or 0.0 for video in looked_into)
    settings = _settings(total_s)
    scorer = Scorer(
        ANY_CAMERA,
        settings=settings,
        false_alarms_per_day=camera.false_alarms_per_day,
        analysis_fps=camera.analysis_fps,
        zones=camera.zones,
    )
    judge = Judge(NAME, scorer, Incidents(NAME, settings=settings))
    run, seconds, frames = 0, 0.0, 0
    for video in looked_into:
        scan = Scan(
            video.camera.url,
            camera=video.camera,
            name=NAME,
            runner=runner,
            judge=judge,
            first_run=run + 1,
            model_width=width,
        )
        for score in scan:
            run, frames = score.frame.run, frames + 1
            _require_same(looked_into[0], score.frame.geometry, video)
            tell(seconds + scan.duration_s, max(total_s, seconds + scan.duration_s))
        seconds += scan.duration_s
    scorer.finish_calibration()
    return Calibration(scorer, seconds, frames, width)


def _settings(total_s: float) -> ScoringSettings:
    """Cold to the end, because a camera leaves out what it flags, and a cold one flags nothing.

    A share of the cold stage teaches what to measure by, and the rest of it how far normal goes.
    """
    live = ScoringSettings()
    cold_s = min(max(total_s, live.warming_after_s), LONGEST_COLD_S)
    return ScoringSettings(warming_after_s=cold_s, calibrated_after_s=max(cold_s, live.calibrated_after_s))


def _look_into(video: str, *, camera: CameraConfig, model_width: int) -> _Video:
    settings = {**camera.model_dump(), "url": video, "realtime": False, "loop": False, "calibration": None}
    config = CameraConfig.model_validate(settings)
    if not config.is_file:
        raise CalibrationError(
            f"{redact_url(video)}: a live camera learns while it is watched; allowed: recorded footage"
        )
    feed = open_feed(resolve(config), camera=NAME, parallel=False)
    feed.close()
    return _Video(config, _geometry(config, model_width=model_width), feed.duration_s)


def _geometry(config: CameraConfig, *, model_width: int) -> Geometry:
    reader = Reader(ReadSpec(NAME, config, model_width), run=1, env=ReadEnv())
    try:
        with reader:
            for item in reader:
                if isinstance(item, Frame):
                    return item.geometry
    except StreamError as error:
        if error.code is not StreamCode.ENDED:
            raise
    raise CalibrationError(f"{redact_url(config.url)}: holds no frame; allowed: footage of the camera")


def _require_same(first: _Video, got: Geometry, video: _Video) -> None:
    allowed = first.geometry
    if not got.has_source_of(allowed):
        raise CalibrationError(
            f"{video.shown}: {got.source_width}x{got.source_height}, but {first.shown} is "
            f"{allowed.source_width}x{allowed.source_height}; allowed: footage of one camera, of one size, turned alike"
        )
