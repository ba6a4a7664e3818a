"""What a stream is, as a run's first frame shows it."""

from __future__ import annotations

from dataclasses import replace

from av import VideoFrame

from vad.config import CameraConfig
from vad.errors import StreamCode, StreamError
from vad.video.hardware import check, check_turn, decoder_of, pixel_format
from vad.video.items import StreamInfo
from vad.video.luma import geometry_of
from vad.video.source import Feed
from vad.video.spec import ReadSpec
from vad.video.tape import Format
from vad.video.timing import ASSUMED_FPS
from vad.video.view import View

MOST_SIDE_PX = 16_384
MOST_GRID_PX = 1 << 19
"""Of the model's grid: eight times the largest that a camera of 16:9 has."""


def describe(feed: Feed, frame: VideoFrame, view: View, spec: ReadSpec) -> StreamInfo:
    """Raises StreamError where the camera must be decoded by a GPU and is not, and at a size that no picture has."""
    grid = geometry_of(view, model_width=spec.model_width)
    if max(view.width, view.height) > MOST_SIDE_PX or grid.width * grid.height > MOST_GRID_PX:
        text = f"a picture of {view.width}x{view.height} px, which no camera makes: it is damaged"
        raise StreamError(StreamCode.BROKEN, f"{spec.camera}: {text}")
    return StreamInfo(
        codec=feed.codec,
        profile=feed.profile,
        container=feed.container,
        width=frame.width,
        height=frame.height,
        pixel_format=pixel_format(frame),
        decoder=check(frame, spec.decoding, camera=spec.camera, codec=feed.codec),
        announced_fps=feed.announced_fps,
        live=feed.live,
        geometry=grid,
        orientation=view.orientation,
        pixel_aspect=view.aspect,
        interlaced=view.is_woven,
    )


def with_decoder(info: StreamInfo, frame: VideoFrame, spec: ReadSpec) -> StreamInfo:
    """``info``, with who decoded this frame of the run: a GPU that fails leaves the rest to the CPU.

    Raises StreamError where the camera must be decoded by a GPU, and is no more.
    """
    if decoder_of(frame) == info.decoder:
        return info
    return replace(info, decoder=check_turn(frame, spec.decoding, camera=spec.camera))


def taped_format(feed: Feed, info: StreamInfo, config: CameraConfig) -> Format:
    """What a tape of it must be told."""
    return Format(
        codec=info.codec,
        extradata=feed.extradata,
        container=info.container,
        pixel_format=info.pixel_format,
        fps=info.announced_fps or ASSUMED_FPS,
        is_stamped=feed.stamped,
        geometry=info.geometry,
        masks=tuple(config.masks),
        orientation=info.orientation.turned(-config.rotate),
    )
