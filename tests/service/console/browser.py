"""A real browser for the console's tests: Debian's Chromium, driven by Playwright, nothing downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Browser, BrowserContext, ConsoleMessage, Page, Route

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "console"
FLAGS = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]


def why_unavailable() -> str | None:
    """Why no browser can be driven here; None when one can."""
    if find_spec("playwright") is None:
        return "playwright is not installed (the extra dev has it)"
    if shutil.which("chromium") is None:
        return "no Chromium: install Debian's package chromium"
    return None


@contextmanager
def launched() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """A browser context that notes whatever goes wrong in its pages."""

    def __init__(self, browser: Browser, address: str, **settings: Any) -> None:
        self.address = address
        self.wrong: list[str] = []
        self.context: BrowserContext = browser.new_context(**{"viewport": DESKTOP, **settings})
        self.context.set_default_timeout(20_000)

    def open(self, path: str, *, wait: str = "load") -> Page:
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._note("script", str(error)))
        page.on("request", lambda request: self._check(request.url))
        page.goto(self.address + path, wait_until=wait)  # type: ignore[arg-type]
        return page

    def forget(self, *words: str) -> None:
        """What a test has brought about on purpose; everything else fails it."""
        self.wrong = [line for line in self.wrong if not any(word in line for word in words)]

    def _hear(self, message: ConsoleMessage) -> None:
        is_waiting = "/snapshot" in message.location["url"] and "503" in message.text  # a camera has no picture yet
        if message.type == "error" and not is_waiting:
            self._note("console", f"{message.text} {message.location['url']}")

    def _note(self, kind: str, text: str) -> None:
        self.wrong.append(f"{kind}: {text}")

    def _check(self, url: str) -> None:
        if not url.startswith((self.address, "blob:", "data:")):
            self._note("a request that leaves the engine", url)


class Withheld:
    """The first answer that a visitor's scripts wait for at a path, from ``begin`` on: it stands until ``give``.

    Made before the page is there: a page that has begun takes on its interception some time later.
    """

    def __init__(self, path: str, visitor: Visitor, *, begin: bool = True) -> None:
        self.begin = begin
        self._held: tuple[Route, APIResponse] | None = None
        visitor.context.route(lambda url: urlsplit(url).path == path, self._take)

    @property
    def has_one(self) -> bool:
        return self._held is not None

    def give(self) -> None:
        assert self._held is not None
        route, answer = self._held
        route.fulfill(response=answer)

    def _take(self, route: Route) -> None:
        if not self.begin or self.has_one or route.request.resource_type != "fetch":
            route.continue_()
        else:
            self._held = route, route.fetch()


def keep_picture(page: Page, name: str) -> None:
    """A screenshot as a test artefact."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
