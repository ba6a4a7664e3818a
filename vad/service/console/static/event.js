// One incident: the player, the curve that is its seek bar, the verdict, the way to its neighbours.

import { event as eventPath, get } from "./api.js";
import { Curve } from "./curve.js";
import { Player } from "./player.js";
import { sayProblem, shortcut, startShell } from "./shell.js";
import { judge, mayJudge, verdictKeys } from "./verdict.js";
import { icon, score, word } from "./words.js";

const POLL_S = 3;
const page = document.getElementById("event");
const { incident } = page.dataset;
const by = (id) => document.getElementById(id);

// ---- evidence ----

async function evidence() {
  if (!by("curve")) return;
  try {
    const details = await get(`${eventPath(incident)}/evidence/evidence.json`);
    const curve = new Curve(by("curve"), { clock: (t) => `${t.toFixed(t % 1 ? 1 : 0)} s` });
    const last = details.frames.at(-1)?.t_s ?? 0;
    curve.set({
      points: details.frames.map((frame) => [frame.t_s, frame.score, frame.threshold]),
      from: 0,
      to: Math.max(details.clip?.duration_s ?? 0, last),
      gap: 2,
      bands: overThreshold(details.frames),
    });
    if (by("clip")) play(details, curve);
  } catch (error) {
    sayProblem(error, "The evidence");
  }
}

/** Where the score is above the threshold: [from, to] in the clip's time. */
function overThreshold(frames) {
  const bands = [];
  frames.forEach((frame, index) => {
    if (frame.threshold === null || frame.score <= frame.threshold) return;
    const end = frames[index + 1]?.t_s ?? frame.t_s + 0.1;
    if (bands.length && bands.at(-1)[1] >= frame.t_s - 1e-6) bands.at(-1)[1] = end;
    else bands.push([frame.t_s, end]);
  });
  return bands;
}

function play(details, curve) {
  const video = by("clip");
  const bar = by("curve");
  const player = new Player({
    video,
    canvas: by("overlay"),
    details,
    onTime(t) {
      const frame = player?.frameAt?.(t);
      by("clock").textContent = `${t.toFixed(1)} of ${(video.duration || details.clip.duration_s).toFixed(1)} s`;
      bar.setAttribute("aria-valuenow", t.toFixed(1));
      bar.setAttribute("aria-valuetext", `${t.toFixed(1)} seconds, score ${score(frame?.score)} of ${score(frame?.threshold)}`);
      curve.set({ head: t });
    },
  });
  const begin = () => player.begin(details.clip.peak_s ?? details.peak_wall_s - details.clip.start_wall_s);
  if (video.readyState >= 1) begin();
  else video.addEventListener("loadedmetadata", begin, { once: true });
  bar.setAttribute("aria-valuemax", details.clip.duration_s.toFixed(1));
  bindControls(player, video, bar, curve);
}

function bindControls(player, video, bar, curve) {
  const label = () => {
    const name = video.paused ? "play" : "pause";
    by("play").replaceChildren(icon(name));
    by("play").setAttribute("aria-label", video.paused ? "Play" : "Pause");
  };
  const toggle = () => player.toggle()?.catch?.((error) => sayProblem(error, "The clip cannot be played"));
  video.addEventListener("play", label);
  video.addEventListener("pause", label);
  video.addEventListener("error", () => sayProblem(new Error(video.error?.message || "the browser cannot read it"), "The clip cannot be played"));
  by("play").addEventListener("click", toggle);
  video.addEventListener("click", toggle);
  by("speed").addEventListener("change", () => { video.playbackRate = Number(by("speed").value); });
  const layer = (name) => () => {
    player[name] = !player[name];
    by(name).setAttribute("aria-pressed", player[name]);
    player.draw();
  };
  by("heat").addEventListener("click", layer("heat"));
  by("boxes").addEventListener("click", layer("boxes"));
  const seek = (event) => event.buttons === 1 && player.seek(curve.timeAt(event.offsetX));
  bar.addEventListener("pointerdown", seek);
  bar.addEventListener("pointermove", seek);
  shortcut(" ", "Play or pause", toggle);
  shortcut("ArrowLeft", "A step back", () => player.step(-1));
  shortcut("ArrowRight", "A step on", () => player.step(1));
  shortcut("h", "Heat map", layer("heat"));
  shortcut("b", "Boxes", layer("boxes"));
}

// ---- verdict ----

const pressed = () => document.querySelector('[data-verdict][aria-pressed="true"]')?.dataset.verdict ?? null;
const note = () => by("note")?.value ?? "";

function bindVerdict() {
  for (const button of document.querySelectorAll("[data-verdict]")) {
    button.addEventListener("click", () => judge(incident, button.dataset.verdict, { note: note(), before: pressed() }));
  }
  by("note").addEventListener("change", () => {
    if (pressed()) judge(incident, pressed(), { note: note(), remember: false });
  });
  document.addEventListener("vad:verdict", ({ detail }) => {
    if (detail.incident !== incident) return;
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", button.dataset.verdict === detail.verdict);
    }
    by("said").textContent = detail.verdict ? `Kept: ${word("verdicts", detail.verdict).toLowerCase()}. U takes it back.` : "No verdict yet";
  });
  verdictKeys(() => ({ incident, verdict: pressed(), note: note() }));
}

// ---- neighbours, and what changes while it is open ----

const follow = (id) => () => by(id).getAttribute("href") && location.assign(by(id).href);

/** An open incident has no clip yet: look again until it has, and then show it. */
function waitForEvidence() {
  if (by("clip") || Date.now() / 1000 - Number(page.dataset.opened) > 3600) return;
  const timer = setInterval(async () => {
    try {
      const now = await get(eventPath(incident));
      const changed = now.incident.state !== page.dataset.state;
      if ((now.evidence || changed) && document.activeElement !== by("note")) {
        clearInterval(timer);
        location.reload();
      }
    } catch (error) {
      if (error.status === 404) clearInterval(timer);
    }
  }, POLL_S * 1000);
}

startShell();
if (mayJudge()) bindVerdict();
shortcut("j", "Older incident", follow("older"));
shortcut("k", "Newer incident", follow("newer"));
evidence();
waitForEvidence();
