"""What a camera showed lately: one tape a run, a picture only while there is one."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from vad.config import EvidenceSettings
from vad.pipeline.witness import MOST_TAPES, Witness
from vad.types import Geometry
from vad.video.tape import Format, Tape

GRID = Geometry(source_width=640, source_height=360, pool=4, width=160, height=96)
FORMAT = Format("h264", b"", "mp4", "yuv420p", 25.0, True, GRID, ())


@pytest.fixture
def shown(clip_h264: Path) -> tuple[av.Packet, av.VideoFrame]:
    with av.open(str(clip_h264)) as container:
        packet = next(iter(container.demux(video=0)))
    with av.open(str(clip_h264)) as container:
        return packet, next(container.decode(video=0))


def show(tape: Tape, what: tuple[av.Packet, av.VideoFrame]) -> None:
    tape.format = FORMAT
    tape.add(what[0], 0.0)
    tape.show(what[1], pts_s=0.0, at_s=0.0)


def test_a_reader_that_was_abandoned_adds_nothing_to_what_came_after_it(
    shown: tuple[av.Packet, av.VideoFrame],
) -> None:
    witness = Witness(EvidenceSettings())
    abandoned = witness.begin(1, masks=())
    show(abandoned, shown)
    size = abandoned.size_bytes
    current = witness.begin(2, masks=())
    show(abandoned, shown)  # it wakes up
    assert abandoned.size_bytes == size > 0
    assert current.size_bytes == 0
    assert current.picture is None
    assert witness.tape(2) is current


def test_the_last_picture_stays_until_the_next_run_has_one_but_not_while_nothing_comes(
    shown: tuple[av.Packet, av.VideoFrame],
) -> None:
    witness = Witness(EvidenceSettings())
    assert witness.look(most_width=320) is None
    show(witness.begin(1, masks=()), shown)
    witness.begin(2, masks=())
    assert witness.look(most_width=320) is not None
    witness.rest()
    assert witness.look(most_width=320) is None
    witness.begin(3, masks=())
    assert witness.look(most_width=320) is None


def test_tapes_are_few_and_go_once_their_frames_were_judged() -> None:
    witness = Witness(EvidenceSettings())
    for run in range(10):
        witness.begin(run, masks=())
    assert [witness.tape(run) is not None for run in range(10)] == [False] * (10 - MOST_TAPES) + [True] * MOST_TAPES
    witness.forget_before(9)
    assert witness.tape(8) is None
    assert witness.tape(9) is not None


def test_switched_off_no_packet_is_kept(shown: tuple[av.Packet, av.VideoFrame]) -> None:
    witness = Witness(EvidenceSettings(enabled=False))
    show(witness.begin(1, masks=()), shown)
    assert witness.size_bytes == 0
    assert witness.samples is None
    assert witness.look(most_width=320) is not None
