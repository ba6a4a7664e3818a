"""The ``vad`` command: one short function a command, heavy imports inside, so that ``vad --help`` is quick.

Exit status: 0 fine, 1 the work failed or an anomaly was missed, 2 the command or the configuration is wrong,
130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from setproctitle import setproctitle

from vad import __version__
from vad.atomic import check_writable
from vad.config import DEFAULT_BUS, LogSettings, SiteConfig, load_config, make_config, redact_url
from vad.errors import ConfigError, VadError

app = typer.Typer(
    name="vad",
    help="Real-time video anomaly detection: cameras in, anomaly events out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Who may listen to the bus.", no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(keys, name="keys")
stdout = Console()
stderr = Console(stderr=True)

KeyFolder = Annotated[Path, typer.Option("--dir", help="The folder of keys.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def run(
    config: Annotated[str | None, typer.Argument(help="A site file; see site.example.yaml.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="A camera's URL or a file; may be repeated.")] = None,
) -> None:
    """Watch cameras until interrupted."""
    site = _site(config, source)
    from vad.log import configure_log
    from vad.service.daemon import run_site

    configure_log(site.log)
    status = run_site(site)
    frames = status.frames
    stderr.print(
        f"{frames.received} frames received = {frames.scored} scored + {sum(frames.dropped.values())} dropped "
        f"({frames.lost} lost) + {frames.in_flight} in flight; last event {status.last_sequence}",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def demo(seed: Annotated[int, typer.Option(help="Another seed is another scene.")] = 6) -> None:
    """Watch a synthetic camera for a minute and a half: learn, then catch five anomalies."""
    from vad.log import configure_log
    from vad.service.demo import run_demo

    configure_log(LogSettings(level="error"))
    if not run_demo(seed=seed, console=stdout):
        raise typer.Exit(1)


@app.command()
def scan(
    files: Annotated[list[str], typer.Argument(help="Video files or folders of frames.")],
    as_json: Json = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report, one file.")] = None,
    analysis_fps: Annotated[float, typer.Option(help="Frames analysed per second.")] = 8.0,
    false_alarms_per_day: Annotated[float, typer.Option(help="The false-alarm budget.")] = 2.0,
    weights: Annotated[str, typer.Option(help="A bundled name or a .safetensors file.")] = "base",
    calibration: Annotated[Path | None, typer.Option(help="What vad calibrate wrote for this camera.")] = None,
) -> None:
    """Scan recorded footage as fast as the machine can and print the incidents."""
    from vad.log import configure_log
    from vad.service.report import write_report
    from vad.service.scan import print_results, scan_files

    configure_log(LogSettings(level="error"))
    camera: dict[str, Any] = {"analysis_fps": analysis_fps, "false_alarms_per_day": false_alarms_per_day}
    camera |= {"calibration": calibration} if calibration is not None else {}
    cameras = {f"file{number}": {"url": file, **camera} for number, file in enumerate(files, start=1)}
    site = make_config({"cameras": cameras, "model": {"weights": weights}}, source="scan")
    if report is not None and not os.path.isdir(report.parent):
        _refuse(f"scan: --report {report}: no such folder {str(report.parent)!r}")
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


@app.command()
def evaluate(
    dataset: Annotated[Path, typer.Argument(help="A folder with train/, test/ and labels.json.")],
    weights: Annotated[str, typer.Option(help="A bundled name or a .safetensors file.")] = "base",
    calibrate_on: Annotated[str | None, typer.Option(help="train (where there are train clips) or none.")] = None,
    calibration: Annotated[Path | None, typer.Option(help="What vad calibrate wrote, instead.")] = None,
    false_alarms_per_day: Annotated[float, typer.Option(help="The false-alarm budget.")] = 2.0,
    fps: Annotated[float, typer.Option(min=0.01, max=60.0, help="Rate of clips that are folders of frames.")] = 10.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures as JSON.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report, one file.")] = None,
) -> None:
    """Judge labelled clips as a camera would, and print honest figures."""
    if calibrate_on not in (None, "train", "none"):
        _refuse(f"evaluate: --calibrate-on {calibrate_on}; allowed: train, none")
    if calibrate_on is not None and calibration is not None:
        _refuse("evaluate: give --calibrate-on or --calibration, not both")
    camera = {"url": "clips", "false_alarms_per_day": false_alarms_per_day}
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
    )
    run_evaluation(request, json_file=json_file, report=report, console=stdout, progress_on=stderr)


@app.command()
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
        _refuse("annotate: nowhere to write; allowed: --out labels.json, --to-csv marks.csv, or both")
    if out is None and source is None:
        _refuse("annotate: nothing to read; allowed: --from marks.csv, --from labels.json, or --out with what it says")
    from vad.service.annotation import Annotation, annotate

    annotate(Annotation(video, fps, source=source, out=out, to_csv=to_csv), console=stdout)


@app.command()
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


@app.command()
def calibrate(
    videos: Annotated[list[str], typer.Argument(help="Normal footage of one camera: files or folders of frames.")],
    out: Annotated[Path, typer.Option(help="The calibration to write, for this camera's settings or vad scan.")],
    weights: Annotated[str | None, typer.Option(help="A bundled name or a .safetensors file [base].")] = None,
    analysis_fps: Annotated[float | None, typer.Option(help="Frames analysed per second [8].")] = None,
    false_alarms_per_day: Annotated[float | None, typer.Option(help="The false-alarm budget [2].")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N [auto].")] = None,
    config: Annotated[str | None, typer.Option(help="A site file: settings and masks are those of --camera.")] = None,
    camera: Annotated[str | None, typer.Option(help="The camera's name in that site file.")] = None,
) -> None:
    """Learn what is normal for one camera from its own footage; no training."""
    from vad.log import configure_log
    from vad.service.calibrate import run_calibration

    configure_log(LogSettings(level="error"))
    if (config is None) != (camera is None):
        _refuse("calibrate: --config and --camera go together")
    settings: dict[str, Any] = {"url": "footage"}
    model: dict[str, Any] = {}
    if config is not None and camera is not None:
        site = _site(config, None)
        if camera not in site.cameras:
            _refuse(f"calibrate: {config} has no camera {camera!r}; allowed: {', '.join(site.cameras)}")
        settings, model = site.cameras[camera].model_dump(), site.model.model_dump()
    settings |= _given(analysis_fps=analysis_fps, false_alarms_per_day=false_alarms_per_day)
    model |= _given(weights=weights, device=device)
    site = make_config({"cameras": {"footage": settings}, "model": model}, source="calibrate")
    run_calibration(videos, out=out, camera=site.cameras["footage"], model=site.model, console=stderr)


@app.command()
def events(
    address: Annotated[str, typer.Option(help="The engine's bus.")] = DEFAULT_BUS,
    since: Annotated[int | None, typer.Option(min=0, help="First the events after this sequence.")] = None,
    camera: Annotated[list[str] | None, typer.Option(help="Only this camera; may be repeated.")] = None,
    storage: Annotated[Path | None, typer.Option(help="For --since: read the journal in this folder.")] = None,
    follow: Annotated[bool, typer.Option(help="Go on until interrupted; otherwise end with the last event.")] = True,
    keys: Annotated[Path | None, typer.Option(help="The file of `vad keys new`, for a bus with keys.")] = None,
    as_json: Json = False,
) -> None:
    """Print events as they are raised, one a line."""
    from vad.service.watch import watch_events

    watch_events(address, since=since, cameras=camera, storage=storage, as_json=as_json, follow=follow, keys=keys)


@app.command()
def probe(
    url: Annotated[str, typer.Argument(help="A camera's URL or a file.")],
    seconds: Annotated[float, typer.Option(min=0.5, max=60.0, help="How long to measure.")] = 5.0,
    transport: Annotated[str, typer.Option(help="tcp or udp.")] = "tcp",
) -> None:
    """Say what a stream is, or why it cannot be read."""
    from vad.video.probe import probe as probe_stream

    site = make_config({"cameras": {"probe": {"url": url, "transport": transport}}}, source="probe")
    for line in probe_stream(site.cameras["probe"], duration_s=seconds).lines():
        typer.echo(line)


@app.command()
def check(config: Annotated[str, typer.Argument(help="A site file.")]) -> None:
    """Validate a site file without starting; prints every fault at once."""
    site = _site(config, None)
    from vad.service.keys import site_lines

    typer.echo(f"{config}: fine, {len(site.cameras)} camera{'s' * (len(site.cameras) != 1)}")
    _print_lines(site_lines(site))


@keys.command("new")
def new_key(
    name: Annotated[str, typer.Argument(help="The client: letters, digits, '_', '.', '-'.")],
    folder: KeyFolder = Path("keys"),
) -> None:
    """Make a client's key, and the engine's where there is none; nothing is overwritten."""
    from vad.service.keys import make_key

    _print_lines(make_key(folder, name))


@keys.command("list")
def list_keys(folder: KeyFolder = Path("keys")) -> None:
    """Print who may connect, and who may not any more."""
    from vad.service.keys import list_keys as lines

    _print_lines(lines(folder))


@keys.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="The client.")], folder: KeyFolder = Path("keys")) -> None:
    """Shut a client out, also of an engine that runs."""
    from vad.service.keys import revoke_key as revoke

    _print_lines(revoke(folder, name))


@app.command()
def schema(what: Annotated[str, typer.Argument(help="config or event")]) -> None:
    """Print the JSON Schema of the site file or of the events."""
    if what == "config":
        typer.echo(json.dumps(SiteConfig.model_json_schema(), indent=2))
    elif what == "event":
        from vad.events.json_schema import json_schema

        typer.echo(json.dumps(json_schema(), indent=2))
    else:
        _refuse(f"schema: no schema named {what!r}; allowed: config, event")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"vad {__version__}")


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _site(config: str | None, sources: list[str] | None) -> SiteConfig:
    if (config is None) == (not sources):
        _refuse("run: give either a site file or --source URL, not both and not neither")
    if config is not None and "://" in config:
        _refuse(f"site file: got the URL {redact_url(config)}; allowed: a YAML file, or run --source URL")
    if config is not None:
        return load_config(config)
    cameras = {f"cam{number}": {"url": url} for number, url in enumerate(sources or [], start=1)}
    return make_config({"cameras": cameras}, source="--source")


def _given(**options: Any) -> dict[str, Any]:
    """Those that the command line gave."""
    return {name: value for name, value in options.items() if value is not None}


def _refuse(message: str) -> NoReturn:
    _say(f"vad {message}")
    raise typer.Exit(2)


def _say(message: str) -> None:
    stderr.print(message, style="red", highlight=False, soft_wrap=True, markup=False)


def main() -> None:
    """Run the command; a user's mistake ends in a message, never in a traceback."""
    setproctitle(" ".join(["vad", *map(redact_url, sys.argv[1:])]))  # a URL's password must not show in `ps`
    try:
        app()
    except ConfigError as exc:
        _say(f"vad: {exc}")
        sys.exit(2)
    except VadError as exc:
        _say(f"vad: {exc}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
