"""What the stub camera says of itself: its session description, its challenge, and whom it believes."""

from __future__ import annotations

import base64
import hashlib
import os
import re

from tests.rtsp.footage import START, Footage
from tests.rtsp.quirks import Quirk
from tests.rtsp.stub_sending import PAYLOAD_TYPE

NOWHERE = "192.0.2.77:554"
"""An address for documentation (RFC 5737), at which nobody answers."""

_AUDIO = ["m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=control:trackID=2"]
_METADATA = ["m=application 0 RTP/AVP 107", "a=rtpmap:107 vnd.onvif.metadata/90000", "a=control:trackID=3"]
_ODD_MEDIA = ["m=application/TP-LINK 0 RTP/AVP smart/1/90000", "a=control:trackID=4"]
_SECOND_VIDEO = ["m=video 0 RTP/AVP 97", "a=rtpmap:97 JPEG/90000", "a=control:trackID=5"]


def description(footage: Footage, quirks: set[Quirk], *, host: str) -> str:
    """The session description."""
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=cam"]
    if Quirk.TWO_S in quirks:
        lines.append("s=again")
    if Quirk.BAD_C in quirks:
        lines.append("c=IN IP4")
    lines.append("t=0 0")
    if Quirk.NO_SESSION_CONTROL not in quirks:
        lines.append("a=control:*")
    if Quirk.AUDIO_FIRST in quirks:
        lines += _AUDIO + _METADATA
    if Quirk.ODD_MEDIA in quirks:
        lines += _ODD_MEDIA
    lines += _video(footage, quirks, host=host)
    if Quirk.MANY_TRACKS in quirks:
        lines += _AUDIO * 3
    if Quirk.SECOND_VIDEO in quirks:
        lines += _SECOND_VIDEO
    if Quirk.MUTE_FIRST_TRACK in quirks:
        lines += [*_video(footage, quirks, host=host)[:-1], "a=control:trackID=6"]
    return "\r\n".join(lines) + ("" if Quirk.NO_LAST_NEWLINE in quirks else "\r\n")


def _video(footage: Footage, quirks: set[Quirk], *, host: str) -> list[str]:
    is_called_hevc = footage.is_hevc != (Quirk.SDP_LIES in quirks)
    lines = [
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} {'H265' if is_called_hevc else 'H264'}/90000",
    ]
    if Quirk.EMPTY_FMTP in quirks:
        lines.append(f"a=fmtp:{PAYLOAD_TYPE}")
    elif Quirk.NO_FMTP not in quirks:
        lines.append(f"a=fmtp:{PAYLOAD_TYPE} {_format_parameters(footage, quirks)}")
    control = "trackID=1"
    if Quirk.ABS_CONTROL in quirks:
        control = f"rtsp://{host}/cam/trackID=1"
    if Quirk.ABS_CONTROL_OTHER_HOST in quirks:
        control = f"rtsp://{NOWHERE}/cam/trackID=1"
    return [*lines, f"a=control:{control}"]


def _format_parameters(footage: Footage, quirks: set[Quirk]) -> str:
    if quirks & {Quirk.NO_SPROP, Quirk.SDP_LIES}:
        return "packetization-mode=1"
    start = START if Quirk.SPROP_ANNEXB in quirks else b""
    sets = {kind: base64.b64encode(start + unit).decode() for kind, unit in footage.parameter_sets().items()}
    if Quirk.SPROP_NO_PPS in quirks:
        sets["pps"] = ""
    if not footage.is_hevc:
        return f"packetization-mode=1;sprop-parameter-sets={sets['sps']},{sets['pps']}"
    if Quirk.NO_VPS_IN_SDP in quirks:
        del sets["vps"]
    return ";".join(f"sprop-{kind}={text}" for kind, text in sets.items())


def content_base(quirks: set[Quirk], *, host: str) -> str | None:
    """The URL that a=control is relative to; None where the camera does not say it."""
    odd = {
        Quirk.BASE_DOUBLE: f"rtsp://rtsp://{host}/cam/",
        Quirk.BASE_SCHEMELESS: f"{host}/cam/",
        Quirk.BASE_OTHER_HOST: f"rtsp://{NOWHERE}/cam/",
        Quirk.BASE_V4MAPPED: f"rtsp://::ffff:{host}/cam/",
    }
    if Quirk.BASE_MISSING in quirks:
        return None
    return next((base for quirk, base in odd.items() if quirk in quirks), f"rtsp://{host}/cam/")


class Gate:
    """Basic (RFC 7617) and digest (RFC 2617, RFC 7616) authentication. Without ``user`` everybody is let in."""

    def __init__(self, user: str | None, password: str, quirks: set[Quirk]) -> None:
        self._user, self._password, self._quirks = user, password, quirks
        self._nonce = os.urandom(8).hex()

    def renew_nonce(self) -> None:
        self._nonce = os.urandom(8).hex()

    @property
    def challenges(self) -> list[str]:
        """Headers."""
        basic = 'WWW-Authenticate: Basic realm="cam"'
        if Quirk.BASIC in self._quirks:
            return [basic]
        algorithm = ', algorithm="SHA-256"' if Quirk.SHA256 in self._quirks else ""
        digest = f'WWW-Authenticate: Digest realm="{self._realm}", nonce="{self._nonce}"{algorithm}, stale="FALSE"  '
        return [basic, digest] if Quirk.BASIC_AND_DIGEST in self._quirks else [digest]

    def lets_in(self, method: str, authorization: str) -> bool:
        """``authorization`` is the header's value, empty where there is none."""
        if self._user is None:
            return True
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "basic":
            is_right = base64.b64decode(credentials).decode() == f"{self._user}:{self._password}"
            return is_right and Quirk.BASIC in self._quirks
        if scheme.lower() != "digest":
            return False
        fields: dict[str, str] = dict(re.findall(r'(\w+)="?([^",]*)"?', credentials))
        secret = self._digest(f"{self._user}:{self._realm}:{self._password}")
        asked = self._digest(f"{method}:{fields.get('uri', '')}")
        return fields.get("nonce") == self._nonce and fields.get("response") == self._digest(
            f"{secret}:{self._nonce}:{asked}"
        )

    @property
    def _realm(self) -> str:
        return "Login to 4K08, ch=1" if Quirk.ODD_REALM in self._quirks else "cam"

    def _digest(self, text: str) -> str:
        make = hashlib.sha256 if Quirk.SHA256 in self._quirks else hashlib.md5
        return make(text.encode()).hexdigest()
