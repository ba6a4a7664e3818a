"""How the detector does on many labelled scenes at once: the measure by which changes of it are decided.

    python -m benchmarks.scenes FOLDER... [--analysis-fps 8] [--json F] [--html F] [--cells DIR] [--weights W]
        [--model-width P]

Each FOLDER is a dataset (train/, test/, labels.json; docs/evaluation.md) or holds datasets. Live protocol: causal, one
threshold for all scenes and clips, nothing learnt from what is judged; a dataset without train clips is learnt from
what each of its clips shows before the first abnormal frame. One good scene proves nothing, so figures over all scenes
come first: events caught at equal false alarms, all cues against the best single one, and beside each AUROC the clock
control: "seconds since the clip began" ranks well where clips begin normal and end abnormal, and proves nothing.
``--cells`` keeps what the network said, so that the next run with the same weights and model code only scores.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenes_cells import KeptCells
from benchmarks.scenes_figures import (
    CUES,
    SCORES,
    EqualFalseAlarms,
    Harm,
    SceneFigures,
    at_equal_false_alarms,
    harm,
    scene_figures,
)
from benchmarks.scenes_report import report
from vad.config import MODEL_WIDTHS, LogSettings, ModelSettings
from vad.errors import VadError
from vad.evaluation.evaluate import Request, evaluate
from vad.evaluation.judged import JudgedClip
from vad.log import configure_log
from vad.model.making import make_runner
from vad.model.weights import load_weights
from vad.video.dataset import Dataset

LIVE_FPS = 8.0
"""The default of ``cameras.NAME.analysis_fps``."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    configure_log(LogSettings(level="error"))
    try:
        scenes, clips = run(options)
    except VadError as error:
        sys.exit(str(error))
    equal = {key: at_equal_false_alarms(clips, score) for key, score in SCORES.items()}
    together = harm(scenes)
    print_scenes(scenes)
    print_totals(scenes, equal, together)
    if options.json:
        options.json.write_text(json.dumps(as_json(scenes, equal, together, options), indent=1) + "\n")
    if options.html:
        options.html.write_text(report(scenes, clips, equal, together))
        print(f"report: {options.html}")


def run(options: argparse.Namespace) -> tuple[list[SceneFigures], list[JudgedClip]]:
    """Judge every dataset; clips bear the name of their dataset. Raises VadError."""
    runner = make_runner(load_weights(options.weights), device="auto", max_batch=1)
    if options.cells:
        runner = KeptCells(runner, options.cells)
    scenes, clips = [], []
    for folder in datasets(options.folders):
        request = Request(
            folder,
            ModelSettings(weights=options.weights),
            calibrate_on="train" if Dataset.open(folder).train else "before",
            false_alarms_per_day=options.false_alarms_per_day,
            analysis_fps=options.analysis_fps,
            model_width=options.model_width,
        )
        evaluation = evaluate(request, runner=runner)
        named = [named_after(folder.resolve().name, clip) for clip in evaluation.clips]
        scenes.append(scene_figures(folder.resolve().name, evaluation.calibrated_on, named))
        clips += named
        print(f"judged {folder.name}, about {evaluation.model_width} px wide", file=sys.stderr)
    return scenes, clips


def datasets(folders: Sequence[Path]) -> Iterator[Path]:
    """The datasets among the folders and in them, in order of their names."""
    for folder in folders:
        if _is_dataset(folder):
            yield folder
            continue
        inside = sorted(path for path in folder.iterdir() if _is_dataset(path)) if folder.is_dir() else []
        if not inside:
            sys.exit(
                f"{folder}: no dataset; allowed: a folder with test/ and labels.json, or one that holds such folders"
            )
        yield from inside


def _is_dataset(path: Path) -> bool:
    return (path / "test").is_dir()


def named_after(dataset: str, clip: JudgedClip) -> JudgedClip:
    """The clip under a name that no clip of another dataset has."""
    return replace(clip, source=replace(clip.source, name=f"{dataset}/{clip.source.name}"))


