"""What strangers can do to the bus and the replay: be refused and counted, while everybody else is served."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq

from tests.events.factory import anomalies
from tests.events.running import delivering
from tests.pipeline.sites import wait_for
from vad.events import AnomalyMessage, Subscriber
from vad.events.gatekeeper import REASONS
from vad.events.keys import client_secure, load_client, new_client
from vad.pipeline.delivery import Delivery

DEADLINE_S = 30.0
MIB = 2**20
CROWD, PROCESSES = 10_000, 4

# Opens its share of the connections at once and holds them; says a line each time it is told to go on.
CROWD_CODE = """
import errno, select, socket, sys, time, resource
port, count, greeting = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
poll, sockets = select.poll(), {}
for _ in range(count):
    s = socket.socket()
    s.setblocking(False)
    error = s.connect_ex(("127.0.0.1", port))
    assert error in (0, errno.EINPROGRESS), error
    sockets[s.fileno()] = s
    poll.register(s, select.POLLOUT)
connected, until = 0, time.monotonic() + 4
while time.monotonic() < until:
    for fd, state in poll.poll(200):
        poll.unregister(fd)
        if not state & (select.POLLERR | select.POLLHUP):
            connected += 1
            try:
                sockets[fd].send(greeting)
            except OSError:
                pass
