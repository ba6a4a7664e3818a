"""``vad tokens``: who may use the HTTP API and the console."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vad.cli.terminal import print_lines

tokens = typer.Typer(
    help="Who may use the HTTP API and the console.", no_args_is_help=True, pretty_exceptions_enable=False
)

TokenFile = Annotated[Path, typer.Option("--file", help="The file of tokens.")]


@tokens.command("new")
def new_token(
    name: Annotated[str, typer.Argument(help="Whose it is: letters, digits, '_', '.', '-'.")],
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "viewer",
    file: TokenFile = Path("tokens.jsonl"),
) -> None:
    """Make a token and print it, once; the file keeps no more than its hash."""
    from vad.service.token_lines import make_token

    print_lines(make_token(file, name, role))


@tokens.command("list")
def list_tokens(file: TokenFile = Path("tokens.jsonl")) -> None:
    """Print whose tokens are good, and whose not any more."""
    from vad.service.token_lines import list_tokens as lines

    print_lines(lines(file))


@tokens.command("revoke")
def revoke_token(
    name: Annotated[str, typer.Argument(help="Whose it is, or its id.")], file: TokenFile = Path("tokens.jsonl")
) -> None:
    """Take a token back, also from an engine that runs."""
    from vad.service.token_lines import revoke_token as revoke

    print_lines(revoke(file, name))
