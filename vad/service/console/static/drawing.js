// Masks and zones drawn on the picture, by pointer or by keyboard. Knows nothing of the server.

import { area, centre, contains, moved, rounded, within } from "./geometry.js";

const SVG = "http://www.w3.org/2000/svg";
const GRAB_PX = 11;
const MOST_CORNERS = 64;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FINE = 0.01;
const COARSE = 0.05;
const NAMES = { mask: "mask", zone: "zone" };

export class Drawing {
  /** `areas`: [{kind, name, points}]. `onChange()` after every change, `tell(text)` for what to do next. */
  constructor({ svg, areas, isEditable, onChange, tell }) {
    this.svg = svg;
    this.areas = structuredClone(areas);
    this.saved = JSON.stringify(this.areas);
    this.onChange = onChange;
    this.tell = tell;
    this.past = [];
    this.chosen = null; // index of an area
    this.corner = null; // index of one of its corners
    this.draft = null; // {kind, points, cursor}: a polygon that is being drawn
    this.drag = null;
    if (isEditable) this.bind();
    this.render();
  }

  get isChanged() {
    return JSON.stringify(this.areas) !== this.saved;
  }

  /** What the server has now. */
  settle(areas) {
    this.areas = structuredClone(areas);
    this.saved = JSON.stringify(this.areas);
    this.past = [];
    this.chosen = this.corner = null;
    this.changed();
  }

  of(kind) {
    return this.areas.filter((one) => one.kind === kind).map(({ name, points }) => ({ name, points: rounded(points) }));
  }

  // ---- changes, each of them undone by `undo` ----

  remember() {
    this.past.push(JSON.stringify(this.areas));
  }

  undo() {
    if (this.draft?.points.length) {
      this.draft.points.pop();
      this.render();
      return;
    }
    if (this.draft) return this.cancel();
    if (!this.past.length) return;
    this.areas = JSON.parse(this.past.pop());
    this.chosen = this.corner = null;
    this.changed();
  }

  discard() {
    this.draft = null;
    this.settle(JSON.parse(this.saved));
    this.tell("");
  }

  rename(index, name) {
    this.remember();
    this.areas[index].name = name;
    this.changed();
  }

  remove(index) {
    this.remember();
    const [gone] = this.areas.splice(index, 1);
    this.chosen = this.corner = null;
    this.tell(`Deleted ${gone.name || NAMES[gone.kind]}. U undoes it.`);
    this.changed();
  }

  choose(index, { focus = false } = {}) {
    this.chosen = index;
    this.corner = index === null ? null : 0;
    if (index !== null) this.tell("Drag corners, or: arrows move a corner, comma and full stop choose it, Delete removes it, S moves to the whole area.");
    if (focus) this.svg.focus();
    this.changed();
  }

  begin(kind) {
    this.chosen = this.corner = null;
    this.draft = { kind, points: [], cursor: [0.5, 0.5] };
    this.tell(`New ${NAMES[kind]}: click its corners, Enter closes it, Escape cancels. By keyboard: arrows move, Space sets a corner.`);
    this.svg.focus();
    this.changed();
  }

  cancel() {
    this.draft = null;
    this.tell("Cancelled.");
    this.changed();
  }

  close() {
    const { kind, points } = this.draft;
    if (points.length < 3) return this.tell(`${points.length} of at least 3 corners are set.`);
    if (area(points) < 1e-4) return this.tell("These corners enclose no area. Backspace removes the last one.");
    this.remember();
    this.areas.push({ kind, name: "", points: rounded(points) });
    this.draft = null;
    this.tell(`The ${NAMES[kind]} is closed. It takes effect when it is saved.`);
    this.chosen = this.areas.length - 1;
    this.corner = 0;
    this.changed();
  }

  addCorner(point) {
    if (this.draft.points.length >= MOST_CORNERS) return this.tell(`An area has at most ${MOST_CORNERS} corners.`);
    const [first] = this.draft.points;
    if (this.draft.points.length >= 3 && this.near(first, point)) return this.close();
    this.draft.points.push(within(point));
    this.draft.cursor = within(point);
    this.tell(`${this.draft.points.length} corners. Enter closes, Backspace takes the last one back, Escape cancels.`);
    this.changed();
  }

  changed() {
    this.render();
    this.onChange();
  }

  // ---- pointer ----

