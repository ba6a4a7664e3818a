"""``/cameras``: what is watched, how it fares, and what may be changed about it while the engine runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from vad.config import CameraConfig, redact_url
from vad.errors import CameraNotFound
from vad.service.api.body import StrictRoute
from vad.service.api.models import Camera, Cameras, LastEvent
from vad.service.api.openapi import problems
from vad.service.api.requests import OF_OPERATORS, CameraPatch, CameraPath, NewCamera
from vad.service.api.state import AppState, Asking, Caller, Role, State, check_role, needs

router = APIRouter(tags=["cameras"], route_class=StrictRoute)

Operator = Annotated[Caller, Depends(needs(Role.OPERATOR, "that"))]
Admin = Annotated[Caller, Depends(needs(Role.ADMIN, "adding and removing cameras"))]


@router.get("/cameras", summary="All cameras")
def cameras(state: State) -> Cameras:
    return Cameras(cameras=_views(state, None))


@router.get("/cameras/{camera}", summary="One camera", responses=problems(404, 422))
def camera(camera: CameraPath, state: State) -> Camera:
    return _view(state, camera)


@router.post(
    "/cameras",
    summary="Watch another camera",
    status_code=201,
    response_model=Camera,
    responses={
        **problems(409, 422),
        201: {"headers": {"Location": {"schema": {"type": "string"}, "description": "the camera's path"}}},
    },
)
async def add(body: NewCamera, state: State, caller: Admin) -> Response:  # type: ignore[valid-type]
    """It is kept over a restart, until it is removed. Credentials go in and never come out."""
    given = _given(body)
    name = given.pop("id")
    config = _config(state.engine.config.defaults.model_dump(exclude_unset=True) | given)
    _check_source(state, config)
    await _command(state, lambda: state.engine.add_camera(name, config))
    view = await anyio.to_thread.run_sync(_view, state, name)
    return JSONResponse(view.model_dump(mode="json"), 201, headers={"Location": f"/api/v1/cameras/{name}"})


@router.patch("/cameras/{camera}", summary="Change a camera's settings", responses=problems(404, 422))
async def change(
    camera: CameraPath,
    body: CameraPatch,  # type: ignore[valid-type]
    state: State,
    caller: Asking,
) -> Camera:
    """Masks, zones and `false_alarms_per_day` are an operator's to set, all others an admin's.

    It takes effect before this is answered. The stream is opened anew only where a setting asks for it.
    """
    given = _given(body)
    mere = given.keys() <= OF_OPERATORS
    what = "changing masks, zones and sensitivity" if mere else "changing where and how a camera is read"
    check_role(caller, Role.OPERATOR if mere else Role.ADMIN, what)

    def replace() -> None:
        now = state.engine.cameras().get(camera)
        if now is None:
            raise CameraNotFound(camera)
        config = _config(now.model_dump() | given)
        if config.url != now.url:
            _check_source(state, config)
        state.engine.replace_camera(camera, config)

    await _command(state, replace)
    return await anyio.to_thread.run_sync(_view, state, camera)


@router.delete("/cameras/{camera}", summary="Watch a camera no more", status_code=204, responses=problems(404, 422))
async def remove(camera: CameraPath, state: State, caller: Admin) -> Response:
    """Its open incident closes. What it has learnt stays on the disk, its events in the journal."""
    await _command(state, lambda: state.engine.remove_camera(camera))
    return Response(status_code=204)


@router.post("/cameras/{camera}/pause", summary="Read a camera no more, for a while", responses=problems(404, 422))
async def pause(camera: CameraPath, state: State, caller: Operator) -> Camera:
    return await _tell(state, camera, state.engine.pause_camera)


@router.post("/cameras/{camera}/resume", summary="Read a paused camera again", responses=problems(404, 422))
async def resume(camera: CameraPath, state: State, caller: Operator) -> Camera:
    return await _tell(state, camera, state.engine.resume_camera)


@router.post("/cameras/{camera}/arm", summary="Raise incidents again", responses=problems(404, 422))
async def arm(camera: CameraPath, state: State, caller: Operator) -> Camera:
    return await _tell(state, camera, state.engine.arm_camera)


@router.post("/cameras/{camera}/disarm", summary="Raise no incidents, and go on learning", responses=problems(404, 422))
async def disarm(camera: CameraPath, state: State, caller: Operator) -> Camera:
    return await _tell(state, camera, state.engine.disarm_camera)


async def _tell(state: AppState, camera: str, command: Callable[[str], None]) -> Camera:
    await _command(state, lambda: command(camera))
    return await anyio.to_thread.run_sync(_view, state, camera)


async def _command(state: AppState, command: Callable[[], None]) -> None:
    """One at a time, in a thread: it may take seconds, and what it is based on must not change meanwhile."""
    await anyio.to_thread.run_sync(command, limiter=state.commands)


def _given(body: BaseModel) -> dict[str, Any]:
    """What the caller has said, without what was left out."""
    return body.model_dump(exclude_unset=True)


def _config(settings: dict[str, Any]) -> CameraConfig:
    """Raises RequestValidationError for what only all settings together show to be wrong."""
    try:
        return CameraConfig.model_validate(settings)
    except ValidationError as exc:
        errors = [{**error, "loc": ("body", *error["loc"])} for error in exc.errors(include_input=False)]
        raise RequestValidationError(errors) from None


def _check_source(state: AppState, config: CameraConfig) -> None:
    """Raises RequestValidationError: who may say which file is opened could look at any of this machine."""
    if not state.settings.allows(config):
        text = (
            f"{redact_url(config.url)} is not on the network; allowed over HTTP: rtsp://, rtsps://, http://, https://, "
            "or a recording in the folder that http.allow_local_sources of the site file names"
        )
        raise RequestValidationError([{"type": "value_error", "loc": ("body", "url"), "msg": text}])


def _view(state: AppState, camera: str) -> Camera:
    views = _views(state, camera)
    if not views:
        raise CameraNotFound(camera)
    return views[0]


def _views(state: AppState, only: str | None) -> list[Camera]:
    """All cameras, or the one asked for if it is there."""
    configs, statuses = state.engine.cameras(), state.engine.status().cameras
    names = [name for name in configs if name in statuses and only in (None, name)]
    with state.readers.lend() as archive:
        last = archive.last_events(names)
    return [Camera.of(name, configs[name], statuses[name], LastEvent.of(last.get(name))) for name in names]
