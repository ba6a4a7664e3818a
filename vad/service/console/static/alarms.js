// New incidents as they are raised: a banner always, a sound and a notification if this browser was told so.

import { icon, make, reasons, score, timeElement } from "./words.js";

const MOST_BANNERS = 3;
const BANNER_S = 90; // what is open is listed on the live page as long as it is open
const RETRY_S = 5;
const OPENED = "io.vad.anomaly.opened";

const setting = {
  get sound() { return localStorage.getItem("vad-sound") === "on"; },
  get notify() { return localStorage.getItem("vad-notify") === "on" && globalThis.Notification?.permission === "granted"; },
};

let source = null;
let audio = null;

/** Every durable event of the engine arrives at `document` as `vad:event` with the event as its detail. */
export function listenForAlarms() {
  if (!document.getElementById("alarms") || !document.getElementById("alerts-button")) return;
  bindDialog();
  connect();
  document.addEventListener("visibilitychange", () => {
    // A browser opens six connections to one host at most: a page in the background keeps none unless it shall ring.
    if (document.hidden && !setting.sound && !setting.notify) disconnect();
    else if (!document.hidden && source === null) connect();
  });
  document.addEventListener("vad:back", () => source === null && connect());
}

function connect() {
  source = new EventSource("/api/v1/events/stream");
  const take = (message) => arrive(JSON.parse(message.data));
  for (const type of ["message", OPENED, "io.vad.anomaly.updated", "io.vad.anomaly.closed"]) source.addEventListener(type, take);
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return; // it tries again by itself
    source = null;
    setTimeout(() => source === null && !document.hidden && connect(), RETRY_S * 1000);
  });
}

function disconnect() {
  source?.close();
  source = null;
}

function arrive(event) {
  document.dispatchEvent(new CustomEvent("vad:event", { detail: event }));
  if (event.type === OPENED) announce(event);
}

function announce(event) {
  const { incident, reasons: why, score: height, threshold, wall_s: wallS } = event.data;
  banner({ camera: event.subject, incident, why, height, threshold, wallS });
  if (setting.sound) ring();
  if (setting.notify && document.hidden) {
    const shown = new Notification(`Incident at ${event.subject}`, { body: reasons(why), tag: incident });
    shown.onclick = () => { window.focus(); location.assign(`/events/${incident}`); };
  }
}

function banner({ camera, incident, why, height, threshold, wallS }) {
  const place = document.getElementById("alarms");
  const close = make("button", { class: "icon-button", type: "button", "aria-label": `Dismiss: ${camera}` }, icon("close"));
  const link = incident ? make("a", { href: `/events/${incident}` }, "Open") : null;
  const notice = make(
    "div", { class: "notice", "data-kind": "alarm" }, icon("alarm"),
    make("div", {}, make("div", { class: "title" }, `Incident at ${camera}`),
      make("div", {}, `${reasons(why)}, score ${score(height)} over ${score(threshold)}, `, timeElement(wallS, "time"), " ", link ?? "")),
    close,
  );
  close.addEventListener("click", () => notice.remove());
  place.append(notice);
  setTimeout(() => notice.matches(":hover, :focus-within") || notice.remove(), BANNER_S * 1000);
  while (place.children.length > MOST_BANNERS) place.firstElementChild.remove();
}

function ring() {
  try {
    audio ??= new AudioContext();
    for (const [delayS, pitch] of [[0, 660], [0.18, 880]]) {
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0.0001, audio.currentTime + delayS);
      volume.gain.exponentialRampToValueAtTime(0.2, audio.currentTime + delayS + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + delayS + 0.16);
      tone.connect(volume).connect(audio.destination);
      tone.start(audio.currentTime + delayS);
      tone.stop(audio.currentTime + delayS + 0.2);
    }
  } catch (error) {
    hint(`No sound: ${error.message}`);
  }
}

const hint = (text) => { document.getElementById("alert-hint").textContent = text; };

function bindDialog() {
  const sound = document.getElementById("alert-sound");
  const notify = document.getElementById("alert-notify");
  document.getElementById("alerts-button").addEventListener("click", () => {
    sound.checked = setting.sound;
    notify.checked = setting.notify;
    hint(setting.sound && audio === null ? "A browser plays no sound before you have clicked somewhere in the page." : "");
    document.getElementById("alerts-dialog").showModal();
  });
  sound.addEventListener("change", () => localStorage.setItem("vad-sound", sound.checked ? "on" : "off"));
  notify.addEventListener("change", async () => {
    const answer = notify.checked ? await (globalThis.Notification?.requestPermission() ?? "unsupported") : "granted";
    if (answer !== "granted") {
      notify.checked = false;
      hint(answer === "denied" ? "This browser was told not to show notifications of this page." : "This browser shows no notifications here.");
    }
    localStorage.setItem("vad-notify", notify.checked ? "on" : "off");
  });
  document.getElementById("alert-try").addEventListener("click", () => {
    ring();
    banner({ camera: "a camera (a trial)", incident: "", why: [], height: 9.9, threshold: 5.5, wallS: Date.now() / 1000 });
  });
}
