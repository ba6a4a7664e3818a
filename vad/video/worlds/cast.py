"""Who is there when: appearances, filed by the minute in which they begin, made only when somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from vad.video.synthetic.traffic import Track

WINDOW_S = 60.0


@dataclass(slots=True, eq=False)
class Appearance:
    """Bodies that come and go together: ``build`` makes their tracks, which lie in [start_s, end_s) of world time."""

    start_s: float
    end_s: float
    build: Callable[[], Sequence[Track]]
    tracks: Sequence[Track] | None = None

    def made(self) -> Sequence[Track]:
        """Its tracks, built on the first call."""
        if self.tracks is None:
            self.tracks = self.build()
        return self.tracks


Source = Callable[[int], Iterable[Appearance]]
"""Gives the appearances that begin in a window, [n * WINDOW_S, (n + 1) * WINDOW_S) of world time."""


@dataclass(slots=True)
class Cast:
    """Finds who is present at a frame. ``reach`` is how many windows back somebody still present may have begun."""

    fps: float
    sources: Sequence[Source]
    reach: int
    _windows: dict[int, list[Appearance]] = field(default_factory=dict)
    _present: list[Track] = field(default_factory=list)
    _valid: range = range(0)  # frames for which ``_present`` holds

    def at(self, index: int) -> list[Track]:
        """Everybody present at frame ``index``; must not be changed."""
        if index not in self._valid:
            self._look(index)
        return self._present

    def _look(self, index: int) -> None:
        at_s = index / self.fps
        now = int(at_s // WINDOW_S)
        windows = range(now - self.reach, now + 1)
        self._windows = {n: self._windows[n] if n in self._windows else self._begin(n) for n in windows}
        present: list[Track] = []
        until = int((now + 1) * WINDOW_S * self.fps)
        for appearances in self._windows.values():
            for appearance in appearances:
                if appearance.end_s <= at_s:
                    appearance.tracks = None
                elif appearance.start_s > at_s:
                    until = min(until, int(appearance.start_s * self.fps))
                else:
                    for track in appearance.made():
                        shown = track.first + track.lead
                        if shown <= index < track.end:
                            present.append(track)
                            until = min(until, track.end)
                        elif index < shown:
                            until = min(until, shown)
        self._present, self._valid = present, range(index, max(until, index + 1))

    def _begin(self, window: int) -> list[Appearance]:
        return [appearance for source in self.sources for appearance in source(window)]


def filed(appearances: Iterable[Appearance]) -> Source:
    """A source of appearances known beforehand."""
    windows: dict[int, list[Appearance]] = {}
    for appearance in appearances:
        windows.setdefault(int(appearance.start_s // WINDOW_S), []).append(appearance)
    return lambda window: windows.get(window, ())
