from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.rtsp.footage import Footage
from vad.video.rtsp.access_units import AccessUnits
from vad.video.rtsp.units import START, Codec, Kind, ParameterSets, begins_decoding, kind_of, split
from vad.video.rtsp.unpacking import Recognition, Unpacker
from vad.video.rtsp.vps import SetError, made_from


@pytest.fixture(params=["h264", "hevc"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return Codec(request.param)


@pytest.fixture
def footage(codec: Codec, cam_h264: Path, cam_hevc: Path) -> Footage:
    return Footage.read(cam_h264 if codec is Codec.H264 else cam_hevc)


def test_every_picture_is_whole_with_its_last_packet(footage: Footage, codec: Codec) -> None:
    assembled = AccessUnits(codec, ParameterSets(codec))
    for index, picture in enumerate(footage.pictures):
        ended = []
        for place, unit in enumerate(picture, start=1):
            ended += assembled.push([unit], stamp=index * 3600, is_marked=place == len(picture))
        assert [unit.stamp for unit in ended] == [index * 3600]
        assert ended[0].data == b"".join(START + unit for unit in picture)
        assert ended[0].is_key is (index % 50 == 0)


def test_a_marker_on_each_slice_is_soon_not_believed(cam_h264: Path) -> None:
    first = next(u for u in Footage.read(cam_h264).pictures[1] if kind_of(u, Codec.H264) is Kind.FIRST_SLICE)
    second = first[:1] + bytes([first[1] & 0x7F]) + first[2:]
    assembled, sizes = AccessUnits(Codec.H264, ParameterSets(Codec.H264)), []
    for index in range(4):
        for unit in (first, second):
            sizes += [picture.data.count(START) for picture in assembled.push([unit], stamp=index, is_marked=True)]
    assert sizes == [1, 2, 2] or sizes == [1, 1, 2, 2]


@pytest.mark.parametrize("size", [20, 100, 1400])
def test_fragments_become_the_unit_again(footage: Footage, codec: Codec, size: int) -> None:
    unpacker = Unpacker(codec)
    for unit in footage.pictures[0]:
        found = []
        for payload in _fragments(unit, codec, size):
            found += unpacker.units(payload, is_gap=False)
        assert found == [unit]
    assert unpacker.damaged == 0


def test_a_unit_that_lacks_a_part_is_given_up_to_there_and_counted(footage: Footage, codec: Codec) -> None:
    unit = max(footage.pictures[0], key=len)
    payloads = _fragments(unit, codec, 100)
    unpacker, found = Unpacker(codec), []
    for index, payload in enumerate(payloads):
        if index != 2:
            found += unpacker.units(payload, is_gap=index == 3)
    assert len(found) == 1
    assert unit.startswith(found[0])
    assert unpacker.damaged == 1


def test_several_units_in_one_packet_are_taken_apart() -> None:
    units = [b"\x67ab", b"\x68c", b"\x65defg"]
    body = b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)
    assert Unpacker(Codec.H264).units(b"\x18" + body, is_gap=False) == units
    assert Unpacker(Codec.HEVC).units(b"\x60\x01" + body, is_gap=False) == units


@pytest.mark.parametrize(
    "payload", [b"", b"\x1c", b"\x1c\x85", b"\x18\xff", b"\x62\x01", b"\x60\x01\xff\xff", b"\x18\0\0\0"]
)
def test_payloads_cut_short_are_no_reason_to_fail(payload: bytes) -> None:
    for kind in Codec:
        Unpacker(kind).units(payload, is_gap=False)


def test_start_codes_within_a_unit_part_it() -> None:
    assert split(b"\x67ab\0\0\0\1\x68cd\0\0\1\x65ef") == [b"\x67ab", b"\x68cd", b"\x65ef"]


def test_which_codec_it_is_is_told_by_the_first_packets(footage: Footage, codec: Codec) -> None:
    for begin in (0, 3, 20):
        payloads = [
            payload
            for picture in footage.pictures[begin : begin + 8]
            for unit in picture
            for payload in _fragments(unit, codec, 1400)
        ]
        for announced in Codec:
            recognition = Recognition(announced)
            found = next(told for told in map(recognition.of, payloads) if told is not None)
            assert found is codec


def test_a_recovery_point_begins_decoding_and_other_information_does_not() -> None:
    assert begins_decoding(b"\x06\x06\x01\x80\x80", Codec.H264)
    assert begins_decoding(b"\x06\x05\x02\0\0\x06\x01\x80\x80", Codec.H264)
    assert not begins_decoding(b"\x06\x05\x02\0\0\x80", Codec.H264)
    assert not begins_decoding(b"\x06" + b"\xff" * 600, Codec.H264)


def test_a_vps_is_made_with_which_ffmpeg_decodes(cam_hevc: Path) -> None:
    footage = Footage.read(cam_hevc)
    sets = footage.parameter_sets()
    made = made_from(sets["sps"])
    assert kind_of(made, Codec.HEVC) is Kind.VPS
    decoder = av.CodecContext.create("hevc", "r")
    decoder.thread_type = "NONE"
    units = [unit for picture in footage.pictures[:20] for unit in picture if footage.kind(unit) != "vps"]
    packet = av.Packet(b"".join(START + unit for unit in [made, *units]))
    assert sum(1 for frame in [*decoder.decode(packet), *decoder.decode(None)] if not frame.is_corrupt) > 0


def test_the_vps_says_the_same_as_the_encoders_own(cam_hevc: Path) -> None:
    sets = Footage.read(cam_hevc).parameter_sets()
    made = made_from(sets["sps"])
    assert made[:20] == sets["vps"][:20]  # up to and with the profile, tier and level


@pytest.mark.parametrize(
    "sps", [b"", b"\x42\x01", b"\x42\x01\x01", b"\x42\x01\x0f" + b"\xff" * 10, b"\x42\x01\x01" + bytes(80)]
)
def test_an_sps_that_makes_no_sense_makes_no_vps(sps: bytes) -> None:
    with pytest.raises(SetError):
        made_from(sps)


def test_what_is_missing_is_named() -> None:
    sets = ParameterSets(Codec.HEVC)
    assert sets.missing == [Kind.VPS, Kind.SPS, Kind.PPS]
    sets.note(b"\x44\x01\xc0")
    assert sets.missing == [Kind.VPS, Kind.SPS]
    assert ParameterSets(Codec.H264).missing == [Kind.SPS, Kind.PPS]


def _fragments(unit: bytes, codec: Codec, size: int) -> list[bytes]:
    if len(unit) <= size:
        return [unit]
    if codec is Codec.HEVC:
        head, number, rest = bytes([(unit[0] & 0x81) | 49 << 1, unit[1]]), (unit[0] >> 1) & 63, unit[2:]
    else:
        head, number, rest = bytes([(unit[0] & 0xE0) | 28]), unit[0] & 31, unit[1:]
    places = range(0, len(rest), size)
    return [
        head + bytes([(at == 0) << 7 | (at + size >= len(rest)) << 6 | number]) + rest[at : at + size] for at in places
    ]
