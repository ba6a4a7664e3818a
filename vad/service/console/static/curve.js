// A score curve on a canvas: score, threshold, where nothing was judged yet, marks, a play-head, a reading under the pointer.

import { localTime, score } from "./words.js";

const LEFT = 34;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 20;
const MOST_OVER = 3;
const COLOURS = ["text", "muted", "line", "surface", "sunken", "curve", "limit", "link", "alarm-bg"];
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400];

// a canvas wants a colour where the style sheet says light-dark(): what is known to be one is computed
for (const name of COLOURS) {
  CSS.registerProperty({ name: `--${name}`, syntax: "<color>", inherits: true, initialValue: "transparent" });
}

export class Curve {
  /** `clock(t)` writes a time of the x axis. */
  constructor(canvas, { clock = (t) => localTime(t, "time") } = {}) {
    this.canvas = canvas;
    this.clock = clock;
    this.data = { points: [], from: 0, to: 1, marks: [], bands: [], head: null, trial: null, gap: Infinity };
    this.pointer = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    document.addEventListener("vad:theme", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("pointermove", (event) => { this.pointer = event.offsetX; this.draw(); });
    canvas.addEventListener("pointerleave", () => { this.pointer = null; this.draw(); });
  }

  /** points: [t, score, threshold or null], in order. `marks`: times; `bands`: [from, to]; `trial`: another threshold. */
  set(data) {
    Object.assign(this.data, data);
    this.draw();
  }

  timeAt(offsetX) {
    const { from, to } = this.data;
    const share = (offsetX - LEFT) / Math.max(1, this.canvas.clientWidth - LEFT - RIGHT);
    return from + Math.min(1, Math.max(0, share)) * (to - from);
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const scale = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    const g = this.canvas.getContext("2d");
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, width, height);
    g.font = '11px system-ui, "DejaVu Sans", sans-serif';
    this.paint(g, new Frame(width, height, this.data), colours(this.canvas));
  }

  paint(g, frame, ink) {
    const { points, bands, marks, head, trial, gap } = this.data;
    for (const [from, to] of bands) fillBand(g, frame, from, to, ink["alarm-bg"]);
    unjudged(g, frame, points, ink, gap);
    axes(g, frame, ink, this.clock);
    g.save();
    g.beginPath();
    g.rect(LEFT, 0, frame.right - LEFT, frame.bottom + 1);
    g.clip();
    line(g, frame, points, 2, { colour: ink.limit, dash: [5, 4], gap });
    line(g, frame, points, 1, { colour: ink.curve, dash: [], gap });
    if (trial !== null) level(g, frame, trial, ink.link);
    for (const mark of marks) flag(g, frame.x(mark), frame, ink.link);
    if (head !== null) upright(g, frame.x(head), frame, ink.text, 2);
    g.restore();
    if (this.pointer !== null && points.length) this.reading(g, frame, ink);
  }

  reading(g, frame, ink) {
    const wanted = this.timeAt(this.pointer);
    const { points } = this.data;
    const at = points.reduce((best, point) => (Math.abs(point[0] - wanted) < Math.abs(best[0] - wanted) ? point : best));
    const x = frame.x(at[0]);
    upright(g, x, frame, ink.muted, 1);
    const text = `${this.clock(at[0])}  ${score(at[1])} of ${score(at[2])}`;
    const wide = g.measureText(text).width + 12;
    const left = Math.min(frame.right - wide, Math.max(LEFT, x + 8));
    g.fillStyle = ink.surface;
    g.fillRect(left, TOP, wide, 18);
    g.strokeStyle = ink.line;
    g.strokeRect(left + 0.5, TOP + 0.5, wide, 18);
    g.fillStyle = ink.text;
    g.textAlign = "left";
    g.textBaseline = "middle";
    g.fillText(text, left + 6, TOP + 10);
  }
}

/** Where times and scores are on the canvas, CSS pixels. */
class Frame {
  constructor(width, height, { from, to, points, trial }) {
    this.right = width - RIGHT;
    this.bottom = height - BOTTOM;
    this.from = from;
    this.to = to;
    let [highest, limit] = [4, trial ?? 0];
    for (const [, height, threshold] of points) {
      if (height > highest) highest = height;
      if (threshold !== null && threshold > limit) limit = threshold;
    }
    // What lies far above the threshold is cut off, so that what happens around it can be seen; a reading tells it.
    const most = limit ? Math.max(MOST_OVER * limit, 4) : Infinity;
    this.isCut = highest > most;
    this.top = Math.max(Math.min(highest, most), 1.25 * limit) * 1.04;
  }

