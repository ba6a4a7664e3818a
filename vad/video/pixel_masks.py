"""Pixel masks of a dataset's test clips, in either of two forms.

- ``masks/<clip>/*.png`` (or another picture format without loss): one for each frame, in natural order of their names;
  what is not black is abnormal.
- ``test_masks_packbits_<H>x<W>.npz`` beside ``test/``: an array for each clip, uint8 (frames, ceil(H * W / 8)), which
  is ``numpy.packbits`` of (frames, H * W) along the pixels.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vad.errors import DatasetError
from vad.video.folder import pictures_in
from vad.video.labels import check_clips_exist

Masks = NDArray[np.bool_]
PACKED = re.compile(r"test_masks_packbits_(\d{1,5})x(\d{1,5})\.npz")
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class MaskStore(Protocol):
    """Where masks come from."""

    def masks(self, clip: str, *, frames: int) -> Masks | None:
        """(frames, height, width), True where abnormal; None when the clip has none. Raises DatasetError."""
        ...


def find(dataset: Path, *, clips: Sequence[str]) -> MaskStore | None:
    """The dataset's masks, if it has any. Raises DatasetError when there are several, or for clips not there."""
    packed = sorted(file for file in dataset.iterdir() if PACKED.fullmatch(file.name))
    folder = dataset / "masks"
    found = [file.name for file in packed] + (["masks/"] if folder.is_dir() else [])
    if len(found) > 1:
        raise DatasetError(f"{dataset}: pixel masks in {' and '.join(found)}; allowed: one of them")
    if packed:
        return PackedMasks.open(packed[0], clips=clips)
    return FolderMasks.open(folder, clips=clips) if found else None


@dataclass(frozen=True, slots=True)
class FolderMasks:
    """A folder of pictures for each clip."""

    folders: dict[str, Path]

    @classmethod
    def open(cls, folder: Path, *, clips: Sequence[str]) -> FolderMasks:
        folders = {f.name: f for f in folder.iterdir() if f.is_dir() and not f.name.startswith(".")}
        check_clips_exist(folders, clips, where=str(folder), split="test")
        return cls(folders)

    def masks(self, clip: str, *, frames: int) -> Masks | None:
        if clip not in self.folders:
            return None
        folder = self.folders[clip]
        files = pictures_in(folder)
        if len(files) != frames:
            raise DatasetError(f"{folder}: {len(files)} masks; expected {frames}, as many as the clip has frames")
        masks = [_picture(file) for file in files]
        sizes = {mask.shape for mask in masks}
        if len(sizes) > 1:
            raise DatasetError(f"{folder}: masks of sizes {sorted(sizes)} (height, width); allowed: all alike")
        return np.stack(masks)


def _picture(file: Path) -> Masks:
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as exc:
        raise DatasetError(f"{file}: cannot be read: {exc.strerror}") from None
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if picture is None:
        raise DatasetError(f"{file}: is no picture that OpenCV can read; allowed: a mask in PNG")
    return np.asarray(picture != 0)


@dataclass(frozen=True, slots=True)
class PackedMasks:
    """One archive of packed bits."""

    file: Path
    height: int
    width: int
    names: frozenset[str]

    @classmethod
    def open(cls, file: Path, *, clips: Sequence[str]) -> PackedMasks:
        match = PACKED.fullmatch(file.name)
        assert match is not None
        try:
            with np.load(file, allow_pickle=False) as archive:
                names = dict.fromkeys(archive.files)
        except _UNREADABLE as exc:
            raise DatasetError(f"{file}: is no archive of masks, or is cut short: {exc}") from None
        check_clips_exist(names, clips, where=str(file), split="test")
        return cls(file, int(match[1]), int(match[2]), frozenset(names))

    def masks(self, clip: str, *, frames: int) -> Masks | None:
        if clip not in self.names:
            return None
        try:
            with np.load(self.file, allow_pickle=False) as archive:
                packed = archive[clip]
        except _UNREADABLE as exc:
            raise DatasetError(f"{self.file}: clip {clip!r}: cannot be read: {exc}") from None
        expected = (frames, -(-self.height * self.width // 8))
        if packed.shape != expected or packed.dtype != np.uint8:
            raise DatasetError(
                f"{self.file}: clip {clip!r}: {packed.dtype} {packed.shape}; expected uint8 {expected} (frames, bytes)"
            )
        pixels = np.unpackbits(packed, axis=1, count=self.height * self.width)
        return pixels.reshape(frames, self.height, self.width).astype(np.bool_)
