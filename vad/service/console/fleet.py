"""The cameras as the live page shows them: a card each, and how all of them are at a glance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np

from vad.errors import VadError
from vad.events.archive import Archive, Incident
from vad.pipeline.engine import Engine
from vad.pipeline.promise import promise_of
from vad.pipeline.status import CameraStatus, EngineStatus
from vad.service.console.words import ISSUES, STAGES, STAGES_MEAN, STATES, word
from vad.types import CameraState, Stage

PAGE_CARDS = 64
SPARK_S = 300.0
SPARK_WIDTH, SPARK_HEIGHT = 60, 300
SPARK_LIMIT = 200
"""Every card has its threshold at the same height, so that cameras compare at a glance."""
SPARKS_AT_FIRST = 20
"""Curves that a page comes with: what is further down gets its own when it is looked at."""
UNJUDGED_TOP = 6.0
LATE_S = 30.0
OPEN_SHOWN = 50

Card = dict[str, Any]


def pulse(engine: Engine, status: EngineStatus) -> dict[str, Any]:
    """What the head of every page says. ``watched`` leaves out the cameras that somebody paused."""
    cameras = status.cameras.values()
    return {
        "running": engine.readiness()["running"],
        "cameras": len(status.cameras),
        "watched": sum(not camera.is_paused for camera in cameras),
        "up": sum(camera.state is CameraState.UP for camera in cameras),
        "incidents": sum(camera.incidents_open for camera in cameras),
    }


def _is_off(camera: CameraStatus) -> bool:
    return camera.is_paused or not camera.is_armed


def _is_trouble(camera: CameraStatus) -> bool:
    return not camera.is_paused and (camera.state is not CameraState.UP or camera.health is not None)


CHOICES: tuple[tuple[str, str, Callable[[CameraStatus], bool]], ...] = (
    ("all", "All states", lambda _: True),
    ("incident", "Incident open", lambda camera: camera.incidents_open > 0),
    ("trouble", "No or bad picture", _is_trouble),
    ("learning", "Learning or warming up", lambda camera: camera.stage is not Stage.CALIBRATED),
    ("off", "Paused or disarmed", _is_off),
)


@dataclass(frozen=True, slots=True)
class FleetView:
    """One page of the cameras that fit ``q`` (a part of the name) and ``state``; those with an incident first."""

    q: str
    state: str
    page: int
    pages: int
    total: int
    matching: int
    names: list[str]
    cards: list[Card]

    def link(self, page: int) -> str:
        wanted = {"q": self.q, "state": "" if self.state == "all" else self.state, "page": page if page > 1 else ""}
        search = urlencode({key: value for key, value in wanted.items() if value})
        return f"/?{search}" if search else "/"


def fleet_view(
    status: EngineStatus, *, q: str, state: str, page: int, card_of: Callable[[Sequence[str]], list[Card]]
) -> FleetView:
    fits = next((test for key, _, test in CHOICES if key == state), CHOICES[0][2])
    names = [name for name, camera in status.cameras.items() if q.lower() in name.lower() and fits(camera)]
    names.sort(key=lambda name: status.cameras[name].incidents_open == 0)  # stable: else as the site has them
    pages = max(1, math.ceil(len(names) / PAGE_CARDS))
    page = min(max(1, page), pages)
    shown = names[(page - 1) * PAGE_CARDS : page * PAGE_CARDS]
    return FleetView(q, state, page, pages, len(status.cameras), len(names), shown, card_of(shown))


def cards(
    engine: Engine,
    status: EngineStatus,
    names: Sequence[str],
    *,
    archive: Archive,
    now_s: float,
    sparks: int = PAGE_CARDS,
) -> list[Card]:
    """A card for each name that is a camera, in that order, the first ``sparks`` of them with their curves."""
    known = [name for name in names if name in status.cameras]
    last = archive.last_incidents(known)
    return [
        {
            **camera_card(name, status.cameras[name], last.get(name)),
            "spark": spark(engine, name, now_s=now_s) if number < sparks else "",
        }
        for number, name in enumerate(known)
    ]


def camera_card(name: str, camera: CameraStatus, last: Incident | None) -> Card:
    """What a card says but for its curve."""
    tone, picture, label = _condition(camera)
    detail = camera.detail or (word("codes", camera.code.value) if camera.code and tone == "trouble" else "")
    return {
        "id": name,
        "tone": tone,
        "icon": picture,
        "label": label,
        "detail": detail,
        "is_live": camera.state is CameraState.UP,
        "has_picture": camera.frames.received > 0,
        "over": camera.score > camera.threshold and camera.health is None,
        "score": camera.score,
        "threshold": _finite(camera.threshold),
        "stage_label": STAGES[camera.stage],
        "stage_means": STAGES_MEAN[camera.stage],
        "promise": promise_of(camera),
        "last": last
        and {
            "id": last.incident,
            "wall_s": last.opened_wall_s,
            "label": ", ".join(word("reasons", reason) for reason in last.reasons) or "Incident",
        },
    }


def _condition(camera: CameraStatus) -> tuple[str, str, str]:
    """Tone, icon and word of what matters most of a camera."""
    if camera.incidents_open:
        return "alarm", "alarm", "Incident"
    if camera.is_paused:
        return "off", "pause", STATES["paused"]
    if camera.state is CameraState.CONNECTING and camera.code is None:
        return "off", "wait", STATES["connecting"]
    if camera.state is not CameraState.UP:
        return "trouble", "trouble", STATES.get(camera.state.value, camera.state.value)
    if camera.health is not None:
        return "trouble", "trouble", ISSUES[camera.health]
    if not camera.is_armed:
        return "off", "off", "Disarmed"
    return "plain", "up", STATES["up"]


def spark(engine: Engine, name: str, *, now_s: float) -> str:
    """The last minutes of score over threshold as points of a polyline, the highest of each column."""
    try:
        history = engine.history(name, seconds=SPARK_S)
    except VadError:  # removed meanwhile, or the engine is only starting
        return ""
    if not history.points:
        return ""
    points = np.array(history.points)  # (n, 3): wall_s, score, threshold
    newest_s = float(points[-1, 0])
    end_s = newest_s if abs(newest_s - now_s) < LATE_S else max(newest_s, now_s)
    columns = ((points[:, 0] - end_s + SPARK_S) * (SPARK_WIDTH / SPARK_S)).astype(np.int64)
    limits = np.where(np.isfinite(points[:, 2]), points[:, 2], UNJUDGED_TOP)
    heights = np.minimum(points[:, 1] / limits * SPARK_LIMIT, SPARK_HEIGHT)
    highest = np.full(SPARK_WIDTH + 1, -1.0)
    shown = (columns >= 0) & (columns <= SPARK_WIDTH)
    np.maximum.at(highest, columns[shown], heights[shown])
    there = np.flatnonzero(highest >= 0.0)
    depths = (SPARK_HEIGHT - highest[there]).astype(np.int64)
    return " ".join(f"{x},{y}" for x, y in zip(there.tolist(), depths.tolist(), strict=True))


def open_incidents(archive: Archive) -> list[Mapping[str, Any]]:
    """What is open now, newest first."""
    return [
        {
            "incident": one.incident,
            "camera": one.camera,
            "reasons": list(one.reasons),
            "opened_wall_s": one.opened_wall_s,
        }
        for one in archive.open_incidents(limit=OPEN_SHOWN)
    ]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
