"""What the pages are made of, without a browser: words, filters from any address, many cameras, files that travel."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.statuses import camera_status
from vad.errors import StreamCode
from vad.events.verdicts import Word
from vad.pipeline.status import EngineStatus
from vad.service.console import rendering
from vad.service.console.fleet import PAGE_CARDS, Card, camera_card, fleet_view
from vad.service.console.incidents import Filters
from vad.service.console.rendering import count, span, time
from vad.service.console.words import TABLES, word
from vad.types import CameraState, DropReason, HealthIssue, Reason, Stage

ROOT = Path(__file__).parents[3]
KINDS = {
    "states": CameraState,
    "issues": HealthIssue,
    "codes": StreamCode,
    "stages": Stage,
    "reasons": Reason,
    "drops": DropReason,
    "verdicts": Word,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_of_the_engine_has_one_in_the_console(kind: str) -> None:
    assert {str(member) for member in KINDS[kind]} <= set(TABLES[kind])


def test_a_word_of_a_newer_engine_is_shown_as_it_came() -> None:
    assert word("reasons", "left_the_ground") == "left the ground"


@pytest.mark.parametrize(
    ("changes", "tone", "label"),
    [
        ({}, "plain", "Live"),
        ({"incidents_open": 1}, "alarm", "Incident"),
        ({"state": CameraState.PAUSED, "is_paused": True}, "off", "Paused"),
        ({"is_armed": False}, "off", "Disarmed"),
        ({"state": CameraState.BACKOFF, "code": StreamCode.AUTH_FAILED}, "trouble", "No signal"),
        ({"health": HealthIssue.COVERED}, "trouble", "Covered"),
        ({"state": CameraState.CONNECTING}, "off", "Connecting"),
        ({"state": CameraState.STALLED, "incidents_open": 1}, "alarm", "Incident"),
    ],
)
def test_a_card_says_in_words_what_matters_most(changes: dict[str, Any], tone: str, label: str) -> None:
    card = camera_card("cam", camera_status(**changes), None)
    assert (card["tone"], card["label"]) == (tone, label)


def test_a_card_says_what_the_camera_promises() -> None:
    young = camera_status(stage=Stage.WARMING, allowed_per_day=39.7, promised_after_s=4_800.0)
    card = camera_card("cam", young, None)
    html = rendering._ENVIRONMENT.get_template("card.html").render(card={**card, "spark": ""})
    assert (
        ">May raise about 40 alarms a day now; 2 a day are promised after 1 h 20 min more of normal footage.<" in html
    )
    assert camera_card("cam", camera_status(), None)["promise"] == "Keeps to 2 false alarms a day."


def test_a_thousand_cameras_come_in_pages_with_incidents_first() -> None:
    cameras = {f"cam{n}": camera_status(incidents_open=int(n == 777)) for n in range(1_000)}

    def cards(names: object) -> list[Card]:
        return []

    first = fleet_view(EngineStatus(cameras=cameras), q="", state="all", page=1, card_of=cards)
    assert (len(first.names), first.names[:2], first.pages) == (PAGE_CARDS, ["cam777", "cam0"], 16)
    found = fleet_view(EngineStatus(cameras=cameras), q="CAM99", state="all", page=9, card_of=cards)
    assert (found.page, found.pages, found.matching, found.total) == (1, 1, 11, 1_000)
    alone = fleet_view(EngineStatus(cameras=cameras), q="", state="incident", page=1, card_of=cards)
    assert alone.names == ["cam777"]
    assert first.link(2) == "/?page=2"
    assert found.link(1) == "/?q=CAM99"


@pytest.mark.parametrize(
    "query",
    [
        {"since": "nan", "until": "inf", "cursor": "-1", "range": "year", "verdict": "maybe"},
        {"since": "1e99", "cursor": "9" * 40, "camera": "x" * 10_000},
        {"since": "", "until": "soon", "cursor": "٣"},
    ],
)
def test_filters_that_cannot_be_read_are_left_out(query: dict[str, str]) -> None:
    filters = Filters.of(query)
    assert (filters.since, filters.until, filters.cursor, filters.verdict) == (None, None, None, "")
    assert filters.range == "day"
    assert len(filters.camera) <= 64


def test_links_keep_the_filters_and_leave_the_page() -> None:
    filters = Filters.of({"camera": "cam1", "since": "1700000000", "range": "week", "cursor": "12"})
    assert filters.link() == "/events?camera=cam1&since=1700000000&range=week"
    assert filters.link(cursor=7) == "/events?camera=cam1&since=1700000000&range=week&cursor=7"
    assert filters.context == "?camera=cam1&since=1700000000"


def test_what_comes_from_outside_is_escaped() -> None:
    assert "&lt;script&gt;" in str(rendering.icon("<script>"))
    html = rendering._ENVIRONMENT.get_template("open.html").render(
        open=[{"incident": "a", "camera": "<b>", "reasons": ["<i>"], "opened_wall_s": 1.7e9}]
    )
    assert "<b>" not in html
    assert "<i>" not in html


def test_numbers_and_times_in_words() -> None:
    assert [span(s) for s in (5.0, 600.0, 7_200.0, 864_000.0)] == ["5 s", "10 min", "2.0 h", "10 days"]
    assert count(1_234_567).split("\u202f") == ["1", "234", "567"]
    assert "2023-11-14 22:13:20" in time(1_700_000_000.0, "full")


def test_every_file_of_the_console_travels_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    globs = project["tool"]["setuptools"]["package-data"]["vad"]
    files = [path for part in ("static", "templates") for path in (rendering.HERE / part).rglob("*") if path.is_file()]
    assert len(files) > 30
    for path in files:
        assert any(fnmatch(str(path.relative_to(ROOT / "vad")), glob) for glob in globs), path


def test_no_page_holds_a_script_a_style_or_an_address_of_its_own() -> None:
    for path in (rendering.HERE / "templates").iterdir():
        text = path.read_text()
        assert " style=" not in text, path
        assert " onclick=" not in text, path
        assert "://" not in text.replace("rtsp://192.0.2.10/stream1", ""), path
