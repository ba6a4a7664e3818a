// One camera: its live picture, its curve, its sensitivity, the areas drawn on the picture.

import { call, camera as cameraPath, get, query, send } from "./api.js";
import { bindAreas } from "./areas.js";
import { Curve } from "./curve.js";
import { sensitivity } from "./sensitivity.js";
import { confirm, every, lostTouch, say, sayProblem, shortcut, startShell, touch } from "./shell.js";
import { icon, localTime, make, perDay, reasons, score, span, timeElement, word } from "./words.js";

const STATE_S = 2;
const CURVE_S = { 600: 2, 86400: 30 };
const RETRY_S = 4;
const SNAPSHOT_S = 1;
const LIVE = { fps: 5, width: 960 };
const by = (id) => document.getElementById(id);
const id = by("camera").dataset.camera;
const path = cameraPath(id);
const image = by("live");

let camera = JSON.parse(by("camera-data").textContent);
let heat = false;

// ---- the picture ----

let retry = null;

/** A snapshot first, whose refusal has words; then the stream, or snapshots where the streams are used up. */
async function watch() {
  clearTimeout(retry);
  if (document.hidden) return;
  try {
    await snapshot();
  } catch (error) {
    noPicture(error);
    retry = setTimeout(watch, (error.retryAfterS ?? RETRY_S) * 1000);
    return;
  }
  image.onerror = () => {
    by("rate").textContent = "One picture a second";
    retry = setTimeout(still, SNAPSHOT_S * 1000);
  };
  by("rate").textContent = "Live";
  showPicture(`${path}/live${query({ ...LIVE, heat, boxes: heat, at: Date.now() })}`);
}

async function snapshot() {
  const response = await send("GET", `${path}/snapshot${query({ width: LIVE.width, heat, boxes: heat })}`);
  showPicture(URL.createObjectURL(await response.blob()));
  await image.decode().catch(() => {});
}

async function still() {
  try {
    if (!document.hidden) await snapshot();
  } catch (error) {
    noPicture(error);
  }
  retry = setTimeout(still, SNAPSHOT_S * 1000);
}

function showPicture(source) {
  const before = image.src;
  image.src = source;
  image.hidden = false;
  by("no-picture").hidden = true;
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}

function noPicture(error) {
  image.hidden = true;
  by("no-picture").hidden = false;
  by("no-picture").textContent = error.status === 503 && camera.state === "up" ? "Waiting for a picture" : by("state").textContent.trim() || "No picture";
}

function bindPicture() {
  const toggle = () => {
    heat = !heat;
    by("heat").setAttribute("aria-pressed", heat);
    watch();
  };
  by("heat").addEventListener("click", toggle);
  shortcut("h", "Heat map", toggle);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(retry);
      image.onerror = null;
      image.removeAttribute("src"); // a stream that nobody looks at costs the engine
    } else watch();
  });
  document.addEventListener("vad:back", watch);
}

// ---- the curve ----

const curve = new Curve(by("curve"), { clock: (t) => localTime(t, seconds > 7200 ? "minute" : "time") });
let seconds = 600;
let turn = () => {};

async function curveNow() {
  try {
    const history = await get(`${path}/scores${query({ seconds })}`);
    const end = Math.max(history.points.at(-1)?.[0] ?? 0, Date.now() / 1000 - history.step_s * 3);
    curve.set({ points: history.points, from: end - seconds, to: end, gap: history.step_s * 3.5 });
  } catch (error) {
    if (error.status !== undefined && error.status !== 401 && error.status < 500) sayProblem(error, "The score's history");
  }
}

function bindCurve() {
  let last = -Infinity;
  turn = every(1, async () => {
    if (performance.now() - last < CURVE_S[seconds] * 1000 - 50) return;
    last = performance.now();
    await curveNow();
  });
  for (const button of document.querySelectorAll("[data-seconds]")) {
    button.addEventListener("click", () => {
      seconds = Number(button.dataset.seconds);
      for (const one of document.querySelectorAll("[data-seconds]")) one.setAttribute("aria-pressed", one === button);
      last = -Infinity;
      turn();
    });
  }
}

// ---- state ----

