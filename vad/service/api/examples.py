"""Examples of the OpenAPI document: one site through a quiet afternoon. A test holds each against its schema."""

from __future__ import annotations

import json
from typing import Any

from vad.service.api.requests import EXAMPLE_INCIDENT as INCIDENT

EPOCH = "4920f8f86a444cb19a11ef766bd986b7"
OPENED_S, CLOSED_S = 1_795_384_798.7, 1_795_384_811.2

_FRAMES = {
    "received": 2_160_000,
    "scored": 691_200,
    "in_flight": 2,
    "lost": 38,
    "dropped": {"analysis_rate": 1_468_760, "overload": 12, "overload_rate": 0, "run_ended": 26, "shutdown": 0},
}

STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "device": "cpu",
    "wall_s": 1_795_384_821.42,
    "is_ready": True,
    "checks": {"model_loaded": True, "bus_bound": True, "journal_writable": True, "running": True},
    "cameras": 1,
    "cameras_up": 1,
    "frames": _FRAMES,
    "latency": {"p50_s": 0.18, "p95_s": 0.41},
    "epoch": EPOCH,
    "last_sequence": 1204,
    "journal": {
        "is_writable": True,
        "detail": "",
        "waiting": 0,
        "lost": 0,
        "failures": 0,
        "first_sequence": 1,
        "used_bytes": 901_120,
    },
    "queues": {"clips": 0, "maps": 0, "events": 0, "outbox": 0, "evidence": 0},
    "bus_connections": 2,
    "bridges": {"mqtt": {"up": True, "behind": 0, "sent": 1204, "failed": 3, "dead_letters": 0, "lost": 0}},
    "evidence_used_bytes": 52_428_800,
    "readers": {"processes": 2, "died": 0, "isolated": [], "not_sandboxed": []},
}

CAMERA: dict[str, Any] = {
    "id": "entrance",
    "url": "rtsp://192.0.2.11/stream",
    "state": "up",
    "code": None,
    "detail": "640x360",
    "run": 3,
    "fps": 25.0,
    "stage": "calibrated",
    "score": 0.8,
    "threshold": 4.25,
    "health": None,
    "is_armed": True,
    "is_paused": False,
    "false_alarms_per_day": 2.0,
    "budget_ratio": 0.5,
    "allowed_per_day": 2.0,
    "promised_after_s": 0.0,
    "promise": "Keeps to 2 false alarms a day.",
    "incidents_open": 0,
    "incidents_opened": 1,
    "judged_s": 86_380.2,
    "analysis_fps": 8.0,
    "model_width": "auto",
    "analysed_width": 160,
    "rotate": 0,
    "transport": "tcp",
    "clock_fault": None,
    "clock_skew_s": 0.04,
    "clock_ratio": 1.0,
    "frames": _FRAMES,
    "frames_spared": 864_000,
    "frames_unfiltered": 0,
    "reconnects": {"timeout": 3},
    "errors": {"timeout": 3},
    "masks": [{"points": [[0.0, 0.0], [0.2, 0.0], [0.2, 0.3], [0.0, 0.3]], "name": "neighbour"}],
    "zones": [],
    "last_event": {
        "id": f"{EPOCH}-1204",
        "type": "io.vad.anomaly.closed",
        "wall_s": CLOSED_S,
        "reasons": ["speed"],
    },
}

