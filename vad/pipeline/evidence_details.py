"""``evidence.json``: what a player needs to draw an incident over its clip, and what was expected against seen."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np

from vad.pipeline.evidence_cases import Moment, Request
from vad.video.clip import Clip
from vad.video.overlay import heat_extent

VERSION = 1


def details_of(request: Request, clip: Clip | None) -> bytes:
    """JSON. See ``docs/evidence.md``; no number in it is infinite or none."""
    start_s = clip.start_s if clip else request.peak.pts_s
    end_s = start_s + clip.duration_s if clip else start_s
    shown = [moment for moment in request.moments if start_s - 1e-3 <= moment.pts_s <= end_s + 1e-3]
    heat_max = max((float(m.heat.max()) for m in shown if m.heat is not None), default=0.0)
    peak = request.peak
    told: dict[str, Any] = {
        "version": VERSION,
        "incident": request.incident,
        "camera": request.camera,
        "started_wall_s": request.started_wall_s,
        "peak_wall_s": peak.wall_s,
        "peak_score": _number(peak.score),
        "threshold": _number(peak.threshold),
        "clip": None if clip is None else _clip(request, clip),
        "missing": missing_of(request, clip),
        "heat_grid": list(request.geometry.cells),
        "heat_extent": [round(side, 5) for side in heat_extent(request.geometry)],
        "heat_max": _number(heat_max),
        "frames": [_frame(moment, start_s=start_s, heat_max=heat_max) for moment in shown],
        "findings": [
            {"reason": f.reason, "seen": _number(f.seen), "usual": _number(f.usual), "unit": f.unit, "text": f.text}
            for f in peak.findings
        ],
    }
    return json.dumps(told, separators=(",", ":"), allow_nan=False).encode()


def missing_of(request: Request, clip: Clip | None) -> list[str]:
    """What the clip should show and does not, in words; empty when it shows all."""
    excerpt = request.excerpt
    if excerpt is None or clip is None:
        return ["there is no video of it in memory" if excerpt is None else "its video cannot be decoded"]
    slack_s, (from_s, to_s) = 2.0 * excerpt.interval_s, excerpt.wanted_s
    missing = []
    if clip.start_s > max(from_s, 0.0) + slack_s:
        missing.append("the beginning: it is not in memory (any more); ring_mib may be too small")
    if clip.start_s + clip.duration_s < to_s - slack_s:
        why = "a group of pictures does not fit ring_mib" if excerpt.is_cut else "the run ended"
        missing.append(f"the end: {why}")
    if not _shows_peak(request, clip):
        missing.append("the peak")
    return missing


def _shows_peak(request: Request, clip: Clip) -> bool:
    return clip.start_s - 1e-3 <= request.peak.pts_s <= clip.start_s + clip.duration_s + 1e-3


def _clip(request: Request, clip: Clip) -> dict[str, Any]:
    peak = request.peak
    return {
        "start_wall_s": round(peak.wall_s - (peak.pts_s - clip.start_s), 3),
        "peak_s": round(peak.pts_s - clip.start_s, 3) if _shows_peak(request, clip) else None,
        "duration_s": round(clip.duration_s, 3),
        "width": clip.width,
        "height": clip.height,
        "codec": clip.codec,
        "reencoded": clip.reencoded,
    }


def _frame(moment: Moment, *, start_s: float, heat_max: float) -> dict[str, Any]:
    heat = None
    if moment.heat is not None and heat_max > 0.0:
        levels = np.clip(np.round(moment.heat * (255.0 / heat_max)), 0, 255).astype(np.uint8)
        heat = base64.b64encode(levels.tobytes()).decode("ascii")
    return {
        "t_s": round(moment.pts_s - start_s, 3),
        "score": _number(moment.score),
        "threshold": _number(moment.threshold),
        "reasons": list(moment.reasons),
        "boxes": [[round(v, 4) for v in (r.x0, r.y0, r.x1, r.y1, _number(r.score) or 0.0)] for r in moment.regions],
        "heat": heat,
    }


def _number(value: float) -> float | None:
    """JSON knows no infinity; a camera that is still cold has an infinite threshold."""
    return round(float(value), 4) if math.isfinite(value) else None
