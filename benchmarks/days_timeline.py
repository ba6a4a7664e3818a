"""One simulated day of one camera as a drawing: score over time, planted events, incidents, conditions."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from benchmarks.days_count import DAY_S, PlantedEvent
from benchmarks.days_record import Record
from benchmarks.days_report import CameraResult

WIDTH, LEFT, PLOT, ROW = 960, 90, 120, 9
"""Pixels: whole width, where time begins, height of the score, height of a condition's row."""
BINS = 480
"""Of a drawing; each shows the highest score in it."""
TOP_OF_THRESHOLD = 1.8
"""The drawing's upper edge, times the threshold; higher scores are cut."""
NARROWEST = 1.5  # px
STYLE = """
.alarm { stroke: var(--bad); stroke-width: 1.6; } .shadow { stroke: var(--second); stroke-width: 1; }
.caught { fill: var(--good); opacity: .45; } .missed { fill: var(--bad); opacity: .35; }
.blind { fill: #8a8a8a55; } .condition { fill: var(--line); opacity: .6; }
"""


def timelines(by_budget: Sequence[CameraResult]) -> Iterator[tuple[str, str]]:
    """(heading, SVG) of each day that the camera lived. ``by_budget`` is the same camera under each budget."""
    record = by_budget[0].record
    last_s = record.started_s + record.job.seconds
    for day in range(math.ceil(record.job.seconds / DAY_S)):
        first_s = record.started_s + day * DAY_S
        until_s = min(first_s + DAY_S, last_s)
        yield (
            f"{record.title}, {record.clock(first_s)} to {record.clock(until_s)}",
            _Drawing(record, first_s, until_s).svg(by_budget),
        )


class _Drawing:
    """Of [first_s, last_s)."""

    def __init__(self, record: Record, first_s: float, last_s: float) -> None:
        self._record, self._first_s, self._last_s = record, first_s, last_s
        first, last = record.frame_at(first_s), record.frame_at(last_s) + 1
        self._edges = np.unique(np.linspace(first, last, BINS + 1).astype(int))[:-1]
        self._span = slice(first, last)
        height = record.arrays["threshold"][self._span].astype(np.float32)
        finite = height[np.isfinite(height)]
        self._top = TOP_OF_THRESHOLD * float(finite.min()) if finite.size else 10.0

    def svg(self, by_budget: Sequence[CameraResult]) -> str:
        rows = [name for name in self._record.conditions if self._has(name)]
        height = PLOT + 18 + ROW * len(rows)
        parts = [
            *self._events(by_budget[0]),
            self._blind(),
            *(self._marks(one, "shadow", 0.75) for one in by_budget[1:]),
            self._marks(by_budget[0], "alarm", 0.0),
            self._curve("threshold", "limit"),
            self._curve("score", "curve"),
            *self._hours(),
            *(self._condition(name, PLOT + 18 + ROW * k) for k, name in enumerate(rows)),
        ]
        return f"<svg viewBox='0 0 {WIDTH} {height}' role='img'>{''.join(parts)}</svg>"

    def _x(self, at_s: float) -> float:
        share = (at_s - self._first_s) / (self._last_s - self._first_s)
        return LEFT + (WIDTH - LEFT) * min(1.0, max(0.0, share))

    def _curve(self, name: str, css: str) -> str:
        values = self._record.arrays[name].astype(np.float32)
        highest = np.maximum.reduceat(np.where(np.isfinite(values), values, 0.0)[: self._span.stop], self._edges)
        y = PLOT * (1.0 - np.clip(highest / self._top, 0.0, 1.0))
        x = LEFT + (WIDTH - LEFT) * np.arange(len(y)) / max(1, len(y) - 1)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        return f"<polyline class='{css}' points='{points}'/>"

    def _events(self, camera: CameraResult) -> Iterator[str]:
        for found in camera.matched.found:
            if self._shows(found.event):
                title = html.escape(f"{found.event.kind}, {self._record.clock(found.event.start_s)}")
                css = "caught" if found.incident else "missed"
                yield self._band(found.event.start_s, found.event.end_s, 0, PLOT, css, title=title)

    def _shows(self, event: PlantedEvent) -> bool:
        return event.start_s < self._last_s and event.end_s > self._first_s

    def _band(self, first_s: float, last_s: float, y: float, height: float, css: str, *, title: str = "") -> str:
        x = self._x(first_s)
        width = max(NARROWEST, self._x(last_s) - x)
        inside = f"<title>{title}</title>" if title else ""
        return f"<rect class='{css}' x='{x:.1f}' y='{y:g}' width='{width:.1f}' height='{height:g}'>{inside}</rect>"

    def _marks(self, camera: CameraResult, css: str, from_share: float) -> str:
        """False alarms as upright strokes, from that share of the height down."""
        shown = (one for one in camera.matched.false if self._first_s <= one.opened_s < self._last_s)
        return "".join(
            f"<line class='{css}' x1='{self._x(one.opened_s):.1f}' x2='{self._x(one.opened_s):.1f}' "
            f"y1='{PLOT * from_share:g}' y2='{PLOT}'><title>{html.escape(', '.join(one.reasons))}, "
            f"{self._record.clock(one.opened_s)}</title></line>"
            for one in shown
        )

    def _blind(self) -> str:
        """Where most of a bin was not judged."""
        judged = np.add.reduceat(self._record.is_judged[: self._span.stop].astype(np.int64), self._edges)
        sizes = np.diff(np.append(self._edges, self._span.stop))
        return self._bins(judged < 0.5 * sizes, 0, PLOT, "blind")

    def _has(self, condition: str) -> bool:
        return bool(self._held(condition).any())

    def _held(self, condition: str) -> np.ndarray:
        bits = self._record.arrays["condition_bits"] >> self._record.conditions.index(condition) & 1
        return np.maximum.reduceat(bits[: self._span.stop], self._edges) > 0

    def _condition(self, name: str, y: float) -> str:
        label = f"<text x='0' y='{y + ROW - 1:g}'>{html.escape(name)}</text>"
        return label + self._bins(self._held(name), y, ROW - 2, "condition")

    def _bins(self, flags: np.ndarray, y: float, height: float, css: str) -> str:
        """Bands over the runs of bins that are set."""
        changes = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
        ends = np.append(self._edges, self._span.stop)
        at_s = self._record.started_s + ends / self._record.job.fps
        runs: Iterable[tuple[int, int]] = zip(changes[::2], changes[1::2], strict=True)
        return "".join(self._band(float(at_s[a]), float(at_s[b]), y, height, css) for a, b in runs)

    def _hours(self) -> Iterator[str]:
        step_s = 7200.0 if self._last_s - self._first_s > 6 * 3600.0 else 900.0
        begins_s = self._record.begins_s
        at_s = math.ceil((begins_s + self._first_s) / step_s) * step_s - begins_s
        while at_s < self._last_s:
            yield f"<text x='{self._x(at_s):.1f}' y='{PLOT + 12}'>{self._record.clock(at_s).split()[-1][:5]}</text>"
            at_s += step_s
