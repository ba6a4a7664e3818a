// Words for the wire's words, numbers and times. The tables come with the page, from words.py.

const tables = JSON.parse(document.getElementById("words").textContent);

export const word = (kind, value) => tables[kind]?.[value] ?? String(value ?? "").replaceAll("_", " ");
export const reasons = (list) => list.map((reason) => word("reasons", reason)).join(", ");

export const score = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 172_800) return `${(s / 3600).toFixed(s < 36_000 ? 1 : 0)} h`;
  return `${Math.round(s / 86_400)} days`;
}

export function bytes(count) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (count >= size) return `${(count / size).toFixed(count >= 10 * size ? 0 : 1)} ${unit}`;
  }
  return `${count} B`;
}

export const perDay = (value) => (value >= 10 ? String(Math.round(value)) : String(Number(value.toPrecision(2))));

// ---- times: local, with UTC on hover ----

const pad = (number) => String(number).padStart(2, "0");
const clock = (at) => `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
const day = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
const isToday = (at) => day(at) === day(new Date());

const formats = {
  time: clock,
  minute: (at) => clock(at).slice(0, 5),
  day: (at) => day(at).slice(5),
  full: (at) => `${day(at)} ${clock(at)}`,
  short: (at) => (isToday(at) ? clock(at) : `${day(at)} ${clock(at).slice(0, 5)}`),
  hour: (at) => (isToday(at) ? clock(at).slice(0, 5) : `${day(at).slice(5)} ${clock(at).slice(0, 5)}`),
};

export const localTime = (wallS, format = "full") => formats[format](new Date(wallS * 1000));
export const utc = (wallS) => `${new Date(wallS * 1000).toISOString().replace("T", " ").slice(0, 19)} UTC`;

/** Turn every <time data-wall> inside `root` that says UTC into local time. */
export function localise(root = document) {
  for (const element of root.querySelectorAll("time[data-wall]")) {
    const wallS = Number(element.dataset.wall);
    const text = localTime(wallS, element.dataset.format);
    if (element.textContent !== text) element.textContent = text;
    element.title = utc(wallS);
  }
}

export function timeElement(wallS, format = "short") {
  const element = document.createElement("time");
  element.dateTime = new Date(wallS * 1000).toISOString();
  element.dataset.wall = wallS;
  element.dataset.format = format;
  element.textContent = localTime(wallS, format);
  element.title = utc(wallS);
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** `make("a", {href}, "text", node)`: an element with attributes and children; never parses HTML. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
