"""Decoding on a GPU, as far as it can be held without one: the pooling on the device, and every way back to the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import structlog
import torch
from av import VideoCodecContext, VideoFrame

from tests.video.clips import VideoFile, write_video
from tests.video.devices import fail_after
from tests.video.reading import read
from tests.video.test_loop_filter import CLOSED, GROUP
from vad.config import Polygon
from vad.types import Frame
from vad.video import hardware
from vad.video.decoding import MOST_FAILURES, Decoder
from vad.video.device_luma import pool_on_device
from vad.video.hardware import DecodePolicy
from vad.video.luma import geometry, luma_of, luma_plane, pool_luma, visible

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
TRIANGLE = Polygon(points=[(0.1, 0.1), (0.9, 0.3), (0.4, 0.95)])


AUTO = DecodePolicy("auto", "cuda:0")


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing that this process has said or tried of a device lasts."""
    yield
    hardware._told.clear()
    hardware._decoding.clear()


@pytest.fixture
def said() -> Iterator[list[Any]]:
    """What is logged meanwhile."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", frames=50)


def frame_of(width: int, height: int, pixel_format: str, *, full: bool = False) -> VideoFrame:
    noise = np.random.default_rng(width * height).integers(0, 256, (height, width), dtype=np.uint8)
    frame = VideoFrame.from_ndarray(noise, format="gray").reformat(format=pixel_format)
    frame.color_range = 2 if full else 1
    return frame


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("width", "height", "model_width"),
    [(1920, 1080, 160), (640, 360, 160), (334, 250, 160), (176, 100, 176), (98, 30, 20)],
)
def test_luma_pooled_where_the_frame_lies_is_that_of_the_cpu(
    width: int, height: int, model_width: int, full: bool
) -> None:
    frame = frame_of(width, height, "nv12", full=full)
    grid = geometry(width, height, model_width=model_width)
    mask = visible([TRIANGLE], grid)
    for hidden in (None, mask):
        plane, limited_range = luma_plane(frame)
        assert limited_range is not full
        expected = pool_luma(plane, grid, hidden, limited_range=limited_range)
        np.testing.assert_array_equal(pool_on_device(frame, grid, hidden, limited_range=not full), expected)


@pytest.mark.parametrize("full", [False, True])
def test_ten_bits_give_the_same_luma_to_rounding(full: bool) -> None:
    frame = frame_of(640, 360, "p010le", full=full)
    grid = geometry(640, 360, model_width=160)
    got = pool_on_device(frame, grid, None, limited_range=not full)
    assert np.abs(got.astype(int) - luma_of(frame, grid, None)).max() <= 1


def test_an_unknown_layout_on_a_device_is_refused() -> None:
    with pytest.raises(RuntimeError, match="frames of yuv444p on a device; known: nv12, p010le, p016le"):
        pool_on_device(frame_of(64, 64, "yuv444p"), geometry(64, 64, model_width=64), None, limited_range=True)


@no_cuda
def test_without_a_device_auto_decodes_on_the_cpu_and_says_so_once(film: Path, fresh: None, said: list[Any]) -> None:
    expected = read(film, decoder="cpu")
    for _ in range(2):
        outcome = read(film, decoder="auto", network_device="cuda:0")
        assert outcome.code == "ended"
        assert_same(outcome.frames, expected.frames)
        assert outcome.reader.info.decoder == "cpu"
    assert [entry["event"] for entry in said] == ["stream.decoder_fallback"]
    assert said[0]["detail"] == "torch finds no CUDA device 0; the CPU decodes"


@no_cuda
def test_without_a_device_cuda_is_refused_with_what_is_allowed(film: Path) -> None:
    outcome = read(film, decoder="cuda")
    assert outcome.code == "codec_unsupported"
    assert str(outcome.error) == "cam1: decoder cuda: torch finds no CUDA device 0; allowed: decoder auto or cpu"


def test_where_the_network_runs_on_the_cpu_auto_asks_for_no_device(film: Path, said: list[Any]) -> None:
    assert read(film, decoder="auto", at_most=3).reader.info.decoder == "cpu"
    assert not said


def test_a_folder_of_pictures_is_not_for_the_gpu(tmp_path: Path) -> None:
    for index in range(3):
        frame_of(64, 48, "gray").reformat(format="rgb24").save(str(tmp_path / f"{index}.png"))
    outcome = read(tmp_path, decoder="cuda")
    assert outcome.code == "codec_unsupported"
    assert "the GPU does not decode it (png, " in str(outcome.error)


class OnDevice:
    """A decoder whose device works: it gives frames that lie there."""

    def __init__(self, tried: list[object]) -> None:
        self.thread_count, self.thread_type, self._tried = 0, "", tried

    def decode(self, packet: object) -> list[Any]:
        self._tried += [packet] if packet is not None else []
        return [SimpleNamespace(format=SimpleNamespace(name="cuda"))] if packet is None else []


class Unable(OnDevice):
    def decode(self, packet: object) -> list[Any]:
        raise av.error.MemoryError(12, "Cannot allocate memory")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, fresh: None) -> Callable[[Callable[[], Any]], None]:
    """``device(make)``: a context can be made on the device; what it decodes with is ``make``'s."""

    def put(make: Callable[[], Any]) -> None:
        monkeypatch.setattr(hardware, "_enter_context", lambda device: "")
        monkeypatch.setattr(hardware, "VideoCodecContext", SimpleNamespace(create=lambda *_, **__: make()))

    return put


