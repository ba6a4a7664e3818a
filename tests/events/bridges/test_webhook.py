"""The webhook against a real HTTP server that fails, is slow, drops and comes back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.conftest import REPOSITORY
from tests.events.bridges.driving import bridge_settings, running, wait_until
from tests.events.bridges.receiver import Receiver, Request, drop
from tests.events.factory import CAMERA, anomalies
from vad.errors import BridgeError
from vad.events import Journal, decode
from vad.events.bridges.webhook import signing_key

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().start()
    yield receiver
    receiver.stop()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "events.sqlite") as journal:
        yield journal


def settings(receiver: Receiver, **changes: Any) -> Any:
    return bridge_settings(type="webhook", url=receiver.url, secret_key=SECRET, **changes)


def ids(journal: Journal, first: int, last: int) -> list[str]:
    return [f"{journal.epoch}-{sequence}" for sequence in range(first, last + 1)]


def test_events_arrive_once_in_order_and_verify_with_the_standards_own_library(
    receiver: Receiver, journal: Journal, tmp_path: Path
) -> None:
    with running(settings(receiver), journal, tmp_path) as worker:
        journal.append([*anomalies(100), CAMERA])
        wait_until(lambda: len(receiver.requests) == 101, what="101 events")
        wait_until(lambda: worker.status.sequence == 101, what="the cursor")
    assert receiver.ids == ids(journal, 1, 101)
    for request in receiver.requests:
        verified = Webhook(SECRET).verify(request.body, request.headers)
        assert verified["id"] == request.headers["webhook-id"] == decode(request.body).id
    assert receiver.requests[0].headers["content-type"].startswith("application/cloudevents+json")
    assert (worker.status.sent, worker.status.failed) == (101, 0)


def test_an_outage_loses_nothing_and_repeats_nothing_that_was_acknowledged(
    receiver: Receiver, journal: Journal, tmp_path: Path
) -> None:
    with running(settings(receiver), journal, tmp_path) as worker:
        journal.append(anomalies(10))
        wait_until(lambda: worker.status.sequence == 10, what="the first ten")
        receiver.stop()
        journal.append(anomalies(90))
        wait_until(lambda: worker.status.failed >= 3 and not worker.status.up, what="failures")
        receiver.start()
        wait_until(lambda: worker.status.sequence == 100, what="the rest")
    assert receiver.ids == ids(journal, 1, 100)


def test_a_receiver_that_fails_now_and_then_has_every_event_at_the_end(
    receiver: Receiver, journal: Journal, tmp_path: Path
) -> None:
    seen = 0

    def answer(request: Request) -> Any:
        nonlocal seen
        seen += 1
        return {3: 500, 7: 503, 11: drop, 15: 429, 19: 404, 23: 302}.get(seen, 200)

    receiver.answer = answer
    with running(settings(receiver), journal, tmp_path) as worker:
        journal.append(anomalies(40))
        wait_until(lambda: worker.status.sequence == 40, what="all events")
    assert list(dict.fromkeys(receiver.ids)) == ids(journal, 1, 40)
    assert worker.status.failed == 6
    assert worker.status.dead_letters == 0


@pytest.mark.parametrize("part", ["nothing", "a byte at a time"])
def test_a_receiver_that_never_ends_its_answer_is_given_up_in_time(
    receiver: Receiver, journal: Journal, tmp_path: Path, part: str
) -> None:
    slow = 2

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200 if part != "nothing" else [0] * 200:
            time.sleep(0.05)
            if part != "nothing":
                try:
                    handler.wfile.write(bytes([byte]))
                except OSError:
                    break
        handler.close_connection = True

    def answer(request: Request) -> Any:
        nonlocal slow
        slow -= 1
        return trickle if slow >= 0 else 200

    receiver.answer = answer
    with running(settings(receiver, timeout_s=0.5), journal, tmp_path) as worker:
        journal.append(anomalies(3))
        started_s = time.monotonic()
        wait_until(lambda: worker.status.sequence == 3, what="the events")
        assert time.monotonic() - started_s < 8.0
    assert receiver.ids == ids(journal, 1, 3)
    assert worker.status.failed == 2


def test_an_event_that_will_never_be_taken_goes_to_the_dead_letters(
    receiver: Receiver, journal: Journal, tmp_path: Path
) -> None:
    receiver.answer = lambda request: 422 if request.headers["webhook-id"].endswith("-2") else 200
    with running(settings(receiver), journal, tmp_path) as worker:
        journal.append(anomalies(4))
        wait_until(lambda: worker.status.sequence == 4, what="the others")
    assert (worker.status.sent, worker.status.dead_letters, worker.status.failed) == (3, 1, 0)
    letters = [json.loads(line) for line in (tmp_path / "bridges" / "webhook.dead.jsonl").read_text().splitlines()]
    assert [(letter["event"]["sequence"], letter["reason"]) for letter in letters] == [
        (2, "webhook: the answer is 422")
    ]


def test_an_event_refused_for_too_long_gives_way_to_the_next(
    receiver: Receiver, journal: Journal, tmp_path: Path
) -> None:
    receiver.answer = lambda request: 500 if request.headers["webhook-id"].endswith("-2") else 200
    with running(settings(receiver, give_up_after_s=1.0), journal, tmp_path) as worker:
        journal.append(anomalies(4))
        wait_until(lambda: worker.status.sequence == 4, what="the others")
    assert (worker.status.sent, worker.status.dead_letters) == (3, 1)
    assert worker.status.failed >= 3


def test_silence_is_never_given_up(receiver: Receiver, journal: Journal, tmp_path: Path) -> None:
    receiver.stop()
    with running(settings(receiver, give_up_after_s=1.0), journal, tmp_path) as worker:
        journal.append(anomalies(2))
        time.sleep(2.0)
        assert worker.status.dead_letters == 0
        receiver.start()
        wait_until(lambda: worker.status.sequence == 2, what="the events")


def test_retry_after_is_heeded(receiver: Receiver, journal: Journal, tmp_path: Path) -> None:
    asked: list[float] = []

    def answer(request: Request) -> Any:
        asked.append(time.monotonic())
        return (503, {"retry-after": "1"}) if len(asked) == 1 else 200

    receiver.answer = answer
    with running(settings(receiver, retry_max_s=2.0), journal, tmp_path) as worker:
        journal.append(anomalies(1))
        wait_until(lambda: worker.status.sequence == 1, what="the event")
    assert asked[1] - asked[0] >= 1.0


def test_a_restart_goes_on_where_it_was(receiver: Receiver, journal: Journal, tmp_path: Path) -> None:
    journal.append(anomalies(5))  # before the bridge was ever set up: not for it
    for first in (6, 16):
        with running(settings(receiver), journal, tmp_path) as worker:
            journal.append(anomalies(10))
            wait_until(lambda last=first + 9: worker.status.sequence == last, what="ten more")
    assert receiver.ids == ids(journal, 6, 25)


def test_what_is_stored_last_is_still_delivered_at_a_stop(receiver: Receiver, journal: Journal, tmp_path: Path) -> None:
    with running(settings(receiver), journal, tmp_path):
        journal.append(anomalies(150))
    assert receiver.ids == ids(journal, 1, 150)


def test_only_what_is_asked_for_is_sent(receiver: Receiver, journal: Journal, tmp_path: Path) -> None:
    chosen = settings(receiver, cameras=["cam1"], types=["io.vad.anomaly"])
    with running(chosen, journal, tmp_path) as worker:
        journal.append([*anomalies(2), CAMERA, *anomalies(2, camera="cam.2"), *anomalies(1)])
        wait_until(lambda: worker.status.sequence == 6, what="the events")
    assert receiver.ids == [f"{journal.epoch}-{sequence}" for sequence in (1, 2, 6)]


def test_a_secret_that_cannot_be_one_is_refused() -> None:
    assert signing_key("plain words") == b"plain words"
    for wrong in ("", "whsec_###"):
        with pytest.raises(BridgeError, match="secret key"):
            signing_key(wrong)


KILLED_CODE = """
import sys, threading, time
from pathlib import Path
from tests.events.bridges.driving import bridge_settings, running
from tests.events.factory import anomalies
from vad.events import Journal

folder, url = Path(sys.argv[1]), sys.argv[2]
end = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), end.set()), daemon=True).start()
with Journal(folder / "events.sqlite") as journal:
    with running(bridge_settings(type="webhook", url=url, secret_key="x"), journal, folder):
        print("ready", flush=True)
        while not end.wait(0.002):
            journal.append(anomalies(1))
"""


def test_every_event_arrives_however_often_the_engine_is_killed(receiver: Receiver, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_CODE, str(tmp_path), receiver.url]
    for kills_left in reversed(range(5)):
        before = len(receiver.requests)
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        wait_until(lambda before=before: len(receiver.requests) > before + 40, what="events")
        if kills_left:
            child.kill()
        child.communicate("end\n", timeout=30)
    with Journal(tmp_path / "events.sqlite") as journal:
        assert list(dict.fromkeys(receiver.ids)) == ids(journal, 1, journal.last_sequence)
    assert len(receiver.ids) - len(set(receiver.ids)) <= 4 * 64  # what was under way
