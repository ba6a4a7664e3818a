"""Time stamps that cannot be true are replaced, before anything else looks at them.

A camera may stamp one frame hours away from its neighbours, all frames alike, or 25 a second where 21 come. Packets of
a live stream pass through here as they are read, and leave with stamps that rise as time does. What is left to the run
is a jump that persists: the camera has begun a new time line.

Sources: a lone stamp far off, bluenviron/mediamtx pull request 6255; stamps all alike, Frigate issue 4131; stamps at
another rate than the frames, open-nvr issue 229.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from av import Packet
from av.video.stream import VideoStream

from vad.types import ClockFault
from vad.video.timing import LONGEST_GAP_S, REORDER_S

STANDS_S = 1.0
"""Stamps that do not change for that long, while packets arrive, stand still."""

NEW_TIMELINE_PACKETS = 3
"""So many packets in a row that continue each other elsewhere are a new time line; fewer are outliers."""

WINDOW_S = 10.0
LEAST_WINDOWS, MOST_WINDOWS = 7, 13
"""The rate is judged over one to two minutes: a network that holds packets up for a while delays them, too."""
RATE_TOLERANCE = 0.02
LEAST_DRIFT_S = 2.4
"""The stamps must have gone astray by so much in that time, and steadily: two minutes at the tolerated rate."""
CALM_WINDOWS = 3
"""A rate that was wrong is right again once it has been for so many windows."""
RATIO_RANGE = (0.5, 2.0)
"""Beyond it no clock is wrong: the stream is a recording that is sent faster or slower than it happened."""
FRESH_S = 1e-3
"""A packet that was waited for that long has not been waiting itself."""


class StampRepair:
    """One live stream's, in the order of decoding. ``outliers`` counts single stamps that were replaced.

    ``ratio`` is media seconds by the camera's stamps for each second that passed, None until it was measured.
    """

    def __init__(self) -> None:
        self.outliers = 0
        self.stands_still = False
        self._rate = _RateCheck()
        self._tick_s = 0.0
        self._in_s = self._out_s = self._read_s = 0.0  # the last packet's: its stamp, what it left with, when it came
        self._has_begun = False
        self._interval_s = 0.0
        self._astray = 0  # packets since the last one that went on from its predecessor
        self._elsewhere: list[float] = []  # the stamps of those of them that continue each other
        self._changed_s = 0.0  # when a stamp last differed from the one before

    @property
    def ratio(self) -> float | None:
        return self._rate.ratio

    @property
    def fault(self) -> ClockFault | None:
        """What is wrong with the stamps at present."""
        if self.stands_still:
            return ClockFault.NO_CLOCK
        return ClockFault.RATE if self._rate.correction != 1.0 else None

    def mend(self, packet: Packet[VideoStream], *, read_s: float, is_fresh: bool) -> None:
        """Replace the packet's stamps where they cannot be true. It was read at the monotonic ``read_s``, and
        ``is_fresh`` if it was waited for, by a machine that keeps up."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or packet.time_base is None:
            return
        if not self._tick_s:
            self._tick_s = float(packet.time_base)
        stamp_s = stamp * self._tick_s
        out_s = self._placed_s(stamp_s, read_s, is_fresh=is_fresh)
        shift = round((out_s - stamp_s) / self._tick_s)
        if shift:
            packet.dts = None if packet.dts is None else packet.dts + shift
            packet.pts = None if packet.pts is None else packet.pts + shift

    def _placed_s(self, stamp_s: float, read_s: float, *, is_fresh: bool) -> float:
        if not self._has_begun:
            self._has_begun, self._changed_s = True, read_s
            return self._go_on(stamp_s, stamp_s, read_s)
        step_s = stamp_s - self._in_s
        if step_s != 0.0:
            self._changed_s = read_s
        elif read_s - self._changed_s > STANDS_S and not self.stands_still:
            self.stands_still, self._read_s = True, self._changed_s  # the time until now has passed, too
        if self.stands_still:
            return self._go_on(stamp_s, self._out_s + max(self._tick_s, read_s - self._read_s), read_s)
        if self._is_elsewhere(step_s, read_s - self._read_s) and not self._is_new_timeline(stamp_s):
            self._astray += 1
            return self._out_s + self._astray * self._interval_s
        self._leave_elsewhere()
        if is_fresh:
            self._rate.note(stamp_s, read_s)
        if 0.0 < step_s < LONGEST_GAP_S:
            self._interval_s = step_s if not self._interval_s else 0.9 * self._interval_s + 0.1 * step_s
        return self._go_on(stamp_s, self._out_s + step_s / self._rate.correction, read_s)

    def _go_on(self, stamp_s: float, out_s: float, read_s: float) -> float:
        self._in_s, self._out_s, self._read_s, self._astray = stamp_s, out_s, read_s, 0
        return out_s

    def _is_elsewhere(self, step_s: float, passed_s: float) -> bool:
        """Whether a stamp lies where no packet of this time line can: behind the last one, or ahead of the time."""
        return step_s < -REORDER_S or (step_s > LONGEST_GAP_S and step_s - passed_s > LONGEST_GAP_S)

    def _is_new_timeline(self, stamp_s: float) -> bool:
        if self._elsewhere and not -REORDER_S <= stamp_s - self._elsewhere[-1] <= LONGEST_GAP_S:
            self.outliers += len(self._elsewhere)
            self._elsewhere.clear()
        self._elsewhere.append(stamp_s)
        return len(self._elsewhere) >= NEW_TIMELINE_PACKETS

    def _leave_elsewhere(self) -> None:
        """This packet goes on from the last one, or from the new time line."""
        if len(self._elsewhere) >= NEW_TIMELINE_PACKETS:
            self._rate.begin_anew()
        else:
            self.outliers += len(self._elsewhere)
        self._elsewhere.clear()