def fallen_back() -> VideoCodecContext:
    """What FFmpeg makes of a decoder whose library is missing: its own, without a word."""
    return VideoCodecContext.create("h264", "r")  # type: ignore[no-any-return]


def test_a_device_whose_driver_brings_no_decoder_decodes_nothing_and_what_is_missing_is_said(
    film: Path, device: Callable[..., None], said: list[Any]
) -> None:
    device(fallen_back)
    outcome = read(film, decoder="auto", network_device="cuda:0", at_most=3)
    assert outcome.reader.info.decoder == "cpu"
    assert [entry["event"] for entry in said] == ["stream.decoder_fallback"]
    for word in ("libnvcuvid.so.1", "NVIDIA_DRIVER_CAPABILITIES must include video", "the CPU decodes"):
        assert word in said[0]["detail"]
    refused = read(film, decoder="cuda")
    assert refused.code == "codec_unsupported"
    assert "libnvcuvid.so.1" in str(refused.error)


def test_a_device_that_decodes_is_tried_with_one_picture_however_many_streams_open_at_once(
    device: Callable[..., None],
) -> None:
    tried: list[object] = []
    device(lambda: OnDevice(tried))
    with ThreadPoolExecutor(8) as pool:
        ways = list(pool.map(lambda k: hardware.accelerator(AUTO, camera=f"cam{k}"), range(32)))
    assert all(ways)
    assert len(tried) == 1


def test_a_device_that_failed_is_tried_again(device: Callable[..., None], said: list[Any]) -> None:
    """It may have been in want of memory, which other programs take too."""
    device(lambda: Unable([]))
    assert hardware.accelerator(AUTO, camera="cam1") is None
    assert said[0]["detail"] == "cuda:0 fails to decode a picture of 256x256: Cannot allocate memory; the CPU decodes"
    device(lambda: OnDevice([]))
    assert hardware.accelerator(AUTO, camera="cam1") is not None


def test_the_device_is_the_threads_current_one_when_ffmpeg_looks(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    now, seen = [0], list[int]()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: now.__setitem__(0, number))
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)

    def create(*_: object, **__: object) -> OnDevice:
        seen.append(now[0])
        return OnDevice([])

    monkeypatch.setattr(hardware, "VideoCodecContext", SimpleNamespace(create=create))
    assert hardware.accelerator(DecodePolicy("auto", "cuda:2"), camera="cam1") is not None
    assert seen == [2]


def test_the_picture_that_a_device_is_tried_with_is_whole() -> None:
    context = fallen_back()
    frames = context.decode(av.Packet(hardware._KEY_FRAME)) + context.decode(None)
    assert [(f.width, f.height, f.key_frame, f.is_corrupt) for f in frames] == [(256, 256, True, False)]


class Failing:
    """A context whose device fails: FFmpeg gives no such one where there is no device."""

    name, profile, is_hwaccel = "h264", "High", True

    def __init__(self, extradata: bytes | None, error: type[av.FFmpegError], code: int) -> None:
        self.extradata, self._error = extradata, error(code, "CUDA_ERROR_UNKNOWN")
        self.thread_count, self.thread_type, self.asked = 1, "NONE", 0
        self.color_range, self.reorder_depth = 0, 0

    def decode(self, packet: object) -> list[VideoFrame]:
        self.asked += 1
        raise self._error


