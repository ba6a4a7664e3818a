"""One camera: areas drawn on its picture, its sensitivity, what may be done to it; adding and removing one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import httpx
import numpy as np
import pytest

from tests.pipeline.sites import wait_for
from tests.service.console.browser import Visitor, Withheld, keep_picture
from tests.service.console.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def page(visitor: Visitor, site: Site) -> Page:
    """The camera ``yard`` once its picture stands, without areas."""
    httpx.patch(f"{site.address}/api/v1/cameras/yard", json={"masks": [], "zones": []}).raise_for_status()
    page = visitor.open("/cameras/yard")
    page.locator("#live").wait_for(state="visible", timeout=30_000)
    wait_for(lambda: page.locator("#drawing").get_attribute("viewBox") is not None, what="the drawing to be placed")
    return page


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a point in fractions of the picture lies on the page, pixels."""
    box = page.locator("#drawing").bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def click(page: Page, *corners: tuple[float, float]) -> None:
    for corner in corners:
        page.mouse.click(*at(page, *corner))


def camera(site: Site, name: str = "yard") -> dict[str, Any]:
    told: dict[str, Any] = site.get(f"/api/v1/cameras/{name}")
    return told


def brightness(site: Site, x: slice, y: slice) -> float:
    """Mean luma of a part of the snapshot, in hundredths of width and height; -1 while there is no picture."""
    answer = httpx.get(f"{site.address}/api/v1/cameras/yard/snapshot?width=640")
    if answer.status_code != 200:
        return -1.0
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    height, width = picture.shape
    part = picture[y.start * height // 100 : y.stop * height // 100, x.start * width // 100 : x.stop * width // 100]
    return float(part.mean())


def test_a_mask_drawn_with_the_mouse_is_burnt_into_the_picture(page: Page, site: Site) -> None:
    assert brightness(site, slice(15, 35), slice(55, 75)) > 40.0
    page.keyboard.press("m")
    click(page, (0.1, 0.5), (0.4, 0.5), (0.4, 0.8), (0.1, 0.8))
    keep_picture(page, "camera-drawing")
    page.keyboard.press("Enter")
    page.locator("#areas input").fill("window")
    page.locator("#areas input").press("Tab")
    keep_picture(page, "camera-mask-drawn")
    page.locator("#save-areas").click()
    page.get_by_text("Saved. Masks are blackened").wait_for()
    (mask,) = camera(site)["masks"]
    assert mask["name"] == "window"
    assert np.allclose(mask["points"], [[0.1, 0.5], [0.4, 0.5], [0.4, 0.8], [0.1, 0.8]], atol=0.01)
    wait_for(
        lambda: 0.0 <= brightness(site, slice(15, 35), slice(55, 75)) < 20.0,
        timeout_s=30.0,
        what="the mask to be burnt in",
    )
    assert brightness(site, slice(50, 90), slice(55, 75)) > 40.0
    page.wait_for_timeout(1_500)
    keep_picture(page, "camera-mask-burnt")


def test_an_area_is_drawn_moved_and_undone_by_the_keyboard_alone(page: Page, site: Site) -> None:
    page.keyboard.press("z")
    for keys in (["Space"], ["Shift+ArrowRight"] * 4 + ["Space"], ["Shift+ArrowDown"] * 4 + ["Space"]):
        for key in keys:
            page.keyboard.press(key)
    page.keyboard.press("Enter")
    assert page.locator(".drawing .zone polygon.area").count() == 1
    page.keyboard.press("ArrowLeft")
    page.locator("#save-areas").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Saved. Masks are blackened").wait_for()
    (zone,) = camera(site)["zones"]
    assert np.allclose(zone["points"], [[0.49, 0.5], [0.7, 0.5], [0.7, 0.7]], atol=1e-3)
    page.locator("#areas").get_by_role("button", name="Edit").click()
    page.keyboard.press("s")
    page.keyboard.press("Delete")
    assert page.locator(".drawing .zone").count() == 0
    page.keyboard.press("u")
    assert page.locator(".drawing .zone").count() == 1


def test_corners_are_dragged_and_escape_cancels(page: Page, site: Site) -> None:
    page.locator("#draw-mask").click()
    click(page, (0.2, 0.2), (0.5, 0.2), (0.5, 0.5))
    click(page, (0.2, 0.2))  # the first corner again closes it
    page.mouse.move(*at(page, 0.5, 0.5))
    page.mouse.down()
    page.mouse.move(*at(page, 0.6, 0.7), steps=4)
    page.mouse.up()
    page.keyboard.press("m")
    click(page, (0.8, 0.8), (0.9, 0.9))
    page.keyboard.press("Enter")
    assert "2 of at least 3 corners" in page.locator("#drawing-now").inner_text()
    page.keyboard.press("Escape")
    assert page.locator(".drawing .mask").count() == 1
    page.locator("#save-areas").click()
    page.get_by_text("Saved. Masks are blackened").wait_for()
    (mask,) = camera(site)["masks"]
    assert np.allclose(mask["points"][2], [0.6, 0.7], atol=0.01)


def test_sensitivity_shows_what_it_would_have_raised_before_it_is_saved(page: Page, site: Site) -> None:
    before = camera(site)["false_alarms_per_day"]
    words = page.locator("#preview")
    wait_for(lambda: "incident" in words.inner_text(), timeout_s=20.0, what="the preview")
    page.locator("#budget-number").fill("24")
    wait_for(lambda: "24 a day would have raised" in words.inner_text(), timeout_s=10.0, what="the trial")
    assert camera(site)["false_alarms_per_day"] == before
    keep_picture(page, "camera-sensitivity")
    page.locator("#save-budget").click()
    wait_for(lambda: camera(site)["false_alarms_per_day"] == 24.0, timeout_s=10.0, what="the budget to be kept")
    page.reload()
    assert float(page.locator("#budget-number").input_value()) == 24.0
    page.locator("#budget-slider").focus()
    page.keyboard.press("End")
    assert float(page.locator("#budget-number").input_value()) == 1440.0
    page.locator("#save-budget").click()
    wait_for(lambda: camera(site)["false_alarms_per_day"] == 1440.0, timeout_s=10.0, what="it to be put back")


def test_a_budget_that_is_none_is_refused_before_it_is_sent(page: Page) -> None:
    page.locator("#budget-number").fill("-3")
    page.get_by_text("Allowed: more than 0, up to 1440").wait_for()


def test_arming_and_pausing_take_effect_and_are_told(page: Page, site: Site) -> None:
    page.locator("#arm").click()
    page.get_by_text("raises no incidents until it is armed").wait_for()
    assert camera(site)["is_armed"] is False
    wait_for(lambda: page.locator("#state").inner_text() == "Disarmed", timeout_s=10.0, what="the state in words")
    page.locator("#arm").click()
    wait_for(lambda: camera(site)["is_armed"] is True, timeout_s=10.0, what="it to be armed again")
    page.locator("#pause").click()
    wait_for(lambda: page.locator("#state").inner_text() == "Paused", timeout_s=10.0, what="the pause to be shown")
    page.locator("#pause").click()
    wait_for(lambda: camera(site)["state"] == "up", timeout_s=60.0, what="it to be resumed")


def test_an_answer_that_never_comes_holds_up_nothing(visitor: Visitor, site: Site) -> None:
    withheld = Withheld("/console/cameras/yard", visitor)
    page = visitor.open("/cameras/yard")
    wait_for(lambda: page.locator("#arm").is_visible() and withheld.has_one, what="a question without an answer")
    page.locator("#arm").click()
    wait_for(lambda: page.locator("#arm").inner_text() == "Arm", timeout_s=5.0, what="the command to be shown at once")
    httpx.post(f"{site.address}/api/v1/cameras/yard/arm").raise_for_status()
    wait_for(lambda: page.locator("#arm").inner_text() == "Disarm", timeout_s=20.0, what="the page to ask again")


def test_an_answer_from_before_a_command_does_not_undo_what_it_shows(visitor: Visitor, site: Site) -> None:
    withheld = Withheld("/console/cameras/yard", visitor)
    page = visitor.open("/cameras/yard")
    wait_for(lambda: page.locator("#arm").is_visible() and withheld.has_one, what="a question without an answer")
    page.locator("#arm").click()
    wait_for(lambda: page.locator("#arm").inner_text() == "Arm", timeout_s=5.0, what="the command to be shown at once")
    withheld.give()
    page.wait_for_timeout(500)
    assert page.locator("#arm").inner_text() == "Arm"
    page.locator("#arm").click()
    wait_for(lambda: camera(site)["is_armed"] is True, timeout_s=10.0, what="it to be armed again")


def test_the_curve_shows_scores_of_ten_minutes_and_a_day(page: Page) -> None:
    ink = """canvas => { const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let n = 0; for (let i = 3; i < data.length; i += 4) if (data[i]) n += 1; return n; }"""
    wait_for(lambda: page.locator("#curve").evaluate(ink) > 500, timeout_s=20.0, what="the curve")
    with page.expect_request(lambda request: "scores?seconds=86400" in request.url):
        page.get_by_role("button", name="24 h").click()
    assert page.get_by_role("button", name="24 h").get_attribute("aria-pressed") == "true"


def test_a_camera_is_added_its_trouble_named_and_it_is_removed_again(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/add-camera")
    page.get_by_label("Name", exact=True).fill("porch")
    page.get_by_label("Address").fill("ftp://192.0.2.1/x")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("is not known").wait_for()
    assert page.get_by_label("Address").get_attribute("aria-invalid") == "true"
    keep_picture(page, "add-camera-refused")
    page.get_by_label("Address").fill("rtsp://127.0.0.1:9/porch")
    page.get_by_label("Password").fill("hunter2")
    page.get_by_label("User name").fill("user")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("connection refused").first.wait_for()
    keep_picture(page, "add-camera-trouble")
    assert "porch" in site.engine.cameras()
    page.get_by_role("link", name="porch").click()
    page.wait_for_url("**/cameras/porch")
    assert "hunter2" not in page.content()
    page.locator("#remove").click()
    page.locator("#confirm-dialog").get_by_role("button", name="Cancel").click()
    assert "porch" in site.engine.cameras()
    page.locator("#remove").click()
    page.locator("#confirm-dialog").get_by_role("button", name="Remove").click()
    page.wait_for_url(site.address + "/")
    assert "porch" not in site.engine.cameras()
    visitor.forget("422", "/cameras/porch")  # the page that is being left may ask after its camera once more


def test_a_good_camera_is_added_and_said_to_give_a_picture(visitor: Visitor, site: Site, footage: Path) -> None:
    page = visitor.open("/add-camera")
    page.get_by_label("Name", exact=True).fill("lobby")
    page.get_by_label("Address").fill(str(footage))
    page.get_by_role("button", name="Add").click()
    try:
        page.get_by_text("gives a picture").wait_for(timeout=30_000)
    finally:
        site.engine.remove_camera("lobby")
