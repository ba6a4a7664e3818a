"""``vad events``: what the bus says, one line each."""

from __future__ import annotations

import select
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import typer

from vad.errors import EventsLost, VadError
from vad.events import Subscriber, describe, encode
from vad.events.journal import JOURNAL_NAME

SILENT_AFTER_S = 5.0
POLL_S = 0.5


def watch_events(
    address: str, *, since: int | None, cameras: Sequence[str] | None, storage: Path, as_json: bool
) -> None:
    """Print events until interrupted or until nobody reads the output any more.

    ``since`` first prints what the journal in ``storage`` holds after that sequence. What was lost, and an engine that
    is silent, are said on standard error, so that standard output stays clean for other programs.
    """
    journal = storage / JOURNAL_NAME
    if since is not None and not journal.is_file():
        raise VadError(f"--since needs the engine's journal; got {str(journal)!r}, which is not there; see --storage")
    try:
        subscriber = Subscriber(
            address,
            cameras=cameras or None,
            since=since,
            journal=journal if journal.is_file() else None,
            on_lost=_say_lost,
        )
    except ValueError as exc:
        raise VadError(str(exc)) from None
    with subscriber:
        _print_for_ever(subscriber, address=address, as_json=as_json)


def _print_for_ever(subscriber: Subscriber, *, address: str, as_json: bool) -> None:
    warned = False
    while True:
        message = subscriber.receive(POLL_S)
        if message is None and _nobody_reads(sys.stdout):
            return
        if message is None:
            silent = subscriber.silence_s > SILENT_AFTER_S
            if silent and not warned:
                typer.echo(f"vad: nothing from {address} for {SILENT_AFTER_S:.0f} s; still waiting", err=True)
            warned = silent
            continue
        try:
            sys.stdout.write((encode(message).decode() if as_json else describe(message)) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough
            sys.stderr.close()
            return


def _nobody_reads(stream: TextIO) -> bool:
    """The other end of the pipe is closed: ``head`` has what it wanted. A write would tell too, but may never come."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(state & select.POLLERR for _, state in poll.poll(0))


def _say_lost(lost: EventsLost) -> None:
    typer.echo(f"vad: {lost}", err=True)
