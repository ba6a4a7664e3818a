"""Every page in a real browser: nothing goes wrong in it, it fits, and everybody can use it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.pipeline.sites import wait_for
from tests.service.console.accessibility import contrast_faults, focus_order, structure_faults
from tests.service.console.browser import DESKTOP, PHONE, Visitor, keep_picture
from tests.service.console.conftest import Site

GOOD_SHIFT = 0.1
"""Core Web Vitals call that stable; an incident that comes to the top of a list shifts it by a fifth of it."""

PAGES = {
    "live": "/",
    "events": "/events?range=week",
    "event": "/events/{incident}",
    "camera": "/cameras/walk",
    "health": "/health",
    "add-camera": "/add-camera",
    "not-found": "/cameras/nowhere",
}
SCREENS: dict[str, dict[str, object]] = {
    "desktop": {"viewport": DESKTOP},
    "phone": {"viewport": PHONE, "is_mobile": True, "has_touch": True},
}


@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_loads_cleanly_fits_and_can_be_used_by_everybody(
    screen: str, visit: Callable[..., Visitor], site: Site
) -> None:
    incident = site.closed_incident()["incident"]
    visitor = visit(site.address, **SCREENS[screen])
    for name, path in PAGES.items():
        page = visitor.open(path.format(incident=incident))
        page.wait_for_timeout(1_000)  # for what comes after the first paint
        if name == "not-found":
            visitor.forget("404")
        assert visitor.wrong == [], name
        wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide[0] <= wide[1], f"{name} scrolls sideways: {wide}"
        assert structure_faults(page) == [], name
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert contrast_faults(page) == [], f"{name}, {scheme}"
            keep_picture(page, f"{name}-{screen}-{scheme}")
        page.close()


def test_the_ledger_is_not_cut_off_in_a_narrow_window(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/health")
    for width in (1440, 1100, 800, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.locator("#ledger").evaluate("({ parentElement: e }) => [e.scrollWidth, e.clientWidth]")
        assert wide[0] <= wide[1], (width, wide)
        keep_picture(page, f"health-{width}")
    assert page.locator("#ledger td[data-label]").count() == page.locator("#ledger td").count()


def test_nothing_shifts_when_what_is_live_arrives(visitor: Visitor, site: Site) -> None:
    incident = site.closed_incident()["incident"]
    finished = f"/events?until={time.time():.0f}"  # nothing new comes to its top
    for path in ("/", finished, f"/events/{incident}", "/cameras/walk", "/health"):
        page = visitor.open(path)
        page.evaluate(
            """() => { globalThis.shift = 0; new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) {
                    const inPage = entry.sources.some(({ node }) => !node?.closest?.('.corner'));  // else an alarm
                    if (!entry.hadRecentInput && inPage) globalThis.shift += entry.value;
                }
            }).observe({ type: 'layout-shift', buffered: true }); }"""
        )
        page.wait_for_timeout(2_500)
        assert page.evaluate("globalThis.shift") < GOOD_SHIFT, path
        page.close()


@pytest.mark.parametrize("path", ["/", "/events", "/cameras/walk", "/health"])
def test_the_keyboard_comes_to_everything_in_order_and_is_seen(path: str, visitor: Visitor) -> None:
    page = visitor.open(path)
    page.wait_for_timeout(500)
    stops = focus_order(page, steps=12)
    assert stops[0]["what"] == "Skip to the content"
    assert [stop["what"] for stop in stops[1:5]] == ["vad, live pictures", "Live", "Events", "Health"]
    assert all(stop["seen"] for stop in stops), [stop for stop in stops if not stop["seen"]]
    rows = [float(str(stop["top"])) for stop in stops[8:]]
    assert rows == sorted(rows), "focus jumps back up"


def test_the_skip_link_leads_past_the_navigation(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_question_mark_lists_the_shortcuts_and_escape_closes_the_list(visitor: Visitor) -> None:
    page = visitor.open("/events")
    page.keyboard.press("?")
    dialog = page.locator("#keys-dialog")
    dialog.wait_for(state="visible")
    listed = dialog.inner_text()
    for words in ("Next incident", "Verdict: true alarm", "Undo the last verdict", "Live", "Health"):
        assert words in listed
    keep_picture(page, "shortcuts")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")


def test_the_theme_is_kept_by_the_browser_and_written_by_the_server(visitor: Visitor) -> None:
    page = visitor.open("/")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(244, 246, 247)"
    page.locator("#theme-button").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 21)"
    page.goto(visitor.address + "/health")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("system", ["light", "dark"])
@pytest.mark.parametrize("chosen", [None, "light", "dark"])
def test_a_chosen_theme_goes_before_the_system_s_also_on_canvases(
    visitor: Visitor, system: str, chosen: str | None
) -> None:
    page = visitor.open("/cameras/walk")
    page.emulate_media(color_scheme=system)  # type: ignore[arg-type]
    if chosen is not None:
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", chosen)
    seen = page.evaluate(
        """() => { const of = getComputedStyle(document.querySelector('canvas'));
        return [getComputedStyle(document.body).backgroundColor, of.getPropertyValue('--curve'), of.colorScheme] }"""
    )
    light = (chosen or system) == "light"
    assert seen[:2] == (
        ["rgb(244, 246, 247)", "rgb(59, 74, 84)"] if light else ["rgb(15, 19, 21)", "rgb(183, 195, 202)"]
    )
    assert seen[2] == (chosen or "light dark")


def test_times_are_local_and_tell_utc_when_pointed_at(visit: Callable[..., Visitor], site: Site) -> None:
    row = site.closed_incident()
    page = visit(site.address, timezone_id="Asia/Kathmandu").open(f"/events/{row['incident']}")
    opened = page.locator("#facts time").first
    wait_for(lambda: "UTC" in (opened.get_attribute("title") or ""), what="the script", timeout_s=10.0)
    shown, utc = opened.inner_text(), str(opened.get_attribute("title"))
    minutes = [int(text[-8:-6]) * 60 + int(text[-5:-3]) for text in (shown, utc.removesuffix(" UTC"))]
    assert (minutes[0] - minutes[1]) % 1440 == 5 * 60 + 45
