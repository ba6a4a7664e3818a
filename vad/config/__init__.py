"""The site file: the only home of defaults, units and bounds. Unknown keys are refused.

``load_config`` reads YAML, fills ``${VAR}`` from the environment, and raises one ``ConfigError`` that lists every fault
with its path. ``SiteConfig.model_validate`` does the same for a mapping made in Python.
"""

from __future__ import annotations

from vad.config.bridges import BridgeSettings, MqttBridge, NatsBridge, WebhookBridge, bridge_name
from vad.config.bus import DEFAULT_BUS, BusSettings, KeySettings
from vad.config.camera import (
    CAMERA_ID,
    MODEL_WIDTHS,
    PANORAMA_WIDTHS,
    SCHEMES,
    CameraConfig,
    CameraId,
    CameraSettings,
    ModelWidth,
    Polygon,
    Rotation,
    redact_url,
)
from vad.config.engine import ModelSettings, ScoringSettings
from vad.config.evidence import EvidenceSettings
from vad.config.readers import ReaderSettings
from vad.config.service import HttpSettings, LogSettings, StorageSettings
from vad.config.site import SiteConfig, load_config, make_config

__all__ = [
    "CAMERA_ID",
    "DEFAULT_BUS",
    "MODEL_WIDTHS",
    "PANORAMA_WIDTHS",
    "SCHEMES",
    "BridgeSettings",
    "BusSettings",
    "CameraConfig",
    "CameraId",
    "CameraSettings",
    "EvidenceSettings",
    "HttpSettings",
    "KeySettings",
    "LogSettings",
    "ModelSettings",
    "ModelWidth",
    "MqttBridge",
    "NatsBridge",
    "Polygon",
    "ReaderSettings",
    "Rotation",
    "ScoringSettings",
    "SiteConfig",
    "StorageSettings",
    "WebhookBridge",
    "bridge_name",
    "load_config",
    "make_config",
    "redact_url",
]
