"""Charts of the report as SVG, drawn by hand: no dependency, sharp at any size, coloured by the page's style."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vad.evaluation.judged import JudgedClip
from vad.evaluation.measures import Curve, Values
from vad.evaluation.operating_point import Stretch

WIDTH, HEIGHT, LEFT = 960, 150, 34
SIDE = 300
MOST_THRESHOLDS = 3.0
"""Scores are drawn up to that many times the threshold; what is above is cut."""


def top_of(clips: Sequence[JudgedClip]) -> float:
    """One height for all clips, so that their levels can be compared."""
    highest = max(float(clip.scores.max()) for clip in clips)
    thresholds = np.concatenate([clip.thresholds[np.isfinite(clip.thresholds)] for clip in clips])
    if thresholds.size == 0:
        return max(1.0, 1.05 * highest)
    threshold = float(thresholds.max())
    return max(1.0, 1.15 * threshold, min(1.05 * highest, MOST_THRESHOLDS * threshold))


def score_chart(clip: JudgedClip, stretches: Sequence[Stretch], *, top: float) -> str:
    """Score and threshold over frames; bands where the clip is abnormal, a mark where an event opened."""
    frames = len(clip.scores)
    wide = (WIDTH - LEFT) / frames

    def y(score: float) -> float:
        return HEIGHT * (1.0 - min(max(score, 0.0), top) / top)

    bands = "".join(
        f"<rect class='band' x='{LEFT + s.first * wide:.1f}' y='0' width='{(s.last - s.first) * wide:.1f}' "
        f"height='{HEIGHT}'/>"
        for s in stretches
    )
    line = " ".join(f"{LEFT + (index + 0.5) * wide:.1f},{y(score):.1f}" for index, score in _thinned(clip.scores))
    limit = " ".join(
        f"{LEFT + (index + 0.5) * wide:.1f},{y(t):.1f}" for index, t in _thinned(clip.thresholds) if np.isfinite(t)
    )
    marks = "".join(
        f"<path class='event' d='M{LEFT + (i.opened + 0.5) * wide:.1f} {HEIGHT + 1} l-5 9 h10 z'/>"
        for i in clip.incidents
    )
    return (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT + 26}' role='img' aria-label='score over time'>{bands}"
        f"{_rules(top)}<polyline class='limit' points='{limit}'/><polyline class='curve' points='{line}'/>{marks}"
        f"{_time_ticks(clip)}</svg>"
    )


def _thinned(values: Values) -> list[tuple[int, float]]:
    """(frame, value): all, or, of a long clip, the least and the greatest of those that share a pixel column."""
    if len(values) <= 2 * WIDTH:
        return [(index, float(value)) for index, value in enumerate(values)]
    kept = []
    for part in np.array_split(np.arange(len(values)), WIDTH):
        ends = {int(part[np.argmin(values[part])]), int(part[np.argmax(values[part])])}
        kept += [(index, float(values[index])) for index in sorted(ends)]
    return kept


def _rules(top: float) -> str:
    step = next(s for s in (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 1e9) if top / s <= 4.5)
    lines = ""
    for count in range(int(top / step) + 1):
        at = HEIGHT * (1.0 - count * step / top)
        lines += (
            f"<line class='rule' x1='{LEFT}' x2='{WIDTH}' y1='{at:.1f}' y2='{at:.1f}'/>"
            f"<text x='{LEFT - 6}' y='{max(9.0, at + 4):.1f}' text-anchor='end'>{count * step:g}</text>"
        )
    return lines


def _time_ticks(clip: JudgedClip) -> str:
    length_s = len(clip.scores) / clip.fps
    return "".join(
        f"<text x='{LEFT + share * (WIDTH - LEFT):.0f}' y='{HEIGHT + 22}' "
        f"text-anchor='{'start' if share == 0 else 'end' if share == 1 else 'middle'}'>{share * length_s:.1f} s</text>"
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )


def roc_chart(live: Curve, literature: Curve, *, at: tuple[float, float] | None) -> str:
    """``at`` is (false-positive rate, recall) of the operating point."""
    paths = _path(literature.false_positive_rate, literature.recall, "second") + _path(
        live.false_positive_rate, live.recall, "curve"
    )
    diagonal = f"<line class='limit' x1='0' y1='{SIDE}' x2='{SIDE}' y2='0'/>"
    return _square("ROC curve", "normal frames flagged", "abnormal frames flagged", diagonal + paths + _dot(at))


def precision_recall_chart(live: Curve, literature: Curve, *, at: tuple[float, float] | None) -> str:
    """``at`` is (recall, precision) of the operating point. The dashed line is flagging everything."""
    share = live.abnormal / (live.abnormal + live.normal)
    chance = f"<line class='limit' x1='0' x2='{SIDE}' y1='{SIDE * (1 - share):.1f}' y2='{SIDE * (1 - share):.1f}'/>"
    # before the first frame is flagged there is no precision to draw
    paths = _path(literature.recall[1:], literature.precision[1:], "second") + _path(
        live.recall[1:], live.precision[1:], "curve"
    )
    return _square("precision and recall", "abnormal frames flagged", "flags that are right", chance + paths + _dot(at))


def _path(x: Values, y: Values, style: str) -> str:
    points: list[str] = []
    for across, up in zip(x, y, strict=True):
        point = f"{across * SIDE:.1f},{(1.0 - up) * SIDE:.1f}"
        if not points or points[-1] != point:
            points.append(point)
    return f"<polyline class='{style}' points='{' '.join(points)}'/>"


def _dot(at: tuple[float, float] | None) -> str:
    return "" if at is None else f"<circle class='point' cx='{at[0] * SIDE:.1f}' cy='{(1 - at[1]) * SIDE:.1f}' r='5'/>"


def _square(name: str, across: str, up: str, inside: str) -> str:
    ticks = "".join(
        f"<text x='{value * SIDE:.0f}' y='{SIDE + 15}' text-anchor='middle'>{value:g}</text>"
        f"<text x='-6' y='{(1 - value) * SIDE + 4:.0f}' text-anchor='end'>{value:g}</text>"
        for value in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    return (
        f"<svg viewBox='-50 -8 {SIDE + 64} {SIDE + 44}' role='img' aria-label='{name}'>"
        f"<rect class='frame' width='{SIDE}' height='{SIDE}'/>{inside}{ticks}"
        f"<text x='{SIDE / 2}' y='{SIDE + 32}' text-anchor='middle'>{across}</text>"
        f"<text transform='translate(-38 {SIDE / 2}) rotate(-90)' text-anchor='middle'>{up}</text></svg>"
    )


def delay_chart(stretches: Sequence[Stretch]) -> str:
    """One row for each stretch: how long it took to an event, or that none came."""
    caught = [stretch.delay_s for stretch in stretches if stretch.delay_s is not None]
    longest_s = max([1.0, *caught])
    row, label = 20, 190
    wide = (WIDTH - label - 90) / longest_s
    rows = ""
    for index, stretch in enumerate(stretches):
        y = index * row
        name = f"{stretch.clip}, frames {stretch.first} to {stretch.last - 1}"
        rows += f"<text x='{label - 8}' y='{y + 14}' text-anchor='end'>{_escape(name)}</text>"
        if stretch.delay_s is None:
            rows += f"<text class='missed' x='{label}' y='{y + 14}'>missed: no event</text>"
        else:
            length = max(2.0, stretch.delay_s * wide)
            rows += f"<rect class='bar' x='{label}' y='{y + 4}' width='{length:.1f}' height='12'/>"
            rows += f"<text x='{label + length + 6:.1f}' y='{y + 14}'>{stretch.delay_s:.1f} s</text>"
    height = row * len(stretches)
    return f"<svg viewBox='0 0 {WIDTH} {height}' role='img' aria-label='delay of each event'>{rows}</svg>"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
