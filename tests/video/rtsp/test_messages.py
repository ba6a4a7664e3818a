from __future__ import annotations

import pytest

from vad.video.rtsp.messages import MOST_BODY_BYTES, MOST_HEAD_BYTES, MOST_HEADERS, MessageError, parse, request


def test_an_answer_is_read_once_it_is_whole() -> None:
    data = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\ncontent-LENGTH : 4\r\n\r\nv=0\n$\0\0\1x"
    for size in range(data.index(b"$")):
        assert parse(data[:size]) is None
    read = parse(data)
    assert read is not None
    message, end = read
    assert (message.status, message.reason, message.header("cseq"), message.body) == (200, "OK", "2", b"v=0\n")
    assert data[end:] == b"$\0\0\1x"


def test_a_head_may_end_its_lines_as_it_likes_and_hold_lines_that_make_no_sense() -> None:
    read = parse(b"RTSP/1.0 401\nWWW-Authenticate: a\nnonsense\nWWW-Authenticate: b\n\n")
    assert read is not None
    assert (read[0].status, read[0].reason) == (401, "")
    assert read[0].all("www-authenticate") == ["a", "b"]


def test_a_request_of_the_camera_has_no_status() -> None:
    read = parse(b"SET_PARAMETER rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    assert read is not None
    assert (read[0].status, read[0].method) == (None, "SET_PARAMETER")


@pytest.mark.parametrize(
    "size", ["2147483648", "-1", "1e9", "99999999999999999999", str(MOST_BODY_BYTES + 1), "٣", "a"]
)
def test_a_body_beyond_the_bound_is_refused(size: str) -> None:
    with pytest.raises(MessageError, match="allowed: 0 to"):
        parse(f"RTSP/1.0 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())


def test_a_head_without_end_is_refused() -> None:
    with pytest.raises(MessageError, match="more than"):
        parse(b"RTSP/1.0 200 OK\r\nX: " + b"a" * MOST_HEAD_BYTES)
    with pytest.raises(MessageError, match="more than"):
        parse(b"RTSP/1.0 200 OK\r\nX: " + b"a" * MOST_HEAD_BYTES + b"\r\n\r\n")


def test_more_headers_than_allowed_are_refused() -> None:
    with pytest.raises(MessageError, match="headers; allowed"):
        parse(b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * (MOST_HEADERS + 1) + b"\r\n")


def test_bytes_that_are_no_text_are_no_reason_to_fail() -> None:
    read = parse(b"RTSP/1.0 200 \xff\0\r\nServer: \xfe\xff\r\n\r\n")
    assert read is not None
    assert read[0].reason.isascii()


def test_a_request_holds_what_a_camera_said_and_no_line_break() -> None:
    made = request("SETUP", "rtsp://h/a b\r\nX: y?z=%20ä", {"CSeq": "1"})
    assert made == b"SETUP rtsp://h/a%20b%0D%0AX:%20y?z=%20%C3%A4 RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    with pytest.raises(MessageError, match="line break"):
        request("SETUP", "rtsp://h/", {"Session": "1\r\nX: y"})
