"""Which compressed pictures no other refers to, and which begin anew, by the headers of H.264 and HEVC packets.

Leaving such a picture out changes no other: the standards let any decoder or network element drop it. H.264 marks it by
``nal_ref_idc`` 0 (ITU-T H.264, 7.4.1), HEVC by the even types below 16 of its highest temporal layer (ITU-T H.265,
7.4.2.2): within a lower layer, a picture that its own layer does not refer to may still serve the layers above.

Key frames alone do not say whether pictures after them refer to what was before (an open group of pictures): those of
type IDR do.
"""

from __future__ import annotations

from collections.abc import Iterator

_START = b"\x00\x00\x01"
_H264_SLICES = frozenset({1, 5})
_HEVC_SLICES = range(32)
_HEVC_UNREFERRED = frozenset(range(0, 16, 2))
_H264_IDR, _HEVC_IDR = 5, frozenset({19, 20})
_LENGTH_BYTE = {"h264": 4, "hevc": 21}
"""Where the decoder's configuration record (avcC, hvcC) keeps the size of the lengths before each unit, less one."""


class References:
    """``none_to(packet)``: is it a picture that nothing refers to? ``configuration`` is the codec's extradata."""

    def __init__(self, codec: str, configuration: bytes | None) -> None:
        self._codec = codec
        self._length_size = 0  # 0: units begin with a start code
        at = _LENGTH_BYTE.get(codec, 0)
        if at and configuration and configuration[0] == 1 and len(configuration) > at:
            self._length_size = (configuration[at] & 3) + 1
        self._highest_layer = 0

    @property
    def can_tell(self) -> bool:
        """Other codecs never have such a picture, as far as this knows."""
        return self._codec in _LENGTH_BYTE

    def none_to(self, data: bytes) -> bool:
        """Whether all slices of a packet say so. False whenever in doubt."""
        if not self.can_tell:
            return False
        unreferred = self._h264_unreferred if self._codec == "h264" else self._hevc_unreferred
        said = None
        for header in self._headers(data):
            said = unreferred(header)
            if said is False:
                return False
        return said is True

    def begin_anew(self, data: bytes) -> bool:
        """Whether a decoder may begin with a packet: nothing from it on refers to a picture before it."""
        if self._codec == "h264":
            return any(header[0] & 0x1F == _H264_IDR for header in self._headers(data))
        return self._codec == "hevc" and any(header[0] >> 1 & 0x3F in _HEVC_IDR for header in self._headers(data))

    def _headers(self, data: bytes) -> Iterator[bytes]:
        """The first two bytes of each unit."""
        if self._length_size:
            at = 0
            while at + self._length_size + 2 <= len(data):
                first = at + self._length_size
                yield data[first : first + 2]
                at = first + int.from_bytes(data[at:first], "big")
            return
        at = data.find(_START)
        while at >= 0 and at + 5 <= len(data):
            yield data[at + 3 : at + 5]
            at = data.find(_START, at + 3)

    @staticmethod
    def _h264_unreferred(header: bytes) -> bool | None:
        """None for what is no slice."""
        return header[0] & 0x60 == 0 if header[0] & 0x1F in _H264_SLICES else None

    def _hevc_unreferred(self, header: bytes) -> bool | None:
        kind, layer = header[0] >> 1 & 0x3F, header[1] & 7
        if kind not in _HEVC_SLICES:
            return None
        self._highest_layer = max(self._highest_layer, layer)
        return kind in _HEVC_UNREFERRED and layer == self._highest_layer
