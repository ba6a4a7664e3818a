"""Evidence from end to end: real video through the real engine, incidents out, clips on disk."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.events.disks import fill, small_disk
from tests.pipeline.sites import make_site, wait_for, wait_for_frames
from tests.rtsp.control import RtspServer
from tests.video.clips import VideoFile
from tests.video.taping import boxes_of, pictures_of, tape_of
from vad.config import SiteConfig
from vad.errors import VadError
from vad.pipeline.engine import Engine
from vad.pipeline.evidence_store import EvidenceFiles
from vad.types import AnomalyEvent, CameraEvent, EventType

BLACK = 24  # luma or level at most, after a lossy codec
MASK = {"points": [[0.0, 0.0], [0.4, 0.0], [0.4, 0.6], [0.0, 0.6]]}
SCORING = {"warming_after_s": 2.0, "calibrated_after_s": 4.0}


def run_to_the_end(site: SiteConfig, *, while_running: Callable[[Engine], None] | None = None) -> tuple[Engine, list]:
    """An engine that has read its files to their ends and has stopped; the anomaly events."""
    engine = Engine(site)
    events: list[AnomalyEvent | CameraEvent] = []
    with engine:
        for event in engine.events():
            events.append(event)
            if while_running is not None:
                while_running(engine)
    events += engine.events()
    return engine, [event for event in events if isinstance(event, AnomalyEvent)]


def incidents_of(
    engine: Engine, events: list[AnomalyEvent]
) -> list[tuple[AnomalyEvent, EvidenceFiles, dict[str, Any]]]:
    """Each incident's last event, its files and its details. Every incident has evidence."""
    last = {event.incident: event for event in events}
    assert last, "nothing was raised: there is nothing to see here"
    found = []
    for incident, event in last.items():
        files = engine.evidence.get(incident)
        assert files is not None, incident
        found.append((event, files, json.loads(files.details.read_text())))
    return found


