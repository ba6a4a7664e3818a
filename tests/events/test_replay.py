"""The replay on real sockets, asked in plain pyzmq: what it answers, whom it makes wait, what it may cost."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import psutil
import pytest
import zmq

from tests.events.factory import CAMERA, anomalies, anomaly
from vad.clock import ManualClock
from vad.config import BusSettings
from vad.errors import BindError
from vad.events import Journal, ReplayServer, json_schema
from vad.events import replay as replay_module
from vad.events.credit import EXPIRES_S, MAX_BYTES, Credit
from vad.events.requests import PAGE_BYTES, DoneRequest, ReplayRequest, SnapshotRequest, encode_request
from vad.events.sockets import Limits
from vad.types import Region

DEADLINE_S = 20.0
SETTINGS = BusSettings(bind="tcp://127.0.0.1:*")
BOXES = tuple(Region(i / 100, 0.0, 1.0, 1.0, 5.0) for i in range(60))  # an event of some 4 KiB


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "events.sqlite") as journal:
        yield journal


@contextmanager
def serving(journal: Journal) -> Iterator[ReplayServer]:
    """A replay at work in its thread."""
    stop = threading.Event()
    with ReplayServer(SETTINGS, journal=journal) as server:

        def run() -> None:
            while not stop.is_set():
                server.step(0.05)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stop.set()
            thread.join()


@contextmanager
def asking(server: ReplayServer, kind: int = zmq.DEALER) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(kind) as client:
        client.linger = 0
        client.rcvtimeo = round(DEADLINE_S * 1000)
        client.connect(server.address)
        yield client


def ask(client: zmq.Socket[bytes], **request: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    client.send(json.dumps(request).encode())
    head, *rest = client.recv_multipart()
    return json.loads(head), [json.loads(line) for line in rest[0].splitlines()] if rest else []


def test_a_page_is_a_head_and_the_bodies_line_by_line_as_they_were_sent(journal: Journal) -> None:
    stored = journal.append(anomalies(5))
    with serving(journal) as server, asking(server) as client:
        client.send(b'{"op": "replay", "after": 1, "until": 4}')
        head, lines = client.recv_multipart()
    told = json.loads(head)
    token = told.pop("token")
    assert isinstance(token, str)
    assert told == {
        "op": "replay",
        "epoch": journal.epoch,
        "first_sequence": 1,
        "last_sequence": 5,
        "begin": 2,
        "count": 3,
        "more": False,
    }
    assert lines.split(b"\n") == [s.body for s in stored[1:4]]


def test_a_req_socket_is_answered_too(journal: Journal) -> None:
    journal.append(anomalies(3))
    with serving(journal) as server, asking(server, zmq.REQ) as client:
        head, events = ask(client, op="replay", after=0)
        assert [event["sequence"] for event in events] == [1, 2, 3]
        head, events = ask(client, op="replay", after=3, received=head["token"])
        assert (head["count"], head["begin"], events) == (0, 4, [])


def test_another_epoch_is_refused_with_the_one_there_is(journal: Journal) -> None:
    with serving(journal) as server, asking(server) as client:
        head, _ = ask(client, op="replay", after=0, epoch="0123456789abcdef")
    assert (head["op"], head["error"], head["epoch"]) == ("error", "epoch", journal.epoch)


@pytest.mark.parametrize(
    "request_body",
    [b"", b"rubbish", b"[]", b'{"op":"replay"}', b'{"op":"replay","after":-1}', b'{"op":"erase"}', b'{"after":0}'],
)
def test_what_is_no_request_is_said_to_be_malformed(journal: Journal, request_body: bytes) -> None:
    with serving(journal) as server, asking(server) as client:
        client.send(request_body)
        (head,) = client.recv_multipart()
        assert json.loads(head)["error"] == "malformed"
        client.send_multipart([b"a", b"b", b"c"])
        assert json.loads(client.recv())["error"] == "malformed"
    assert server.answers["malformed"] == 2


def test_requests_and_replies_are_what_the_json_schema_says(journal: Journal) -> None:
    schema = json_schema()
    journal.append([*anomalies(4), CAMERA])
    journal._db.execute("DELETE FROM events WHERE sequence <= 2")

    def check(part: str, body: bytes) -> dict[str, Any]:
        instance: dict[str, Any] = json.loads(body)
        jsonschema.validate(instance, {"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]})
        return instance

    requests = [
        ReplayRequest(after=0, limit=1),
        ReplayRequest(after=9, epoch="00000000"),
        SnapshotRequest(),
        ReplayRequest(after=0, until=4, epoch=journal.epoch),
        DoneRequest(received="00"),
    ]
    heads = []
    with ReplayServer(SETTINGS, journal=journal) as server:
        for request in requests:
            request = msgspec.structs.replace(request, received=heads[-1].get("token", "") if heads else "0")
            body = encode_request(request)
            check("Request", body)
            heads += [check("Reply", frames[0]) for frames in [server.answer(b"me", [body])] if frames]
    assert [head["op"] for head in heads] == ["replay", "error", "snapshot", "replay"]
    assert [head.get("lost") for head in heads] == [[1, 2], None, None, [1, 2]]
    with pytest.raises(jsonschema.ValidationError):
        check("Request", b'{"op":"replay","after":-1}')


def test_fields_nobody_knows_yet_are_passed_over(journal: Journal) -> None:
    journal.append(anomalies(1))
    with serving(journal) as server, asking(server) as client:
        head, events = ask(client, op="replay", after=0, compress="zstd")
    assert (head["op"], len(events)) == ("replay", 1)


def test_the_next_page_is_for_whom_the_last_one_reached(journal: Journal) -> None:
    journal.append(anomalies(10))
    with serving(journal) as server, asking(server) as client:
        head, _ = ask(client, op="replay", after=0, limit=2)
        assert head["more"]
        refused, _ = ask(client, op="replay", after=2)
        assert refused["error"] == "unread"
        refused, _ = ask(client, op="replay", after=2, received="0000")
        assert refused["error"] == "unread"
        head, events = ask(client, op="replay", after=2, limit=2, received=head["token"])
        assert [event["sequence"] for event in events] == [3, 4]
        client.send(json.dumps({"op": "done", "received": head["token"]}).encode())
        head, _ = ask(client, op="replay", after=0, limit=1)
        assert (head["op"], server.answers["done"]) == ("replay", 1)


def test_a_client_that_asks_without_end_makes_another_wait_for_no_more_than_its_turn(journal: Journal) -> None:
    journal.append([anomaly(regions=BOXES)] * 2_000)
    with ReplayServer(SETTINGS, journal=journal) as server, asking(server) as greedy, asking(server) as modest:
        for _ in range(500):
            greedy.send(b'{"op":"replay","after":0}')
        time.sleep(0.2)
        server.step(1.0)
        modest.send(b'{"op":"replay","after":1990}')
        time.sleep(0.2)
        server.step(1.0)
        assert modest.poll(5_000)
        assert json.loads(modest.recv_multipart()[0])["count"] == 10
        assert server.answers["page"] == 2  # the greedy one has one page, and must read it first


def test_peers_that_never_read_cost_no_more_than_the_credit_and_then_others_wait(journal: Journal) -> None:
    journal.append([anomaly(regions=BOXES)] * 200)
    clock = ManualClock()
    with ReplayServer(SETTINGS, journal=journal, clock=clock) as server:
        request = b'{"op":"replay","after":0}'
        before = psutil.Process().memory_info().rss
        for number in range(5_000):
            server.answer(number.to_bytes(5, "big"), [request])
        assert PAGE_BYTES < server.unread_bytes <= MAX_BYTES
        assert server.answers["busy"] == 5_000 - server.answers["page"] > 4_000
        assert psutil.Process().memory_info().rss - before < 2 * MAX_BYTES
        clock.advance(EXPIRES_S + 1.0)
        server.step(0.0)
        assert server.unread_bytes == 0
        server.answer(b"late", [request])
        assert server.unread_bytes > 0


def test_a_peer_that_takes_nothing_is_cut_off_and_its_page_with_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "LIMITS", Limits(frame_bytes=1_024, send_queue=16, unread_ms=1_500))
    journal.append([anomaly(regions=BOXES)] * 200)
    with serving(journal) as server, deaf_peer(server) as peer:
        peer.sendall(frame(b'{"op":"replay","after":0}'))
        deadline_s = time.monotonic() + DEADLINE_S
        while connections(server):  # of the server's side
            assert time.monotonic() < deadline_s
            time.sleep(0.1)


def connections(server: ReplayServer) -> list[Any]:
    port = int(server.address.rpartition(":")[2])
    return [c for c in psutil.Process().net_connections("tcp") if c.laddr.port == port and c.status == "ESTABLISHED"]


def frame(body: bytes, *, more: bool = False, command: bool = False) -> bytes:
    """A short frame of ZMTP 3."""
    return bytes([more | command << 2, len(body)]) + body


@contextmanager
def deaf_peer(server: ReplayServer) -> Iterator[socket.socket]:
    """A ZeroMQ peer by hand, with hardly any room to receive, that reads nothing after the greeting."""
    host, _, port = server.address.removeprefix("tcp://").rpartition(":")
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        peer.connect((host, int(port)))
        peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31))
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER\x08Identity" + struct.pack(">I", 0)
        peer.sendall(frame(ready, command=True))
        received = b""
        while len(received) < 64 or b"READY" not in received:
            received += peer.recv(4_096)
        yield peer


def test_credit_is_given_back_by_the_token_alone() -> None:
    credit = Credit(max_bytes=10_000)
    token = credit.grant(b"a", 6_000, now_s=0.0)
    assert not credit.has_room(6_000)
    assert not credit.returned(b"a", None)
    assert not credit.returned(b"a", "else")
    assert credit.returned(b"b", None)
    assert credit.returned(b"a", token)
    assert credit.bytes == len(credit) == 0


def test_a_taken_port_is_refused_with_the_setting_that_names_it(journal: Journal) -> None:
    with (
        ReplayServer(SETTINGS, journal=journal) as server,
        pytest.raises(BindError, match=r"bus\.replay_bind: Address already in use; got "),
    ):
        ReplayServer(BusSettings(replay_bind=server.address), journal=journal)


def test_where_it_is_bound_follows_from_the_bus_unless_it_is_said() -> None:
    assert BusSettings().replay_address == "tcp://127.0.0.1:5591"
    assert BusSettings(bind="tcp://127.0.0.1:*").replay_address == "tcp://127.0.0.1:*"
    assert BusSettings(bind="tcp://[::1]:6000").replay_address == "tcp://[::1]:6001"
    assert BusSettings(replay_bind="tcp://127.0.0.1:7000").replay_address == "tcp://127.0.0.1:7000"