  x(t) {
    return LEFT + ((t - this.from) / Math.max(1e-6, this.to - this.from)) * (this.right - LEFT);
  }

  y(value) {
    return this.bottom - (Math.min(this.top, Math.max(0, value)) / this.top) * (this.bottom - TOP);
  }
}

function colours(element) {
  const style = getComputedStyle(element);
  return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`)]));
}

function fillBand(g, frame, from, to, colour) {
  const left = Math.max(LEFT, frame.x(from));
  const right = Math.min(frame.right, frame.x(to));
  if (right <= left) return;
  g.fillStyle = colour;
  g.fillRect(left, TOP, Math.max(1, right - left), frame.bottom - TOP);
}

/** Shades where there was no threshold: the camera was only learning. */
function unjudged(g, frame, points, ink, gap) {
  let from = null;
  const close = (to) => {
    if (from === null) return;
    fillBand(g, frame, from, to, ink.sunken);
    if (frame.x(to) - frame.x(from) > 90) {
      g.fillStyle = ink.muted;
      g.textAlign = "left";
      g.textBaseline = "top";
      g.fillText("only learning", Math.max(LEFT, frame.x(from)) + 6, TOP + 4);
    }
    from = null;
  };
  let last = null;
  for (const [t, , threshold] of points) {
    if (last !== null && t - last > gap) close(last);
    if (threshold === null) from ??= t;
    else close(t);
    last = t;
  }
  if (last !== null) close(last);
}

function axes(g, frame, ink, clock) {
  g.strokeStyle = ink.line;
  g.fillStyle = ink.muted;
  g.lineWidth = 1;
  g.textAlign = "right";
  g.textBaseline = "middle";
  const step = niceStep(frame.top / 3);
  for (let value = 0; value <= frame.top; value += step) {
    const y = Math.round(frame.y(value)) + 0.5;
    g.beginPath();
    g.moveTo(LEFT, y);
    g.lineTo(frame.right, y);
    g.stroke();
    g.fillText(String(value), LEFT - 6, y);
  }
  if (frame.isCut) g.fillText("▲", LEFT - 6, TOP + 4);
  const spanS = frame.to - frame.from;
  const room = Math.max(2, Math.floor((frame.right - LEFT) / 84));
  const tick = TICKS.find((seconds) => spanS / seconds <= room) ?? 86_400;
  const offset = spanS > 7200 ? new Date(frame.from * 1000).getTimezoneOffset() * 60 : 0;
  g.textBaseline = "top";
  for (let t = Math.ceil((frame.from - offset) / tick) * tick + offset; t <= frame.to; t += tick) {
    const x = frame.x(t);
    g.textAlign = x < LEFT + 22 ? "left" : x > frame.right - 22 ? "right" : "center";
    g.fillText(clock(t), x, frame.bottom + 6);
  }
}

function niceStep(raw) {
  const size = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((factor) => factor * size).find((step) => step >= raw) ?? 10 * size;
}

function line(g, frame, points, column, { colour, dash, gap }) {
  g.strokeStyle = colour;
  g.lineWidth = 1.5;
  g.lineJoin = "round";
  g.setLineDash(dash);
  g.beginPath();
  let last = null;
  for (const point of points) {
    const value = point[column];
    if (value === null) {
      last = null;
      continue;
    }
    if (last === null || point[0] - last > gap) g.moveTo(frame.x(point[0]), frame.y(value));
    else g.lineTo(frame.x(point[0]), frame.y(value));
    last = point[0];
  }
  g.stroke();
  g.setLineDash([]);
}

function level(g, frame, value, colour) {
  g.strokeStyle = colour;
  g.lineWidth = 1.5;
  g.beginPath();
  g.moveTo(LEFT, frame.y(value));
  g.lineTo(frame.right, frame.y(value));
  g.stroke();
}

function upright(g, x, frame, colour, width) {
  g.strokeStyle = colour;
  g.lineWidth = width;
  g.beginPath();
  g.moveTo(x, TOP);
  g.lineTo(x, frame.bottom);
  g.stroke();
}

function flag(g, x, frame, colour) {
  g.fillStyle = colour;
  g.beginPath();
  g.moveTo(x - 5, TOP);
  g.lineTo(x + 5, TOP);
  g.lineTo(x, TOP + 8);
  g.fill();
}
