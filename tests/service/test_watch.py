"""``vad events`` against a real bus: what it prints, and how it ends."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.events.factory import CAMERA, anomalies
from tests.events.running import delivering
from tests.pipeline.sites import wait_for
from vad.pipeline.delivery import Delivery
from vad.types import RaisedEvent

EVENTS = [sys.executable, "-m", "vad", "events"]
TIMEOUT_S = 60.0


def put(delivery: Delivery, events: list[RaisedEvent]) -> None:
    until = delivery.journal.last_sequence + len(events)
    delivery.put(events)
    wait_for(lambda: delivery.journal.last_sequence == until)


def events(delivery: Delivery, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [*EVENTS, "--address", delivery.bus_address, *arguments]
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)


def test_json_lines_are_the_bodies_as_they_were_sent_with_fields_nobody_knows(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery:
        put(delivery, [*anomalies(3), CAMERA])
        newer = json.loads(delivery.journal.read(1, limit=1)[0].body)
        newer["data"]["colour"] = "blau, grün"
        body = json.dumps(newer).encode()
        delivery.journal._db.execute("UPDATE events SET body = ? WHERE sequence = 2", (body,))
        done = events(delivery, "--since", "0", "--json", "--no-follow")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [stored.body for stored in delivery.journal.read(0)]
        assert json.loads(done.stdout.splitlines()[1])["data"]["colour"] == "blau, grün"


def test_without_follow_it_ends_after_the_last_event_of_the_cameras_chosen(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery:
        put(delivery, [*anomalies(2, camera="a"), *anomalies(2, camera="b"), *anomalies(1_000, camera="a")])
        done = events(delivery, "--since", "1", "--camera", "b", "--no-follow")
        lines = done.stdout.decode().splitlines()
        assert (done.returncode, len(lines)) == (0, 2), done.stderr
        assert all("  b  opened " in line for line in lines)
        done = events(delivery, "--no-follow")
        assert (done.returncode, done.stdout) == (0, b"")


def test_a_line_is_printed_as_soon_as_the_event_is_raised_and_an_interrupt_ends_it(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery:
        put(delivery, anomalies(1))
        command = [*EVENTS, "--address", delivery.bus_address, "--since", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for expected in ("opened", "backoff", "opened"):
            assert expected in process.stdout.readline()
            put(delivery, [CAMERA] if expected == "opened" else anomalies(1))
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert "Traceback" not in log


def test_what_is_lost_is_said_beside_the_output(tmp_path: Path) -> None:
    with delivering(tmp_path, journal_mib=1) as delivery:
        put(delivery, anomalies(6_000))
        wait_for(lambda: delivery.journal_status.used_bytes <= 2**20 and delivery.journal_status.first_sequence > 1)
        done = events(delivery, "--since", "0", "--json", "--no-follow")
        first = json.loads(done.stdout.splitlines()[0])["sequence"]
    assert f"events 1 to {first - 1} of epoch {delivery.journal.epoch} are lost" in done.stderr.decode()
    assert [json.loads(line)["sequence"] for line in done.stdout.splitlines()] == list(range(first, 6_001))


@pytest.mark.parametrize("reader", ["head -n 1", "jq -c .sequence | head -n 1"])
def test_a_reader_that_has_had_enough_ends_it_without_a_word(tmp_path: Path, reader: str) -> None:
    if shutil.which(reader.split()[0]) is None:
        pytest.skip(f"no {reader.split()[0]} here")
    with delivering(tmp_path) as delivery:
        put(delivery, anomalies(5_000))
        command = shlex.join([*EVENTS, "--address", delivery.bus_address, "--since", "0", "--json"])
        done = subprocess.run(
            f"{command} | {reader}", shell=True, capture_output=True, timeout=TIMEOUT_S, text=True, check=False
        )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_without_an_engine_it_waits_or_without_follow_says_so() -> None:
    command = [*EVENTS, "--address", "tcp://127.0.0.1:1", "--since", "0", "--no-follow"]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, text=True, check=False)
    assert done.returncode == 1
    assert "nothing from tcp://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_since_beyond_the_last_event_is_refused(tmp_path: Path) -> None:
    with delivering(tmp_path) as delivery:
        put(delivery, anomalies(2))
        done = events(delivery, "--since", "3")
    assert done.returncode == 1
    assert "allowed: 0 to 2" in done.stderr.decode()
