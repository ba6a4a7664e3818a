"""``vad probe`` as its user sees it: what a stream is, and how wide its picture would be analysed."""

from __future__ import annotations

from av import VideoFrame

from vad.config import CameraConfig, ModelSettings
from vad.model.making import make_runner
from vad.model.weights import load_weights
from vad.pipeline.choose_width import CLIP_LENGTH, NAME, Choice, Watcher
from vad.pipeline.window import ClipWindow
from vad.types import Clip, Frame, Geometry, WallSource
from vad.video.luma import luma_of
from vad.video.probe import MODEL_WIDTH, probe
from vad.video.timing import Selector

LEAST_PEOPLE = 1
"""It looks for a few seconds only, and says of how many it speaks."""


def probe_lines(config: CameraConfig, *, duration_s: float) -> list[str]:
    """One fact a line. Raises StreamError, see ``vad.video.probe``."""
    pictures = _Pictures(config)
    report = probe(config, duration_s=duration_s, see=pictures.take)
    return [*report.lines(), f"{'width':<11} {_said(pictures.choice())}"]


class _Pictures:
    """What is seen while the stream is measured; looked at afterwards, so that nothing is late meanwhile."""

    def __init__(self, config: CameraConfig) -> None:
        self._selector, self._window = Selector(config.analysis_fps), ClipWindow(CLIP_LENGTH)
        self._clips: list[Clip] = []
        self._last: Frame | None = None
        self._last_s = 0.0

    def take(self, picture: VideoFrame, at_s: float, grid: Geometry) -> None:
        step_s, self._last_s = at_s - self._last_s, at_s
        last = self._last
        if not self._selector.wants(at_s, step_s=step_s) or (last is not None and last.geometry != grid):
            return
        index, luma = last.index + 1 if last is not None else 0, luma_of(picture, grid, None)
        self._last = Frame(NAME, 0, index, at_s, 0.0, WallSource.FILE, 0.0, grid, luma)
        self._keep(self._window.push(self._last))

    def choice(self) -> Choice:
        self._keep(self._window.flush())
        model = ModelSettings()
        watcher = Watcher(make_runner(load_weights(model.weights), device="cpu", threads=model.threads, max_batch=1))
        for clip in self._clips:
            watcher.see(clip)
        return watcher.decide(least_people=LEAST_PEOPLE)

    def _keep(self, clip: Clip | None) -> None:
        self._clips += [clip] if clip is not None else []


def _said(choice: Choice) -> str:
    if choice.person_px is None:
        return f"{choice.width} px: no people were seen to walk by, and it stays there until some are"
    who = "1 person was seen" if choice.people == 1 else f"{choice.people} people were seen, a quarter of them at most"
    return f"{choice.width} px: {who}, {choice.person_px:.0f} px tall at {MODEL_WIDTH} px"