def colours(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def masked_part(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What MASK hides, a few pixels of the lossy codec's left out."""
    height, width = picture.shape[:2]
    return picture[: int(0.6 * height) - 4, : int(0.4 * width) - 4]


def test_each_incident_leaves_a_clip_that_shows_its_peak_as_it_was(footage: Path, tmp_path: Path) -> None:
    site = make_site(tmp_path, {"cam": {"url": str(footage), "realtime": False}})
    engine, events = run_to_the_end(site)
    originals = pictures_of(str(footage))
    status = engine.status().evidence
    assert status.written >= 1
    assert not any(status.dropped.values())
    assert status.used_bytes == engine.evidence.used_bytes > 0
    for event, files, told in incidents_of(engine, events):
        assert files.clip is not None
        assert (told["version"], told["incident"], told["camera"]) == (1, event.incident, "cam")
        data = files.clip.read_bytes()
        assert boxes_of(data).index("moov") < boxes_of(data).index("mdat")
        clip = told["clip"]
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == (clip["width"], clip["height"]) == (640, 360)
            assert stream.codec_context.name == clip["codec"] == "h264"
            assert container.duration / av.time_base == pytest.approx(clip["duration_s"], abs=0.05)
        assert not clip["reencoded"]
        assert told["missing"] in ([], ["the end: the run ended"])
        assert 0.0 <= clip["peak_s"] <= clip["duration_s"]
        assert told["peak_wall_s"] - clip["start_wall_s"] == pytest.approx(clip["peak_s"], abs=0.01)
        shown = pictures_of(io.BytesIO(data))
        at = round(event.peak_pts_s * 12.5)
        assert np.array_equal(shown[round(clip["peak_s"] * 12.5)], originals[at])


def test_the_details_tell_what_to_draw_and_what_was_expected(footage: Path, tmp_path: Path) -> None:
    engine, events = run_to_the_end(make_site(tmp_path, {"cam": {"url": str(footage), "realtime": False}}))
    for event, files, told in incidents_of(engine, events):
        rows, columns = told["heat_grid"]
        frames = told["frames"]
        assert [frame["t_s"] for frame in frames] == sorted(frame["t_s"] for frame in frames)
        assert frames[0]["t_s"] >= -0.001
        assert frames[-1]["t_s"] <= told["clip"]["duration_s"] + 0.001
        peak = min(frames, key=lambda frame: abs(frame["t_s"] - told["clip"]["peak_s"]))
        assert peak["score"] == pytest.approx(event.peak_score, abs=1e-3) == told["peak_score"]
        heat = np.frombuffer(base64.b64decode(peak["heat"]), np.uint8).reshape(rows, columns)
        assert heat.max() / 255 * told["heat_max"] == pytest.approx(peak["score"], rel=0.02)
        assert peak["boxes"]
        for x0, y0, x1, y1, _ in peak["boxes"]:
            assert 0.0 <= x0 < x1 <= 1.0
            assert 0.0 <= y0 < y1 <= 1.0
        assert [finding["reason"] for finding in told["findings"]] == peak["reasons"] != []
        for finding in told["findings"]:
            assert finding["text"]
            assert finding["unit"]
        assert files.seen is not None
        assert files.expected is not None
        seen, expected = colours(files.seen), colours(files.expected)
        assert seen.shape == (360, 640, 3)
        assert expected.shape == (180, 320, 3)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_masks_are_black_wherever_something_is_kept_or_shown(codec: str, footage: Path, tmp_path: Path) -> None:
    source = footage
    if codec == "hevc":
        source = tmp_path / "hevc.mp4"
        turn_to_hevc(footage, source)
    snapshots: list[bytes] = []

    def look(engine: Engine) -> None:
        for width in (None, 320, 97):
            picture = engine.snapshot("cam", width=width, heat=True, boxes=False)
            snapshots.extend([] if picture is None else [picture])

    camera = {"url": str(source), "realtime": False, "masks": [MASK]}
    engine, events = run_to_the_end(make_site(tmp_path / "data", {"cam": camera}), while_running=look)
    assert snapshots
    for data in snapshots:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert masked_part(picture).max() <= BLACK
        assert picture.max() > 100
    for _, files, told in incidents_of(engine, events):
        assert told["clip"]["reencoded"]
        assert files.clip is not None
        assert files.seen is not None
        assert files.expected is not None
        for shown in pictures_of(str(files.clip)):
            assert masked_part(shown).max() <= BLACK
            assert shown.max() > 100
        assert masked_part(colours(files.expected)).max() <= BLACK
        assert np.percentile(masked_part(colours(files.seen)), 90) <= BLACK  # a box may cross it


def turn_to_hevc(source: Path, target: Path) -> None:
    with av.open(str(source)) as opened, av.open(str(target), "w") as output:
        stream = output.add_stream("libx265", rate=25, options={"preset": "ultrafast", "x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for frame in opened.decode(video=0):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.mark.rtsp
def test_a_cameras_incidents_are_kept_and_it_can_be_looked_at(
    footage: Path, tmp_path: Path, rtsp_server: Callable[..., RtspServer]
) -> None:
    server = rtsp_server({"cam": footage})
    site = make_site(tmp_path, {"cam": {"url": server.url("cam")}})
    with Engine(site) as engine:
        assert engine.snapshot("cam") is None
        wait_for(lambda: engine.snapshot("cam") is not None, what="a picture")
        wait_for(lambda: engine.status().evidence.written > 0, timeout_s=90.0, what="evidence")
        data = engine.snapshot("cam", width=320, heat=True, boxes=True)
        assert data is not None
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (180, 320, 3)
        assert engine.status().evidence.ring_bytes > 10_000
        engine.pause_camera("cam")
        assert engine.snapshot("cam") is None
        engine.resume_camera("cam")
        wait_for(lambda: engine.snapshot("cam") is not None, what="a picture after the pause")
        events = [event for event in drain(engine) if isinstance(event, AnomalyEvent)]
    assert engine.snapshot("cam") is None
    kept = [files for event in events if (files := engine.evidence.get(event.incident))]
    assert kept
    told = json.loads(kept[0].details.read_text())
    assert not told["clip"]["reencoded"]
    assert kept[0].clip is not None
    originals = {picture.tobytes() for picture in pictures_of(str(footage))}
    assert {picture.tobytes() for picture in pictures_of(str(kept[0].clip))} <= originals


def drain(engine: Engine) -> list[AnomalyEvent | CameraEvent]:
    return list(engine.events(timeout_s=0.3))


def test_a_mask_drawn_while_it_runs_hides_what_was_filmed_before_it(footage: Path, tmp_path: Path) -> None:
    site = make_site(tmp_path, {"cam": {"url": str(footage), "loop": True}})
    with Engine(site) as engine:
        wait_for_frames(engine, "cam", 10)
        config = engine.cameras()["cam"]
        engine.replace_camera("cam", type(config).model_validate({**config.model_dump(), "masks": [MASK]}))
        wait_for(lambda: engine.snapshot("cam") is not None, what="a picture")
        data = engine.snapshot("cam")
        assert data is not None
        assert masked_part(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)).max() <= BLACK


def test_many_may_look_at_a_camera_while_it_is_analysed(video_file: VideoFile, tmp_path: Path) -> None:
    """Ten bits a pixel: analysis converts each frame too."""
    source = video_file("deep.mp4", codec="libx265", pixel_format="yuv420p10le", frames=60)
    plain = [frame.luma for frame in tape_of(source)[1]]
    site = make_site(tmp_path, {"cam": {"url": str(source), "loop": True, "realtime": False, "analysis_fps": 60}})
    with Engine(site) as engine:
        wait_for(lambda: engine.snapshot("cam") is not None, what="a picture")
        over, counts = threading.Event(), [0] * 4

        def look(number: int) -> None:
            while not over.is_set():
                counts[number] += engine.snapshot("cam", width=320, heat=True, boxes=True) is not None

        lookers = [threading.Thread(target=look, args=(number,), daemon=True) for number in range(len(counts))]
        for looker in lookers:
            looker.start()
        lumas: list[NDArray[np.uint8]] = []
        while len(lumas) < 200:
            score = engine._running_cameras.member("cam").watch.last_score
            lumas += [] if score is None or any(score.frame.luma is luma for luma in lumas) else [score.frame.luma]
        over.set()
        for looker in lookers:
            looker.join(timeout=30.0)
            assert not looker.is_alive()
    assert min(counts) > 5
    known = {luma.tobytes() for luma in plain}
    assert all(luma.tobytes() in known for luma in lumas)


def test_an_unknown_camera_has_no_picture_and_that_is_an_error(footage: Path, tmp_path: Path) -> None:
    with (
        Engine(make_site(tmp_path, {"cam": {"url": str(footage)}})) as engine,
        pytest.raises(VadError, match="'nobody'"),
    ):
        engine.snapshot("nobody")


def test_switched_off_nothing_is_kept_and_cameras_can_still_be_looked_at(footage: Path, tmp_path: Path) -> None:
    site = make_site(tmp_path, {"cam": {"url": str(footage), "realtime": False}})
    site = SiteConfig.model_validate({**site.model_dump(), "evidence": {"enabled": False}})
    pictures: list[bytes | None] = []
    engine, events = run_to_the_end(site, while_running=lambda engine: pictures.append(engine.snapshot("cam")))
    assert events
    assert any(pictures)
    assert engine.status().evidence.written == 0
    assert engine.status().evidence.ring_bytes == 0
    assert list((tmp_path / "evidence").iterdir()) == []


def test_a_group_of_pictures_longer_than_the_ring_is_told(footage: Path, tmp_path: Path) -> None:
    """Ten seconds between key frames, and room for a part of them."""
    source = tmp_path / "long.mp4"
    with av.open(str(footage)) as opened, av.open(str(source), "w") as output:
        parameters = "keyint=1000:scenecut=0"
        options = {"preset": "ultrafast", "crf": "1", "x264-params": parameters}
        stream = output.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for frame in opened.decode(video=0):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert source.stat().st_size > 2 * 2**20
    site = make_site(tmp_path / "data", {"cam": {"url": str(source), "realtime": False}})
    site = SiteConfig.model_validate({**site.model_dump(), "evidence": {"ring_mib": 1}})
    engine, events = run_to_the_end(site)
    for _, files, told in incidents_of(engine, events):
        assert told["missing"]
        assert (told["clip"] is None) == (files.clip is None)
        assert (files.seen is None) == (told["clip"] is None or told["clip"]["peak_s"] is None)


def test_a_full_disk_costs_the_evidence_and_nothing_else(footage: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with small_disk(data / "evidence", kib=256) as disk:
        fill(disk)
        site = make_site(data, {"cam": {"url": str(footage), "realtime": False}})
        engine, events = run_to_the_end(site)
        assert events
        status = engine.status()
        assert status.evidence.written == 0
        assert status.evidence.dropped["disk"] >= 1
        assert status.last_sequence >= len(events)
        assert not [path for path in disk.rglob("*") if path.is_file() and path.name != "ballast"]


def test_a_slow_disk_stalls_nothing(footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released, writing = threading.Event(), threading.Event()
    really = os.fsync

    def slow(handle: int) -> None:
        if threading.current_thread().name == "vad-evidence":
            writing.set()
            released.wait(60.0)
        really(handle)

    monkeypatch.setattr(os, "fsync", slow)
    with Engine(make_site(tmp_path, {"cam": {"url": str(footage), "loop": True, "realtime": False}})) as engine:
        wait_for(writing.is_set, what="the first evidence")
        scored = engine.status().cameras["cam"].frames.scored
        wait_for(lambda: engine.status().cameras["cam"].frames.scored > scored + 300, what="frames")
        assert engine.status().evidence.written == 0
        assert engine.evidence.get("nothing") is None
        assert engine.status().last_sequence > 0
        released.set()
        wait_for(lambda: engine.status().evidence.written > 0, what="evidence")


def test_evidence_outlives_the_engine_and_its_bound_holds(footage: Path, tmp_path: Path) -> None:
    site = make_site(tmp_path, {"cam": {"url": str(footage), "realtime": False}})
    engine, events = run_to_the_end(site)
    kept = incidents_of(engine, events)
    shutil.copytree(kept[0][1].details.parent, tmp_path / "evidence" / "cam" / ".new-half")
    tight = SiteConfig.model_validate({**site.model_dump(), "evidence": {"keep_mib": 1}})
    again = Engine(tight)
    with again:
        assert again.evidence.get(kept[-1][0].incident) is not None
        assert again.evidence.used_bytes <= 2**20
        assert not (tmp_path / "evidence" / "cam" / ".new-half").exists()


def test_a_folder_that_cannot_be_made_is_told_at_the_start(footage: Path, tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("in the way")
    with pytest.raises(VadError, match="evidence"), Engine(make_site(tmp_path, {"cam": {"url": str(footage)}})):
        pass


def test_a_looping_file_is_kept_run_by_run(footage: Path, tmp_path: Path) -> None:
    """Each turn is a run of its own, with a tape of its own; incidents of any of them have their clips."""
    site = make_site(tmp_path, {"cam": {"url": str(footage), "loop": True, "realtime": False}})
    with Engine(site) as engine:
        opened: list[AnomalyEvent] = []
        for event in engine.events():
            if isinstance(event, AnomalyEvent) and event.type is EventType.OPENED:
                opened.append(event)
            if opened and opened[-1].run >= 3:
                break
    for event in opened[:-1]:
        files = engine.evidence.get(event.incident)
        assert files is not None
        assert files.clip is not None
        told = json.loads(files.details.read_text())
        assert told["clip"]["duration_s"] <= 20.0 + 2.1  # and a group of pictures
        assert told["clip"]["peak_s"] is not None
        assert files.seen is not None
