"""Evidence thread: makes what the cases ask for and gives it to the store. Nobody waits for it, whatever the disk does.

One thread for the whole engine, of low priority: an incident's clip may come a little later, the next frame's score may
not. What waits is bounded in number and bytes; the oldest give way, counted.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import structlog

from vad.clock import Clock
from vad.config import EvidenceSettings, Polygon
from vad.errors import VadError
from vad.pipeline.evidence_cases import Cases, Request
from vad.pipeline.evidence_details import details_of
from vad.pipeline.evidence_store import CLIP, DETAILS, EXPECTED, SEEN, EvidenceStore, TooBig
from vad.pipeline.render_messages import NICENESS
from vad.pipeline.rendering import InEngine, NotRendered, RendererLost, Rendering
from vad.pipeline.status import EvidenceStatus
from vad.pipeline.witness import Witness
from vad.types import FrameScore, RaisedEvent
from vad.video.clip import Clip
from vad.video.overlay import Picture, draw_boxes, draw_heat, heat_extent, jpeg
from vad.video.privacy import black_out, hidden

log = structlog.get_logger(__name__)

MOST_WAITING = 64
MOST_WAITING_BYTES = 256 * 2**20
SEEN_WIDTH = 1280
POLL_S = 0.5
RETAIN_EVERY_S = 60.0
REMIND_S = 60.0
CLOSE_WITHIN_S = 5.0
"""How long a stop goes on writing what waits; what is in hand then is finished, as far as it is rendered in time."""


class NotKept(StrEnum):
    """Why an evidence was not kept."""

    OVERLOAD = "overload"  # too much waited
    DISK = "disk"  # full, or it failed
    TOO_BIG = "too_big"  # one alone exceeds keep_mib
    SHUTDOWN = "shutdown"  # the engine could not wait any longer
    DEFECT = "defect"


class Evidence:
    """``witness``, ``see`` and ``status`` are for others, none of them waits; ``run`` is the thread's.

    ``open`` raises VadError when the folder cannot be used.
    """

    def __init__(
        self, settings: EvidenceSettings, *, directory: Path, clock: Clock, rendering: Rendering | None = None
    ) -> None:
        self._settings, self._clock = settings, clock
        self._rendering = rendering or InEngine()
        self.store = EvidenceStore(directory, keep_days=settings.keep_days, keep_mib=settings.keep_mib, clock=clock)
        self._witnesses: dict[str, Witness] = {}
        self._cases = Cases(settings, witnesses=self._witnesses, ask=self._put)
        self._waiting: deque[Request] = deque()
        self._waiting_bytes = 0
        self._closed = False
        self._changed = threading.Condition()
        self._written = 0
        self._dropped: Counter[NotKept] = Counter()
        self._remind_s = self._retain_s = 0.0

    def open(self) -> None:
        try:
            self.store.open()
        except OSError as exc:
            raise VadError(
                f"{self.store.directory}: {exc.strerror}; allowed: a folder that can be made and written"
            ) from None

    def witness(self, camera: str) -> Witness:
        """The camera's own, made when first asked for."""
        return self._witnesses.setdefault(camera, Witness(self._settings))

    def forget(self, camera: str) -> None:
        """The camera is gone. What was kept of it stays on disk."""
        self._witnesses.pop(camera, None)
        self._cases.forget(camera)

    def see(self, events: Sequence[RaisedEvent], scores: Sequence[FrameScore]) -> None:
        """All that the scoring thread hands over, from that thread."""
        if self._settings.enabled:
            self._cases.see(events, scores)

    def finish(self) -> None:
        """No more will be seen, by that thread: ``run`` writes what waits, for CLOSE_WITHIN_S, and ends."""
        self._cases.finish()
        self.abandon()

    def abandon(self) -> None:
        """``run`` shall end, though not all was seen."""
        self._rendering.hurry()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def status(self) -> EvidenceStatus:
        return EvidenceStatus(
            written=self._written,
            dropped={reason: self._dropped[reason] for reason in NotKept},
            waiting=len(self._waiting),
            used_bytes=self.store.used_bytes,
            limit_bytes=self.store.limit_bytes,
            oldest_wall_s=self.store.oldest_wall_s,
            ring_bytes=sum(witness.size_bytes for witness in list(self._witnesses.values())),
        )

    def run(self) -> None:
        """Until ``finish``, and then what waits."""
        with suppress(OSError):  # a thread's own, on Linux
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        try:
            self._run()
        finally:
            self._rendering.close()

    def _run(self) -> None:
        give_up_s: float | None = None
        while (request := self._take()) is not None or not self._closed:
            if request is not None:
                now_s = time.monotonic()  # real time, whatever the clock: a stop must end
                give_up_s = (give_up_s or now_s + CLOSE_WITHIN_S) if self._closed else None
                if give_up_s is not None and now_s > give_up_s:
                    self._drop(NotKept.SHUTDOWN, request)
                else:
                    self._keep(request)
            else:
                self._rendering.rest()
            self._retain()

    def _put(self, request: Request) -> None:
        with self._changed:
            self._waiting.append(request)
            self._waiting_bytes += request.size_bytes
            while len(self._waiting) > MOST_WAITING or (
                self._waiting_bytes > MOST_WAITING_BYTES and len(self._waiting) > 1
            ):
                oldest = self._waiting.popleft()
                self._waiting_bytes -= oldest.size_bytes
                self._drop(NotKept.OVERLOAD, oldest)
            self._changed.notify_all()

    def _take(self) -> Request | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting, timeout=POLL_S)
            if not self._waiting:
                return None
            request = self._waiting.popleft()
            self._waiting_bytes -= request.size_bytes
            return request

    def _keep(self, request: Request) -> None:
        try:
            self.store.put(request.camera, request.incident, files_of(request, self._rendering))
        except TooBig as exc:
            self._drop(NotKept.TOO_BIG, request, str(exc))
        except OSError as exc:
            self._drop(NotKept.DISK, request, exc.strerror or str(exc))
        except Exception:  # of one incident: the next may be well
            log.exception("evidence.defect", camera=request.camera, run=request.run, incident=request.incident)
            self._drop(NotKept.DEFECT, request)
        else:
            self._written += 1
            log.debug("evidence.kept", camera=request.camera, run=request.run, incident=request.incident)

    def _drop(self, reason: NotKept, request: Request, detail: str = "") -> None:
        self._dropped[reason] += 1
        now_s = self._clock.monotonic_s()
        if now_s >= self._remind_s:
            self._remind_s = now_s + REMIND_S
            log.error(
                "evidence.not_kept",
                camera=request.camera,
                run=request.run,
                incident=request.incident,
                reason=reason.value,
                detail=detail,
                so_far=sum(self._dropped.values()),
            )

    def _retain(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._retain_s:
            return
        self._retain_s = now_s + RETAIN_EVERY_S
        try:
            self.store.retain()
        except OSError as exc:
            log.warning("evidence.not_deleted", detail=str(exc))


def files_of(request: Request, rendering: Rendering) -> dict[str, bytes]:
    """What is written of one incident, by file name. The details come last: what has them is whole."""
    masks = request.witness.masks if request.witness else ()
    clip, picture = _rendered(request, masks, rendering)
    files = {CLIP: clip.data} if clip else {}
    files |= {SEEN: _seen(request, masks, picture)} if picture is not None else {}
    samples = request.witness.samples if request.witness else None
    if samples is not None:
        usual = samples.usual(request.geometry, run=request.run, before_s=request.started_pts_s, masks=masks)
        files |= {EXPECTED: jpeg(usual)} if usual is not None else {}
    return {**files, DETAILS: details_of(request, clip)}


def _rendered(request: Request, masks: Sequence[Polygon], rendering: Rendering) -> tuple[Clip | None, Picture | None]:
    """The clip, and the picture at the peak."""
    excerpt = request.excerpt
    if excerpt is None:
        return None, None
    clip = picture = None
    try:
        clip = rendering.clip(excerpt, masks=masks)
    except NotRendered as exc:
        _tell("evidence.no_clip", request, exc)
        if isinstance(exc, RendererLost):
            return None, None
    try:
        picture = rendering.picture(excerpt, request.peak.pts_s, masks=masks, most_width=SEEN_WIDTH)
    except NotRendered as exc:
        _tell("evidence.no_picture", request, exc)
    return clip, picture


def _tell(event: str, request: Request, why: NotRendered) -> None:
    log.warning(event, camera=request.camera, run=request.run, incident=request.incident, detail=str(why))


def _seen(request: Request, masks: Sequence[Polygon], picture: Picture) -> bytes:
    """The picture at the peak, with heat and boxes."""
    peak, grid = request.peak, request.geometry
    if peak.heat is not None:
        filmed = request.excerpt.format.masks if request.excerpt else ()
        where = hidden((*filmed, *masks), grid, width=picture.shape[1], height=picture.shape[0])
        heated = draw_heat(picture, peak.heat, heat_extent(grid), threshold=peak.threshold)
        picture = black_out(heated, where)  # not lit up by what is beside it
    return jpeg(draw_boxes(picture, peak.regions))
