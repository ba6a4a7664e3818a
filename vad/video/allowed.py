"""What a camera on the network may send, and what FFmpeg may open because of it.

FFmpeg looks at the first bytes of whatever comes and picks one of three hundred formats; some are playlists that name
other addresses and files of this machine, some make pictures of text. Of a camera only what cameras send is taken, in
pictures of no more than ``max_pixels``.
"""

from __future__ import annotations

_RTSP_FORMATS = "rtsp,rtp,sdp"
_HTTP_FORMATS = "mpjpeg,mjpeg,mpegts,mov,mp4,matroska,webm,h264,hevc,flv"
_RTSP_PROTOCOLS = "rtsp,rtp,tcp,udp"
_HTTP_PROTOCOLS = "http,https,tls,tcp"
_RTSP_CODECS = "h264,hevc,mjpeg,mpeg4"
_HTTP_CODECS = f"{_RTSP_CODECS},libdav1d,av1,vp8,vp9"
"""Names of FFmpeg's decoders. AV1 over RTP is left out: that part of FFmpeg has a hole (docs/security.md)."""


def rtsp_limits(*, is_encrypted: bool, max_pixels: int) -> dict[str, str]:
    """FFmpeg's options for a camera that speaks RTSP."""
    protocols = _RTSP_PROTOCOLS + (",tls" if is_encrypted else "")
    return _limits(_RTSP_FORMATS, protocols, _RTSP_CODECS, max_pixels)


def http_limits(*, max_pixels: int) -> dict[str, str]:
    """FFmpeg's options for a camera that speaks HTTP: it may not send its viewers elsewhere, either."""
    return _limits(_HTTP_FORMATS, _HTTP_PROTOCOLS, _HTTP_CODECS, max_pixels) | {"max_redirects": "0"}


def decoder_limits(options: dict[str, str]) -> dict[str, str]:
    """Those of a decoder, out of a source's options."""
    return {name: options[name] for name in ("max_pixels",) if name in options}


def _limits(formats: str, protocols: str, codecs: str, max_pixels: int) -> dict[str, str]:
    return {
        "format_whitelist": formats,
        "protocol_whitelist": protocols,
        "codec_whitelist": codecs,
        "max_pixels": str(max_pixels),
    }
