"""What was left out of a camera's score, said once in a while: beams of headlights, insects, rain."""

from __future__ import annotations

from vad.scoring.tuning import LONGEST_STEP_S
from vad.types import CameraEvent, FrameScore, Nuisance

LEAST_S = 1.0
"""So long, within a minute, something must have been left out: less is nobody's business."""

WITHIN_S = 60.0
AGAIN_S = 6 * 3600.0
"""Media time between two events about the same: it may rain all night."""

DETAILS = {
    Nuisance.LIGHT: "beams of light, shadows or fog pass: nothing is raised for them",
    Nuisance.UNSTEADY: "what moves to and fro or too fast for its size (insects, rain, snow) is not raised",
}


class Nuisances:
    """Of one camera. ``step`` each frame's score in order: the events to publish, none in nearly all frames."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self._left_out_s = dict.fromkeys(Nuisance, 0.0)  # lately
        self._rests_s = dict.fromkeys(Nuisance, 0.0)  # until it may be said again
        self._before: tuple[int, float] | None = None  # run and time of the frame before

    def step(self, score: FrameScore) -> list[CameraEvent]:
        """``score`` is of the next frame. A pause of the camera counts as a second."""
        frame = score.frame
        if self._before is not None and self._before[0] == frame.run:
            self._pass(min(max(0.0, frame.pts_s - self._before[1]), LONGEST_STEP_S), score.nuisance)
        self._before = frame.run, frame.pts_s
        kind = score.nuisance
        if kind is None or self._left_out_s[kind] < LEAST_S or self._rests_s[kind] > 0.0:
            return []
        self._rests_s[kind] = AGAIN_S
        detail = f"{kind.value}: {DETAILS[kind]}"
        return [CameraEvent(self.camera, frame.run, state="nuisance", wall_s=frame.wall_s, detail=detail)]

    def _pass(self, step_s: float, now: Nuisance | None) -> None:
        for kind in Nuisance:
            fades = self._left_out_s[kind] * step_s / WITHIN_S
            self._left_out_s[kind] += (step_s if kind is now else 0.0) - fades
            self._rests_s[kind] = max(0.0, self._rests_s[kind] - step_s)
