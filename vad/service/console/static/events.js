// Events: filters without a reload, new incidents at the top without moving what is being read, verdicts by key.

import { query, send } from "./api.js";
import { morph, parse } from "./morph.js";
import { sayProblem, shortcut, startShell } from "./shell.js";
import { localise, localTime } from "./words.js";
import { mayJudge, verdictKeys } from "./verdict.js";

const REFRESH_S = 0.4;
const EVIDENCE_AFTER_S = 6; // a clip is written some seconds after its incident has closed
const form = document.getElementById("filters");
const list = () => document.querySelector("ol#incidents");
const rows = () => [...document.querySelectorAll(".incident")];
const swap = () => document.getElementById("swap");

let asked = null; // what the reader has asked for: it goes before what only keeps the list current

async function rendered(path, options) {
  const response = await send("GET", path, options);
  return parse(await response.text());
}

function finish() {
  localise();
  for (const link of document.querySelectorAll("a[data-bar]")) {
    const since = Number(link.dataset.bar);
    const text = `${localTime(since, "hour")} to ${localTime(since + 3600, "minute")}: ${link.dataset.count}`;
    link.setAttribute("aria-label", text);
    link.querySelector("title").textContent = text;
  }
  document.getElementById("fresh").addEventListener("click", () => refresh({ insert: true }));
  fresh = 0;
}

// ---- filters ----

async function show(path, { push = true } = {}) {
  asked?.abort();
  const mine = new AbortController();
  asked = mine;
  try {
    const page = await rendered(path, { signal: mine.signal });
    swap().replaceWith(document.adoptNode(page.getElementById("swap")));
    morph(document.getElementById("clear"), page.getElementById("clear"));
    for (const name of ["range", "since", "until"]) form.elements[name].value = page.querySelector(`[name="${name}"]`).value;
    if (push) history.pushState(null, "", path);
    fillTimes();
    finish();
  } catch (error) {
    sayProblem(error, "The list of incidents");
  } finally {
    if (asked === mine) asked = null;
  }
}

const fromForm = () => `/events${query(Object.fromEntries(new FormData(form)))}`;

function fillTimes() {
  for (const field of form.querySelectorAll("[data-epoch]")) {
    const value = Number(form.elements[field.dataset.epoch].value);
    field.value = value ? localTime(value, "full").replace(" ", "T").slice(0, 16) : "";
  }
}

function bindFilters() {
  let pause = null;
  form.addEventListener("input", (event) => {
    const { epoch } = event.target.dataset;
    if (epoch) form.elements[epoch].value = event.target.value ? Math.round(new Date(event.target.value) / 1000) : "";
    clearTimeout(pause);
    pause = setTimeout(() => show(fromForm()), 250);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show(fromForm());
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".timeline a, .pager a, #clear, #incidents.empty a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.getAttribute("aria-disabled")) return;
    const path = link.getAttribute("href");
    if (link.id === "clear" || link.closest(".empty")) for (const name of ["camera", "reason", "verdict"]) form.elements[name].value = "";
    show(path).then(() => link.closest(".pager") && scrollTo({ top: 0 }));
  });
  addEventListener("popstate", () => location.reload());
}

// ---- what happens meanwhile ----

let fresh = 0;
let again = null;

const STILL_S = 5;
let busyAt = -Infinity;
for (const name of ["pointermove", "pointerdown", "keydown", "wheel", "scroll"]) {
  addEventListener(name, () => { busyAt = performance.now(); }, { passive: true });
}

/** Newer rows: by themselves while the reader is at the top and has kept still for a while, else when asked for. */
function mayInsert() {
  const isStill = performance.now() - busyAt > STILL_S * 1000;
  return scrollY === 0 && isStill && !list()?.matches(":hover, :focus-within") && !document.querySelector("dialog[open]");
}

let refreshes = 0;
let shown = 0; // of them the latest that the list shows

async function refresh({ insert = mayInsert() } = {}) {
  const mine = (refreshes += 1);
  try {
    const path = location.pathname + location.search;
    const page = await rendered(path);
    if (asked || path !== location.pathname + location.search) return;
    if (mine < shown) return void refresh({ insert }); // an answer from before a verdict must not undo what it shows
    shown = mine;
    const next = page.querySelector("ol#incidents");
    if (!next) return;
    morph(document.querySelector(".timeline"), page.querySelector(".timeline"));
    if (list()) merge(next, insert);
    else if (insert) swap().replaceWith(document.adoptNode(page.getElementById("swap")));
    if (insert) finish();
    else localise();
  } catch (error) {
    if (error.status !== undefined) sayProblem(error, "The list of incidents");
  }
}

function merge(next, insert) {
  const known = new Map(rows().map((row) => [row.dataset.incident, row]));
  const before = list().getBoundingClientRect().height;
  for (const row of [...next.children].reverse()) {
    const there = known.get(row.dataset.incident);
    if (there) morph(there, row);
    else if (insert && isNewer(row)) list().prepend(document.adoptNode(row));
  }
  if (scrollY > 0) scrollBy(0, list().getBoundingClientRect().height - before);
  if (insert) document.getElementById("fresh").hidden = true;
}

const openedAt = (row) => Number(row?.querySelector("time").dataset.wall ?? 0);
const isNewer = (row) => openedAt(row) >= openedAt(list().firstElementChild);

function soon(seconds) {
  clearTimeout(again);
  again = setTimeout(refresh, seconds * 1000);
}

function happened({ detail: event }) {
  if (!event.type.startsWith("io.vad.anomaly.")) return;
  const search = new URLSearchParams(location.search);
  if (search.get("cursor")) return;
  if (event.type.endsWith(".opened")) {
    const { camera, reason, until } = Object.fromEntries(search);
    if ((camera && camera !== event.subject) || (reason && !event.data.reasons.includes(reason)) || until) return;
    fresh += 1;
    const button = document.getElementById("fresh");
    button.hidden = mayInsert();
    button.textContent = `Show ${fresh} new incident${fresh === 1 ? "" : "s"}`;
    if (mayInsert()) soon(REFRESH_S);
  } else {
    soon(REFRESH_S);
    if (event.type.endsWith(".closed")) setTimeout(refresh, EVIDENCE_AFTER_S * 1000);
  }
}

// ---- keyboard ----

const chosen = () => document.activeElement?.closest?.(".incident");

function step(by) {
  const all = rows();
  const at = all.indexOf(chosen());
  all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + by))]?.querySelector("a.main").focus();
}

startShell();
fillTimes();
bindFilters();
finish();
shortcut("j", "Next incident", () => step(1));
shortcut("k", "Previous incident", () => step(-1));
shortcut("n", "Show the new ones", () => refresh({ insert: true }));
if (mayJudge()) {
  verdictKeys(() => {
    const row = chosen();
    return row && { incident: row.dataset.incident, verdict: row.dataset.verdict || null };
  });
}
document.addEventListener("vad:verdict", () => refresh({ insert: false }));
document.addEventListener("vad:event", happened);
document.addEventListener("vad:back", () => refresh());
