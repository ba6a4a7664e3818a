"""The console's pages and the two answers that keep them current. All of it reads; what changes anything is the API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vad.config import CameraSettings
from vad.errors import JournalError, VerdictError
from vad.events.archive import Archive, Incident
from vad.events.verdicts import Verdict
from vad.service.api.incidents import find, row_of
from vad.service.api.models import Camera
from vad.service.api.state import AppState, caller_of
from vad.service.console import fleet, health
from vad.service.console.incidents import PAGE_ROWS, Filters, neighbours, timeline
from vad.service.console.rendering import STATIC, render, static_file
from vad.service.console.words import VERDICTS
from vad.types import DropReason

LOGIN_REFUSED = {
    "bad-token": "The token is refused: it is none, or good no more.",
    "too-often": "Too many bad tokens from this address. Try again in a minute.",
    "busy": "Too many tokens are being checked. Try again in a moment.",
}
MOST_IDS = 100
FRESH_S = 60.0
"""Evidence is written within seconds of an incident's end, later only when many end at once."""
VERDICT_CHOICES = (("none", "No verdict"), *VERDICTS.items())


@dataclass(frozen=True, slots=True)
class Pages:
    """The handlers; each is called in a thread of the server's pool and may wait for the disk."""

    state: AppState

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._readable(self.live)),
            Route("/events", self._readable(self.events)),
            Route("/events/{id}", self._readable(self.event)),
            Route("/cameras/{id}", self.camera),
            Route("/add-camera", self.add_camera),
            Route("/health", self.health),
            Route("/login", self.login, methods=["GET"]),
            Route("/console/pulse", self.pulse),
            Route("/console/fleet", self.fleet),
            Route("/console/cameras/{id}", self.camera_now),
            Route(f"{STATIC}/{{name}}", static_file),
        ]

    # ---- pages ----

    def live(self, request: Request) -> Response:
        query = request.query_params
        status, now_s = self.state.engine.status(), self.state.clock.wall_s()
        sparks = fleet.SPARKS_AT_FIRST
        with self.state.readers.lend() as archive:
            view = fleet.fleet_view(
                status,
                q=query.get("q", "")[:64],
                state=query.get("state", "all"),
                page=_whole(query.get("page", "")),
                card_of=lambda names: fleet.cards(
                    self.state.engine, status, names, archive=archive, now_s=now_s, sparks=sparks
                ),
            )
            open_incidents = fleet.open_incidents(archive)
        choices = [(key, name) for key, name, _ in fleet.CHOICES]
        return self._render(request, "live.html", nav="live", view=view, open=open_incidents, choices=choices)

    def events(self, request: Request) -> Response:
        filters = Filters.of(request.query_params)
        with self.state.readers.lend() as archive:
            hours = timeline(archive, filters, now_s=self.state.clock.wall_s())
            rows, more = self._page(archive, filters)
        view = {
            **{name: getattr(filters, name) for name in ("camera", "reason", "verdict", "since", "until", "range")},
            "cursor": filters.cursor,
            "is_filtered": filters.is_filtered,
            "context": filters.context,
            "link": filters.link,
            "bars": hours.bars,
            "ticks": hours.ticks,
            "counted": hours.counted,
            "incidents": rows,
            "next": more,
            "said": _said(len(rows), filters, is_last=more is None),
        }
        return self._render(
            request,
            "events.html",
            nav="events",
            view=view,
            cameras=list(self.state.engine.cameras()),
            verdict_choices=VERDICT_CHOICES,
        )

    def event(self, request: Request) -> Response:
        filters = Filters.of(request.query_params)
        with self.state.readers.lend() as archive:
            try:
                incident, _ = find(archive, request.path_params["id"])
            except HTTPException:
                incident = None
            if incident is None:
                return self._missing(request, "No such incident", "It is unknown, or the journal keeps it no more.")
            newer, older = neighbours(archive, incident, filters)
        details = self._details(incident.incident)
        clip = details.get("clip") or {}
        verdict = self.state.verdicts.get(incident.incident)
        return self._render(
            request,
            "event.html",
            nav="events",
            incident=self._row(incident, {}),
            close_reason=incident.close_reason,
            evidence=self._evidence(incident.incident),
            details=bool(details),
            missing=self._why_missing(incident),
            notes=[f"The clip is not whole: {why}." for why in clip.get("missing", [])],
            size=(clip.get("width", 640), clip.get("height", 360)),
            findings=[finding["text"] for finding in details.get("findings", [])],
            rarity=_rarity(incident.peak_score),
            verdict={"verdict": verdict and verdict.verdict.value, "note": verdict.note if verdict else ""},
            newer=newer,
            older=older,
            context=filters.context,
        )

    def camera(self, request: Request) -> Response:
        now = self._camera(request.path_params["id"])
        if now is None:
            return self._missing(request, "No such camera", "It is not watched, or has been removed.")
        return self._render(request, "camera.html", nav="live", **now)

    def add_camera(self, request: Request) -> Response:
        defaults: CameraSettings = self.state.engine.config.defaults
        return self._render(request, "add_camera.html", nav="live", defaults=defaults)

    def health(self, request: Request) -> Response:
        engine, status = self.state.engine, self.state.engine.status()
        names = sorted(status.cameras, key=lambda name: status.cameras[name].frames.is_balanced)  # stable
        pages = max(1, -(-len(names) // health.ROWS))
        page = min(_whole(request.query_params.get("page", "")), pages)
        return self._render(
            request,
            "health.html",
            nav="health",
            summary=health.summary(status),
            tiles=health.tiles(engine, status),
            rows=health.rows(status, names[(page - 1) * health.ROWS : page * health.ROWS]),
            drops=[reason.value for reason in DropReason],
            errors=health.errors_by_code(status),
            queues=health.queues(status),
            bridges=list(status.bridges.items()),
            bus=health.bus(status),
            page=page,
            pages=pages,
        )

    def login(self, request: Request) -> Response:
        query = request.query_params
        refused = LOGIN_REFUSED.get(query.get("error", ""), "That did not work.") if "error" in query else ""
        return render(request, "login.html", caller=None, next=query.get("next", "/"), refused=refused)

    # ---- what keeps them current ----

    def pulse(self, _: Request) -> Response:
        return _json(fleet.pulse(self.state.engine, self.state.engine.status()))

    def fleet(self, request: Request) -> Response:
        ids = [name for name in request.query_params.get("ids", "").split(",") if name][:MOST_IDS]
        engine, status = self.state.engine, self.state.engine.status()
        with self.state.readers.lend() as archive:
            return _json(
                {
                    "pulse": fleet.pulse(engine, status),
                    "open": fleet.open_incidents(archive),
                    "cards": fleet.cards(engine, status, ids, archive=archive, now_s=self.state.clock.wall_s()),
                }
            )

    def camera_now(self, request: Request) -> Response:
        name = request.path_params["id"]
        now = self._camera(name)
        if now is None:
            raise HTTPException(404, f"camera {name[:64]!r} is not watched, or has been removed")
        return _json({**now, "pulse": fleet.pulse(self.state.engine, self.state.engine.status())})

    # ---- parts ----

    def _readable(self, page: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """The page, or one that says why the journal or the verdicts cannot be read."""

        def readable(request: Request) -> Response:
            try:
                return page(request)
            except (JournalError, VerdictError) as exc:
                return self._missing(request, "Not now", f"{exc}. Reload the page in a moment.", status=503)

        return readable

    def _render(self, request: Request, template: str, *, nav: str, status: int = 200, **values: Any) -> Response:
        pulse = fleet.pulse(self.state.engine, self.state.engine.status())
        return render(request, template, caller=caller_of(request), nav=nav, status=status, pulse=pulse, **values)

    def _missing(self, request: Request, heading: str, text: str, *, status: int = 404) -> Response:
        return self._render(request, "problem.html", nav="", status=status, heading=heading, text=text)

    def _camera(self, name: str) -> dict[str, Any] | None:
        configs, statuses = self.state.engine.cameras(), self.state.engine.status().cameras
        if name not in configs or name not in statuses:
            return None
        camera = Camera.of(name, configs[name], statuses[name], last_event=None)
        return {"camera": camera.model_dump(mode="json"), "card": fleet.camera_card(name, statuses[name], None)}

    def _page(self, archive: Archive, filters: Filters) -> tuple[list[dict[str, Any]], int | None]:
        """A page of rows, and where the next one begins; None on the last."""
        found = archive.incidents(filters.wanted(limit=PAGE_ROWS + 1, beyond=filters.cursor))
        shown = found[:PAGE_ROWS]
        said = self.state.verdicts.of(one.incident for one in shown)
        more = shown[-1].sequence if len(found) > PAGE_ROWS else None
        return [self._row(one, said) for one in shown], more

    def _row(self, incident: Incident, said: Mapping[str, Verdict]) -> dict[str, Any]:
        closed_s = incident.closed_wall_s
        is_fresh = closed_s is None or self.state.clock.wall_s() - closed_s < FRESH_S
        return {**row_of(self.state, incident, said).model_dump(mode="json"), "is_fresh": is_fresh}

    def _evidence(self, incident: str) -> dict[str, str | None]:
        """Addresses of what is kept of an incident."""
        files = self.state.engine.evidence.get(incident)
        base = f"/api/v1/events/{incident}/evidence"
        return {
            kind: f"{base}/{path.name}" if files and (path := getattr(files, kind)) else None
            for kind in ("clip", "seen", "expected")
        }

    def _details(self, incident: str) -> dict[str, Any]:
        files = self.state.engine.evidence.get(incident)
        if files is None:
            return {}
        try:
            details: dict[str, Any] = json.loads(files.details.read_bytes())
        except (OSError, ValueError):  # deleted meanwhile: the page says that nothing is kept
            return {}
        return details

    def _why_missing(self, incident: Incident) -> str:
        settings = self.state.engine.config.evidence
        if not settings.enabled:
            return "No clip: evidence is off (evidence.enabled in the site file)."
        if incident.closed_wall_s is None:
            return "The clip is written when the incident has closed. This page will show it."
        return (
            "No clip is kept of this incident. Evidence is deleted after "
            f"{settings.keep_days:g} days or beyond {settings.keep_mib:,} MiB, the oldest first."
        )


def _json(body: Any) -> Response:
    return JSONResponse(body, headers={"cache-control": "no-store"})


def _whole(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def _said(shown: int, filters: Filters, *, is_last: bool) -> str:
    what = f"{shown} incident{'s' * (shown != 1)}"
    if not is_last:
        return f"The newest {what}" if filters.cursor is None else f"{what}, older ones follow"
    return f"{what} that match" if filters.is_filtered else what


def _rarity(peak: float) -> str:
    """What a score of ``-log10 p`` means, for somebody who does not think in logarithms."""
    digits = int(peak)
    mantissa = 10.0 ** (digits + 1 - peak)
    p = f"p-value {mantissa:.0f}e-{digits + 1}" if mantissa < 9.5 else f"p-value 1e-{digits}"
    if peak > 12.0:
        return f"{p}: practically never in normal footage"
    return f"{p}: one frame in {_round(10.0**peak)} of normal footage"


def _round(number: float) -> str:
    for size, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if number >= size:
            return f"{number / size:.2g} {name}" if number / size < 100 else f"{number / size:.0f} {name}"
    return f"{number:.0f}"
