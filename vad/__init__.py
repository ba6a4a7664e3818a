"""vad: real-time video anomaly detection. Cameras in, anomaly events out.

The public names load on first use, so that ``import vad`` is quick and loads neither torch nor numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vad.config import CameraConfig, SiteConfig, load_config
    from vad.errors import ConfigError, StreamError, VadError, WeightsError
    from vad.pipeline.engine import Engine
    from vad.pipeline.scan import scan
    from vad.types import AnomalyEvent, CameraEvent, EventType, FrameScore, Reason, Region, Stage

__version__ = "0.1.0"

_HOMES = {
    "AnomalyEvent": "vad.types",
    "CameraConfig": "vad.config",
    "CameraEvent": "vad.types",
    "ConfigError": "vad.errors",
    "Engine": "vad.pipeline.engine",
    "EventType": "vad.types",
    "FrameScore": "vad.types",
    "Reason": "vad.types",
    "Region": "vad.types",
    "SiteConfig": "vad.config",
    "Stage": "vad.types",
    "StreamError": "vad.errors",
    "VadError": "vad.errors",
    "WeightsError": "vad.errors",
    "load_config": "vad.config",
    "scan": "vad.pipeline.scan",
}

__all__ = [
    "AnomalyEvent",
    "CameraConfig",
    "CameraEvent",
    "ConfigError",
    "Engine",
    "EventType",
    "FrameScore",
    "Reason",
    "Region",
    "SiteConfig",
    "Stage",
    "StreamError",
    "VadError",
    "WeightsError",
    "load_config",
    "scan",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vad' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
