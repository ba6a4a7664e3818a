"""Which cameras are kept apart, since one of them may be what kills or hangs the processes that read it.

Nothing here knows a process, a clock or a thread: ``ReaderProcesses`` tells what happened, and asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

POOL = 0
"""The group of all whom nobody suspects."""

FORGIVE_S = 600.0
"""A group that lived for so long is forgiven: the next session of each of its cameras is with the others again."""
LONGEST_FORGIVE_S = 86_400.0
"""For a camera that is known to be the one, after four times."""
LONGEST_PAUSE_S = 30.0
MOST_SHARED = 8
"""Deaths among others after which a camera waits too: nobody is to be found alone, however often they are halved."""
MOST_GROUPS = 16
"""A process takes a hundred MB. What would need one more shares that of the fewest."""


@dataclass(slots=True)
class _Case:
    group: int
    since_s: float
    deaths: int = 0  # of processes that read nothing else
    hangs: int = 0
    shared: int = 0  # deaths of processes that read others too

    @property
    def forgiven_s(self) -> float:
        times = min(self.deaths + self.hangs, 10)
        return min(LONGEST_FORGIVE_S, FORGIVE_S * 4.0**times)


class Suspects:
    """Groups of cameras; each but ``POOL`` is to have a process of its own. Not for several threads.

    A process that dies with many cameras says only that one of them may have done it. They are halved, each half a
    group, again and again: the one that does it is alone after log2 of their number, and the others are done as soon as
    they are in the half without it. One that had just come, or of which the process said what no reader says, is tried
    alone first, once: a process that is not to be trusted may say that of any.
    """

    def __init__(self) -> None:
        self._cases: dict[str, _Case] = {}
        self._last = POOL

    def group(self, camera: str) -> int:
        """Where its next session shall be."""
        case = self._cases.get(camera)
        return POOL if case is None else case.group

    def deaths(self, camera: str) -> int:
        """How many processes it has killed that read nothing else, since it was last forgiven."""
        case = self._cases.get(camera)
        return 0 if case is None else case.deaths

    @property
    def alone(self) -> list[str]:
        """Cameras that are known to be the one."""
        return sorted(camera for camera, case in self._cases.items() if case.deaths + case.hangs)

    def died(self, cameras: Collection[str], now_s: float, *, likely: str | None = None) -> None:
        """A process that read these has died, or was killed for what it said. ``likely``: the only one of them that had
        just come, or of which it spoke."""
        suspects = sorted(set(cameras))
        if not suspects:
            return
        if len(suspects) == 1:
            self._put_alone(suspects[0], now_s).deaths += 1
            return
        half = (len(suspects) + 1) // 2
        parts = suspects[:half], suspects[half:]
        if likely is not None and likely not in self._cases:
            parts = [likely], [camera for camera in suspects if camera != likely]
        for some in parts:
            self._put(some, now_s)
        for camera in suspects:
            self._cases[camera].shared += 1

    def hung(self, camera: str, now_s: float) -> None:
        """Its reader hangs, nobody else's."""
        self._put_alone(camera, now_s).hangs += 1

    def pause_s(self, camera: str) -> float:
        """How long it waits before it is read again, after the last death: not at all while it has only been there."""
        case = self._cases.get(camera)
        deaths = 0 if case is None else case.deaths + max(0, case.shared - MOST_SHARED)
        return min(LONGEST_PAUSE_S, 2.0 ** (min(deaths, 10) - 2)) if deaths else 0.0

    def has(self, group: int) -> bool:
        """Whether anybody is in it."""
        return self._size(group) > 0

    def forgive(self, now_s: float) -> None:
        """Forget what is long ago."""
        groups: dict[int, list[str]] = {}
        for camera, case in self._cases.items():
            groups.setdefault(case.group, []).append(camera)
        for cameras in groups.values():
            if all(now_s - self._cases[camera].since_s >= self._cases[camera].forgiven_s for camera in cameras):
                for camera in cameras:
                    self.forget(camera)

    def forget(self, camera: str) -> None:
        """It has gone, or is forgiven."""
        self._cases.pop(camera, None)

    def _put_alone(self, camera: str, now_s: float) -> _Case:
        case = self._cases.get(camera)
        if case is None or self._size(case.group) > 1:
            self._put([camera], now_s)
        self._cases[camera].since_s = now_s
        return self._cases[camera]

    def _put(self, cameras: Iterable[str], now_s: float) -> None:
        group = self._new_group()
        for camera in cameras:
            before = self._cases.get(camera) or _Case(group, now_s)
            self._cases[camera] = replace(before, group=group, since_s=now_s)

    def _new_group(self) -> int:
        groups = {case.group for case in self._cases.values()}
        if len(groups) < MOST_GROUPS:
            self._last += 1
            return self._last
        return min(groups, key=lambda group: (self._size(group), group))

    def _size(self, group: int) -> int:
        return sum(case.group == group for case in self._cases.values())