@pytest.mark.parametrize("how", ["at once", "after a few key frames"])
def test_a_gpu_that_fails_leaves_the_stream_to_the_cpu(film: Path, how: str, said: list[Any]) -> None:
    kind = (av.error.MemoryError, 12) if how == "at once" else (av.error.ExternalError, 542398533)
    path = write_video(film.parent / "short.mp4", frames=40, key_every=5)
    pictures, corrupt = [], 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = Failing(stream.codec_context.extradata, *kind)
        decoder = Decoder(context, parallel=False)  # type: ignore[arg-type]
        for packet in container.demux(stream):
            if decoder._context.is_hwaccel:
                assert decoder.filter_from(packet, is_filtered=False) == []  # as long as the device has it
            try:
                pictures += decoder.decode(packet)
            except av.error.ExternalError:
                corrupt += 1
    if how == "at once":
        assert (len(pictures), corrupt) == (40, 0)
    else:
        assert corrupt == 5 * (MOST_FAILURES - 1) + 1
        assert len(pictures) == 40 - 5 * MOST_FAILURES
    assert not decoder._context.is_hwaccel
    assert decoder.unfiltered_frames == 0
    assert [entry["detail"] for entry in said] == ["the GPU fails to decode: CUDA_ERROR_UNKNOWN; the CPU decodes"]


class Fallen:
    """The context of one stream that the device does not decode: PyAV still calls it accelerated."""

    is_hwaccel = True

    def __init__(self, context: VideoCodecContext) -> None:
        self._own = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


def test_what_the_gpu_has_left_to_the_cpu_unsaid_is_decoded_without_the_loop_filter_too(video_file: VideoFile) -> None:
    path = video_file("left.mp4", options=CLOSED["libx264"], frames=3 * GROUP, key_every=GROUP)
    pictures = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = Decoder(Fallen(stream.codec_context), parallel=False)  # type: ignore[arg-type]
        for packet in container.demux(stream):
            pictures += decoder.filter_from(packet, is_filtered=False) + decoder.decode(packet)
    assert len(pictures) == 3 * GROUP
    assert decoder.unfiltered_frames == 2 * GROUP  # from the second key frame on


@pytest.mark.parametrize(("at_most", "decoder"), [(20, "cuda"), (None, "cpu")])
def test_who_decodes_is_told_anew_once_the_gpu_has_left_it_to_the_cpu(
    film: Path, monkeypatch: pytest.MonkeyPatch, at_most: int | None, decoder: str
) -> None:
    expected = read(film, decoder="cpu", at_most=at_most)
    fail_after(20, monkeypatch)
    outcome = read(film, decoder="auto", network_device="cuda:0", at_most=at_most)
    assert outcome.reader.info.decoder == decoder
    assert_same(outcome.frames, expected.frames)


def test_a_camera_that_must_be_decoded_by_the_gpu_is_not_left_to_the_cpu_in_mid_stream(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_after(20, monkeypatch)
    outcome = read(film, decoder="cuda")
    assert outcome.decoded == 20
    assert outcome.code == "codec_unsupported"
    assert str(outcome.error) == (
        "cam1: decoder cuda: the GPU fails to decode, after frames that it did decode; allowed: decoder auto or cpu"
    )


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_frames_of_the_gpu_are_those_of_the_cpu(codec: str, video_file: VideoFile, fresh: None) -> None:
    path = video_file("film.mp4", codec=codec, width=1280, height=718, frames=60, options={"bf": "2"})
    masks = [TRIANGLE.model_dump()]
    expected = read(path, decoder="cpu", masks=masks)
    for decoder in ("cuda", "auto"):
        outcome = read(path, decoder=decoder, masks=masks)
        assert outcome.reader.info.decoder == "cuda", outcome.error
        assert outcome.reader.info.pixel_format == "yuv420p"
        assert_same(outcome.frames, expected.frames, most_levels=1)


@pytest.mark.gpu
@needs_cuda
def test_what_the_gpu_does_not_decode_the_cpu_does(video_file: VideoFile, fresh: None) -> None:
    path = video_file("deep.mp4", codec="libx264", pixel_format="yuv444p", frames=20)
    outcome = read(path, decoder="auto", network_device="cuda:0")
    assert outcome.reader.info.decoder == "cpu"
    assert_same(outcome.frames, read(path, decoder="cpu").frames)
    refused = read(path, decoder="cuda")
    assert refused.code == "codec_unsupported"
    assert "the GPU does not decode it (h264, yuv444p, 640x360)" in str(refused.error)


def assert_same(got: list[Frame], expected: list[Frame], *, most_levels: int = 0) -> None:
    assert [frame.pts_s for frame in got] == pytest.approx([frame.pts_s for frame in expected])
    for one, other in zip(got, expected, strict=True):
        assert one.geometry == other.geometry
        assert np.abs(one.luma.astype(int) - other.luma).max() <= most_levels
