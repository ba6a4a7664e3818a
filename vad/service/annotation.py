"""``vad annotate``: what is abnormal in a clip, from CSV or ``labels.json`` into either, checked against its frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from vad.atomic import write_atomically
from vad.errors import DatasetError
from vad.video.dataset import ClipSource, open_clip
from vad.video.labels import Interval, frame_labels, intervals_of, read_entries, with_entry
from vad.video.marks import marks_text, read_marks
from vad.video.timing import ASSUMED_FPS


@dataclass(frozen=True, slots=True)
class Annotation:
    """What to take and where to put it."""

    video: Path
    folder_fps: float
    source: Path | None = None  # CSV or JSON; None: what ``out`` says already
    out: Path | None = None  # a labels.json, to be made or added to
    to_csv: Path | None = None


def annotate(task: Annotation, *, console: Console) -> None:
    """Read, check, write, and say what it comes to. Raises DatasetError, StreamError, VadError."""
    clip = open_clip(task.video, folder_fps=task.folder_fps)
    times_s, fps = clip.frame_times_s()
    frame_s = 1.0 / (fps or ASSUMED_FPS)
    intervals = _intervals(task, clip, times_s, frame_s)
    if task.out is not None and task.source is not None:
        write_atomically(task.out, with_entry(task.out, clip.name, intervals).encode())
    if task.to_csv is not None:
        text = marks_text(clip.name, intervals, times_s=times_s, frame_s=frame_s)
        write_atomically(task.to_csv, text.encode())
    abnormal = sum(last - first for first, last in intervals)
    console.print(
        f"{clip.name}: {len(times_s)} frames, {abnormal} abnormal in {len(intervals)} "
        f"interval{'s' * (len(intervals) != 1)}",
        highlight=False,
        markup=False,
    )
    edges_s = [*times_s, times_s[-1] + frame_s]
    for first, last in intervals:
        console.print(f"  frames {first} to {last - 1}: {edges_s[first]:.2f} to {edges_s[last]:.2f} s", highlight=False)


def _intervals(task: Annotation, clip: ClipSource, times_s: list[float], frame_s: float) -> list[Interval]:
    source = task.source or task.out
    if source is None:
        raise DatasetError("nothing to read; allowed: marks to import, or a labels file that has them")
    if source.suffix.lower() == ".csv":
        return read_marks(source, clip=clip.name, times_s=times_s, frame_s=frame_s)
    if not source.exists():
        raise DatasetError(f"{source}: is not there yet, and no marks are given; allowed: marks in CSV or JSON")
    entries = read_entries(source)
    if clip.name not in entries:
        there = ", ".join(entries) or "none"
        raise DatasetError(f"{source}: says nothing of clip {clip.name!r}; there: {there}")
    where = f"{source}: clip {clip.name!r}"
    return intervals_of(frame_labels(entries[clip.name], frames=len(times_s), where=where))
