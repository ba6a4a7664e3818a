"""What the routes of API and console depend upon."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from vad.clock import Clock, SystemClock
from vad.config import HttpSettings
from vad.pipeline.engine import Engine


class Role(IntEnum):
    """What a caller may do; each may all that the ones before it may."""

    VIEWER = 1  # see everything
    OPERATOR = 2  # judge incidents, arm, pause, draw masks, set the sensitivity
    ADMIN = 3  # add and remove cameras, change where they are


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. ``token_id`` is None where no token is needed (this machine's loopback alone)."""

    name: str
    role: Role
    token_id: str | None = None


@dataclass(frozen=True, slots=True)
class AppState:
    """One for a server; everything in it may be used from any thread."""

    engine: Engine
    settings: HttpSettings = field(default_factory=HttpSettings)
    clock: Clock = field(default_factory=SystemClock)

    @property
    def journal_path(self) -> Path:
        return self.engine.journal_path


def caller_of(connection: HTTPConnection) -> Caller:
    """Who sent this request: the gate has put it there."""
    caller: Caller = connection.state.caller
    return caller


def app_state(connection: HTTPConnection) -> AppState:
    state: AppState = connection.app.state.vad
    return state


State = Annotated[AppState, Depends(app_state)]
"""A route's parameter: the application's state."""
