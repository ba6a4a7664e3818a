"""Cameras that say what none should."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rtsp.quirks import Quirk
from tests.rtsp.stub import StubCamera
from tests.video.in_time import in_time
from tests.video.reading import read
from tests.video.rtsp.scripted import Answers, ScriptedCamera, ok
from vad.config import CameraConfig
from vad.video.probe import probe
from vad.video.rtsp.address import Address, track_url, usable_base

H264 = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n"
JPEG = "v=0\r\nm=video 0 RTP/AVP 26\r\na=control:trackID=1\r\n"
SOUND = "v=0\r\nm=audio 0 RTP/AVP 8\r\na=control:trackID=1\r\n"
SECRET: dict[str, Any] = {"username": "op", "password": "s3cret"}

Cameras = Callable[..., StubCamera]


def describing(text: str) -> Answers:
    def answers(head: str, number: int) -> bytes:
        return ok(head, body=text if head.startswith("DESCRIBE") else "")

    return answers


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 2147483648\r\n\r\n", "broken", "Content-Length"),
        (b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 2_000_000, "broken", "head of more than"),
        (b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", "broken", "headers; allowed"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "broken", "no RTSP"),
        (b"\0" * 100_000, "broken", "no RTSP"),
        (b"$\0\0\4abcd" * 50_000, "timeout", "no answer within"),
        (b"", "timeout", "no answer within"),
        (None, "broken", "closed before any video came"),
    ],
)
def test_an_answer_that_makes_no_sense_ends_the_attempt_in_words(answer: bytes | None, code: str, says: str) -> None:
    with ScriptedCamera(lambda head, number: answer) as camera:
        outcome = in_time(camera.url, within_s=20, read_timeout_s=1, **SECRET)
    assert outcome is not None
    assert outcome.code == code
    assert says in str(outcome.error)
    assert "s3cret" not in str(outcome.error)


@pytest.mark.parametrize(
    ("status", "code"),
    [("404 Not Found", "not_found"), ("403 Forbidden", "auth_failed"), ("503 \x1b[31mBusy", "broken")],
)
def test_a_refusal_is_told(status: str, code: str) -> None:
    with ScriptedCamera(lambda head, number: ok(head, status=status)) as camera:
        outcome = read(camera.url, read_timeout_s=2)
    assert outcome.code == code
    assert status[:3] in str(outcome.error)
    assert "\x1b" not in str(outcome.error)


def test_a_password_that_is_refused_is_shown_once_for_each_digest() -> None:
    offers = "".join(
        f'WWW-Authenticate: Digest realm="r", nonce="n", algorithm={algorithm}\r\n' for algorithm in ("MD5", "SHA-256")
    )

    def answers(head: str, number: int) -> bytes:
        return ok(head) if head.startswith("OPTIONS") else ok(head, status="401 Unauthorized", headers=offers)

    with ScriptedCamera(answers) as camera:
        outcome = read(camera.url, read_timeout_s=2, **SECRET)
    assert outcome.code == "auth_failed"
    assert "user name or password refused (401" in str(outcome.error)
    shown = [head for head in camera.heads if "Authorization" in head]
    assert [head.count("SHA-256") for head in shown] == [1, 0]


def test_what_the_camera_wants_and_is_not_supported_is_named() -> None:
    offer = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-512-256\r\n'
    with ScriptedCamera(lambda head, number: ok(head, status="401 Unauthorized", headers=offer)) as camera:
        outcome = read(camera.url, read_timeout_s=2, **SECRET)
    assert outcome.code == "auth_failed"
    assert "wants Digest with SHA-512-256, which is not supported; allowed: Basic, Digest with MD5 or SHA-256" in str(
        outcome.error
    )
    assert not any("Authorization" in head for head in camera.heads)


@pytest.mark.parametrize("location", ["rtsp://192.0.2.7/x", "rtsp://op:s3cret@evil.example/x", "http://127.0.0.1/"])
def test_a_redirection_elsewhere_is_refused_and_named(location: str) -> None:
    def answers(head: str, number: int) -> bytes:
        is_asked = head.startswith("DESCRIBE")
        return ok(head, status="302 Moved", headers=f"Location: {location}\r\n") if is_asked else ok(head)

    with ScriptedCamera(answers) as camera:
        outcome = read(camera.url, read_timeout_s=2, **SECRET)
    assert outcome.code == "broken"
    assert "which is not followed; allowed: the same host" in str(outcome.error)
    assert ("192.0.2.7" in str(outcome.error)) is ("192.0.2.7" in location)
    assert "s3cret" not in str(outcome.error)
    assert camera.connections == 1


def test_a_redirection_in_a_circle_ends() -> None:
    def answers(head: str, number: int) -> bytes:
        is_asked = head.startswith("DESCRIBE")
        return ok(head, status="301 Moved", headers="Location: /again\r\n") if is_asked else ok(head)

    with ScriptedCamera(answers) as camera:
        outcome = read(camera.url, read_timeout_s=2)
    assert outcome.code == "broken"
    assert "redirects more than" in str(outcome.error)
    assert camera.connections == 4


def test_a_camera_without_video_is_told_what_it_has() -> None:
    with ScriptedCamera(describing(SOUND)) as camera:
        outcome = read(camera.url, read_timeout_s=2)
    assert outcome.code == "no_video"
    assert "holds audio; needed: video" in str(outcome.error)


def test_other_codecs_are_left_to_ffmpeg() -> None:
    with ScriptedCamera(describing(JPEG)) as camera:
        in_time(camera.url, within_s=5, read_timeout_s=1)
        agents = {line for head in camera.heads for line in head.splitlines() if line.startswith("User-Agent")}
    assert camera.connections == 2
    assert any("Lavf" in agent for agent in agents)


def test_a_session_that_is_mute_times_out() -> None:
    with ScriptedCamera(describing(H264)) as camera:
        outcome = in_time(camera.url, within_s=10, read_timeout_s=1)
    assert outcome is not None
    assert outcome.code == "timeout"
    assert [head.split()[0] for head in camera.heads][:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]


def test_of_two_readable_tracks_the_second_is_played_where_the_first_is_mute(
    stub_camera: Cameras, cam_h264: Path
) -> None:
    camera = stub_camera(cam_h264, Quirk.MUTE_FIRST_TRACK, fps=100)
    outcome = read(camera.url, at_most=50, read_timeout_s=1)
    assert (outcome.code, outcome.decoded) == (None, 50)
    assert camera.asked("SETUP") == [f"{camera.url}/trackID=1", f"{camera.url}/trackID=6"]


def test_probe_names_what_is_unusual(stub_camera: Cameras, cam_hevc: Path) -> None:
    camera = stub_camera(cam_hevc, Quirk.NO_VPS_INBAND, Quirk.NO_VPS_IN_SDP, Quirk.SHA256, user="op", password="s3cret")
    report = probe(CameraConfig(url=camera.url, **SECRET), duration_s=1.0)
    said = next(line for line in report.lines() if line.startswith("camera"))
    assert "Digest with SHA-256" in said
    assert "sends no VPS" in said


def test_a_camera_of_which_sets_are_missing_is_told_which(stub_camera: Cameras, cam_hevc: Path) -> None:
    camera = stub_camera(cam_hevc, Quirk.NO_INBAND, Quirk.NO_SPROP, fps=100)
    outcome = in_time(camera.url, within_s=10, read_timeout_s=1)
    assert outcome is not None
    assert "sends no VPS and no SPS and no PPS" in str(outcome.error)


def test_tls_is_spoken_with_a_certificate_that_the_camera_has_made_itself(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=cam -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ScriptedCamera(describing(SOUND), tls=context) as camera:
        assert "holds audio" in str(read(camera.url, read_timeout_s=3).error)
        plain = camera.url.replace("rtsps", "rtsp")
        assert read(plain, read_timeout_s=2).code in ("broken", "timeout")
    with ScriptedCamera(describing(SOUND)) as camera:
        assert read(camera.url.replace("rtsp", "rtsps"), read_timeout_s=2).code in ("broken", "timeout")


@pytest.mark.parametrize(
    ("said", "base"),
    [
        ("rtsp://h/cam/", "rtsp://h/cam/"),
        ("rtsp://other:554/cam/", "rtsp://other:554/cam/"),
        ("rtsp://[::1]:554/cam/", "rtsp://[::1]:554/cam/"),
        ("rtsp://rtsp://h/cam/", "mine"),
        ("h/cam/", "mine"),
        ("rtsp://::ffff:1.2.3.4:8/cam/", "mine"),
        ("", "mine"),
        (None, "mine"),
    ],
)
def test_a_base_that_can_be_none_is_replaced(said: str | None, base: str) -> None:
    assert usable_base(said, "mine") == base


def test_a_track_is_found_as_ffmpeg_finds_it() -> None:
    assert track_url("rtsp://h/cam?a=1", "trackID=1") == "rtsp://h/cam?a=1/trackID=1"
    assert track_url("rtsp://h/cam/", "/trackID=1") == "rtsp://h/cam/trackID=1"
    assert track_url("rtsp://h/cam/", "rtsp://x/y") == "rtsp://x/y"
    assert track_url("rtsp://h/cam/", "*") == "rtsp://h/cam/"


def test_credentials_stay_on_the_host_and_behind_tls() -> None:
    address = Address.of("rtsps://op:p%40ss@Cam.local:9/x")
    assert (address.user, address.password, address.url) == ("op", "p@ss", "rtsps://Cam.local:9/x")
    assert "p@ss" not in repr(address)
    there = address.moved("rtsps://cam.local:10/y", peer="192.0.2.1")
    assert there is not None
    assert (there.port, there.password) == (10, "p@ss")
    assert address.moved("rtsps://[::ffff:192.0.2.1]/y", peer="192.0.2.1") is not None
    assert address.moved("rtsp://cam.local/y", peer="192.0.2.1") is None
    assert address.moved("rtsps://192.0.2.2/y", peer="192.0.2.1") is None
