// Live: cards kept current, pictures fetched only while somebody can see them, filters without a reload.

import { camera as cameraPath, get, query, send } from "./api.js";
import { morph, parse } from "./morph.js";
import { every, lostTouch, sayProblem, shortcut, startShell, touch } from "./shell.js";
import { icon, localise, make, reasons, score, timeElement } from "./words.js";

const FLEET_S = 2;
const PICTURE_S = 2;
const PICTURE_RETRY_S = 5;
const AT_ONCE = 3; // pictures under way; a browser has six connections for everything
const WIDTH = 400;

const cards = () => [...document.querySelectorAll(".card")];
const visible = new Set();

// ---- pictures ----

const due = new Map(); // card -> when its next picture is wanted, ms
let underWay = 0;

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) {
      visible.add(target);
      if (!target.dataset.filled) soon();
      if (!due.has(target)) due.set(target, performance.now() + Math.random() * 400); // staggered
    } else visible.delete(target);
  }
}, { rootMargin: "80px" });

function pictures() {
  if (document.hidden || document.body.classList.contains("lost-touch") || grid()?.dataset.view === "list") return;
  const now = performance.now();
  const waiting = [...visible].filter((card) => card.dataset.hasPicture === "true" && due.get(card) <= now && !card.dataset.loading);
  waiting.sort((a, b) => due.get(a) - due.get(b));
  for (const card of waiting.slice(0, AT_ONCE - underWay)) picture(card);
}

async function picture(card) {
  underWay += 1;
  card.dataset.loading = "true";
  let waitS = PICTURE_S;
  try {
    const response = await send("GET", `${cameraPath(card.dataset.camera)}/snapshot${query({ width: WIDTH })}`);
    show(card, await response.blob());
  } catch (error) {
    waitS = error.retryAfterS ?? PICTURE_RETRY_S;
    noPicture(card, error);
  }
  delete card.dataset.loading;
  underWay -= 1;
  due.set(card, performance.now() + waitS * 1000);
}

function show(card, blob) {
  const image = card.querySelector("img");
  const before = image.src;
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
  card.querySelector(".no-picture").hidden = true;
  if (before) URL.revokeObjectURL(before);
}

/** The last picture stays, greyed; without one the reason stands in its place. */
function noPicture(card, error) {
  const place = card.querySelector(".no-picture");
  if (card.querySelector("img").hidden && card.dataset.tone !== "trouble") {
    place.textContent = error.status === 503 ? "Waiting for a picture" : "No picture";
    place.title = error.words ?? "";
  }
}

// ---- state ----

const grid = () => document.getElementById("grid");

function fill(card, now) {
  card.dataset.filled = "true";
  card.dataset.tone = now.tone;
  card.dataset.over = now.over;
  card.dataset.hasPicture = now.has_picture;
  const state = card.querySelector('[data-field="state"]');
  if (state.dataset.said !== now.label + now.tone) {
    state.dataset.said = now.label + now.tone;
    state.dataset.tone = now.tone;
    state.replaceChildren(icon(now.icon), make("span", {}, now.label));
  }
  state.title = now.detail;
  const height = card.querySelector('[data-field="score"]');
  const isJudged = now.threshold !== null;
  height.firstChild.textContent = `${isJudged ? score(now.score) : "–"} `;
  height.lastElementChild.textContent = isJudged ? `of ${score(now.threshold)}` : "not judged yet";
  const stage = card.querySelector('[data-field="stage"]');
  stage.textContent = now.stage_label;
  stage.title = now.stage_means;
  card.querySelector('[data-field="promise"]').textContent = now.promise;
  card.querySelector("polyline").setAttribute("points", now.spark);
  card.querySelector(".limit").setAttribute("visibility", now.threshold === null ? "hidden" : "visible");
  card.querySelector(".picture").classList.toggle("stale", !now.is_live);
  if (!now.is_live && card.querySelector("img").hidden) card.querySelector(".no-picture").textContent = now.label;
  const last = card.querySelector('[data-field="last"]');
  if (now.last && last.dataset.incident !== now.last.id + now.last.label) {
    last.dataset.incident = now.last.id + now.last.label;
    last.replaceChildren(make("a", { href: `/events/${now.last.id}` }, now.last.label), " ", timeElement(now.last.wall_s));
  }
}

