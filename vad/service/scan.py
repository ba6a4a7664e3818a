"""``vad scan``: recordings through the live engine's stages, with progress, incidents and a timeline.

Each file is a camera of its own: it is learnt from its beginning, nothing is carried over and nothing is looked ahead.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vad.config import CameraConfig, ModelSettings, ScoringSettings
from vad.errors import StreamError
from vad.model.making import AnyRunner, make_runner
from vad.model.weights import load_weights
from vad.pipeline.ledger import Account
from vad.pipeline.scan import Scan
from vad.types import LEAST_SIDE_PX, AnomalyEvent, EventType, FrameScore, Stage
from vad.video.recording import duration_s

TIMELINE_CELLS = 72
BLOCKS = " ▁▂▃▄▅▆▇█"
LEARN_SHARE = 0.2
"""A recording shorter than the live warm-up would be over before anything is judged: at most this share is learning."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident of a recording; times as in ``FileResult.curve``."""

    start_s: float
    end_s: float
    peak_s: float
    peak_score: float
    threshold: float
    reasons: tuple[str, ...]
    last: AnomalyEvent

    def as_json(self) -> dict[str, Any]:
        return {
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "peak_s": round(self.peak_s, 3),
            "peak_score": round(self.peak_score, 3),
            "threshold": round(self.threshold, 3),
            "p_value": self.last.p_value,
            "stage": self.last.stage.value,
            "reasons": list(self.reasons),
            "regions": [
                {"x0": r.x0, "y0": r.y0, "x1": r.x1, "y1": r.y1, "score": round(r.score, 3)} for r in self.last.regions
            ],
        }


@dataclass(slots=True)
class FileResult:
    """What a scan found in one file. ``curve`` holds (time, score, threshold) of each analysed frame.

    Times are media seconds from the recording's beginning, jumps of its media clock left out: each run begins where
    the one before ended.
    """

    file: str
    frames: Account = field(default_factory=Account)
    duration_s: float = 0.0
    took_s: float = 0.0
    judged_from_s: float | None = None
    model_width: int | None = None  # about how many px wide it was analysed
    rotate: int = 0  # as in the camera's settings
    warning: str = ""  # why little can be expected of it
    curve: list[tuple[float, float, float]] = field(default_factory=list)
    run_starts_s: dict[int, float] = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "error": self.error or None,
            "warning": self.warning or None,
            "duration_s": round(self.duration_s, 3),
            "judged_from_s": self.judged_from_s,
            "model_width": self.model_width,
            "frames": {
                "received": self.frames.received,
                "scored": self.frames.scored,
                "dropped": {reason.value: count for reason, count in self.frames.dropped.items()},
                "in_flight": self.frames.in_flight,
            },
            "incidents": [incident.as_json() for incident in self.incidents],
        }


