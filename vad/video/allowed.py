"""What a camera on the network may send, and what FFmpeg may open because of it.

FFmpeg looks at the first bytes of whatever comes and picks one of three hundred formats; some are playlists that name
other addresses and files of this machine, some make pictures of text. Of a camera only what cameras send is taken.
"""

from __future__ import annotations

_RTSP_FORMATS = "rtsp,rtp,sdp"
_HTTP_FORMATS = "mpjpeg,mjpeg,mpegts,mov,mp4,matroska,webm,h264,hevc,flv"
_RTSP_PROTOCOLS = "rtsp,rtp,tcp,udp"
_HTTP_PROTOCOLS = "http,https,tls,tcp"


def rtsp_limits(*, is_encrypted: bool) -> dict[str, str]:
    """FFmpeg's options for a camera that speaks RTSP."""
    protocols = _RTSP_PROTOCOLS + (",tls" if is_encrypted else "")
    return {"format_whitelist": _RTSP_FORMATS, "protocol_whitelist": protocols}


def http_limits() -> dict[str, str]:
    """FFmpeg's options for a camera that speaks HTTP: it may not send its viewers elsewhere, either."""
    return {"format_whitelist": _HTTP_FORMATS, "protocol_whitelist": _HTTP_PROTOCOLS, "max_redirects": "0"}
