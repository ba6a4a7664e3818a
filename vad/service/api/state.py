"""What the routes of API and console depend upon."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends
from prometheus_client import Counter
from starlette.requests import HTTPConnection

from vad.clock import Clock, SystemClock
from vad.config import HttpSettings
from vad.events.verdicts import VERDICTS_NAME, Verdicts
from vad.pipeline.engine import Engine
from vad.service.api.door import Caller, Door
from vad.service.api.problems import Problem
from vad.service.api.pushing import Places
from vad.service.api.readers import Readers
from vad.service.api.tail import Tail
from vad.service.tokens import Role

__all__ = ["AppState", "Asking", "Caller", "Role", "State", "caller_of", "check_role", "needs"]

PICTURES_AT_ONCE = 4


class AppState:
    """One for a server. All but ``door`` may be used from any thread.

    Making it reads the tokens and opens the verdicts: raises TokenFileError and VerdictError.
    """

    def __init__(self, engine: Engine, *, settings: HttpSettings | None = None, clock: Clock | None = None) -> None:
        self.engine = engine
        self.settings = settings or HttpSettings()
        self.clock: Clock = clock or SystemClock()
        self.door = Door(self.settings.tokens, clock=self.clock)
        self.verdicts = Verdicts(engine.config.storage.dir / VERDICTS_NAME)
        self.commands = CapacityLimiter(1)
        self.pictures = CapacityLimiter(PICTURES_AT_ONCE)
        self.live = Places(self.settings.live_streams, what="live streams (http.live_streams)")
        self.listeners = Places(self.settings.event_streams, what="event streams (http.event_streams)")
        self.readers = Readers(engine.journal_path, verdicts=self.verdicts.path)
        self.tail = Tail(self.readers)
        self.said = Counter(
            "vad_verdicts", "Verdicts given on incidents.", ["camera", "verdict"], registry=engine.registry
        )

        self.answered = Counter(
            "vad_http_responses", "Answers of API and console, by status code.", ["code"], registry=engine.registry
        )
        self.answered.labels(code=500)  # there from the start, so that the first one is seen to happen

    @property
    def journal_path(self) -> Path:
        return self.engine.journal_path

    def close(self) -> None:
        self.readers.close()
        self.verdicts.close()


def caller_of(connection: HTTPConnection) -> Caller:
    """Who sent this request: the gate has put it there."""
    caller: Caller = connection.state.caller
    return caller


async def _state(connection: HTTPConnection) -> AppState:
    """Asynchronous, as all dependencies are: others are called in a thread, which costs more than they do."""
    state: AppState = connection.app.state.vad
    return state


async def _caller(connection: HTTPConnection) -> Caller:
    return caller_of(connection)


def check_role(caller: Caller, needed: Role, what: str) -> None:
    """Raises Problem 403 for a caller who may not do that."""
    if caller.role < needed:
        raise Problem(
            403,
            f"{what} needs the role {needed.name.lower()}; got {caller.role.name.lower()}",
            kind="role",
            what="role",
            got=caller.role.name.lower(),
            allowed=", ".join(role.name.lower() for role in Role if role >= needed),
        )


def needs(role: Role, what: str) -> Callable[[HTTPConnection], Coroutine[None, None, Caller]]:
    """A dependency: the caller, who may do that."""

    async def check(connection: HTTPConnection) -> Caller:
        caller = caller_of(connection)
        check_role(caller, role, what)
        return caller

    return check


State = Annotated[AppState, Depends(_state)]
"""A route's parameter: the application's state."""

Asking = Annotated[Caller, Depends(_caller)]
"""A route's parameter: who asks."""