def scan_files(
    files: Sequence[str], *, camera: CameraConfig, model: ModelSettings, console: Console
) -> list[FileResult]:
    """Scan each file; one that cannot be read has its ``error`` set and does not keep the others from being scanned."""
    weights = load_weights(model.weights)
    runner = make_runner(weights, device=model.device, threads=model.threads, max_batch=1, skip_still=model.skip_still)
    columns = (
        TextColumn("{task.description}", markup=False),  # brackets in a file's name are no markup
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%  {task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        return [_scan_file(file, camera=camera, runner=runner, progress=progress) for file in files]


def _scan_file(file: str, *, camera: CameraConfig, runner: AnyRunner, progress: Progress) -> FileResult:
    result = FileResult(file, rotate=camera.rotate)
    started_s = time.perf_counter()
    try:
        length_s = duration_s(file)
        task = progress.add_task(file, total=length_s, speed="")
        scan = Scan(file, camera=camera, scoring=_settings(length_s), runner=runner)
        try:
            for score in scan:
                _note(result, score)
                speed = scan.duration_s / max(1e-6, time.perf_counter() - started_s)
                progress.update(task, completed=scan.duration_s, speed=f"{speed:.0f}x real time")
        finally:
            result.frames, result.duration_s, result.model_width = scan.frames, scan.duration_s, scan.model_width
    except StreamError as exc:
        result.error = f"{exc.code.value}: {exc}"
    result.took_s = time.perf_counter() - started_s
    return result


def _settings(length_s: float | None) -> ScoringSettings:
    live = ScoringSettings()
    if length_s is None or length_s <= 0.0:
        return live
    warming_after_s = min(live.warming_after_s, max(1.0, LEARN_SHARE * length_s))
    calibrated_after_s = min(live.calibrated_after_s, max(warming_after_s, 2.0, 0.5 * length_s))
    return ScoringSettings(warming_after_s=warming_after_s, calibrated_after_s=calibrated_after_s)


def _note(result: FileResult, score: FrameScore) -> None:
    starts_s, grid = result.run_starts_s, score.frame.geometry
    if grid.is_too_small:
        size = f"{grid.source_width}x{grid.source_height}"
        result.warning = f"a picture of {size} is too small to judge: less than {LEAST_SIDE_PX} px on its longer side"
    start_s = starts_s.setdefault(score.frame.run, result.curve[-1][0] if result.curve else 0.0)
    result.curve.append((start_s + score.pts_s, score.score, score.threshold))
    if result.judged_from_s is None and score.stage is not Stage.COLD:
        result.judged_from_s = round(start_s + score.pts_s, 3)
    for event in score.events:
        if event.type is EventType.CLOSED:
            result.incidents.append(
                Incident(
                    start_s=starts_s[event.run] + event.started_pts_s,
                    end_s=starts_s[event.run] + event.pts_s,
                    peak_s=starts_s[event.run] + event.peak_pts_s,
                    peak_score=event.peak_score,
                    threshold=event.threshold,
                    reasons=tuple(reason.value for reason in event.reasons),
                    last=event,
                )
            )


def print_results(results: Sequence[FileResult], *, console: Console) -> None:
    """A timeline and the incidents of each file."""
    for result in results:
        console.print(result.file, style="bold", highlight=False, soft_wrap=True, markup=False)
        if result.error:
            console.print(f"  {result.error}", style="red", highlight=False, soft_wrap=True, markup=False)
        if result.warning:
            console.print(f"  {result.warning}", style="yellow", highlight=False, soft_wrap=True, markup=False)
        if result.curve:
            _print_file(result, console=console)


def _print_file(result: FileResult, *, console: Console) -> None:
    speed = result.duration_s / max(result.took_s, 1e-6)
    console.print(
        f"  {result.duration_s:.1f} s of video in {result.took_s:.1f} s ({speed:.0f}x real time), "
        f"{result.frames.scored} frames analysed, about {result.model_width} px wide, judged from "
        f"{result.judged_from_s or 0.0:.1f} s on",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"  {timeline(result)}", highlight=False, soft_wrap=True)
    console.print(
        f"  0 s{f'{result.duration_s:.0f} s':>{TIMELINE_CELLS - 3}}", style="dim", highlight=False, soft_wrap=True
    )
    if not result.incidents:
        console.print("  no incidents", highlight=False, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("  from", "to", "peak", "score", "threshold", "reasons"):
        table.add_column(heading)
    for incident in result.incidents:
        table.add_row(
            f"  {incident.start_s:.1f} s",
            f"{incident.end_s:.1f} s",
            f"{incident.peak_s:.1f} s",
            f"{incident.peak_score:.1f}",
            f"{incident.threshold:.1f}",
            ", ".join(incident.reasons),
        )
    console.print(table)


def timeline(result: FileResult) -> str:
    """One line of blocks: score over threshold along the recording, full where it is exceeded; · = only learning."""
    if not result.curve:
        return ""
    first_s = result.curve[0][0]
    length_s = max(1e-6, result.curve[-1][0] - first_s)
    peaks = [-1.0] * TIMELINE_CELLS
    for pts_s, score, threshold in result.curve:
        cell = min(TIMELINE_CELLS - 1, int((pts_s - first_s) / length_s * TIMELINE_CELLS))
        share = -1.0 if threshold == float("inf") else min(1.0, score / threshold)
        peaks[cell] = max(peaks[cell], share)
    return "".join("·" if share < 0.0 else BLOCKS[int(share * (len(BLOCKS) - 1))] for share in peaks)
