// What every page has: theme, notices, shortcuts, the pulse of the engine, alarms as they come.

import { get, patience, wordsOf } from "./api.js";
import { listenForAlarms } from "./alarms.js";
import { icon, localise, make } from "./words.js";

// ---- notices ----

const NOTICE_S = 8;

/** Say something in the corner. Problems stay until they are dismissed. */
export function say(text, { kind = "done", title = "" } = {}) {
  const notice = make("div", { class: "notice", "data-kind": kind });
  const close = make("button", { class: "icon-button", "aria-label": "Dismiss", type: "button" }, icon("close"));
  close.addEventListener("click", () => notice.remove());
  notice.append(make("div", {}, title ? make("div", { class: "title" }, title) : null, make("div", {}, text)), close);
  const place = document.getElementById("notices");
  place.append(notice);
  while (place.children.length > 4) place.firstElementChild.remove();
  if (kind === "done") setTimeout(() => notice.remove(), NOTICE_S * 1000);
}

export function sayProblem(error, title = "") {
  if (error.name === "AbortError") return;
  say(wordsOf(error), { kind: "problem", title });
}

// ---- dialogs ----

for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

/** Ask before what cannot be taken back. Resolves to true or false. */
export function confirm({ title, text, action }) {
  const dialog = document.getElementById("confirm-dialog");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("p").textContent = text;
  const [no, yes] = dialog.querySelectorAll("button");
  yes.textContent = action;
  return new Promise((resolve) => {
    const done = (answer) => () => {
      no.onclick = yes.onclick = dialog.onclose = null;
      dialog.close();
      resolve(answer);
    };
    no.onclick = dialog.onclose = done(false);
    yes.onclick = done(true);
    dialog.showModal();
  });
}

// ---- keyboard ----

const shortcuts = new Map();
const listed = [];

/** `shortcut("j", "Next incident", go)`; `keys` may be a list of the same meaning; no `label` = not listed. */
export function shortcut(keys, label, action) {
  const all = [].concat(keys);
  for (const key of all) shortcuts.set(key, action);
  if (label) listed.push([all, label]);
}

const isTyping = (target) => target.closest("input:not([type=checkbox]):not([type=range]), textarea, select, [contenteditable]") !== null;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if ((event.key === " " || event.key === "Enter") && event.target.closest("button, a, summary")) return;
  const action = shortcuts.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
  if (!action || action(event) === false) return;
  event.preventDefault();
});

function showKeys() {
  const list = document.getElementById("keys-list");
  list.replaceChildren();
  for (const [keys, label] of listed) {
    const shown = keys.flatMap((key, index) => [index ? " " : "", make("kbd", {}, KEY_NAMES[key] ?? key.toUpperCase())]);
    list.append(make("dt", {}, ...shown), make("dd", {}, label));
  }
  document.getElementById("keys-dialog").showModal();
}

const KEY_NAMES = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", "/": "/", "?": "?" };
const go = (path) => () => location.assign(path);

function generalShortcuts() {
  shortcut("?", "This list", showKeys);
  shortcut("l", "Live", go("/"));
  shortcut("v", "Events", go("/events"));
  shortcut("g", "Health", go("/health"));
  const search = document.querySelector("input[type=search]");
  if (search) shortcut("/", "Search", () => search.focus());
  document.getElementById("keys-button")?.addEventListener("click", showKeys);
}

// ---- theme ----

function nextTheme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = dark ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  document.cookie = `vad_theme=${theme}; path=/; max-age=31536000; SameSite=Strict`; // the server writes it into the page
  document.dispatchEvent(new CustomEvent("vad:theme"));
}

// ---- the engine's pulse ----

const PULSE_S = 3;
let lostSince = null;

/** Show that the engine answers, or since when it does not. Any page may tell; the pulse asks by itself. */
export function touch(pulse) {
  const lost = document.getElementById("lost");
  if (!lost) return;
  if (lostSince !== null) {
    lostSince = null;
    lost.hidden = true;
    document.body.classList.remove("lost-touch");
    document.dispatchEvent(new CustomEvent("vad:back"));
  }
  if (!pulse) return;
  if (!pulse.running) tell(lost, "The engine is stopping or a part of it has failed. What you see is its last state.");
  else lost.hidden = true;
  part("cameras", pulse.up < pulse.watched ? "cool" : "", pulse.up, ` of ${pulse.watched}`, " cameras", " live");
  part("incidents", pulse.incidents ? "hot" : "", pulse.incidents, " open", ` incident${pulse.incidents === 1 ? "" : "s"}`, "");
  document.title = document.title.replace(/^(\(\d+\) )?/, pulse.incidents ? `(${pulse.incidents}) ` : "");
}

function part(name, className, number, before, wide, after) {
  const element = document.querySelector(`[data-pulse="${name}"]`);
  if (element.dataset.last === `${number}${before}`) return;
  element.dataset.last = `${number}${before}`;
  element.className = className;
  element.replaceChildren(make("strong", {}, String(number)), before, make("span", { class: "wide" }, wide), after);
}

function tell(element, text) {
  element.hidden = false;
  if (element.textContent !== text) element.textContent = text;
}

export function lostTouch() {
  const element = document.getElementById("lost");
  if (!element) return;
  if (lostSince === null) {
    lostSince = new Date();
    document.body.classList.add("lost-touch");
  }
  const since = lostSince.toTimeString().slice(0, 8);
  tell(element, `No connection to the engine since ${since}. What you see is from then. Trying again every few seconds.`);
}

async function pulse() {
  try {
    touch(await get("/console/pulse"));
  } catch (error) {
    if (error.status === undefined || error.status >= 500) lostTouch();
  }
}

document.addEventListener("vad:signed-out", () => {
  const element = document.getElementById("lost");
  if (!element) return;
  element.hidden = false; // an answer that was under way may have hidden it again
  if (element.querySelector("a")) return;
  const next = encodeURIComponent(location.pathname + location.search);
  element.replaceChildren("Your session has ended. ", make("a", { href: `/login?next=${next}` }, "Sign in again"));
});

async function signOut() {
  try {
    await fetch("/logout", { method: "POST", signal: patience("POST") });
  } finally {
    location.assign("/login");
  }
}

/**
 * `every(2, refresh)`: at once and then every 2 s, one at a time, only while the page can be seen, whatever becomes of
 * one. Gives a function that asks for one at once, or for another where one is under way: it may have seen the old state.
 */
export function every(seconds, action) {
  let timer = null;
  let running = false;
  let again = false;
  const turn = async () => {
    clearTimeout(timer);
    again = running;
    if (running) return;
    running = true;
    try {
      if (!document.hidden) await action();
    } finally {
      running = false;
      timer = setTimeout(turn, again ? 0 : seconds * 1000);
    }
  };
  document.addEventListener("visibilitychange", () => document.hidden || turn());
  turn();
  return turn;
}

/** Called once by each page's own script. `ownPulse`: the page itself asks often enough and tells `touch`. */
export function startShell({ ownPulse = false } = {}) {
  localise();
  generalShortcuts();
  document.getElementById("theme-button")?.addEventListener("click", nextTheme);
  document.getElementById("sign-out")?.addEventListener("click", signOut);
  if (!ownPulse) every(PULSE_S, pulse);
  listenForAlarms();
}
