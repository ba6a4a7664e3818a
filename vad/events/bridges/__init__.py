"""Bridges: events brought elsewhere, each an optional extra and one file behind one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from vad.errors import BridgeError
from vad.events.bridges.bridge import Bridge

if TYPE_CHECKING:
    from vad.config import BridgeSettings

__all__ = ["Bridge", "check_bridge", "make_bridge"]

_KINDS = {"mqtt": ("paho", "MqttBridge"), "webhook": ("httpx", "WebhookBridge"), "nats": ("nats", "NatsBridge")}
"""Each type's module is ``vad.events.bridges.<type>``: what that needs, and its class."""


def check_bridge(settings: BridgeSettings) -> None:
    """Raises BridgeError, which says what to install, where the library of this type of bridge is missing."""
    needed, _ = _KINDS[settings.type]
    if find_spec(needed) is None:
        raise BridgeError(
            f"bridge {settings.type} needs {needed}, which is not installed: pip install vad[{settings.type}]"
        )


def make_bridge(settings: BridgeSettings, *, cameras: Sequence[str]) -> Bridge:
    """The bridge of these settings, not yet open. Raises BridgeError where its library is missing."""
    check_bridge(settings)
    made: Bridge = getattr(import_module(f"vad.events.bridges.{settings.type}"), _KINDS[settings.type][1])(
        settings, cameras=cameras
    )
    return made
