from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.frames import make_frame
from vad.pipeline.ledger import Account, Ledger, total
from vad.pipeline.window import ClipWindow
from vad.types import DropReason


def test_ledger_balances_at_every_step_of_a_frame() -> None:
    ledger = Ledger()
    ledger.open("a")
    ledger.received("a")
    assert ledger.account("a") == Account(1, 0, 1, dict.fromkeys(DropReason, 0))
    assert ledger.account("a").is_balanced
    ledger.scored("a")
    assert ledger.account("a").in_flight == 0
    assert ledger.account("a").is_balanced


def test_analysis_rate_drops_are_not_losses() -> None:
    ledger = Ledger()
    ledger.open("a")
    for _ in range(3):
        ledger.received("a")
    ledger.dropped("a", DropReason.ANALYSIS_RATE, 2)
    ledger.dropped("a", DropReason.OVERLOAD)
    account = ledger.account("a")
    assert (account.lost, account.in_flight, account.is_balanced) == (1, 0, True)


def test_a_frame_counted_twice_is_found() -> None:
    ledger = Ledger()
    ledger.open("a")
    ledger.received("a")
    ledger.scored("a")
    ledger.dropped("a", DropReason.OVERLOAD)
    assert not ledger.account("a").is_balanced


@given(st.lists(st.sampled_from(["receive", "score", *DropReason]), max_size=60))
def test_any_sequence_of_bookings_balances_while_frames_last(steps: list[str]) -> None:
    ledger = Ledger()
    ledger.open("a")
    for step in steps:
        if step == "receive":
            ledger.received("a")
        elif ledger.account("a").in_flight > 0:
            if step == "score":
                ledger.scored("a")
            else:
                ledger.dropped("a", DropReason(step))
        assert ledger.account("a").is_balanced


def test_reopening_an_account_keeps_it_and_total_adds_up() -> None:
    ledger = Ledger()
    for camera in ("a", "b", "a"):
        ledger.open(camera)
        ledger.received(camera)
    assert ledger.account("a").received == 2
    assert total(ledger.accounts()).received == 3


def test_window_gathers_a_clip_and_flushes_the_rest() -> None:
    window = ClipWindow(2)
    assert window.push(make_frame(index=0)) is None
    clip = window.push(make_frame(index=1))
    assert clip is not None
    assert [frame.index for frame in clip.frames] == [0, 1]
    assert window.flush() is None
    window.push(make_frame(index=2))
    rest = window.flush()
    assert rest is not None
    assert [frame.index for frame in rest.frames] == [2]
    assert len(window) == 0


def test_what_is_left_of_a_clip_ends_where_the_whole_one_would_have() -> None:
    window = ClipWindow(4)
    clips = [window.push(make_frame(index=index)) for index in (0, 1, 2, 3, 5, 7, 11, 12)]
    assert [[frame.index for frame in clip.frames] for clip in clips if clip] == [[0, 1, 2, 3], [5, 7], [11]]


def test_a_frame_that_comes_long_after_the_one_before_waits_for_no_other() -> None:
    window = ClipWindow(4)
    frames = [dataclasses.replace(make_frame(index=index), pts_s=8.0 * index) for index in range(4)]
    clips = [window.push(frame) for frame in frames]
    assert [clip and len(clip.frames) for clip in clips] == [None, 2, 1, 1]


def test_window_discards_frames_when_the_run_changes() -> None:
    window = ClipWindow(3)
    window.push(make_frame(index=0, run=0))
    assert window.push(make_frame(index=0, run=1)) is None
    assert len(window) == 1
