"""Who may see and do what: signing in, roles, the end of a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.service.console.browser import Visitor, keep_picture
from tests.service.console.conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_a_bad_token_is_refused_in_words_and_a_good_one_leads_on(visit: Callable[..., Visitor], site: Site) -> None:
    visitor = visit(site.guarded)
    page = visitor.open("/health")
    assert "/login" in page.url
    sign_in(page, "vad_00000000_" + "0" * 48)
    page.locator("#refused").get_by_text("refused").wait_for()
    assert page.get_by_label("Token").get_attribute("aria-invalid") == "true"
    keep_picture(page, "login-refused")
    assert visitor.context.cookies() == []
    sign_in(page, site.tokens["viewer"])
    page.wait_for_url(site.guarded + "/health")
    (cookie,) = visitor.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert site.tokens["viewer"] not in str(visitor.context.cookies())
    visitor.forget("401")


def test_a_viewer_sees_everything_and_can_change_nothing(visit: Callable[..., Visitor], site: Site) -> None:
    incident = site.closed_incident()["incident"]
    visitor = visit(site.guarded)
    page = visitor.open(f"/login?next=/events/{incident}")
    sign_in(page, site.tokens["viewer"])
    page.wait_for_url(f"{site.guarded}/events/{incident}")
    assert page.locator("[data-verdict]:disabled").count() == 3
    assert "needs the role operator; you are signed in as viewer" in page.locator("main").inner_text()
    keep_picture(page, "event-viewer")
    page.keyboard.press("t")
    page.goto(site.guarded + "/cameras/walk")
    for control in ("#arm", "#pause", "#remove", "#draw-mask", "#save-areas", "#save-budget"):
        assert page.locator(control).count() == 0, control
    assert page.locator("#budget-number").is_disabled()
    page.goto(site.guarded + "/add-camera")
    assert "needs the role admin" in page.locator("main").inner_text()
    status = page.evaluate(
        """async (id) => (await fetch(`/api/v1/events/${id}/verdict`, { method: 'PUT',
            headers: { 'content-type': 'application/json' }, body: '{"verdict": "true"}' })).status""",
        incident,
    )
    assert status == 403
    visitor.forget("403")


def test_an_operator_may_judge_and_draw_but_not_remove(visit: Callable[..., Visitor], site: Site) -> None:
    visitor = visit(site.guarded)
    page = visitor.open("/login?next=/cameras/walk")
    sign_in(page, site.tokens["operator"])
    page.wait_for_url(site.guarded + "/cameras/walk")
    for control in ("#arm", "#pause", "#draw-mask", "#save-areas", "#save-budget"):
        assert page.locator(control).count() == 1, control
    assert page.locator("#remove").count() == 0
    incident = site.closed_incident()["incident"]
    page.goto(f"{site.guarded}/events/{incident}")
    page.keyboard.press("3")
    page.get_by_text("Kept: expected").wait_for()


def test_a_session_that_ends_is_told_and_leads_back_to_the_login(visit: Callable[..., Visitor], site: Site) -> None:
    visitor = visit(site.guarded)
    page = visitor.open("/login?next=/")
    sign_in(page, site.tokens["admin"])
    page.wait_for_url(site.guarded + "/")
    page.locator(".card").first.wait_for()
    visitor.context.clear_cookies()
    ended = page.get_by_text("Your session has ended")
    ended.wait_for(timeout=20_000)
    keep_picture(page, "session-ended")
    page.evaluate("document.getElementById('lost').hidden = true")  # as an answer does that was under way
    ended.wait_for(timeout=20_000)
    page.get_by_role("link", name="Sign in again").click()
    page.wait_for_url("**/login?next=**")
    visitor.forget("401")


def test_signing_out_ends_the_session(visit: Callable[..., Visitor], site: Site) -> None:
    visitor = visit(site.guarded)
    page = visitor.open("/login?next=/events")
    sign_in(page, site.tokens["operator"])
    page.wait_for_url(site.guarded + "/events")
    page.locator("#sign-out").click()
    page.wait_for_url("**/login")
    page.goto(site.guarded + "/events")
    assert "/login" in page.url
    visitor.forget("401")


def test_the_login_leads_to_no_other_site(visit: Callable[..., Visitor], site: Site) -> None:
    visitor = visit(site.guarded)
    for wanted in ("https://evil.example/", "//evil.example/", "/\\\\evil.example/"):
        page = visitor.open(f"/login?next={wanted}")
        sign_in(page, site.tokens["viewer"])
        page.wait_for_url(lambda url: "/login" not in url)
        assert page.url.startswith(site.guarded)
        visitor.context.clear_cookies()
        page.close()
    visitor.forget("401", "404")