def print_scenes(scenes: Sequence[SceneFigures]) -> None:
    """A line for each scene: the live figures, and AUROC of each cue."""
    heads = " ".join(f"{cue[:6]:>6}" for cue in CUES)
    print(f"{'scene':26}{'normal':>7}{'blind':>6}{'caught':>8}{'false':>6}  {'all':>5} {'clock':>5} | {heads}")
    for scene in scenes:
        cues = " ".join(f"{shown(scene.auroc[cue]):>6}" for cue in CUES)
        total_s = max(scene.normal_s + scene.abnormal_s, 1e-9)
        print(
            f"{scene.name[:25]:26}{scene.normal_s:6.0f}s{scene.blind_s / total_s:6.0%}"
            f"{f'{scene.caught} of {scene.events}':>8}{scene.false_alarms:6d}  {shown(scene.auroc['all']):>5} "
            f"{shown(scene.auroc['clock']):>5} | {cues}"
            f"   {_words('caught by', scene.caught_by)}{_words('false by', scene.false_by)}"
        )


def _words(what: str, by: dict[str, int]) -> str:
    spoke = ", ".join(f"{cue} {count}" for cue, count in by.items() if count)
    return f"{what} {spoke}; " if spoke else ""


def print_totals(
    scenes: Sequence[SceneFigures], equal: dict[str, list[EqualFalseAlarms]], together: Harm | None
) -> None:
    """The figures over all scenes."""
    caught, events = sum(s.caught for s in scenes), sum(s.events for s in scenes)
    normal_s, false = sum(s.normal_s for s in scenes), sum(s.false_alarms for s in scenes)
    delays = [delay for scene in scenes for delay in scene.delays_s]
    delay = f", {np.median(delays):.1f} s after the first abnormal frame (median)" if delays else ""
    print(f"\nat the budget: caught {caught} of {events}{delay}; {false} false alarms in {normal_s / 60:.1f} minutes")
    ranked = [scene for scene in scenes if scene.auroc["all"] is not None]
    print(f"\n{'':24} mean AUROC   caught at most this many false alarms, one threshold for all scenes")
    for key in SCORES:
        values = [scene.auroc[key] for scene in ranked]
        mean = f"{np.mean(values):.3f}" if ranked else "-"
        cells = "  ".join(f"{point.allowed}: {point.caught}" for point in equal[key])
        print(f"{key:24} {mean:>10}   {cells}")
    if together is not None:
        print(
            f"\nharm: best single cue {together.best} {together.best_mean:.3f}, all {together.all_mean:.3f}"
            + "".join(f"; {name}: {cue} {best:.3f}, all {got:.3f}" for name, cue, best, got in together.worse_here)
            + (" (none)" if together.is_none else " (HARM)")
        )


def as_json(
    scenes: Sequence[SceneFigures],
    equal: dict[str, list[EqualFalseAlarms]],
    together: Harm | None,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """What ``--json`` keeps."""
    return {
        "weights": options.weights,
        "analysis_fps": options.analysis_fps,
        "false_alarms_per_day": options.false_alarms_per_day,
        "model_width": options.model_width,
        "scenes": [asdict(scene) for scene in scenes],
        "equal_false_alarms": {key: [asdict(point) for point in points] for key, points in equal.items()},
        "harm": asdict(together) if together else None,
    }


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _width(text: str) -> str | int:
    if text not in ("auto", *map(str, MODEL_WIDTHS)):
        raise argparse.ArgumentTypeError(f"got {text!r}; allowed: auto, {', '.join(map(str, MODEL_WIDTHS))}")
    return text if text == "auto" else int(text)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--analysis-fps", type=float, default=LIVE_FPS, help="as a camera's; 60 analyses every frame")
    parser.add_argument("--false-alarms-per-day", type=float, default=2.0)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--model-width", type=_width, default="auto", help="auto, 160, 240 or 320 px")
    parser.add_argument("--cells", type=Path, help="folder that keeps what the network said")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--html", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
