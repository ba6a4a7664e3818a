"""What a camera shows: pictures, scores, and what another sensitivity would have raised."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from vad.errors import CameraNotFound
from vad.service.api.models import Preview, Scores
from vad.service.api.openapi import problems
from vad.service.api.problems import Problem, no_camera
from vad.service.api.pushing import PushedResponse
from vad.service.api.requests import BoxesQuery, CameraPath, HeatQuery, WidthQuery
from vad.service.api.state import AppState, Caller, State, caller_of

router = APIRouter(tags=["cameras"])

BOUNDARY = b"picture"
RESEND_S = 5.0
"""A picture that has not changed is sent again after this long: so a reader that has gone is found out."""
DAY_S = 86_400.0
BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.get(
    "/cameras/{camera}/snapshot",
    summary="The latest picture",
    response_class=Response,
    responses={200: {"description": "JPEG, masks burnt in.", "content": {"image/jpeg": BINARY}}, **problems(404, 422)},
)
async def snapshot(
    camera: CameraPath, state: State, width: WidthQuery = 640, heat: HeatQuery = False, boxes: BoxesQuery = False
) -> Response:
    """503 while the camera has shown none yet."""
    picture = await _picture(state, camera, width=width, heat=heat, boxes=boxes)
    if picture is None:
        raise _no_picture(camera)
    return Response(picture, media_type="image/jpeg")


@router.get(
    "/cameras/{camera}/live",
    summary="Live pictures",
    response_class=Response,
    responses={
        200: {"description": "MJPEG.", "content": {"multipart/x-mixed-replace": BINARY}},
        **problems(404, 422),
    },
)
async def live(
    request: Request,
    camera: CameraPath,
    state: State,
    fps: Annotated[float, Query(ge=0.1, le=15.0, description="pictures a second, at most")] = 4.0,
    width: WidthQuery = 640,
    heat: HeatQuery = False,
    boxes: BoxesQuery = False,
) -> Response:
    """As an <img> shows it. At most `http.live_streams` at a time."""
    if camera not in state.engine.cameras():
        raise no_camera(camera)
    chunks = _parts(state, caller_of(request), camera, every_s=1.0 / fps, width=width, heat=heat, boxes=boxes)
    media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}"
    return PushedResponse(chunks, media_type=media_type, places=state.live)


@router.get("/cameras/{camera}/scores", summary="The scores of the last minutes or hours", responses=problems(404, 422))
def scores(
    camera: CameraPath, state: State, seconds: Annotated[float, Query(ge=1.0, le=DAY_S, description="back")] = 600.0
) -> Scores:
    """The highest score in each step; up to ten minutes by the second, beyond that by ten seconds."""
    history = state.engine.history(camera, seconds=seconds)
    return Scores(camera=camera, step_s=history.step_s, points=history.points)


@router.get(
    "/cameras/{camera}/preview", summary="What another sensitivity would have raised", responses=problems(404, 422)
)
def preview(
    camera: CameraPath,
    state: State,
    false_alarms_per_day: Annotated[float, Query(gt=0.0, le=1440.0, description="the budget to try")],
    hours: Annotated[float, Query(gt=0.0, le=24.0, description="back")] = 24.0,
) -> Preview:
    """Of the last hours, as far as scores are kept: `covered_s`."""
    told = state.engine.preview(camera, false_alarms_per_day=false_alarms_per_day, hours=hours)
    per_day = len(told.incidents) * DAY_S / told.covered_s if told.covered_s > 0.0 else None
    return Preview(covered_s=told.covered_s, threshold=told.threshold, incidents=told.incidents, per_day=per_day)


async def _picture(state: AppState, camera: str, *, width: int, heat: bool, boxes: bool) -> bytes | None:
    """In a thread, a few at a time: compressing takes milliseconds."""

    def draw() -> bytes | None:
        return state.engine.snapshot(camera, width=width, heat=heat, boxes=boxes)

    return await anyio.to_thread.run_sync(draw, limiter=state.pictures)


async def _parts(
    state: AppState, caller: Caller, camera: str, *, every_s: float, width: int, heat: bool, boxes: bool
) -> AsyncIterator[bytes]:
    """Pictures as parts of a multipart body, until the camera or the caller's right is gone."""
    shown, shown_s = None, state.clock.monotonic_s()
    while state.door.admits(caller):
        began_s = state.clock.monotonic_s()
        try:
            picture = await _picture(state, camera, width=width, heat=heat, boxes=boxes)
        except CameraNotFound:
            return
        if picture is not None and (picture != shown or began_s - shown_s >= RESEND_S):
            shown, shown_s = picture, began_s
            head = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (BOUNDARY, len(picture))
            yield head + picture + b"\r\n"
        await anyio.sleep(max(0.01, every_s - (state.clock.monotonic_s() - began_s)))


def _no_picture(camera: str) -> Problem:
    return Problem(
        503,
        f"camera {camera} has shown no picture yet",
        kind="no-picture",
        what="camera",
        got=camera,
        headers={"Retry-After": "1"},
    )
