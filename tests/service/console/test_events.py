"""The list of incidents and one incident: filters, what comes meanwhile, the player, verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.pipeline.sites import wait_for
from tests.service.console.browser import Visitor, Withheld, keep_picture
from tests.service.console.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAINTED = """canvas => {
  if (!canvas.width || !canvas.height) return 0;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 8) painted += 1;
  return painted;
}"""


def rows(page: Page) -> list[str]:
    return [str(row.get_attribute("data-incident")) for row in page.locator(".incident").all()]


def test_new_incidents_come_to_the_top_while_the_reader_is_there(visitor: Visitor, site: Site) -> None:
    site.closed_incident()
    page = visitor.open("/events")
    page.mouse.move(2, 2)
    before = rows(page)
    wait_for(lambda: bool(set(rows(page)) - set(before)), timeout_s=60.0, what="a new incident")
    now = rows(page)
    assert now[-len(before) :] == before
    times = [float(str(time.get_attribute("data-wall"))) for time in page.locator(".incident time").all()]
    assert all(later > earlier - 5.0 for later, earlier in pairwise(times)), "newest first, as they were announced"


def test_what_is_being_read_does_not_move(visitor: Visitor, site: Site) -> None:
    site.closed_incident()
    page = visitor.open("/events")
    page.set_viewport_size({"width": 1280, "height": 360})  # so low that one incident is enough to scroll
    page.locator(".incident a.main").first.focus()
    page.evaluate("scrollTo(0, 120)")
    assert page.evaluate("scrollY") > 0
    read = page.locator(".incident").first
    incident, top = read.get_attribute("data-incident"), read.bounding_box()
    page.locator("#fresh").wait_for(state="visible", timeout=60_000)
    same = page.locator(f'.incident[data-incident="{incident}"]')
    assert same.bounding_box() == top
    page.keyboard.press("n")
    wait_for(lambda: rows(page)[0] != incident, timeout_s=20.0, what="the new ones to be shown")
    box = same.bounding_box()
    assert box is not None
    assert top is not None
    assert abs(box["y"] - top["y"]) < 2.0


def test_filters_stand_in_the_address_and_survive_a_reload(visitor: Visitor, site: Site) -> None:
    wait_for(lambda: len(site.get("/api/v1/incidents?camera=walk")["incidents"]) > 0, what="an incident of walk")
    wait_for(lambda: len(site.get("/api/v1/incidents?camera=yard")["incidents"]) > 0, what="an incident of yard")
    page = visitor.open("/events")
    page.locator("#camera").fill("walk")
    page.wait_for_url("**camera=walk**")
    shown = page.locator(".incident a.main")
    wait_for(lambda: set(shown.all_inner_texts()) == {"walk"}, timeout_s=10.0, what="the filter")
    page.locator("#reason").select_option("static_change")
    page.wait_for_url("**reason=static_change**")
    page.reload()
    assert page.locator("#camera").input_value() == "walk"
    assert page.locator("#reason").input_value() == "static_change"
    page.locator("#clear").click()
    wait_for(lambda: set(shown.all_inner_texts()) == {"walk", "yard"}, timeout_s=10.0, what="the filters to go")


def test_an_hour_of_the_timeline_filters_by_it_and_again_shows_all(visitor: Visitor, site: Site) -> None:
    site.closed_incident()
    page = visitor.open("/events")
    page.locator(".timeline a[data-bar]").last.click()
    page.wait_for_url("**since=**")
    asked = parse_qs(urlsplit(page.url).query)
    assert float(asked["until"][0]) - float(asked["since"][0]) == 3600.0
    assert page.locator("#since-time").input_value() != ""
    keep_picture(page, "events-hour")
    page.locator(".timeline a.chosen").click()
    page.wait_for_url(lambda url: "since" not in url)


def test_j_and_k_go_through_the_list_and_a_key_judges(visitor: Visitor, site: Site) -> None:
    site.closed_incident()
    page = visitor.open("/events")
    page.keyboard.press("j")
    chosen = page.evaluate("document.activeElement.closest('.incident').dataset.incident")
    page.keyboard.press("f")
    row = page.locator(f'.incident[data-incident="{chosen}"]')
    row.get_by_text("False alarm").wait_for()
    assert site.get(f"/api/v1/events/{chosen}")["verdict"]["verdict"] == "false"
    page.keyboard.press("u")
    row.get_by_text("No verdict").wait_for()
    assert site.get(f"/api/v1/events/{chosen}")["verdict"] is None


def test_an_incident_plays_with_heat_and_boxes_in_step(visitor: Visitor, site: Site) -> None:
    incident = site.closed_incident()["incident"]
    page = visitor.open(f"/events/{incident}")
    overlay = page.locator("#overlay")
    wait_for(lambda: overlay.evaluate(PAINTED) > 500, timeout_s=20.0, what="heat and boxes at the peak")
    keep_picture(page, "event-peak")
    both = overlay.evaluate(PAINTED)
    page.keyboard.press("h")
    boxes = overlay.evaluate(PAINTED)
    assert 0 < boxes <= both  # a frame may have boxes alone
    page.keyboard.press("b")
    assert overlay.evaluate(PAINTED) == 0
    assert page.locator("#heat").get_attribute("aria-pressed") == "false"
    page.keyboard.press("h")

    def is_warm() -> bool:
        if overlay.evaluate(PAINTED) > 0:
            return True
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(150)
        return False

    wait_for(is_warm, timeout_s=20.0, what="heat")
    page.keyboard.press("b")
    page.keyboard.press(" ")
    wait_for(lambda: page.evaluate("document.getElementById('clip').currentTime") > 0.3, what="the clip to play")
    page.keyboard.press(" ")
    assert page.evaluate("document.getElementById('clip').paused")
    before = page.evaluate("document.getElementById('clip').currentTime")
    page.keyboard.press("ArrowRight")
    wait_for(lambda: page.evaluate("document.getElementById('clip').currentTime") > before, what="a step on")
    at = page.evaluate("document.getElementById('clip').currentTime")
    wait_for(
        lambda: abs(float(str(page.locator("#curve").get_attribute("aria-valuenow"))) - at) < 0.2, what="the play-head"
    )


def test_the_curve_is_the_seek_bar(visitor: Visitor, site: Site) -> None:
    incident = site.closed_incident()["incident"]
    page = visitor.open(f"/events/{incident}")
    curve = page.locator("#curve")
    wait_for(lambda: float(str(curve.get_attribute("aria-valuemax"))) > 1.0, timeout_s=20.0, what="the evidence")
    page.wait_for_timeout(500)
    box = curve.bounding_box()
    assert box is not None
    curve.click(position={"x": box["width"] * 0.9, "y": 40})
    share = "document.getElementById('clip').currentTime / document.getElementById('clip').duration"
    wait_for(lambda: page.evaluate(share) > 0.8, timeout_s=10.0, what="the clip to follow")


def test_expected_seen_and_findings_are_shown_in_words(visitor: Visitor, site: Site) -> None:
    incident = site.closed_incident()["incident"]
    details = site.get(f"/api/v1/events/{incident}/evidence/evidence.json")
    page = visitor.open(f"/events/{incident}")
    for name in ("Seen at the peak", "What is usual here"):
        picture = page.get_by_alt_text(name).first
        wait_for(lambda picture=picture: picture.evaluate("i => i.naturalWidth") > 100, timeout_s=10.0, what=name)
    for finding in details["findings"]:
        assert finding["text"] in page.locator("#findings").inner_text()
    assert "p-value" in page.locator("#facts").inner_text()


def test_a_verdict_by_key_is_kept_after_a_reload_and_undone(visitor: Visitor, site: Site) -> None:
    incident = site.closed_incident()["incident"]
    page = visitor.open(f"/events/{incident}")
    pressed = '[data-verdict][aria-pressed="true"]'
    for key, verdict in (("t", "true"), ("2", "false"), ("e", "expected")):
        page.keyboard.press(key)
        page.locator(f'[data-verdict="{verdict}"][aria-pressed="true"]').wait_for()
        assert page.locator(pressed).count() == 1
    page.locator("#note").fill("a delivery")
    page.keyboard.press("Tab")
    wait_for(
        lambda: site.get(f"/api/v1/events/{incident}")["verdict"]["note"] == "a delivery",
        timeout_s=10.0,
        what="the note",
    )
    page.reload()
    assert page.locator(pressed).get_attribute("data-verdict") == "expected"
    assert page.locator("#note").input_value() == "a delivery"
    keep_picture(page, "event-verdict")
    page.locator('[data-verdict="false"]').click()
    page.locator('[data-verdict="false"][aria-pressed="true"]').wait_for()
    page.keyboard.press("u")
    page.locator('[data-verdict="expected"][aria-pressed="true"]').wait_for()


def test_j_leads_to_the_older_and_k_back_to_the_newer(visitor: Visitor, site: Site) -> None:
    wait_for(lambda: len(site.get("/api/v1/incidents")["incidents"]) > 1, timeout_s=60.0, what="two incidents")
    newer, older = (row["incident"] for row in site.get("/api/v1/incidents?limit=2")["incidents"])
    page = visitor.open(f"/events/{newer}")
    page.keyboard.press("j")
    page.wait_for_url(f"**/events/{older}")
    page.wait_for_load_state()
    page.keyboard.press("k")
    page.wait_for_url(f"**/events/{newer}")


def test_missing_evidence_is_said_plainly(visitor: Visitor, site: Site) -> None:
    incident = site.get("/api/v1/incidents?limit=200")["incidents"][-1]["incident"]
    wait_for(lambda: site.engine.evidence.get(incident) is not None, timeout_s=60.0, what="its evidence")
    site.engine.evidence.delete(incident)
    page = visitor.open(f"/events/{incident}")
    assert "No clip is kept of this incident" in page.locator("#stage").inner_text()
    assert page.locator("video").count() == 0
    keep_picture(page, "event-without-evidence")


def test_an_event_s_id_leads_to_its_incident_too(visitor: Visitor, site: Site) -> None:
    row = site.closed_incident()
    page = visitor.open(f"/events/{row['event_id']}")
    assert page.locator("#event").get_attribute("data-incident") == row["incident"]


def test_a_verdict_that_is_refused_is_told_in_the_engine_s_words(visitor: Visitor, site: Site) -> None:
    incident = site.closed_incident()["incident"]
    body = json.dumps({"title": "Insufficient Storage", "status": 507, "detail": "no room on the disk"})
    visitor.context.route(  # before the page is there: a page that has begun takes on its interception some time later
        "**/verdict", lambda route: route.fulfill(status=507, content_type="application/problem+json", body=body)
    )
    page = visitor.open(f"/events/{incident}")
    page.keyboard.press("t")
    notice = page.locator('#notices .notice[data-kind="problem"]')
    notice.wait_for()
    assert "no room on the disk" in notice.inner_text()
    assert page.locator('[data-verdict="true"]').get_attribute("aria-pressed") == "false"
    visitor.forget("507")


def test_a_list_from_before_a_verdict_does_not_undo_what_it_shows(visitor: Visitor, site: Site) -> None:
    incident = site.closed_incident()["incident"]
    withheld = Withheld("/events", visitor, begin=False)
    page = visitor.open("/events")
    row = page.locator(f'.incident[data-incident="{incident}"]')
    row.locator("a.main").focus()
    withheld.begin = True
    page.keyboard.press("t")
    wait_for(lambda: bool(row.count() and withheld.has_one), timeout_s=10.0, what="the list with the first verdict")
    page.keyboard.press("f")
    wait_for(lambda: row.get_attribute("data-verdict") == "false", timeout_s=10.0, what="the second verdict")
    withheld.give()
    page.wait_for_timeout(1_000)
    assert row.get_attribute("data-verdict") == "false"
    httpx.delete(f"{site.address}/api/v1/events/{incident}/verdict").raise_for_status()


def test_the_list_says_what_it_shows_to_whoever_only_listens(visit: Callable[..., Visitor], site: Site) -> None:
    site.closed_incident()
    page = visit(site.address).open("/events")
    assert page.locator("#shown").get_attribute("role") == "status"
    assert "incident" in page.locator("#shown").inner_text()