print(connected, flush=True)
sys.stdin.readline()
"""


def greeting(mechanism: bytes) -> bytes:
    return b"\xff" + bytes(8) + b"\x7f\x03\x01" + mechanism.ljust(20, b"\0") + bytes(32)


READY = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB"


@contextmanager
def crowd(port: int, saying: bytes) -> Iterator[list[int]]:
    """CROWD connections from PROCESSES processes; how many of each were taken, at first."""
    command = [sys.executable, "-c", CROWD_CODE, str(port), str(CROWD // PROCESSES), saying.hex()]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    try:
        yield [int(process.stdout.readline()) for process in processes if process.stdout is not None]
    finally:
        for process in processes:
            process.communicate("\n", timeout=DEADLINE_S)


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def rss() -> int:
    return int(psutil.Process().memory_info().rss)


class Reader(threading.Thread):
    """A subscriber that was there before, and how late each event reached it."""

    def __init__(self, delivery: Delivery, **options: Any) -> None:
        super().__init__(daemon=True)
        self.sequences: list[int] = []
        self._subscriber = Subscriber(delivery.bus_address, since=0, **options)
        self._end = threading.Event()

    def run(self) -> None:
        with self._subscriber as subscriber:
            while not self._end.is_set():
                message = subscriber.receive(0.1)
                if isinstance(message, AnomalyMessage):
                    self.sequences.append(message.sequence)

    def stop(self) -> None:
        self._end.set()
        self.join()


@contextmanager
def read_meanwhile(delivery: Delivery, **options: Any) -> Iterator[Reader]:
    reader = Reader(delivery, **options)
    reader.start()
    delivery.put(anomalies(1))
    wait_for(lambda: reader.sequences == [1], what="the reader")
    try:
        yield reader
    finally:
        reader.stop()


def serves(delivery: Delivery, reader: Reader, count: int = 50) -> None:
    """Events still reach the reader, all of them."""
    until = delivery.journal.last_sequence + count
    for _ in range(count):
        delivery.put(anomalies(1))
    wait_for(lambda: bool(reader.sequences) and reader.sequences[-1] == until, what="the events")
    assert reader.sequences == list(range(1, until + 1))


def options_and_bus(tmp_path: Path, *, with_keys: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    if not with_keys:
        return {}, {}
    made = new_client(tmp_path / "keys", "viewer")
    folder = tmp_path / "keys"
    keys = {"server_secret_file": folder / "server.key_secret", "clients_dir": folder / "clients"}
    return {"keys": made.secret}, {"keys": keys}


@pytest.mark.parametrize(
    ("where", "saying", "with_keys"),
    [
        ("bus_address", b"", False),
        ("bus_address", greeting(b"CURVE"), True),
        ("replay_address", greeting(b"NULL") + READY, False),
    ],
    ids=["silent", "half a handshake with keys", "a whole handshake at the replay"],
)
def test_ten_thousand_connections_are_bounded_and_the_others_served(
    tmp_path: Path, where: str, saying: bytes, with_keys: bool
) -> None:
    options, bus = options_and_bus(tmp_path, with_keys=with_keys)
    most = 300
    with (
        delivering(tmp_path, bus={**bus, "max_connections": most}) as delivery,
        read_meanwhile(delivery, **options) as reader,
    ):
        gc.collect()
        before = rss()
        open_files = psutil.Process().num_fds()
        with crowd(port_of(getattr(delivery, where)), saying) as taken:
            assert psutil.Process().num_fds() - open_files < 3 * most
            assert rss() - before < 50 * MIB
            serves(delivery, reader)
            assert sum(taken) > 0
        told = delivery.bus_status
        assert sum(told.refused.values()) > 0
        assert set(told.refused) <= set(REASONS)
        wait_for(lambda: delivery.bus_status.connections < most // 2, what="the crowd's end")
        with Subscriber(delivery.bus_address, since=0, **options) as newcomer:
            assert isinstance(newcomer.receive(DEADLINE_S), AnomalyMessage)
        serves(delivery, reader)
        assert rss() - before < 50 * MIB


@pytest.mark.parametrize("with_keys", [False, True], ids=["plain", "keys"])
def test_topics_of_a_mebibyte_are_cut_off_and_cost_nothing(tmp_path: Path, with_keys: bool) -> None:
    options, bus = options_and_bus(tmp_path, with_keys=with_keys)
    with delivering(tmp_path, bus=bus) as delivery, read_meanwhile(delivery, **options) as reader:
        before = rss()
        frame = b"\x02" + (MIB + 1).to_bytes(8, "big") + b"\x01" + bytes(MIB)
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", port_of(delivery.bus_address)), timeout=5) as rude:
                try:
                    rude.sendall(greeting(b"NULL"))
                    rude.sendall(READY)
                    rude.sendall(frame)
                    while rude.recv(65_536):
                        pass
                except OSError:
                    pass
        assert rss() - before < 20 * MIB
        wait_for(lambda: delivery.bus_status.accepted >= 50, what="all of them")
        wait_for(lambda: delivery.bus_status.connections <= 3, what="their end")
        serves(delivery, reader)


def test_frames_that_make_no_sense_are_survived(tmp_path: Path) -> None:
    """Truncated, lying, endless and random bytes at every step of the protocol, on both sockets."""
    import random

    generator = random.Random(7)
    hellos = [b"", greeting(b"NULL"), greeting(b"CURVE"), greeting(b"NULL") + READY, b"\xff" * 64, bytes(64)]
    with delivering(tmp_path, bus={}) as delivery, read_meanwhile(delivery) as reader:
        before = rss()
        for number in range(400):
            address = delivery.bus_address if number % 2 else delivery.replay_address
            with socket.create_connection(("127.0.0.1", port_of(address)), timeout=5) as rude:
                noise = generator.randbytes(generator.choice([0, 1, 7, 64, 1_000, 70_000]))
                hello = generator.choice(hellos)
                with suppress(OSError):
                    rude.sendall(hello[: generator.randrange(len(hello) + 1)] + noise)
        assert rss() - before < 30 * MIB
        serves(delivery, reader)
        assert sum(delivery.bus_status.refused.values()) > 0
        wait_for(lambda: delivery.bus_status.connections <= 3, what="their end")


@pytest.mark.parametrize(("topics", "length"), [(30_000, 400), (100_000, 80), (20_000, 800)])
def test_topics_without_number_cost_bounded_memory_and_nobody_an_event(
    tmp_path: Path, topics: int, length: int
) -> None:
    """ZeroMQ keeps some eighty bytes for each byte of a topic, for as long as the connection lives."""
    with delivering(tmp_path, bus={}) as delivery, read_meanwhile(delivery) as reader:
        before = rss()
        command = [sys.executable, "-c", GREEDY_CODE, delivery.bus_address, str(topics), str(length)]
        for _ in range(2):
            greedy = subprocess.Popen(command)
            while greedy.poll() is None:
                serves(delivery, reader, 5)
                assert rss() - before < 200 * MIB
        serves(delivery, reader)
        if length < 500:  # longer ones are cut off one by one
            assert delivery.bus_status.refused["subscriptions"] > 0


@pytest.mark.parametrize("with_keys", [False, True], ids=["plain", "keys"])
def test_all_topics_of_ten_thousand_cameras_are_no_abuse(
    tmp_path: Path, with_keys: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes to hear them: here every look finds the publisher at it for too long."""
    monkeypatch.setattr("vad.pipeline.delivery.HEARS_AT_MOST_S", 0.0)
    options, bus = options_and_bus(tmp_path, with_keys=with_keys)
    with (
        delivering(tmp_path, bus=bus) as delivery,
        zmq.Context() as context,
        closing(context.socket(zmq.SUB)) as interested,
    ):
        if with_keys:
            client_secure(load_client(options["keys"]))(interested)
        interested.sndhwm = 0
        interested.connect(delivery.bus_address)
        for number in range(10_000):
            for kind in (b"anomaly", b"camera", b"score"):
                interested.subscribe(b"vad/%s/site-%05d/" % (kind, number * 7_919 % 100_000))
        wait_for(lambda: delivery._publisher._subscriptions._total == 30_000, what="all of them")
        assert delivery.bus_status.refused["subscriptions"] == 0
        assert delivery.bus_status.accepted == 1


GREEDY_CODE = """
import os, sys, time, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.sndhwm = 0
socket.connect(sys.argv[1])
for number in range(int(sys.argv[2])):
    socket.setsockopt(zmq.SUBSCRIBE, b"%07d" % number + bytes(int(sys.argv[3])))
time.sleep(1)
os._exit(0)
"""
