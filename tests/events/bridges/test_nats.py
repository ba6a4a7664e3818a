"""The NATS bridge against a real server: each event once in the stream, whatever is killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.events.bridges.driving import bridge_settings, running, wait_until
from tests.events.bridges.servers import Server, nats_server
from tests.events.factory import CAMERA, anomalies
from vad.errors import BridgeError
from vad.events import Journal
from vad.events.bridges import make_bridge

nats = pytest.importorskip("nats")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "events.sqlite") as journal:
        yield journal


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = nats_server(tmp_path)
    yield server
    server.kill()


def settings(server: Server, **changes: Any) -> Any:
    return bridge_settings(type="nats", url=f"nats://127.0.0.1:{server.port}", **changes)


def ask(server: Server, question: Callable[[Any], Awaitable[Any]]) -> Any:
    """``question`` is given a JetStream context."""

    async def main() -> Any:
        connection = await nats.connect(f"nats://127.0.0.1:{server.port}")
        try:
            return await question(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(main())


def stored(server: Server) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    """Subject, event and headers of everything in the stream."""

    async def read(stream: Any) -> Any:
        count = (await stream.stream_info("VAD")).state.messages
        messages = [await stream.get_msg("VAD", seq) for seq in range(1, count + 1)]
        return [(m.subject, json.loads(m.data), m.headers) for m in messages]

    found: list[tuple[str, dict[str, Any], dict[str, str]]] = ask(server, read)
    return found


def test_events_are_stored_once_in_order_under_their_subjects(server: Server, journal: Journal, tmp_path: Path) -> None:
    with running(settings(server), journal, tmp_path) as worker:
        journal.append([*anomalies(100), CAMERA, *anomalies(1, camera="cam.2")])
        wait_until(lambda: worker.status.sequence == 102, what="the events")
    found = stored(server)
    assert [event["sequence"] for _, event, _ in found] == list(range(1, 103))
    assert [subject for subject, _, _ in found[-2:]] == ["vad.health.cam1", "vad.event.cam_2"]
    assert found[0][2]["Nats-Msg-Id"] == found[0][1]["id"] == f"{journal.epoch}-1"


def test_what_is_sent_again_is_stored_once(server: Server, journal: Journal, tmp_path: Path) -> None:
    chosen = settings(server)
    with running(chosen, journal, tmp_path) as worker:
        journal.append(anomalies(50))
        wait_until(lambda: worker.status.sequence == 50, what="the events")
    cursor = tmp_path / "bridges" / "nats.cursor"
    cursor.write_text(cursor.read_text().replace("50}", "0}"))  # as if it had been killed before it could note anything
    with running(chosen, journal, tmp_path) as worker:
        journal.append(anomalies(1))
        wait_until(lambda: worker.status.sequence == 51, what="the events")
        assert worker.status.sent == 51
    assert [event["sequence"] for _, event, _ in stored(server)] == list(range(1, 52))


def test_a_server_that_is_killed_again_and_again_has_every_event_once(
    server: Server, journal: Journal, tmp_path: Path
) -> None:
    with running(settings(server, timeout_s=1), journal, tmp_path) as worker:
        wait_until(lambda: worker.status.up, what="the connection")
        for round_ in range(3):
            journal.append(anomalies(300))
            wait_until(lambda r=round_: worker.status.sequence > r * 300, what="some events")
            server.kill()
            server.start()
            wait_until(lambda r=round_: worker.status.sequence == (r + 1) * 300, what="all events")
    sequences = [event["sequence"] for _, event, _ in stored(server)]
    assert sorted(sequences) == list(range(1, 901))


def test_a_stream_that_is_there_is_left_as_it_is(server: Server, journal: Journal, tmp_path: Path) -> None:
    async def make(stream: Any) -> None:
        await stream.add_stream(name="VAD", subjects=["vad.>", "other.>"], max_msgs=7)

    ask(server, make)
    with running(settings(server), journal, tmp_path) as worker:
        journal.append(anomalies(20))
        wait_until(lambda: worker.status.sequence == 20, what="the events")

    async def info(stream: Any) -> Any:
        return await stream.stream_info("VAD")

    found = ask(server, info)
    assert (found.config.max_msgs, found.state.messages) == (7, 7)


def test_a_full_stream_refuses_and_takes_the_rest_once_there_is_room(
    server: Server, journal: Journal, tmp_path: Path
) -> None:
    async def make(stream: Any) -> None:
        await stream.add_stream(name="VAD", subjects=["vad.>"], max_msgs=5, discard="new")

    async def widen(stream: Any) -> None:
        await stream.update_stream(name="VAD", subjects=["vad.>"], max_msgs=100, discard="new")

    ask(server, make)
    with running(settings(server), journal, tmp_path) as worker:
        journal.append(anomalies(10))
        wait_until(lambda: worker.status.failed >= 2, what="refusals")
        assert worker.status.sequence == 5
        ask(server, widen)
        wait_until(lambda: worker.status.sequence == 10, what="the rest")
    assert [event["sequence"] for _, event, _ in stored(server)] == list(range(1, 11))


def test_a_server_that_stops_answering_is_noticed(server: Server, journal: Journal, tmp_path: Path) -> None:
    with running(settings(server, timeout_s=1), journal, tmp_path) as worker:
        wait_until(lambda: worker.status.up, what="the connection")
        server.pause()
        journal.append(anomalies(3))
        wait_until(lambda: worker.status.failed >= 1 and not worker.status.up, what="the failure")
        server.go_on()
        wait_until(lambda: worker.status.sequence == 3, what="the events")
    assert [event["sequence"] for _, event, _ in stored(server)] == [1, 2, 3]


def test_a_token_from_a_file_lets_in_and_a_wrong_one_does_not(tmp_path: Path, journal: Journal) -> None:
    server = nats_server(tmp_path, "--auth", "hunter2")
    try:
        token = tmp_path / "token"
        token.write_text("hunter2\n")
        good = make_bridge(settings(server, token_file=str(token)), cameras=())
        good.open()
        good.close()
        token.write_text("wrong")
        bad = make_bridge(settings(server, token_file=str(token)), cameras=())
        with pytest.raises(BridgeError, match="Authorization") as caught:
            bad.open()
        assert "wrong" not in str(caught.value)
        bad.close()
    finally:
        server.kill()


def test_nobody_at_home_is_a_bridge_error(tmp_path: Path) -> None:
    bridge = make_bridge(bridge_settings(type="nats", url="nats://127.0.0.1:9"), cameras=())
    with pytest.raises(BridgeError) as caught:
        bridge.open()
    assert not caught.value.answered
    bridge.close()
