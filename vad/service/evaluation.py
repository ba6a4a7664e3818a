"""``vad evaluate`` as its user sees it: a progress bar, and the table of figures."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vad.atomic import write_atomically
from vad.config import LogSettings
from vad.evaluation.evaluate import Evaluation, Request, evaluate
from vad.evaluation.figures import ClipFigures, Figures
from vad.evaluation.measures import Measure, Undefined
from vad.evaluation.report import report_page
from vad.log import configure_log
from vad.service.progress import ProgressDisplay
from vad.types import Stage

ROWS = (
    ("AUROC, micro: all frames in one pool", "auroc_micro"),
    ("AUROC, macro: mean over clips", "auroc_macro"),
    ("AUROC, macro, clips padded with 2 frames", "auroc_macro_padded"),
    ("average precision", "average_precision"),
    ("equal error rate (lower is better)", "eer"),
    ("RBDC: regions found", "rbdc"),
    ("TBDC: tracks found", "tbdc"),
)


PROTOCOLS = (
    "live: causal, one threshold for all clips: what a camera gets",
    "literature: each clip normalised and smoothed with its own future: for comparison only",
)


def run_evaluation(
    request: Request, *, json_file: Path | None, report: Path | None, console: Console, progress_on: Console
) -> None:
    """Evaluate, print, write what was asked for."""
    configure_log(LogSettings(level="error"))
    evaluation = evaluate_with_progress(request, console=progress_on)
    figures = Figures.of(evaluation)
    print_figures(evaluation, figures, console=console)
    if json_file is not None:
        write_atomically(json_file, (json.dumps(figures.as_json(evaluation), indent=1) + "\n").encode())
    if report is not None:
        write_atomically(report, report_page(evaluation, figures).encode())
        progress_on.print(f"report: {report}", highlight=False, markup=False, soft_wrap=True)


def evaluate_with_progress(request: Request, *, console: Console) -> Evaluation:
    """``evaluate`` with its progress on ``console``."""
    with ProgressDisplay(console) as display:

        def show(what: str, done: float, total: float) -> None:
            speed = f"{done / max(display.phase_s(), 1e-6):.0f} frames/s" if what == "judging" and done > 1 else ""
            display.update(what, done, total, speed)

        return evaluate(request, progress=show)


def print_figures(evaluation: Evaluation, figures: Figures, *, console: Console) -> None:
    """The live protocol first, the literature's beside it, then the operating point, then each clip."""
    frames = sum(len(clip.scores) for clip in evaluation.clips)
    clips = len(evaluation.clips)
    console.print(
        f"{clips} test clip{'s' * (clips != 1)}, {frames} frames; weights {evaluation.weights}; "
        f"calibrated on {evaluation.calibrated_on}; about {evaluation.model_width} px wide; "
        f"{evaluation.frames_per_second:.0f} frames/s",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if evaluation.stage is not Stage.CALIBRATED:
        console.print(f"the detector is only {evaluation.stage.value}: its threshold means little", style="yellow")
    console.print(_protocols(figures))
    for line in PROTOCOLS:
        console.print(line, style="dim", highlight=False, soft_wrap=True)
    console.print()
    _print_operating_point(evaluation, figures, console=console)
    console.print()
    console.print(_clips(figures.clips))
    for name, reason in figures.undefined.items():
        console.print(f"undefined: {name}: {reason}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _protocols(figures: Figures) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("live", justify="right", style="bold")
    table.add_column("literature", justify="right", style="dim")
    for words, name in ROWS:
        beside = shown(figures.literature[name]) if name in figures.literature else ""
        table.add_row(words, shown(figures.live[name]), beside)
    return table


def _print_operating_point(evaluation: Evaluation, figures: Figures, *, console: Console) -> None:
    point = figures.point
    budget = evaluation.request.false_alarms_per_day
    console.print(f"at the threshold that a budget of {budget:g} false alarms a day gives", style="bold")
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("frames", f"precision {shown(point.precision)}  recall {shown(point.recall)}  F1 {shown(point.f1)}")
    table.add_row(
        "events",
        f"{point.events_caught} of {len(point.stretches)} caught{_delay(point.median_delay_s)}",
    )
    table.add_row(
        "false alarms",
        f"{point.false_alarms} in {point.normal_hours * 3600.0:.0f} s of normal footage: "
        f"{shown(point.false_alarms_per_hour, 1)} an hour",
    )
    console.print(table)


def _delay(median_s: Measure) -> str:
    return "" if isinstance(median_s, Undefined) else f", {median_s:.1f} s after the first abnormal frame (median)"


def _clips(clips: tuple[ClipFigures, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("clip", "frames", "abnormal", "AUROC", "events caught", "delay", "false alarms"):
        table.add_column(heading, justify="left" if heading == "clip" else "right")
    for figures in clips:
        delays = [stretch.delay_s for stretch in figures.stretches if stretch.delay_s is not None]
        table.add_row(
            figures.clip.name,
            str(len(figures.clip.scores)),
            str(int(figures.clip.labels.sum())),
            shown(figures.auroc),
            f"{len(delays)} of {len(figures.stretches)}",
            ", ".join(f"{delay_s:.1f} s" for delay_s in delays),
            str(figures.false_alarms),
        )
    return table


def shown(measure: Measure, digits: int = 3) -> str:
    """The figure, or a dash."""
    return "-" if isinstance(measure, Undefined) else f"{measure:.{digits}f}"
