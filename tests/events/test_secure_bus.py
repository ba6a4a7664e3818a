"""Journal, bus and replay with keys: nothing missed by whoever has one, nothing heard by anybody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.events.factory import anomalies
from tests.events.running import delivering
from tests.pipeline.sites import wait_for
from vad.errors import KeyFileError
from vad.events import AnomalyMessage, Subscriber
from vad.events.keys import load_client, load_pair, new_client, revoke
from vad.pipeline.delivery import Delivery

DEADLINE_S = 30.0


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with the clients viewer and other."""
    for name in ("viewer", "other"):
        new_client(tmp_path / "keys", name)
    return tmp_path / "keys"


def bus_keys(folder: Path) -> dict[str, Any]:
    return {"keys": {"server_secret_file": folder / "server.key_secret", "clients_dir": folder / "clients"}}


def raise_events(delivery: Delivery, count: int) -> None:
    until = delivery.journal.last_sequence + count
    delivery.put(anomalies(count))
    wait_for(lambda: delivery.journal.last_sequence == until)


def take(subscriber: Subscriber, count: int) -> list[int]:
    sequences = []
    while len(sequences) < count:
        message = subscriber.receive(DEADLINE_S)
        assert isinstance(message, AnomalyMessage), f"{len(sequences)} of {count} came"
        sequences.append(message.sequence)
    return sequences


def test_a_subscriber_with_a_key_hears_the_past_by_replay_and_the_present(tmp_path: Path, keys: Path) -> None:
    with delivering(tmp_path, bus=bus_keys(keys)) as delivery:
        raise_events(delivery, 3_000)
        with Subscriber(delivery.bus_address, since=0, keys=keys / "viewer.key_secret") as subscriber:
            assert take(subscriber, 3_000) == list(range(1, 3_001))
            raise_events(delivery, 5)
            assert take(subscriber, 5) == list(range(3_001, 3_006))
        own, server = load_pair(keys / "viewer.key_secret"), load_pair(keys / "server.key_secret").public
        spelt_out = {"client_secret": own.secret, "server_key": server.decode()}
        with Subscriber(delivery.bus_address, since=3_000, **spelt_out) as subscriber:  # type: ignore[arg-type]
            assert take(subscriber, 5) == list(range(3_001, 3_006))


def test_without_a_key_neither_bus_nor_replay_says_anything(tmp_path: Path, keys: Path) -> None:
    with delivering(tmp_path, bus=bus_keys(keys)) as delivery, zmq.Context() as context:
        raise_events(delivery, 10)
        sub, dealer = context.socket(zmq.SUB), context.socket(zmq.DEALER)
        sub.subscribe("")
        sub.connect(delivery.bus_address)
        dealer.connect(delivery.replay_address)
        dealer.send(json.dumps({"op": "replay", "after": 0}).encode())
        with Subscriber(delivery.bus_address, since=0) as subscriber:
            for _ in range(10):
                raise_events(delivery, 1)
                assert subscriber.receive(0.1) is None
        assert not sub.poll(0)
        assert not dealer.poll(0)
        assert delivery.bus_status.refused
        for socket in (sub, dealer):
            socket.close(linger=0)


def test_a_revoked_key_is_cut_off_and_the_others_miss_nothing(tmp_path: Path, keys: Path) -> None:
    with delivering(tmp_path, bus=bus_keys(keys)) as delivery:
        viewer = Subscriber(delivery.bus_address, keys=keys / "viewer.key_secret")
        other = Subscriber(delivery.bus_address, keys=keys / "other.key_secret", since=0)
        with viewer, other:
            raise_events(delivery, 1)
            assert take(other, 1) == [1]
            while viewer.epoch is None:
                viewer.receive(0.05)
            while viewer.receive(0.1) is not None:
                pass
            stop = threading.Event()
            busy = threading.Thread(target=keep_raising, args=(delivery, stop))
            busy.start()
            try:
                revoke(keys, "viewer")
                wait_for(lambda: delivery.bus_status.refused.get("revoked_key", 0) > 0, what="the refusal")
            finally:
                stop.set()
                busy.join()
            while viewer.receive(0.2) is not None:  # heard before it was cut off
                pass
            heard_by_viewer = viewer.last_sequence
            last = delivery.journal.last_sequence
            assert heard_by_viewer < last
            assert take(other, last - 1) == list(range(2, last + 1))
            assert other.missed == 0


def keep_raising(delivery: Delivery, stop: threading.Event) -> None:
    while not stop.wait(0.005):
        delivery.put(anomalies(1))


def test_a_connection_made_before_its_key_was_allowed_comes_alive(tmp_path: Path, keys: Path) -> None:
    late = new_client(keys, "late")
    late.public.rename(keys / "late.key")
    with (
        delivering(tmp_path, bus=bus_keys(keys)) as delivery,
        Subscriber(delivery.bus_address, since=0, keys=late.secret) as subscriber,
    ):
        raise_events(delivery, 2)
        assert subscriber.receive(1.0) is None
        (keys / "late.key").rename(late.public)
        assert take(subscriber, 2) == [1, 2]


def test_plain_pyzmq_needs_three_lines_more(tmp_path: Path, keys: Path) -> None:
    client = load_client(keys / "viewer.key_secret")
    code = f"""
import zmq
socket = zmq.Context().socket(zmq.SUB)
socket.curve_publickey, socket.curve_secretkey = {client.own.public!r}, {client.own.secret!r}
socket.curve_serverkey = {client.server!r}
socket.subscribe("vad/1/heartbeat/")
socket.connect("ADDRESS")
assert socket.poll(20_000)
print(socket.recv_multipart()[0].decode())
"""
    with delivering(tmp_path, bus=bus_keys(keys)) as delivery:
        done = subprocess.run(
            [sys.executable, "-c", code.replace("ADDRESS", delivery.bus_address)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert done.stdout.strip() == "vad/1/heartbeat/"


def test_vad_events_takes_a_key_file(tmp_path: Path, keys: Path) -> None:
    with delivering(tmp_path, bus=bus_keys(keys)) as delivery:
        raise_events(delivery, 3)
        command = [sys.executable, "-m", "vad", "events", "--since", "0", "--json", "--no-follow"]
        command += ["--address", delivery.bus_address]
        with_key = subprocess.run(
            [*command, "--keys", str(keys / "viewer.key_secret")],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        without = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [json.loads(line)["sequence"] for line in with_key.stdout.splitlines()] == [1, 2, 3]
    assert without.returncode == 1
    assert "if it has keys, give --keys" in without.stderr
    assert without.stdout == ""


def test_half_a_set_of_keys_is_refused(keys: Path) -> None:
    for options in ({"client_secret": "a" * 40}, {"server_key": "a" * 40}, {"keys": keys / "nobody.key_secret"}):
        with pytest.raises(KeyFileError):
            Subscriber("tcp://127.0.0.1:1", **options)  # type: ignore[arg-type]


def test_nothing_is_left_open_when_the_keys_cannot_be_read(tmp_path: Path, keys: Path) -> None:
    (keys / "server.key_secret").write_text("nonsense")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(KeyFileError), delivering(tmp_path, bus=bus_keys(keys)):
            pass
    assert len(os.listdir("/proc/self/fd")) <= before + 2
