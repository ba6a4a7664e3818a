"""Commands about cameras: watch them, hear what they raise, see what is wrong with one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from vad.cli.terminal import Json, given, print_lines, refuse, site_of, stderr, stdout
from vad.config import DEFAULT_BUS, LogSettings, make_config


def run(
    config: Annotated[str | None, typer.Argument(help="A site file; see site.example.yaml.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="A camera's URL or a file; may be repeated.")] = None,
) -> None:
    """Watch cameras until interrupted."""
    site = site_of(config, source)
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


def demo(
    scene: Annotated[
        str | None,
        typer.Option(help="street, care, shop, line or yard: five anomalies of a simulated day there, a camera each."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed is another scene.", show_default="6; with --scene 3")
    ] = None,
) -> None:
    """Watch synthetic cameras for a minute: five anomalies, and which were caught. Exit status 1 if none was."""
    from vad.log import configure_log
    from vad.video.worlds import WorldKind

    if scene is not None and scene not in set(WorldKind):
        refuse(f"demo --scene: got {scene!r}; allowed: {', '.join(WorldKind)}")
    from vad.service.demo import run_demo, run_scene  # seconds, which a mistake need not wait for

    configure_log(LogSettings(level="error"))
    options = given(seed=seed)
    try:
        if scene is None:
            caught = run_demo(console=stdout, **options)
        else:
            caught = run_scene(WorldKind(scene), console=stdout, **options)
    except OSError as exc:
        refuse(
            f"demo: its films cannot be kept in {tempfile.gettempdir()}: {exc.strerror or exc}; allowed: 50 MB of room"
        )
    if not caught:
        raise typer.Exit(1)


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


def probe(
    url: Annotated[str, typer.Argument(help="A camera's URL or a file.")],
    seconds: Annotated[float, typer.Option(min=0.5, max=60.0, help="How long to measure.")] = 5.0,
    transport: Annotated[str, typer.Option(help="tcp or udp.")] = "tcp",
    rotate: Annotated[int, typer.Option(help="Degrees clockwise to turn the picture by: 0, 90, 180 or 270.")] = 0,
) -> None:
    """Say what a stream is and how wide it would be analysed, or why it cannot be read."""
    from vad.log import configure_log
    from vad.service.probe import probe_lines

    configure_log(LogSettings(level="error"))
    site = make_config({"cameras": {"probe": {"url": url, "transport": transport, "rotate": rotate}}}, source="probe")
    print_lines(probe_lines(site.cameras["probe"], duration_s=seconds))


def check(config: Annotated[str, typer.Argument(help="A site file.")]) -> None:
    """Validate a site file without starting; prints every fault at once."""
    site = site_of(config, None)
    from vad.config.overlay import overlay_lines
    from vad.pipeline.readers import sandbox
    from vad.service import token_lines
    from vad.service.keys import site_lines

    told = [*overlay_lines(site), *site_lines(site), *token_lines.site_lines(site), *sandbox.lines(site.readers)]
    typer.echo(f"{config}: fine, {len(site.cameras)} camera{'s' * (len(site.cameras) != 1)}")
    print_lines(told)
