"""What every command needs: the terminal, options that several share, how a mistake is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from vad.config import SiteConfig, load_config, make_config, redact_url

stdout = Console()
stderr = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def site_of(config: str | None, sources: list[str] | None) -> SiteConfig:
    if (config is None) == (not sources):
        refuse("run: give either a site file or --source URL, not both and not neither")
    if config is not None and "://" in config:
        refuse(f"site file: got the URL {redact_url(config)}; allowed: a YAML file, or run --source URL")
    if config is not None:
        return load_config(config)
    cameras = {f"cam{number}": {"url": url} for number, url in enumerate(sources or [], start=1)}
    return make_config({"cameras": cameras}, source="--source")


def given(**options: Any) -> dict[str, Any]:
    """Those that the command line gave."""
    return {name: value for name, value in options.items() if value is not None}


def refuse(message: str) -> NoReturn:
    say(f"vad {message}")
    raise typer.Exit(2)


def say(message: str) -> None:
    stderr.print(message, style="red", highlight=False, soft_wrap=True, markup=False)
