"""A video parameter set (VPS) for HEVC cameras that send none: FFmpeg decodes nothing without it.

What it must say is in the sequence parameter set (SPS), too, but for things that cameras do not use (layers, timing).
Source: ITU-T H.265 section 7.3.2.1 (VPS), 7.3.2.2.1 (SPS), 7.3.3 (profile_tier_level), 7.4.1.1 (emulation prevention).
"""

from __future__ import annotations

import re

_VPS_HEADER = b"\x40\x01"
_GENERAL_BYTES, _SUB_LAYER_PROFILE_BYTES = 12, 11
_MOST_ZEROS = 31
_LAYERS_AND_RESERVED = "11" + "000000"  # the base layer is in the stream, and the only one


class SetError(ValueError):
    """A parameter set that ends too early or makes no sense."""


class _Bits:
    """Reads a payload bit by bit."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte, bit = divmod(self._at, 8)
            if byte >= len(self._data):
                raise SetError("the SPS ends too early")
            value = value << 1 | (self._data[byte] >> (7 - bit) & 1)
            self._at += 1
        return value

    def number(self) -> int:
        """ue(v), section 9.2."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _MOST_ZEROS:
                raise SetError("the SPS holds a number that is too large")
        return (1 << zeros) - 1 + self.take(zeros)


def made_from(sps: bytes) -> bytes:
    """The VPS that an SPS (without start code) refers to. Raises SetError."""
    payload = sps[2:].replace(b"\0\0\3", b"\0\0")
    if not payload:
        raise SetError("the SPS is empty")
    identity, layers, nesting = payload[0] >> 4, payload[0] >> 1 & 7, payload[0] & 1
    size = _profile_bytes(payload, layers)
    profile = payload[1 : 1 + size]
    is_said_for_each, ordering = _ordering(_Bits(payload, 8 * (1 + size)), layers)
    bits = f"{identity:04b}{_LAYERS_AND_RESERVED}{layers:03b}{nesting}" + "1" * 16
    bits += "".join(f"{byte:08b}" for byte in profile)
    bits += str(is_said_for_each) + "".join(map(_coded, ordering))
    bits += "000000" + _coded(0) + "0" + "0"  # highest layer, layer sets, no timing, no extension
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    return _VPS_HEADER + _protected(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def _profile_bytes(payload: bytes, layers: int) -> int:
    """Length of profile_tier_level."""
    size = _GENERAL_BYTES
    if layers:
        flags = _Bits(payload, 8 * (1 + size))
        size += 2
        for _ in range(layers):
            size += _SUB_LAYER_PROFILE_BYTES * flags.take(1) + flags.take(1)
    if len(payload) < 1 + size:
        raise SetError("the SPS ends within its profile")
    return size


def _ordering(bits: _Bits, layers: int) -> tuple[int, list[int]]:
    """Whether buffers are said for each sub-layer, and what is said of them: three numbers each."""
    bits.number()  # its own identity
    if bits.number() == 3:  # chroma format
        bits.take(1)
    bits.number(), bits.number()  # size
    if bits.take(1):
        [bits.number() for _ in range(4)]  # window
    bits.number(), bits.number(), bits.number()  # bit depths, picture order
    is_said_for_each = bits.take(1)
    return is_said_for_each, [bits.number() for _ in range(3 * (layers + 1 if is_said_for_each else 1))]


def _coded(number: int) -> str:
    """ue(v)."""
    text = f"{number + 1:b}"
    return "0" * (len(text) - 1) + text


def _protected(payload: bytes) -> bytes:
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)
