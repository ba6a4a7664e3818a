"""Who gets in and who does not, on real sockets."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.events.doors import DEADLINE_S, LIMITS, Door, guarded, is_cut_off, wait_until, with_keys
from vad.errors import KeyFileError
from vad.events.gatekeeper import Gatekeeper
from vad.events.keys import ClientKeys, KeyPair, load_client, load_pair, new_client, revoke
from vad.events.sockets import bound_socket, connected_socket

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)


@pytest.fixture
def viewer(tmp_path: Path) -> ClientKeys:
    return load_client(new_client(tmp_path, "viewer").secret)


@pytest.fixture
def door(tmp_path: Path, viewer: ClientKeys) -> Iterator[Door]:
    gatekeeper = Gatekeeper(server=load_pair(tmp_path / "server.key_secret"), clients_dir=tmp_path / "clients")
    with guarded(gatekeeper) as door:
        yield door


@pytest.fixture
def open_door() -> Iterator[Door]:
    with guarded(Gatekeeper()) as door:
        yield door


def unknown(server: bytes) -> ClientKeys:
    return ClientKeys(KeyPair(*zmq.curve_keypair()), server)


def test_a_client_with_a_key_gets_in_and_nobody_else(door: Door, viewer: ClientKeys) -> None:
    assert door.lets_in(with_keys(viewer), timeout_s=DEADLINE_S)
    assert not door.lets_in(with_keys(unknown(viewer.server)), timeout_s=1.0)
    wait_until(lambda: door.gatekeeper.connections == 0, what="its end")
    assert set(door.gatekeeper.refused) == {"unknown_key"}  # once an attempt, for one reason


def test_a_plain_client_is_refused_by_a_bus_with_keys(door: Door, viewer: ClientKeys) -> None:
    assert not door.lets_in(None, timeout_s=1.0)
    door.refuses("mechanism", "no_handshake")
    assert door.lets_in(with_keys(viewer), timeout_s=DEADLINE_S)


def test_a_client_that_trusts_another_server_is_refused(door: Door, viewer: ClientKeys) -> None:
    other = ClientKeys(viewer.own, zmq.curve_keypair()[0])
    assert not door.lets_in(with_keys(other), timeout_s=1.0)
    door.refuses("server_key")


def test_a_client_with_keys_is_told_apart_at_a_bus_without(open_door: Door, viewer: ClientKeys) -> None:
    assert not open_door.lets_in(with_keys(viewer), timeout_s=1.0)
    open_door.refuses("mechanism", "no_handshake")
    assert open_door.lets_in(None, timeout_s=DEADLINE_S)


def test_a_key_that_is_added_lets_in_a_client_that_was_refused_before(
    door: Door, tmp_path: Path, viewer: ClientKeys
) -> None:
    made = new_client(tmp_path, "late")
    late = load_client(made.secret)
    made.public.rename(tmp_path / "late.key")
    with zmq.Context() as context:
        waiting = connected_socket(context, zmq.SUB, door.address, limits=LIMITS, secure=with_keys(late))
        waiting.subscribe("")
        door.refuses("unknown_key")
        (tmp_path / "late.key").rename(made.public)
        assert door.reaches(waiting)
        waiting.close(linger=0)


def test_a_revoked_key_is_refused_without_a_restart(door: Door, tmp_path: Path, viewer: ClientKeys) -> None:
    other = load_client(new_client(tmp_path, "other").secret)
    assert door.lets_in(with_keys(viewer), timeout_s=DEADLINE_S)
    assert door.gatekeeper.revocations == 0
    revoke(tmp_path, "viewer")
    wait_until(lambda: door.gatekeeper.revocations == 1, what="the revocation")
    assert not door.lets_in(with_keys(viewer), timeout_s=1.0)
    assert door.gatekeeper.refused["revoked_key"] >= 1
    assert door.lets_in(with_keys(other), timeout_s=DEADLINE_S)


def test_a_revoked_key_that_lies_in_the_folder_under_another_name_stays_out(
    door: Door, tmp_path: Path, viewer: ClientKeys
) -> None:
    kept = revoke(tmp_path, "viewer")
    shutil.copy(kept, tmp_path / "clients" / "friend.key")
    wait_until(lambda: door.gatekeeper.revocations == 1, what="the revocation")
    assert not door.lets_in(with_keys(viewer), timeout_s=1.0)


def test_nobody_gets_in_while_the_folder_cannot_be_read(door: Door, tmp_path: Path, viewer: ClientKeys) -> None:
    with zmq.Context() as context:
        listening = connected_socket(context, zmq.SUB, door.address, limits=LIMITS, secure=with_keys(viewer))
        listening.subscribe("")
        assert door.reaches(listening)
        (tmp_path / "clients").rename(tmp_path / "away")
        wait_until(lambda: not door.lets_in(with_keys(viewer), timeout_s=0.3), what="the closed door")
        assert door.gatekeeper.revocations == 0
        assert door.reaches(listening)  # who is in stays in
        (tmp_path / "away").rename(tmp_path / "clients")
        assert door.lets_in(with_keys(viewer), timeout_s=DEADLINE_S)
        listening.close(linger=0)


def test_a_socket_without_a_gatekeeper_at_work_lets_nobody_in(tmp_path: Path, viewer: ClientKeys) -> None:
    with zmq.Context() as context:
        socket = context.socket(zmq.PUB)
        gatekeeper = Gatekeeper(server=load_pair(tmp_path / "server.key_secret"), clients_dir=tmp_path / "clients")
        gatekeeper.guard(socket)
        socket.bind("tcp://127.0.0.1:*")
        door = Door(gatekeeper, context, socket, socket.getsockopt_string(zmq.LAST_ENDPOINT))
        assert not door.lets_in(with_keys(viewer), timeout_s=0.5)
        gatekeeper.close()
        assert not door.lets_in(with_keys(viewer), timeout_s=0.5)
        socket.close(linger=0)


NOISE = {
    "another protocol": (b"GET / HTTP/1.1\r\nHost: vad\r\n\r\n", None),  # ended without a word on why
    "an unknown mechanism": (b"\xff" * 200, "mechanism"),
    "no command": (GREETING.replace(b"NULL\0", b"CURVE") + b"\x04\xff" + bytes(255), "malformed"),
}


@pytest.mark.parametrize(("noise", "reason"), NOISE.values(), ids=NOISE)
def test_noise_is_cut_off_and_counted(door: Door, viewer: ClientKeys, noise: bytes, reason: str | None) -> None:
    with door.knock() as connection:
        connection.sendall(noise)
        assert is_cut_off(connection)
    if reason is not None:
        door.refuses(reason)
    wait_until(lambda: door.gatekeeper.accepted == 1, what="news of it")  # which travels by a socket of its own
    wait_until(lambda: door.gatekeeper.connections == 0, what="its end")
    assert door.lets_in(with_keys(viewer), timeout_s=DEADLINE_S)


def test_a_connection_that_says_nothing_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vad.events.gatekeeper.HANDSHAKE_MS", 300)
    with guarded(Gatekeeper()) as door:
        with door.knock() as connection:
            wait_until(lambda: door.gatekeeper.connections == 1, what="the connection")
            assert is_cut_off(connection)
        door.refuses("no_handshake")
        wait_until(lambda: door.gatekeeper.connections == 0, what="its end")


@pytest.mark.parametrize("size", [2**20, 2**40])
def test_a_frame_too_long_is_cut_off_before_it_is_stored(open_door: Door, size: int) -> None:
    ready = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB"
    with open_door.knock() as connection:
        connection.sendall(GREETING)
        connection.sendall(ready + b"\x02" + size.to_bytes(8, "big") + b"\x01")
        assert is_cut_off(connection)
    wait_until(lambda: open_door.gatekeeper.connections == 0, what="its end")
    assert open_door.lets_in(None, timeout_s=DEADLINE_S)


def test_no_more_than_so_many_connections_are_open_at_a_time() -> None:
    with guarded(Gatekeeper(max_connections=20)) as door:
        knocking = [door.knock() for _ in range(20)]
        wait_until(lambda: door.gatekeeper.connections == 20, what="20 connections")
        with pytest.raises(TimeoutError):
            door.knock(timeout_s=0.5)
        door.refuses("too_many")
        for connection in knocking[:10]:
            connection.close()
        assert door.lets_in(None, timeout_s=DEADLINE_S)
        for connection in knocking:
            connection.close()


def test_a_clients_folder_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    new_client(tmp_path, "viewer")
    with pytest.raises(KeyFileError, match="no such folder"):
        Gatekeeper(server=load_pair(tmp_path / "server.key_secret"), clients_dir=tmp_path / "nowhere")


def test_the_gatekeeper_does_not_wait_for_ever_for_a_socket_that_does_not_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gatekeeper, is_over = Gatekeeper(), threading.Event()
    with zmq.Context() as context:
        pub = bound_socket(context, zmq.PUB, "tcp://127.0.0.1:*", what="t", limits=LIMITS, secure=gatekeeper.guard)
        thread = threading.Thread(target=gatekeeper.run, kwargs={"is_over": is_over.is_set})
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        is_over.set()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
        assert gatekeeper.is_done
        assert "does not end" in caplog.text
        pub.close()
