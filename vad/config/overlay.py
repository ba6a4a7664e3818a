"""What was changed at run time, laid over the site file: ``<storage.dir>/cameras.json``, the engine's own to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from vad.atomic import replace_file
from vad.config.camera import CameraConfig, CameraId
from vad.config.section import Section
from vad.config.site import SiteConfig, faults_of
from vad.errors import ConfigError, Fault, OverlayError


class Overlay(Section):
    """Cameras added, changed, removed, paused, disarmed. Names that are no camera's any more are passed over.

    ``cameras`` holds, of one that the site file has too, the settings that differ, and of any other all that are not
    defaults. It may hold passwords: the file is readable by the engine's user alone.
    """

    version: Literal[1] = 1
    cameras: dict[CameraId, dict[str, Any]] = Field(default={})
    removed: list[CameraId] = Field(default=[])
    paused: list[CameraId] = Field(default=[])
    disarmed: list[CameraId] = Field(default=[])

    def cameras_of(self, site: SiteConfig) -> dict[str, CameraConfig]:
        """The site's cameras as they are with this. Raises ConfigError with every fault at once."""
        cameras = {name: config for name, config in site.cameras.items() if name not in self.removed}
        faults: list[Fault] = []
        for name, fields in self.cameras.items():
            if name in self._stale(site):
                continue
            under = site.cameras[name].model_dump() if name in site.cameras else {}
            try:
                cameras[name] = CameraConfig.model_validate({**under, **fields})
            except ValidationError as exc:
                faults += [Fault(f"cameras.{name}.{fault.path}", fault.message) for fault in faults_of(exc)]
        if faults:
            raise ConfigError(str(site.storage.cameras_file), faults)
        return cameras

    def added_to(self, site: SiteConfig) -> list[str]:
        """The cameras that the site file does not have."""
        return [name for name in self.cameras if name not in site.cameras and name not in self._stale(site)]

    def _stale(self, site: SiteConfig) -> set[str]:
        """Changes to cameras that the site file has no more."""
        return {name for name, fields in self.cameras.items() if name not in site.cameras and "url" not in fields}

    def with_camera(self, name: str, config: CameraConfig, *, site: SiteConfig) -> Overlay:
        """With that camera, new or other than before."""
        fields = _plain(config)
        if name in site.cameras:
            before = _plain(site.cameras[name])
            fields = {key: value for key, value in fields.items() if value != before[key]}
        else:
            kept = config.model_dump(exclude_defaults=True)
            fields = {key: value for key, value in fields.items() if key in kept}
        cameras = {other: told for other, told in self.cameras.items() if other != name}
        cameras |= {name: fields} if fields else {}
        return self._with(cameras=cameras, removed=[other for other in self.removed if other != name])

    def without(self, name: str, *, site: SiteConfig) -> Overlay:
        """Without that camera, and all that was said of it."""
        removed = [other for other in self.removed if other in site.cameras and other != name]
        return self._with(
            cameras={other: told for other, told in self.cameras.items() if other != name},
            removed=[*removed, name] if name in site.cameras else removed,
            paused=[other for other in self.paused if other != name],
            disarmed=[other for other in self.disarmed if other != name],
        )

    def with_paused(self, name: str, paused: bool) -> Overlay:
        return self._with(paused=[other for other in self.paused if other != name] + [name] * paused)

    def with_disarmed(self, name: str, disarmed: bool) -> Overlay:
        return self._with(disarmed=[other for other in self.disarmed if other != name] + [name] * disarmed)

    def _with(self, **parts: Any) -> Overlay:
        return self.model_copy(update=parts)

    def _not_allowed(self, site: SiteConfig) -> list[str]:
        """Cameras that were added when that was allowed. They are read on."""
        there = self.cameras_of(site)
        return [name for name in self.added_to(site) if not site.http.allows(there[name])]

    def lines(self, site: SiteConfig) -> list[str]:
        """What it changes, for people, a line for each kind; nothing that is secret. Empty when it changes nothing."""
        there = self.cameras_of(site)
        stale = self._stale(site)
        added = self.added_to(site)
        changed = [f"{name} ({', '.join(self.cameras[name])})" for name in self.cameras if name in site.cameras]
        stale |= {name for name in (*self.paused, *self.disarmed) if name not in there}
        told = {
            "added": added,
            "changed": changed,
            "removed": [name for name in self.removed if name in site.cameras and name not in there],
            "paused": [name for name in self.paused if name in there],
            "disarmed": [name for name in self.disarmed if name in there],
            "of no camera any more": sorted(stale),
            "on this machine, which may not be added over HTTP now (http.allow_local_sources)": self._not_allowed(site),
        }
        return [f"{what}: {', '.join(names)}" for what, names in told.items() if names]


def read_overlay(path: Path) -> Overlay:
    """What was changed at run time; nothing where there is no file. Raises ConfigError that names the file."""
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # who opens the journal says what is wrong with the folder
        return Overlay()
    except OSError as exc:
        raise ConfigError(str(path), [Fault("", f"cannot be read: {exc.strerror}")]) from None
    try:
        return Overlay.model_validate(json.loads(text))
    except (ValueError, RecursionError) as exc:  # ValidationError is a ValueError; JSON's words quote no secret
        if not isinstance(exc, ValidationError):
            raise ConfigError(str(path), [Fault("", f"is damaged, not JSON: {exc}")]) from None
        raise ConfigError(str(path), faults_of(exc)) from None


def write_overlay(path: Path, overlay: Overlay) -> None:
    """Atomically, for the engine's user alone; one that changes nothing is no file. Raises OverlayError."""
    try:
        if overlay == Overlay():
            path.unlink(missing_ok=True)
        else:
            replace_file(path, overlay.model_dump_json(indent=2).encode(), mode=0o600)
    except OSError as exc:
        raise OverlayError(f"{path}: the change cannot be kept, and is not made: {exc.strerror}") from None


def _plain(config: CameraConfig) -> dict[str, Any]:
    """As JSON has it, the password shown."""
    fields = config.model_dump(mode="json")
    if config.password is not None:
        fields["password"] = config.password.get_secret_value()
    return fields


def overlay_lines(site: SiteConfig) -> list[str]:
    """What was changed of this site at run time. Raises ConfigError."""
    path = site.storage.cameras_file
    return [f"{path}, changed at run time: {line}" for line in read_overlay(path).lines(site)]
