"""``/status``: the engine in numbers."""

from __future__ import annotations

from fastapi import APIRouter

from vad import __version__
from vad.service.api.models import Latency, Status
from vad.service.api.state import State

router = APIRouter(tags=["status"])


@router.get("/status", summary="The engine at this instant")
async def status(state: State) -> Status:
    engine = state.engine
    p50_s, p95_s = engine.latency_quantiles_s((0.5, 0.95))
    return Status.of(
        engine.status(),
        version=__version__,
        device=engine.device,
        wall_s=state.clock.wall_s(),
        checks=engine.readiness(),
        latency=Latency(p50_s=p50_s, p95_s=p95_s),
        evidence_used_bytes=engine.evidence.used_bytes,
    )
