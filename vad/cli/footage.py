"""Commands about recordings: scan them, judge the detector by them, learn from them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from vad.atomic import check_writable
from vad.cli.terminal import Json, given, refuse, site_of, stderr, stdout
from vad.config import LogSettings, make_config

WIDTH_HELP = "Of the picture analysed: auto, 160, 240 or 320 px"
Width = Annotated[str, typer.Option(help=f"{WIDTH_HELP}.")]


Rotate = Annotated[int, typer.Option(help="Degrees clockwise to turn the picture by: 0, 90, 180 or 270.")]


def width_of(text: str) -> int | str:
    """``--model-width`` as the settings take it; they refuse what they do not allow."""
    return int(text) if text.isdecimal() else text


def scan(
    files: Annotated[list[str], typer.Argument(help="Video files or folders of frames.")],
    as_json: Json = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report, one file.")] = None,
    analysis_fps: Annotated[float, typer.Option(help="Frames analysed per second.")] = 8.0,
    false_alarms_per_day: Annotated[float, typer.Option(help="The false-alarm budget.")] = 2.0,
    weights: Annotated[str, typer.Option(help="A bundled name or a .safetensors file.")] = "base",
    calibration: Annotated[Path | None, typer.Option(help="What vad calibrate wrote for this camera.")] = None,
    model_width: Width = "auto",
    rotate: Rotate = 0,
) -> None:
    """Scan recorded footage as fast as the machine can and print the incidents."""
    from vad.log import configure_log
    from vad.service.report import write_report
    from vad.service.scan import print_results, scan_files

    configure_log(LogSettings(level="error"))
    camera: dict[str, Any] = {"analysis_fps": analysis_fps, "false_alarms_per_day": false_alarms_per_day}
    camera |= {"model_width": width_of(model_width), "rotate": rotate}
    camera |= {"calibration": calibration} if calibration is not None else {}
    cameras = {f"file{number}": {"url": file, **camera} for number, file in enumerate(files, start=1)}
    site = make_config({"cameras": cameras, "model": {"weights": weights}}, source="scan")
    if report is not None and not os.path.isdir(report.parent):
        refuse(f"scan: --report {report}: no such folder {str(report.parent)!r}")
    results = scan_files(files, camera=site.cameras["file1"], model=site.model, console=stderr)
    if as_json:
        typer.echo(json.dumps([result.as_json() for result in results], indent=2))
    else:
        print_results(results, console=stdout)
    if report is not None:
        write_report(report, results)
        stderr.print(f"report: {report}", highlight=False, markup=False, soft_wrap=True)
    if any(result.error for result in results):
        raise typer.Exit(1)


def evaluate(
    dataset: Annotated[Path, typer.Argument(help="A folder with train/, test/ and labels.json.")],
    weights: Annotated[str, typer.Option(help="A bundled name or a .safetensors file.")] = "base",
    calibrate_on: Annotated[str | None, typer.Option(help="train (where there are train clips) or none.")] = None,
    calibration: Annotated[Path | None, typer.Option(help="What vad calibrate wrote, instead.")] = None,
    false_alarms_per_day: Annotated[float, typer.Option(help="The false-alarm budget.")] = 2.0,
    model_width: Width = "auto",
    fps: Annotated[float, typer.Option(min=0.01, max=60.0, help="Rate of clips that are folders of frames.")] = 10.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures as JSON.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report, one file.")] = None,
) -> None:
    """Judge labelled clips as a camera would, and print honest figures."""
    if calibrate_on not in (None, "train", "none"):
        refuse(f"evaluate: --calibrate-on {calibrate_on}; allowed: train, none")
    if calibrate_on is not None and calibration is not None:
        refuse("evaluate: give --calibrate-on or --calibration, not both")
    camera = {"url": "clips", "false_alarms_per_day": false_alarms_per_day, "model_width": width_of(model_width)}
    site = make_config({"cameras": {"evaluate": camera}, "model": {"weights": weights}}, source="evaluate")
    for path in (json_file, report):
        if path is not None:
            check_writable(path)  # before the long work
    from vad.evaluation.evaluate import Request
    from vad.service.evaluation import run_evaluation

    request = Request(
        dataset,
        site.model,
        calibrate_on=calibrate_on,  # type: ignore[arg-type]  # checked above
        calibration=calibration,
        false_alarms_per_day=false_alarms_per_day,
        folder_fps=fps,
        model_width=site.cameras["evaluate"].model_width,
    )
    run_evaluation(request, json_file=json_file, report=report, console=stdout, progress_on=stderr)


def annotate(
    video: Annotated[Path, typer.Argument(help="A video file or a folder of frames; its name is the clip's.")],
    out: Annotated[Path | None, typer.Option(help="The labels.json to make or to add to.")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Marks: CSV (first,last_exclusive or start_s,end_s) or labels.json.")
    ] = None,
    to_csv: Annotated[Path | None, typer.Option(help="Write the marks as CSV.")] = None,
    fps: Annotated[float, typer.Option(min=0.01, max=60.0, help="Rate of a folder of frames.")] = 10.0,
) -> None:
    """Import and export what is abnormal in a clip, checked against its frames."""
    if out is None and to_csv is None:
        refuse("annotate: nowhere to write; allowed: --out labels.json, --to-csv marks.csv, or both")
    if out is None and source is None:
        refuse("annotate: nothing to read; allowed: --from marks.csv, --from labels.json, or --out with what it says")
    from vad.service.annotation import Annotation, annotate

    annotate(Annotation(video, fps, source=source, out=out, to_csv=to_csv), console=stdout)


def train(
    dataset: Annotated[Path, typer.Argument(help="A folder with train/*: a video or a folder of frames per clip.")],
    out: Annotated[Path, typer.Option(help="The .safetensors file to write; its card goes beside it.")],
    init: Annotated[str | None, typer.Option(help="Weights to begin from: a bundled name or a file.")] = None,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="Of 100 batches each.")] = 20,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint of a training cut short.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same weights.")] = 0,
    fps: Annotated[float, typer.Option(min=0.01, max=60.0, help="Rate of clips that are folders of frames.")] = 10.0,
    threads: Annotated[int, typer.Option(min=1, max=64, help="CPU threads; another number is another rounding.")] = 1,
    licence: Annotated[str, typer.Option(help="Of the data, for the card, if its papers do not say.")] = "",
    citation: Annotated[str, typer.Option(help="Of the data, for the card, if its papers do not say.")] = "",
) -> None:
    """Train weights on the train clips of a data set; its test clips are never opened."""
    from vad.log import configure_log
    from vad.service.train import print_card, run_training
    from vad.training.train import TrainOptions

    configure_log(LogSettings(level="error"))
    options = TrainOptions(
        dataset=dataset,
        out=out,
        init=init,
        epochs=epochs,
        seed=seed,
        device=device,
        threads=threads,
        folder_fps=fps,
        licence=licence,
        citation=citation,
    )
    card = run_training(options, resume=resume, console=stderr)
    if card is None:
        raise typer.Exit(130)
    print_card(card, console=stdout)


def calibrate(
    videos: Annotated[list[str], typer.Argument(help="Normal footage of one camera: files or folders of frames.")],
    out: Annotated[Path, typer.Option(help="The calibration to write, for this camera's settings or vad scan.")],
    weights: Annotated[str | None, typer.Option(help="A bundled name or a .safetensors file [base].")] = None,
    analysis_fps: Annotated[float | None, typer.Option(help="Frames analysed per second [8].")] = None,
    false_alarms_per_day: Annotated[float | None, typer.Option(help="The false-alarm budget [2].")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N [auto].")] = None,
    model_width: Annotated[str | None, typer.Option(help=f"{WIDTH_HELP} [auto].")] = None,
    rotate: Annotated[int | None, typer.Option(help="Degrees clockwise to turn the picture by [0].")] = None,
    config: Annotated[str | None, typer.Option(help="A site file: settings and masks are those of --camera.")] = None,
    camera: Annotated[str | None, typer.Option(help="The camera's name in that site file.")] = None,
) -> None:
    """Learn what is normal for one camera from its own footage; no training."""
    from vad.log import configure_log
    from vad.service.calibrate import run_calibration

    configure_log(LogSettings(level="error"))
    if (config is None) != (camera is None):
        refuse("calibrate: --config and --camera go together")
    settings: dict[str, Any] = {"url": "footage"}
    model: dict[str, Any] = {}
    if config is not None and camera is not None:
        site = site_of(config, None)
        if camera not in site.cameras:
            refuse(f"calibrate: {config} has no camera {camera!r}; allowed: {', '.join(site.cameras)}")
        settings, model = site.cameras[camera].model_dump(), site.model.model_dump()
    width = None if model_width is None else width_of(model_width)
    settings |= given(analysis_fps=analysis_fps, false_alarms_per_day=false_alarms_per_day)
    settings |= given(model_width=width, rotate=rotate)
    model |= given(weights=weights, device=device)
    site = make_config({"cameras": {"footage": settings}, "model": model}, source="calibrate")
    run_calibration(videos, out=out, camera=site.cameras["footage"], model=site.model, console=stderr)
