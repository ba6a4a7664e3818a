"""Detection of regions and of tracks: RBDC and TBDC.

After Ramachandra & Jones, "Street Scene: A new dataset and evaluation protocol for video anomaly detection", WACV 2020.
A true region is found when a reported one overlaps it with an intersection over union of at least ``BETA``; a track is
found when at least the share ``ALPHA`` of its regions is; a reported region that overlaps no true one that much is a
false positive. Each criterion is the area under the share found over the false positives per frame, from 0 to 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vad.evaluation.measures import Measure, Undefined, Values
from vad.video.boxes import Box

ALPHA = 0.1
BETA = 0.1
Boxes = NDArray[np.float64]  # (R, 4): x0, y0, x1, y1, half-open, in fractions of the picture


@dataclass(frozen=True, slots=True)
class Reported:
    """What was reported in one frame."""

    boxes: Boxes
    scores: Values  # (R,)


@dataclass(frozen=True, slots=True)
class Truth:
    """What there was in one frame."""

    boxes: Boxes
    tracks: tuple[int, ...]  # (R,) which track of the clip each box belongs to


def truth_of(masks: NDArray[np.bool_]) -> list[Truth]:
    """The boxes of a clip's pixel masks (frames, height, width), linked to tracks.

    A box surrounds one 8-connected component. A component continues the track of that component of the frame before
    with which it shares most pixels, unless a larger share has taken it; otherwise it begins a track.
    """
    _, height, width = masks.shape
    size = np.array([width, height, width, height], np.float64)
    frames: list[Truth] = []
    before = np.zeros((height, width), np.int32)  # track of each pixel, plus one
    tracks = 0
    for mask in masks:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        linked = _linked(labels, before, count)
        of = [0]
        for component in range(1, count):
            if component not in linked:
                tracks += 1
            of.append(linked.get(component, tracks))
        x, y, w, h = stats[1:, :4].T.astype(np.float64)
        frames.append(Truth(np.stack((x, y, x + w, y + h), axis=1) / size, tuple(track - 1 for track in of[1:])))
        before = np.array(of, np.int32)[labels]
    return frames


def truth_of_boxes(boxes: Sequence[Box]) -> Truth:
    """Of one frame."""
    corners = [(box.x0, box.y0, box.x1, box.y1) for box in boxes]
    return Truth(np.array(corners, np.float64).reshape(-1, 4), tuple(box.track for box in boxes))


def _linked(labels: NDArray[np.int32], before: NDArray[np.int32], count: int) -> dict[int, int]:
    """{component: track it continues}: greatest overlap first, each track once."""
    both = (labels > 0) & (before > 0)
    pairs, shared = np.unique(np.stack((labels[both], before[both])), axis=1, return_counts=True)
    linked: dict[int, int] = {}
    for index in np.argsort(-shared, kind="stable"):
        component, track = int(pairs[0, index]), int(pairs[1, index])
        if component not in linked and track not in linked.values():
            linked[component] = track
    return linked


def overlaps(a: Boxes, b: Boxes) -> Values:
    """(len(a), len(b)) intersection over union."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.clip(high - low, 0.0, None).prod(axis=2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b))
    union = area_a[:, None] + area_b[None, :] - both
    return np.where(union > 0.0, both / np.where(union > 0.0, union, 1.0), 0.0)


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Everything that happens as the threshold falls."""

    false_scores: Values  # of each reported region that matches nothing
    region_scores: Values  # for each true region, the score that finds it; -inf = never
    track_scores: Values  # likewise
    frames: int


def region_and_track_detection(
    reported: Sequence[Sequence[Reported]], truth: Sequence[Sequence[Truth]]
) -> tuple[Measure, Measure]:
    """(RBDC, TBDC) of clips, each a sequence of frames."""
    ranked = _rank(reported, truth)
    if ranked.region_scores.size == 0:
        none = Undefined("no mask or box shows anything abnormal")
        return none, none
    return _area(ranked.region_scores, ranked), _area(ranked.track_scores, ranked)


def _rank(reported: Sequence[Sequence[Reported]], truth: Sequence[Sequence[Truth]]) -> _Ranked:
    false: list[float] = []
    regions: list[float] = []
    tracks: list[float] = []
    frames = 0
    for clip_reported, clip_truth in zip(reported, truth, strict=True):
        found: dict[int, list[float]] = defaultdict(list)
        for said, true in zip(clip_reported, clip_truth, strict=True):
            frames += 1
            matches = overlaps(said.boxes, true.boxes) >= BETA  # (reported, true)
            false += [float(score) for score in said.scores[~matches.any(axis=1)]]
            best = np.where(matches, said.scores[:, None], -np.inf).max(axis=0, initial=-np.inf)
            for track, score in zip(true.tracks, best, strict=True):
                found[track].append(float(score))
        for scores in found.values():
            regions += scores
            needed = max(1, int(np.ceil(ALPHA * len(scores) - 1e-9)))
            tracks.append(sorted(scores, reverse=True)[needed - 1])
    return _Ranked(np.array(false), np.array(regions), np.array(tracks), frames)


def _area(found_at: Values, ranked: _Ranked) -> float:
    """Area under the share found over false positives per frame, 0 to 1.

    Straight lines between the thresholds; beyond the last false positive the curve stays where it is.
    """
    thresholds = np.unique(np.concatenate((ranked.false_scores, found_at[np.isfinite(found_at)])))[::-1]
    rate = np.array([(ranked.false_scores >= t).sum() for t in thresholds]) / ranked.frames
    share = np.array([(found_at >= t).sum() for t in thresholds]) / found_at.size
    rate, share = np.concatenate(([0.0], rate)), np.concatenate(([0.0], share))
    if rate[-1] >= 1.0:
        over = int(np.argmax(rate >= 1.0))  # the first threshold with that many
        rate, share = rate[: over + 1], share[: over + 1]
    end = float(np.interp(1.0, rate, share))
    inside = rate < 1.0
    return float(np.trapezoid(np.append(share[inside], end), np.append(rate[inside], 1.0)))
