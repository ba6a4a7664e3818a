"""The cameras of a running engine, and everything that changes which there are and what they do.

A camera is a stream (its own thread), a watch (the scoring thread's), an account, and what the runner carries for it.
Commands come from any thread, one at a time; each has taken effect when it returns, or has changed nothing and raises.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import structlog

from vad.clock import Clock
from vad.config import CAMERA_ID, CameraConfig, SiteConfig
from vad.config.overlay import Overlay, write_overlay
from vad.errors import CameraExists, CameraNotFound, CommandRefused, ConfigError, Fault, OverlayError
from vad.pipeline.choose_width import begin_width, is_wider
from vad.pipeline.evidence import Evidence
from vad.pipeline.history import ScoreHistory
from vad.pipeline.judge import Judge, restore
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import ClipMailbox
from vad.pipeline.member import Member
from vad.pipeline.readers.processes import ReaderProcesses
from vad.pipeline.scoring import ScoringWorker, Watch
from vad.pipeline.status import CameraStatus
from vad.pipeline.stream import CameraStream
from vad.scoring.scorer import Scorer
from vad.types import AnomalyEvent, CameraEvent, CameraState, DropReason

log = structlog.get_logger(__name__)

HALT_S = 1.0
"""How long a command waits for a camera's reader before it abandons it."""
DRAIN_S = 20.0
"""How long a command waits for a camera's last frames; longer, and something is wrong."""
POLL_S = 0.005
WITHOUT_REOPENING = frozenset(
    {"false_alarms_per_day", "zones", "calibration", "priority", "backoff_min_s", "backoff_max_s"}
)
"""Settings that take effect while the stream goes on."""


