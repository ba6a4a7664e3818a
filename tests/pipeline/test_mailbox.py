from __future__ import annotations

import threading

from tests.pipeline.frames import make_clip
from vad.pipeline.mailbox import ClipMailbox, Mailbox
from vad.types import Clip


def indices(clip: Clip) -> list[int]:
    return [frame.index for frame in clip.frames]


def test_mailbox_gives_everything_in_order_and_none_once_closed_and_empty() -> None:
    box: Mailbox[int] = Mailbox(4)
    for item in range(3):
        assert box.put(item)
    box.close()
    assert box.take(timeout_s=0.0) == [0, 1, 2]
    assert box.take(timeout_s=0.0) is None


def test_put_waits_for_room_and_is_refused_by_a_closed_mailbox() -> None:
    box: Mailbox[int] = Mailbox(1)
    assert box.put(0)
    results: list[bool] = []
    producer = threading.Thread(target=lambda: results.append(box.put(1)))
    producer.start()
    producer.join(0.05)
    assert producer.is_alive()
    box.close()
    producer.join(5.0)
    assert results == [False]
    assert box.take(timeout_s=0.0) == [0]


def test_put_all_waits_for_room_as_often_as_it_must() -> None:
    box: Mailbox[int] = Mailbox(2)
    producer = threading.Thread(target=box.put_all, args=(list(range(5)),))
    producer.start()
    taken: list[int] = []
    while len(taken) < 5:
        some = box.take(timeout_s=5.0)
        assert some is not None
        assert 1 <= len(some) <= 2
        taken += some
    producer.join(5.0)
    assert taken == [0, 1, 2, 3, 4]


def test_put_all_ends_when_the_mailbox_is_closed() -> None:
    box: Mailbox[int] = Mailbox(2)
    producer = threading.Thread(target=box.put_all, args=(list(range(5)),))
    producer.start()
    producer.join(0.05)
    assert producer.is_alive()
    box.close()
    producer.join(5.0)
    assert not producer.is_alive()
    assert box.take(timeout_s=0.0) == [0, 1]
    assert box.take(timeout_s=0.0) is None


def test_put_or_drop_oldest_keeps_the_newest() -> None:
    box: Mailbox[int] = Mailbox(2)
    for item in range(5):
        box.put_or_drop_oldest(item)
    assert box.take(timeout_s=0.0) == [3, 4]


def test_clips_of_a_camera_drop_its_oldest_alone() -> None:
    box = ClipMailbox(per_camera=2)
    assert box.put(make_clip("a", 0)) is None
    assert box.put(make_clip("b", 0)) is None
    assert box.put(make_clip("a", 1)) is None
    lost = box.put(make_clip("a", 2))
    assert lost is not None
    assert (lost.camera, indices(lost)) == ("a", [0])
    assert [indices(clip) for clip in (box.take(1, timeout_s=0.0) or []) if clip.camera == "a"] == [[1]]


def test_take_gives_one_clip_a_camera_longest_waiting_first() -> None:
    box = ClipMailbox(per_camera=3)
    for camera, index in (("a", 0), ("a", 1), ("b", 0), ("c", 0)):
        box.put(make_clip(camera, index))
    first = box.take(2, timeout_s=0.0)
    second = box.take(3, timeout_s=0.0)
    assert first is not None
    assert second is not None
    assert [(c.camera, indices(c)) for c in first] == [("a", [0]), ("b", [0])]
    assert [(c.camera, indices(c)) for c in second] == [("c", [0]), ("a", [1])]
    assert box.take(3, timeout_s=0.0) == []


def test_clips_are_pressed_while_more_cameras_are_ready_than_are_taken_or_a_recording_waits() -> None:
    box = ClipMailbox()
    for camera in ("a", "b"):
        box.put(make_clip(camera, 0))
    pressed = []
    for _ in range(2):
        box.take(2, timeout_s=0.0)
        pressed.append(box.is_pressed)
        box.put(make_clip("a", 1))
    box.put(make_clip("file", 0), wait=True)
    box.take(3, timeout_s=0.0)
    assert [*pressed, box.is_pressed] == [True, False, True]


def test_put_may_wait_instead_of_dropping() -> None:
    box = ClipMailbox(per_camera=1)
    box.put(make_clip("a", 0))
    done = threading.Event()
    producer = threading.Thread(target=lambda: (box.put(make_clip("a", 1), wait=True), done.set()))
    producer.start()
    assert not done.wait(0.05)
    assert [c.camera for c in box.take(1, timeout_s=1.0) or []] == ["a"]
    assert done.wait(5.0)
    producer.join()


def test_closed_clip_mailbox_gives_the_clip_back() -> None:
    box = ClipMailbox()
    box.close()
    clip = make_clip("a", 0)
    assert box.put(clip) is clip
    assert box.take(1, timeout_s=0.0) is None