  bind() {
    this.svg.addEventListener("pointerdown", (event) => this.press(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    this.svg.addEventListener("pointerup", () => this.release());
    this.svg.addEventListener("pointercancel", () => this.release());
    this.svg.addEventListener("dblclick", () => this.draft && this.draft.points.length >= 3 && this.close());
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  at(event) {
    const box = this.svg.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  near([ax, ay], [bx, by]) {
    return Math.hypot((ax - bx) * this.width, (ay - by) * this.height) <= GRAB_PX;
  }

  press(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.svg.focus();
    const point = this.at(event);
    if (this.draft) return this.addCorner(point);
    const points = this.areas[this.chosen]?.points;
    const corner = points?.findIndex((one) => this.near(one, point)) ?? -1;
    const middle = points?.findIndex((one, index) => this.near(between(one, points[(index + 1) % points.length]), point)) ?? -1;
    if (corner >= 0) this.grab(event, { corner });
    else if (middle >= 0 && points.length < MOST_CORNERS) {
      this.remember();
      points.splice(middle + 1, 0, within(point));
      this.grab(event, { corner: middle + 1, remembered: true });
    } else {
      const hit = this.areas.findLastIndex((one) => contains(one.points, point));
      if (hit !== this.chosen) this.choose(hit < 0 ? null : hit);
      if (hit >= 0) this.grab(event, { whole: structuredClone(this.areas[hit].points), from: point });
    }
  }

  grab(event, drag) {
    this.drag = { remembered: false, ...drag };
    if (drag.corner !== undefined) this.corner = drag.corner;
    this.svg.setPointerCapture(event.pointerId);
    this.render();
  }

  move(event) {
    const point = this.at(event);
    if (this.draft) {
      this.draft.cursor = within(point);
      return this.render();
    }
    if (!this.drag) return;
    if (!this.drag.remembered) this.remember();
    this.drag.remembered = true;
    const chosen = this.areas[this.chosen];
    if (this.drag.whole) chosen.points = moved(this.drag.whole, [point[0] - this.drag.from[0], point[1] - this.drag.from[1]]);
    else chosen.points[this.drag.corner] = within(point);
    this.changed();
  }

  release() {
    this.drag = null;
  }

  // ---- keyboard ----

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const handled = this.draft ? this.keyWhileDrawing(event) : this.keyOnArea(event);
    if (handled) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  keyWhileDrawing({ key, shiftKey }) {
    const { draft } = this;
    if (STEPS[key]) {
      const [dx, dy] = STEPS[key];
      const step = shiftKey ? COARSE : FINE;
      draft.cursor = within([draft.cursor[0] + dx * step, draft.cursor[1] + dy * step]);
      this.render();
    } else if (key === " ") this.addCorner(draft.cursor);
    else if (key === "Enter") this.close();
    else if (key === "Escape") this.cancel();
    else if (key === "Backspace") this.undo();
    else return false;
    return true;
  }

  keyOnArea({ key, shiftKey }) {
    const chosen = this.areas[this.chosen];
    if (!chosen) return false;
    const count = chosen.points.length;
    if (STEPS[key]) {
      const step = shiftKey ? COARSE : FINE;
      const by = [STEPS[key][0] * step, STEPS[key][1] * step];
      this.remember();
      if (this.corner === null) chosen.points = moved(chosen.points, by);
      else chosen.points[this.corner] = within([chosen.points[this.corner][0] + by[0], chosen.points[this.corner][1] + by[1]]);
    } else if (key === ",") this.corner = ((this.corner ?? 0) + count - 1) % count;
    else if (key === ".") this.corner = ((this.corner ?? -1) + 1) % count;
    else if (key === "s") this.corner = null;
    else if (key === "Escape" || key === "Enter") this.chosen = this.corner = null;
    else if (key === "Delete" || key === "Backspace") {
      if (this.corner === null || count <= 3) {
        this.remove(this.chosen);
        return true;
      }
      this.remember();
      chosen.points.splice(this.corner, 1);
      this.corner = Math.min(this.corner, count - 2);
    } else return false;
    this.changed();
    return true;
  }

  // ---- what is to be seen ----

  /** Where the picture itself lies in its stage, CSS pixels. */
  place({ left, top, width, height }) {
    Object.assign(this.svg.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    [this.width, this.height] = [width, height];
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.render();
  }

  render() {
    if (!this.width) return;
    const [defs] = this.svg.children;
    this.svg.replaceChildren(defs, ...this.areas.map((one, index) => this.shape(one, index)));
    if (this.draft) this.svg.append(this.sketch());
    this.svg.classList.toggle("at-work", this.draft !== null);
    this.svg.dataset.mode = this.draft ? "draw" : this.chosen === null ? "rest" : "edit";
  }

  px([x, y]) {
    return [x * this.width, y * this.height];
  }

  path(points) {
    return points.map((point) => this.px(point).map((value) => value.toFixed(1)).join(",")).join(" ");
  }

  shape({ kind, name, points }, index) {
    const isChosen = index === this.chosen;
    const group = svg("g", { class: `${kind}${isChosen ? " chosen" : ""}` });
    group.append(svg("polygon", { class: "halo", points: this.path(points) }), svg("polygon", { class: "area", points: this.path(points) }));
    const [x, y] = this.px(centre(points));
    const label = svg("text", { x, y, "text-anchor": "middle", "dominant-baseline": "middle" });
    label.textContent = name || (kind === "mask" ? "Mask" : "Zone");
    group.append(label);
    if (isChosen) {
      points.forEach((point, corner) => {
        const [mx, my] = this.px(between(point, points[(corner + 1) % points.length]));
        group.append(svg("circle", { class: "corner-dot", cx: mx, cy: my, r: 3 }));
      });
      points.forEach((point, corner) => {
        const [cx, cy] = this.px(point);
        group.append(svg("circle", { class: `corner-dot${corner === this.corner ? " at" : ""}`, cx, cy, r: 6.5 }));
      });
    }
    return group;
  }

  sketch() {
    const { kind, points, cursor } = this.draft;
    const group = svg("g", { class: kind });
    if (points.length > 1) group.append(svg("polygon", { class: "area", points: this.path(points), opacity: 0.6 }));
    group.append(svg("polyline", { class: "rubber", points: this.path([...points, cursor]) }));
    for (const point of points) {
      const [cx, cy] = this.px(point);
      group.append(svg("circle", { class: "corner-dot", cx, cy, r: 6 }));
    }
    const [x, y] = this.px(cursor);
    group.append(svg("path", { class: "cursor", d: `M${x - 9} ${y}h18M${x} ${y - 9}v18` }));
    return group;
  }
}

const between = ([ax, ay], [bx, by]) => [(ax + bx) / 2, (ay + by) / 2];

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
