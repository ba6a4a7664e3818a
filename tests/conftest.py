"""What tests share: real video made on the spot, a real RTSP server, footage that lies beside the repository."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.rtsp.control import RtspServer, why_unavailable
from tests.rtsp.quirks import Quirk
from tests.rtsp.stub import Settings, StubCamera
from tests.video.clips import VideoFile, write_annexb, write_video

REPOSITORY = Path(__file__).resolve().parent.parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background has them ignore Ctrl-C, and every process that they start too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``rtsp`` are skipped, with what to install, where the server cannot run."""
    marked = [item for item in items if item.get_closest_marker("rtsp")]
    reason = why_unavailable() if marked else None
    if reason:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def video_file(tmp_path: Path) -> VideoFile:
    """``video_file("a.mp4", codec="libx264", frames=50, ...)``: encodes a real clip, returns its path."""

    def make(name: str, **settings: object) -> Path:
        return write_video(tmp_path / name, **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def clip_h264(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s of 640x360 H.264 at 25 fps, a key frame each second."""
    return write_video(tmp_path_factory.mktemp("clips") / "h264.mp4")


@pytest.fixture(scope="session")
def clip_hevc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s of 640x360 HEVC at 25 fps, a key frame each second."""
    return write_video(tmp_path_factory.mktemp("clips") / "hevc.mp4", codec="libx265", frames=50)


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of a synthetic camera at 12.5 fps (H.264, 640x360): people walk, and at 7 s a vehicle comes."""
    from vad.video.synthetic import Anomaly, AnomalyKind, Layout, Scene, encode

    path = tmp_path_factory.mktemp("footage") / "scene.mp4"
    scene = Scene(seed=7, fps=12.5, anomalies=[Anomaly(AnomalyKind.VEHICLE, 7.0)], layout=Layout.LANES)
    encode(scene, path, seconds=12.0)
    return path


@pytest.fixture
def rtsp_server() -> Iterator[Callable[..., RtspServer]]:
    """``rtsp_server({"cam": path}, user=..., ...)``: a started ``RtspServer``, killed after the test."""
    servers: list[RtspServer] = []

    def start(*args: object, **kwargs: object) -> RtspServer:
        server = RtspServer(*args, **kwargs)  # type: ignore[arg-type]
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def cam_h264(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stub camera plays: 4 s of H.264, see ``write_annexb``."""
    return write_annexb(tmp_path_factory.mktemp("cam") / "cam.h264")


@pytest.fixture(scope="session")
def cam_hevc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in HEVC."""
    return write_annexb(tmp_path_factory.mktemp("cam") / "cam.hevc")


@pytest.fixture
def stub_camera() -> Iterator[Callable[..., StubCamera]]:
    """``stub_camera(path, Quirk.NO_FMTP, fps=100, ...)``: a camera that plays; stopped after the test."""
    with ExitStack() as cameras:

        def start(clip: Path, *quirks: Quirk, **settings: Any) -> StubCamera:
            return cameras.enter_context(StubCamera(clip, *quirks, settings=Settings(**settings)))

        yield start


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real footage: ``VAD_TEST_DATA``, or ``../shared/data`` beside the repository."""
    data = Path(os.environ.get("VAD_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not data.is_dir():
        pytest.skip(f"no footage at {data}; set VAD_TEST_DATA to where it is")
    return data
