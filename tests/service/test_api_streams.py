"""Answers without an end: server-sent events and live pictures, to readers that read, sleep, come back or go."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.events.factory import CAMERA, WALL_S, anomalies
from tests.pipeline.sites import wait_for
from tests.service.serving import Service, serve
from vad.events.journal import Journal
from vad.service.tokens import revoke_token
from vad.types import CameraEvent

DEAD = {"url": "rtsp://127.0.0.1:9/none"}


@pytest.fixture
def guarded(tmp_path: Path, footage: Path) -> Iterator[Service]:
    cameras = {"cam1": {"url": str(footage), "loop": True}}
    with serve(tmp_path, cameras, events=anomalies(5), with_tokens=True, live_streams=2, event_streams=150) as service:
        yield service


class Listener:
    """Reads a stream of events in a thread of its own."""

    def __init__(self, service: Service, *, headers: dict[str, str] | None = None, **query: str) -> None:
        self.told: list[tuple[str, str, dict[str, object]]] = []  # event, id, data
        self.ended = threading.Event()
        self.is_open = threading.Event()
        self._client = service.client("viewer", **(headers or {}))
        self._query = query
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def sequences(self) -> list[object]:
        return [data["sequence"] for event, _, data in self.told if event == "message"]

    def close(self) -> None:
        self._client.close()

    def _listen(self) -> None:
        fields: dict[str, str] = {}
        try:
            with self._client.stream("GET", "events/stream", params=self._query) as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                for line in response.iter_lines():
                    self.is_open.set()
                    if line:
                        name, _, value = line.partition(": ")
                        fields[name] = value
                    elif "data" in fields:
                        told = (fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"]))
                        self.told.append(told)
                        fields = {}
        except (httpx.HTTPError, RuntimeError):
            pass
        self.ended.set()


def raise_events(service: Service, count: int) -> int:
    """Through the engine's own delivery, as the scoring thread does; the last sequence after them."""
    before = service.engine.status().last_sequence
    delivery = service.engine._delivery
    assert delivery is not None
    delivery.put([CameraEvent(camera="cam2", run=1, state="up", wall_s=WALL_S) for _ in range(count)], [])
    wait_for(lambda: service.engine.status().last_sequence >= before + count)
    return service.engine.status().last_sequence


def test_events_come_as_they_happen_with_the_id_of_the_event(guarded: Service) -> None:
    listener = Listener(guarded)
    assert listener.is_open.wait(20)
    last = raise_events(guarded, 3)
    wait_for(lambda: last in listener.sequences)
    epoch = guarded.engine.status().epoch
    assert [(id, data["id"]) for _, id, data in listener.told][-1] == (f"{epoch}-{last}", f"{epoch}-{last}")
    listener.close()


def test_a_reader_goes_on_where_it_was(guarded: Service) -> None:
    epoch = guarded.engine.status().epoch
    last = raise_events(guarded, 1)
    by_header = Listener(guarded, headers={"last-event-id": f"{epoch}-2"}, after=f"{epoch}-4")
    by_query = Listener(guarded, after=f"{epoch}-2", type="io.vad.anomaly.opened")
    wait_for(lambda: last in by_header.sequences)
    assert by_header.sequences[: last - 2] == list(range(3, last + 1))
    wait_for(lambda: len(by_query.sequences) >= 3)
    assert by_query.sequences[:3] == [3, 4, 5]
    by_header.close()
    by_query.close()


def test_what_is_lost_is_said(guarded: Service) -> None:
    listener = Listener(guarded, after=f"{'0' * 32}-7")
    wait_for(lambda: len(listener.told) >= 6)
    assert listener.told[0][0] == "lost"
    assert listener.told[0][2] == {"epoch": "0" * 32, "first": 8, "last": None}
    assert listener.sequences[:5] == [1, 2, 3, 4, 5]
    listener.close()


def test_what_was_forgotten_is_said(tmp_path: Path) -> None:
    with Journal(tmp_path / "events.sqlite") as journal:
        for _ in range(4):
            journal.append([CAMERA] * 2_000)
        epoch = journal.epoch
        while journal.first_sequence < 6_000:
            assert journal.forget(older_than_s=1e9, max_bytes=0)
        first = journal.first_sequence
    with serve(tmp_path, {"cam1": DEAD}, with_tokens=True) as service:
        listener = Listener(service, after=f"{epoch}-3")
        wait_for(lambda: len(listener.sequences) >= 1)
        assert listener.told[0][0] == "lost"
        assert listener.told[0][2] == {"epoch": epoch, "first": 4, "last": first - 1}
        assert listener.sequences[0] == first
        gone = service.client("viewer").get("events", params={"cursor": f"{epoch}-3"})
        assert (gone.status_code, gone.json()["type"]) == (410, "urn:vad:problem:cursor-gone")
        listener.close()