class Cameras:
    """The set of cameras, as the site file and what was changed at run time make it.

    Making it reads both, and what each camera has learnt: raises ConfigError and CalibrationError, and starts nothing.
    """

    def __init__(
        self,
        site: SiteConfig,
        *,
        overlay: Overlay,
        scoring: ScoringWorker,
        clips: ClipMailbox,
        ledger: Ledger,
        notify: Callable[[CameraEvent], None],
        clock: Clock,
        model_width: int,
        network_device: str,
        evidence: Evidence,
        readers: ReaderProcesses,
    ) -> None:
        self._site = site
        self._overlay = overlay
        self._path = site.storage.cameras_file
        self._scoring, self._clips, self._ledger = scoring, clips, ledger
        self._notify, self._clock, self._model_width = notify, clock, model_width
        self._network_device = network_device
        self._evidence, self._readers = evidence, readers
        self._lock = threading.Lock()
        self._closed = False
        self._may_grow = bool(overlay.added_to(site))
        self._members: Mapping[str, Member] = {  # replaced whole, never changed: anyone may read it
            name: self._member(name, config, is_paused=name in overlay.paused, is_armed=name not in overlay.disarmed)
            for name, config in overlay.cameras_of(site).items()
        }
        scoring.watches.update({name: member.watch for name, member in self._members.items()})

    def start(self) -> None:
        """Start the streams. Raises RuntimeError when there are not enough threads."""
        for member in self._members.values():
            if member.is_paused:
                member.stream.stop(CameraState.PAUSED)
                member.stream.rest()
            else:
                member.stream.start()

    def close(self, *, grace_s: float) -> None:
        """Stop all streams, and refuse commands from now on. A camera has its read_timeout_s and ``grace_s``."""
        with self._lock:
            self._closed = True
            streams = [member.stream for member in self._members.values()]
        began_s = self._clock.monotonic_s()
        for stream in streams:
            stream.stop()
        for stream in streams:
            stream.join(deadline_s=began_s + stream.config.read_timeout_s + grace_s)

    def check(self) -> None:
        """Watchdog's visit."""
        for member in self._members.values():
            member.stream.check()

    @property
    def have_ended(self) -> bool:
        """Every source is over for good. Never so once a camera was added at run time: another may be."""
        members = self._members.values()
        return not self._may_grow and bool(members) and all(member.stream.has_ended for member in members)

    @property
    def members(self) -> Mapping[str, Member]:
        """As they are now."""
        return self._members

    def member(self, name: str) -> Member:
        """Raises CameraNotFound."""
        member = self._members.get(name)
        if member is None:
            raise CameraNotFound(name)
        return member

    def statuses(self) -> dict[str, CameraStatus]:
        """All at the same instant of the ledger."""
        members = self._members  # first: a member has its account before it is seen here
        accounts = self._ledger.accounts()  # and may have lost it since
        return {name: m.status(accounts[name]) for name, m in members.items() if name in accounts}

    def add(self, name: str, config: CameraConfig) -> None:
        """A new camera; it goes on from what one of the same id had learnt. Raises CameraExists and ConfigError."""
        with self._command() as undo:
            if name in self._members:
                raise CameraExists(name)
            if not CAMERA_ID.fullmatch(name):
                raise ConfigError("camera", [Fault("id", f"{name!r} is not a camera id")])
            self._readers.expect([*(member.config for member in self._members.values()), config])
            self._keep(self._overlay.with_camera(name, config, site=self._site), undo)
            member = self._member(name, config, is_paused=False, is_armed=True)
            undo.callback(self._ledger.close, name)
            undo.callback(self._evidence.forget, name)
            self._scoring.ask(lambda: self._watch(name, member.watch))
            undo.callback(self._scoring.ask, lambda: self._unwatch(name))
            try:
                member.stream.start()
            except RuntimeError as exc:
                raise CommandRefused(f"camera {name} needs a thread of its own; got: {exc}") from None
            self._put(name, member)
            self._may_grow = True
        log.info("camera.added", camera=name)

    def remove(self, name: str) -> None:
        """Its stream stops, its open incident closes, what waits of it is lost, what it has learnt stays on disk."""
        with self._command() as undo:
            member = self.member(name)
            self._keep(self._overlay.without(name, site=self._site), undo)
            self._halt(name, member.stream, CameraState.STOPPED, why="removed", drop=True)
            self._scoring.ask(lambda: self._unwatch(name))
            self._scoring.save(name, member.watch)  # ours from here on
            self._evidence.forget(name)
            self._clips.tell_gone(name)
            self._members = {other: m for other, m in self._members.items() if other != name}
            self._ledger.close(name)
            self._readers.forget(name)
        log.info("camera.removed", camera=name)

    def replace(self, name: str, config: CameraConfig) -> None:
        """Other settings. The stream is opened anew only where they ask for it; what was learnt is kept."""
        with self._command() as undo:
            member = self.member(name)
            changed = {f for f in CameraConfig.model_fields if getattr(config, f) != getattr(member.config, f)}
            if not changed:
                return
            given = self._given_calibration(name, config) if "calibration" in changed else None
            self._readers.expect([*(m.config for other, m in self._members.items() if other != name), config])
            self._keep(self._overlay.with_camera(name, config, site=self._site), undo)
            width = self._width(config, given or member.watch.judge.scorer)
            reopens = not (member.is_paused or (changed <= WITHOUT_REOPENING and width == member.stream.model_width))
            if reopens:
                self._halt(name, member.stream, CameraState.CONNECTING)
            judge, masks_changed = member.watch.judge, "masks" in changed
            self._scoring.ask(lambda: judge.adjust(config, given=given, masks_changed=masks_changed))
            self._put(name, dataclasses.replace(member, config=config))
            undo.pop_all()
            if reopens:
                self._restart(name, member.stream, config, model_width=width)
            else:
                member.stream.config = config
        log.info("camera.changed", camera=name, settings=",".join(sorted(changed)))

    def set_paused(self, name: str, paused: bool) -> None:
        """A paused camera is not read; its open incident closes."""
        with self._command() as undo:
            member = self.member(name)
            if member.is_paused is paused:
                return
            self._keep(self._overlay.with_paused(name, paused), undo)
            if paused:
                self._halt(name, member.stream, CameraState.PAUSED)
                self._scoring.ask(list)  # nothing but to wait until its incident has closed
            self._put(name, dataclasses.replace(member, is_paused=paused))
            undo.pop_all()
            if not paused:
                width = self._width(member.config, member.watch.judge.scorer)
                self._restart(name, member.stream, member.config, model_width=width)
        log.info("camera.paused" if paused else "camera.resumed", camera=name)

    def set_armed(self, name: str, armed: bool) -> None:
        """A disarmed camera is scored and learns, and raises no incident; its open one closes."""
        with self._command() as undo:
            member = self.member(name)
            if member.is_armed is armed:
                return
            self._keep(self._overlay.with_disarmed(name, not armed), undo)
            self._scoring.ask(lambda: member.watch.judge.set_armed(armed))
            self._put(name, dataclasses.replace(member, is_armed=armed))
        log.info("camera.armed" if armed else "camera.disarmed", camera=name)

    def widen(self) -> None:
        """Reopen those cameras whose people are too small at the width that they have. One command after the other."""
        for name in self._members:
            if self._wider(name) is None:
                continue
            try:
                self._widen(name)
            except CommandRefused as exc:
                log.warning("camera.not_widened", camera=name, detail=str(exc))

    def _wider(self, name: str) -> int | None:
        """The width that the camera needs; None where it keeps its own, or has been removed.

        A recording that is played once keeps its own: opened anew it would be judged from its beginning again.
        """
        member = self._members.get(name)
        if member is None or member.is_paused or member.config.model_width != "auto":
            return None
        if member.config.is_file and not member.config.loop:
            return None
        scorer = member.watch.judge.scorer
        wanted, grid = scorer.wanted_width, scorer.geometry
        if wanted is None or grid is None or not is_wider(grid, wanted, than=member.stream.model_width):
            return None
        return wanted

    def _widen(self, name: str) -> None:
        with self._command():
            width = self._wider(name)
            if width is None:  # somebody was quicker
                return
            member = self.member(name)
            scorer = member.watch.judge.scorer
            person_px = scorer.person_px
            self._halt(name, member.stream, CameraState.CONNECTING)
            self._scoring.ask(lambda: _begin_at(scorer, width))
            self._restart(name, member.stream, member.config, model_width=width)
        log.info("camera.width_chosen", camera=name, width=width, person_px=person_px and round(person_px, 1))

    @contextmanager
    def _command(self) -> Iterator[ExitStack]:
        """One at a time. What is put on the stack is undone if the command fails."""
        with self._lock, ExitStack() as undo:
            if self._closed:
                raise CommandRefused("the engine is stopping: nothing can be changed any more")
            yield undo
            undo.pop_all()

    def _keep(self, overlay: Overlay, undo: ExitStack) -> None:
        """Write first: what cannot be kept over a restart is not done. Raises OverlayError."""
        before = self._overlay
        write_overlay(self._path, overlay)
        self._overlay = overlay
        undo.callback(self._take_back, before)

    def _take_back(self, before: Overlay) -> None:
        self._overlay = before
        try:
            write_overlay(self._path, before)
        except OverlayError as exc:
            log.error("overlay.not_restored", detail=str(exc))

    def _put(self, name: str, member: Member) -> None:
        self._members = {**self._members, name: member}

    def _member(self, name: str, config: CameraConfig, *, is_paused: bool, is_armed: bool) -> Member:
        settings, scoring = self._site.scoring, self._scoring
        judge = Judge.create(name, config=config, settings=settings)
        judge.is_armed = is_armed
        restore(judge, scoring.calibration_dir, config=config, settings=settings, sha256=scoring.weights_sha256)
        stream = CameraStream(
            name,
            config=config,
            model_width=self._width(config, judge.scorer),
            clip_length=self._site.model.clip_length,
            clips=self._clips,
            ledger=self._ledger,
            notify=self._notify,
            clock=self._clock,
            witness=self._evidence.witness(name),
            make_reader=self._readers.reader,
            network_device=self._network_device,
        )
        return Member(config, stream, Watch(judge, ScoreHistory(settings)), is_paused, is_armed)

    def _width(self, config: CameraConfig, scorer: Scorer) -> int:
        """At which its picture is analysed, to begin with: what was learnt at another width would be of no use."""
        return begin_width(config.model_width, learnt=scorer.geometry, own=self._model_width)

    def _given_calibration(self, name: str, config: CameraConfig) -> Scorer | None:
        """What the settings name to begin from, read. Raises CalibrationError."""
        if config.calibration is None:
            return None
        judge = Judge.create(name, config=config, settings=self._site.scoring)
        sha256 = self._scoring.weights_sha256
        judge.begin_with(config.calibration, config=config, settings=self._site.scoring, sha256=sha256)
        return judge.scorer

    def _watch(self, name: str, watch: Watch) -> list[AnomalyEvent]:
        self._scoring.watches[name] = watch
        return []

    def _unwatch(self, name: str) -> list[AnomalyEvent]:
        return self._scoring.watches.pop(name).judge.incidents.close("camera_removed")

    def _halt(self, name: str, stream: CameraStream, state: CameraState, *, why: str = "", drop: bool = False) -> None:
        """Stop the stream and let its last frames be scored, or ``drop`` those that still wait for the network.

        Its ``state`` is told after them, since they may open an incident, which ends with the stream. It is told also
        where nothing was read.
        """
        stream.stop(CameraState.CONNECTING)
        if drop:  # also lets go a reader that waits for room
            self._drop_waiting(name)
        stream.join(deadline_s=self._clock.monotonic_s() + HALT_S)
        if drop:
            self._drop_waiting(name)
        self._drain(name)
        stream.stop(state, why=why)
        stream.rest()

    def _drain(self, name: str) -> None:
        give_up_s = self._clock.monotonic_s() + DRAIN_S
        while (in_flight := self._ledger.account(name).in_flight) > 0 and not self._clips.is_closed:
            if self._clock.monotonic_s() > give_up_s:
                log.error("camera.not_drained", camera=name, in_flight=in_flight)
                return
            time.sleep(POLL_S)

    def _drop_waiting(self, name: str) -> None:
        for clip in self._clips.remove(name):
            self._ledger.dropped(name, DropReason.RUN_ENDED, len(clip.frames))

    def _restart(self, name: str, stream: CameraStream, config: CameraConfig, *, model_width: int) -> None:
        try:
            stream.restart(config, model_width=model_width)
        except RuntimeError as exc:
            raise CommandRefused(
                f"camera {name} was changed and waits for a thread, which is tried again and again; got: {exc}"
            ) from None


def _begin_at(scorer: Scorer, width: int) -> list[AnomalyEvent]:
    """What was learnt at another width is of no use; that it is forgotten is no surprise to anybody then."""
    known = scorer.geometry
    if known is not None:
        scorer.begin_at(known.pooled_for(width))
    return []
