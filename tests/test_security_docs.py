"""FFmpeg's published holes in docs/security.md against the FFmpeg that is installed, and the limits in force."""

from __future__ import annotations

import re
from pathlib import Path

import av
import pytest

from vad.video.allowed import http_limits, rtsp_limits

DOCUMENT = Path(__file__).parents[1] / "docs" / "security.md"
ROW = re.compile(
    r"^\| (?P<advisory>(?:CVE-|none)[^|]*) \| (?P<part>[^|]+) \| (?P<reached>\w+) \| (?P<why>[^|]*) \|$", re.M
)
LIMITS = [rtsp_limits(is_encrypted=True, max_pixels=1), http_limits(max_pixels=1)]
ROWS = list(ROW.finditer(DOCUMENT.read_text(encoding="utf-8")))


def allowed(kind: str) -> set[str]:
    return {name for limits in LIMITS for name in limits[f"{kind}_whitelist"].split(",")}


def test_the_table_is_about_the_version_that_is_installed() -> None:
    """With another one: read its advisories, and change the table."""
    assert f"bundle FFmpeg {av.ffmpeg_version_info.lstrip('n')}," in DOCUMENT.read_text(encoding="utf-8")
    assert len(ROWS) >= 22


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["advisory"])
def test_what_is_said_to_be_out_of_reach_is(row: re.Match[str]) -> None:
    named = re.findall(r"(format|decoder|protocol) `(\w+)`", row["why"])
    if row["reached"] != "no":
        assert row["reached"] == "contained"
        return
    assert named or row["why"].startswith("unused: ")
    for kind, name in named:
        if kind == "format":
            assert name in av.formats_available, "no name of FFmpeg's"
        if kind == "decoder":
            assert av.Codec(name, "r").name == name
        assert name not in allowed("codec" if kind == "decoder" else kind)


def test_each_codec_that_is_allowed_is_one_that_can_be_decoded() -> None:
    for name in allowed("codec"):
        assert av.Codec(name, "r").type == "video"
