"""A dataset: a folder of clips with, for the test clips, labels and perhaps pixel masks.

::

    DATASET/
        train/*        normal footage: a video file, or a folder of frames, for each clip
        test/*         what is judged, likewise
        labels.json    {clip: [0|1 per frame]} or {clip: [[first, last_exclusive], ...]}, of the test clips
        masks/         pixel masks of the test clips, see ``vad.video.pixel_masks``
        boxes.json     or boxes, see ``vad.video.boxes``

A clip's name is its file's or folder's without the ending; hidden files and files that are no video are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad.config import CameraConfig
from vad.errors import DatasetError
from vad.video import pixel_masks
from vad.video.boxes import NAME as BOXES
from vad.video.boxes import Box, BoxStore
from vad.video.faults import CORRUPT, translate_av_errors
from vad.video.folder import natural_key, pictures_in
from vad.video.labels import Labels, check_clips_exist, frame_labels, read_entries
from vad.video.source import FOLDER_FPS, open_feed, resolve
from vad.video.timing import MediaClock

VIDEOS = frozenset(
    f".{ending}"
    for ending in (
        *("3gp", "264", "265", "avi", "flv", "h264", "hevc", "m2ts", "m4v", "mjpeg", "mjpg"),
        *("mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "ts", "webm", "wmv"),
    )
)
"""Endings of what is taken for a video file."""


@dataclass(frozen=True, slots=True)
class ClipSource:
    """One clip: a video file, or a folder of frames played at ``folder_fps``."""

    name: str
    path: Path
    folder_fps: float | None = None  # None for a video file

    @property
    def url(self) -> str:
        """What ``CameraConfig`` and ``vad scan`` take."""
        return str(self.path) if self.folder_fps is None else f"{self.path}?fps={self.folder_fps:g}"

    def measure(self) -> tuple[int, float | None]:
        """(frames that decode, announced rate), by decoding it all. Raises StreamError; DatasetError without frames."""
        times_s, fps = self.frame_times_s()
        return len(times_s), fps

    def frame_times_s(self) -> tuple[list[float], float | None]:
        """(media seconds of each frame that decodes, from the first one's on; announced rate).

        Raises StreamError; DatasetError without frames.
        """
        source = resolve(CameraConfig(url=self.url))
        feed = open_feed(source, camera=self.name, parallel=True)
        stamps_s: list[float | None] = []
        try:
            with translate_av_errors(self.name, source.shown):
                for packet in feed.packets():
                    try:
                        stamps_s += [frame.time for frame in feed.decode(packet) if not frame.is_corrupt]
                    except CORRUPT:
                        continue
        finally:
            feed.close()
        if not stamps_s:
            raise DatasetError(f"{self.path}: this clip holds no frame that decodes")
        clock = MediaClock(live=False, announced_fps=feed.announced_fps)
        return [clock.accept(clock.step_s(s, arrived_s=0.0), s, arrived_s=0.0) for s in stamps_s], feed.announced_fps


@dataclass(frozen=True, slots=True)
class Dataset:
    """An opened dataset. The clips' own content is read when it is asked for."""

    path: Path
    train: tuple[ClipSource, ...]  # in natural order of their names
    test: tuple[ClipSource, ...]
    entries: dict[str, list[Any]] = field(repr=False)  # of labels.json, unchecked beyond their names
    mask_store: pixel_masks.MaskStore | None = field(repr=False)
    box_store: BoxStore | None = field(repr=False)

    @classmethod
    def open(cls, path: str | Path, *, folder_fps: float = FOLDER_FPS) -> Dataset:
        """Look at what is there. ``folder_fps`` is the rate at which folders of frames were recorded.

        Raises DatasetError when there is no clip at all, a folder of frames is empty, two clips of a split bear the
        same name, or labels or masks are unreadable or about a clip that is not there.
        """
        path = Path(path)
        if not path.is_dir():
            raise DatasetError(f"{path}: no such folder; allowed: a folder that holds train/ and test/")
        try:
            return cls._open(path, folder_fps=folder_fps)
        except OSError as exc:
            raise DatasetError(f"{exc.filename or path}: cannot be read: {exc.strerror}") from None

    @classmethod
    def _open(cls, path: Path, *, folder_fps: float) -> Dataset:
        train, test = (_clips(path / split, folder_fps=folder_fps) for split in ("train", "test"))
        if not train and not test:
            raise DatasetError(f"{path}: no clip in it; allowed: video files or folders of frames in train/ and test/")
        names = [clip.name for clip in test]
        file = path / "labels.json"
        entries = read_entries(file) if file.exists() else {}
        check_clips_exist(entries, names, where=str(file), split="test")
        masks, boxes = pixel_masks.find(path, clips=names), BoxStore.find(path, clips=names)
        if masks is not None and boxes is not None:
            raise DatasetError(f"{path}: both pixel masks and {BOXES}; allowed: one of them")
        return cls(path, train, test, entries, masks, boxes)

    def labels(self, clip: str, *, frames: int) -> Labels:
        """(frames,) bool, True where abnormal. Raises DatasetError when there are none or they do not fit."""
        where = f"{self.path / 'labels.json'}: clip {clip!r}"
        if clip not in self.entries:
            raise DatasetError(f"{where}: has no labels; allowed: an entry for each test clip ([] where all is normal)")
        return frame_labels(self.entries[clip], frames=frames, where=where)

    def masks(self, clip: str, *, frames: int) -> NDArray[np.bool_] | None:
        """(frames, height, width) bool, True where abnormal; None when the clip has none. Raises DatasetError."""
        return self.mask_store.masks(clip, frames=frames) if self.mask_store is not None else None

    def boxes(self, clip: str, *, frames: int) -> list[list[Box]] | None:
        """The boxes of each frame; None when the clip has none. Raises DatasetError."""
        return self.box_store.boxes(clip, frames=frames) if self.box_store is not None else None


def _clips(folder: Path, *, folder_fps: float) -> tuple[ClipSource, ...]:
    if not folder.exists():
        return ()
    clips: dict[str, ClipSource] = {}
    for entry in sorted(folder.iterdir(), key=natural_key):
        clip = _clip(entry, folder_fps=folder_fps)
        if clip is None:
            continue
        if clip.name in clips:
            other = clips[clip.name].path.name
            raise DatasetError(f"{folder}: {other} and {entry.name} are both clip {clip.name!r}; allowed: one of them")
        clips[clip.name] = clip
    return tuple(clips.values())


def open_clip(path: Path, *, folder_fps: float = FOLDER_FPS) -> ClipSource:
    """A clip by itself. Raises DatasetError unless it is a video file or a folder with frames in it."""
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder; allowed: a video file, or a folder of frames")
    clip = _clip(path, folder_fps=folder_fps)
    if clip is None:
        raise DatasetError(f"{path}: is no video file by its name; allowed: {', '.join(sorted(VIDEOS))}")
    return clip


def _clip(entry: Path, *, folder_fps: float) -> ClipSource | None:
    if entry.name.startswith("."):
        return None
    if entry.is_dir():
        if not pictures_in(entry):
            raise DatasetError(f"{entry}: this clip holds no frame; allowed: a folder of pictures, or a video file")
        return ClipSource(entry.name, entry, folder_fps)
    if entry.suffix.lower() not in VIDEOS:
        return None
    if entry.stat().st_size == 0:
        raise DatasetError(f"{entry}: this clip holds no frame (an empty file)")
    return ClipSource(entry.stem, entry)
