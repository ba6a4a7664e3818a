"""The synthetic camera's file: real H.264."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from vad.video.synthetic import Layout, Scene, encode


def test_file_is_h264_with_every_frame_and_no_b_frames(tmp_path: Path):
    scene, path, seen = Scene(seed=3, layout=Layout.LANES), tmp_path / "scene.mp4", []
    assert encode(scene, path, seconds=4.0, progress=lambda done, total: seen.append((done, total))) == 50
    assert seen == [(k, 50) for k in range(1, 51)]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 640, 360)
        assert stream.average_rate == 12.5
        frames = list(container.decode(stream))
    assert len(frames) == 50
    assert [round(float(f.time) * 12.5) for f in frames] == list(range(50))
    assert {av.video.frame.PictureType(f.pict_type).name for f in frames} == {"I", "P"}
    assert [k for k, f in enumerate(frames) if f.key_frame][:2] == [0, 25]


def test_decoded_picture_is_the_scene_in_limited_range_with_neutral_chroma(tmp_path: Path):
    scene, path = Scene(seed=3, layout=Layout.LANES), tmp_path / "scene.mp4"
    encode(scene, path, seconds=1.0, crf=12)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert frame.color_range in (0, 1)  # not said, which means limited, or limited
    picture = frame.to_ndarray()
    luma = (picture[:360].astype(np.float32) - 16) * 255 / 219
    assert np.abs(luma - scene.render(0).luma).mean() < 4
    assert np.abs(picture[360:].astype(int) - 128).max() <= 1


@pytest.mark.parametrize(("width", "seconds"), [(640, 0.0), (321, 1.0)])
def test_what_cannot_be_encoded_is_refused(tmp_path: Path, width: int, seconds: float):
    with pytest.raises(ValueError, match="allowed"):
        encode(Scene(seed=1, width=width, height=180), tmp_path / "x.mp4", seconds=seconds)


def test_a_codec_that_is_not_for_video_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="not for video"):
        encode(Scene(seed=1, width=160, height=90), tmp_path / "x.mp4", seconds=1.0, codec="aac")
