"""How well scores rank abnormal frames above normal ones. A measure without a meaning on the data says why.

``labels`` are (N,) bool, True where abnormal; ``scores`` (N,) finite, higher where more anomalous. Equal scores are
treated as one threshold: no measure depends on the order of the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Undefined:
    """No value, and why."""

    reason: str


Measure: TypeAlias = float | Undefined


@dataclass(frozen=True, slots=True)
class Curve:
    """One point for each threshold, from the strictest on; the first point is "nothing is flagged"."""

    thresholds: Values  # (T,) falling, the first is +inf; frames with a score >= threshold are flagged
    true_positives: Values  # (T,) frames
    false_positives: Values  # (T,) frames
    abnormal: int  # frames in all
    normal: int

    @property
    def recall(self) -> Values:
        """True-positive rate."""
        return self.true_positives / self.abnormal

    @property
    def false_positive_rate(self) -> Values:
        return self.false_positives / self.normal

    @property
    def precision(self) -> Values:
        """1.0 where nothing is flagged."""
        flagged = self.true_positives + self.false_positives
        return np.where(flagged > 0, self.true_positives / np.maximum(flagged, 1), 1.0)


def one_class(labels: Flags) -> Undefined | None:
    """Why there is nothing to rank, or None when there is."""
    if labels.size == 0:
        return Undefined("there is no frame")
    if labels.all():
        return Undefined("every frame is abnormal: there is no normal frame to rank below")
    if not labels.any():
        return Undefined("every frame is normal: there is no abnormal frame to find")
    return None


def curve(labels: Flags, scores: Values) -> Curve:
    """All thresholds that make a difference."""
    order = np.argsort(-scores, kind="stable")
    ranked, falling = labels[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)  # of each stretch of equal scores
    hits = np.cumsum(ranked)[last]
    return Curve(
        thresholds=np.concatenate(([np.inf], falling[last])).astype(np.float64),
        true_positives=np.concatenate(([0.0], hits)),
        false_positives=np.concatenate(([0.0], last + 1.0 - hits)),
        abnormal=int(labels.sum()),
        normal=int((~labels).sum()),
    )


def auroc(labels: Flags, scores: Values) -> Measure:
    """Probability that an abnormal frame scores above a normal one; a tie counts half."""
    unclear = one_class(labels)
    if unclear:
        return unclear
    points = curve(labels, scores)
    return float(np.trapezoid(points.recall, points.false_positive_rate))


def average_precision(labels: Flags, scores: Values) -> Measure:
    """Mean precision over the abnormal frames found, each at the threshold that finds it; nothing is interpolated."""
    unclear = one_class(labels)
    if unclear:
        return unclear
    points = curve(labels, scores)
    return float(np.sum(np.diff(points.recall) * points.precision[1:]))


def equal_error_rate(labels: Flags, scores: Values) -> Measure:
    """Where the ROC curve, drawn with straight lines, has as many misses as false alarms, both as rates."""
    unclear = one_class(labels)
    if unclear:
        return unclear
    points = curve(labels, scores)
    false, miss = points.false_positive_rate, 1.0 - points.recall
    after = int(np.argmax(false >= miss))  # at least 1: the curve begins at (0, 1)
    gap_before, gap_after = miss[after - 1] - false[after - 1], false[after] - miss[after]
    share = gap_before / (gap_before + gap_after)
    return float(false[after - 1] + share * (false[after] - false[after - 1]))


def macro_auroc(clips: Sequence[tuple[Flags, Values]]) -> Measure:
    """Mean of the clips' own AUROC. Clips of one kind of frame have none and are left out."""
    each = [auroc(labels, scores) for labels, scores in clips]
    defined = [value for value in each if isinstance(value, float)]
    if not defined:
        return Undefined("no clip holds both normal and abnormal frames")
    return float(np.mean(defined))


def padded_macro_auroc(clips: Sequence[tuple[Flags, Values]]) -> Measure:
    """``macro_auroc`` as some papers have it: each clip gets one normal frame with the lowest score of all and one
    abnormal frame with the highest, so that every clip has an AUROC. Those frames are ranked right by construction:
    the figure flatters, most where clips are all of one kind.

    After Georgescu et al., "A Background-Agnostic Framework with Adversarial Training for Abnormal Event Detection in
    Video", TPAMI 2021, whose evaluation code pads each clip this way.
    """
    if not clips:
        return Undefined("there is no clip")
    lowest = min(float(scores.min()) for _, scores in clips)
    highest = max(float(scores.max()) for _, scores in clips)
    padded = [
        (np.concatenate(([False], labels, [True])), np.concatenate(([lowest], scores, [highest])))
        for labels, scores in clips
    ]
    return macro_auroc(padded)
