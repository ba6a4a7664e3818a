"""The folder of evidence: ``<storage.dir>/evidence/<camera>/<incident>/``, whole or not at all, within its bounds.

A folder is written beside its place and renamed, so that there never is half an evidence; what a killed engine left
over is cleared away at the next start. Room is made before anything is written: the folder never takes more than its
bound, also while it is written to. Files count as the whole disk blocks that they fill.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vad.clock import Clock

FOLDER = "evidence"
CLIP, SEEN, EXPECTED, DETAILS = "clip.mp4", "seen.jpg", "expected.jpg", "evidence.json"

BLOCK_BYTES = 4096
DAY_S = 86_400.0
MIB = 2**20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")  # of cameras and incidents: no separator, nothing hidden
_NEW, _OLD = ".new-", ".old-"


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """Where one incident's evidence lies. ``clip``, ``seen`` and ``expected`` are None where there is none."""

    camera: str
    incident: str
    details: Path
    clip: Path | None
    seen: Path | None
    expected: Path | None


class TooBig(Exception):
    """One evidence alone would not fit."""


@dataclass(frozen=True, slots=True)
class _Kept:
    folder: Path
    used_bytes: int
    written_s: float  # mtime of the folder


class EvidenceStore:
    """May be used from any thread. Nothing is looked at before ``open``."""

    def __init__(self, directory: Path, *, keep_days: float, keep_mib: int, clock: Clock) -> None:
        self.directory = directory
        self._keep_s, self._limit_bytes = keep_days * DAY_S, keep_mib * MIB
        self._clock = clock
        self._lock = threading.RLock()
        self._kept: dict[str, _Kept] = {}  # by incident, oldest first
        self._used_bytes = 0

    @property
    def used_bytes(self) -> int:
        """What all evidence takes, in whole disk blocks."""
        return self._used_bytes

    @property
    def oldest_wall_s(self) -> float | None:
        """When the oldest evidence was written, UTC; None without any."""
        return next((kept.written_s for kept in list(self._kept.values())), None)  # a copy: others may change it

    @property
    def limit_bytes(self) -> int:
        return self._limit_bytes

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, incident: str) -> EvidenceFiles | None:
        """The evidence of an incident; None when there is none (yet, or any more)."""
        kept = self._kept.get(incident)  # without the lock: a slow disk must not make a reader wait
        if kept is None:
            return None
        if not (details := kept.folder / DETAILS).is_file():  # somebody else has deleted it
            self.delete(incident)
            return None
        clip, seen, expected = (
            path if path.is_file() else None for path in (kept.folder / name for name in (CLIP, SEEN, EXPECTED))
        )
        return EvidenceFiles(kept.folder.parent.name, incident, details, clip, seen, expected)

    def delete(self, incident: str) -> bool:
        """Forget an incident's evidence; False when there was none. Raises OSError when it cannot be deleted."""
        with self._lock:
            kept = self._kept.get(incident)
            if kept is None:
                return False
            self._remove(kept.folder)
            del self._kept[incident]
            self._used_bytes -= kept.used_bytes
            return True

    def open(self) -> None:
        """Clear away what was left half written, find what there is, keep the bounds. Raises OSError."""
        with self._lock:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._kept = {}
            found = [kept for camera in self._folders(self.directory) for kept in self._clear_and_find(camera)]
            for kept in sorted(found, key=lambda kept: kept.written_s):
                self._kept[kept.folder.name] = kept
            self._used_bytes = sum(kept.used_bytes for kept in self._kept.values())
            self.retain()

    def put(self, camera: str, incident: str, files: Mapping[str, bytes]) -> None:
        """Keep an incident's evidence instead of what was kept of it so far; make room for it first.

        Raises TooBig when it and what was kept of the incident so far exceed the bound together, since that stays until
        the new is whole; OSError when the disk does not take it. Either way what was kept stays.
        """
        _check(camera, incident)
        size = _taken(len(data) for data in files.values())
        with self._lock:
            before = self._kept.get(incident)
            mine = before.used_bytes if before else 0
            if size + mine > self._limit_bytes:
                kept = f" beside {mine} kept of it so far" if mine else ""
                raise TooBig(f"evidence of {size} bytes{kept}; allowed: {self._limit_bytes} for all of it")
            self._make_room(size, spare=incident)
            folder = self.directory / camera / incident
            self._write(folder, files)
            self._kept.pop(incident, None)  # to the end: it is the newest now
            self._kept[incident] = _Kept(folder, size, folder.stat().st_mtime)
            self._used_bytes += size - mine

    def retain(self) -> int:
        """Delete what is too old or too much; how many. Raises OSError."""
        with self._lock:
            too_old_s = self._clock.wall_s() - self._keep_s
            old = [incident for incident, kept in self._kept.items() if kept.written_s < too_old_s]
            for incident in old:
                self.delete(incident)
            return len(old) + self._make_room(0, spare="")

    def _make_room(self, size: int, *, spare: str) -> int:
        count = 0
        for incident in [incident for incident in self._kept if incident != spare]:
            if self._used_bytes + size <= self._limit_bytes:
                break
            self.delete(incident)
            count += 1
        return count

    def _write(self, folder: Path, files: Mapping[str, bytes]) -> None:
        new, old = (folder.with_name(prefix + folder.name) for prefix in (_NEW, _OLD))
        try:
            new.mkdir(parents=True, mode=0o750)
            for name, data in files.items():
                with (new / name).open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)
        _sync(folder.parent)

    def _remove(self, folder: Path) -> None:
        """Renamed first: a process killed while deleting leaves no half of it."""
        old = folder.with_name(_OLD + folder.name)
        with suppress(FileNotFoundError):
            folder.rename(old)
            (old / DETAILS).unlink(missing_ok=True)  # so that the next start does not take it back
        if old.exists():
            shutil.rmtree(old)
        with suppress(OSError):  # the last of its camera, or not
            folder.parent.rmdir()

    def _folders(self, parent: Path) -> list[Path]:
        return [path for path in parent.iterdir() if path.is_dir() and not path.is_symlink()]

    def _clear_and_find(self, camera: Path) -> list[_Kept]:
        for path in self._folders(camera):
            if path.name.startswith(_OLD):
                place = camera / path.name.removeprefix(_OLD)
                if not place.exists() and (path / DETAILS).is_file():  # killed between two renames
                    path.rename(place)
                else:
                    shutil.rmtree(path)
            elif path.name.startswith(_NEW):
                shutil.rmtree(path)
        return [_kept(path) for path in self._folders(camera) if (path / DETAILS).is_file()]


def _kept(folder: Path) -> _Kept:
    sizes = [path.stat().st_size for path in folder.iterdir()]
    return _Kept(folder, _taken(sizes), folder.stat().st_mtime)


def _taken(sizes: Iterable[int]) -> int:
    """Bytes that files of those sizes and their folder take on the disk."""
    return BLOCK_BYTES + sum(-(-size // BLOCK_BYTES) * BLOCK_BYTES for size in sizes)


def _check(camera: str, incident: str) -> None:
    for name in (camera, incident):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a folder's name; allowed: letters, digits, '_', '.', '-'")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