function fill({ card, camera: now, pulse }) {
  touch(pulse);
  const changed = camera.state !== now.state || camera.run !== now.run;
  camera = now;
  by("state").dataset.tone = card.tone;
  by("state").replaceChildren(icon(card.icon), make("span", {}, card.label));
  by("detail").textContent = card.detail;
  by("stage-words").textContent = `${card.stage_label}: ${card.stage_means}`;
  by("score").textContent = `${score(now.score)} of ${score(now.threshold)}`;
  by("now").textContent = now.threshold === null ? card.stage_label : `${score(now.score)} of ${score(now.threshold)}`;
  const width = now.analysed_width ? `, ${now.analysed_width} px wide` : "";
  by("fps").textContent = `${now.fps ? `${now.fps.toFixed(1)} frames a second, ${now.analysis_fps} of them analysed` : "no frames"}${width}`;
  const raised = now.judged_s ? `${now.incidents_opened} raised in ${span(now.judged_s)} judged` : "nothing judged yet";
  by("budget").textContent = `${perDay(now.false_alarms_per_day)} a day; ${raised}`;
  by("promise").textContent = card.promise;
  if (by("arm")) by("arm").textContent = now.is_armed ? "Disarm" : "Arm";
  if (by("pause")) by("pause").textContent = now.is_paused ? "Resume" : "Pause";
  if (changed) watch();
}

let stateAsked = 0;

async function stateNow() {
  const mine = (stateAsked += 1);
  try {
    const now = await get(`/console/cameras/${encodeURIComponent(id)}`);
    if (mine === stateAsked) fill(now); // an answer from before a command must not undo what it shows
  } catch (error) {
    if (error.status === 404) say(`${id} has been removed.`, { kind: "problem" });
    else if (error.status === undefined || error.status >= 500) lostTouch();
  }
}

async function recent() {
  try {
    const { incidents } = await get(`/api/v1/incidents${query({ camera: id, limit: 8 })}`);
    const rows = incidents.map((one) => make(
      "li", {}, make("a", { href: `/events/${one.incident}` }, reasons(one.reasons) || "Incident"), timeElement(one.opened_wall_s),
      make("span", { class: one.state === "open" ? "chip" : "muted", "data-tone": one.state === "open" ? "alarm" : null },
        one.state === "open" ? "Open" : one.verdict ? word("verdicts", one.verdict) : `score ${score(one.peak_score)}`)));
    by("recent").replaceChildren(rows.length ? make("ul", { class: "plain-list" }, ...rows) : make("p", { class: "muted" }, "No incident yet."));
  } catch (error) {
    if (error.status !== undefined) sayProblem(error, "Recent incidents");
  }
}

// ---- what may be done to it ----

async function command(name, done) {
  try {
    await call("POST", `${path}/${name}`);
    say(done);
    stateNow();
  } catch (error) {
    sayProblem(error, `${id} was not changed`);
  }
}

function bindCommands() {
  by("arm")?.addEventListener("click", () => (camera.is_armed
    ? command("disarm", `${id} raises no incidents until it is armed again. It goes on learning.`)
    : command("arm", `${id} raises incidents again.`)));
  by("pause")?.addEventListener("click", () => (camera.is_paused
    ? command("resume", `${id} is read again.`)
    : command("pause", `${id} is not read until it is resumed.`)));
  by("remove")?.addEventListener("click", async () => {
    const text = "It is no longer watched and what it has learnt is no longer used. Its events and evidence stay until they are too old.";
    if (!(await confirm({ title: `Remove ${id}?`, text, action: "Remove" }))) return;
    try {
      await call("DELETE", path);
      location.assign("/");
    } catch (error) {
      sayProblem(error, `${id} was not removed`);
    }
  });
}

startShell({ ownPulse: true });
bindPicture();
bindCurve();
bindCommands();
bindAreas({ camera, image, path, onSaved: () => watch() });
const knob = sensitivity({
  id,
  value: camera.false_alarms_per_day,
  threshold: () => camera.threshold,
  onTrial: (preview) => curve.set({ trial: preview?.threshold ?? null, marks: preview?.incidents ?? [] }),
});
const stateTurn = every(STATE_S, stateNow);
document.addEventListener("vad:event", ({ detail }) => {
  if (detail.subject !== id) return;
  stateTurn();
  if (detail.type.startsWith("io.vad.anomaly.")) {
    recent();
    knob.look();
  }
});
recent();
watch();
