"""Judged clips made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vad.evaluation.judged import Incident, JudgedClip
from vad.evaluation.regions import Reported
from vad.video.dataset import ClipSource


def judged(
    labels: Sequence[int],
    scores: Sequence[float] | None = None,
    *,
    opened: Sequence[int] = (),
    name: str = "a",
    fps: float = 10.0,
    threshold: float = 5.0,
) -> JudgedClip:
    """A clip with these labels and scores, an event opened at each frame of ``opened``, no masks."""
    frames = len(labels)
    values = np.array(scores if scores is not None else np.zeros(frames), float)
    nothing = Reported(np.zeros((0, 4)), np.zeros(0))
    return JudgedClip(
        source=ClipSource(name, Path(f"{name}.mp4")),
        fps=fps,
        labels=np.array(labels, bool),
        scores=values,
        thresholds=np.full(frames, threshold),
        flagged=values > threshold,
        judged=np.ones(frames, bool),
        cue_scores=values[:, None],
        health=(None,) * frames,
        times_s=np.arange(frames) / fps,
        incidents=tuple(Incident(frame, frames - 1, ("speed",)) for frame in opened),
        reported=(nothing,) * frames,
        truth=None,
        heats=(None,) * frames,
        heat_extent=(1.0, 1.0),
        reasons=((),) * frames,
    )
