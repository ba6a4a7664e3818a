"""Which cameras kill or hang the process that reads them, found by halving.

When a process dies, any of the cameras that it read may be the cause. They are parted into two halves, and each half is
read in a process of its own: the half without the cause goes on, the other dies again and is halved. Of sixteen cameras
one is alone after four deaths, and all others have lost a few seconds. Who is alone and dies again waits longer and
longer, and holds nobody up.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

FORGIVE_S = 600.0
"""A group in which nothing has died or hung for so long is read with all others again."""

LONGEST_PAUSE_S = 30.0


@dataclass(slots=True)
class _Group:
    cameras: frozenset[str]
    since_s: float  # the last death or hang
    deaths: int = 0  # while it held one camera


class Suspects:
    """Groups of cameras that are read apart. Times are monotonic seconds. One thread at a time.

    Group 0 is everybody else.
    """

    def __init__(self) -> None:
        self._groups: dict[int, _Group] = {}
        self._last = 0

    def group_of(self, camera: str, now_s: float) -> int:
        """The group in whose process the camera is to be read."""
        for number, group in list(self._groups.items()):
            if now_s - group.since_s > FORGIVE_S:
                del self._groups[number]
            elif camera in group.cameras:
                return number
        return 0

    def died(self, cameras: Collection[str], now_s: float) -> None:
        """The process that read these cameras has died."""
        if len(cameras) == 1:
            self._alone(next(iter(cameras)), now_s)
            return
        names = sorted(cameras)
        for half in (names[: len(names) // 2], names[len(names) // 2 :]):
            self._take_out(half)
            self._add(half, now_s, deaths=0)

    def hung(self, camera: str, now_s: float) -> None:
        """The camera's reader did not return, and had to be given up: that is no question of who it was."""
        self._alone(camera, now_s)

    def deaths(self, camera: str) -> int:
        """How many processes have died or hung that read this camera and no other."""
        return next((group.deaths for group in self._groups.values() if camera in group.cameras), 0)

    def pause_s(self, camera: str, now_s: float) -> float:
        """How long the camera must wait until it is read again."""
        for group in self._groups.values():
            if camera in group.cameras and group.deaths > 1:
                return max(0.0, group.since_s + min(LONGEST_PAUSE_S, 2.0 ** (group.deaths - 2)) - now_s)
        return 0.0

    def alone(self, now_s: float) -> int:
        """How many cameras are read in a process of their own."""
        recent = (group for group in self._groups.values() if now_s - group.since_s <= FORGIVE_S)
        return sum(group.deaths > 0 for group in recent)

    def _alone(self, camera: str, now_s: float) -> None:
        deaths = self.deaths(camera)
        self._take_out([camera])
        self._add([camera], now_s, deaths=deaths + 1)

    def _take_out(self, cameras: Collection[str]) -> None:
        for number, group in list(self._groups.items()):
            group.cameras = group.cameras.difference(cameras)
            if not group.cameras:
                del self._groups[number]

    def _add(self, cameras: Collection[str], now_s: float, *, deaths: int) -> None:
        if cameras:
            self._last += 1
            self._groups[self._last] = _Group(frozenset(cameras), now_s, deaths)
