"""Decoding on an NVIDIA GPU (NVDEC, through FFmpeg), whose frames stay there until ``device_luma`` has pooled them.

FFmpeg must work in the very CUDA context that torch uses, or torch could not read its frames. FFmpeg's own way into it
(``primary_ctx``, PyAV's default) is refused once torch was there first, so that the *current* context is asked for:
each stream's thread has torch enter it, for good, before FFmpeg looks (https://github.com/PyAV-Org/PyAV/pull/2339).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import av
import structlog
from av import Packet, VideoCodecContext, VideoFrame
from av.codec.hwaccel import HWAccel

from vad.errors import StreamCode, StreamError

log = structlog.get_logger(__name__)

ON_DEVICE = "cuda"
"""Pixel format of a frame that lies on the device, and name of the decoder that makes such."""

_WAYS_IN: tuple[dict[str, object], ...] = ({"primary_ctx": "0", "current_ctx": "1"}, {"primary_ctx": "1"})

_AS_CODED = {"nv12": "yuv420p", "p010le": "yuv420p10le"}

_KEY_FRAME = bytes.fromhex(
    "0000016764100dacb82010d08000000300800000190200000168ee0f2c8b"  # what comes: H.264, High, 256x256
    "00000165888404bffef7b33d5aeea11c5a5e63d444ba758007395c4c9015ce14c3d7f9c2bde1fbd000002a6052708b5a287222508101"
)
"""A grey picture, large enough for every generation of NVDEC."""

_told: set[str] = set()
_trying = threading.Lock()
_decoding: set[int] = set()  # devices that have decoded a picture; under ``_trying``


@dataclass(frozen=True, slots=True)
class DecodePolicy:
    """Who decodes a stream. ``decoder`` is ``auto`` (the device of the network, if it is a GPU), ``cpu`` or ``cuda``.

    ``network_device`` is where the network runs: ``cpu`` or ``cuda:N``.
    """

    decoder: str = "cpu"
    network_device: str = "cpu"

    @property
    def device(self) -> int | None:
        """The CUDA device that is asked to decode; None where the CPU decodes."""
        name, _, number = self.network_device.partition(":")
        if self.decoder == "cpu" or (self.decoder == "auto" and name != "cuda"):
            return None
        return int(number or 0)


ON_CPU = DecodePolicy()


def accelerator(policy: DecodePolicy, *, camera: str) -> HWAccel | None:
    """What ``av.open`` needs in order to decode on the device; None where the CPU decodes.

    Where the device cannot, ``auto`` says so once a camera in the log and ``cuda`` raises StreamError. Call it in the
    thread that will decode, which keeps the device as its current one. Until a device has decoded a picture each call
    tries one, and others wait for it.
    """
    device = policy.device
    if device is None:
        return None
    why = _enter_context(device)
    for options in _WAYS_IN if not why else ():
        accel = HWAccel(
            "cuda", device=str(device), allow_software_fallback=True, options=dict(options), is_hw_owned=True
        )
        try:
            context = VideoCodecContext.create("h264", "r", hwaccel=accel)
        except av.FFmpegError as exc:
            why = f"FFmpeg cannot use cuda:{device}: {exc.strerror}"
            continue
        why = _why_no_decoder(device, context)
        if not why:
            return accel
        break
    _refuse_or_tell(policy, camera, why)
    return None


def check(frame: VideoFrame, policy: DecodePolicy, *, camera: str, codec: str) -> str:
    """Who decoded a stream's first frame: ``cuda`` or ``cpu``. Raises StreamError if it was to be ``cuda``."""
    decoded_by = decoder_of(frame)
    if decoded_by != ON_DEVICE and policy.device is not None:
        what = f"{codec}, {frame.format.name}, {frame.width}x{frame.height}"
        _refuse_or_tell(policy, camera, f"the GPU does not decode it ({what}), or has no decoder left")
    return decoded_by


def check_turn(frame: VideoFrame, policy: DecodePolicy, *, camera: str) -> str:
    """``check`` where another decodes than before, in the middle of a run. The log has it from whoever turned."""
    decoded_by = decoder_of(frame)
    if decoded_by != ON_DEVICE and policy.decoder == ON_DEVICE:
        _refuse_or_tell(policy, camera, "the GPU fails to decode, after frames that it did decode")
    return decoded_by


def decoder_of(frame: VideoFrame) -> str:
    """``cuda`` or ``cpu``."""
    return ON_DEVICE if frame.format.name == ON_DEVICE else "cpu"


def pixel_format(frame: VideoFrame) -> str:
    """Of the stream that the frame is from, also where a device keeps it as another."""
    if frame.format.name != ON_DEVICE or frame.sw_format is None:
        return str(frame.format.name)
    return _AS_CODED.get(frame.sw_format.name, str(frame.sw_format.name))


def _why_no_decoder(device: int, context: VideoCodecContext) -> str:
    """Why the device decodes nothing; nothing where it does. ``context`` is a decoder of H.264 on it.

    A context is there without any decoder: FFmpeg looks for that at the first packet, and decodes on the CPU without a
    word where it finds none. So a real picture is decoded until one has been, once in a process for each device: what
    fails may be in want of memory alone, and costs a camera no more than its next try to connect.
    """
    with _trying:
        why = "" if device in _decoding else _decode_one(device, context)
        if not why:
            _decoding.add(device)
        return why


def _decode_one(device: int, context: VideoCodecContext) -> str:
    """Why it fails, or nothing."""
    context.thread_count, context.thread_type = 1, "NONE"
    try:
        frames = context.decode(Packet(_KEY_FRAME)) + context.decode(None)
    except av.FFmpegError as exc:
        return f"cuda:{device} fails to decode a picture of 256x256: {exc.strerror}"
    if any(frame.format.name == ON_DEVICE for frame in frames):
        return ""
    return (
        f"cuda:{device} decodes nothing: the driver's libnvcuvid.so.1 is not there (a container's "
        "NVIDIA_DRIVER_CAPABILITIES must include video), or the GPU has no decoder to give"
    )


def _enter_context(device: int) -> str:
    """Make torch's context of that device this thread's current one, for good; why it cannot be, or nothing."""
    import torch  # only where a device is asked for: it takes seconds to load

    if not torch.cuda.is_available() or device >= torch.cuda.device_count():
        return f"torch finds no CUDA device {device}"
    try:
        torch.cuda.set_device(device)  # `with torch.cuda.device(...)` would go back to that of device 0
        torch.zeros(1, device=f"cuda:{device}")  # not empty(): that may be served without the driver
    except RuntimeError as exc:
        return f"cuda:{device}: {str(exc).strip().splitlines()[0]}"
    return ""


def _refuse_or_tell(policy: DecodePolicy, camera: str, why: str) -> None:
    if policy.decoder == "cuda":
        raise StreamError(StreamCode.CODEC_UNSUPPORTED, f"{camera}: decoder cuda: {why}; allowed: decoder auto or cpu")
    if camera not in _told:
        _told.add(camera)
        log.warning("stream.decoder_fallback", camera=camera, detail=f"{why}; the CPU decodes")
