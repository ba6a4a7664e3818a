"""Commands about vad itself."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vad import __version__
from vad.cli.terminal import refuse
from vad.config import SiteConfig


def schema(what: Annotated[str, typer.Argument(help="config or event")]) -> None:
    """Print the JSON Schema of the site file or of the events."""
    if what == "config":
        typer.echo(json.dumps(SiteConfig.model_json_schema(), indent=2))
    elif what == "event":
        from vad.events.json_schema import json_schema

        typer.echo(json.dumps(json_schema(), indent=2))
    else:
        refuse(f"schema: no schema named {what!r}; allowed: config, event")


def version() -> None:
    """Print the version."""
    typer.echo(f"vad {__version__}")
