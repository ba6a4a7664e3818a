"""Two ways of turning the same scores into figures: as an operator meets them, and as papers print them.

``live`` takes the scores as they fell: causal, the frames of all clips in one pool, one threshold for them all.
``literature`` first smooths each clip with a Gaussian that looks both ways and then stretches it from 0 to 1 by its own
least and greatest score. Both use what only the future tells, and the stretching hides wrong levels between clips, so
its figures cannot be had from a camera; they are there to be compared with published tables.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vad.evaluation.judged import JudgedClip
from vad.evaluation.measures import (
    Flags,
    Measure,
    Undefined,
    Values,
    auroc,
    average_precision,
    equal_error_rate,
    macro_auroc,
    padded_macro_auroc,
)
from vad.evaluation.regions import region_and_track_detection

LITERATURE_SIGMA_S = 0.5
"""Standard deviation of the literature protocol's smoothing. Papers choose it per dataset; this one is fixed, at about
the scale of the causal smoothing that the scores have had already."""
GAUSSIAN_REACH = 4.0
"""Standard deviations at which the Gaussian is cut."""

Measures = dict[str, Measure]


def live(clips: Sequence[JudgedClip]) -> Measures:
    """The headline. ``rbdc`` and ``tbdc`` need masks or boxes of every clip with something abnormal in it."""
    measures = frame_measures([(clip.labels, clip.scores) for clip in clips])
    without = [clip.name for clip in clips if clip.truth is None]
    if without:
        missing: Measure = Undefined(f"neither pixel masks nor boxes of {', '.join(without)}")
        return {**measures, "rbdc": missing, "tbdc": missing}
    rbdc, tbdc = region_and_track_detection([clip.reported for clip in clips], [clip.truth or () for clip in clips])
    return {**measures, "rbdc": rbdc, "tbdc": tbdc}


def literature(clips: Sequence[JudgedClip]) -> Measures:
    """The same frame measures of normalised and smoothed scores; regions have no such protocol."""
    return frame_measures([(clip.labels, as_in_papers(clip.scores, fps=clip.fps)) for clip in clips])


def frame_measures(clips: Sequence[tuple[Flags, Values]]) -> Measures:
    """Micro = all frames in one pool; macro = the mean over clips."""
    labels = np.concatenate([labels for labels, _ in clips])
    scores = np.concatenate([scores for _, scores in clips])
    return {
        "auroc_micro": auroc(labels, scores),
        "auroc_macro": macro_auroc(clips),
        "auroc_macro_padded": padded_macro_auroc(clips),
        "average_precision": average_precision(labels, scores),
        "eer": equal_error_rate(labels, scores),
    }


def as_in_papers(scores: Values, *, fps: float) -> Values:
    """(F,) smoothed both ways, then 0 at the clip's least and 1 at its greatest (all 0 where it is constant)."""
    smooth = smoothed(scores, sigma_frames=LITERATURE_SIGMA_S * fps)
    low, high = float(smooth.min()), float(smooth.max())
    return (smooth - low) / (high - low) if high > low else np.zeros_like(smooth)


def smoothed(scores: Values, *, sigma_frames: float) -> Values:
    """A centred Gaussian mean; beyond the ends the clip is mirrored (its last frame repeated first)."""
    reach = int(np.ceil(GAUSSIAN_REACH * sigma_frames))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma_frames, 1e-9)) ** 2)
    return np.convolve(np.pad(scores, reach, mode="symmetric"), weights / weights.sum(), mode="valid")
