"""``/cameras``: what is watched, and how it fares."""

from __future__ import annotations

from fastapi import APIRouter

from vad.service.api.models import Camera, Cameras
from vad.service.api.state import State

router = APIRouter(tags=["cameras"])


@router.get("/cameras", summary="All cameras")
async def cameras(state: State) -> Cameras:
    configs, statuses = state.engine.config.cameras, state.engine.status().cameras
    return Cameras(
        cameras=[
            Camera.of(name, config, statuses[name], last_event=None)
            for name, config in configs.items()
            if name in statuses
        ]
    )
