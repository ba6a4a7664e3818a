"""``vad keys``: who may listen to the bus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vad.cli.terminal import print_lines

keys = typer.Typer(help="Who may listen to the bus.", no_args_is_help=True, pretty_exceptions_enable=False)

KeyFolder = Annotated[Path, typer.Option("--dir", help="The folder of keys.")]


@keys.command("new")
def new_key(
    name: Annotated[str, typer.Argument(help="The client: letters, digits, '_', '.', '-'.")],
    folder: KeyFolder = Path("keys"),
) -> None:
    """Make a client's key, and the engine's where there is none; nothing is overwritten."""
    from vad.service.keys import make_key

    print_lines(make_key(folder, name))


@keys.command("list")
def list_keys(folder: KeyFolder = Path("keys")) -> None:
    """Print who may connect, and who may not any more."""
    from vad.service.keys import list_keys as lines

    print_lines(lines(folder))


@keys.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="The client.")], folder: KeyFolder = Path("keys")) -> None:
    """Shut a client out, also of an engine that runs."""
    from vad.service.keys import revoke_key as revoke

    print_lines(revoke(folder, name))