function fillOpen(open) {
  const strip = document.getElementById("open");
  const key = open.map((incident) => incident.incident + incident.reasons).join();
  if (strip.dataset.key === key) return;
  strip.dataset.key = key;
  strip.dataset.count = open.length;
  const title = open.length ? `${open.length} open incident${open.length === 1 ? "" : "s"}` : "No open incident";
  const links = open.map((incident) => make("li", {}, make(
    "a", { class: "open-incident", href: `/events/${incident.incident}` }, icon("alarm"),
    make("strong", {}, incident.camera), ` ${reasons(incident.reasons)} `, timeElement(incident.opened_wall_s, "time"))));
  strip.replaceChildren(make("h2", {}, title), links.length ? make("ul", {}, ...links) : "");
}

let later = null;

/** Shortly, once for all cards that a scroll brings into view. */
function soon() {
  clearTimeout(later);
  later = setTimeout(() => fleetNow(), 150);
}

async function fleet() {
  const shown = [...visible].filter((card) => card.isConnected); // the others are filled when they come into view
  const ids = shown.map((card) => card.dataset.camera);
  try {
    const now = await get(`/console/fleet${query({ ids: ids.join(",") })}`);
    touch(now.pulse);
    fillOpen(now.open);
    const known = new Map(now.cards.map((card) => [card.id, card]));
    for (const card of shown) {
      const state = known.get(card.dataset.camera);
      if (state) fill(card, state);
    }
    if (now.pulse.cameras !== Number(document.getElementById("matching").dataset.total)) reload(); // some came or went
  } catch (error) {
    if (error.status === undefined || error.status >= 500) lostTouch();
    else if (error.status !== 401) sayProblem(error, "The cameras' state");
  }
}

// ---- filters: the server renders, the script swaps ----

let asked = null;

async function reload() {
  asked?.abort();
  asked = new AbortController();
  const form = new FormData(document.getElementById("filters"));
  const page = new URLSearchParams(location.search).get("page");
  const wanted = Object.fromEntries(form);
  const search = query({ q: wanted.q, state: wanted.state === "all" ? "" : wanted.state, page: page === "1" ? "" : page });
  try {
    const response = await send("GET", `/${search}`, { signal: asked.signal });
    const page = parse(await response.text());
    const fresh = document.adoptNode(page.getElementById("cameras"));
    const there = new Map(cards().map((card) => [card.dataset.camera, card]));
    for (const card of fresh.querySelectorAll(".card")) {
      const same = there.get(card.dataset.camera);
      if (same) card.replaceWith(same); // with its picture
    }
    document.getElementById("cameras").replaceWith(fresh);
    morph(document.getElementById("matching"), page.getElementById("matching"));
    history.replaceState(null, "", `/${search}`);
    adopt();
  } catch (error) {
    sayProblem(error, "The list of cameras");
  }
}

function adopt() {
  localise();
  visible.clear();
  observer.disconnect();
  for (const card of cards()) observer.observe(card);
  if (grid()) setView(localStorage.getItem("vad-live-view") ?? "grid");
}

function setView(view) {
  grid().dataset.view = view;
  for (const button of document.querySelectorAll("[data-view].button")) button.setAttribute("aria-pressed", button.dataset.view === view);
}

function bind() {
  const form = document.getElementById("filters");
  let pause = null;
  const filter = () => {
    history.replaceState(null, "", "/");
    reload();
  };
  form.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(filter, 200);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  for (const button of document.querySelectorAll("[data-view].button")) {
    button.addEventListener("click", () => {
      localStorage.setItem("vad-live-view", button.dataset.view);
      setView(button.dataset.view);
    });
  }
  document.addEventListener("vad:event", () => fleetNow());
  document.addEventListener("vad:back", reload);
}

/** From card to card with J and K, as in the list of events. */
function step(by) {
  const all = cards();
  const at = all.indexOf(document.activeElement.closest(".card"));
  const next = all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + by))];
  next?.querySelector("h3 a").focus();
}

startShell({ ownPulse: true });
bind();
adopt();
shortcut("j", "Next camera", () => step(1));
shortcut("k", "Previous camera", () => step(-1));
const fleetNow = every(FLEET_S, fleet);
setInterval(pictures, 120);
