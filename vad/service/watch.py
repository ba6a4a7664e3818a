"""``vad events``: what the bus says, one line each."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from vad.errors import EventsLost, VadError
from vad.events import Message, Subscriber, describe
from vad.events.journal import JOURNAL_NAME

SILENT_AFTER_S = 5.0
POLL_S = 0.5


def watch_events(
    address: str,
    *,
    since: int | None,
    cameras: Sequence[str] | None,
    storage: Path | None,
    as_json: bool,
    follow: bool,
    keys: Path | None = None,
) -> None:
    """Print events until interrupted or until nobody reads the output; without ``follow`` until all are printed.

    ``since`` first prints what was raised after that sequence: the engine says it, or the journal in ``storage`` where
    that is given. What was lost, and an engine that is silent, are said on standard error, so that standard output
    stays clean for other programs. ``keys`` is this client's key file. Raises VadError, without ``follow`` also when no
    engine answers.
    """
    journal = None if storage is None else storage / JOURNAL_NAME
    if since is not None and journal is not None and not journal.is_file():
        raise VadError(f"--storage: {str(journal)!r} is not there; allowed: the folder of an engine's journal, or none")
    try:
        subscriber = Subscriber(
            address,
            cameras=cameras or None,
            since=since,
            journal=journal if journal is not None and journal.is_file() else None,
            on_lost=_say_lost,
            keys=keys,
        )
    except ValueError as exc:
        raise VadError(str(exc)) from None
    with subscriber:
        try:
            _print_all(subscriber, silence=_silence(address, keys), as_json=as_json, follow=follow)
        except BrokenPipeError:  # the reader has seen enough; what is still buffered goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _silence(address: str, keys: Path | None) -> str:
    """What is said of an engine that says nothing."""
    why = "if it has keys, give --keys" if keys is None else f"is {keys.name} allowed there, and made for it?"
    return f"nothing from {address} for {SILENT_AFTER_S:.0f} s ({why})"


def _print_all(subscriber: Subscriber, *, silence: str, as_json: bool, follow: bool) -> None:
    warned = False
    while True:
        message = subscriber.receive(0.0)
        if message is None:  # nothing more for now: what was printed must not wait in a buffer
            sys.stdout.flush()
            if not follow and subscriber.is_up_to_date:
                return
            message = subscriber.receive(POLL_S)
        if message is not None:
            _print(message, subscriber.body, as_json=as_json)
            continue
        if _nobody_reads():
            raise BrokenPipeError
        is_silent = subscriber.silence_s > SILENT_AFTER_S
        if is_silent and not follow:
            raise VadError(f"{silence}; is an engine there?")
        if is_silent and not warned:
            typer.echo(f"vad: {silence}; still waiting", err=True)
        warned = is_silent


def _print(message: Message, body: bytes, *, as_json: bool) -> None:
    """A line: the body as it came, with fields that this version does not know, or words for people."""
    line = body.replace(b"\n", b" ") if as_json else describe(message).encode()
    sys.stdout.buffer.write(line + b"\n")


def _nobody_reads() -> bool:
    """The other end of the pipe is closed: ``head`` has what it wanted. A write would tell too, but may never come."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(state & select.POLLERR for _, state in poll.poll(0))


def _say_lost(lost: EventsLost) -> None:
    typer.echo(f"vad: {lost}", err=True)
