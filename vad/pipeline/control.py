"""What a running engine can be told about its cameras, and asked of them."""

from __future__ import annotations

from vad.config import CameraConfig, SiteConfig
from vad.errors import VadError
from vad.pipeline.cameras import Cameras
from vad.pipeline.history import History, Preview
from vad.pipeline.snapshot import snapshot_of


class CameraControl:
    """The engine's commands on cameras, for any thread; each returns once it has taken effect.

    What they change is kept over a restart. They raise OverlayError when it cannot be kept (a full disk, say) and
    CommandRefused when the engine stops or the machine has no thread to give, and have changed nothing then; all that
    name a camera raise CameraNotFound.
    """

    def __init__(self, config: SiteConfig) -> None:
        self.config = config
        """The site as its file has it; ``cameras()`` says what it has become."""
        self._cameras: Cameras | None = None  # once started

    def cameras(self) -> dict[str, CameraConfig]:
        """The cameras as they are now: the site file's, with what was changed at run time."""
        if self._cameras is None:
            return dict(self.config.cameras)
        return {name: member.config for name, member in self._cameras.members.items()}

    def add_camera(self, name: str, config: CameraConfig) -> None:
        """Watch one more camera, also after a restart. What it learnt under that id before is gone on from.

        Raises CameraExists, ConfigError for an id that is none, and CalibrationError for a calibration of no use.
        """
        self._running_cameras.add(name, config)

    def remove_camera(self, name: str) -> None:
        """Watch it no more. Its open incident closes (``camera_removed``); what it has learnt stays on disk."""
        self._running_cameras.remove(name)

    def replace_camera(self, name: str, config: CameraConfig) -> None:
        """Give it other settings. What it has learnt is kept, and the stream is opened anew only where they need it."""
        self._running_cameras.replace(name, config)

    def pause_camera(self, name: str) -> None:
        """Read it no more until it is resumed."""
        self._running_cameras.set_paused(name, True)

    def resume_camera(self, name: str) -> None:
        """Read it again, as a new run."""
        self._running_cameras.set_paused(name, False)

    def arm_camera(self, name: str) -> None:
        """Raise incidents of it again."""
        self._running_cameras.set_armed(name, True)

    def disarm_camera(self, name: str) -> None:
        """Raise no incidents of it; it is scored and learns as before. Its open incident closes (``disarmed``)."""
        self._running_cameras.set_armed(name, False)

    def history(self, name: str, *, seconds: float) -> History:
        """The camera's scores of the last ``seconds``, at most a day, in steps of 1 s up to ten minutes, then 10 s."""
        return self._running_cameras.member(name).watch.history.read(seconds)

    def preview(self, name: str, *, false_alarms_per_day: float, hours: float) -> Preview:
        """What that budget would have raised in the last ``hours``, at most 24, by the threshold it gives today."""
        return self._running_cameras.member(name).preview(false_alarms_per_day, seconds=3600.0 * hours)

    def snapshot(
        self, name: str, *, width: int | None = None, heat: bool = False, boxes: bool = False, quality: int = 80
    ) -> bytes | None:
        """The camera's latest picture as JPEG, its masks burnt in; None while there is none.

        At most ``width`` px wide, ``heat`` and ``boxes`` drawn into it where its last score has some. Costs the caller
        a conversion and the compression, and the camera's own thread nothing. Raises CameraNotFound.
        """
        member = self._running_cameras.member(name)
        witness = member.stream.witness
        shown = witness.look(most_width=width) if witness else None
        if witness is None or shown is None:
            return None
        picture, shape = shown
        score = member.watch.last_score
        return snapshot_of(picture, shape, masks=witness.masks, score=score, heat=heat, boxes=boxes, quality=quality)

    @property
    def _running_cameras(self) -> Cameras:
        if self._cameras is None:
            raise VadError("the engine has not started: it has no cameras yet")
        return self._cameras
