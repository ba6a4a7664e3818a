"""What the detector said of one test clip, frame by frame, beside what is true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vad.evaluation.measures import Flags, Values
from vad.evaluation.regions import Reported, Truth
from vad.types import HealthIssue
from vad.video.dataset import ClipSource


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident of a clip, in its frames. ``last`` is the frame at which it closed, or the clip's last."""

    opened: int  # the frame whose score opened it
    last: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JudgedClip:
    """One test clip of F frames."""

    source: ClipSource
    fps: float
    labels: Flags  # (F,) True where abnormal
    scores: Values  # (F,)
    thresholds: Values  # (F,) inf while nothing is judged
    flagged: Flags  # (F,) above the threshold, the picture well
    judged: Flags  # (F,) False while the scorer was cold
    cue_scores: Values  # (F, K) each cue's own -log10 p, in the order of ``vad.scoring.tuning.REASONS``
    health: tuple[HealthIssue | None, ...]  # F
    times_s: Values  # (F,) media time
    incidents: tuple[Incident, ...]
    reported: tuple[Reported, ...]  # F
    truth: tuple[Truth, ...] | None  # F; None when the clip is abnormal somewhere and has neither masks nor boxes
    heats: tuple[NDArray[np.float32] | None, ...]  # F, each (gh, gw) in units of score
    heat_extent: tuple[float, float]  # widths and heights of the picture that the heat maps cover
    reasons: tuple[tuple[str, ...], ...]  # F, the evidences above the threshold

    @property
    def name(self) -> str:
        return self.source.name
