"""Whatever is given as a camera's URL is a configuration or a clear refusal, and no password is ever shown.

``tests/fuzzing.py`` says how to look longer.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.fuzzing import looks_at
from vad.config import CameraConfig, make_config, redact_url
from vad.errors import ConfigError, StreamError
from vad.video.source import resolve

SECRET = "hunter2"
"""In every password, and in nothing else."""

ANY = st.characters(exclude_categories=())  # halves of characters, too: JSON may hold them
AWKWARD = st.sampled_from("/?#@:[]%&=;\\ \n\t\x00'\"~+$.,<>{}^|`é。⁠／")
TEXT = st.text(st.one_of(AWKWARD, st.sampled_from(string.ascii_letters + string.digits), ANY), max_size=8)
PASSWORD = st.builds(lambda before, after: before + SECRET + after, TEXT, TEXT)
SCHEME = st.sampled_from(["rtsp", "rtsps", "http", "https", "RTSP", "ftp", "v4l2", "rtsp ", ""])
HOST = st.one_of(
    st.sampled_from(
        ["192.0.2.1", "camera", "camera:554", "[2001:db8::1]", "[2001:db8::1]:554", "camera:99999", "", "["]
    ),
    TEXT,
)
PATH = st.one_of(st.sampled_from(["", "/cam", "/cam?channel=1", "/user=a_b.sdp", "/a@b", "#x"]), TEXT)
URL = st.builds("{}://{}:{}@{}{}".format, SCHEME, TEXT, PASSWORD, HOST, PATH)
BARE_USER = st.text(st.sampled_from(string.ascii_letters + string.digits + "@. -_"), min_size=1, max_size=8)
BARE_URL = st.builds("{}:{}@{}{}".format, BARE_USER, PASSWORD, HOST, PATH)


def shown_of(**settings: Any) -> list[str]:
    """All that is ever shown of a camera that is configured so, whether that is accepted or refused."""
    shown = [redact_url(settings["url"])]
    try:
        make_config({"cameras": {"cam": settings}}, source="test")
    except ConfigError as exc:
        shown.append(str(exc))
    try:
        config = CameraConfig(**settings)
    except ValidationError as exc:
        return [*shown, str(exc), *(error["msg"] for error in exc.errors())]
    shown += [repr(config), str(config)]
    try:
        source = resolve(config)
    except StreamError as exc:
        return [*shown, str(exc)]
    assert isinstance(config.url_with_credentials(), str)
    return [*shown, source.shown, repr(source)]


@looks_at(500)
@given(st.one_of(st.text(ANY, max_size=60), URL, BARE_URL, PATH))
def test_any_url_is_a_configuration_or_refused(url: str) -> None:
    assert shown_of(url=url)


@looks_at(1500)
@given(st.one_of(URL, BARE_URL))
def test_a_password_in_the_url_is_never_shown(url: str) -> None:
    for text in shown_of(url=url):
        assert SECRET not in text


@looks_at(500)
@given(st.one_of(st.builds("{}://{}{}".format, SCHEME, HOST, PATH), URL), st.one_of(st.none(), TEXT), PASSWORD)
def test_a_password_in_its_field_is_never_shown(url: str, username: str | None, password: str) -> None:
    for text in shown_of(url=url, username=username, password=password):
        assert SECRET not in text


@looks_at(300)
@given(st.sampled_from(["camera", "camera:554", "[2001:db8::1]:554"]), TEXT, PASSWORD, st.booleans())
def test_what_is_opened_holds_the_credentials_as_they_are(host: str, user: str, password: str, in_url: bool) -> None:
    """The user name may stand in the URL, escaped, and the password in its field."""
    settings: dict[str, Any] = {"url": f"rtsp://{host}/cam?a=b", "username": user, "password": password}
    if any("\ud800" <= character <= "\udfff" for character in user + password):
        with pytest.raises(ValidationError, match="half a character"):
            CameraConfig(**settings)
        return
    if in_url:
        settings = {"url": f"rtsp://{quote(user, safe='')}@{host}/cam?a=b", "password": password}
    config = CameraConfig(**settings)
    opened = urlsplit(config.url_with_credentials())
    assert (opened.netloc.rpartition("@")[2], opened.path, opened.query) == (host, "/cam", "a=b")
    assert unquote(opened.username or "") == user
    assert unquote(opened.password or "") == password


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("rtsp://op:se#cret@camera/x", "with %23 for a # in the password"),
        ("rtsp://op:12#cret@camera/x", "what is before the # would be the host; allowed: .* with %23 for a #"),
        ("rtsp://op:12?cret@camera/x", r"what is before the \? would be the host; allowed: .* with %3F for a \?"),
        ("rtsp://op:se/?cret@camera/x", r"with %2F for a / and %3F for a \? in the password"),
        ("rtsp://op:se[cret@camera/x", r"with %5B for a \[ in the password"),
        ("rtsp://camera:99999/x", "host or port cannot be read; allowed: SCHEME://USER:PASSWORD@HOST:PORT/...$"),
        (
            "rtsp://op:se\ncret@camera/x",
            "rtsp://camera/x: holds a control character, or half a one; allowed: %-escapes",
        ),
        ("rtsp://camera/x\r\nHost: y", "rtsp://camera/x��Host: y: holds a control character"),
        ("rtsp://camera/\ud800", "rtsp://camera/�: holds a control character, or half a one"),
        ("op:/secret@camera/x", "has a user name but no scheme"),
        ("o@p:secret@camera/x", "has a user name but no scheme"),
    ],
)
def test_what_must_be_escaped_is_named(url: str, text: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        CameraConfig(url=url)
    (error,) = refusal.value.errors(include_input=False)
    assert "cret" not in error["msg"]
    with pytest.raises(ValueError, match=text):
        raise ValueError(error["msg"])


@pytest.mark.parametrize(
    "url",
    ["http://camera/x?mail=a@b", "rtsp://camera:554/live@1", "http://op:pw@camera/x?mail=a@b", "rtsp://op:1@c/x#y"],
)
def test_an_at_sign_elsewhere_is_nobodys_password(url: str) -> None:
    assert CameraConfig(url=url).url == url


def test_redaction_takes_time_in_proportion_to_the_length() -> None:
    assert redact_url(":/" * 200_000) == ":/" * 200_000


def test_a_folder_with_odd_names_is_still_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a:b@c?d#e"
    folder.mkdir()
    assert resolve(CameraConfig(url=f"{folder}?fps=5")).target == str(folder)