SCORES: dict[str, Any] = {
    "camera": "entrance",
    "step_s": 1.0,
    "points": [[1_795_384_798.0, 3.1, 4.25], [1_795_384_799.0, 6.0, 4.25], [1_795_384_800.0, 5.5, 4.25]],
}
PREVIEW: dict[str, Any] = {
    "covered_s": 86_400.0,
    "threshold": 3.85,
    "incidents": [1_795_340_017.0, OPENED_S],
    "per_day": 2.0,
}

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": f"{EPOCH}-1203",
    "source": "/vad/cameras/entrance",
    "time": "2026-11-22T21:59:59.200Z",
    "datacontenttype": "application/json",
    "subject": "entrance",
    "type": "io.vad.anomaly.opened",
    "epoch": EPOCH,
    "sequence": 1203,
    "data": {
        "incident": INCIDENT,
        "run": 3,
        "pts_s": 12.5,
        "wall_s": 1_795_384_799.2,
        "wall_source": "rtcp",
        "started_pts_s": 12.0,
        "started_wall_s": OPENED_S,
        "score": 5.5,
        "threshold": 4.25,
        "p_value": 3.2e-06,
        "peak_score": 6.0,
        "peak_pts_s": 12.25,
        "stage": "calibrated",
        "reasons": ["speed"],
        "regions": [{"x0": 0.0, "y0": 0.4, "x1": 0.1, "y1": 0.6, "score": 6.0, "track": 17}],
        "frames": 4,
        "close_reason": None,
    },
}

ROW: dict[str, Any] = {
    "incident": INCIDENT,
    "camera": "entrance",
    "state": "closed",
    "opened_wall_s": OPENED_S,
    "closed_wall_s": CLOSED_S,
    "close_reason": "calm",
    "peak_score": 6.0,
    "threshold": 4.25,
    "reasons": ["speed"],
    "stage": "calibrated",
    "place": "middle left",
    "region": [0.0, 0.4, 0.1, 0.6],
    "verdict": "false",
    "has_evidence": True,
    "event_id": EVENT["id"],
}

VERDICT: dict[str, Any] = {
    "incident": INCIDENT,
    "verdict": "false",
    "note": "the neighbour's cat",
    "who": "anna",
    "given_wall_s": 1_795_384_902.1,
}
_FILES = f"/api/v1/events/{INCIDENT}/evidence"
DETAILS: dict[str, Any] = {
    "incident": ROW,
    "events": [EVENT],
    "evidence": {
        "clip": f"{_FILES}/clip.mp4",
        "seen": f"{_FILES}/seen.jpg",
        "expected": f"{_FILES}/expected.jpg",
        "details": f"{_FILES}/evidence.json",
    },
    "verdict": VERDICT,
}

STREAM = f"id: {EVENT['id']}\ndata: {json.dumps(EVENT)}\n\n"

KEPT: dict[str, Any] = {
    "version": 1,
    "incident": INCIDENT,
    "camera": "entrance",
    "started_wall_s": OPENED_S,
    "peak_wall_s": OPENED_S + 0.25,
    "peak_score": 6.0,
    "threshold": 4.25,
    "clip": {
        "start_wall_s": OPENED_S - 5.0,
        "peak_s": 5.25,
        "duration_s": 10.4,
        "width": 640,
        "height": 360,
        "codec": "h264",
        "reencoded": False,
    },
    "missing": [],
    "heat_grid": [2, 3],
    "heat_extent": [1.0, 1.0],
    "heat_max": 6.0,
    "frames": [
        {
            "t_s": 5.25,
            "score": 6.0,
            "threshold": 4.25,
            "reasons": ["speed"],
            "boxes": [[0.0, 0.4, 0.1, 0.6, 6.0]],
            "heat": "AAAA/yAA",
        }
    ],
    "findings": [
        {
            "reason": "speed",
            "seen": 0.31,
            "usual": 0.07,
            "unit": "picture widths/s",
            "text": "speed: 0.31 picture widths/s here, usually at most 0.07",
        }
    ],
}
"""An ``evidence.json``, of one frame and a coarse grid."""

OF_SCHEMAS: dict[str, dict[str, Any]] = {
    "Status": STATUS,
    "Camera": CAMERA,
    "Cameras": {"cameras": [CAMERA]},
    "Scores": SCORES,
    "Preview": PREVIEW,
    "Event": EVENT,
    "Events": {"events": [EVENT], "next": EVENT["id"]},
    "IncidentRow": ROW,
    "Incidents": {"incidents": [ROW], "next": None},
    "EventDetails": DETAILS,
    "VerdictGiven": VERDICT,
}
"""By the name of the schema. Not on the models: FastAPI leaves every null out of what it gathers from them."""