def test_a_hundred_readers_all_hear_everything(guarded: Service) -> None:
    listeners = [Listener(guarded) for _ in range(100)]
    assert all(listener.is_open.wait(60) for listener in listeners)
    last = raise_events(guarded, 50)
    wait_for(lambda: all(last in listener.sequences for listener in listeners), what="all to have heard the last")
    for listener in listeners:
        told = listener.sequences
        assert told == list(range(told[0], told[-1] + 1))  # type: ignore[arg-type, call-overload]
        listener.close()
    wait_for(lambda: guarded.state.listeners.taken == 0, what="all places to be free again")


def test_a_reader_that_sleeps_costs_little_and_is_sent_away(guarded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vad.service.api.pushing.SEND_TIMEOUT_S", 1.0)
    host, port = guarded.address.removeprefix("http://").split(":")
    epoch = guarded.engine.status().epoch
    raise_events(guarded, 8_000)
    before = psutil.Process().memory_info().rss
    with socket.create_connection((host, int(port)), timeout=30) as sleeper:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = f"GET /api/v1/events/stream?after={epoch}-1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        sleeper.sendall(f"{request}{guarded.tokens['viewer']}\r\n\r\n".encode())
        wait_for(lambda: guarded.state.listeners.taken == 1, what="the sleeper to be taken in")
        wait_for(lambda: guarded.state.listeners.taken == 0, what="the sleeper to be sent away")
        assert psutil.Process().memory_info().rss - before < 32 * 2**20


def test_a_revoked_reader_is_cut_off(guarded: Service, tmp_path: Path) -> None:
    listener = Listener(guarded)
    assert listener.is_open.wait(20)
    revoke_token(tmp_path / "tokens.jsonl", "viewer")
    assert listener.ended.wait(10)


def test_places_are_bounded(guarded: Service) -> None:
    with (
        guarded.client("viewer") as api,
        api.stream("GET", "cameras/cam1/live"),
        api.stream("GET", "cameras/cam1/live"),
    ):
        wait_for(lambda: guarded.state.live.taken == 2)
        refused = api.get("cameras/cam1/live")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:vad:problem:no-place")
        assert "retry-after" in refused.headers
    wait_for(lambda: guarded.state.live.taken == 0, what="the places of those who went")


def test_live_pictures_come_one_after_another(guarded: Service) -> None:
    with guarded.client("viewer") as api, api.stream("GET", "cameras/cam1/live", params={"fps": 10}) as response:
        assert response.headers["content-type"] == "multipart/x-mixed-replace; boundary=picture"
        data = b""
        for chunk in response.iter_bytes():
            data += chunk
            if data.count(b"--picture\r\n") >= 4:
                break
    head, _, rest = data.split(b"--picture\r\n")[1].partition(b"\r\n\r\n")
    assert b"Content-Type: image/jpeg" in head
    assert rest.startswith(b"\xff\xd8")


def test_a_live_stream_ends_with_its_camera_or_the_right_to_see_it(guarded: Service, tmp_path: Path) -> None:
    def watch(name: str, role: str) -> threading.Thread:
        def read() -> None:
            with guarded.client(role) as api, api.stream("GET", f"cameras/{name}/live") as response:
                for _ in response.iter_bytes():
                    pass

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    revoked = watch("cam1", "viewer")
    wait_for(lambda: guarded.state.live.taken == 1)
    revoke_token(tmp_path / "tokens.jsonl", "viewer")
    revoked.join(15)
    assert not revoked.is_alive()
    with guarded.client("admin") as api:
        removed = watch("cam1", "admin")
        wait_for(lambda: guarded.state.live.taken == 1)
        assert api.delete("cameras/cam1").status_code == 204
        removed.join(15)
        assert not removed.is_alive()
        assert api.get("cameras/cam1/live").status_code == 404


def test_streams_do_not_hold_up_the_end(tmp_path: Path, footage: Path) -> None:
    with serve(tmp_path, {"cam1": {"url": str(footage), "loop": True}}, with_tokens=True) as service:
        listener = Listener(service)
        assert listener.is_open.wait(20)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 20.0
    assert listener.ended.wait(10)


def test_without_listeners_nobody_polls_the_journal(guarded: Service) -> None:
    listener = Listener(guarded)
    assert listener.is_open.wait(20)
    assert guarded.state.tail._poller is not None
    listener.close()
    wait_for(lambda: guarded.state.tail._poller is None, what="the poller to rest")
