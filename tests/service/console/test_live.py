"""The live page: cards that stay current, pictures, filters, alarms, and an engine that goes and comes back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.pipeline.sites import wait_for
from tests.service.console.browser import Visitor, keep_picture
from tests.service.console.conftest import Site, serve
from vad.config import HttpSettings

if TYPE_CHECKING:
    from playwright.sync_api import Page


def names(page: Page) -> list[str]:
    return page.locator(".card h3").all_inner_texts()


def test_scores_curves_and_pictures_move_without_a_reload(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/")
    card = page.locator('.card[data-camera="walk"]')

    def seen() -> tuple[object, ...]:
        picture = card.locator("img")
        return card.locator("polyline").get_attribute("points"), picture.get_attribute("src")

    card.locator("img").wait_for(state="visible")
    first = seen()
    wait_for(lambda: all(a != b for a, b in zip(first, seen(), strict=True)), timeout_s=30.0, what="anything to move")
    assert card.locator("img").evaluate("image => image.naturalWidth") > 100
    gone = page.locator('.card[data-camera="gone"]')
    assert gone.locator(".chip").inner_text() == "No signal"
    assert "hunter2" not in page.content()


def test_pictures_are_fetched_only_while_they_can_be_seen(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/")
    asked: list[str] = []
    page.locator('.card[data-camera="walk"] img').wait_for(state="visible")
    page.get_by_role("button", name="List").click()
    page.wait_for_timeout(1_000)  # what was under way
    page.on("request", lambda request: asked.append(request.url) if "snapshot" in request.url else None)
    page.wait_for_timeout(3_500)
    assert asked == []
    keep_picture(page, "live-list")
    page.get_by_role("button", name="Pictures").click()
    wait_for(lambda: bool(page.wait_for_timeout(100) or asked), timeout_s=15.0, what="pictures to be fetched again")


def test_filters_by_name_and_state_stand_in_the_address(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/")
    page.locator("#q").fill("WA")
    page.wait_for_url("**/?q=WA")
    wait_for(lambda: names(page) == ["walk"], timeout_s=10.0, what="the filter")
    page.locator("#q").fill("")
    page.locator("#state").select_option("trouble")
    wait_for(lambda: names(page) == ["gone"], timeout_s=10.0, what="the filter by state")
    page.reload()
    assert names(page) == ["gone"]
    page.locator("#q").fill("nothing like it")
    page.get_by_text("No camera matches.").wait_for()


def test_a_new_incident_is_announced_and_leads_to_its_page(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/")
    banner = page.locator("#alarms .notice").first
    banner.wait_for(timeout=60_000)
    assert page.locator("#alarms").get_attribute("aria-live") == "assertive"
    assert "Incident at" in banner.inner_text()
    assert "over" in banner.inner_text()
    keep_picture(page, "live-alarm")
    banner.get_by_role("link", name="Open").click()
    page.wait_for_url("**/events/*")
    assert page.locator("h1").inner_text().split(",")[0] in ("walk", "yard")


def test_open_incidents_are_listed_first_and_go_when_they_close(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/")
    strip = page.locator("#open")
    wait_for(lambda: strip.locator(".open-incident").count() > 0, timeout_s=60.0, what="an open incident")
    assert page.locator('[data-pulse="incidents"] strong').inner_text() != "0"
    link = strip.locator(".open-incident").first.get_attribute("href")
    strip.locator(f'[href="{link}"]').wait_for(state="detached", timeout=60_000)  # others may have opened meanwhile


def test_sound_and_notifications_are_off_until_they_are_asked_for(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.locator("#alerts-button").click()
    dialog = page.locator("#alerts-dialog")
    assert not dialog.get_by_label("A short sound").is_checked()
    assert not dialog.get_by_label("A notification of the system").is_checked()
    dialog.get_by_label("A short sound").check()
    dialog.get_by_role("button", name="Close").click()
    page.reload()
    page.locator("#alerts-button").click()
    assert page.locator("#alerts-dialog").get_by_label("A short sound").is_checked()


def test_an_engine_that_is_gone_is_said_so_and_it_recovers_by_itself(visit: Callable[..., Visitor], site: Site) -> None:
    with ExitStack() as stack:
        server = serve(stack, site.engine, HttpSettings(bind="127.0.0.1:0"))
        address = server.address
        visitor = visit(address)
        live, health = visitor.open("/"), visitor.open("/health")
        live.locator('.card[data-camera="walk"] img').wait_for(state="visible")
        server.stop()
        for page in (live, health):
            page.bring_to_front()
            page.get_by_text("No connection to the engine since").wait_for(timeout=30_000)
        keep_picture(live, "live-lost")
        live.bring_to_front()
        bind = address.removeprefix("http://")
        serve(stack, site.engine, HttpSettings(bind=bind))
        live.get_by_text("No connection to the engine since").wait_for(state="hidden", timeout=30_000)
        before = live.locator('.card[data-camera="walk"] img').get_attribute("src")
        wait_for(
            lambda: live.locator('.card[data-camera="walk"] img').get_attribute("src") != before,
            timeout_s=30.0,
            what="pictures to come again",
        )
        visitor.context.close()
        visitor.forget("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")


def test_a_camera_added_elsewhere_appears(visitor: Visitor, site: Site) -> None:
    from vad.config import CameraConfig

    page = visitor.open("/")
    assert "late" not in names(page)
    site.engine.add_camera("late", CameraConfig(url="rtsp://127.0.0.1:9/late"))
    try:
        page.get_by_role("link", name="late").wait_for(timeout=20_000)
    finally:
        site.engine.remove_camera("late")
    wait_for(lambda: "late" not in names(page), timeout_s=20.0, what="the removed camera to go")
