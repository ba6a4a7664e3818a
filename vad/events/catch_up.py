"""Fills what a subscriber misses: from the engine's journal file where that is at hand, else by the engine's replay."""

from __future__ import annotations

import logging
from pathlib import Path

from vad.errors import JournalError, ReplayError, WireError
from vad.events.following import Following
from vad.events.journal import JournalReader
from vad.events.replayer import Replayer
from vad.events.requests import Refusal, ReplayHead, ReplayRequest, Reply, SnapshotHead, SnapshotRequest
from vad.events.schema import HeartbeatData

log = logging.getLogger(__name__)


class CatchUp:
    """One page at a time, as ``following`` asks for it by its gap. Never waits.

    Where the replay is, heartbeats say unless ``address`` does; an address that gives no answer is asked for anew.
    """

    def __init__(
        self, following: Following, replayer: Replayer, *, host: str, address: str | None, journal: Path | None
    ) -> None:
        self._following = following
        self._replayer = replayer
        self._host = host
        self._address = address
        self._journal = journal
        self._is_offered: bool | None = None  # by the engine; None until it has said
        self._snapshot_after: int | None = None  # the last state had, while there are more
        replayer.go_to(address)

    @property
    def is_needed(self) -> bool:
        return self._following.gap is not None or self._snapshot_after is not None

    @property
    def needs_a_heartbeat(self) -> bool:
        """It is not known where to ask."""
        return self._replayer.address is None

    def begin_snapshot(self) -> None:
        """Ask for the camera states as they are now."""
        self._snapshot_after = 0

    def learn(self, data: HeartbeatData) -> None:
        """What a heartbeat says of the replay."""
        self._is_offered = self._address is not None or data.replay_port is not None
        if self._address is None and data.replay_port is not None:
            self._replayer.go_to(f"{self._host}:{data.replay_port}")

    def work(self) -> bool:
        """Do what can be done now; False when there is nothing to do but to wait."""
        if self._following.gap is not None and self._journal is not None and self._read_journal(self._journal):
            return True
        if self._replayer.address is None:
            return self._give_up() if self._is_offered is False else False
        if self._replayer.is_overdue:
            self._replayer.reset()
            if self._address is None:
                self._replayer.go_to(None)
                self._is_offered = None
            return True
        try:
            answer = self._replayer.take()
        except WireError as exc:
            log.warning("replay: %s", exc)
            self._replayer.reset()
            return True
        if answer is None:
            return self._replayer.ask(self._request())
        self._take(*answer)
        return True

    def _request(self) -> ReplayRequest | SnapshotRequest:
        if self._snapshot_after is not None:
            return SnapshotRequest(after=self._snapshot_after)
        return ReplayRequest(epoch=self._following.epoch, after=self._following.last_sequence)

    def _take(self, reply: Reply, bodies: list[bytes]) -> None:
        match reply:
            case ReplayHead():
                self._take_events(reply, bodies)
            case SnapshotHead():
                self._take_states(reply, bodies)
            case Refusal(error="epoch"):
                self._following.change_epoch(reply.epoch)
                self._replayer.hurry()
            case Refusal(error="busy" | "unavailable"):
                pass  # asked again in a moment
            case Refusal(error="unread"):
                self._replayer.reset()
            case Refusal():
                self._following.fail(ReplayError(f"the engine does not replay: {reply.error}: {reply.detail}"))

    def _take_events(self, head: ReplayHead, bodies: list[bytes]) -> None:
        following = self._following
        if head.last_sequence < following.last_sequence:
            following.fail(
                ReplayError(
                    f"sequence {following.last_sequence} is beyond the journal of epoch {head.epoch}; "
                    f"allowed: 0 to {head.last_sequence}"
                )
            )
            following.go_back(head.last_sequence)
        elif head.more:  # on its way while these are read
            self._replayer.ask(ReplayRequest(epoch=head.epoch, after=head.begin + head.count - 1))
        if head.lost is not None:
            following.lose(until=head.lost[1])
        following.fill(head.begin, bodies)
        if not head.more:
            following.close_gap()
            self._replayer.finish()

    def _take_states(self, head: SnapshotHead, bodies: list[bytes]) -> None:
        last = self._following.show(bodies) if head.epoch == self._following.epoch else None
        self._snapshot_after = last if head.more else None
        if self._snapshot_after is None:
            self._replayer.finish()

    def _give_up(self) -> bool:
        """No replay is offered: what is missing is lost."""
        self._snapshot_after = None
        if self._following.gap is not None:
            self._following.lose(until=self._following.gap)
            self._following.close_gap()
        return True

    def _read_journal(self, path: Path) -> bool:
        """One page of what is missing; False when this file cannot help."""
        following = self._following
        try:
            with JournalReader(path) as reader:
                page = reader.read(following.last_sequence) if reader.epoch == following.epoch else []
        except JournalError as exc:
            log.warning("missing events cannot be read back: %s", exc)
            return False
        if page:
            following.fill(page[0].sequence, [stored.body for stored in page])
        if following.gap is not None and following.last_sequence >= following.gap:
            following.close_gap()
            return True
        return bool(page)
