"""Bounded hand-overs between threads.

``ClipMailbox`` keeps a few clips for each camera and drops that camera's oldest when it is full: a slow machine loses
old frames of every camera evenly, and tells. ``Mailbox`` is a plain bounded queue that makes its producer wait; it
exists because ``queue.Queue`` cannot be closed before Python 3.13.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Container, Sequence
from typing import Generic, TypeVar

from vad.types import Clip

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A closable bounded queue: ``put`` waits while it is full, ``take`` gives all there is."""

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Wait for room, then add. False when the mailbox is closed and the item was not taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def put_all(self, items: Sequence[T]) -> None:
        """Wait for room, then add, as much at a time as there is room for. What a closed mailbox is given is gone."""
        left = deque(items)
        with self._changed:
            while left:
                self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
                if self._closed:
                    return
                while left and len(self._items) < self._capacity:
                    self._items.append(left.popleft())
                self._changed.notify_all()

    def put_or_drop_oldest(self, item: T) -> None:
        """Add without waiting; the oldest entry makes room. For values that only matter while fresh."""
        with self._changed:
            if self._closed:
                return
            if len(self._items) >= self._capacity:
                self._items.popleft()
            self._items.append(item)
            self._changed.notify_all()

    def take(self, *, timeout_s: float) -> list[T] | None:
        """Everything there is, oldest first; [] after ``timeout_s`` of nothing; None once closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items, timeout=timeout_s)
            if self._closed and not self._items:
                return None
            items = list(self._items)
            self._items.clear()
            self._changed.notify_all()
            return items

    @property
    def oldest(self) -> T | None:
        """What has waited longest, left where it is."""
        with self._changed:
            return self._items[0] if self._items else None

    def close(self) -> None:
        """No more puts. What is inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class ClipMailbox:
    """Clips of many cameras on their way to one inference thread; at most ``per_camera`` of each."""

    def __init__(self, *, per_camera: int = 6) -> None:
        self._clips: dict[str, deque[Clip]] = {}  # only cameras with a clip; insertion order = waiting order
        self._per_camera = per_camera
        self._gone: list[str] = []
        self._recordings: set[str] = set()  # cameras whose clips wait for room
        self._closed = False
        self._changed = threading.Condition()
        self.is_pressed = False  # the last ``take`` was of a recording, or more cameras were ready

    def __len__(self) -> int:
        with self._changed:
            return sum(len(waiting) for waiting in self._clips.values())

    @property
    def has_any(self) -> bool:
        return bool(self._clips)

    @property
    def is_closed(self) -> bool:
        return self._closed

    def put(self, clip: Clip, *, wait: bool = False) -> Clip | None:
        """Add a clip. Returns the clip that was lost for it: the camera's oldest, or this one when closed.

        ``wait`` for room instead of dropping suits recordings, where nothing is lost by being slow.
        """
        with self._changed:
            if wait:
                self._recordings.add(clip.camera)
                self._changed.wait_for(lambda: self._closed or self._room(clip.camera))
            if self._closed:
                return clip
            waiting = self._clips.setdefault(clip.camera, deque())
            lost = waiting.popleft() if len(waiting) >= self._per_camera else None
            waiting.append(clip)
            self._changed.notify_all()
            return lost

    def take(self, max_clips: int, *, timeout_s: float) -> list[Clip] | None:
        """The oldest clip of each ready camera, longest waiting first; [] after ``timeout_s``; None once closed.

        Never waits for a camera that is not ready: cameras pause for half a second around their key frames.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._clips or self._gone, timeout=timeout_s)
            if self._closed and not self._clips:
                return None
            cameras = list(self._clips)[:max_clips]
            clips = [self._take_oldest(camera) for camera in cameras]
            self.is_pressed = len(cameras) == max_clips or not self._recordings.isdisjoint(cameras)
            self._changed.notify_all()
            return clips

    def oldest_s(self, cameras: Container[str]) -> float | None:
        """When the clip of these cameras that has waited longest was complete (monotonic); None when none waits."""
        with self._changed:
            found = [waiting[0].frames[-1].arrived_s for camera, waiting in self._clips.items() if camera in cameras]
        return min(found, default=None)

    def remove(self, camera: str) -> list[Clip]:
        """The clips of a camera that is no more: they are lost."""
        with self._changed:
            lost = self._clips.pop(camera, ())
            self._recordings.discard(camera)
            self._changed.notify_all()
            return list(lost)

    def tell_gone(self, camera: str) -> None:
        """Let who takes the clips know that no more will come of this camera, once it has taken them all."""
        with self._changed:
            self._gone.append(camera)
            self._changed.notify_all()

    def take_gone(self) -> list[str]:
        """The cameras gone since the last call. A camera that is back has its clips put after this."""
        with self._changed:
            gone, self._gone = self._gone, []
            return gone

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _room(self, camera: str) -> bool:
        return len(self._clips.get(camera, ())) < self._per_camera

    def _take_oldest(self, camera: str) -> Clip:
        """Removing and re-adding the camera moves it to the end of the waiting order."""
        waiting = self._clips.pop(camera)
        clip = waiting.popleft()
        if waiting:
            self._clips[camera] = waiting
        return clip
