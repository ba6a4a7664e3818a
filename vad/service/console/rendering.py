"""Templates to HTML answers: what every page is given, the words in it, and what a browser may do with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from vad.service.api.state import Caller, Role
from vad.service.console.words import TABLES, word

HERE = Path(__file__).parent
THEMES = ("light", "dark")
THEME_COOKIE = "vad_theme"
DAY_S = 86_400.0

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def _files() -> dict[str, bytes]:
    """All static files, some 90 kB, read once: from memory they need no thread of a pool that has better to do."""
    return {path.name: path.read_bytes() for path in sorted((HERE / "static").iterdir()) if path.suffix in TYPES}


_STATIC_FILES = _files()

STATIC = f"/static/{hashlib.sha256(repr(_STATIC_FILES).encode()).hexdigest()[:12]}"
"""Where they are. It changes with any of them, so that a browser may keep them for ever."""


async def static_file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC_FILES:
        raise HTTPException(404)
    headers = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
    return Response(_STATIC_FILES[name], media_type=TYPES[Path(name).suffix], headers=headers)


def render(
    request: Request, template: str, *, caller: Caller | None, nav: str = "", status: int = 200, **values: Any
) -> HTMLResponse:
    """A page for ``caller``; None on the pages before signing in."""
    role = caller.role if caller else Role.VIEWER
    theme = request.cookies.get(THEME_COOKIE, "")
    html = _ENVIRONMENT.get_template(template).render(
        nav=nav,
        role=role.name.lower(),
        may={"operator": role >= Role.OPERATOR, "admin": role >= Role.ADMIN},
        signed_in=caller is not None and caller.token_id is not None,
        theme=theme if theme in THEMES else "",
        **values,
    )
    return HTMLResponse(html, status_code=status, headers={**SECURITY_HEADERS, "cache-control": "no-store"})


@cache
def icon(name: str) -> Markup:
    return Markup('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>').format(name)


def time(wall_s: float, form: str = "short") -> Markup:
    """A moment in UTC; the page's script turns it into local time. ``form``: time, minute, day, hour, short or full."""
    at = datetime.fromtimestamp(wall_s, UTC)
    is_recent = abs((datetime.now(UTC) - at).total_seconds()) < DAY_S
    patterns = {
        "time": "%H:%M:%S",
        "minute": "%H:%M",
        "day": "%m-%d",
        "hour": "%H:%M" if is_recent else "%m-%d %H:%M",
        "short": "%H:%M:%S" if is_recent else "%Y-%m-%d %H:%M",
        "full": "%Y-%m-%d %H:%M:%S",
    }
    return Markup('<time datetime="{}" data-wall="{:.3f}" data-format="{}">{}</time>').format(
        at.isoformat(timespec="milliseconds"), wall_s, form, at.strftime(patterns[form])
    )


def score(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def span(seconds: float) -> str:
    """How long, in the largest unit that says enough."""
    if seconds < 60.0:
        return f"{max(0.0, seconds):.0f} s"
    if seconds < 3600.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h" if seconds < 2 * DAY_S else f"{seconds / DAY_S:.0f} days"


def count(number: int) -> str:
    """1234567 as 1 234 567, with spaces that do not break."""
    return f"{number:,}".replace(",", "\u202f")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    kinds: Mapping[str, str] = {
        "reason": "reasons",
        "stage": "stages",
        "verdict": "verdicts",
        "closed": "closed",
        "drop": "drops",
    }
    for name, table in kinds.items():
        environment.filters[name] = lambda value, table=table: word(table, value)
    environment.filters["count"] = count
    environment.globals.update(icon=icon, time=time, score=score, span=span, static=STATIC, words=TABLES, tables=TABLES)
    return environment


_ENVIRONMENT = _environment()
