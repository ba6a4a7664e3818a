"""From a raised event to its subscribers: the journal, the bus and the replay, and what their threads run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import zmq

from vad.clock import Clock
from vad.config import BusSettings, StorageSettings
from vad.events.bus import Publisher
from vad.events.gatekeeper import Gatekeeper
from vad.events.journal import JOURNAL_NAME, Journal
from vad.events.replay import ReplayServer
from vad.events.sockets import TERM_S, end_context
from vad.pipeline.mailbox import Mailbox
from vad.pipeline.metrics import StageMetrics
from vad.pipeline.publish import Outbound, run_publish
from vad.pipeline.record import Recorder
from vad.pipeline.status import BusStatus, JournalStatus, ReplayStatus
from vad.types import FrameScore, RaisedEvent

OUTBOX_CAPACITY = 1024
POLL_S = 0.1
HEARS_AT_MOST_S = 0.05
"""The publisher's time for what subscribers ask for: beyond it, whoever asks for most is cut off."""


class Delivery:
    """Journal first, then publish; whatever was missed is replayed.

    Opens the journal and binds both addresses when made: raises JournalError, KeyFileError or BindError, and leaves
    nothing open.
    ``stages`` are the bodies of its threads, which the caller starts. They end by themselves after ``finish``, in the
    order in which events flow; then ``close``.
    """

    def __init__(
        self,
        *,
        bus: BusSettings,
        storage: StorageSettings,
        metrics: StageMetrics,
        clock: Clock,
    ) -> None:
        self._outbox: Mailbox[Outbound] = Mailbox(OUTBOX_CAPACITY)
        self._published = threading.Event()
        self._closed_s: float | None = None  # since when the sockets are
        self._clock = clock
        self._context = zmq.Context()
        self._linger_s = bus.linger_s
        with ExitStack() as undo:
            undo.callback(end_context, self._context)
            self._gatekeeper = Gatekeeper.from_settings(bus, clock=clock)
            undo.callback(self._gatekeeper.close)
            secure = self._gatekeeper.guard
            self.journal = Journal(storage.dir / JOURNAL_NAME, clock=clock)
            undo.callback(self.journal.close)
            self._replay = ReplayServer(bus, journal=self.journal, context=self._context, clock=clock, secure=secure)
            undo.callback(self._replay.close)
            self.replay_address = self._replay.address
            self._publisher = Publisher(
                bus,
                journal=self.journal,
                clock=clock,
                context=self._context,
                secure=secure,
                replay_port=int(self.replay_address.rpartition(":")[2]),
            )
            undo.callback(self._publisher.close)
            self.bus_address = self._publisher.address  # from here on the sockets are their threads'
            self.recorder = Recorder(self.journal, storage=storage, outbox=self._outbox, metrics=metrics, clock=clock)
            undo.pop_all()

    @property
    def stages(self) -> Mapping[str, Callable[[], None]]:
        """Name and body of each thread."""
        return {
            "journal": self.recorder.run,
            "publish": self._run_publish,
            "replay": self._run_replay,
            "gatekeeper": self._run_gatekeeper,
        }

    def put(self, events: Sequence[RaisedEvent], scores: Sequence[FrameScore] = ()) -> None:
        """Have events stored and sent, and scores sent where anybody would get them. Never waits."""
        if events:
            self.recorder.put(events)
        if scores and self._publisher.wants_scores:
            self._outbox.put_or_drop_oldest(Outbound(scores=scores))

    def finish(self) -> None:
        """Nothing more will be put: write and send what is left, then end the threads."""
        self.recorder.close()

    def abandon(self) -> None:
        """A stage has died: the others must not wait for it."""
        self.recorder.close()
        self._outbox.close()

    def close(self) -> None:
        """Once the threads have ended, or were never started."""
        self._publisher.close()
        self._replay.close()
        self._gatekeeper.close()
        end_context(self._context, linger_s=self._linger_s)
        self.journal.close()

    @property
    def waiting(self) -> int:
        """Batches of events and scores that are yet to be sent."""
        return len(self._outbox)

    @property
    def journal_status(self) -> JournalStatus:
        return self.recorder.status

    @property
    def replay_status(self) -> ReplayStatus:
        server = self._replay
        return ReplayStatus(answers=dict(server.answers), events=server.events, unread_bytes=server.unread_bytes)

    @property
    def bus_status(self) -> BusStatus:
        keeper = self._gatekeeper
        refused = dict(keeper.refused)  # in one step: its thread may add to it meanwhile
        refused["subscriptions"] = refused.get("subscriptions", 0) + self._publisher.excesses
        return BusStatus(connections=keeper.connections, accepted=keeper.accepted, refused=refused)

    def _revocations(self) -> int:
        return self._gatekeeper.revocations

    def _run_publish(self) -> None:
        try:
            run_publish(outbox=self._outbox, publisher=self._publisher, revocations=self._revocations)
        finally:
            self._published.set()

    def _run_gatekeeper(self) -> None:
        self._gatekeeper.run(
            is_swamped=lambda: self._publisher.hears_for_s > HEARS_AT_MOST_S, is_over=self._need_not_be_kept
        )

    def _need_not_be_kept(self) -> bool:
        """The sockets should have ended by now: libzmq has been seen never to end one."""
        closed_s = self._closed_s
        return closed_s is not None and self._clock.monotonic_s() - closed_s > self._linger_s + TERM_S

    def _run_replay(self) -> None:
        seen = self._revocations()
        try:
            while not self._published.is_set():
                if (now := self._revocations()) != seen:
                    seen = now
                    self._replay.drop_connections()
                self._replay.step(POLL_S)
        finally:
            self._replay.close()
            self._closed_s = self._clock.monotonic_s()
