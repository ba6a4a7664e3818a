"""The HTTP API of a real engine: cameras, pictures, events, incidents, evidence, verdicts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from tests.events.factory import CAMERA, WALL_S, anomaly
from tests.pipeline.sites import wait_for
from tests.service.serving import Service, serve
from vad.config import CameraConfig, HttpSettings
from vad.service.console.rendering import STATIC
from vad.types import AnomalyEvent, EventType, Reason, Region

CORNER = {"name": "corner", "points": [[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]]}
CLIP = bytes(range(256)) * 40


def incident(
    name: str, *, camera: str = "cam1", at_s: float = 0.0, reason: Reason = Reason.SPEED
) -> list[AnomalyEvent]:
    common = {"camera": camera, "incident": name, "started_wall_s": WALL_S + at_s, "reasons": (reason,)}
    left = (Region(0.0, 0.4, 0.1, 0.6, 7.0),)
    return [
        anomaly(**common, wall_s=WALL_S + at_s + 1.0, regions=left),
        anomaly(**common, type=EventType.CLOSED, wall_s=WALL_S + at_s + 4.0, close_reason="calm", regions=left),
    ]


HISTORY = [
    *incident("i1"),
    CAMERA,
    *incident("i2", at_s=100.0, reason=Reason.SIZE),
    *incident("i3", camera="cam2", at_s=200.0),
    *incident("i4", at_s=300.0),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, footage: Path) -> Iterator[Service]:
    camera = {"url": str(footage), "loop": True}
    storage = tmp_path_factory.mktemp("storage")
    with serve(storage, {"cam1": camera, "cam2": camera}, events=HISTORY) as service:
        wait_for(lambda: all(c.frames.scored > 8 for c in service.engine.status().cameras.values()))
        service.engine.evidence.put(
            "cam1", "i1", {"clip.mp4": CLIP, "seen.jpg": b"jpeg", "evidence.json": b'{"version":1}'}
        )
        yield service


@pytest.fixture
def api(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def problem(response: httpx.Response, status: int, kind: str) -> dict[str, object]:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    body: dict[str, object] = response.json()
    assert (body["status"], body["type"]) == (status, f"urn:vad:problem:{kind}")
    assert body["instance"] == response.request.url.path
    return body


def listed(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["incident"] for row in response.json()["incidents"]]


# ---- the engine and its cameras ----


def test_status_tells_what_the_engine_tells(service: Service, api: httpx.Client) -> None:
    status = api.get("status").json()
    assert status["epoch"] == service.engine.status().epoch
    assert status["cameras"] == 2
    assert status["is_ready"]
    frames = status["frames"]
    assert frames["received"] == frames["scored"] + sum(frames["dropped"].values()) + frames["in_flight"]


def test_a_camera_tells_how_it_fares_and_what_it_raised_last(api: httpx.Client) -> None:
    cameras = api.get("cameras").json()["cameras"]
    assert [camera["id"] for camera in cameras] == ["cam1", "cam2"]
    one = api.get("cameras/cam1").json()
    assert (one["state"], one["is_armed"], one["is_paused"]) == ("up", True, False)
    assert one["frames"]["received"] > 0
    assert (one["model_width"], one["analysed_width"]) == ("auto", 160)


def test_a_camera_says_what_it_promises(api: httpx.Client) -> None:
    api.post("cameras", json={"id": "young", "url": "rtsp://127.0.0.1:9/none", "false_alarms_per_day": 2})
    young = api.get("cameras/young").json()
    api.delete("cameras/young")
    assert young["allowed_per_day"] == pytest.approx(98.0)
    assert young["promised_after_s"] == pytest.approx(4108.0, abs=1.0)
    assert young["promise"] == ("Raises nothing yet; 2 a day are promised after 1 h 9 min more of normal footage.")
    large = api.get("cameras/cam1").json()
    assert (large["promised_after_s"], large["promise"]) == (0.0, "Keeps to 1440 false alarms a day.")


def test_numbers_that_are_not_finite_are_null(service: Service, api: httpx.Client) -> None:
    added = api.post("cameras", json={"id": "cold", "url": "rtsp://127.0.0.1:9/none"})
    assert added.json()["threshold"] is None
    api.delete("cameras/cold")


def test_a_camera_is_added_found_changed_and_removed(service: Service, api: httpx.Client) -> None:
    body = {"id": "gate", "url": "rtsp://eve:hunter2@127.0.0.1:9/s?token=abc", "username": "u", "password": "hunter3"}
    added = api.post("cameras", json=body)
    assert added.status_code == 201
    assert added.headers["location"] == "/api/v1/cameras/gate"
    assert added.json()["false_alarms_per_day"] == 1440.0  # as the site's defaults say
    changed = api.patch("cameras/gate", json={"zones": [CORNER], "analysis_fps": 4, "model_width": 240})
    assert changed.json()["zones"] == [CORNER]
    assert (changed.json()["model_width"], changed.json()["analysed_width"]) == (240, None)
    config = service.engine.cameras()["gate"]
    assert (config.analysis_fps, config.username) == (4.0, "u")
    assert config.password is not None
    assert config.password.get_secret_value() == "hunter3"  # what is not named stays
    for text in (added.text, changed.text, api.get("cameras").text):
        assert "hunter" not in text
        assert "abc" not in text
    assert api.delete("cameras/gate").status_code == 204
    problem(api.get("cameras/gate"), 404, "no-camera")
    problem(api.delete("cameras/gate"), 404, "no-camera")


def test_what_is_there_already_is_a_conflict(api: httpx.Client) -> None:
    body = problem(api.post("cameras", json={"id": "cam1", "url": "rtsp://127.0.0.1:9/x"}), 409, "camera-exists")
    assert body["got"] == "cam1"


def test_pause_and_arm_take_effect_before_they_are_answered(api: httpx.Client) -> None:
    assert api.post("cameras/cam2/pause").json()["state"] == "paused"
    assert api.post("cameras/cam2/resume").json()["is_paused"] is False
    assert api.post("cameras/cam2/disarm").json()["is_armed"] is False
    assert api.post("cameras/cam2/arm").json()["is_armed"] is True
    problem(api.post("cameras/none/pause"), 404, "no-camera")


def test_patches_at_the_same_time_do_not_undo_each_other(service: Service) -> None:
    changes = [{"false_alarms_per_day": 7}, {"zones": [CORNER]}, {"backoff_max_s": 99}, {"backoff_min_s": 2}]

    def patch(change: dict[str, object]) -> None:
        with service.client() as client:
            assert client.patch("cameras/cam2", json=change).status_code == 200

    threads = [threading.Thread(target=patch, args=(change,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    config = service.engine.cameras()["cam2"]
    assert (config.false_alarms_per_day, config.backoff_max_s, config.backoff_min_s) == (7.0, 99.0, 2.0)
    assert len(config.zones) == 1


# ---- pictures and scores ----


def test_a_mask_is_burnt_into_the_snapshot(api: httpx.Client) -> None:
    assert api.patch("cameras/cam1", json={"masks": [CORNER]}).status_code == 200

    def corner_is_black() -> bool:
        response = api.get("cameras/cam1/snapshot", params={"width": 320})
        if response.status_code != 200:
            return False
        assert response.headers["content-type"] == "image/jpeg"
        picture = cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[1] <= 320
        return bool(picture[: picture.shape[0] // 2 - 8, : picture.shape[1] // 2 - 8].max() < 16)

    wait_for(corner_is_black, what="a masked picture")
    assert api.patch("cameras/cam1", json={"masks": []}).json()["masks"] == []


def test_a_camera_that_hangs_sideways_is_set_upright(api: httpx.Client) -> None:
    assert api.get("cameras/cam1").json()["rotate"] == 0
    for refused in (45, False, "90", None):
        assert api.patch("cameras/cam1", json={"rotate": refused}).status_code == 422
    assert api.patch("cameras/cam1", json={"rotate": 90}).json()["rotate"] == 90

    def stands_upright() -> bool:
        response = api.get("cameras/cam1/snapshot", params={"width": 320})
        if response.status_code != 200:
            return False
        height, width = cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_COLOR).shape[:2]
        return bool(height > width)

    wait_for(stands_upright, what="a picture that was turned")
    assert api.patch("cameras/cam1", json={"rotate": 0}).status_code == 200


def test_a_camera_without_a_picture_says_when_to_ask_again(api: httpx.Client) -> None:
    api.post("cameras", json={"id": "blind", "url": "rtsp://127.0.0.1:9/none"})
    response = api.get("cameras/blind/snapshot")
    problem(response, 503, "no-picture")
    assert response.headers["retry-after"] == "1"
    api.delete("cameras/blind")
    problem(api.get("cameras/blind/snapshot"), 404, "no-camera")


def test_scores_and_preview_are_of_the_last_minutes(api: httpx.Client) -> None:
    scores = api.get("cameras/cam1/scores", params={"seconds": 60}).json()
    assert (scores["camera"], scores["step_s"]) == ("cam1", 1.0)
    assert all(len(point) == 3 for point in scores["points"])
    preview = api.get("cameras/cam1/preview", params={"false_alarms_per_day": 5, "hours": 1}).json()
    assert set(preview) == {"covered_s", "threshold", "incidents", "per_day"}
    problem(api.get("cameras/none/scores"), 404, "no-camera")
    problem(api.get("cameras/cam1/preview"), 422, "invalid")


# ---- events and incidents ----


def test_events_are_given_as_on_the_wire_in_pages_without_repeats(service: Service, api: httpx.Client) -> None:
    seen: list[dict[str, object]] = []
    cursor = None
    while True:
        page = api.get(
            "events", params={"limit": 2, "order": "asc", "camera": "cam1", **({"cursor": cursor} if cursor else {})}
        )
        seen += page.json()["events"]
        cursor = page.json()["next"]
        if cursor is None or len(seen) >= 7:
            break
    assert [event["sequence"] for event in seen[:7]] == [1, 2, 3, 4, 5, 8, 9]
    with service.state.readers.lend() as archive:
        first = archive.event(1)
    assert first is not None
    assert seen[0] == json.loads(first.body)


def test_events_are_filtered(api: httpx.Client) -> None:
    def sequences(**wanted: object) -> list[int]:
        response = api.get("events", params={"until": WALL_S + 1e6, **wanted})
        assert response.status_code == 200, response.text
        return [event["sequence"] for event in response.json()["events"]]

    assert sequences() == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert sequences(type="io.vad.anomaly.opened") == [8, 6, 4, 1]
    assert sequences(type="io.vad.camera.backoff") == [3]
    assert sequences(reason="size") == [5, 4]
    assert sequences(camera="cam2", type="io.vad.anomaly.closed") == [7]
    assert sequences(since=WALL_S + 100, until=WALL_S + 150) == [5, 4]


def test_incidents_are_one_row_each(api: httpx.Client) -> None:
    until = WALL_S + 1e6
    page = api.get("incidents", params={"until": until, "limit": 2})
    assert listed(page) == ["i4", "i3"]
    assert listed(api.get("incidents", params={"until": until, "cursor": page.json()["next"]})) == ["i2", "i1"]
    assert listed(api.get("incidents", params={"until": until, "reason": "size"})) == ["i2"]
    assert listed(api.get("incidents", params={"camera": "cam2", "until": until})) == ["i3"]
    row = page.json()["incidents"][0]
    assert (row["state"], row["place"], row["reasons"], row["verdict"]) == ("closed", "middle left", ["speed"], None)


@pytest.mark.parametrize("path", ["events", "incidents"])
def test_a_cursor_of_a_former_epoch_is_gone(api: httpx.Client, path: str) -> None:
    body = problem(api.get(path, params={"cursor": f"{'0' * 32}-5"}), 410, "cursor-gone")
    assert "no cursor" in str(body["allowed"])


def test_an_event_is_found_by_its_own_id_and_its_incident_s(service: Service, api: httpx.Client) -> None:
    epoch = service.engine.status().epoch
    by_incident, by_event = api.get("events/i2").json(), api.get(f"events/{epoch}-5").json()
    assert by_incident == by_event
    assert by_incident["incident"]["incident"] == "i2"
    assert [event["sequence"] for event in by_incident["events"]] == [4, 5]
    of_camera = api.get(f"events/{epoch}-3").json()
    assert (of_camera["incident"], len(of_camera["events"])) == (None, 1)
    for id in ("none", f"{'0' * 32}-1", f"{epoch}-999999"):
        problem(api.get(f"events/{id}"), 404, "no-event")


# ---- verdicts ----


def test_a_verdict_is_kept_counted_listed_and_taken_back(service: Service, api: httpx.Client) -> None:
    until = WALL_S + 1e6
    given = api.put("events/i1/verdict", json={"verdict": "false", "note": "a cat \N{CAT}"})
    assert given.status_code == 200
    assert given.json()["who"] == "local"
    assert listed(api.get("incidents", params={"verdict": "false", "until": until})) == ["i1"]
    assert listed(api.get("incidents", params={"verdict": "none", "until": until})) == ["i4", "i3", "i2"]
    assert api.get("events/i1").json()["verdict"]["note"] == "a cat \N{CAT}"
    page = httpx.get(f"{service.address}/metrics").text
    assert 'vad_verdicts_total{camera="cam1",verdict="false"} 1.0' in page
    kept = service.state.verdicts.get("i1")
    assert kept is not None
    assert (kept.camera, kept.reasons, kept.opened_wall_s) == ("cam1", ("speed",), WALL_S)
    assert api.delete("events/i1/verdict").status_code == 204
    problem(api.delete("events/i1/verdict"), 404, "no-verdict")


def test_only_incidents_are_judged(service: Service, api: httpx.Client) -> None:
    epoch = service.engine.status().epoch
    problem(api.put(f"events/{epoch}-3/verdict", json={"verdict": "true"}), 404, "no-incident")
    assert api.post(f"events/{epoch}-4/verdict", json={"verdict": "true"}).json()["incident"] == "i2"
    api.delete("events/i2/verdict")


# ---- evidence ----


def test_evidence_is_linked_and_served(service: Service, api: httpx.Client) -> None:
    links = api.get("events/i1").json()["evidence"]
    assert links["expected"] is None
    clip = api.get(service.address + links["clip"])
    assert (clip.content, clip.headers["content-type"]) == (CLIP, "video/mp4")
    assert clip.headers["content-disposition"] == 'inline; filename="i1-clip.mp4"'
    assert api.get(service.address + links["details"]).json() == {"version": 1}
    assert api.get("events/i2").json()["evidence"] is None
    problem(api.get("events/i2/evidence/clip.mp4"), 404, "no-evidence")
    problem(api.get("events/i1/evidence/expected.jpg"), 404, "no-evidence")


@pytest.mark.parametrize(
    ("asked", "status", "given"),
    [
        ("bytes=0-9", 206, CLIP[:10]),
        ("bytes=10000-", 206, CLIP[10000:]),
        ("bytes=-5", 206, CLIP[-5:]),
        ("bytes=9-0", 200, CLIP),
        ("lines=0-9", 200, CLIP),
        ("bytes=zero", 200, CLIP),
        ("bytes=99999-", 416, None),
    ],
)
def test_a_clip_answers_to_ranges(api: httpx.Client, asked: str, status: int, given: bytes | None) -> None:
    response = api.get("events/i1/evidence/clip.mp4", headers={"range": asked})
    assert response.status_code == status
    if given is None:
        problem(response, 416, "range")
        assert response.headers["content-range"] == f"bytes */{len(CLIP)}"
    else:
        assert response.content == given


@pytest.mark.parametrize(
    "path",
    ["i1/evidence/../../x", "i1/evidence/%2e%2e%2fevidence.json", "..%2f..%2fcam1/evidence/clip.mp4", "i1/evidence/x"],
)
def test_no_path_leads_out_of_the_evidence(service: Service, path: str) -> None:
    with httpx.Client() as client:
        request = client.build_request("GET", f"{service.address}/api/v1/events/i1")
        request.url = request.url.copy_with(raw_path=f"/api/v1/events/{path}".encode())
        response = client.send(request)
    assert response.status_code in (404, 422)
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/livez", "/readyz", "/", "/events", "/health", "/login", "/add-camera", "/cameras/cam1"),
        *("/events/i1", "/console/pulse", f"{STATIC}/base.css"),
        *("/api/v1/status", "/api/v1/cameras", "/api/v1/events?limit=2", "/api/v1/incidents", "/api/v1/openapi.json"),
        *("/api/v1/cameras/cam1/snapshot", "/api/v1/events/i1", "/api/v1/events/i1/evidence/clip.mp4"),
        *("/api/v1/cameras/none", "/api/v1/events?limit=0", "/nothing"),
    ],
)
def test_head_answers_as_get_without_a_body(service: Service, path: str) -> None:
    head, got = (httpx.request(method, service.address + path, timeout=20.0) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (got.status_code, b"")
    changing = {"date", "content-length", "ratelimit"}
    assert {k: v for k, v in head.headers.items() if k not in changing} == {
        k: v for k, v in got.headers.items() if k not in changing
    }
    assert int(head.headers["content-length"]) > 0


def test_head_of_what_has_no_end_has_one(service: Service, api: httpx.Client) -> None:
    for path, kind in (("events/stream", "text/event-stream"), ("cameras/cam1/live", "multipart/x-mixed-replace")):
        response = api.head(path)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"].startswith(kind)
    assert service.state.live.taken == service.state.listeners.taken == 0


def test_every_answer_says_what_browsers_must_know(api: httpx.Client) -> None:
    for path in ("status", "events/i1/evidence/clip.mp4", "nothing"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["ratelimit"].startswith('"requests";r=')


@pytest.mark.parametrize("url", ["/etc/passwd", "file:///etc/passwd", "v4l2:///dev/video0", "x.mp4", "./frames?fps=5"])
def test_a_file_of_this_machine_is_not_added_over_http(service: Service, api: httpx.Client, url: str) -> None:
    for answer in (api.post("cameras", json={"id": "own", "url": url}), api.patch("cameras/cam2", json={"url": url})):
        problem(answer, 422, "invalid")
        assert "allowed over HTTP: rtsp://, rtsps://, http://, https://, or a recording in the folder" in answer.text
    assert "own" not in service.engine.cameras()


def test_a_recording_in_the_folder_that_the_site_file_names_may_be_added(tmp_path: Path, footage: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "a.mp4").symlink_to(footage)
    (folder / "outside").symlink_to("/etc")
    settings = HttpSettings(allow_local_sources=folder)
    inside = [f"{folder}/b.mp4", f"file://{folder}/b%20c.mp4", f"{folder}/frames?fps=5"]
    outside = [f"{folder}/a.mp4", f"{folder}/outside/passwd", f"{folder}/outside?fps=5", f"{folder}/../x", "/etc"]
    assert all(settings.allows(CameraConfig(url=url)) for url in inside)
    assert not any(settings.allows(CameraConfig(url=url)) for url in outside)
    assert settings.allows(CameraConfig(url="rtsp://h/x"))