class _RateCheck:
    """How fast the stamps run, by how the least delay from stamp to arrival changes from one window to the next."""

    def __init__(self) -> None:
        self.ratio: float | None = None
        self.correction = 1.0  # what steps between stamps are divided by
        self.begin_anew()

    def begin_anew(self) -> None:
        """The stamps were set: what was noted is of another time line."""
        self._least_s: deque[float] = deque(maxlen=MOST_WINDOWS)  # delay from stamp to arrival, of each window
        self._window_ends_s: float | None = None

    def note(self, stamp_s: float, read_s: float) -> None:
        delay_s = read_s - stamp_s
        if self._window_ends_s is None or read_s >= self._window_ends_s + WINDOW_S:  # at first, or after a pause
            self.begin_anew()
            self._window_ends_s = read_s + WINDOW_S
            self._least_s.append(delay_s)
        elif read_s < self._window_ends_s:
            self._least_s[-1] = min(self._least_s[-1], delay_s)
        else:
            self._judge()
            self._window_ends_s += WINDOW_S
            self._least_s.append(delay_s)

    def _judge(self) -> None:
        """A window is over."""
        least_s = list(self._least_s)
        grows = [(after - before) / WINDOW_S for before, after in pairwise(least_s)]
        lately = grows[-CALM_WINDOWS:]
        if len(lately) == CALM_WINDOWS and all(abs(grown) < RATE_TOLERANCE / 2 for grown in lately):
            self.correction = 1.0
        if len(least_s) < LEAST_WINDOWS:
            return
        mean = sum(grows) / len(grows)
        self.ratio = 1.0 - mean
        drift_s = abs(least_s[-1] - least_s[0])
        is_steady = all(abs(grown - mean) < 0.5 * abs(mean) for grown in grows)
        if drift_s > LEAST_DRIFT_S and is_steady and RATIO_RANGE[0] < self.ratio < RATIO_RANGE[1]:
            self.correction = self.ratio
